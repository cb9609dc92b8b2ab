"""The CSV beside the photos: a date and any tags for each, joined by file name."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from segmodels.archive.place import ArchiveError
from segmodels.sentences import listed

__all__ = ["Entry", "Joined", "Metadata", "implausible", "join", "parse_metadata"]

_NAME_COLUMNS = ("file_name", "filename", "file", "photo", "image", "picture", "path", "name")
_DATE_COLUMNS = ("taken_at", "date", "taken", "date_taken", "datetime", "date_time", "timestamp", "day")
_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_MANY_VALUES = 1000  # number of values above which a tag is of little use for comparisons
_EARLIEST = datetime(1900, 1, 1)
_AHEAD = timedelta(hours=26)  # most hours that a local time may be ahead of ours, with a margin
_SHOWN = 3

_SLASHED = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4})(?:[ T](.*))?")
_YEAR_FIRST = re.compile(r"(\d{4})[:/.](\d{1,2})[:/.](\d{1,2})(?:[ T](.*))?")
_MONTH = re.compile(r"(\d{4})-(\d{2})")


@dataclass(frozen=True)
class Entry:
    """One row of the CSV.

    Args:
        name: The file's name as written.
        tags: Tags by column; empty cells are left out.
        taken_at: Local date and time; None if there is no date or it is implausible.
    """

    name: str
    tags: dict[str, str]
    taken_at: datetime | None = None


@dataclass
class Metadata:
    """The rows of a CSV, and a sentence for each problem with it."""

    entries: list[Entry] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Joined:
    """Assignment of rows to photos.

    Args:
        entries: Entries by the photo's name.
        without_photo: Names in rows without a photo.
        without_row: Photos without a row.
        notes: A sentence for each kind of row that matches several photos or occurs twice.
    """

    entries: dict[str, Entry]
    without_photo: list[str]
    without_row: list[str]
    notes: list[str]


def parse_metadata(data: bytes, name: str, now: datetime | None = None) -> Metadata:
    """Reads a CSV with a header: a column with file names, one with dates if there are any, all others tags.

    UTF-8 with or without a byte-order mark, UTF-16 with one, else Windows-1252; separated by commas, semicolons, tabs
    or bars. A date is ISO 8601 (a time zone is dropped, as local time is kept), `2024/03/31`, `2024-03`,
    `31.03.2024` or `3/31/2024`; in the last two, the order of day and month is decided from the whole column.

    Args:
        data: The file.
        name: Name of the file, for messages.
        now: Time after which a date is implausible; the current time if left out.

    Raises:
        ArchiveError: If the file is not such a CSV; the message says what is wrong and what to do.
    """
    text, notes = _decoded(data, name)
    lines = _lines(text, name)
    header = lines[0][1]
    names, dates = _column(header, _NAME_COLUMNS), _column(header, _DATE_COLUMNS)
    if names is None:
        separators = ", ".join(_SEPARATORS.values())
        raise ArchiveError(
            f"{name} has no column with file names: its header is {', '.join(header)!r}. Call the column file_name, "
            f"and separate columns by one of: {separators}."
        )
    if repeated := [column for column, count in Counter(header).items() if count > 1]:
        raise ArchiveError(f"{name} has two columns called {repeated[0]!r}. Rename one.")
    rows, odd = [], []
    for number, cells in lines[1:]:
        if (len(cells) > len(header) and any(cells[len(header) :])) or len(cells) <= names or not cells[names]:
            odd.append(f"line {number}")
        else:
            rows.append(cells[: len(header)] + [""] * (len(header) - len(cells)))
    if odd:
        notes.append(f"{listed(odd, _SHOWN)} of {name} left out: no file name, or more cells than the header has.")
    taken = [None] * len(rows) if dates is None else _dates([row[dates] for row in rows], name, notes, now)
    entries = [
        Entry(
            row[names],
            {
                column: cell
                for place, (column, cell) in enumerate(zip(header, row, strict=True))
                if cell and column and place not in (names, dates)
            },
            date,
        )
        for row, date in zip(rows, taken, strict=True)
    ]
    for column in dict.fromkeys(header):
        values = {entry.tags[column] for entry in entries if column in entry.tags}
        if len(values) > _MANY_VALUES:
            notes.append(f"The tag {column!r} has {len(values):,} different values: too many for comparisons.")
    return Metadata(entries, notes)


def join(metadata: Metadata, photos: Sequence[str]) -> Joined:
    """Finds each row's photo: by its path below the folder, else by its file name if only one photo has it.

    Upper and lower case, and the two ways in which Unicode writes an accent, are the same.

    Args:
        metadata: The rows.
        photos: Names of the photos, with forward slashes.
    """
    by_path = {_plain(photo): photo for photo in photos}
    by_name: dict[str, list[str]] = defaultdict(list)
    for photo in photos:
        by_name[_plain(photo).rpartition("/")[2]].append(photo)
    entries: dict[str, Entry] = {}
    missing, ambiguous, repeated = [], [], []
    for entry in metadata.entries:
        path = _plain(entry.name)
        choice = [by_path[path]] if path in by_path else by_name.get(path, [])
        if not choice:
            missing.append(entry.name)
        elif len(choice) > 1:
            ambiguous.append(entry.name)
        elif (before := entries.setdefault(choice[0], entry)) is not entry and before != entry:
            repeated.append(entry.name)
    notes = []
    if ambiguous:
        notes.append(
            f"Several photos are called {listed(ambiguous, _SHOWN)}, in different folders: these rows were not used. "
            "Write the folder as well: folder/name.jpg."
        )
    if repeated:
        notes.append(f"Several different rows for {listed(repeated, _SHOWN)}: the first was used.")
    return Joined(entries, missing, [photo for photo in photos if photo not in entries], notes)


def implausible(date: datetime, now: datetime | None = None) -> str:
    """Reason why a date is implausible for a photo; empty if it is plausible."""
    if date > (now or datetime.now()) + _AHEAD:
        return "in the future"
    return "before 1900" if date < _EARLIEST else ""


def _decoded(data: bytes, name: str) -> tuple[str, list[str]]:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        encodings = ["utf-16"]
    elif data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise ArchiveError(f"{name} is a spreadsheet workbook. Export it as CSV.")
    else:
        encodings = ["utf-8-sig", "cp1252"]
    for encoding in encodings:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" in text:
            break
        note = f"{name} is not in UTF-8 and was read as Windows-1252; check that accents are right."
        return text, [note] if encoding == "cp1252" else []
    raise ArchiveError(f"{name} is not text in a known encoding. Save it as CSV in UTF-8.")


def _lines(text: str, name: str) -> list[tuple[int, list[str]]]:
    """The lines of a CSV that are not empty, the header first, each with its number."""
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text))
        lines = [(reader.line_num, [cell.strip() for cell in line]) for line in reader]
    except csv.Error as error:
        raise ArchiveError(f"{name} is not a valid CSV: {error}. Export it again.") from error
    if not (lines := [(number, cells) for number, cells in lines if any(cells)]):
        raise ArchiveError(f"{name} is empty. It needs a header and one row for each photo.")
    return lines


def _separator(text: str) -> str:
    """The separator that splits the header into the most columns."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    return max(_SEPARATORS, key=lambda mark: len(next(csv.reader([header], delimiter=mark), [])))


def _column(header: Sequence[str], names: Iterable[str]) -> int | None:
    plain = [re.sub(r"[\s_-]+", "_", column.casefold()) for column in header]
    return next((plain.index(name) for name in names if name in plain), None)


def _plain(name: str) -> str:
    name = unicodedata.normalize("NFC", name).casefold().replace("\\", "/")
    return name.removeprefix("./").lstrip("/")


def _dates(texts: Sequence[str], name: str, notes: list[str], now: datetime | None) -> list[datetime | None]:
    slashed = [match for text in texts if (match := _SLASHED.fullmatch(text))]
    day_first = any(int(match[1]) > 12 for match in slashed)
    month_first = any(int(match[2]) > 12 for match in slashed)
    both_ways = bool(slashed) and day_first == month_first
    wrong: dict[str, list[str]] = defaultdict(list)
    zones = set()
    dates: list[datetime | None] = []
    for text in texts:
        date = None
        if text:
            if both_ways and _SLASHED.fullmatch(text):
                wrong["may have the day or the month first"].append(text)
            elif (date := _date(text, day_first)) is None:
                wrong["cannot be read as dates"].append(text)
            elif date.tzinfo is not None:
                zones.add(date.utcoffset())
                date = date.replace(tzinfo=None)
            if date is not None and (reason := implausible(date, now)):
                wrong[f"are {reason}"].append(text)
                date = None
        dates.append(date)
    for reason, found in wrong.items():
        notes.append(f"{listed(found, _SHOWN)} in {name} {reason} and were not used. Write dates as 2024-03-31.")
    if len(zones) > 1:
        notes.append(f"The dates of {name} have {len(zones)} time zones: each date keeps its local time.")
    return dates


def _date(text: str, day_first: bool) -> datetime | None:
    if match := _SLASHED.fullmatch(text):
        day, month = (match[1], match[2]) if day_first else (match[2], match[1])
        text = _iso(match[3], month, day, match[4])
    elif match := _YEAR_FIRST.fullmatch(text):
        text = _iso(match[1], match[2], match[3], match[4])
    elif match := _MONTH.fullmatch(text):
        text = f"{text}-01"
    elif text.isdecimal() and len(text) != 8:  # fromisoformat would take 2024001 for a day of a year
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _iso(year: str, month: str, day: str, time: str | None) -> str:
    return f"{year}-{int(month):02d}-{int(day):02d}" + (f"T{time}" if time else "")
