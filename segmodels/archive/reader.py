"""Queries with DuckDB over the rows of one version, whatever others do to the archive meanwhile."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from segmodels.archive.changes import visible_parts
from segmodels.archive.parts import EARLIEST, LATEST, TAG_TWICE, Look, has_tag_twice, look_at, look_of
from segmodels.archive.place import ArchiveError, Place
from segmodels.archive.rows import ADDED_LATER, SCHEMA
from segmodels.archive.version import Version
from segmodels.sentences import first_line

__all__ = ["Reader"]

_FITTING_DATE = (
    f"CASE WHEN taken_at >= '{EARLIEST:%Y-%m-%d}' AND taken_at < '{LATEST:%Y-%m-%d}' THEN taken_at END AS taken_at"
)
_NEVER_EMPTY = {  # pages need them, and other programs may leave them empty
    "file_name": "coalesce(file_name, photo_id) AS file_name",
    "class_map": "coalesce(class_map, ''::BLOB) AS class_map",
}
_WRONG_QUERY = (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException, duckdb.OutOfMemoryException)
_ATTEMPTS = 5  # attempts at reading while another process rewrites parts


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

    def batches(self, sql: str, rows: int, parameters: Mapping[str, Any] | None = None) -> Iterator[pa.RecordBatch]:
        """Runs a query over tables made from `photos`, and gives the result a few rows at a time.

        Args:
            sql: Query in DuckDB's dialect.
            rows: Number of rows in a batch, at most.
            parameters: Values for `$name` in the query.
        """
        with self._connection.cursor() as cursor:  # its own: a connection refuses queries while a result is read
            yield from cursor.sql(sql, params=parameters or None).to_arrow_reader(rows)

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
                        if has_tag_twice(batch):
                            raise pa.ArrowInvalid(TAG_TWICE)
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
        columns |= _NEVER_EMPTY
        columns |= {name: f"NULL::{kind} AS {name}" for name, kind in ADDED_LATER.items() if name not in there}
        if not all(look.dates_fit for look in looks):
            columns["taken_at"] = _FITTING_DATE
        return ", ".join(columns.values())


def _without_pattern(path: str) -> str:
    """A path with DuckDB's pattern characters escaped."""
    return "".join(f"[{character}]" if character in "*?[" else character for character in path)
