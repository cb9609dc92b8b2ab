"""Sources of photos: a folder, a bucket, a ZIP, uploaded files."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from segmodels.archive.place import ArchiveError, Place
from segmodels.archive.rows import MAX_PHOTO_BYTES
from segmodels.photo import PHOTO_SUFFIXES, PhotoError, find_photos, over_limit

__all__ = ["Found", "Rejected", "Source", "find_sources", "from_uploads", "from_zip", "read_file"]

_MOST_MEMBERS = 200_000
_BOMB = 100  # factor by which a ZIP may grow; photos are compressed already and hardly grow
_BOMB_BYTES = 1024**3  # size below which any growth is accepted


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
    """

    name: str
    read: Callable[[], bytes] = field(repr=False)
    location: str = ""


class Found(NamedTuple):
    """Photos in the order of their names, and files that are rejected before any is read."""

    sources: list[Source]
    rejected: list[Rejected]


def find_sources(location: str | Path) -> Found:
    """The photos of a folder at every depth, of a ZIP, or of a URI that pyarrow's file systems know.

    Hidden files and folders (whose names start with a dot) are left out, and so are files without the ending of a
    photo.

    Raises:
        ArchiveError: If the place is not there, cannot be listed, or is a damaged ZIP.
    """
    place = Place(location)
    if place.local is None:
        names = [name for name in place.files() if _is_photo(name)]
        return Found([_in_folder(place, name) for name in names], [])
    folder = place.local
    if folder.is_file():
        if zipfile.is_zipfile(folder):
            return from_zip(folder, str(location))
        raise ArchiveError(f"{location} is a file. Name the folder that it is in, or a ZIP of photos.")
    try:
        paths = find_photos([folder])
    except PhotoError as error:
        raise ArchiveError(str(error)) from None
    return Found([_on_disk(folder, path) for path in paths], [])


def from_zip(file: Path | bytes, name: str) -> Found:
    """The photos of a ZIP. Nothing is unpacked to disk, and no member to more than `MAX_PHOTO_BYTES`.

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
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError) as error:
        raise ArchiveError(f"{name} is not a ZIP, or is damaged. Pack or copy it again.") from error
    members = [member for member in archive.infolist() if not member.is_dir()]
    size = sum(member.compress_size for member in members)
    grown = sum(member.file_size for member in members)
    whole = len(file) if isinstance(file, bytes) else file.stat().st_size
    if grown > max(_BOMB_BYTES, _BOMB * min(size, whole)) or len(members) > _MOST_MEMBERS:
        raise ArchiveError(
            f"{name} would unpack to {len(members):,} files of {grown / 1024**3:,.1f} GB, too much for a ZIP of photos "
            "of its size. Pack the photos again."
        )
    found = Found([], [])
    taken: set[str] = set()
    for member in sorted(members, key=lambda member: member.filename):
        path = member.filename.replace("\\", "/")
        if not _is_photo(path):
            continue
        if path.startswith("/") or ":" in path.split("/")[0] or ".." in path.split("/"):
            found.rejected.append(Rejected(path, f"{path} points outside of {name}. Pack it under a plain name."))
        elif member.flag_bits & 1:
            found.rejected.append(Rejected(path, f"{path} is encrypted. Pack it without a password."))
        elif path in taken:
            found.rejected.append(Rejected(path, f"{path} is in {name} twice; the first is taken. Rename one."))
        else:
            taken.add(path)
            found.sources.append(_member(archive, member, path))
    return found


def from_uploads(files: Iterable[tuple[str, bytes]]) -> Found:
    """Photos and ZIPs of photos that were uploaded.

    A photo of an uploaded ZIP is named by its path in the ZIP, and a repeated name gets a number.

    Args:
        files: Name and content of each file.

    Raises:
        ArchiveError: If a ZIP is damaged or would grow too much.
    """
    found = Found([], [])
    for name, data in files:
        if name.lower().endswith(".zip"):
            inside = from_zip(data, name)
            found.sources.extend(inside.sources)
            found.rejected.extend(inside.rejected)
        else:
            found.sources.append(Source(name, lambda data=data: data))  # type: ignore[misc]
    return Found(_with_own_names(found.sources), found.rejected)


def read_file(location: str, name: str) -> bytes:
    """Reads a photo below a folder or URI, but no more than one byte over the limit.

    Raises:
        OSError: If it cannot be read.
    """
    return Place(location).read(name, MAX_PHOTO_BYTES + 1)


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
    return Source(name, lambda: place.read(name, MAX_PHOTO_BYTES + 1), place.location)


def _on_disk(folder: Path, path: Path) -> Source:
    name = path.relative_to(folder).as_posix()
    legible = name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")

    def read() -> bytes:
        with path.open("rb") as stream:
            return stream.read(MAX_PHOTO_BYTES + 1)

    return Source(legible, read, str(folder) if legible == name else "")


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> Source:
    def read() -> bytes:
        try:
            with archive.open(member) as stream:
                data = stream.read(MAX_PHOTO_BYTES + 1)
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
            raise PhotoError(f"{name} is damaged in the ZIP. Pack it again.") from error
        if len(data) > MAX_PHOTO_BYTES:
            raise PhotoError(over_limit(name, max(member.file_size, len(data)), MAX_PHOTO_BYTES))
        return data

    return Source(name, read)


def _is_photo(name: str) -> bool:
    folders = name.split("/")
    return name.lower().endswith(PHOTO_SUFFIXES) and not any(
        (part.startswith(".") and part not in ("..", ".")) or part == "__MACOSX" for part in folders
    )
