"""The CSV beside the photos: a date and any tags for each, joined by file name."""

from __future__ import annotations

import codecs
import csv
import io
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice, takewhile
from posixpath import splitext
from urllib.parse import unquote, urlsplit

from segmodels.archive.dates import Precision, Taken, read_dates
from segmodels.archive.decoding import ENCODINGS, encoding_name, likely_encodings, telling_words
from segmodels.archive.place import ArchiveError
from segmodels.csv_text import original
from segmodels.photo import PHOTO_SUFFIXES
from segmodels.sentences import first_line, listed

__all__ = [
    "DATE_COLUMNS",
    "TABLE_SUFFIXES",
    "Entry",
    "Joined",
    "Metadata",
    "join",
    "parse_metadata",
    "plain_name",
    "read_lines",
    "tidied",
    "unify_tags",
]

TABLE_SUFFIXES = (".csv", ".tsv", ".tab", ".txt")
"""File name endings, in lower case, of tables that `parse_metadata` reads."""

_NAME_COLUMNS = (
    *("file_name", "filename", "file", "photo", "image", "picture", "path", "img"),
    *("image_path", "img_path", "photo_path", "file_path", "filepath", "image_file", "photo_file", "image_name"),
    *("img_name", "photo_name", "image_id", "photo_id", "image_url", "photo_url", "url", "name", "id"),
)
DATE_COLUMNS = (
    *("taken_at", "date", "taken", "date_taken", "datetime", "date_time", "timestamp", "day"),
    *("capture_date", "shoot_date", "photo_date", "created", "created_at", "date_created"),
)
"""Headers of columns with dates, in lower case with underscores, those that go before first."""

_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_OTHER_FILES = (
    (rb"PK\x03\x04|\xd0\xcf\x11\xe0", "a spreadsheet workbook"),
    (rb"%PDF", "a PDF"),
    (rb"\s*<(?:html|!doctype|\?xml|table|meta)", "a web page or XML"),
    (rb"\s*(?:\[\s*)?\{\s*[\"}]", "JSON"),
    (rb"PAR1", "a Parquet file"),
    (rb"SQLite format 3", "a database"),
    (rb"\{\\rtf", "a text document"),
    (rb"\x1f\x8b|\x28\xb5\x2f\xfd|Rar!|7z\xbc\xaf", "a packed file"),
)
_BEFORE_HEADER = 20  # most lines that are looked at for the header
_INVISIBLE = re.compile("[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]")  # marks that copied text carries
_SEPARATOR_LINE = re.compile(r'\s*"?sep=(.)"?\s*', re.IGNORECASE)  # of spreadsheets, before the header
_NOTHING = frozenset(
    ["", "null", "nan", "nat", "<na>", "\\n", "#n/a", "#na", "#null!", "#ref!", "#value!", "#name?", "#div/0!"]
)
_MOST_COLUMNS = 1000
_LONGEST = 300  # characters of a tag
_MANY_VALUES = 1000  # number of values above which a tag is of little use for comparisons
_SHOWN = 3


@dataclass(frozen=True)
class Entry:
    """One row of the CSV.

    Args:
        name: The file's name as written.
        tags: Tags by column; empty cells are left out.
        taken_at: Local date and time; None if there is no date or it is implausible.
        precision: What the date names; it is at its first day.
    """

    name: str
    tags: dict[str, str]
    taken_at: datetime | None = None
    precision: Precision = "day"


@dataclass
class Metadata:
    """The rows of a CSV.

    Args:
        entries: The rows.
        notes: A sentence for each problem.
        encoding: Encoding that the file was read in.
        encodings: Encodings that it may be in, the one that was read first; a single one where it is certain.
        ambiguous_dates: Dates that may have the day or the month first.
        name_column: Header of the column with the names of the photos.
        date_column: Header of the column with dates; empty if there is none.
        mixed_dates: A date that has the day first and one that has the month first, where both occur.
    """

    entries: list[Entry] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    encoding: str = "utf-8"
    encodings: list[str] = field(default_factory=list)
    ambiguous_dates: list[str] = field(default_factory=list)
    name_column: str = ""
    date_column: str = ""
    mixed_dates: list[str] = field(default_factory=list)


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


def parse_metadata(
    data: bytes,
    name: str,
    now: datetime | None = None,
    *,
    encoding: str | None = None,
    day_first: bool | None = None,
) -> Metadata:
    """Reads a CSV with a header: a column with file names, one with dates if there are any, all others tags.

    Separated by commas, semicolons, tabs or bars, or as a first line `sep=;` says. UTF-8 with or without a byte-order
    mark, UTF-16, else the encoding in which it looks most like text. Dates are those that `read_dates` reads. Values,
    and headers, that differ in upper and lower case alone become one. Invisible characters are left out of all cells,
    lines such as a title before the header are passed over, and so is a header that comes again. Cells such as `NULL`,
    `NaN` and `#N/A`, which databases and spreadsheets write for nothing, are empty.

    Args:
        data: The file.
        name: Name of the file, for messages.
        now: Time after which a date is implausible; the current time if left out.
        encoding: Encoding of the file, by Python's name; found out if left out.
        day_first: Whether `03/04/2024` is 3 April; found out from the other dates if left out.

    Raises:
        ArchiveError: If the file is not such a CSV; the message says what is wrong and what to do.
    """
    lines, encodings, notes = read_lines(data, name, encoding)
    header = lines[0][1]
    names = _name_column(header, [cells for _, cells in lines[1:]])
    dates = _column(header, DATE_COLUMNS)
    if names is None or _holds_name(header[names]):
        raise ArchiveError(_without_names(name, header))
    if repeated := [column for column, count in Counter(map(_same, header)).items() if count > 1 and column]:
        column = next(each for each in header if _same(each) == repeated[0])
        raise ArchiveError(f"{name} has two columns called {column!r}. Rename one.")
    rows, odd, long, again = [], [], [], []
    for number, cells in lines[1:]:
        if cells == header:
            again.append(f"line {number}")
        elif (len(cells) > len(header) and any(cells[len(header) :])) or len(cells) <= names or not cells[names]:
            odd.append(f"line {number}")
        else:
            rows.append(cells[: len(header)] + [""] * (len(header) - len(cells)))
        if any("\n" in cell and _holds_name(cell) for cell in cells):
            long.append(f"line {number}")
    if odd:
        notes.append(f"{listed(odd, _SHOWN)} of {name} left out: no file name, or more cells than the header has.")
    if again:
        notes.append(f"{listed(again, _SHOWN)} of {name} left out: the header once more.")
    if not (rows or odd):
        notes.append(f"{name} has a header and no rows: write a line for each photo.")
    if long:
        notes.append(
            f"The row that ends in {listed(long, _SHOWN)} of {name} has a cell of several lines with names of photos: "
            "a quotation mark may be missing, so that rows were lost."
        )
    texts = ["" if _is_empty(row[dates]) else row[dates] for row in rows] if dates is not None else []
    found = read_dates(texts, name, day_first=day_first, now=now)
    notes += found.notes
    taken: list[Taken | None] = found.taken if dates is not None else [None] * len(rows)
    entries = [
        Entry(
            row[names],
            {
                column: cell
                for place, (column, cell) in enumerate(zip(header, row, strict=True))
                if column and place not in (names, dates) and not _is_empty(cell)
            },
            *(date or ()),
        )
        for row, date in zip(rows, taken, strict=True)
    ]
    entries, said = tidied(entries)
    notes += said
    return Metadata(
        entries,
        notes,
        encodings[0],
        encodings,
        found.ambiguous,
        header[names],
        "" if dates is None else header[dates],
        found.mixed,
    )


def read_lines(
    data: bytes, name: str, encoding: str | None = None
) -> tuple[list[tuple[int, list[str]]], list[str], list[str]]:
    """The lines of a table of text that are not empty, the header first.

    Args:
        data: The file.
        name: Name of the file, for messages.
        encoding: Encoding of the file, by Python's name; found out if left out.

    Returns:
        Number and cells of each line; the encodings that the file may be in, the one that was read first; and a
        sentence if that is not certain.

    Raises:
        ArchiveError: If the file is not such a table; the message says what is wrong and what to do.
    """
    text, encodings, notes = _decoded(data, name, encoding)
    lines = _lines(text, name)
    if (start := _header_at(lines)) > 0:
        lines = lines[start:]
        notes.append(f"The header of {name} is line {lines[0][0]}; what stands before it was passed over.")
    return lines, encodings, notes


def tidied(entries: Sequence[Entry]) -> tuple[list[Entry], list[str]]:
    """Rows whose tags have one spelling each, and sentences on spellings, long tags and tags with very many values."""
    entries, notes = _cut(entries)
    result, changed = unify_tags(entries)
    if changed:
        notes.append(f"Tags that differ in upper and lower case alone were made one: {listed(changed, _SHOWN)}.")
    values: dict[str, set[str]] = {}
    for entry in result:
        for column, value in entry.tags.items():
            values.setdefault(column, set()).add(value)
    notes += [
        f"The tag {column!r} has {len(found):,} different values: too many for comparisons."
        for column, found in values.items()
        if len(found) > _MANY_VALUES
    ]
    return result, notes


def _cut(entries: Sequence[Entry]) -> tuple[Sequence[Entry], list[str]]:
    """Rows without tags that are too long to choose from and to show, and a sentence if there were some."""
    long = {text for entry in entries for pair in entry.tags.items() for text in pair if len(text) > _LONGEST}
    if not long:
        return entries, []
    shortened = {text: f"{text[: _LONGEST - 1].rstrip()}…" for text in long}
    result = [
        replace(entry, tags={shortened.get(key, key): shortened.get(value, value) for key, value in entry.tags.items()})
        for entry in entries
    ]
    what = "1 tag is" if len(long) == 1 else f"{len(long):,} tags are"
    first = min(long)[:40].rstrip()
    return result, [f"{what} longer than {_LONGEST} characters and {'was' if len(long) == 1 else 'were'} cut: {first}…"]


def unify_tags(
    entries: Sequence[Entry], known: Mapping[str, Sequence[str]] | None = None
) -> tuple[list[Entry], list[str]]:
    """Gives tags that differ in upper and lower case, blanks or the form of an accent one spelling.

    Args:
        entries: The rows.
        known: Spellings that go before, values by tag, the most frequent first.

    Returns:
        The rows with the known spelling, else that of most rows; and the changes, as `milan to Milan`.
    """
    columns: dict[str, str] = {}
    values: dict[tuple[str, str], str] = {}
    counts = Counter((column, value) for entry in entries for column, value in entry.tags.items())
    for column, spellings in (known or {}).items():
        columns.setdefault(_same(column), column)
        for value in spellings:
            values.setdefault((_same(column), _same(value)), value)
    for column, value in sorted(counts, key=lambda pair: -counts[pair]):
        columns.setdefault(_same(column), column)
        values.setdefault((_same(column), _same(value)), value)
    changed: dict[str, None] = {}
    result = []
    for entry in entries:
        tags = {}
        for column, value in entry.tags.items():
            name, spelling = columns[_same(column)], values[_same(column), _same(value)]
            changed |= {f"{old} to {new}": None for old, new in ((column, name), (value, spelling)) if old != new}
            tags[name] = spelling
        result.append(replace(entry, tags=tags) if tags != entry.tags else entry)
    return result, list(changed)


def join(metadata: Metadata, photos: Sequence[str]) -> Joined:
    r"""Finds each row's photo.

    By its address, if the photos have addresses; by its path below the folder; else by its file name, if only one photo
    has it, whatever folders the row has before it (`C:\photos\b.jpg`); else by its name without ending, as data sets
    have ids. Of photos of one name in several
    folders, that with the most folders of the row is taken. Upper and lower case, and the two ways in which Unicode
    writes an accent, are the same.

    Args:
        metadata: The rows.
        photos: Names of the photos, with forward slashes.
    """
    plain = {photo: plain_name(photo) for photo in photos}
    by_path = {path: photo for photo, path in plain.items()}
    as_written = {photo: photo for photo in photos if "://" in photo}  # addresses may differ after the `?` alone
    by_name: dict[str, list[str]] = defaultdict(list)
    by_stem: dict[str, list[str]] = defaultdict(list)
    for photo, path in plain.items():
        name = path.rpartition("/")[2]
        by_name[name].append(photo)
        by_stem[splitext(name)[0]].append(photo)
    entries: dict[str, Entry] = {}
    missing, ambiguous, repeated, elsewhere = list[str](), list[str](), list[str](), list[str]()
    paths = [plain_name(entry.name) for entry in metadata.entries]
    whole = {by_path[path] for path in paths if path in by_path}  # no other row may have these
    for entry, path in zip(metadata.entries, paths, strict=True):
        if entry.name in as_written:
            entries.setdefault(entry.name, entry)
            continue
        folder, _, name = path.rpartition("/")
        choice = [by_path[path]] if path in by_path else by_name.get(name) or by_stem.get(name, [])
        if len(choice) > 1 and folder:
            choice = _nearest(path, choice, plain)
        if path not in by_path:
            choice = choice if len(choice) > 1 else [photo for photo in choice if photo not in whole]
        if not choice:
            missing.append(entry.name)
        elif len(choice) > 1:
            ambiguous.append(entry.name)
        elif (before := entries.setdefault(choice[0], entry)) is not entry and before != entry:
            repeated.append(entry.name)
        elif path not in by_path and folder:
            elsewhere.append(f"{entry.name} ({choice[0]})")
    notes = []
    if ambiguous:
        notes.append(
            f"Several photos are called {listed(ambiguous, _SHOWN)}, in different folders: these rows were not used. "
            "Write the folder as well: folder/name.jpg."
        )
    if repeated:
        notes.append(f"Several different rows for {listed(repeated, _SHOWN)}: the first was used.")
    if elsewhere:
        notes.append(f"Folders of rows that are not those of the photos were passed over: {listed(elsewhere, _SHOWN)}.")
    return Joined(entries, missing, [photo for photo in photos if photo not in entries], notes)


def _nearest(path: str, choice: Sequence[str], plain: Mapping[str, str]) -> list[str]:
    """Those of several photos of one name that share the most folders with a path, counted from the file."""
    parts = path.split("/")[::-1]

    def shared(photo: str) -> int:
        own = plain[photo].split("/")[::-1]
        return next((at for at, pair in enumerate(zip(parts, own, strict=False)) if pair[0] != pair[1]), len(own))

    most = max(map(shared, choice))
    return [photo for photo in choice if shared(photo) == most] if most > 1 else list(choice)


def _decoded(data: bytes, name: str, encoding: str | None) -> tuple[str, list[str], list[str]]:
    """The text, the encodings that it may be in, the one that was read first, and notes on that."""
    for begins, what in _OTHER_FILES:
        if re.match(begins, data.removeprefix(codecs.BOM_UTF8)[:200], re.IGNORECASE):
            raise ArchiveError(f"{name} is {what}. Export it as CSV.")
    if encoding:
        try:
            "a".encode(encoding)
        except (LookupError, ValueError):  # none of that name, or none of text, such as zlib
            raise ArchiveError(
                f"There is no encoding of text {encoding!r}. Name one such as utf-8, gbk or windows-1252."
            ) from None
        try:
            text = data.decode("utf-8-sig" if encoding == "utf-8" else encoding)
            text.encode()  # escapes such as \\ud800 are halves of characters, which nobody can write
        except UnicodeError:
            raise ArchiveError(f"{name} is not in {encoding_name(encoding)}. Choose another encoding.") from None
        found = [encoding, *(each for each in _encodings(data) if each != encoding)]
        return text, found, []
    for known in _encodings(data):
        text = data.decode("utf-8-sig" if known == "utf-8" else known)
        if "\0" in text:
            break
        found = _encodings(data)
        if known.startswith("utf"):
            return text, [known], []
        return text, found, [_encoding_note(name, data, found)]
    raise ArchiveError(f"{name} is not text in a known encoding. Save it as CSV in UTF-8.")


def _encodings(data: bytes) -> list[str]:
    wide = ""
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        wide = "utf-32"
    elif data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        wide = "utf-16"
    elif len(data) > 1 and (data[0] == 0) != (data[1] == 0):
        wide = "utf-16-be" if data[0] == 0 else "utf-16-le"
    if wide:
        return [wide] if _can_read(data, wide) else []
    if _can_read(data, "utf-8"):
        return ["utf-8"]
    usual = [encoding for encoding in ENCODINGS if encoding != "utf-8"]
    return [each for each in likely_encodings(data, usual) if _can_read(data, each)]


def _can_read(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def _encoding_note(name: str, data: bytes, encodings: Sequence[str]) -> str:
    def reading(encoding: str) -> str:
        words = telling_words(data.decode(encoding), 2)
        return encoding_name(encoding) + (f": {', '.join(words)}" if words else "")

    note = f"{name} is not in UTF-8 and was read as {reading(encodings[0])}."
    others = [each for each in encodings[1:] if data.decode(each) != data.decode(encodings[0])]
    if not others:
        return f"{note} Check that accents are right."
    return f"{note} If that is wrong, choose its encoding; it may be {'; or '.join(map(reading, others[:_SHOWN]))}."


def _lines(text: str, name: str) -> list[tuple[int, list[str]]]:
    """The lines of a CSV that are not empty, the header first, each with its number."""
    first, _, rest = text.partition("\n")
    said = _SEPARATOR_LINE.fullmatch(first.rstrip("\r"))
    body, skipped = (rest, 1) if said else (text, 0)
    mark = said[1] if said else _separator(text)
    last = "end"
    try:
        reader = csv.reader(io.StringIO(f"{body}\n{last}", newline=""), delimiter=mark, skipinitialspace=True)
        lines, begins, start = [], [], 1
        for line in reader:
            lines.append((reader.line_num + skipped, [original(_visible(cell)) for cell in line]))
            begins.append(start + skipped)
            start = reader.line_num + 1
    except (csv.Error, TypeError) as error:
        reason = "a cell is far too long" if "field limit" in str(error) else first_line(error)
        raise ArchiveError(f"{name} is not a valid CSV: {reason}. Export it again.") from error
    if lines[-1][1] != [last]:
        raise ArchiveError(
            f"{name} has a quotation mark in the row of line {begins[-1]} that is never closed, so that the rest of "
            "the file belongs to one cell. Close or remove it, or export the file again."
        )
    if not (lines := [(number, cells) for number, cells in lines[:-1] if any(cells)]):
        raise ArchiveError(f"{name} is empty. It needs a header and one row for each photo.")
    if len(lines[0][1]) > _MOST_COLUMNS:
        raise ArchiveError(
            f"{name} has {len(lines[0][1]):,} columns; {_MOST_COLUMNS:,} are allowed. Keep those with file names, "
            "dates and tags."
        )
    return lines


def _separator(text: str) -> str:
    """The separator that splits the header into the most columns."""
    lines = list(islice((line for line in io.StringIO(text) if line.strip()), _BEFORE_HEADER))

    def cells(line: str, mark: str) -> list[str]:
        try:
            return next(csv.reader([line], delimiter=mark), [])
        except csv.Error:  # one cell that is too long
            return []

    def is_header(line: str) -> bool:
        return any(
            _column([_visible(cell) for cell in cells(line, mark)], _NAME_COLUMNS) is not None for mark in _SEPARATORS
        )

    header = next(filter(is_header, lines), lines[0] if lines else "")
    return max(_SEPARATORS, key=lambda mark: len(cells(header, mark)))


def _header_at(lines: Sequence[tuple[int, Sequence[str]]]) -> int:
    """Index of the header: before the first line with a photo, the first line with a usual header of such a column."""
    before = list(takewhile(lambda line: not any(map(_holds_name, line[1])), lines[:_BEFORE_HEADER]))
    if len(before) in (len(lines), _BEFORE_HEADER):  # no photo says where the rows begin
        return 0
    return next((at for at, (_, cells) in enumerate(before) if _column(cells, _NAME_COLUMNS) is not None), 0)


def _visible(text: str) -> str:
    """A text without blanks around it and without marks that nobody sees, which are no part of a name or a date."""
    return _INVISIBLE.sub("", text).strip()


def _column(header: Sequence[str], names: Iterable[str]) -> int | None:
    plain = [re.sub(r"[\s_-]+", "_", column.casefold()) for column in header]
    return next((plain.index(name) for name in names if name in plain), None)


def _name_column(header: Sequence[str], rows: Sequence[Sequence[str]]) -> int | None:
    """The column with names of photos: one whose cells end like photos, a usual header before others; else by header.

    So `id` and `photo` may stand beside each other, and a column of file names may have any header.
    """
    looked_at = list(islice((cells for cells in rows if any(cells)), 200))

    def photos(place: int) -> int:
        return sum(len(cells) > place and _holds_name(cells[place]) for cells in looked_at)

    usual = [place for name in _NAME_COLUMNS if (place := _column(header, [name])) is not None]
    likely = [place for place in (*usual, *range(len(header))) if 2 * photos(place) > len(looked_at)]
    return next(iter(likely or usual), None)


def _without_names(name: str, header: Sequence[str]) -> str:
    if any(map(_holds_name, header)):
        return f"{name} has no header: its first line is a row. Put a line such as file_name,taken_at,market before it."
    separators = ", ".join(_SEPARATORS.values())
    return (
        f"{name} has no column with file names: its header is {', '.join(header)[:200]!r}. Call the column file_name, "
        f"and separate columns by one of: {separators}."
    )


def _holds_name(cell: str) -> bool:
    """Whether one of a cell's lines, or its only one, begins or ends with the name of a photo."""
    return any(
        _path(part).lower().endswith(PHOTO_SUFFIXES)
        for line in cell.splitlines()
        for part in re.split(r"[,;\t|]", line)
    )


def _path(name: str) -> str:
    """The path of a name; that of an address without its query."""
    name = name.strip()
    if not re.match(r"[a-z][a-z0-9+.]+://", name, re.IGNORECASE):
        return name
    try:
        return unquote(urlsplit(name).path)
    except ValueError:  # no address after all, such as http://[
        return name


def plain_name(name: str) -> str:
    """What names of one photo have in common: the path, in lower case, with forward slashes, without a drive."""
    name = re.sub(
        r"\s", " ", _INVISIBLE.sub("", unicodedata.normalize("NFC", _path(name)))
    )  # 9.05 PM of a Mac's screenshot
    name = name.casefold().replace("\\", "/")
    return re.sub(r"^(?:[a-z]:)?(?:\./|/)*", "", name)


def _is_empty(cell: str) -> bool:
    """Whether a cell holds nothing, or what databases and spreadsheets write for nothing."""
    return cell.casefold() in _NOTHING


def _same(text: str) -> str:
    """What texts have in common that differ in case, blanks or the form of an accent alone."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())
