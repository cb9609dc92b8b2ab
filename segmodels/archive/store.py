"""The archive on disk or in a bucket: Parquet parts, written whole, read with DuckDB.

    DIR/<taxonomy>/<model>@<revision>/<time>-<random>.parquet
    DIR/<taxonomy>/<model>@<revision>/taxonomy.json

Rows of one version, that is of one model, revision and taxonomy, share a folder and are never mixed with others'. A
taxonomy that is not in `segmodels.taxonomy.TAXONOMIES` stands there too, as `Taxonomy.to_json` gives it. Each
part appears whole and never changes, so that readers never see a mixture. New tags, and small parts that become one,
make new parts, which take the place of the old ones all at once (see `changes`). Archives of versions that had no locks
on object stores may hold two rows of a photo. A `Reader` counts each photo once all the same, and the next `Writer`
removes duplicates.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow import fs

from segmodels.archive.changes import Rewrite, changing, new_part, rewriting, visible_parts
from segmodels.archive.dates import Precision
from segmodels.archive.parts import (
    EARLIEST,
    LATEST,
    Look,
    as_parquet,
    look_at,
    look_of,
    opened,
    read_columns,
    read_part,
)
from segmodels.archive.place import ArchiveError, Place
from segmodels.archive.rows import ADDED_LATER, SCHEMA
from segmodels.files import MOST_JSON_BYTES, parse_json
from segmodels.sentences import first_line
from segmodels.taxonomy import TAXONOMIES, Taxonomy

__all__ = [
    "Archive",
    "ArchiveError",
    "Change",
    "Reader",
    "Version",
    "Writer",
    "join_small_parts",
    "retag_part",
]

_FULL_PART = 50_000  # rows from which a part is left as it is
_SMALL_PARTS = 8  # number of small parts that are merged
_TAXONOMY_FILE = "taxonomy.json"
_MOST_CLASSES = 63  # bits of an outfit, see `rows.bits`
_FITTING_DATE = (
    f"CASE WHEN taken_at >= '{EARLIEST:%Y-%m-%d}' AND taken_at < '{LATEST:%Y-%m-%d}' THEN taken_at END AS taken_at"
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

    @property
    def label(self) -> str:
        """Short name, as links of the Trends page and the API's parameter `by` have it."""
        return f"{self.model} {self.revision[:12]} ({self.taxonomy})"

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
        for name in visible_parts(self.place):
            folders = name.split("/")
            if len(folders) == 3 and "@" in folders[1]:
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
        self._looked_at: dict[str, Look] = {}
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
            self._parts = visible_parts(self._place, self.version.folder)
            try:
                self._connect()
                return
            except (duckdb.Error, pa.ArrowException, OSError) as error:
                unchanged = visible_parts(self._place, self.version.folder) == self._parts
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
                if visible_parts(self._place, self.version.folder) == self._parts and (
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
            f"{self._place.location}/{part} is left out: {look.fault}. "
            + ("Try again." if look.passing else "Move it away; its photos can be ingested again.")
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

    def _look(self, part: str) -> Look:
        """What the end of a part's file says; a part never changes, so that it is read once."""
        if part not in self._looked_at:
            try:
                with self._place.filesystem.open_input_file(self._place.path(part)) as stream:
                    self._looked_at[part] = look_at(pq.ParquetFile(stream))
            except FileNotFoundError:  # merged into another meanwhile
                raise
            except (pa.ArrowException, OSError, ValueError, KeyError, MemoryError) as error:
                look = look_of(error)
                if look.passing:  # not kept: it is read again the next time
                    return look
                self._looked_at[part] = look
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
                look = look_of(error)
                if not look.passing:
                    self._looked_at[part] = look
                    found = True
        return found

    def _columns(self, looks: Sequence[Look]) -> str:
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
                part = new_part(self.version.folder)
                table = rows if len(fresh) == rows.num_rows else rows.take(list(fresh.values()))
                self._place.write(part, as_parquet(table))
                self._seen.add(part)
                self.known.update(fresh)
        return len(fresh)

    def renew(self, rows: pa.Table, older: Collection[Version] = ()) -> int:
        """Puts rows in the place of those of the same photos, all at once; photos that have no row now are left out.

        Args:
            rows: A table of `rows.SCHEMA`, all of this version, each photo once.
            older: Versions whose rows of these photos go as well.

        Returns:
            Number of rows that were put in.

        Raises:
            ValueError: If a row is of another version.
            ArchiveError: If it cannot be written; the old rows are then still there.
        """
        self._check_version(rows)
        with self._locked(), rewriting(self._place) as rewrite:
            wanted, there = set(rows["photo_id"].to_pylist()), set()
            for version in {self.version, *older}:
                there |= self._remove(rewrite, wanted, version.folder)
            if there:
                table = rows.filter(pc.is_in(rows["photo_id"], pa.array(sorted(there), rows["photo_id"].type)))
                self._seen.add(rewrite.write(self.version.folder, table))
            rewrite.commit()
            self.known.update(there)
        return len(there)

    def remove(self, ids: Collection[str]) -> None:
        """Removes the rows of photos; ids that are not there are passed over.

        Args:
            ids: Ids of the photos.

        Raises:
            ArchiveError: If it cannot be written; then none was removed.
        """
        with self._locked(), rewriting(self._place) as rewrite:
            self._remove(rewrite, ids, self.version.folder)
            rewrite.commit()
            self.known.difference_update(ids)

    def _remove(self, rewrite: Rewrite, ids: Collection[str], folder: str) -> set[str]:
        """Removes the rows of photos from the parts of a folder; gives the ids that were there."""
        found: set[str] = set()
        kept: dict[str, np.ndarray] = {}
        for part in visible_parts(self._place, folder):
            keys = self._ids(part)
            gone = np.fromiter((key in ids for key in keys), bool, len(keys))
            if gone.any():
                found.update(key for key in keys if key in ids)
                kept[part] = ~gone
        rewrite.keep(kept)
        return found

    def retag(self, changes: Mapping[str, Change]) -> int:
        """Replaces the tags of photos in the archive, and their dates if a change has one.

        Args:
            changes: Changes by photo id; unknown ids are ignored.

        Returns:
            Number of photos whose tags or date changed.

        Raises:
            ArchiveError: If it cannot be written; then nothing has changed.
        """
        if not changes:
            return 0
        with self._locked(), rewriting(self._place) as rewrite:
            changed: set[str] = set()
            for part in self._parts():
                changed |= retag_part(rewrite, self._place, part, changes)
            rewrite.commit()
        return len(changed)

    def compact(self, at_least: int = _SMALL_PARTS) -> int:
        """Merges small parts, if there are enough of them.

        Args:
            at_least: Number of small parts that is enough.

        Returns:
            Number of parts after merging.

        Raises:
            ArchiveError: If it cannot be written; the small parts are then still there.
        """
        with self._locked(), rewriting(self._place) as rewrite:
            join_small_parts(rewrite, self._place, self._parts(), at_least)
            rewrite.commit()
            return len(self._parts())

    def _check_version(self, rows: pa.Table) -> None:
        for column in ("taxonomy", "model", "revision"):
            if rows.num_rows and pc.unique(rows[column]).to_pylist() != [getattr(self.version, column)]:
                raise ValueError(f"These rows are not all of {self.version}.")

    def _parts(self) -> list[str]:
        return visible_parts(self._place, self.version.folder)

    def _ids(self, part: str) -> list[str]:
        ids: list[str] = read_columns(self._place, part, ["photo_id"])["photo_id"].to_pylist()
        return ids

    def _drop_doubles(self) -> None:
        """Keeps each photo's newest row; writers of earlier versions left duplicates."""
        parts = self._parts()
        ids = {part: self._ids(part) for part in parts}
        if len(self.known) == sum(map(len, ids.values())):
            return
        known: set[str] = set()
        kept: dict[str, np.ndarray] = {}
        for part in reversed(parts):  # the newest first
            fresh = {key: index for index, key in enumerate(ids[part]) if key not in known}
            known.update(fresh)
            if len(fresh) < len(ids[part]):
                kept[part] = np.isin(np.arange(len(ids[part])), list(fresh.values()))
        with rewriting(self._place) as rewrite:
            rewrite.keep(kept)
            rewrite.commit()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Holds the lock of the archive, with all rows of others known."""
        with changing(self._place):
            for part in self._parts():
                if part not in self._seen:
                    self.known.update(self._ids(part))
                    self._seen.add(part)
            yield


def retag_part(rewrite: Rewrite, place: Place, part: str, changes: Mapping[str, Change]) -> set[str]:
    """Puts new tags, and dates if a change has one, into the rows of a part.

    Args:
        rewrite: Change of the archive that the new part belongs to.
        place: Place of the archive.
        part: Name of the part.
        changes: Changes by photo id.

    Returns:
        Ids of the photos whose tags or date change.

    Raises:
        ArchiveError: If it cannot be read or written.
    """
    names = ("taken_at", "date_precision", "tags")
    ids = read_columns(place, part, ["photo_id"])["photo_id"].to_pylist()
    rows = [row for row, key in enumerate(ids) if key in changes]
    if not rows:
        return set()
    columns = read_columns(place, part, names).take(pa.array(rows)).to_pydict()
    changed = set()
    for index, row in enumerate(rows):
        change = changes[ids[row]]
        before = columns["taken_at"][index], columns["date_precision"][index], dict(columns["tags"][index] or ())
        date = (change.taken_at, change.date_precision) if change.taken_at else before[:2]
        if (after := (*date, dict(change.tags))) != before:
            columns["taken_at"][index], columns["date_precision"][index] = date
            columns["tags"][index] = list(after[2].items())
            changed.add(ids[row])
    if changed:
        table = read_part(place, part)
        order = np.arange(table.num_rows)
        order[rows] = table.num_rows + np.arange(len(rows))
        for name in names:
            field = SCHEMA.field(name)
            both = pa.chunked_array([*table[name].chunks, pa.array(columns[name], field.type)], field.type)
            table = table.set_column(SCHEMA.get_field_index(name), field, both.take(pa.array(order)))
        rewrite.replace(part, table)
    return changed


def join_small_parts(rewrite: Rewrite, place: Place, parts: Sequence[str], at_least: int) -> None:
    """Makes parts of full size of the small ones of a version, if there are enough of them.

    Args:
        rewrite: Change of the archive that the new parts belong to.
        place: Place of the archive.
        parts: Names of the parts.
        at_least: Number of small parts that is enough.

    Raises:
        ArchiveError: If they cannot be read or written.
    """
    small = []
    for part in parts:
        with opened(place, part) as file:
            if file.metadata.num_rows < _FULL_PART:
                small.append((part, file.metadata.num_rows))
    if len(small) < max(2, at_least):
        return
    group: list[str] = []
    rows = 0
    for part, count in small:
        group.append(part)
        rows += count
        if rows >= _FULL_PART or part == small[-1][0]:
            if len(group) > 1:
                rewrite.write(part.rpartition("/")[0], pa.concat_tables([read_part(place, each) for each in group]))
                for each in group:
                    rewrite.hide(each)
            group, rows = [], 0


def _without_pattern(path: str) -> str:
    """A path with DuckDB's pattern characters escaped."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in path)
