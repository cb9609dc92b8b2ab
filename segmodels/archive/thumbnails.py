"""Small copies of an archive's photos, where its owner wants them kept.

    DIR/thumbnails/<first two digits of photo_id>/<photo_id>-256.webp
    DIR/thumbnails/<first two digits of photo_id>/<photo_id>-1024.webp

They are WebP in sRGB, upright, at most 256 and 1,024 pixels on the longer side, without any metadata of the photo. They
are named by the photo alone, so that whoever deletes a photo deletes them with `remove_thumbnails`.
"""

from __future__ import annotations

import io
import re
from collections import deque
from collections.abc import Callable, Container, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from pyarrow import fs

from segmodels.archive.heads import blurred, head_region
from segmodels.archive.place import ArchiveError, Place
from segmodels.archive.rows import MAX_PHOTO_BYTES, Row
from segmodels.archive.rows import photo_id as id_of
from segmodels.archive.sources import Source
from segmodels.photo import PhotoError, open_photo
from segmodels.taxonomy import Taxonomy

if TYPE_CHECKING:
    from segmodels.archive.ingest import Engine, Outcome

__all__ = [
    "LARGE",
    "SMALL",
    "THUMBNAILS",
    "copy_thumbnails",
    "has_thumbnails",
    "is_photo_id",
    "keeping_thumbnails",
    "read_thumbnail",
    "remove_thumbnails",
    "thumbnail_name",
    "thumbnails_of",
    "write_thumbnails",
]

THUMBNAILS = "thumbnails"
"""Folder of the thumbnails in an archive."""

SMALL = 256
"""Longest side of the smaller thumbnail, in pixels."""

LARGE = 1024
"""Longest side of the larger thumbnail, in pixels."""

_SIDES = (SMALL, LARGE)
_ID = re.compile(r"[0-9a-f]{64}")
_QUALITY = 82
_AHEAD = 8  # photos whose thumbnails are made while others are analysed
_LEAST_BODY = 0.005  # share of hair and skin from which a photo without a detected person may show one all the same
_MOST_BYTES = 8 * 1024 * 1024  # of a thumbnail's file


def thumbnail_name(photo_id: str, side: int) -> str:
    """Path of a thumbnail below the archive's folder.

    Args:
        photo_id: Id of the photo, 64 hex digits.
        side: `SMALL` or `LARGE`.

    Raises:
        ValueError: If the id is not one, or no such side is kept.
    """
    if not is_photo_id(photo_id) or side not in _SIDES:
        raise ValueError(f"{photo_id[:80]!r} with {side} pixels is no thumbnail of a photo.")
    return f"{THUMBNAILS}/{photo_id[:2]}/{photo_id}-{side}.webp"


def is_photo_id(value: str) -> bool:
    """Whether a value is the id of a photo, 64 hex digits."""
    return bool(_ID.fullmatch(value))


def write_thumbnails(
    place: Place,
    photo_id: str,
    data: bytes,
    name: str = "the photo",
    change: Callable[[np.ndarray], np.ndarray] | None = None,
) -> None:
    """Writes both thumbnails of a photo, unless they are there.

    Args:
        place: Place of the archive.
        photo_id: Id of the photo.
        data: The photo's file.
        name: Name of the file, for messages.
        change: Function that is applied to the larger one, uint8 `(H, W, 3)`, of which the smaller one is made.

    Raises:
        PhotoError: If the file cannot be read.
        ArchiveError: If the thumbnails cannot be written.
    """
    if all(_exists(place, thumbnail_name(photo_id, side)) for side in _SIDES):
        return
    image = Image.fromarray(open_photo(data, name=name, max_bytes=MAX_PHOTO_BYTES))
    for side in sorted(_SIDES, reverse=True):  # the small one is made of the large one
        image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
        if side == LARGE and change:
            image = Image.fromarray(change(np.asarray(image)))
        out = io.BytesIO()
        image.save(out, "WEBP", quality=_QUALITY)
        place.write(thumbnail_name(photo_id, side), out.getvalue())


def read_thumbnail(place: Place, photo_id: str, side: int) -> bytes | None:
    """A thumbnail's file, WebP; None if it is not there.

    Args:
        place: Place of the archive.
        photo_id: Id of the photo.
        side: `SMALL` or `LARGE`.
    """
    try:
        return place.read(thumbnail_name(photo_id, side), _MOST_BYTES)
    except OSError:
        return None


def has_thumbnails(place: Place) -> bool:
    """Whether an archive has a folder of thumbnails."""
    return bool(place.type_of(THUMBNAILS) == fs.FileType.Directory)


def thumbnails_of(place: Place) -> set[str]:
    """Ids of the photos of which an archive has thumbnails.

    Raises:
        ArchiveError: If they cannot be listed.
    """
    names = (name.rpartition("/")[2].partition("-")[0] for name in place.files(THUMBNAILS))
    return set(filter(is_photo_id, names))


def remove_thumbnails(place: Place, photo_ids: Iterable[str]) -> int:
    """Removes the thumbnails of photos; those that are gone already are passed over.

    Args:
        place: Place of the archive.
        photo_ids: Ids of the photos.

    Returns:
        Number of files that were removed.

    Raises:
        ArchiveError: If one is there and cannot be removed.
    """
    removed = 0
    for photo_id in photo_ids:
        for side in _SIDES:
            name = thumbnail_name(photo_id, side)
            if _exists(place, name):
                place.remove(name)
                removed += 1
    return removed


def copy_thumbnails(source: Place, target: Place, photo_ids: Iterable[str]) -> None:
    """Copies the thumbnails of photos to another archive, except those that it has.

    Args:
        source: Place of the archive that has them.
        target: Place of the other archive.
        photo_ids: Ids of the photos; those without thumbnails are passed over.

    Raises:
        ArchiveError: If one cannot be written.
    """
    if not has_thumbnails(source):
        return
    for photo_id in photo_ids:
        for side in _SIDES:
            name = thumbnail_name(photo_id, side)
            if not _exists(target, name) and (data := read_thumbnail(source, photo_id, side)):
                target.write(name, data)


def keeping_thumbnails(engine: Engine, place: Place, blur: Taxonomy | None = None) -> Engine:
    """An engine that also writes the thumbnails of the photos that it analyses, and of known ones that have none.

    The thumbnails of a photo are written before its outcome is given, so that no row of this ingest lacks them. A photo
    of which they cannot be made is rejected.

    Args:
        engine: Engine that analyses the photos.
        place: Place of the archive.
        blur: Taxonomy of the rows, to make heads unrecognisable by their class maps, as `heads` says; known photos then
            get no thumbnails, as their class maps are not at hand. None to keep photos as they are.
    """

    def run(sources: Sequence[Source], known: Container[str]) -> Generator[Outcome, None, None]:
        by_name = {source.name: source for source in sources}
        waiting: deque[Future[Outcome]] = deque()
        with ThreadPoolExecutor(2, thread_name_prefix="thumbnails") as executor:
            try:
                for outcome in engine(sources, known):
                    waiting.append(executor.submit(_with_thumbnails, place, by_name.get(outcome.name), outcome, blur))
                    if len(waiting) > _AHEAD:
                        yield waiting.popleft().result()
                while waiting:
                    yield waiting.popleft().result()
            finally:
                executor.shutdown(wait=True, cancel_futures=True)

    return run


def _with_thumbnails(place: Place, source: Source | None, outcome: Outcome, blur: Taxonomy | None) -> Outcome:
    """The outcome of a photo once its thumbnails are written."""
    from segmodels.archive.ingest import Outcome

    if source is None or not outcome.photo_id or outcome.reason or (blur and outcome.row is None):
        return outcome
    try:
        data = source.read()
        if id_of(data) != outcome.photo_id:
            return Outcome(outcome.name, reason=f"{source.name} changed while it was read. Ingest it again.")
        change = partial(_without_heads, outcome.row, blur) if blur and outcome.row else None
        write_thumbnails(place, outcome.photo_id, data, source.name, change)
    except ArchiveError:
        raise
    except PhotoError as error:
        return Outcome(outcome.name, reason=str(error))
    except OSError as error:
        return Outcome(outcome.name, reason=f"{source.name} cannot be read: {error.strerror or error}.")
    return outcome


def _without_heads(row: Row, taxonomy: Taxonomy, photo: np.ndarray) -> np.ndarray:
    with Image.open(io.BytesIO(row["class_map"]), formats=["PNG"]) as image:
        class_map = np.asarray(image, np.uint8)
    scale = class_map.shape[1] / row["width"]
    body = np.isin(class_map, [each.id for each in taxonomy.classes if each.group == "body"]).mean() >= _LEAST_BODY
    people = [person for person in row["people"] if person["detected"] or body]  # else a garment without a person
    boxes = [[round(side * scale) for side in person["box"]] for person in people]
    return blurred(photo, head_region(class_map, boxes, taxonomy))


def _exists(place: Place, name: str) -> bool:
    return bool(place.type_of(name) == fs.FileType.File)
