"""The archive on disk or in a bucket: Parquet parts, written whole, read with DuckDB.

    DIR/<taxonomy>/<model>@<revision>/<time>-<random>.parquet
    DIR/<taxonomy>/<model>@<revision>/taxonomy.json

Rows of one version, that is of one model, revision and taxonomy, share a folder and are never mixed with others'. A
taxonomy that is not in `segmodels.taxonomy.TAXONOMIES` stands there too, as `Taxonomy.to_json` gives it. Each
part appears whole and never changes, so that readers never see a mixture. New tags, and small parts that
become one, make a new part, then the old ones go; in between, rows are in two parts. On an object store, which has no
locks, two who write at once may both add a photo. A `Reader` counts each photo once all the same, and the next `Writer`
removes duplicates.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import fs

from segmodels.archive.dates import Precision
from segmodels.archive.place import ArchiveError, Place
from segmodels.archive.rows import ADDED_LATER, SCHEMA
from segmodels.archive.thumbnails import THUMBNAILS
from segmodels.files import MOST_JSON_BYTES, parse_json
from segmodels.sentences import first_line
from segmodels.taxonomy import TAXONOMIES, Taxonomy

__all__ = ["Archive", "ArchiveError", "Change", "Reader", "Version", "Writer"]

_FULL_PART = 50_000  # rows from which a part is left as it is
_SMALL_PARTS = 8  # number of small parts that are merged
_TAXONOMY_FILE = "taxonomy.json"
_MOST_CLASSES = 63  # bits of an outfit, see `rows.bits`
_EARLIEST, _LATEST = datetime(1700, 1, 1), datetime(2200, 1, 1)  # pandas counts nanoseconds from 1677 to 2262
_FITTING_DATE = (
    f"CASE WHEN taken_at >= '{_EARLIEST:%Y-%m-%d}' AND taken_at < '{_LATEST:%Y-%m-%d}' THEN taken_at END AS taken_at"
)
_WRONG_QUERY = (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException, duckdb.OutOfMemoryException)
_ATTEMPTS = 5  # attempts at reading while another process rewrites parts


@dataclass(frozen=True, order=True)
class Version:
    """Version of rows: the model that found the garments, its revision, and the taxonomy of its classes."""

    taxonomy: str
    model: str
    revision: str

    @property
    def folder(self) -> str:
        """Folder of its parts, below the folder of the archive."""
        return f"{quote(self.taxonomy, safe='')}/{quote(self.model, safe='')}@{quote(self.revision, safe='')}"

    def __str__(self) -> str:
        return f"{self.model} (revision {self.revision}, {self.taxonomy})"


@dataclass(frozen=True)
class Change:
    """New tags for a photo, and its new date, if any.

    Args:
        tags: All its tags.
        taken_at: Date; None to keep the one that it has.
        precision: What the date names.
    """

    tags: Mapping[str, str]
    taken_at: datetime | None = None
    precision: Precision = "day"

    @property
    def date_precision(self) -> str | None:
        """The column of that name."""
        return None if self.precision == "day" else self.precision


class Archive:
    """A folder of parts.

    Args:
        location: A path, or a URI that pyarrow knows, such as `s3://bucket/folder`. It need not be there yet.
        filesystem: File system of `location`; by default the disk, or that of the URI.

    Raises:
        ArchiveError: If the place cannot be reached.
    """

    def __init__(self, location: str | Path, filesystem: fs.FileSystem | None = None) -> None:
        self.place = Place(location, filesystem)

    def versions(self) -> list[Version]:
        """Versions of the rows in the archive.

        Raises:
            ArchiveError: If it cannot be listed.
        """
        found = set()
        for name in self.place.files(without=THUMBNAILS):
            folders = name.split("/")
            if name.endswith(".parquet") and len(folders) == 3 and "@" in folders[1]:
                model, _, revision = folders[1].partition("@")
                found.add(Version(unquote(folders[0]), unquote(model), unquote(revision)))
        return sorted(found)

    def reader(self, version: Version | None = None) -> Reader:
        """Opens the rows of one version for reading.

        Args:
            version: Version of the rows; may be left out if there is only one.

        Raises:
            ArchiveError: If there are no such rows, or no version is given and there are several.
        """
        versions = self.versions()
        if not versions:
            raise ArchiveError(f"{self.place.location} holds no archive yet. Ingest photos into it first.")
        if version is None and len(versions) > 1:
            raise ArchiveError(
                f"{self.place.location} holds rows of several models, which are not counted together: "
                f"{'; '.join(map(str, versions))}. Choose one."
            )
        version = version or versions[0]
        if version not in versions:
            raise ArchiveError(
                f"{self.place.location} holds no rows of {version}, only of {'; '.join(map(str, versions))}."
            )
        return Reader(self.place, version)

    def taxonomy(self, version: Version) -> Taxonomy:
        """The classes of the rows of a version.

        Raises:
            ArchiveError: If they are not known here and do not stand beside the rows, or the file is damaged.
        """
        if version.taxonomy in TAXONOMIES:
            return TAXONOMIES[version.taxonomy]
        name = f"{version.folder}/{_TAXONOMY_FILE}"
        try:
            taxonomy = Taxonomy.from_json(self._taxonomy_file(name))
        except FileNotFoundError:
            raise ArchiveError(f"{version} has classes that this app does not know. Update the app.") from None
        except (OSError, ValueError) as error:
            raise ArchiveError(
                f"{self.place.location}/{name} is damaged: {first_line(error)}. Ingest a photo with {version.model} "
                "again, which writes the file anew."
            ) from None
        if taxonomy.name != version.taxonomy:
            raise ArchiveError(
                f"{self.place.location}/{name} is of {taxonomy.name}, not of {version.taxonomy}. "
                "Put the right one there."
            )
        return taxonomy

    def keep_taxonomy(self, version: Version, taxonomy: Taxonomy) -> None:
        """Writes the classes of a version beside its rows, unless `TAXONOMIES` has them.

        Args:
            version: Version of the rows.
            taxonomy: Taxonomy of the name in `version`.

        Raises:
            ArchiveError: If it has too many classes for rows, the rows of the version are of other classes, or it
                cannot be written.
        """
        if len(taxonomy) > _MOST_CLASSES:
            raise ArchiveError(
                f"{taxonomy.name} has {len(taxonomy)} classes, and the rows of an archive hold {_MOST_CLASSES} at "
                "most. Use a model with fewer classes."
            )
        if version.taxonomy in TAXONOMIES:
            return
        with self.place.lock():
            try:
                there = Taxonomy.from_json(self._taxonomy_file(f"{version.folder}/{_TAXONOMY_FILE}"))
            except (OSError, ValueError):  # none yet, or a damaged one
                there = None
            if there == taxonomy:
                return
            if there and (not there.matches(taxonomy) or there.display_order != taxonomy.display_order):
                raise ArchiveError(
                    f"{self.place.location} holds rows of {version} with other classes, groups or order. Choose "
                    "another folder, or give the taxonomy another name."
                )
            content = json.dumps(taxonomy.to_json(), indent=1, ensure_ascii=False) + "\n"
            self.place.write(f"{version.folder}/{_TAXONOMY_FILE}", content.encode())

    def _taxonomy_file(self, name: str) -> Any:
        return parse_json(self.place.read(name, MOST_JSON_BYTES).decode("utf-8"))

    def writer(self, version: Version) -> Writer:
        """Opens the archive for adding rows of one version; others may do so at the same time.

        Raises:
            ArchiveError: If it cannot be written to, or a part is damaged.
        """
        return Writer(self.place, version)


class Reader:
    """Queries over the rows of one version: the view `photos` has the columns of `rows.SCHEMA`.

    Every query sees all of some set of whole parts: those that `refresh` found. A part that is damaged, or has other
    columns, is left out. Use it in a `with`.

    Args:
        place: Place of the archive.
        version: Version of the rows.

    Attributes:
        left_out: Sentence on each part that is left out.
    """

    def __init__(self, place: Place, version: Version) -> None:
        self.version = version
        self.left_out: tuple[str, ...] = ()
        self._place = place
        self._looked_at: dict[str, _Look] = {}
        self._connection = duckdb.connect()
        self._connection.execute("SET enable_progress_bar = false")  # it would appear in the log
        self._parts: list[str] = []
        self.refresh()

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def refresh(self) -> None:
        """Includes parts that were added since the last call.

        Raises:
            ArchiveError: If no part can be read.
        """
        for attempt in range(_ATTEMPTS):
            self._parts = _parts(self._place, self.version)
            try:
                self._connect()
                return
            except (duckdb.Error, pa.ArrowException, OSError) as error:
                unchanged = _parts(self._place, self.version) == self._parts
                if unchanged and self._find_damage():
                    continue
                if unchanged or attempt == _ATTEMPTS - 1:
                    raise ArchiveError(f"{self._place.location} cannot be read: {first_line(error)}.") from error

    def query(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> pd.DataFrame:
        """Runs a query; reads the list of parts again if the known ones were merged meanwhile.

        Args:
            sql: Query in DuckDB's dialect, over the view `photos`.
            parameters: Values for `?` or `$name` in the query.

        Raises:
            ArchiveError: If no part can be read.
            duckdb.Error: If the query is wrong.
        """
        for _ in range(_ATTEMPTS):
            try:
                return self._connection.execute(sql, parameters or None).df()
            except (duckdb.Error, OSError) as error:
                if _parts(self._place, self.version) == self._parts and (
                    isinstance(error, _WRONG_QUERY) or not self._find_damage()
                ):
                    raise
                self.refresh()
        raise ArchiveError(f"{self._place.location} changes faster than it can be read. Try again.")

    def batches(self, sql: str, rows: int) -> Iterator[pa.RecordBatch]:
        """Runs a query over tables made from `photos`, and gives the result a few rows at a time.

        Args:
            sql: Query in DuckDB's dialect.
            rows: Number of rows in a batch, at most.
        """
        with self._connection.cursor() as cursor:  # its own: a connection refuses queries while a result is read
            yield from cursor.sql(sql).to_arrow_reader(rows)

    def _connect(self) -> None:
        if not self._parts:
            raise FileNotFoundError(f"no part of {self.version} is left")
        looks = {part: self._look(part) for part in self._parts}
        self.left_out = tuple(
            f"{self._place.location}/{part} is left out: {look.fault}. Move it away; its photos can be ingested again."
            for part, look in looks.items()
            if look.fault
        )
        parts = [part for part, look in looks.items() if not look.fault]
        if not parts:
            more = len(self.left_out) - 1
            also = f" {more:,} more cannot be used either." if more else ""
            raise ArchiveError(f"{self.left_out[0]}{also}")
        if self._place.local is not None:
            names = [_without_pattern(self._place.path(name)) for name in parts]
            files = ", ".join("'" + name.replace("'", "''") + "'" for name in names)
            # Without hive_partitioning = false a folder called key=value would become a column.
            source = f"read_parquet([{files}], union_by_name = true, hive_partitioning = false)"
        else:
            paths = [self._place.path(name) for name in parts]
            self._connection.register("parts", ds.dataset(paths, schema=SCHEMA, filesystem=self._place.filesystem))
            source = "parts"
        source = f"(SELECT {self._columns([looks[part] for part in parts])} FROM {source})"
        self._connection.execute(f"CREATE OR REPLACE VIEW photos AS FROM {source}")
        row = self._connection.execute("SELECT count(*) - count(DISTINCT photo_id) FROM photos").fetchone()
        if row and row[0]:  # another process is writing, or was killed while writing
            once = "QUALIFY row_number() OVER (PARTITION BY photo_id ORDER BY analysed_at DESC) = 1"
            self._connection.execute(f"CREATE OR REPLACE VIEW photos AS FROM {source} {once}")

    def _look(self, part: str) -> _Look:
        """What the end of a part's file says; a part never changes, so that it is read once."""
        if part not in self._looked_at:
            try:
                with self._place.filesystem.open_input_file(self._place.path(part)) as stream:
                    self._looked_at[part] = _look_at(pq.ParquetFile(stream))
            except FileNotFoundError:  # merged into another meanwhile
                raise
            except (pa.ArrowException, OSError, ValueError, KeyError, MemoryError) as error:
                self._looked_at[part] = _Look(f"it is damaged ({first_line(error)})")
        return self._looked_at[part]

    def _find_damage(self) -> bool:
        """Reads each part that is in use whole, and leaves out those that cannot be read; whether there are any."""
        found = False
        for part in self._parts:
            if self._look(part).fault:
                continue
            try:
                with self._place.filesystem.open_input_file(self._place.path(part)) as stream:
                    for batch in pq.ParquetFile(stream).iter_batches():
                        batch.validate(full=True)
            except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
                self._looked_at[part] = _Look(f"it is damaged ({first_line(error)})")
                found = True
        return found

    def _columns(self, looks: Sequence[_Look]) -> str:
        """The columns of `SCHEMA` for a SELECT: nulls for what no part has, and no dates that no page can draw."""
        there = set(SCHEMA.names) if self._place.local is None else set().union(*(look.columns for look in looks))
        columns = dict(zip(SCHEMA.names, SCHEMA.names, strict=True))
        columns |= {name: f"NULL::{kind} AS {name}" for name, kind in ADDED_LATER.items() if name not in there}
        if not all(look.dates_fit for look in looks):
            columns["taken_at"] = _FITTING_DATE
        return ", ".join(columns.values())


class Writer:
    """Adds rows of one version.

    Args:
        place: Place of the archive.
        version: Version of the rows.

    Attributes:
        known: Ids of the photos in the archive, including those that others added before the last `append`.
    """

    def __init__(self, place: Place, version: Version) -> None:
        self.version = version
        self.known: set[str] = set()
        self._place = place
        self._seen: set[str] = set()
        with self._locked():
            self._drop_doubles()

    def append(self, rows: pa.Table) -> int:
        """Adds rows as one part, except for photos that are in the archive already.

        Args:
            rows: A table of `rows.SCHEMA`, all of this version.

        Returns:
            Number of added rows.

        Raises:
            ValueError: If a row is of another version.
            ArchiveError: If it cannot be written; then none was added.
        """
        self._check_version(rows)
        with self._locked():
            fresh: dict[str, int] = {}
            for index, key in enumerate(rows["photo_id"].to_pylist()):
                if key not in self.known:
                    fresh.setdefault(key, index)
            if fresh:
                part = self._new_part()
                self._write(part, rows if len(fresh) == rows.num_rows else rows.take(list(fresh.values())))
                self._seen.add(part)
                self.known.update(fresh)
        return len(fresh)

    def renew(self, rows: pa.Table) -> None:
        """Puts rows in the place of those of the same photos; a photo that is not there is added.

        The new rows are written before the old ones go. Where a writer is killed in between, the new ones count.

        Args:
            rows: A table of `rows.SCHEMA`, all of this version, each photo once.

        Raises:
            ValueError: If a row is of another version.
            ArchiveError: If it cannot be written; the old rows are then still there.
        """
        self._check_version(rows)
        with self._locked():
            part = self._new_part()
            self._write(part, rows)
            self._seen.add(part)
            ids = set(rows["photo_id"].to_pylist())
            self.known.update(ids)
            self._remove(ids, but=part)

    def remove(self, ids: Collection[str]) -> None:
        """Removes the rows of photos; ids that are not there are passed over.

        Args:
            ids: Ids of the photos.

        Raises:
            ArchiveError: If it cannot be written.
        """
        with self._locked():
            self._remove(ids)
            self.known.difference_update(ids)

    def _remove(self, ids: Collection[str], but: str = "") -> None:
        for part in _parts(self._place, self.version):
            if part == but:
                continue
            keys = self._column(part).to_pylist()
            kept = [index for index, key in enumerate(keys) if key not in ids]
            if not kept:
                self._place.remove(part)
            elif len(kept) < len(keys):
                self._replace([part], self._read(part).take(kept))

    def retag(self, changes: Mapping[str, Change]) -> int:
        """Replaces the tags of photos in the archive, and their dates if a change has one.

        Args:
            changes: Changes by photo id; unknown ids are ignored.

        Returns:
            Number of photos whose tags or date changed.

        Raises:
            ArchiveError: If it cannot be written; then some parts may have the new tags and others the old.
        """
        changed = 0
        with self._locked():
            for part in _parts(self._place, self.version) if changes else ():
                here = [key in changes for key in self._column(part).to_pylist()]
                if not any(here):
                    continue
                table = self._read(part)
                columns = {name: table[name].to_pylist() for name in ("taken_at", "date_precision", "tags")}
                dates, precisions, tags = columns.values()
                before = changed
                for index, key in enumerate(table["photo_id"].to_pylist()):
                    if (change := changes.get(key)) is None:
                        continue
                    date, precision = dates[index], precisions[index]
                    if change.taken_at:
                        date, precision = change.taken_at, change.date_precision
                    old = dict(tags[index] or ()), dates[index], precisions[index]
                    if (dict(change.tags), date, precision) != old:
                        tags[index], dates[index], precisions[index] = list(change.tags.items()), date, precision
                        changed += 1
                if changed > before:
                    for column, values in columns.items():
                        place = SCHEMA.get_field_index(column)
                        table = table.set_column(
                            place, SCHEMA.field(column), pa.array(values, SCHEMA.field(column).type)
                        )
                    self._replace([part], table)
        return changed

    def compact(self, at_least: int = _SMALL_PARTS) -> int:
        """Merges small parts, if there are enough of them.

        Args:
            at_least: Number of small parts that is enough.

        Returns:
            Number of parts after merging.

        Raises:
            ArchiveError: If it cannot be written; the small parts are then still there.
        """
        with self._locked():
            small = []
            for part in _parts(self._place, self.version):
                with self._opened(part) as file:
                    if file.metadata.num_rows < _FULL_PART:
                        small.append((part, file.metadata.num_rows))
            if len(small) >= max(2, at_least):
                group: list[str] = []
                rows = 0
                for part, count in small:
                    group.append(part)
                    rows += count
                    if rows >= _FULL_PART or part == small[-1][0]:
                        self._join(group)
                        group, rows = [], 0
            return len(_parts(self._place, self.version))

    def _check_version(self, rows: pa.Table) -> None:
        for column in ("taxonomy", "model", "revision"):
            if rows.num_rows and pc.unique(rows[column]).to_pylist() != [getattr(self.version, column)]:
                raise ValueError(f"These rows are not all of {self.version}.")

    def _join(self, parts: Sequence[str]) -> None:
        if len(parts) < 2:
            return
        self._replace(parts, pa.concat_tables([self._read(part) for part in parts]))

    def _replace(self, parts: Sequence[str], table: pa.Table) -> None:
        """Replaces parts by a new one; a part itself never changes, as others may be reading it."""
        part = self._new_part()
        self._write(part, table)
        self._seen.add(part)
        for old in parts:
            self._place.remove(old)

    def _drop_doubles(self) -> None:
        """Keeps each photo's newest row; killed writers, or writers without locks, leave duplicates."""
        parts = _parts(self._place, self.version)
        ids = {part: self._column(part).to_pylist() for part in parts}
        if len(self.known) == sum(map(len, ids.values())):
            return
        kept: set[str] = set()
        for part in reversed(parts):  # the newest first
            fresh = {key: index for index, key in enumerate(ids[part]) if key not in kept}
            kept.update(fresh)
            if not fresh:
                self._place.remove(part)
            elif len(fresh) < len(ids[part]):
                self._replace([part], self._read(part).take(list(fresh.values())))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Holds the lock of the archive, with all rows of others known."""
        with self._place.lock():
            self._place.sweep()
            for part in _parts(self._place, self.version):
                if part not in self._seen:
                    self.known.update(self._column(part).to_pylist())
                    self._seen.add(part)
            yield

    def _new_part(self) -> str:
        return f"{self.version.folder}/{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}.parquet"

    def _column(self, part: str) -> pa.ChunkedArray:
        with self._opened(part) as file:
            return file.read(["photo_id"])["photo_id"]

    def _read(self, part: str) -> pa.Table:
        with self._opened(part) as file:
            table = file.read()
            for name in ADDED_LATER:
                if name not in table.column_names:
                    table = table.append_column(SCHEMA.field(name), pa.nulls(len(table), SCHEMA.field(name).type))
            return table.select(SCHEMA.names).cast(SCHEMA)

    @contextmanager
    def _opened(self, part: str) -> Iterator[pq.ParquetFile]:
        try:
            with self._place.filesystem.open_input_file(self._place.path(part)) as stream:
                file = pq.ParquetFile(stream)
                if fault := _look_at(file).fault:
                    raise pa.ArrowInvalid(fault)
                yield file
        except (pa.ArrowException, KeyError, OSError) as error:
            raise ArchiveError(
                f"{self._place.location}/{part} is damaged or not part of an archive: {first_line(error)}. "
                "Move it away; its photos can be ingested again."
            ) from error

    def _write(self, part: str, table: pa.Table) -> None:
        out = pa.BufferOutputStream()
        pq.write_table(table, out, compression="zstd")
        self._place.write(part, out.getvalue())


@dataclass(frozen=True)
class _Look:
    """What is known of a part without its rows.

    Args:
        fault: Why it cannot be used, to go on with in a sentence; empty if it can.
        columns: Names of its columns.
        dates_fit: Whether all of its dates are known to be ones that every page can draw.
    """

    fault: str
    columns: frozenset[str] = frozenset()
    dates_fit: bool = True


def _look_at(file: pq.ParquetFile) -> _Look:
    there = file.schema_arrow
    for column in SCHEMA:
        count = there.names.count(column.name)
        if count > 1 or (not count and column.name not in ADDED_LATER):
            return _Look(f"it has {'two columns' if count else 'no column'} {column.name}")
        if count and not _is_alike(found := there.field(column.name).type, column.type):
            return _Look(f"its column {column.name} holds {found}, not {column.type}")
    at = next(i for i in range(file.metadata.num_columns) if file.metadata.schema.column(i).path == "taken_at")
    groups = (file.metadata.row_group(number) for number in range(file.metadata.num_row_groups))
    dates_fit = all(_dates_fit(group.column(at).statistics, group.num_rows) for group in groups)
    return _Look("", frozenset(there.names), dates_fit)


def _dates_fit(dates: pq.Statistics | None, rows: int) -> bool:
    """Whether the statistics of a column of dates say that all lie where every page can draw them."""
    if dates is None or not dates.has_min_max:
        return dates is not None and dates.null_count == rows
    try:
        return bool(dates.min >= _EARLIEST and dates.max < _LATEST)
    except (OverflowError, ValueError, TypeError):  # a date that Python does not have
        return False


def _is_alike(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether values of a type can stand in a column: it may be wider, as other programs write it, but not another."""
    kinds = pa.types
    if kinds.is_map(wanted):
        return kinds.is_map(found) and all(
            _is_alike(getattr(found, part), getattr(wanted, part)) for part in ("key_type", "item_type")
        )
    if kinds.is_list(wanted):
        lists = kinds.is_list(found) or kinds.is_large_list(found)
        return lists and _is_alike(found.value_type, wanted.value_type)
    if kinds.is_struct(wanted):
        names = [field.name for field in found] if kinds.is_struct(found) else []
        return sorted(names) == sorted(field.name for field in wanted) and all(
            _is_alike(found.field(field.name).type, field.type) for field in wanted
        )
    if kinds.is_timestamp(wanted):
        return kinds.is_timestamp(found) and found.tz is None
    families = (
        (kinds.is_string, kinds.is_large_string),
        (kinds.is_binary, kinds.is_large_binary),
        (kinds.is_signed_integer,),
        (kinds.is_floating,),
        (kinds.is_boolean,),
    )
    return any(any(each(wanted) for each in family) and any(each(found) for each in family) for family in families)


def _parts(place: Place, version: Version) -> list[str]:
    """Names of the parts of a version, the oldest first."""
    return [name for name in place.files(version.folder) if name.endswith(".parquet")]


def _without_pattern(path: str) -> str:
    """A path with DuckDB's pattern characters escaped."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in path)
