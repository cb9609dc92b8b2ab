"""Sources of photos, and of the tables beside them: a folder, a bucket, a ZIP, uploaded files."""

from __future__ import annotations

import errno
import io
import os
import re
import stat
import zipfile
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from segmodels.archive.decoding import encoding_name, likely_encodings
from segmodels.archive.metadata import TABLE_SUFFIXES, Metadata, parse_metadata, plain_name
from segmodels.archive.place import ArchiveError, Place
from segmodels.archive.raw import RAW_SUFFIXES, can_read_raw, developed
from segmodels.archive.rows import MAX_PHOTO_BYTES
from segmodels.class_maps import class_maps, is_class_map, is_listing
from segmodels.files import ZIP_ERRORS
from segmodels.photo import PHOTO_SUFFIXES, PhotoError, find_photos, over_limit
from segmodels.sentences import listed

if TYPE_CHECKING:
    from segmodels.archive.fetching import Fetcher

__all__ = [
    "VIDEO_SUFFIXES",
    "Found",
    "Rejected",
    "Source",
    "find_sources",
    "from_uploads",
    "from_zip",
    "is_table",
    "photo_in",
    "read_file",
    "read_tables",
]

_MOST_MEMBERS = 200_000
_BOMB = 100  # factor by which a ZIP may grow; photos are compressed already and hardly grow
_BOMB_BYTES = 1024**3  # size below which any growth is accepted
_RAW = ', to be exported as JPEG, or read after pip install "garmentscope[raw]"'
_VIDEO = ", whose frames `archive ingest --videos` takes"
_NAMED = 3
_ZIP_ENCODINGS = ("cp437", "cp850", "gb18030", "cp932", "big5", "cp949", "cp866", "cp1252", "cp1250", "cp1251")
VIDEO_SUFFIXES = (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".mts", ".m2ts", ".wmv")
"""File name endings, in lower case, of videos."""

_NO_ZIPS = (
    (rb"Rar!", "a RAR archive"),
    (rb"7z\xbc\xaf", "a 7-Zip archive"),
    (rb"\x1f\x8b", "a gzip file"),
    (rb".{257}ustar", "a tar archive"),
)
_METHODS: dict[int, str] = getattr(zipfile, "compressor_names", {})
_OF_FOLDERS = ("thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r")  # what systems put into folders
_PACKED = (".zip", ".rar", ".7z", ".tar", ".gz", ".tgz")


class Rejected(NamedTuple):
    """A file that is not in the archive, and the reason as a sentence."""

    file: str
    reason: str


@dataclass(frozen=True)
class Source:
    """A photo that can be read.

    Args:
        name: Path below the ingested folder or ZIP, with forward slashes.
        read: Function that gives the file's content, cut after `MAX_PHOTO_BYTES` + 1 bytes if it is longer;
            raises `PhotoError` or `OSError`.
        location: Folder as a path or URI in which any machine of a cluster can read the file `name`; empty if none.
        product: Key of the product whose pictures become one row; empty for a row of its own.
        fetcher: Fetcher of a photo whose name is its address; None for others.
    """

    name: str
    read: Callable[[], bytes] = field(repr=False)
    location: str = ""
    product: str = ""
    fetcher: Fetcher | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Found:
    """What a place holds.

    Args:
        sources: Photos in the order of their names.
        rejected: Files that are rejected before any is read.
        tables: Tables of metadata in a ZIP, which can be read like photos.
        notes: A sentence for each kind of file that is passed over.
    """

    sources: list[Source]
    rejected: list[Rejected]
    tables: list[Source] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_sources(location: str | Path) -> Found:
    """The photos of a folder at every depth, of a ZIP, or of a URI that pyarrow's file systems know.

    Hidden files and folders (whose names start with a dot) are left out, and so are files without the ending of a
    photo.

    Raises:
        ArchiveError: If the place is not there, cannot be listed, or is a damaged ZIP.
    """
    place = Place(location)
    if place.local is None:
        files = place.files()
        made = class_maps(files, lambda name: place.read(name, MAX_PHOTO_BYTES))
        names = [name for name in files if _is_photo(name) and name not in made]
        return Found([_in_folder(place, name) for name in names], [], notes=_passed_over(files, str(location), made))
    folder = place.local
    if folder.is_file():
        if zipfile.is_zipfile(folder) or folder.suffix.lower() == ".zip":
            return from_zip(folder, str(location))
        raise ArchiveError(f"{location} is a file. Name the folder that it is in, or a ZIP of photos.")
    passed_over: dict[Path, str] = {}
    try:
        paths = find_photos([folder], passed_over, _suffixes())
    except PhotoError as error:
        raise ArchiveError(str(error)) from None
    names = [
        Path(parent, file).relative_to(folder).as_posix() for parent, _, files in os.walk(folder) for file in files
    ]
    made = {name for name in names if _is_photo(name)} - {path.relative_to(folder).as_posix() for path in paths}
    rejected = [Rejected(path.relative_to(folder).as_posix(), reason) for path, reason in passed_over.items()]
    return Found([_on_disk(folder, path) for path in paths], rejected, notes=_passed_over(names, str(location), made))


def from_zip(file: Path | bytes, name: str) -> Found:
    """The photos and the tables of a ZIP. Nothing is unpacked to disk, and no member to more than `MAX_PHOTO_BYTES`.

    Names that do not say that they are UTF-8 are read as UTF-8 where they can be, else in the encoding that they look
    most like.

    Args:
        file: Path or content; a path must stay readable until the sources were read.
        name: Name of the ZIP, for messages.

    Raises:
        ArchiveError: If it is not a ZIP, is damaged, or would grow too much.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(file) if isinstance(file, bytes) else file)
    except (FileNotFoundError, PermissionError) as error:
        raise ArchiveError(f"{name} cannot be read: {error.strerror}.") from error
    except (*ZIP_ERRORS, OSError) as error:
        raise ArchiveError(_damaged(file, name)) from error
    members = [member for member in archive.infolist() if not member.filename.endswith("/")]  # one may be empty
    size = sum(member.compress_size for member in members)
    grown = sum(member.file_size for member in members)
    whole = len(file) if isinstance(file, bytes) else file.stat().st_size
    if grown > max(_BOMB_BYTES, _BOMB * min(size, whole)) or len(members) > _MOST_MEMBERS:
        raise ArchiveError(
            f"{name} would unpack to {len(members):,} files of {grown / 1024**3:,.1f} GB, too much for a ZIP of photos "
            "of its size. Pack the photos again."
        )
    names, notes = _names(members, name)
    places = dict(zip(names, members, strict=True))
    made = class_maps(names, lambda path: archive.read(places[path]))
    notes += _passed_over([each for each in names if not is_table(each)], name, made)
    found = Found([], [], [], notes)
    taken: set[str] = set()
    for path, member in sorted(zip(names, members, strict=True), key=lambda pair: pair[0]):
        if path in made or not (_is_photo(path) or (is_table(path) and not _is_hidden(path))):
            continue
        if path.startswith("/") or ":" in path.split("/")[0] or ".." in path.split("/"):
            found.rejected.append(Rejected(path, f"{path} points outside of {name}. Pack it under a plain name."))
        elif stat.S_ISLNK(member.external_attr >> 16):
            found.rejected.append(Rejected(path, f"{path} is a link in {name}. Pack the photo itself."))
        elif member.flag_bits & 0x41:  # the old and the strong way
            found.rejected.append(Rejected(path, f"{path} is encrypted. Pack it without a password."))
        elif path in taken:
            found.rejected.append(Rejected(path, f"{path} is in {name} twice; the first is taken. Rename one."))
        else:
            taken.add(path)
            (found.sources if _is_photo(path) else found.tables).append(_member(archive, member, path))
    return found


def from_uploads(files: Iterable[tuple[str, bytes]]) -> Found:
    """Photos and ZIPs of photos, and tables, that were uploaded.

    A photo of an uploaded ZIP is named by its path in the ZIP, and a repeated name gets a number. Results that
    `segment` or the app wrote of photos are passed over.

    Args:
        files: Name and content of each file.

    Raises:
        ArchiveError: If a ZIP is damaged or would grow too much.
    """
    files = list(files)
    found = Found([], [], [], [])
    contents = dict(files)
    results = {name for name, data in files if is_listing(name, data)}
    results |= (made := class_maps(contents, contents.__getitem__))
    found.notes.extend(_passed_over(results, "the upload", made))
    for name, data in files:
        if name in results:
            continue
        if name.lower().endswith(".zip"):
            inside = from_zip(data, name)
            found.sources.extend(inside.sources)
            found.rejected.extend(inside.rejected)
            found.tables.extend(inside.tables)
            found.notes.extend(inside.notes)
        else:
            of_kind = found.tables if is_table(name) else found.sources
            of_kind.append(Source(name, _developed(name, partial(bytes, data))))
    return replace(found, sources=_with_own_names(found.sources))


def read_tables(
    found: Found, first: Metadata | None = None, *, encoding: str | None = None, day_first: bool | None = None
) -> Metadata | None:
    """The rows of all tables of metadata; None if there are none.

    Rows of a table in a folder of a ZIP may name photos as seen from there.

    Args:
        found: What a place holds.
        first: Rows that go before those of its tables.
        encoding: Encoding of the tables, for `parse_metadata`.
        day_first: Order of day and month in them, for `parse_metadata`.

    Raises:
        ArchiveError: If a table alone has rows and is no such CSV.
    """
    photos = {plain_name(source.name) for source in found.sources}
    read = [first] if first else []
    problems = []
    for table in found.tables:
        try:
            metadata = parse_metadata(table.read(), table.name, encoding=encoding, day_first=day_first)
        except (ArchiveError, PhotoError, OSError) as error:
            problems.append(f"{table.name} was not used: {error}")
            continue
        folder = table.name.rpartition("/")[0]
        metadata.entries = [
            replace(entry, name=within)
            if folder and plain_name(within := f"{folder}/{entry.name}") in photos
            else entry
            for entry in metadata.entries
        ]
        read.append(metadata)
    if not read:
        return Metadata(notes=problems) if problems else None
    main = max(read, key=lambda each: len(each.encodings))  # the one whose encoding is least certain
    return replace(
        main,
        entries=[entry for each in read for entry in each.entries],
        notes=[*(note for each in read for note in each.notes), *problems],
        ambiguous_dates=[date for each in read for date in each.ambiguous_dates],
    )


def is_table(name: str) -> bool:
    """Whether a file is a table of metadata, by its ending."""
    return name.lower().endswith(TABLE_SUFFIXES)


def photo_in(folder: Path, path: Path) -> Source | None:
    """The photo at a path below a folder; None for other files, hidden ones and class maps."""
    name = path.relative_to(folder).as_posix()
    return _on_disk(folder, path) if _is_photo(name) and not is_class_map(folder, name) else None


def read_file(location: str, name: str) -> bytes:
    """Reads a photo below a folder or URI, but no more than one byte over the limit.

    Raises:
        PhotoError: If it is no regular file.
        OSError: If it cannot be read.
    """
    place = Place(location)
    if place.local is not None:
        _check_regular(place.local / name, name)
    return _developed(name, partial(place.read, name, MAX_PHOTO_BYTES + 1))()


def _with_own_names(sources: Sequence[Source]) -> list[Source]:
    taken: set[str] = set()
    result = []
    for source in sources:
        name, count = source.name, 1
        while name in taken:
            count += 1
            stem, dot, ending = source.name.rpartition(".")
            name = f"{stem} ({count}){dot}{ending}"
        taken.add(name)
        result.append(Source(name, source.read, source.location))
    return result


def _in_folder(place: Place, name: str) -> Source:
    return Source(name, _developed(name, partial(place.read, name, MAX_PHOTO_BYTES + 1)), place.location)


def _on_disk(folder: Path, path: Path) -> Source:
    name = path.relative_to(folder).as_posix()
    legible = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

    def read() -> bytes:
        _check_regular(path, legible)
        with path.open("rb") as stream:
            return stream.read(MAX_PHOTO_BYTES + 1)

    return Source(legible, _developed(legible, read), str(folder) if legible == name else "")


def _check_regular(path: Path, name: str) -> None:
    if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe would be to wait for its writer
        raise PhotoError(f"{name} is not a regular file. Put the photo itself there, or remove it.")


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> Source:
    def read() -> bytes:
        try:
            with archive.open(member) as stream:
                data = stream.read(MAX_PHOTO_BYTES + 1)
        except NotImplementedError as error:
            method = _METHODS.get(member.compress_type, f"method {member.compress_type}")
            raise PhotoError(
                f"{name} is packed with {method}, which cannot be read. Pack it again with Deflate, or give the folder."
            ) from error
        except ZIP_ERRORS as error:
            raise PhotoError(f"{name} is damaged in the ZIP. Pack it again.") from error
        except OSError as error:
            if error.errno not in (None, errno.EINVAL):  # of the disk; bzip2 has none, and no place is before the file
                raise
            raise PhotoError(f"{name} is damaged in the ZIP. Pack it again.") from error
        if len(data) > MAX_PHOTO_BYTES:
            raise PhotoError(over_limit(name, max(member.file_size, len(data)), MAX_PHOTO_BYTES))
        return data

    return Source(name, read if is_table(name) else _developed(name, read))


def _developed(name: str, read: Callable[[], bytes]) -> Callable[[], bytes]:
    """A function that gives a photo's file, of a raw one the JPEG."""
    return (lambda: developed(read(), name)) if name.lower().endswith(RAW_SUFFIXES) else read


def _suffixes() -> tuple[str, ...]:
    return (*PHOTO_SUFFIXES, *RAW_SUFFIXES) if can_read_raw() else PHOTO_SUFFIXES


def _names(members: Sequence[zipfile.ZipInfo], where: str) -> tuple[list[str], list[str]]:
    """The path of each member, with forward slashes, and a sentence if their encoding had to be guessed."""
    stored = {}
    for place, member in enumerate(members):
        if not member.flag_bits & 0x800 and not member.filename.isascii():
            stored[place] = member.filename.encode("cp437", "replace")  # as zipfile has decoded it
    guessed = {place: raw for place, raw in stored.items() if not _is_utf_8(raw)}
    encoding = (likely_encodings(b"\n".join(guessed.values()), _ZIP_ENCODINGS) or ["cp437"])[0] if guessed else "utf-8"
    names = [member.filename for member in members]
    for place, raw in stored.items():
        names[place] = raw.decode(encoding if place in guessed else "utf-8", "replace")
    notes = []
    if guessed:
        said = listed([names[place] for place in guessed], _NAMED)
        notes.append(
            f"{where} does not say how its file names are written; they were read as {encoding_name(encoding)}: "
            f"{said}. If that is wrong, pack the photos again with names in UTF-8."
        )
    return [name.replace("\\", "/") for name in names], notes


def _is_utf_8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _passed_over(names: Iterable[str], where: str, made: Set[str] = frozenset()) -> list[str]:
    """A sentence on the files that are neither photos nor tables of the place, if there are any.

    Args:
        names: Paths of all files.
        where: The place.
        made: Class maps and cut-outs among them.
    """
    kinds: dict[tuple[str, str], list[str]] = {}  # names by what one file and what several are called
    for name in names:
        if (_is_photo(name) and name not in made) or _is_hidden(name):
            continue
        low = name.lower()
        kind = (
            ("class map or cut-out", "class maps and cut-outs")
            if name in made
            else (f"raw camera file{_RAW}", f"raw camera files{_RAW}")
            if low.endswith(RAW_SUFFIXES)
            else (f"video{_VIDEO}", f"videos{_VIDEO}")
            if low.endswith(VIDEO_SUFFIXES)
            else ("packed file, to be unpacked", "packed files, to be unpacked")
            if low.endswith(_PACKED)
            else ("table, to be given as the CSV", "tables, to be given as the CSV")
            if is_table(name)
            else ("other", "others")
        )
        kinds.setdefault(kind, []).append(name)
    if not kinds:
        return []
    said = "; ".join(
        f"{len(files):,} {one if len(files) == 1 else several} ({listed(sorted(files), _NAMED)})"
        for (one, several), files in sorted(kinds.items())
    )
    return [f"Files of {where} that are no photos were passed over: {said}."]


def _damaged(file: Path | bytes, name: str) -> str:
    with io.BytesIO(file[:512]) if isinstance(file, bytes) else file.open("rb") as stream:
        begins = stream.read(512)
    if begins.startswith(b"PK\x03\x04"):
        return f"{name} is a ZIP whose end, with the list of its files, is missing or damaged. Copy it again."
    for signature, what in _NO_ZIPS:
        if re.match(signature, begins, re.IGNORECASE | re.DOTALL):
            return f"{name} is {what}, not a ZIP. Unpack it and give the folder, or pack the photos as a ZIP."
    if re.match(rb"\s*<(html|!doctype)", begins, re.IGNORECASE):
        return f"{name} is a web page, not a ZIP. Download the ZIP itself."
    if not begins:
        return f"{name} is empty (0 bytes). Pack or copy it again."
    return f"{name} is not a ZIP, or is damaged. Pack or copy it again."


def _is_photo(name: str) -> bool:
    return name.lower().endswith(_suffixes()) and not _is_hidden(name)


def _is_hidden(name: str) -> bool:
    parts = name.split("/")
    hidden = any((part.startswith(".") and part not in ("..", ".")) or part == "__MACOSX" for part in parts)
    return hidden or parts[-1].lower() in _OF_FOLDERS
