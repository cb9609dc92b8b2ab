"""Raw photos of cameras: the JPEG that the camera put into the file, else the sensor's values at half the size."""

from __future__ import annotations

import io
import struct
from datetime import datetime
from functools import cache
from typing import Any

from PIL import Image

from segmodels.extras import missing_extra
from segmodels.photo import PhotoError, date_taken, read_stored

__all__ = ["RAW_SUFFIXES", "can_read_raw", "developed"]

RAW_SUFFIXES = tuple(".nef .nrw .cr2 .cr3 .crw .arw .dng .raf .orf .rw2 .pef .srw .x3f .iiq .3fr .raw".split())
"""File name endings, in lower case, of raw photos."""

_LEAST_SIDE = 1000  # pixels of the longer side below which a camera's JPEG is only an icon
_QUALITY = 95
_ORIENTATIONS = {3: 3, 5: 8, 6: 6}  # flip of LibRaw -> EXIF orientation
_ORIENTATION_TAG, _DETAILS, _EXPOSED_TAG, _FORMAT = 0x0112, 0x8769, 0x9003, "%Y:%m:%d %H:%M:%S"


@cache
def can_read_raw() -> bool:
    """Whether rawpy is installed."""
    return not missing_extra("raw", "rawpy")


def developed(data: bytes, name: str) -> bytes:
    """A raw photo as JPEG, with the date of its exposure and its orientation.

    Args:
        data: The file.
        name: Name of the file, for messages.

    Raises:
        PhotoError: If rawpy is not installed, or cannot read the file.
    """
    if problem := missing_extra("raw", "rawpy", what=f"{name} is a raw photo, which"):
        raise PhotoError(problem)
    import rawpy

    try:
        with rawpy.imread(io.BytesIO(data)) as raw:
            return _jpeg(raw)
    except (rawpy.LibRawError, rawpy.NotSupportedError, ValueError, OSError) as error:
        raise PhotoError(
            f"{name} is a raw photo that is damaged, or of a camera that is not known. Export it as JPEG."
        ) from error


def _jpeg(raw: Any) -> bytes:
    import rawpy

    try:
        preview = raw.extract_thumb()
        stored = read_stored(preview.data) if preview.format == rawpy.ThumbFormat.JPEG else None
    except (rawpy.LibRawError, PhotoError):
        stored = None
    taken = raw.other.timestamp
    if stored is None or max(stored.width, stored.height) < _LEAST_SIDE:
        out = io.BytesIO()
        Image.fromarray(raw.postprocess(half_size=True, use_camera_wb=True)).save(out, "JPEG", quality=_QUALITY)
        return _with_exif(out.getvalue(), taken, 1)
    turned = stored.orientation
    if turned == 1 and (stored.width > stored.height) == (raw.sizes.width > raw.sizes.height):
        turned = _ORIENTATIONS.get(raw.sizes.flip, 1)  # as the sensor saw it
    if turned == stored.orientation and date_taken(preview.data):
        return bytes(preview.data)
    return _with_exif(preview.data, date_taken(preview.data) or taken, turned)


def _with_exif(jpeg: bytes, taken: datetime | None, orientation: int) -> bytes:
    """A JPEG with another EXIF segment before its own, of which readers take the first; its pixels stay."""
    exif = Image.Exif()
    exif[_ORIENTATION_TAG] = orientation
    if taken is not None and taken.year > 1970:  # no time at all is the start of 1970
        exif.get_ifd(_DETAILS)[_EXPOSED_TAG] = taken.strftime(_FORMAT)
    segment = exif.tobytes()
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(segment) + 2) + segment + jpeg[2:]
