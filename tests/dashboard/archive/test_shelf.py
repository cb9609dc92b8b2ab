import json
import os
from datetime import date, datetime
from pathlib import Path

import pytest
from archive_rows import VERSION, made, parts_of

from dashboard.archive.shelf import (
    SHIPPED,
    Shelved,
    Tag,
    cache_folder,
    choose_target,
    list_archives,
    lists,
    read_contents,
    stamp,
)
from segmodels.archive.store import Archive, ArchiveError, Version
from segmodels.checkpoints.catalog import EMBEDDED
from segmodels.checkpoints.checkpoint import load_checkpoint

OTHER = Version("OUTFIT_15", "other", "def456")


def filled(place: Path) -> str:
    Archive(place).writer(VERSION).append(made("a"))
    return str(place)


@pytest.fixture
def shipped(tmp_path: Path) -> Path:
    filled(tmp_path / "shipped" / "ccp")
    return tmp_path / "shipped"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"GARMENTSCOPE_CACHE": str(tmp_path / "cache")}


def test_own_archives_come_first_then_named_then_shipped(
    tmp_path: Path, shipped: Path, environment: dict[str, str]
) -> None:
    own = filled(tmp_path / "cache" / "archives" / "spring")
    (tmp_path / "cache" / "archives" / "empty").mkdir()
    named = [str(tmp_path / "elsewhere" / "ccp"), own, "s3://looks/2024"]
    environment["GARMENTSCOPE_ARCHIVE"] = os.pathsep.join([*named, ""])
    assert list_archives(environment, shipped) == [
        Shelved("spring", own, "own"),
        Shelved("ccp", named[0], "named"),
        Shelved("2024", "s3://looks/2024", "named"),
        Shelved("ccp (2)", str(shipped / "ccp"), "shipped"),
    ]


def test_there_may_be_none(tmp_path: Path, environment: dict[str, str]) -> None:
    assert list_archives(environment, tmp_path / "nowhere") == []


def test_the_cache_is_where_it_is_said_to_be(tmp_path: Path) -> None:
    assert cache_folder({"GARMENTSCOPE_CACHE": "/a"}) == Path("/a/archives")
    assert cache_folder({"XDG_CACHE_HOME": "/b"}) == Path("/b/garmentscope/archives")
    assert cache_folder({}) == Path.home() / ".cache" / "garmentscope" / "archives"


@pytest.mark.parametrize("name", ["ccp", "Clothing Co-Parsing", "Made-up sample"])
def test_no_new_archive_is_called_like_one_of_the_apps(shipped: Path, environment: dict[str, str], name: str) -> None:
    with pytest.raises(ArchiveError, match=f"{name} comes with the app"):
        choose_target(name, environment, shipped)


def test_a_new_name_is_a_folder_of_the_cache(tmp_path: Path, shipped: Path, environment: dict[str, str]) -> None:
    target = choose_target(" Été 2024 ", environment, shipped)
    assert target == Shelved("Été 2024", str(tmp_path / "cache" / "archives" / "Été 2024"), "own")
    environment["GARMENTSCOPE_ARCHIVE"] = str(tmp_path / "team")
    assert choose_target("team", environment, shipped) == Shelved("team", str(tmp_path / "team"), "named")


@pytest.mark.parametrize("name", ["../up", "a/b", "a\\b", "..", ".hidden", "end.", "C:", "x" * 61, "a\nb"])
def test_a_name_cannot_climb_or_hide(name: str, shipped: Path, environment: dict[str, str]) -> None:
    with pytest.raises(ArchiveError, match="cannot be called"):
        choose_target(name, environment, shipped)


def test_no_name_and_a_shipped_name_are_sentences(shipped: Path, environment: dict[str, str]) -> None:
    with pytest.raises(ArchiveError, match="needs a name"):
        choose_target("  ", environment, shipped)
    with pytest.raises(ArchiveError, match="ccp comes with the app and cannot be changed"):
        choose_target("ccp", environment, shipped)


def test_contents_are_counted_version_by_version(archive: Archive) -> None:
    assert read_contents(archive) == []
    writer = archive.writer(VERSION)
    writer.append(made("a", "b", tags={"market": "Paris", "trained_on": "yes"}))
    writer.append(made("c", tags={"market": "Milan", "trained_on": "no"}))
    dated = made("d")
    dated = dated.set_column(2, dated.schema.field("taken_at"), [[datetime(2024, 3, 5, 23)]])
    writer.append(dated)
    archive.writer(OTHER).append(made("e", version=OTHER))
    first, second = read_contents(archive)
    assert (first.version, first.photos, first.outfits, first.dated) == (VERSION, 4, 4, 1)
    assert first.first == first.last == date(2024, 3, 5)
    assert first.tags == (
        Tag("market", 2, (("Paris", 2), ("Milan", 1))),
        Tag("trained_on", 2, (("yes", 2), ("no", 1))),
    )
    assert first.trained_on == 2
    assert (second.version, second.photos, second.first, second.tags, second.trained_on) == (OTHER, 1, None, (), None)


def test_a_tag_with_many_values_is_cut_to_the_most_frequent(archive: Archive) -> None:
    writer = archive.writer(VERSION)
    for number in range(8):
        writer.append(made(f"p{number}", tags={"look": str(number)}))
    writer.append(made("again", tags={"look": "7"}))
    (tag,) = read_contents(archive)[0].tags
    assert tag.values == 8 and len(tag.counts) == 6 and tag.counts[0] == ("7", 2)


def test_the_stamp_changes_with_the_parts(archive: Archive) -> None:
    before = stamp(archive)
    writer = archive.writer(VERSION)
    writer.append(made("a"))
    after = stamp(archive)
    assert before == () and len(after) == 1
    os.utime(parts_of(archive)[0], ns=(1, 1))
    assert stamp(archive) != after


def test_a_list_without_rows_is_left_out_and_earlier_ones_are_there(archive: Archive) -> None:
    assert lists(archive) == {}
    archive.place.write("rejected.csv", b"file,reason,at\r\n")
    assert lists(archive) == {}
    full = b"file,reason,at\r\na.jpg,bad,now\r\n"
    for name in ("unmatched-10.csv", "unmatched-2.csv", "unmatched.csv", "rejected.csv", "unmatched-x.csv"):
        archive.place.write(name, full)
    assert list(lists(archive)) == ["rejected.csv", "unmatched.csv", "unmatched-2.csv", "unmatched-10.csv"]
    assert lists(archive)["rejected.csv"] == full


def test_the_archive_that_ships_and_its_reliability_are_of_the_embedded_model() -> None:
    revision = load_checkpoint(EMBEDDED / "fpn").revision
    (contents,) = read_contents(Archive(str(SHIPPED / "ccp")))
    assert (contents.version.model, contents.version.revision) == ("fpn", revision)
    assert contents.photos == 1799 and contents.trained_on == 1398
    assert json.loads((SHIPPED.parent / "reliability.json").read_text())["OUTFIT_15"]["revision"] == revision
