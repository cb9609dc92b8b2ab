"""List of archives and their contents: shipped ones, ones named in the environment, and the user's own."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

import pandas as pd

from segmodels.archive.changes import last_undoable, visible_parts
from segmodels.archive.lists import list_names
from segmodels.archive.place import ArchiveError, Place
from segmodels.archive.store import Archive, Reader, Version
from segmodels.evaluation.results import DATASET_TITLES
from segmodels.files import DEVICE
from segmodels.settings import read_settings

__all__ = [
    "MADE_UP",
    "SHIPPED",
    "TRAINED_ON",
    "Contents",
    "Shelved",
    "Tag",
    "cache_folder",
    "check_size",
    "choose_target",
    "claim",
    "list_archives",
    "lists",
    "owner_of",
    "read_contents",
    "stamp",
]

SHIPPED = Path(__file__).parents[1] / "data" / "archives"
"""Folder of the archives that come with the app."""

TRAINED_ON = "trained_on"
"""Tag of photos that the model was trained on or chosen by: `yes`, or `no`."""

MADE_UP = "Made-up sample"
"""Name and title of the archive of made-up photos on the page *Trends*."""

_VALUES = 6  # values of a tag that are counted one by one
_LONGEST_NAME = 60
_OWNER = ".owner"  # file with the identifier of the visitor who made an archive
_NAME = re.compile(r"\w(?:[\w .()+-]*[\w)+])?")  # in any script; no slash, no dot or space at either end


@dataclass(frozen=True)
class Shelved:
    """An archive that can be opened.

    Args:
        name: Name of the folder, with a number where another has the same.
        location: Location of the archive, as `Archive` takes it.
        origin: Origin of the archive: `own` in the user's cache, `named` in `GARMENTSCOPE_ARCHIVE`, or `shipped` with
            the app.
    """

    name: str
    location: str
    origin: Literal["own", "named", "shipped"]

    @property
    def key(self) -> str:
        """Name for widgets of the archive, 12 hex digits; it stays the same whatever else is in the list."""
        return hashlib.sha256(self.location.encode()).hexdigest()[:12]

    @property
    def title(self) -> str:
        """Title of the archive on a page."""
        return DATASET_TITLES.get(Path(self.location).name, self.name) if self.origin == "shipped" else self.name


@dataclass(frozen=True)
class Tag:
    """A column of the CSV.

    Args:
        name: Name of the column.
        values: Number of different values.
        counts: The most frequent values and their photos.
    """

    name: str
    values: int
    counts: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Contents:
    """Contents of an archive for one version.

    Args:
        version: Model, revision and taxonomy of the rows.
        photos: Number of rows.
        outfits: Number of people on the photos.
        dated: Number of photos with a date.
        first: The earliest date; None without dates.
        last: The latest date; None without dates.
        tags: Tags in the order of their names.
        left_out: Sentence on each part that cannot be used.
    """

    version: Version
    photos: int
    outfits: int
    dated: int
    first: date | None
    last: date | None
    tags: tuple[Tag, ...]
    left_out: tuple[str, ...] = ()

    @property
    def trained_on(self) -> int | None:
        """Photos that the model was trained on or chosen by; None if the archive does not say."""
        for tag in self.tags:
            if tag.name == TRAINED_ON:
                return dict(tag.counts).get("yes", 0)
        return None


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Folder of the user's own archives: in `GARMENTSCOPE_CACHE`, or in the cache of the system's user."""
    return read_settings(environment).cache / "archives"


def list_archives(environment: Mapping[str, str] = os.environ, shipped: Path = SHIPPED) -> list[Shelved]:
    """The user's own archives, then those that `GARMENTSCOPE_ARCHIVE` names, then those that come with the app.

    A named folder may be empty; other folders are listed only if they contain a part.

    Args:
        environment: Environment variables; `GARMENTSCOPE_ARCHIVE` holds the folders or URIs, separated as in PATH.
        shipped: Folder of archives.
    """
    found = [Shelved(each.name, str(each), "own") for each in _archives_in(cache_folder(environment))]
    named = read_settings(environment).archive
    found += [Shelved(Path(place).name or place, place, "named") for place in named]
    found += [Shelved(each.name, str(each), "shipped") for each in _archives_in(shipped)]
    places: set[str] = set()
    names: dict[str, int] = {}
    result = []
    for each in found:
        place = each.location if "://" in each.location else str(Path(each.location).resolve())
        if place in places:
            continue
        places.add(place)
        names[each.name] = count = names.get(each.name, 0) + 1
        result.append(Shelved(each.name if count == 1 else f"{each.name} ({count})", each.location, each.origin))
    return result


def choose_target(name: str, environment: Mapping[str, str] = os.environ, shipped: Path = SHIPPED) -> Shelved:
    """The archive with the given name, to which photos can be added; it may be new.

    Args:
        name: Name of one of `list_archives`, or that of a new archive in the user's cache.
        environment: Environment variables, as in `list_archives`.
        shipped: Folder of archives, as in `list_archives`.

    Raises:
        ArchiveError: If the name cannot be that of a folder, or is the name or title of an archive of the app's.
    """
    name = name.strip()
    for each in list_archives(environment, shipped):
        if each.name == name:
            if each.origin == "shipped":
                raise ArchiveError(f"{name} comes with the app and cannot be changed. Choose another name.")
            return each
    if name in (MADE_UP, DATASET_TITLES["ccp"]):
        raise ArchiveError(f"{name} comes with the app and cannot be changed. Choose another name.")
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        raise ArchiveError(
            f"An archive cannot be called {name!r}. Use up to {_LONGEST_NAME} letters, digits, spaces, - and _."
            if name
            else "The archive needs a name. Choose one or type a new one."
        )
    if DEVICE.fullmatch(name):
        raise ArchiveError(f"An archive cannot be called {name}, which is a device on Windows. Choose another name.")
    return Shelved(name, str(cache_folder(environment) / name), "own")


def stamp(archive: Archive) -> tuple[object, ...]:
    """A value that changes when what counts in the archive changes."""
    parts = visible_parts(archive.place)
    if archive.place.local is None:
        return tuple(parts)
    paths = [archive.place.local / name for name in parts]
    return tuple((str(path), path.stat().st_mtime_ns) for path in paths if path.exists())


def read_contents(archive: Archive) -> list[Contents]:
    """Contents of an archive, version by version; empty if the archive does not exist yet.

    Raises:
        ArchiveError: If it cannot be listed. A version of which nothing can be read is empty, and says why.
    """
    result = []
    for version in archive.versions():
        try:
            reader = archive.reader(version)
        except ArchiveError as error:
            result.append(Contents(version, 0, 0, 0, None, None, (), (str(error),)))
            continue
        with reader:
            row = reader.query(
                "SELECT count(*) photos, coalesce(sum(len(outfits)), 0)::BIGINT outfits, count(taken_at) dated, "
                "min(taken_at) first, max(taken_at) last FROM photos"
            ).iloc[0]
            first, last = (None if pd.isna(row[key]) else pd.Timestamp(row[key]).date() for key in ("first", "last"))
            result.append(
                Contents(
                    version,
                    int(row.photos),
                    int(row.outfits),
                    int(row.dated),
                    first,
                    last,
                    _tags(reader),
                    reader.left_out,
                )
            )
    return result


def owner_of(location: str) -> str:
    """Identifier of the visitor who made an archive with the app; empty if it was made otherwise."""
    try:
        return Archive(location).place.read(_OWNER, 64).decode("ascii")
    except (ArchiveError, OSError, ValueError):
        return ""


def claim(target: Shelved, who: str) -> None:
    """Writes down that an archive that is not there yet is a visitor's.

    Args:
        target: The archive; one that is there already, or that a setting names, stays whose it is.
        who: Identifier of the visitor.

    Raises:
        ArchiveError: If it cannot be written.
    """
    if target.origin != "own":
        return
    archive = Archive(target.location)
    with archive.place.lock():
        if not archive.versions() and not owner_of(target.location):
            archive.place.write(_OWNER, who.encode())


def check_size(target: Shelved, more: int, most: int) -> None:
    """Refuses photos that an archive has no room for.

    Args:
        target: The archive.
        more: Number of photos that are to be added.
        most: Most photos that an archive holds.

    Raises:
        ArchiveError: If there would be more than that, or the archive cannot be read.
    """
    if (there := max((each.photos for each in read_contents(Archive(target.location))), default=0)) + more > most:
        raise ArchiveError(
            f"{target.name} holds {there:,} photos, and an archive takes {most:,} at most here. Make another one, or "
            "ask whoever keeps the server."
        )


def lists(archive: Archive) -> dict[str, bytes]:
    """The lists beside the parts that are not empty: `rejected.csv`, `unmatched.csv` and those of earlier ingests."""
    found = {}
    with suppress(ArchiveError):
        for name in list_names(archive.place):
            with suppress(OSError):
                data = archive.place.read(name)
                if data.count(b"\n") > 1:
                    found[name] = data
    return found


def _archives_in(folder: Path) -> list[Path]:
    try:
        return [each for each in sorted(folder.iterdir()) if each.is_dir() and _is_there(each)]
    except OSError:
        return []


def _is_there(folder: Path) -> bool:
    """Whether a folder is an archive with photos, or with photos to bring back, and not half copied or half deleted."""
    try:
        return bool(Archive(folder).versions() or last_undoable(Place(folder)))
    except ArchiveError:  # it is damaged, which is to be seen
        return True


def _tags(reader: Reader) -> tuple[Tag, ...]:
    found = reader.query(
        "SELECT *, count(*) OVER (PARTITION BY key) AS many FROM (SELECT key, value, count(*) AS n FROM "
        "(SELECT unnest(map_entries(tags), recursive := true) FROM photos) GROUP BY ALL) "
        f"QUALIFY row_number() OVER (PARTITION BY key ORDER BY n DESC, value) <= {_VALUES} ORDER BY key, n DESC, value"
    )
    return tuple(
        Tag(str(key), int(rows["many"].iloc[0]), tuple(zip(map(str, rows["value"]), map(int, rows["n"]), strict=True)))
        for key, rows in found.groupby("key", sort=True)
    )
