"""The parts of an archive: Parquet files with the columns of `rows.SCHEMA`, or what other programs made of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from segmodels.archive.place import ArchiveError, Place
from segmodels.archive.rows import ADDED_LATER, SCHEMA
from segmodels.sentences import first_line

__all__ = [
    "EARLIEST",
    "LATEST",
    "REPEATED",
    "ROWS_AT_ONCE",
    "TAG_TWICE",
    "Look",
    "as_parquet",
    "as_rows",
    "chosen_rows",
    "has_tag_twice",
    "look_at",
    "look_of",
    "opened",
    "read_batches",
    "read_columns",
    "write_rows",
]

EARLIEST, LATEST = datetime(1700, 1, 1), datetime(2200, 1, 1)
"""Dates that every page can draw: pandas counts nanoseconds from 1677 to 2262."""

ROWS_AT_ONCE = 4096
"""Rows of a row group, and so of what is in memory while a part is copied: a few megabytes."""

TAG_TWICE = "a photo of it has a tag twice"
"""Fault of a part that DuckDB refuses to read."""

REPEATED = (
    *("tags.key_value.key", "tags.key_value.value"),
    *("width", "height", "model", "revision", "taxonomy", "analysed_at"),
    "people.list.element.box.list.element",
    *("garments.list.element.class", "garments.list.element.person", "garments.list.element.box.list.element"),
    *(f"garments.list.element.colours.list.element.{name}" for name in ("hex", "name")),
    "outfits.list.element",
    *("kinds.list.element.name", "kinds.list.element.probabilities.key_value.key"),
    *("date_precision", "calibration_revision", "kinds_revision", "embedding_revision"),
)
"""Leaves of `SCHEMA` whose values repeat: they are written with a dictionary, which costs time and space for others."""


@contextmanager
def opened(place: Place, part: str) -> Iterator[pq.ParquetFile]:
    """Opens a part.

    Raises:
        ArchiveError: If it is damaged, has other columns or cannot be read now, also while it is read.
    """
    try:
        with place.filesystem.open_input_file(place.path(part)) as stream:
            file = pq.ParquetFile(stream, page_checksum_verification=True)
            if fault := look_at(file).fault:
                raise pa.ArrowInvalid(fault)
            yield file
    except (pa.ArrowException, KeyError, OSError, ValueError, MemoryError) as error:
        if look_of(error).passing:
            raise ArchiveError(
                f"{place.location}/{part} cannot be read now: {first_line(error)}. Try again."
            ) from error
        raise ArchiveError(
            f"{place.location}/{part} is damaged or not part of an archive: {first_line(error)}. "
            "Move it away; its photos can be ingested again."
        ) from error


def read_columns(place: Place, part: str, names: Sequence[str]) -> pa.Table:
    """Some columns of a part as a table of `rows.SCHEMA`; nulls for a column that it lacks.

    Raises:
        ArchiveError: If the part cannot be read.
    """
    with opened(place, part) as file:
        return as_rows(file.read([name for name in names if name in file.schema_arrow.names]), names)


def as_rows(table: pa.Table, names: Sequence[str] = SCHEMA.names) -> pa.Table:
    """A table with columns of `rows.SCHEMA` in that order, with their types; nulls for those added later.

    Times lose what is finer than microseconds, and of a tag that a row has twice the last value counts.
    """
    for name in ADDED_LATER:
        if name in names and name not in table.column_names:
            table = table.append_column(SCHEMA.field(name), pa.nulls(len(table), SCHEMA.field(name).type))
    for name in names:
        if pa.types.is_timestamp(wanted := SCHEMA.field(name).type):
            times = pc.cast(table[name], options=pc.CastOptions(wanted, allow_time_truncate=True))
            table = table.set_column(table.column_names.index(name), SCHEMA.field(name), times)
    table = table.select(names).cast(pa.schema([SCHEMA.field(name) for name in names]))
    if has_tag_twice(table):
        tags = pa.array(
            [row and list(dict(row).items()) for row in table["tags"].to_pylist()], SCHEMA.field("tags").type
        )
        table = table.set_column(table.column_names.index("tags"), SCHEMA.field("tags"), tags)
    return table


def has_tag_twice(rows: pa.Table | pa.RecordBatch) -> bool:
    """Whether a row has two values of one tag, which DuckDB refuses to read."""
    if "tags" not in rows.schema.names:
        return False
    tags = rows["tags"]
    for chunk in tags.chunks if isinstance(tags, pa.ChunkedArray) else [tags]:
        ends = np.asarray(chunk.offsets)
        keys = chunk.keys.dictionary_encode()
        row = np.repeat(np.arange(len(chunk)), np.diff(ends))
        key = np.asarray(keys.indices)[ends[0] : ends[-1]] if len(ends) else row
        if len(np.unique(row * len(keys.dictionary) + key)) < len(row):
            return True
    return False


def read_batches(place: Place, part: str) -> Iterator[pa.Table]:
    """A part as tables of `rows.SCHEMA`, one after the other, of `ROWS_AT_ONCE` rows at most.

    Raises:
        ArchiveError: If it cannot be read.
    """
    with opened(place, part) as file:
        for batch in file.iter_batches(ROWS_AT_ONCE, columns=[n for n in SCHEMA.names if n in file.schema_arrow.names]):
            yield as_rows(pa.Table.from_batches([batch]))


def chosen_rows(place: Place, part: str, chosen: np.ndarray) -> Iterator[pa.Table]:
    """Some rows of a part, as tables like those of `read_batches`.

    Args:
        place: Place of the archive.
        part: Name of the part.
        chosen: Whether a row is taken, bool `(rows,)`.

    Raises:
        ArchiveError: If it cannot be read.
    """
    begin = 0
    for table in read_batches(place, part):
        yield table.filter(pa.array(chosen[begin : begin + table.num_rows]))
        begin += table.num_rows


def write_rows(stream: IO[bytes] | pa.NativeFile, tables: Iterable[pa.Table]) -> None:
    """Writes the file of a part; no more than about `ROWS_AT_ONCE` rows of `tables` are in memory.

    Args:
        stream: Takes the bytes.
        tables: Tables of `rows.SCHEMA`.
    """
    with pq.ParquetWriter(
        stream, SCHEMA, compression="zstd", use_dictionary=list(REPEATED), write_page_checksum=True
    ) as writer:
        waiting: list[pa.Table] = []
        for table in tables:
            waiting.append(table)
            if sum(each.num_rows for each in waiting) >= ROWS_AT_ONCE:
                writer.write_table(pa.concat_tables(waiting), ROWS_AT_ONCE)
                waiting = []
        if waiting:
            writer.write_table(pa.concat_tables(waiting), ROWS_AT_ONCE)


def as_parquet(table: pa.Table) -> pa.Buffer:
    """The file of a part."""
    out = pa.BufferOutputStream()
    write_rows(out, [table])
    return out.getvalue()


@dataclass(frozen=True)
class Look:
    """What is known of a part without its rows.

    Args:
        fault: Why it cannot be used, to go on with in a sentence; empty if it can.
        columns: Names of its columns; without those that have no type because they are null throughout.
        dates_fit: Whether all of its dates are known to be ones that every page can draw.
        passing: Whether the fault may be gone the next time: too little memory, a disk or network that did not answer.
    """

    fault: str
    columns: frozenset[str] = frozenset()
    dates_fit: bool = True
    passing: bool = False


def look_of(error: Exception) -> Look:
    """What an error on reading a part says of it; those of the system have a number, those of damaged files none."""
    passing = isinstance(error, MemoryError) or getattr(error, "errno", None) is not None
    return Look(f"it {'cannot be read now' if passing else 'is damaged'} ({first_line(error)})", passing=passing)


def look_at(file: pq.ParquetFile) -> Look:
    """What the end of a file says of it."""
    there = file.schema_arrow
    for column in SCHEMA:
        count = there.names.count(column.name)
        if count > 1 or (not count and column.name not in ADDED_LATER):
            return Look(f"it has {'two columns' if count else 'no column'} {column.name}")
        found = there.field(column.name).type if count else column.type
        if not (_is_alike(found, column.type) or (column.name in ADDED_LATER and pa.types.is_null(found))):
            return Look(f"its column {column.name} holds {found}, not {column.type}")
    places = {file.metadata.schema.column(at).path: at for at in range(file.metadata.num_columns)}
    groups = [file.metadata.row_group(number) for number in range(file.metadata.num_row_groups)]
    for column in SCHEMA:
        if not column.nullable and (at := places.get(column.name)) is not None:
            found = [group.column(at).statistics for group in groups]
            if all(each is not None and each.has_null_count for each in found):
                empty = sum(each.null_count for each in found)
            else:  # written without statistics
                empty = file.read([column.name])[column.name].null_count
            if empty:
                return Look(f"its column {column.name} has empty cells")
    dates_fit = all(_dates_fit(group.column(places["taken_at"]).statistics, group.num_rows) for group in groups)
    return Look("", frozenset(field.name for field in there if not pa.types.is_null(field.type)), dates_fit)


def _dates_fit(dates: pq.Statistics | None, rows: int) -> bool:
    """Whether the statistics of a column of dates say that all lie where every page can draw them."""
    if dates is None or not dates.has_min_max:
        return dates is not None and dates.null_count == rows
    try:
        return bool(dates.min >= EARLIEST and dates.max < LATEST)
    except (OverflowError, ValueError, TypeError):  # a date that Python does not have
        return False


def _is_alike(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether values of a type can stand in a column: it may be wider, as other programs write it, but not another."""
    kinds = pa.types
    if kinds.is_dictionary(found):
        found = found.value_type
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
        (kinds.is_string, kinds.is_large_string, kinds.is_string_view),
        (kinds.is_binary, kinds.is_large_binary, kinds.is_binary_view),
        (kinds.is_signed_integer,),
        (kinds.is_floating,),
        (kinds.is_boolean,),
    )
    return any(any(each(wanted) for each in family) and any(each(found) for each in family) for family in families)
