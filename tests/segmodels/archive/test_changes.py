"""Every change of an archive, stopped at each of its writes as a kill would stop it."""

import errno
import json
from collections.abc import Callable
from datetime import date, datetime
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest
from archive_rows import VERSION, made
from pyarrow import fs

from segmodels.archive import care
from segmodels.archive import check as checking
from segmodels.archive import place as places
from segmodels.archive.changes import JOURNAL, foreign_files, is_settled, last_undoable, read_log, visible_parts
from segmodels.archive.check import check, mend
from segmodels.archive.merging import merge
from segmodels.archive.parts import read_columns
from segmodels.archive.place import ArchiveError, Place
from segmodels.archive.selection import Selection, are_called
from segmodels.archive.store import Archive
from segmodels.archive.tagging import retag

State = dict[str, dict[str, str]]


class Killed(BaseException):
    """The process is gone: nothing that it has in mind is done any more."""


@pytest.fixture(params=["disk", "bucket"])
def open_at(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., Archive]:
    """Opens an archive below a folder: on a disk, or treated like a bucket, without locks and renames."""

    def opened(*folders: str) -> Archive:
        if request.param == "disk":
            return Archive(tmp_path.joinpath(*folders))
        return Archive("/".join(folders), fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()))

    return opened


@pytest.fixture
def kill_at(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], object]], bool]:
    """Runs something that is killed at its write, move or removal of a number; gives whether it was."""

    def run(number: int, act: Callable[[], object]) -> bool:
        monkeypatch.setattr(places, "LEASE", 60.0)
        calls = 0

        def die(name: str, *, half: bool = False) -> Callable[..., None]:
            real = getattr(Place, name)

            def called(place: Place, file: str, *rest: object) -> None:
                nonlocal calls
                if calls == number:
                    if half and place.local is None:  # copied, and not removed
                        place.write(str(rest[0]), real_read(place, file))
                    calls += 1
                    raise Killed
                if calls > number:
                    raise Killed
                calls += not file.startswith(".locks/")
                real(place, file, *rest)

            return called

        real_read = Place.read
        with monkeypatch.context() as patch:
            real_write = Place.write
            patch.setattr(Place, "remove", die("remove"))
            move = die("move", half=True)
            patch.setattr(Place, "move", move)
            guarded = die("write")

            def write(place: Place, file: str, content: bytes) -> None:
                (real_write if calls == number and file.startswith(".undo/") else guarded)(place, file, content)

            patch.setattr(Place, "write", write)
            try:
                act()
            except Killed:
                monkeypatch.setattr(places, "LEASE", 0.0)  # as if a minute had gone by
                return True
        return False

    return run


def state(archive: Archive) -> State:
    """Tags by photo id of what counts."""
    found: State = {}
    for part in visible_parts(archive.place):
        rows = read_columns(archive.place, part, ["photo_id", "tags"]).to_pylist()
        for row in rows:
            assert row["photo_id"] not in found, "a photo counts twice"
            found[row["photo_id"]] = dict(row["tags"])
    return found


def fill(archive: Archive) -> None:
    writer = archive.writer(VERSION)
    writer.append(made("a", "b", tags={"market": "North"}, taken=datetime(2024, 1, 1)))
    writer.append(made("c", tags={"market": "South"}))
    writer.append(made("d", tags={"market": "North"}))
    archive.place.write("rejected.csv", b"file,reason,at\nlooks/b.jpg,torn,2024\nx.jpg,torn,2024\n")


def leftovers(archive: Archive) -> set[str]:
    """Files that should not be there once all is settled."""
    counted = set(visible_parts(archive.place))
    fine = ("log/", "rejected.csv", JOURNAL, ".lock", ".ingest", ".undo/")
    return {name for name in archive.place.files() if name not in counted and not name.startswith(fine)}


NORTH, SOUTH = {"market": "North"}, {"market": "South"}
WHOLE: State = {"a": NORTH, "b": NORTH, "c": SOUTH, "d": NORTH}
CHANGES: dict[str, tuple[Callable[[Archive], object], State]] = {
    "delete": (
        lambda archive: care.delete_photos(archive, Selection(files=["a.jpg", "D.JPG"])),
        {"b": NORTH, "c": SOUTH},
    ),
    "delete for good": (
        lambda archive: care.delete_photos(archive, Selection(tags=[("market", "North")]), for_good=True),
        {"c": SOUTH},
    ),
    "retag": (
        lambda archive: retag(archive, b"file_name,market\na.jpg,West\nc.jpg,West\n", "looks.csv"),
        {"a": {"market": "West"}, "b": NORTH, "c": {"market": "West"}, "d": NORTH},
    ),
    "compact": (care.compact, WHOLE),
    "remove of the writer": (
        lambda archive: archive.writer(VERSION).remove(["c"]),
        {"a": NORTH, "b": NORTH, "d": NORTH},
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_that_is_killed_at_any_write_is_whole_or_not_there(
    name: str, open_at: Callable[..., Archive], kill_at: Callable[[int, Callable[[], object]], bool]
) -> None:
    act, after = CHANGES[name]
    for number in range(100):
        archive = open_at(name, str(number))
        fill(archive)
        killed = kill_at(number, partial(act, archive))
        found = state(archive)
        assert found in (WHOLE, after), f"write {number} of {name}"
        archive.writer(VERSION)  # whoever comes next finishes it or takes it back
        assert state(archive) == found and not leftovers(archive)
        if killed and found == WHOLE != after:
            act(archive)
        assert state(archive) == after and not leftovers(archive)
        if not killed:
            break
    assert number > 1 and not killed


def test_an_undo_that_is_killed_at_any_write_is_whole_or_can_be_done_again(
    open_at: Callable[..., Archive], kill_at: Callable[[int, Callable[[], object]], bool]
) -> None:
    delete, after = CHANGES["delete"]
    for number in range(100):
        archive = open_at("undo", str(number))
        fill(archive)
        delete(archive)
        killed = kill_at(number, partial(care.undo, archive))
        found = state(archive)
        assert found in (WHOLE, after)
        archive.writer(VERSION)
        assert state(archive) == found
        if found == after:
            care.undo(archive)
        assert state(archive) == WHOLE and not leftovers(archive)
        with pytest.raises(ArchiveError, match="no change of .* to undo"):
            care.undo(archive)
        assert [entry.what for entry in read_log(archive.place)] == ["undo", "delete"]
        if not killed:
            break
    assert number > 3 and not killed


def _merge(archive: Archive, other: Archive) -> None:
    merge(archive, other)


MADE: dict[str, Callable[[Archive, Archive], object]] = {
    "merge": _merge,
    "split": lambda new, source: care.split(source, "market", lambda value: new if value == "North" else _beside(new)),
    "rename": lambda new, source: care.rename(source, new),
}


def _beside(archive: Archive) -> Archive:
    place = archive.place
    return Archive(f"{place.location} other", None if place.local else place.filesystem)


@pytest.mark.parametrize("name", MADE)
def test_an_archive_that_is_made_of_another_is_whole_or_not_there(
    name: str, open_at: Callable[..., Archive], kill_at: Callable[[int, Callable[[], object]], bool]
) -> None:
    after = {key: tags for key, tags in WHOLE.items() if name != "split" or tags == NORTH}
    for number in range(100):
        source, new = open_at(name, f"source {number}"), open_at(name, f"new {number}")
        fill(source)
        killed = kill_at(number, partial(MADE[name], new, source))
        found = state(new)
        assert found in ({}, after) and (found == after or state(source) == WHOLE), f"write {number} of {name}"
        if killed:
            if state(source):  # a rename may be done
                MADE[name](new, source)
            assert state(new) == after and not leftovers(new)
        assert state(source) == ({} if name == "rename" else WHOLE)
        if name == "rename":
            with pytest.raises(ArchiveError, match="holds no archive yet"):  # and removes what a kill left
                care.rename(source, open_at(name, "third"))
            assert [name for name in source.place.files() if not name.startswith(".lock")] == []
            assert "rejected.csv" in new.place.files()
        if not killed:
            break
    assert not killed


def test_a_deleted_archive_is_gone_or_all_there(
    open_at: Callable[..., Archive], kill_at: Callable[[int, Callable[[], object]], bool]
) -> None:
    for number in range(100):
        archive = open_at("gone", str(number))
        fill(archive)
        killed = kill_at(number, partial(care.delete_archive, archive))
        assert state(archive) in ({}, WHOLE)
        if state(archive):
            care.delete_archive(archive)
        with pytest.raises(ArchiveError, match="holds no archive yet"):
            care.delete_archive(archive)
        assert not [name for name in archive.place.files() if not name.startswith((".lock", ".ingest"))]
        archive.writer(VERSION).append(made("new"))
        assert list(state(archive)) == ["new"]
        if not killed:
            break
    assert number > 3 and not killed


# --- What each change does --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("selection", "left"),
    [
        (Selection(ids=["a", "zzz"]), "bcd"),
        (Selection(files=["*.jpg"], tags=[("market", "South")]), "abd"),
        (Selection(tags=[("market", "South"), ("market", "West")]), "abd"),
        (Selection(since=date(2024, 1, 1), until=date(2024, 1, 1)), "cd"),
        (Selection(files=["[a].jpg", "B.jpg"]), "acd"),
        (Selection(files=["?.jpg"], since=date(2023, 1, 1)), "cd"),
        (Selection(since=date(2024, 1, 1), until=date(9999, 12, 31)), "cd"),
    ],
)
def test_photos_are_chosen_by_id_name_tag_and_date(
    open_at: Callable[..., Archive], selection: Selection, left: str
) -> None:
    archive = open_at("chosen")
    fill(archive)
    matches = care.find_photos(archive, selection)
    deleted = care.delete_photos(archive, selection, by="me")
    assert "".join(sorted(state(archive))) == left
    assert matches.photos == deleted.photos == 4 - len(left) and matches.names[0].endswith(".jpg")
    (entry,) = read_log(archive.place)
    assert (entry.what, entry.by) == ("delete", "me") and ".jpg" not in json.dumps(entry.to_json())
    assert last_undoable(archive.place) == entry
    care.undo(archive)
    assert state(archive) == WHOLE


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        ("Straße.jpg", "STRASSE.JPG"),
        ("Straße.jpg", "str?sse.jpg"),
        ("ΟΔΟΣ.jpg", "οδος.jpg"),
        ("looks\\A.jpg", "a.jpg"),
        ("looks\\A.jpg", "Looks/a.jpg"),
        ("Cafe\u0301.jpg", "CAF\u00c9.jpg"),
        ("plain/Look1.jpg", "LOOK?.jpg"),
    ],
)
def test_names_are_compared_as_they_are_stored_and_as_they_are_asked_for(stored: str, asked: str) -> None:
    names = pa.chunked_array([[stored, None], ["other.jpg"]], pa.string())
    assert are_called(names, [asked], Selection(files=[asked]).patterns).tolist() == [True, False, False]


def test_a_pattern_by_itself_reaches_the_lists_too(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "lists")
    fill(archive)
    archive.place.write("unmatched.csv", b"file,missing\nLooks\\Y.jpg,no row\nlook10.jpg,no row\n")
    north = Selection(files=["?.jpg"], tags=[("market", "North")])
    assert (care.delete_photos(archive, north, for_good=True).receipt or {})["lines"] == 1, "that of b.jpg"
    assert b"x.jpg" in archive.place.read("rejected.csv")
    assert (care.delete_photos(archive, Selection(files=["?.jpg"]), for_good=True).receipt or {})["lines"] == 2
    assert b"x.jpg" not in archive.place.read("rejected.csv")
    assert archive.place.read("unmatched.csv").split() == [b"file,missing", b"look10.jpg,no", b"row"]


def test_a_damaged_part_is_mended_before_a_deletion_for_good_and_a_damaged_copy_just_goes(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "torn")
    fill(archive)
    care.delete_photos(archive, Selection(ids=["a"]))
    (copy,) = (tmp_path / "torn" / name for name in archive.place.files(".undo"))
    copy.write_bytes(b"no Parquet")
    assert care.delete_photos(archive, Selection(ids=["b"]), for_good=True).photos == 1 and not copy.exists()
    part = tmp_path / "torn" / visible_parts(archive.place)[-1]
    part.write_bytes(part.read_bytes()[:-9])
    with pytest.raises(ArchiveError, match="is damaged and may hold such a photo. Mend the archive first"):
        care.delete_photos(archive, Selection(ids=["c"]), for_good=True)
    mend(archive)
    assert care.delete_photos(archive, Selection(ids=["c"]), for_good=True).photos == 1


def test_while_photos_are_added_none_is_deleted_for_good(open_at: Callable[..., Archive]) -> None:
    archive = open_at("busy")
    fill(archive)
    with (
        archive.place.lock(".ingest", shared=True),
        pytest.raises(ArchiveError, match="Photos are being added to busy. Wait until that is done, or stop it."),
    ):
        care.delete_photos(archive, Selection(ids=["a"]), for_good=True)
    assert state(archive) == WHOLE


def test_what_is_deleted_for_good_is_in_no_file_any_more(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "private")
    fill(archive)
    archive.writer(VERSION).append(made("person-photo", tags={"who": "Ada"}))
    care.delete_photos(archive, Selection(files=["person-photo.jpg"]))  # the copy for undo has it still
    assert any(b"person-photo" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    deleted = care.delete_photos(archive, Selection(files=["person-photo.jpg", "b.jpg"]), for_good=True, by="me")
    assert deleted.photos == 2 and deleted.receipt is not None
    assert deleted.receipt["sha256"] == ["b", "person-photo"] and deleted.receipt["lines"] == 1
    assert ".jpg" not in deleted.receipt_bytes().decode()
    held = [path for path in tmp_path.rglob("*") if path.is_file() and path.parent.name != "log"]
    held = [path for path in held if path.name != JOURNAL]  # the receipt stands in these two
    assert not any(b"person-photo" in path.read_bytes() or b"b.jpg" in path.read_bytes() for path in held)
    assert read_log(archive.place)[0].details == {
        k: deleted.receipt[k] for k in read_log(archive.place)[0].details or {}
    }
    with pytest.raises(ArchiveError, match="no change of .* to undo"):
        care.undo(archive)
    with pytest.raises(ArchiveError, match="No photo of private meets these conditions"):
        care.delete_photos(archive, Selection(files=["person-photo.jpg"]), for_good=True)


def test_parts_that_are_written_at_the_same_time_keep_their_order_or_none_counts(
    open_at: Callable[..., Archive], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = open_at("wide")
    for number in range(9):
        archive.writer(VERSION).append(made(f"{number}a", f"{number}b"))
    before, writing = state(archive), Place.writing

    def fail(place: Place, name: str) -> object:
        if name.endswith(".parquet"):
            new.append(name)
            if len(new) > 2:
                raise ArchiveError("No space is left.")
        return writing(place, name)

    new: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(Place, "writing", fail)
        with pytest.raises(ArchiveError, match="No space"):
            care.delete_photos(archive, Selection(files=["?a.jpg"]))
    assert len(new) > 2 and state(archive) == before and not leftovers(archive)
    shares: list[float] = []
    care.delete_photos(archive, Selection(files=["?a.jpg"]), progress=shares.append)
    assert shares == [pytest.approx((number + 1) / 9) for number in range(9)]
    assert list(state(archive)) == [f"{number}b" for number in range(9)]


def test_the_next_change_ends_the_undo_of_the_one_before(open_at: Callable[..., Archive]) -> None:
    archive = open_at("next")
    fill(archive)
    care.delete_photos(archive, Selection(ids=["a"]))
    archive.writer(VERSION).append(made("e"))  # nothing is replaced: undo is still possible
    care.undo(archive)
    assert sorted(state(archive)) == list("abcde")
    care.delete_photos(archive, Selection(ids=["a"]))
    care.delete_photos(archive, Selection(ids=["b"]))
    care.undo(archive)
    assert sorted(state(archive)) == list("bcde")
    assert not [name for name in archive.place.files() if name.startswith(".undo/")]


def test_a_merge_keeps_what_is_there_and_can_be_undone(open_at: Callable[..., Archive]) -> None:
    archive, other = open_at("one"), open_at("two")
    fill(archive)
    other.writer(VERSION).append(made("a", "e", "f", tags={"market": "East"}))
    assert merge(archive, other).rows == 2
    assert state(archive) == WHOLE | {"e": {"market": "East"}, "f": {"market": "East"}}
    assert sorted(state(other)) == ["a", "e", "f"]
    care.undo(archive)
    assert state(archive) == WHOLE
    with pytest.raises(ArchiveError, match="cannot be merged with itself"):
        merge(archive, open_at("one"))


def test_a_merge_that_adds_nothing_leaves_the_undo_of_the_change_before(open_at: Callable[..., Archive]) -> None:
    archive, other = open_at("one"), open_at("two")
    fill(archive)
    other.writer(VERSION).append(made("b"))
    care.delete_photos(archive, Selection(ids=["a"]))
    assert merge(archive, other).rows == 0
    care.undo(archive)
    assert state(archive) == WHOLE


def test_a_name_that_was_given_before_is_taken(
    open_at: Callable[..., Archive], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, target = open_at("one"), open_at("two")
    fill(archive)
    care.rename(archive, target)
    archive.writer(VERSION).append(made("new"))
    with pytest.raises(ArchiveError, match="two exists already"):
        care.rename(archive, target)
    assert list(state(archive)) == ["new"] and state(target) == WHOLE
    if archive.place.local:  # on one disk nothing is copied
        return
    third = open_at("three")

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(care, "_remove", die)
        with pytest.raises(Killed):
            care.rename(archive, third)
    archive.writer(VERSION).append(made("later"))
    with pytest.raises(ArchiveError, match="three exists already"):
        care.rename(archive, third)
    assert sorted(state(archive)) == ["later", "new"] and list(state(third)) == ["new"]


def test_a_change_whose_journal_cannot_be_written_is_none_and_one_that_cannot_tidy_up_is_one(
    open_at: Callable[..., Archive], monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = open_at("tidy")
    fill(archive)
    writer = archive.writer(VERSION)

    def refuse(name: str, method: str) -> None:
        real = getattr(Place, method)

        def refused(place: Place, file: str, *rest: object) -> None:
            if file.endswith(name) and not file.startswith(".locks"):
                raise ArchiveError(f"{file} is refused.")
            real(place, file, *rest)

        patch.setattr(Place, method, refused)

    with monkeypatch.context() as patch:
        refuse(JOURNAL, "write")
        with pytest.raises(ArchiveError, match="refused"):
            writer.remove(["c"])
    assert state(archive) == WHOLE and is_settled(archive.place)
    with monkeypatch.context() as patch:
        refuse(".parquet", "remove")
        writer.remove(["c"])
        assert sorted(state(archive)) == list("abd") and not is_settled(archive.place)
    archive.writer(VERSION)
    assert is_settled(archive.place)
    with monkeypatch.context() as patch:
        refuse(".parquet", "remove")
        with pytest.raises(ArchiveError, match="do not count any more, but not all of their files could be removed"):
            care.delete_photos(archive, Selection(ids=["d"]), for_good=True)
    assert sorted(state(archive)) == list("ab")


def test_what_others_are_writing_without_the_lock_stays(open_at: Callable[..., Archive]) -> None:
    archive = open_at("sweep")
    fill(archive)
    theirs = [f"{name}.0123abcd.unfinished" for name in ("thumbnails/ab/x.webp", "log/x.json", ".locks/other/x")]
    ours = [f"{name}.0123abcd.unfinished" for name in (JOURNAL, "rejected.csv", f"{VERSION.folder}/x.parquet")]
    for name in theirs:
        archive.place.write(name, b"half")
    assert is_settled(archive.place)
    for name in ours:
        archive.place.write(name, b"half")
    assert not is_settled(archive.place)
    archive.writer(VERSION)
    assert is_settled(archive.place) and sorted(theirs) == [
        name for name in archive.place.files() if name.endswith(".unfinished")
    ]


def test_an_archive_is_deleted_without_the_files_of_others(tmp_path: Path) -> None:
    archive, elsewhere = Archive(tmp_path / "photos"), tmp_path / "elsewhere"
    fill(archive)
    own = [*archive.place.files(), "unmatched-2.csv", f"thumbnails/ab/{'ab' * 32}-256.webp", ".owner"]
    theirs = ["look.jpg", "summer/look.jpg", "looks.csv", "log/notes.txt"]
    for name in [*own[-3:], *theirs]:
        archive.place.write(name, b"x")
    elsewhere.mkdir()
    (elsewhere / "taxonomy.json").write_text("x")
    link = tmp_path / "photos" / "OUTFIT_15" / "other@1"
    link.symlink_to(elsewhere, target_is_directory=True)
    linked = "OUTFIT_15/other@1/taxonomy.json"
    assert foreign_files(archive.place) == sorted([*theirs, linked])
    care.delete_archive(archive)
    assert archive.place.files() == sorted([*theirs, linked]) and (elsewhere / "taxonomy.json").exists()


def test_nothing_is_renamed_or_split_over_another_archive(open_at: Callable[..., Archive]) -> None:
    archive, other = open_at("one"), open_at("two")
    fill(archive)
    fill(other)
    with pytest.raises(ArchiveError, match="two exists already"):
        care.rename(archive, other)
    with pytest.raises(ArchiveError, match="two exists already"):
        care.split(archive, "market", lambda value: other if value == "North" else open_at("three"))
    with pytest.raises(ArchiveError, match="has the tag 'brand'"):
        care.split(archive, "brand", open_at)
    with pytest.raises(ArchiveError, match="would share a name"):
        care.split(archive, "market", lambda value: open_at("same" if value == "North" else "SAME"))
    with archive.place.lock(".ingest"), pytest.raises(ArchiveError, match="Photos are being added to one"):
        care.rename(archive, open_at("three"))
    assert state(archive) == state(other) == WHOLE and not state(open_at("three"))


@pytest.mark.parametrize("act", [care.delete_archive, care.compact, care.undo, check, mend])
def test_where_there_is_no_archive_it_is_said_and_none_is_made(
    act: Callable[[Archive], object], open_at: Callable[..., Archive]
) -> None:
    archive = open_at("nowhere")
    with pytest.raises(ArchiveError, match="holds no archive yet"):
        act(archive)
    assert not archive.place.files()


def test_a_damaged_journal_is_named_and_hides_nothing_silently(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "torn")
    fill(archive)
    (tmp_path / "torn" / JOURNAL).write_text('{"change": ')
    with pytest.raises(ArchiveError, match=rf"{JOURNAL} is damaged \(.*Restore it from a backup"):
        archive.versions()


def test_an_entry_names_no_file_outside_the_log(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "log")
    fill(archive)
    care.delete_photos(archive, Selection(ids=["a"]))
    journal = json.loads(archive.place.read(JOURNAL))
    journal["entry"]["id"] = "/../../../x"
    archive.place.write(JOURNAL, json.dumps(journal).encode())
    with pytest.raises(ArchiveError, match="the time or the id of its entry is none"):
        archive.writer(VERSION)


# --- Damage -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("error", [OSError(errno.EIO, "the disk did not answer"), MemoryError("no memory")])
def test_what_passes_is_not_mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    archive = Archive(tmp_path / "busy")
    fill(archive)

    def fail(*_: object, **__: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(checking.pq, "ParquetFile", fail)
        for act in (check, mend):
            with pytest.raises(ArchiveError, match="cannot be read now: .*Try again"):
                act(archive)
    assert check(archive).is_good and state(archive) == WHOLE


def test_a_part_that_is_joined_while_it_is_checked_is_not_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive, whole = Archive(tmp_path / "joined"), checking.pq.ParquetFile
    fill(archive)
    first = [True]

    def read(*arguments: object, **options: object) -> object:
        if first:
            first.clear()
            care.compact(archive)
            raise FileNotFoundError(errno.ENOENT, "gone")
        return whole(*arguments, **options)

    monkeypatch.setattr(checking.pq, "ParquetFile", read)
    health = check(archive)
    assert health.is_good and (health.parts, health.rows) == (1, 4)


def test_a_check_finds_a_wrong_byte_and_mending_saves_the_other_rows(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "damaged")
    fill(archive)
    health = check(archive)
    assert health.is_good and (health.parts, health.rows) == (3, 4)
    many = [f"photo{number}" for number in range(3000)]
    archive.writer(VERSION).append(made(*many))
    part = tmp_path / "damaged" / visible_parts(archive.place)[-1]
    whole = part.read_bytes()
    middle = whole.index(b"photo2990"[:6]) if b"photo2990" in whole else 400
    part.write_bytes(whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :])
    health = check(archive)
    assert not health.is_good and health.rows == 4
    (damage,) = health.damaged
    assert (damage.rows == 3000 and "rows can be saved" in str(damage)) or "no row" in str(damage)
    assert mend(archive).damaged == health.damaged
    assert check(archive).rows == 4 + damage.readable and check(archive).is_good
    care.undo(archive)
    assert check(archive).damaged[0].rows == 3000


def test_rows_before_the_damage_are_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow.parquet as pq

    archive = Archive(tmp_path / "half")
    archive.writer(VERSION).append(made(*(f"photo{number}" for number in range(100))))
    (part,) = (tmp_path / "half" / name for name in visible_parts(archive.place))
    pq.write_table(pq.read_table(part), part, row_group_size=25, write_page_checksum=True)
    group = pq.ParquetFile(part).metadata.row_group(2).column(0)
    data = bytearray(part.read_bytes())
    at = (group.dictionary_page_offset or group.data_page_offset) + group.total_compressed_size - 3
    data[at] ^= 255
    part.write_bytes(data)
    (damage,) = check(archive).damaged
    assert (damage.rows, damage.readable) == (100, 75)
    assert str(damage).endswith("; 75 of 100 rows can be saved.")
    mend(archive)
    assert len(state(archive)) == 75 and "photo60" not in state(archive)
