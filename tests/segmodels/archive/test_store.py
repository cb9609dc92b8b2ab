import errno
import multiprocessing
import os
import re
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from archive_rows import VERSION, append_many, made, parts_of, rows_of
from pyarrow import fs

from segmodels.archive import parts as reading_parts
from segmodels.archive import reader as reading
from segmodels.archive import store
from segmodels.archive.check import check, mend
from segmodels.archive.parts import REPEATED, ROWS_AT_ONCE, as_parquet, read_batches
from segmodels.archive.place import _with_patience
from segmodels.archive.rows import SCHEMA
from segmodels.archive.store import Archive, ArchiveError, Change, Version


@pytest.fixture(params=["disk", "bucket"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Archive:
    """An archive on a disk, and one behind a file system that is treated like a bucket: without locks or renames.

    Not fsspec's, which is written in Python: pyarrow can wait for ever when its errors meet a scan by DuckDB.
    """
    if request.param == "disk":
        return Archive(tmp_path / "a [folder]* it's 100%")
    return Archive("archive", fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()))


def ids(archive: Archive) -> list[str]:
    return rows_of(archive, "photo_id, file_name")["photo_id"].tolist()


def test_what_is_appended_is_read_with_every_column(anywhere: Archive) -> None:
    table = made("one", "two", tags={"market": "North", "season": "spring"})
    assert anywhere.writer(VERSION).append(table) == 2
    rows = rows_of(anywhere)
    assert rows.columns.tolist() == SCHEMA.names
    assert rows["photo_id"].tolist() == ["one", "two"]
    assert dict(rows["tags"][0]) == {"market": "North", "season": "spring"}
    assert list(rows["people"][0][0]["box"]) == [0, 0, 40, 60]
    assert anywhere.versions() == [VERSION]


def test_columns_whose_values_repeat_are_written_with_a_dictionary_and_no_others() -> None:
    file = pq.ParquetFile(pa.BufferReader(as_parquet(made("a", tags={"market": "North"}))))
    columns = [file.metadata.row_group(0).column(number) for number in range(file.metadata.num_columns)]
    assert {each.path_in_schema for each in columns if each.has_dictionary_page} == set(REPEATED)


def test_a_large_part_is_changed_row_group_by_row_group(archive: Archive) -> None:
    names = [f"{number:05d}" for number in range(2 * ROWS_AT_ONCE + 100)]
    writer = archive.writer(VERSION)
    writer.append(made(*names[:-50], tags={"market": "North"}))
    groups = pq.ParquetFile(parts_of(archive)[0]).metadata
    assert [groups.row_group(number).num_rows for number in range(3)] == [ROWS_AT_ONCE, ROWS_AT_ONCE, 50]
    writer.append(made(*names[-50:], tags={"market": "North"}))
    new = {names[at]: f"market {at}" for at in (0, ROWS_AT_ONCE - 1, ROWS_AT_ONCE, len(names) - 1)}
    assert writer.retag({name: Change({"market": market}) for name, market in new.items()}) == len(new)
    writer.remove({names[1], names[ROWS_AT_ONCE + 1], names[-2]})
    assert writer.compact(at_least=2) == 1
    rows = rows_of(archive, "photo_id, tags")
    assert rows["photo_id"].tolist() == [
        name for at, name in enumerate(names) if at not in (1, ROWS_AT_ONCE + 1, len(names) - 2)
    ]
    found = {name: dict(tags)["market"] for name, tags in zip(rows["photo_id"], rows["tags"], strict=True)}
    assert {name: market for name, market in found.items() if market != "North"} == new


def test_joining_parts_takes_no_more_memory_than_a_few_rows(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ingest of 10,000 photos ended with 100 MB that it had not needed before."""
    monkeypatch.setattr(reading_parts, "ROWS_AT_ONCE", 10)
    writer, size = archive.writer(VERSION), 50_000
    for part in range(8):
        rows = made(*(f"{part}-{number}" for number in range(25)))
        maps = pa.array([os.urandom(size) for _ in range(25)], pa.binary())
        writer.append(rows.set_column(SCHEMA.get_field_index("class_map"), SCHEMA.field("class_map"), maps))
    write, taken = pq.ParquetWriter.write_table, []

    def watch(to: pq.ParquetWriter, *arguments: object) -> None:
        write(to, *arguments)
        taken.append(pa.total_allocated_bytes())

    monkeypatch.setattr(pq.ParquetWriter, "write_table", watch)
    before = pa.total_allocated_bytes()
    assert writer.compact(at_least=2) == 1
    assert len(taken) > 10 and len(ids(archive)) == 200
    assert max(taken) - before < 100 * size, "half of all maps"


def test_the_same_photo_again_adds_nothing(anywhere: Archive) -> None:
    writer = anywhere.writer(VERSION)
    assert writer.append(made("one", "two", "one")) == 2
    assert writer.append(made("two", "three")) == 1
    assert anywhere.writer(VERSION).append(made("one", "three")) == 0
    assert ids(anywhere) == ["one", "three", "two"]


def test_two_writers_who_know_nothing_of_each_other_add_a_photo_once(archive: Archive) -> None:
    first, second = archive.writer(VERSION), archive.writer(VERSION)
    assert first.append(made("one", "two")) == 2
    assert second.append(made("two", "three")) == 1
    assert "one" in second.known
    assert ids(archive) == ["one", "three", "two"]


def test_new_tags_replace_the_old_and_leave_the_rest(anywhere: Archive) -> None:
    writer = anywhere.writer(VERSION)
    day = datetime(2024, 3, 31)
    writer.append(made("one", "two", tags={"market": "North", "brand": "A"}))
    before = anywhere.place.files(VERSION.folder)
    assert writer.retag({"one": Change({"market": "South"}, day), "absent": Change({"market": "West"})}) == 1
    assert writer.retag({"one": Change({"market": "South"})}) == 0  # no date in the change: the old one stays
    rows = rows_of(anywhere)
    assert [dict(tags) for tags in rows["tags"]] == [{"market": "South"}, {"market": "North", "brand": "A"}]
    assert rows["taken_at"][0] == day and rows["taken_at"].isna().tolist() == [False, True]
    # somebody may be reading: what is under a name never changes, so the new rows have a new one
    after = anywhere.place.files(VERSION.folder)
    assert len(after) == len(before)
    assert not [name for name in after if name in before and name.endswith(".parquet")]


def test_small_parts_become_one_and_the_rows_stay(anywhere: Archive) -> None:
    writer = anywhere.writer(VERSION)
    for number in range(9):
        writer.append(made(f"photo{number}"))
    with anywhere.reader() as reader:
        assert writer.compact() == 1
        assert len(reader.query("SELECT photo_id FROM photos")) == 9  # its parts are gone, so it looks anew
    assert len(ids(anywhere)) == 9
    assert writer.append(made("photo0", "photo9")) == 1
    assert writer.compact() == 2, "two parts are few"


def test_a_full_part_is_left_alone(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segmodels.archive.writer._FULL_PART", 3)
    writer = archive.writer(VERSION)
    writer.append(made("a", "b", "c"))
    full = parts_of(archive)
    for name in "defg":
        writer.append(made(name))
    assert writer.compact(at_least=2) == 3  # the full one, d to f, and g
    assert full[0] in parts_of(archive)
    assert ids(archive) == list("abcdefg")


def test_models_and_taxonomies_are_kept_apart(archive: Archive) -> None:
    other = Version("CFPD_23", "hf://a/b c", "../up")
    archive.writer(VERSION).append(made("one"))
    archive.writer(other).append(made("one", "two", version=other))
    assert archive.versions() == sorted([VERSION, other])
    with pytest.raises(ArchiveError, match=r"several models.*fake \(revision abc123.*Choose one"):
        archive.reader()
    with archive.reader(other) as reader:
        assert reader.query("SELECT DISTINCT model, taxonomy FROM photos").values.tolist() == [
            ["hf://a/b c", "CFPD_23"]
        ]
    assert archive.place.local and all(part.is_relative_to(archive.place.local) for part in parts_of(archive))
    assert len(parts_of(archive)) == 2
    with pytest.raises(ValueError, match="not all of fake"):
        archive.writer(VERSION).append(made("three", version=other))
    with pytest.raises(ArchiveError, match="no rows of nobody"):
        archive.reader(Version("OUTFIT_15", "nobody", "0"))


def test_no_archive_is_a_sentence(archive: Archive) -> None:
    with pytest.raises(ArchiveError, match="holds no archive yet"):
        archive.reader()
    with pytest.raises(ArchiveError, match="cannot be reached"):
        Archive("nowhere://bucket")


def test_a_damaged_part_is_named(archive: Archive) -> None:
    archive.writer(VERSION).append(made("one"))
    (part,) = parts_of(archive)
    part.write_bytes(part.read_bytes()[:-20])
    with pytest.raises(ArchiveError, match=part.name + " is damaged"):
        archive.writer(VERSION)
    with pytest.raises(ArchiveError, match=part.name + r" is left out: it is damaged \(.*Move it away"):
        archive.reader()


def test_a_compaction_that_was_killed_counts_nothing_twice(anywhere: Archive) -> None:
    writer = anywhere.writer(VERSION)
    for name in "abc":
        writer.append(made(name))
    joined = f"{VERSION.folder}/99991231T000000000000-00000000.parquet"
    anywhere.place.write(joined, as_parquet(made("a", "b", "c")))  # and then it was killed
    assert ids(anywhere) == ["a", "b", "c"]
    anywhere.writer(VERSION)
    assert anywhere.place.files(VERSION.folder) == [joined]
    assert ids(anywhere) == ["a", "b", "c"]


def test_two_who_wrote_without_locks_count_once(anywhere: Archive) -> None:
    writer = anywhere.writer(VERSION)
    writer.append(made("a", "b"))
    later = made("b", "c", at=datetime(2024, 6, 1))
    anywhere.place.write(f"{VERSION.folder}/99991231T000000000000-00000000.parquet", as_parquet(later))
    rows = rows_of(anywhere)
    assert rows["photo_id"].tolist() == ["a", "b", "c"]
    assert rows["analysed_at"][1] == datetime(2024, 6, 1), "the newest counts"
    anywhere.writer(VERSION)
    assert (
        sum(
            pq.read_table(anywhere.place.filesystem.open_input_file(anywhere.place.path(part))).num_rows
            for part in anywhere.place.files(VERSION.folder)
        )
        == 3
    )


def test_what_a_killed_writer_left_unfinished_is_swept_and_never_read(archive: Archive) -> None:
    writer = archive.writer(VERSION)
    writer.append(made("one"))
    unfinished = parts_of(archive)[0].with_name("x.parquet.unfinished")
    unfinished.write_bytes(b"PAR1 half")
    assert ids(archive) == ["one"]
    writer.append(made("two"))
    assert not unfinished.exists()


def test_a_reader_sees_whole_parts_while_others_write(archive: Archive) -> None:
    """Ten rows a part, always: a query that sees another number saw half a part, or one twice."""
    archive.writer(VERSION).append(made(*(f"first{number}" for number in range(10))))
    done = threading.Event()
    wrong: list[int] = []
    looks = 0

    def look() -> None:
        nonlocal looks
        with archive.reader() as reader:
            while not done.is_set():
                reader.refresh()
                count = int(reader.query("SELECT count(*) n, count(class_map) FROM photos")["n"][0])
                looks += 1
                if count % 10 or count < 10:
                    wrong.append(count)

    thread = threading.Thread(target=look)
    thread.start()
    writer = archive.writer(VERSION)
    for part in range(12):
        writer.append(made(*(f"{part}-{number}" for number in range(10))))
        writer.compact(at_least=3)
        writer.retag({f"{part}-0": Change({"market": str(part)})})
    done.set()
    thread.join()
    assert looks and not wrong
    assert len(ids(archive)) == 130


def test_two_processes_that_write_at_once_lose_and_double_nothing(archive: Archive) -> None:
    spawn = multiprocessing.get_context("spawn")
    others = [spawn.Process(target=append_many, args=(archive.place.location, name)) for name in ("one", "two")]
    for other in others:
        other.start()
    for other in others:
        other.join()
        assert other.exitcode == 0
    expected = sorted(f"{name}{number}" for name in ("one", "two", "both") for number in range(8))
    assert ids(archive) == expected
    count = duckdb.execute(f"SELECT count(*) FROM '{archive.place.location}/**/*.parquet'").fetchone()
    assert count == (len(expected),), "no part holds what another does"


def test_a_lock_is_shared_or_held_alone(anywhere: Archive) -> None:
    place = anywhere.place

    def is_free() -> bool:
        with place.lock(".door", wait=False) as free:
            return free

    with ExitStack() as second:
        with place.lock(".door", shared=True) as alone:
            assert alone and not is_free()
            assert not second.enter_context(place.lock(".door", shared=True))
        assert not is_free(), "the second is there still"
    assert is_free()


class Torn:
    """A file system whose connection breaks off while a file is written."""

    def __init__(self, inner: fs.FileSystem) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def open_output_stream(self, path: str, **_: object) -> None:
        if self._inner.get_file_info(path).type == fs.FileType.NotFound:
            self._inner.open_output_stream(path).close()  # something of it is there
        raise OSError("the connection broke off")


def test_a_put_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    place = Archive("archive", fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem())).place
    place.write("old", b"whole")
    place.filesystem = Torn(place.filesystem)  # type: ignore[assignment]
    for name in ("old", "new"):
        with pytest.raises(ArchiveError, match=f"{name} cannot be written: the connection broke off"):
            place.write(name, b"other")
    assert place.files() == ["old"] and place.read("old") == b"whole"


def test_a_lock_is_refused_or_waited_for(archive: Archive) -> None:
    with archive.place.lock("door") as mine:
        assert mine
        with archive.place.lock("door", wait=False) as second:
            assert not second
    with archive.place.lock("door", wait=False) as free:
        assert free


# --- Parts that others wrote ------------------------------------------------------------------------------------------


def _put(
    archive: Archive,
    table: pa.Table,
    name: str = "99990101T000000000000-bad.parquet",
    *,
    write_statistics: bool = True,
) -> str:
    out = pa.BufferOutputStream()
    pq.write_table(table, out, write_statistics=write_statistics)
    archive.place.write(f"{VERSION.folder}/{name}", out.getvalue())
    return name


def _text(table: pa.Table, column: str) -> pa.Table:
    at = table.column_names.index(column)
    return table.set_column(at, column, pa.array(["x"] * len(table)))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda table: table.drop_columns(["tags"]), "it has no column tags"),
        (lambda table: table.drop_columns(["garments"]), "it has no column garments"),
        (lambda table: _text(table, "tags"), r"its column tags holds string, not map<string, string>"),
        (lambda table: _text(table, "taken_at"), "its column taken_at holds string, not timestamp"),
        (lambda table: _text(table, "people"), "its column people holds string, not list"),
        (lambda table: pa.table({"a": [1]}), "it has no column photo_id"),
        (
            lambda table: table.set_column(0, "photo_id", pa.nulls(len(table), pa.string())),
            "its column photo_id has empty cells",
        ),
        (lambda table: table.set_column(4, "width", pa.array([[1]])), "its column width holds list"),
    ],
)
def test_a_part_of_another_schema_is_named_and_left_out(
    anywhere: Archive, change: Callable[[pa.Table], pa.Table], reason: str
) -> None:
    anywhere.writer(VERSION).append(made("one", "two", tags={"market": "North"}))
    name = _put(anywhere, change(made("three")))
    with anywhere.reader() as reader:
        assert len(reader.query("SELECT tags['market'] FROM photos WHERE len(garments) = 0")) == 2
        (sentence,) = reader.left_out
    assert re.search(rf"{name} is left out: {reason}.*Move it away; its photos can be ingested again\.", sentence)


@pytest.mark.parametrize("where", ["end", "start", "data"])
def test_a_damaged_part_among_others_is_named_and_left_out(archive: Archive, where: str) -> None:
    archive.writer(VERSION).append(made("one", "two"))
    archive.writer(VERSION).append(made(*(f"photo {number}" for number in range(2000))))
    part = parts_of(archive)[-1]
    content = bytearray(part.read_bytes())
    if where == "end":
        content = content[:-20]
    elif where == "start":
        content = bytearray(b"not Parquet at all")
    else:  # the pages, behind a whole list of columns
        content[200:-8000] = bytes(len(content) - 8200)
    part.write_bytes(content)
    with archive.reader() as reader:
        assert sorted(reader.query("SELECT photo_id, file_name, width FROM photos")["photo_id"]) == ["one", "two"]
        assert len(reader.left_out) == 1 and part.name in reader.left_out[0]


def test_a_page_with_another_checksum_is_not_taken_for_rows(archive: Archive) -> None:
    archive.writer(VERSION).append(made(*(f"photo {number}" for number in range(200))))
    (part,) = parts_of(archive)
    content = bytearray(part.read_bytes())
    content[len(content) // 4] ^= 1
    part.write_bytes(content)
    with pytest.raises(ArchiveError, match="is damaged or not part of an archive"):
        list(read_batches(archive.place, f"{VERSION.folder}/{part.name}"))


@pytest.mark.parametrize("error", [OSError(errno.EIO, "the disk did not answer"), MemoryError("no memory")])
def test_what_passes_is_not_called_damage(archive: Archive, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    archive.writer(VERSION).append(made("one"))
    archive.writer(VERSION).append(made("two"))
    whole, fails = reading.pq.ParquetFile, [True]

    def read(stream: object) -> object:
        if fails and fails.pop():
            raise error
        return whole(stream)

    monkeypatch.setattr(reading.pq, "ParquetFile", read)
    with archive.reader() as reader:
        (sentence,) = reader.left_out
        assert "cannot be read now" in sentence and sentence.endswith("Try again.") and "damaged" not in sentence
        reader.refresh()
        assert reader.left_out == () and len(reader.query("FROM photos")) == 2


def test_a_part_with_wider_numbers_and_more_columns_is_read(archive: Archive) -> None:
    """As DuckDB, pandas or a later Garmentscope writes it."""
    archive.writer(VERSION).append(made("one"))
    table = made("two")
    table = table.set_column(4, "width", pa.array([40], pa.int64())).append_column("mood", pa.array(["bright"]))
    _put(archive, table.drop_columns(["presence", "kinds", "fingerprint"]))
    rows = rows_of(archive)
    assert rows.columns.tolist() == SCHEMA.names and rows["width"].tolist() == [40, 40]
    with archive.reader() as reader:
        assert reader.left_out == ()


def _with(name: str, values: pa.Array, rows: pa.Table) -> pa.Table:
    return rows.set_column(rows.schema.get_field_index(name), name, values)


@pytest.mark.parametrize("other", ["nanoseconds", "dictionary", "views", "nulls"])
def test_types_of_other_programs_are_read_changed_and_found_whole(archive: Archive, other: str) -> None:
    rows = made("one", taken=datetime(2024, 3, 31, 9))
    changed = {
        "nanoseconds": lambda: _with("taken_at", pa.array([1711875600000000007], pa.timestamp("ns")), rows),
        "dictionary": lambda: _with("model", rows["model"].dictionary_encode(), rows),
        "views": lambda: _with("file_name", rows["file_name"].cast(pa.string_view()), rows),
        "nulls": lambda: _with("kinds", pa.nulls(1), _with("date_precision", pa.nulls(1), rows)),
    }
    _put(archive, changed[other]())
    assert rows_of(archive)["taken_at"].dt.floor("us").tolist() == [datetime(2024, 3, 31, 9)]
    assert check(archive).is_good
    assert archive.writer(VERSION).retag({"one": Change({"market": "North"})}) == 1
    row = rows_of(archive).iloc[0]
    assert (row.taken_at, row.file_name, row.model) == (datetime(2024, 3, 31, 9), "one.jpg", "fake")
    assert dict(row.tags) == {"market": "North"}


def test_a_tag_twice_in_a_row_hides_no_other_part_and_is_mended(archive: Archive) -> None:
    archive.writer(VERSION).append(made("one", tags={"market": "North"}))
    twice = pa.array([[("market", "North"), ("market", "South")]], SCHEMA.field("tags").type)
    _put(archive, _with("tags", twice, made("two")))
    with archive.reader() as reader:
        assert len(reader.query("SELECT tags FROM photos")) == 1
        assert len(reader.left_out) == 1 and "has a tag twice" in reader.left_out[0]
    health = mend(archive)
    assert [(damage.rows, damage.readable) for damage in health.damaged] == [(1, 1)]
    assert [dict(tags) for tags in rows_of(archive)["tags"]] == [{"market": "North"}, {"market": "South"}]


def test_rows_without_a_name_or_a_class_map_are_shown_by_their_id(anywhere: Archive) -> None:
    rows = _with("file_name", pa.nulls(1, pa.string()), made("one"))
    _put(anywhere, _with("class_map", pa.nulls(1, pa.binary()), rows))
    (row,) = rows_of(anywhere).itertuples()
    assert (row.file_name, bytes(row.class_map)) == ("one", b"")


def test_an_empty_id_is_seen_without_statistics(archive: Archive) -> None:
    archive.writer(VERSION).append(made("one"))
    _put(archive, _with("photo_id", pa.array(["two", None]), made("two", "three")), write_statistics=False)
    with archive.reader() as reader:
        assert reader.query("SELECT photo_id FROM photos")["photo_id"].tolist() == ["one"]
        assert "its column photo_id has empty cells" in reader.left_out[0]


@pytest.mark.parametrize("year", [1, 1500, 2262, 9999])
def test_a_date_that_no_page_can_draw_is_no_date(anywhere: Archive, year: int) -> None:
    anywhere.writer(VERSION).append(made("one", taken=datetime(2024, 3, 31, 9)))
    _put(anywhere, made("two", taken=datetime(year, 1, 2)))
    rows = rows_of(anywhere)
    assert rows["taken_at"].isna().tolist() == [False, True] and rows["taken_at"][0] == datetime(2024, 3, 31, 9)


@pytest.mark.parametrize(
    "folder", ["photo_id=1", "model=other", "tags=x", "width=3/season=spring", "a=b=c", "taken_at=2"]
)
def test_an_archive_below_a_folder_that_looks_like_a_column(tmp_path: Path, folder: str) -> None:
    archive = Archive(tmp_path / folder / "archive")
    archive.writer(VERSION).append(made("one", "two", tags={"market": "North"}))
    rows = rows_of(archive)
    assert rows.columns.tolist() == SCHEMA.names
    assert rows["photo_id"].tolist() == ["one", "two"] and set(rows["model"]) == {"fake"} and set(rows["width"]) == {40}
    assert [dict(tags) for tags in rows["tags"]] == [{"market": "North"}] * 2
    assert archive.writer(VERSION).known == {"one", "two"}


def test_the_query_of_the_readme_counts_each_photo_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    archive, later = Archive("archive"), Version("OUTFIT_15", "another", "f00")
    archive.writer(VERSION).append(made("one", "two", "three", tags={"market": "North"}))
    archive.writer(later).append(made("two", "four", version=later, tags={"market": "South"}, at=datetime(2024, 6, 1)))
    text = (Path(store.__file__).parent / "README.md").read_text(encoding="utf-8")
    (query,) = re.findall(r'duckdb -c "(.+?)"\n', text, flags=re.DOTALL)
    with duckdb.connect() as connection:
        found = connection.execute(query).fetchall()
    assert found == [("North", 2), ("South", 2)], "two is of the newer rows"


@pytest.mark.skipif(sys.platform == "darwin" or os.name == "nt", reason="this system has only names in Unicode")
def test_a_name_that_is_not_utf_8_hides_no_part(tmp_path: Path) -> None:
    archive = Archive(tmp_path / "archive")
    archive.writer(VERSION).append(made("a"))
    for name in (b"bad\xff.jpg", b"bad\xff.parquet"):
        Path(os.fsdecode(os.fsencode(tmp_path / "archive") + b"/" + name)).write_bytes(b"x")
    odd = Path(os.fsdecode(os.fsencode(tmp_path / "archive") + b"/\xe9t\xe9@1"))
    odd.mkdir()
    (odd / "part.parquet").write_bytes(b"x")
    assert archive.versions() == [VERSION] and list(rows_of(archive, "photo_id").photo_id) == ["a"]
    assert all(name.isprintable() for name in archive.place.files(without="thumbnails"))


def test_a_file_in_the_place_of_an_archive_is_said_to_be_one(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    archive = Archive(tmp_path / "file")
    for work in (archive.versions, lambda: archive.writer(VERSION).append(made("a"))):
        with pytest.raises(ArchiveError, match=r"it is a file, not a folder\.$") as error:
            work()
        assert "rrno" not in str(error.value)


@pytest.mark.parametrize("uri", ["s3://", "s3://?region=eu-west-1", "gs://"])
def test_a_uri_without_a_bucket_is_a_sentence(uri: str) -> None:
    with pytest.raises(ArchiveError, match=r"names no bucket. Write it as (s3|gs)://bucket/folder\.$"):
        Archive(uri)


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_no_archive_is_beside_another_under_a_name_that_is_none(archive: Archive, name: str) -> None:
    with pytest.raises(ArchiveError, match="is not a name of a folder"):
        archive.place.beside(name)


@pytest.mark.parametrize(
    ("uri", "asked"),
    [
        ("gs://looks/spring", "gs://looks/spring?retry_limit_seconds=10"),
        ("gs://looks?scheme=http", "gs://looks?scheme=http&retry_limit_seconds=10"),
        ("gs://looks?retry_limit_seconds=90", "gs://looks?retry_limit_seconds=90"),
        ("s3://looks/spring", "s3://looks/spring"),
    ],
)
def test_a_store_that_does_not_answer_is_not_waited_for_long(uri: str, asked: str) -> None:
    assert _with_patience(uri) == asked
