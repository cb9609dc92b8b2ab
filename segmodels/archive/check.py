"""Damage in an archive: what is damaged, what can be saved, and how it is mended."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from segmodels.archive.changes import (
    changing,
    is_settled,
    kept_parts,
    last_undoable,
    rewriting,
    stray_thumbnails,
    sweep_thumbnails,
    visible_parts,
)
from segmodels.archive.log import LogEntry
from segmodels.archive.parts import TAG_TWICE, as_rows, has_tag_twice, look_at, look_of
from segmodels.archive.place import ArchiveError, Place
from segmodels.archive.rows import SCHEMA
from segmodels.archive.store import Archive
from segmodels.sentences import first_line

__all__ = ["Damage", "Health", "check", "mend"]

_BATCH = 1000  # rows that are read at once, and lost at once
_ATTEMPTS = 5  # at parts that others take out meanwhile


@dataclass(frozen=True)
class Damage:
    """A part that cannot be read as a whole.

    Args:
        part: Name of the part.
        fault: What is wrong, to go on with in a sentence.
        rows: Number of rows that it should have; None if that cannot be told.
        readable: Number of rows that can be saved.
    """

    part: str
    fault: str
    rows: int | None
    readable: int

    def __str__(self) -> str:
        of = "" if self.rows is None else f" of {self.rows:,}"
        saved = f"{self.readable:,}{of} rows can be saved" if self.readable else "no row of it can be saved"
        return f"{self.part}: {self.fault}; {saved}."


@dataclass(frozen=True)
class Health:
    """What a check found.

    Args:
        parts: Number of parts.
        rows: Number of rows in parts that are whole.
        damaged: The damaged parts.
        notes: Sentences on what else is to be known.
    """

    parts: int
    rows: int
    damaged: Sequence[Damage] = ()
    notes: Sequence[str] = ()

    @property
    def is_good(self) -> bool:
        """Whether nothing is damaged."""
        return not self.damaged

    def __str__(self) -> str:
        parts = "1 part" if self.parts == 1 else f"{self.parts:,} parts"
        if not self.damaged:
            return f"{parts} with {self.rows:,} rows: all can be read."
        which = "is damaged" if len(self.damaged) == 1 else "are damaged"
        return f"{len(self.damaged):,} of {parts} {which}; {self.rows:,} rows in the others can be read."


def check(archive: Archive) -> Health:
    """Reads every byte of an archive; nothing is changed.

    Raises:
        ArchiveError: If there is no archive, or it cannot be listed, or a part cannot be read now, which is no damage.
    """
    for _ in range(_ATTEMPTS):
        before = visible_parts(archive.place)
        try:
            return _look_through(archive)
        except ArchiveError:
            if visible_parts(archive.place) == before:
                raise
    raise ArchiveError(f"{archive.place.location} changes faster than it can be read. Try again.")


def _look_through(archive: Archive) -> Health:
    place = archive.place
    parts = visible_parts(place)
    if not parts and not kept_parts(place):
        raise ArchiveError(f"{place.location} holds no archive yet. Check the path.")
    rows, doubled = 0, 0
    damaged, notes = [], []
    for version in archive.versions():
        ids: list[pa.Array] = []
        for part in visible_parts(place, version.folder):
            table, damage = _salvage(place, part)
            if damage:
                damaged.append(damage)
                continue
            rows += table.num_rows
            ids += table["photo_id"].chunks
        doubled += sum(map(len, ids)) - len(pa.chunked_array(ids, pa.string()).unique())
        try:
            archive.taxonomy(version)
        except ArchiveError as error:
            notes.append(str(error))
    if doubled:
        notes.append(f"{doubled:,} rows are there twice and count once. The next ingest removes them.")
    if not damaged and (stray := stray_thumbnails(place)):
        which = "1 thumbnail belongs" if len(stray) == 1 else f"{len(stray):,} thumbnails belong"
        notes.append(f"{which} to no photo of the archive. Unless photos are being added, --mend removes what is left.")
    if not is_settled(place):
        notes.append("A change was stopped before it was complete. The next change or ingest finishes or removes it.")
    if entry := last_undoable(place):
        notes.append(f"The last change ({entry.what}, {entry.at[:16].replace('T', ' ')} UTC) can be undone.")
    return Health(len(parts), rows, damaged, notes)


def mend(archive: Archive, by: str = "") -> Health:
    """Puts the rows that can be saved in the place of each damaged part.

    The damaged parts are kept until the next change: `undo` brings them back. Where none is damaged, what a
    stopped change left is removed, and thumbnails that belong to no photo, unless photos are being added.

    Args:
        archive: The archive.
        by: Who does it, for the log.

    Returns:
        What was found, before it was mended.

    Raises:
        ArchiveError: If there is no archive, or it cannot be written.
    """
    health = check(archive)
    if health.is_good:
        with changing(archive.place):  # what a change that was stopped left goes
            pass
        sweep_thumbnails(archive.place)
        return health
    place = archive.place
    with changing(place), rewriting(place) as rewrite:
        there = set(visible_parts(place))
        saved = 0
        for damage in health.damaged:
            if damage.part in there:
                table, _ = _salvage(place, damage.part)
                if table.num_rows:
                    rewrite.replace(damage.part, [table])
                else:
                    rewrite.hide(damage.part)
                saved += table.num_rows
        if rewrite.is_begun:
            rewrite.commit(LogEntry("mend", by, {"parts": len(health.damaged), "rows": saved}), keep=True)
    return health


def _salvage(place: Place, part: str) -> tuple[pa.Table, Damage | None]:
    """The rows of a part that can be read, and its damage if that is not all of them.

    Raises:
        ArchiveError: If it cannot be read now, though it may be whole.
    """
    tables: list[pa.Table] = []
    fault, rows = "", None
    try:
        with place.filesystem.open_input_file(place.path(part)) as stream:
            file = pq.ParquetFile(stream, page_checksum_verification=True)
            rows = file.metadata.num_rows
            fault = look_at(file).fault
            for group in range(0 if fault else file.metadata.num_row_groups):
                try:
                    for batch in file.iter_batches(_BATCH, row_groups=[group]):
                        batch.validate(full=True)
                        if has_tag_twice(batch):
                            fault = TAG_TWICE
                        tables.append(as_rows(pa.Table.from_batches([batch])))
                except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
                    if look_of(error).passing:
                        raise
                    fault = look_of(error).fault
    except (pa.ArrowException, OSError, ValueError, KeyError, MemoryError) as error:
        if look_of(error).passing:
            raise ArchiveError(
                f"{place.location}/{part} cannot be read now: {first_line(error)}. Try again."
            ) from error
        fault = look_of(error).fault
    table = pa.concat_tables(tables) if tables else SCHEMA.empty_table()
    return table, Damage(part, fault, rows, table.num_rows) if fault else None
