"""Outfits and photos of archives, cached for all visitors."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from segmodels.settings import read_settings

if TYPE_CHECKING:
    from segmodels.archive.facts import Facts
    from segmodels.archive.shows import Show
    from segmodels.archive.similar import Looks
    from segmodels.archive.store import Version
    from segmodels.taxonomy import Taxonomy

__all__ = [
    "archive_photo",
    "drawn_picture",
    "facts",
    "forget_archives",
    "has_kinds",
    "has_thumbnails",
    "looks",
    "template_fault",
    "versions",
]


def versions(location: str) -> list[Version]:
    """Versions of the rows in an archive.

    Raises:
        ArchiveError: If it cannot be listed.
    """
    from segmodels.archive.store import Archive

    return Archive(location).versions()


def has_kinds(location: str, version: Version) -> bool:
    """Whether any row of an archive's version has kinds.

    Raises:
        ArchiveError: If it cannot be read.
    """
    return _has_kinds(location, version, _parts_stamp(location, version))


def facts(location: str, version: Version, *, kinds: bool = False) -> tuple[Future[Facts], list[str]]:
    """The outfits of an archive's version, which take seconds to read the first time and after a change.

    Args:
        location: Location of the archive.
        version: Version of the rows.
        kinds: Whether kinds are counted where classes have some.

    Returns:
        Future with the facts, or with the `ArchiveError` that stopped it; and the steps begun so far, as sentences.
    """
    from segmodels.archive.calibration import installed_calibration
    from segmodels.archive.place import Place
    from segmodels.archive.shows import read_shows

    calibration = installed_calibration(version)
    correlations = calibration.correlations if calibration else ()
    shows = tuple(read_shows(Place(location)))
    key = (location, version, kinds, read_settings().southern, correlations, shows, _parts_stamp(location, version))
    future, steps = _loading_facts(*key)
    if future.done() and future.exception():
        _loading_facts.clear(*key)
        future, steps = _loading_facts(*key)
    return future, steps


def looks(location: str, version: Version) -> Looks:
    """What is compared of the outfits of an archive's version; seconds the first time and after a change.

    Raises:
        ArchiveError: If it cannot be read.
    """
    return _looks(location, version, _parts_stamp(location, version))


def has_thumbnails(location: str) -> bool:
    """Whether an archive has thumbnails of photos."""
    from segmodels.archive.place import Place
    from segmodels.archive.thumbnails import has_thumbnails

    return has_thumbnails(Place(location))


@st.cache_data(show_spinner=False, max_entries=500, ttl=600)
def archive_photo(location: str, roots: tuple[Path, ...], side: int, file_name: str, identity: str) -> bytes:
    """The picture of an archive's row: its thumbnail, or from the server's folders.

    Raises:
        PictureError: If there is neither, or it is damaged.
    """
    from dashboard.trends.gallery import archive_picture

    return archive_picture(location, roots, file_name, identity, side)


def forget_archives() -> None:
    """Drops all that is kept of archives in memory, as after photos were removed; it is read again when it is asked."""
    from dashboard.archive.cache import forget_contents

    forget_contents()
    _has_kinds.clear()
    _loading_facts.clear()
    _looks.clear()
    archive_photo.clear()
    drawn_picture.clear()


@st.cache_data(show_spinner=False, max_entries=500, ttl=600)
def drawn_picture(
    picture: bytes,
    class_map: bytes | None,
    version: str,
    classes: tuple[str, ...],
    outlines: bool,
    side: int,
    _taxonomy: Taxonomy,
) -> bytes:
    """A picture of the gallery with the outlines of its garments.

    Args:
        picture: File of the picture.
        class_map: Small palette PNG.
        version: Version of the rows, which stands for the taxonomy.
        classes: Classes whose outlines are drawn.
        outlines: Whether outlines are drawn.
        side: Longest side of the result, in pixels.

    Raises:
        OSError: If the picture is damaged.
    """
    from dashboard.trends.gallery import drawn

    return drawn(picture, class_map, _taxonomy, classes, outlines=outlines, side=side)


@st.cache_data(show_spinner=False, max_entries=50)
def template_fault(digest: str, name: str, _template: bytes) -> str:
    """What is wrong with a template for slides; empty if it can be used.

    Args:
        digest: Digest of its file.
        name: Name of its file.
        _template: The file.
    """
    from dashboard.trends.deck import TemplateError, open_deck

    try:
        open_deck(_template, name)
    except TemplateError as error:
        return str(error)
    return ""


def _parts_stamp(location: str, version: Version) -> tuple[object, ...]:
    """A value that changes when a part of an archive or its taxonomy does; tags make a new part."""
    from segmodels.archive.changes import visible_parts
    from segmodels.archive.place import Place

    place = Place(location)
    names = [*visible_parts(place, version.folder)]
    names += [name for name in place.files(version.folder) if name.endswith(".json")]
    if place.local is None:
        return tuple(names)
    return tuple((name, (place.local / name).stat().st_mtime_ns) for name in names if (place.local / name).exists())


@st.cache_data(show_spinner=False, max_entries=50)
def _has_kinds(location: str, version: Version, stamp: object) -> bool:
    from segmodels.archive.division import has_kinds
    from segmodels.archive.store import Archive

    with Archive(location).reader(version) as reader:
        return has_kinds(reader)


@st.cache_resource(show_spinner=False, max_entries=2)
def _looks(location: str, version: Version, stamp: object) -> Looks:
    from segmodels.archive.similar import read_looks
    from segmodels.archive.store import Archive

    return read_looks(Archive(location), version)


@st.cache_resource(show_spinner=False, max_entries=4)
def _loading_facts(
    location: str,
    version: Version,
    kinds: bool,
    southern: tuple[tuple[str, str], ...],
    correlations: tuple[tuple[float, ...], ...],
    shows: tuple[Show, ...],
    stamp: object,
) -> tuple[Future[Facts], list[str]]:
    steps: list[str] = []
    executor = ThreadPoolExecutor(1, thread_name_prefix="facts")
    future = executor.submit(_load_facts, location, version, kinds, southern, correlations, shows, steps.append)
    executor.shutdown(wait=False)
    return future, steps


def _load_facts(
    location: str,
    version: Version,
    kinds: bool,
    southern: tuple[tuple[str, str], ...],
    correlations: tuple[tuple[float, ...], ...],
    shows: tuple[Show, ...],
    progress: Callable[[str], None],
) -> Facts:
    from segmodels.archive.facts import Facts
    from segmodels.archive.store import Archive

    archive = Archive(location)
    reader = archive.reader(version)
    return Facts(reader, archive.taxonomy(version), progress, southern, correlations, kinds=kinds, shows=shows)


atexit.register(_loading_facts.clear)  # DuckDB complains of connections that are open when Python ends
