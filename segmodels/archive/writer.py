"""Rows added to one version of an archive, renewed, retagged and removed; small parts are merged."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segmodels.archive.changes import Rewrite, changing, new_part, rewriting, visible_parts
from segmodels.archive.dates import Precision
from segmodels.archive.parts import as_parquet, opened, read_batches, read_columns
from segmodels.archive.place import Place
from segmodels.archive.rows import SCHEMA
from segmodels.archive.version import Version

__all__ = ["Change", "Writer", "join_small_parts", "retag_part"]

_FULL_PART = 50_000  # rows from which a part is left as it is
_SMALL_PARTS = 8  # number of small parts that are merged


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
                self._seen.add(rewrite.write(self.version.folder, [table]))
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
        rewrite.replace(part, _with_values(read_batches(place, part), rows, columns))
    return changed


def _with_values(
    tables: Iterable[pa.Table], rows: Sequence[int], values: Mapping[str, Sequence[Any]]
) -> Iterator[pa.Table]:
    """Tables with new values, by column, in some of all their rows; `rows` rises."""
    begin = 0
    for table in tables:
        count, renewed = table.num_rows, table
        first, end = bisect_left(rows, begin), bisect_left(rows, begin + count)
        if first < end:
            order = np.arange(count)
            order[np.subtract(rows[first:end], begin)] = count + np.arange(end - first)
            for name, new in values.items():
                field = SCHEMA.field(name)
                both = pa.chunked_array([*table[name].chunks, pa.array(new[first:end], field.type)], field.type)
                renewed = renewed.set_column(SCHEMA.get_field_index(name), field, both.take(pa.array(order)))
        begin += count
        yield renewed


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
                rewrite.write(part.rpartition("/")[0], (table for each in group for table in read_batches(place, each)))
                for each in group:
                    rewrite.hide(each)
            group, rows = [], 0
