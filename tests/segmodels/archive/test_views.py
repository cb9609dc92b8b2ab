"""Saved views: kept in the archive, shared, and compared with what is there now."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from pathlib import Path

import pytest
from archive_rows import VERSION, made
from s3_server import BUCKET, running_s3, s3_client

from segmodels.archive import care
from segmodels.archive.__main__ import main
from segmodels.archive.calibration import opened_facts
from segmodels.archive.changes import foreign_files, read_log
from segmodels.archive.facts import View
from segmodels.archive.merging import merge
from segmodels.archive.place import ArchiveError
from segmodels.archive.selection import Selection
from segmodels.archive.store import Archive
from segmodels.archive.synthetic import make_archive
from segmodels.archive.views import (
    Measured,
    SavedView,
    delete_view,
    find_view,
    link_of,
    list_views,
    measure,
    save_view,
    since_then,
)

LINK = {"tab": ["What is worn"], "garments": ["Coat"], "photos": ['trends-shares:{"worn": ["Hat"]}']}


@contextmanager
def opened(kind: str, tmp_path: Path) -> Iterator[Archive]:
    """An archive of two photos, on a disk or in a bucket."""
    if kind == "disk":
        archive = Archive(tmp_path / "looks")
        archive.writer(VERSION).append(made("a", "b"))
        yield archive
        return
    with running_s3() as port:
        archive = Archive(f"{BUCKET}/looks", s3_client(port))
        archive.writer(VERSION).append(made("a", "b"))
        yield archive


@pytest.mark.parametrize("kind", ["disk", "bucket"])
def test_a_view_is_saved_replaced_found_and_deleted(kind: str, tmp_path: Path) -> None:
    with opened(kind, tmp_path) as archive:
        place = archive.place
        link = {**LINK, "archive": ["looks"], "saved": ["x"]}
        first = save_view(place, SavedView(" Coats  of Monday ", link, "For us"), "ada")
        assert (first.name, first.link, first.by) == ("Coats of Monday", LINK, "ada"), "the archive's name is left out"
        save_view(place, SavedView("COATS of monday", LINK, measured=Measured(2, "Hat", 0.5)))
        (view,) = list_views(place)
        assert view.note == "" and view.measured == Measured(2, "Hat", 0.5) and find_view(place, "coats OF Monday")
        assert foreign_files(place) == []
        assert [entry.what for entry in read_log(place)] == ["save view", "save view"]
        assert delete_view(place, "Coats of Monday", "ada").name == "COATS of monday" and list_views(place) == []
        with pytest.raises(ArchiveError, match='no saved view "Hats"'):
            delete_view(place, "Hats")


def test_what_cannot_be_saved_is_refused(tmp_path: Path) -> None:
    with opened("disk", tmp_path) as archive:
        for view, part in (
            (SavedView(" ", LINK), "needs a name"),
            (SavedView("x" * 81, LINK), "needs a name"),
            (SavedView("tab\x00", LINK), "needs a name"),
            (SavedView("x", LINK, "y" * 1001), "1,001 characters"),
            (SavedView("x", {"a": ["b" * 9000]}), "too many choices"),
        ):
            with pytest.raises(ArchiveError, match=part):
                save_view(archive.place, view)
        (archive.place.local / "views").mkdir()  # type: ignore[operator]
        archive.place.write("views/00ff.json", b"{}")
        assert list_views(archive.place) == [], "a damaged one is left out"
    with pytest.raises(ArchiveError, match="holds no archive yet"):
        save_view(Archive(tmp_path / "nothing").place, SavedView("x", LINK))
    with pytest.raises(ArchiveError, match="no address of a view"):
        link_of("hello")
    assert link_of("http://x/trends?archive=looks&tag.m=a&tag.m=b") == {"tag.m": ["a", "b"]}


def test_two_save_at_once_and_views_go_with_the_archive(tmp_path: Path) -> None:
    with opened("disk", tmp_path) as archive:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda name: save_view(archive.place, SavedView(name, LINK)), "abcd"))
        assert [view.name for view in list_views(archive.place)] == list("abcd")
        other = Archive(tmp_path / "other")
        other.writer(VERSION).append(made("c"))
        save_view(other.place, SavedView("a", {"tab": ["With what"]}))
        save_view(other.place, SavedView("e", LINK))
        assert merge(archive, other).views == 1
        assert [view.name for view in list_views(archive.place)] == list("abcde")
        assert find_view(archive.place, "a").link == LINK, "its own stay"
        moved = Archive(tmp_path / "moved")
        care.rename(archive, moved)
        assert len(list_views(moved.place)) == 5 and list_views(archive.place) == []
        with running_s3() as port:
            bucket = Archive(f"{BUCKET}/moved", s3_client(port))
            care.rename(moved, bucket)
            assert len(list_views(bucket.place)) == 5
        care.delete_archive(other)
        assert not (tmp_path / "other").exists(), "views are the archive's own files"


def test_a_view_says_what_has_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = Archive(tmp_path / "looks")
    make_archive(archive, 300, 1)
    address = 'http://x/trends?archive=looks&tag.market=North&photos=trends-shares:{"worn": ["Coat"]}'
    assert main(["views", str(tmp_path / "looks"), "save", "Coats", "--link", address, "--note", "Ours"]) == 0
    saved = find_view(archive.place, "coats")
    assert saved.measured and saved.measured.subject == "Coat" and saved.measured.share
    with opened_facts(archive, archive.versions()[0]) as (facts, errors):
        assert measure(facts, saved.link, errors) == saved.measured
        counts = facts.counts(View(tags=(("market", ("North",)),)))
        share = counts.each[counts.names.index("Coat")] / counts.size
        assert saved.measured.share == pytest.approx(share) and saved.measured.outfits == counts.size
    assert "nothing has changed since" in since_then(saved, saved.measured)
    care.delete_photos(archive, Selection(until=date(2022, 12, 31)))
    assert main(["views", str(tmp_path / "looks"), "show", "COATS"]) == 0
    said = capsys.readouterr().out
    assert f"with {saved.measured.outfits:,.0f} outfits, Coat {saved.measured.share:.1%}" in said and "; now " in said
    assert "Ours" in said and "?tag.market=North" in said
    assert main(["views", str(tmp_path / "looks")]) == 0
    assert capsys.readouterr().out.startswith("Coats (saved on ")
