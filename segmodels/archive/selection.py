"""Photos of an archive chosen by id, file name, tag or date."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segmodels.archive.metadata import plain_name
from segmodels.archive.place import ArchiveError

__all__ = ["COLUMNS", "Selection", "are_called", "chosen", "parse_day", "parse_tag"]

COLUMNS = ("photo_id", "file_name", "taken_at", "tags")
"""Columns that `chosen` reads for any selection."""

_UNUSUAL = r"^\s|\s$|\\|^[A-Za-z]:|^\.?/|://"  # what `plain_name` changes in a name besides its case


@dataclass(frozen=True)
class Selection:
    """Conditions that a photo meets, all of those that are given; of several values of one, any.

    Args:
        ids: Ids of photos.
        files: File names: with folders, without them, or patterns with `*` and `?`. Upper and lower case are the same.
        tags: Tags with a value each; of one tag any of the values, of several tags all.
        since: First day; photos without a date are not chosen.
        until: Last day, included.
    """

    ids: Sequence[str] = ()
    files: Sequence[str] = ()
    tags: Sequence[tuple[str, str]] = ()
    since: date | None = None
    until: date | None = None

    @property
    def is_empty(self) -> bool:
        """Whether no condition is given."""
        return not (self.ids or self.files or self.tags or self.since or self.until)

    @property
    def columns(self) -> list[str]:
        """Columns that `chosen` reads for it, with the id and the name of a photo."""
        wanted = (
            ("photo_id", "file_name") + ("tags",) * bool(self.tags) + ("taken_at",) * bool(self.since or self.until)
        )
        return list(wanted)

    @property
    def patterns(self) -> list[str]:
        """Those of `files` that are patterns."""
        return [each for each in self.files if set("*?").intersection(each)]


def chosen(table: pa.Table, selection: Selection) -> np.ndarray:
    """Which rows a selection chooses, bool `(rows,)`.

    Args:
        table: Rows with the columns of `selection.columns`, or of `COLUMNS`.
        selection: The conditions.
    """
    found = np.full(table.num_rows, not selection.is_empty)
    if selection.ids:
        found &= _is_in(table["photo_id"], selection.ids)
    if selection.files:
        found &= are_called(table["file_name"], selection.files, selection.patterns)
    for name in dict.fromkeys(name for name, _ in selection.tags):
        values = [value for key, value in selection.tags if key == name]
        found &= _is_in(pc.map_lookup(table["tags"], pa.scalar(name), "first"), values)
    if selection.since:
        found &= _as_bool(pc.greater_equal(table["taken_at"], _midnight(selection.since)))
    if selection.until:
        last = pa.scalar(datetime.combine(selection.until, time.max), pa.timestamp("us"))
        found &= _as_bool(pc.less_equal(table["taken_at"], last))
    return found


def are_called(names: pa.ChunkedArray, files: Iterable[str], patterns: Iterable[str] = ()) -> np.ndarray:
    """Which names of files are among some, bool `(names,)`.

    Names are compared without a drive, with forward slashes, in one form of accents and without upper case.

    Args:
        names: Names of files, as strings.
        files: Names to look for; one without folders is that in any folder.
        patterns: Names with `*` and `?` to look for, in the same way.
    """
    plain = _plain(names)
    without_folder = pc.replace_substring_regex(plain, r"(?s)^.*/", "")
    wanted = [plain_name(each) for each in files]
    found = _is_in(plain, wanted)
    found |= _is_in(without_folder, [each for each in wanted if "/" not in each])
    for pattern in map(plain_name, patterns):
        pieces = (".*" if each == "*" else "." if each == "?" else re.escape(each) for each in pattern)
        expression = f"(?s)^{''.join(pieces)}$"
        found |= _as_bool(pc.match_substring_regex(plain if "/" in pattern else without_folder, expression))
    return found


def parse_tag(text: str) -> tuple[str, str]:
    """The tag and the value of `market=North`.

    Raises:
        ArchiveError: If there is no `=`, or nothing before it.
    """
    name, mark, value = text.partition("=")
    if not (mark and name.strip() and value.strip()):
        raise ArchiveError(f"{text!r} is not a tag with a value. Write it as market=North.")
    return name.strip(), value.strip()


def parse_day(text: str) -> date:
    """The day of `2024-03-31`.

    Raises:
        ArchiveError: If it is none.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArchiveError(f"{text!r} is not a day. Write it as 2024-03-31.") from None


def _is_in(values: pa.ChunkedArray | pa.Array, wanted: Sequence[str]) -> np.ndarray:
    return _as_bool(pc.is_in(values, pa.array(list(wanted), values.type)))


def _plain(names: pa.ChunkedArray) -> pa.Array:
    """`plain_name` of each name; null stays null."""
    names = names.combine_chunks().cast(pa.string())
    unusual = pc.or_(pc.invert(pc.string_is_ascii(names)), pc.match_substring_regex(names, _UNUSUAL))
    unusual = pc.fill_null(unusual, False)
    plain = [plain_name(name) for name in names.filter(unusual).to_pylist()]
    return pc.replace_with_mask(pc.utf8_lower(names), unusual, pa.array(plain, pa.string()))


def _as_bool(values: pa.ChunkedArray | pa.Array) -> np.ndarray:
    result: np.ndarray = np.asarray(pc.fill_null(values, False)).astype(bool)
    return result


def _midnight(day: date) -> pa.Scalar:
    return pa.scalar(datetime(day.year, day.month, day.day), pa.timestamp("us"))
