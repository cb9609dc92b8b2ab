"""Weeks of shows: a table of names with their days, by which photos get the tag `show`.

    DIR/shows.json    the table

The tag is not written into the rows: it is that of the day when the archive is read, so that a new table counts at
once. A photo that has a tag `show` of its own keeps it. A day that is in two shows counts for the one that began later.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from segmodels.archive.changes import SHOWS, changing, note, visible_parts
from segmodels.archive.log import LogEntry
from segmodels.archive.place import ArchiveError, Place
from segmodels.files import parse_json
from segmodels.sentences import first_line

__all__ = ["TAG", "Show", "parse_shows", "read_shows", "set_shows"]

TAG = "show"
"""Name of the tag."""

_MOST = 500
_MOST_NAME = 80
_MOST_BYTES = 1_000_000
_COLUMNS = ("name", "from", "to")


@dataclass(frozen=True, order=True)
class Show:
    """The days of a show.

    Args:
        first: First day.
        last: Last day, included.
        name: Name, such as `Paris FW26`.
    """

    first: date
    last: date
    name: str


def parse_shows(data: bytes) -> list[Show]:
    """The shows of a CSV with the columns `name`, `from` and `to`, by their first days.

    Args:
        data: The CSV in UTF-8; commas, semicolons or tabs separate the columns.

    Raises:
        ArchiveError: If it is no such table; the message says which line is wrong.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ArchiveError("The table of shows is not in UTF-8. Save it as CSV (UTF-8).") from None
    head = text.partition("\n")[0]
    mark = max(",;\t", key=head.count)
    found = []
    try:
        rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=mark)
        names = {(name or "").strip().casefold(): name for name in rows.fieldnames or ()}
        if missing := [name for name in _COLUMNS if name not in names]:
            raise ArchiveError(
                f"The table of shows has no column {missing[0]}. It needs the columns name, from and to."
            )
        for row in rows:
            name, first, last = ((row[names[column]] or "").strip() for column in _COLUMNS)
            if name or first or last:
                found.append(_show(name, first, last, rows.line_num))
    except csv.Error as error:
        raise ArchiveError(f"The table of shows cannot be read: {first_line(error)}.") from None
    if not found:
        raise ArchiveError("The table of shows has no row. Give a line such as Paris FW26,2026-03-02,2026-03-10.")
    if len(found) > _MOST:
        raise ArchiveError(f"The table has {len(found):,} shows; the most are {_MOST}.")
    return sorted(found)


def read_shows(place: Place) -> list[Show]:
    """The shows of an archive, by their first days; none if there is no table, or it cannot be read."""
    try:
        rows = parse_json(place.read(SHOWS, _MOST_BYTES).decode("utf-8"))
        return sorted(
            Show(date.fromisoformat(row["from"]), date.fromisoformat(row["to"]), str(row["name"])) for row in rows
        )
    except (OSError, ValueError, KeyError, TypeError):
        return []


def set_shows(place: Place, shows: Sequence[Show], by: str = "") -> None:
    """Sets the shows of an archive, in place of those before.

    Args:
        place: Place of the archive.
        shows: The shows; none to remove the table.
        by: Who does it, for the log.

    Raises:
        ArchiveError: If the archive is not there, or it cannot be written.
    """
    rows = [{"name": show.name, "from": str(show.first), "to": str(show.last)} for show in shows]
    with changing(place):
        if not visible_parts(place):
            raise ArchiveError(f"{place.location} holds no archive yet. Check the path.")
        if rows:
            place.write(SHOWS, (json.dumps(rows, indent=1, ensure_ascii=False) + "\n").encode())
        else:
            place.remove(SHOWS)
        note(place, LogEntry("set shows", by, {"shows": len(rows)}))


def _show(name: str, first: str, last: str, line: int) -> Show:
    try:
        show = Show(date.fromisoformat(first), date.fromisoformat(last), name)
    except ValueError:
        raise ArchiveError(f"Line {line} of the table of shows has no days such as 2026-03-02. Correct it.") from None
    if not name or len(name) > _MOST_NAME or not name.isprintable():
        raise ArchiveError(f"Line {line} needs a name of 1 to {_MOST_NAME} characters. Correct the table of shows.")
    if show.first > show.last:
        raise ArchiveError(f"{name} ends on {last}, before it begins on {first}. Correct line {line} of the table.")
    return show
