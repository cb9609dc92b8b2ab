"""Opening a photo from any file, with all guards against bad files.

A photo is uint8 `(H, W, 3)` RGB in sRGB, upright, at its own size; one of more than `MAX_PIXELS` is halved until it has
no more, and that is its size from then on, also for class maps and boxes. A file that is not a photo raises a
`PhotoError`, whose message is for the person who chose the file.
"""

from __future__ import annotations

import codecs
import io
import os
import re
import stat
import struct
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pillow_heif
from PIL import Image, ImageCms, ImageFilter, PngImagePlugin, UnidentifiedImageError, features
from PIL.JpegImagePlugin import jpeg_factory

from segmodels.errors import GarmentscopeError
from segmodels.files import LFS_POINTER

__all__ = [
    "MAX_BYTES",
    "MAX_PIXELS",
    "MAX_READ_PIXELS",
    "MAX_STORED_PIXELS",
    "MIN_SIDE",
    "PHOTO_SUFFIXES",
    "Photo",
    "PhotoError",
    "StoredPhoto",
    "as_stored",
    "date_taken",
    "decode_photo",
    "find_photos",
    "open_photo",
    "over_limit",
    "read_stored",
    "reduced",
]

MAX_PIXELS = 50_000_000
"""Most pixels (width times height) of a photo that is read; larger ones are reduced, see `MAX_STORED_PIXELS`."""

MAX_STORED_PIXELS = {"JPEG": 210_000_000, "progressive JPEG": 120_000_000}
"""Most pixels that a file may declare, by format, `MAX_READ_PIXELS` for others; more is refused from the header.

The decoder of JPEG reduces a photo while it reads it, row by row; of a progressive one it holds all coefficients.
"""

MAX_READ_PIXELS = 64_000_000
"""Most pixels that a file of another format than JPEG may declare: it is decoded whole and then reduced."""

MAX_BYTES = 20 * 1024 * 1024
"""Most bytes that a file may have unless the caller says otherwise: 20 MB."""

MIN_SIDE = 16
"""Fewest pixels on the shorter side of a photo; nobody's clothes can be seen in less."""

PHOTO_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    *(".png", ".apng", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
    *(".heic", ".heif", ".hif", ".avif"),
)
"""File name endings, in lower case, by which `find_photos` knows a photo in a folder."""

_WANTED = "Give a JPEG, PNG, WebP, HEIC, AVIF, TIFF, GIF or BMP photo."
_COPY_AGAIN = "Copy or download it again."
_EXPORT_AGAIN = "Export it again as JPEG or PNG."

# Pillow's readers for each kind of file. A container of brand `mif1` may hold either HEVC or AV1.
_FORMATS = {
    "JPEG": ("JPEG", "MPO"),
    "PNG": ("PNG",),
    "WebP": ("WEBP",),
    "GIF": ("GIF",),
    "BMP": ("BMP",),
    "TIFF": ("TIFF",),
    "HEIC": ("HEIF", "AVIF"),
    "AVIF": ("AVIF",),
}
_HEIF_BRANDS = frozenset(b"heic heix heim heis hevc hevx hevm hevs mif1 msf1".split())
_AVIF_BRANDS = frozenset(b"avif avis".split())

# What a file that is no photo is, by its first bytes.
_OTHERS = (
    (b"%PDF", "a PDF"),
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"8BPS", "a Photoshop document"),
    (b"Rar!", "a RAR archive"),
    (b"7z\xbc\xaf", "a 7-Zip archive"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 file"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL file"),
    (b"\xff\x0a", "a JPEG XL file"),
    (b"\x1aE\xdf\xa3", "a video"),
)

# EXIF orientation -> what makes the photo upright (CIPA DC-008, tag 0x0112).
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# When a photo was made (CIPA DC-008, 4.6.5): in the EXIF directory, and the last in the main one.
_EXIF_DETAILS = 0x8769
_EXPOSED_TAG, _DIGITISED_TAG, _CHANGED_TAG = 0x9003, 0x9004, 0x0132
# "2021:07:06 12:00:00" by the standard; programs also write dashes, slashes, a T, no time, or AM and PM
_EXIF_DATE = re.compile(
    r"[\s\0]*(\d{4})[:/.-](\d{1,2})[:/.-](\d{1,2})(?:[\sT]+(\d{1,2})[:.](\d{2})(?:[:.](\d{2}))?(?:[.,]\d+)?\s*(?:([AaPp])[Mm])?)?"
)

# Adobe RGB as cameras mark it (DCF 2.0): an uncalibrated colour space and the interoperability index R03.
_INTEROPERABILITY, _COLOUR_SPACE_TAG, _INDEX_TAG = 0xA005, 0xA001, 0x0001
_LUT_SIDE = 33

pillow_heif.register_heif_opener()
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY  # programs keep an edit's history, and large profiles


class PhotoError(GarmentscopeError, ValueError):
    """A photo that cannot be used. The message says, on one line and for a person, which file, why and what to do."""


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A photo, upright, and how its file stores it.

    Args:
        pixels: uint8 `(H, W, 3)` sRGB, upright, at the photo's own size.
        orientation: EXIF orientation of the file, 1 to 8 (CIPA DC-008, tag 0x0112); 1 is upright.
        notes: A sentence if it was reduced, and one if its file lacks its end marker.
    """

    pixels: np.ndarray
    orientation: int
    notes: tuple[str, ...] = ()


def open_photo(
    source: bytes | str | Path | Image.Image,
    *,
    name: str | None = None,
    max_bytes: int | None = MAX_BYTES,
    notes: list[str] | None = None,
) -> np.ndarray:
    """Reads a photo from a file, from a file's bytes, or from a picture of Pillow.

    Orientation from EXIF is applied, transparency laid over white, colours of an embedded ICC profile and of CMYK
    turned into sRGB, 16 bits scaled to 8. Of several frames the first is taken. Floating-point and 32-bit grey values
    are read as 0..1, 0..255 or 0..65535, whichever is the first to hold the largest of them. Colours of a camera's
    Adobe RGB are turned into sRGB without a profile, too. Files that are only partly there are refused, not filled up;
    a JPEG that lacks no more than its end marker is read.

    Args:
        source: The path of a file, its content, or a picture that Pillow has opened.
        name: Name of the file in messages; its path if none is given.
        max_bytes: Largest number of bytes that a file may have; None for no limit.
        notes: List to which a sentence is added if the photo was reduced, or its file lacks its end marker.

    Returns:
        uint8 `(H, W, 3)` sRGB, upright, at the photo's own size, in memory of its own. A photo of more than
        `MAX_PIXELS` has half, a quarter or an eighth of its width and height.

    Raises:
        PhotoError: If the file cannot be read, is no photo of a known format, is damaged or cut off, or has too many
            bytes, too many pixels (`MAX_STORED_PIXELS`) or too few (`MIN_SIDE`).
    """
    photo = decode_photo(source, name=name, max_bytes=max_bytes)
    if notes is not None:
        notes += photo.notes
    return photo.pixels


def decode_photo(
    source: bytes | str | Path | Image.Image, *, name: str | None = None, max_bytes: int | None = MAX_BYTES
) -> Photo:
    """Reads a photo as `open_photo` does, and also how its file was turned.

    A HEIC photo is turned by whatever decodes it, for its container says how, so its orientation is 1.

    Args:
        source: The path of a file, its content, or a picture that Pillow has opened.
        name: Name of the file in messages; its path if none is given.
        max_bytes: Largest number of bytes that a file may have; None for no limit.

    Raises:
        PhotoError: As `open_photo` does.
    """
    if name is None:
        name = "The photo" if isinstance(source, bytes | Image.Image) else os.fspath(source)
    name = _printable(name)
    try:
        if isinstance(source, Image.Image):
            with _quiet():
                return _from_picture(source, name)
        with _quiet(), _opened(source, name, max_bytes) as stream:
            kind = _kind(stream, name)
            if size := _declared_size(stream, kind):
                _check_size(size, name, _most_pixels(stream, kind))
            return _decoded(stream, kind, name)
    except PhotoError:
        raise
    except MemoryError as error:
        raise PhotoError(f"{name} needs more memory than is available. Save it smaller.") from error
    except OSError as error:
        raise PhotoError(f"{name} cannot be read: {error.strerror or 'the file is damaged'}.") from error


@dataclass(frozen=True, slots=True)
class StoredPhoto:
    """How a photo lies in its file, before it is turned upright.

    Args:
        width: Width as stored, in pixels.
        height: Height as stored, in pixels.
        orientation: EXIF orientation, 1 to 8 (CIPA DC-008, tag 0x0112); 1 is upright.
    """

    width: int
    height: int
    orientation: int

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height of the photo that `open_photo` gives, in pixels."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)

    def upright(self, values: np.ndarray) -> np.ndarray:
        """Turns a map of the stored pixels as `open_photo` turns the photo.

        Args:
            values: uint8 `(height, width)`.
        """
        method = _UPRIGHT.get(self.orientation)
        return values if method is None else np.array(Image.fromarray(values).transpose(method))


def as_stored(values: np.ndarray, orientation: int) -> np.ndarray:
    """Turns a map of an upright photo back to how the file stores the photo.

    Args:
        values: uint8 `(H, W)`.
        orientation: EXIF orientation of the file, 1 to 8.
    """
    method = _UPRIGHT.get({6: 8, 8: 6}.get(orientation, orientation))  # the others undo themselves
    return values if method is None else np.array(Image.fromarray(values).transpose(method))


def read_stored(path: Path | bytes, name: str = "") -> StoredPhoto:
    """Size and orientation from the header of a photo's file, without decoding it.

    Args:
        path: Path of the file, or its content.
        name: Name for messages; the path if left out.

    Raises:
        PhotoError: If the file cannot be read or is no photo of a known format.
    """
    name = _printable(name or ("the photo" if isinstance(path, bytes) else os.fspath(path)))
    with _quiet(), _opened(path, name, None) as stream:
        kind = _kind(stream, name)
        try:
            stream.seek(0)
            with Image.open(stream, formats=_FORMATS[kind]) as image:
                (width, height), orientation = image.size, _orientation(image)
        except MemoryError:
            raise
        except Exception as error:  # decoders raise what they like
            raise _damage(stream, kind, name, error) from error
    if kind == "TIFF" and orientation >= 5:  # Pillow gives the size of what it turns when it loads one
        width, height = height, width
    return StoredPhoto(width, height, orientation)


def date_taken(data: bytes) -> datetime | None:
    """When a photo was taken, as its EXIF data has it: by the clock of the place, without a time zone.

    Args:
        data: The file's content.

    Returns:
        The time of exposure, else that of digitising, else that of the last change; None if there is none that can be
        read.
    """
    try:
        stream = io.BytesIO(data)
        with _quiet(), Image.open(stream, formats=_FORMATS[_kind(stream, "")]) as image:
            exif = image.getexif()
            details = exif.get_ifd(_EXIF_DETAILS)
    except Exception:  # a file that is no photo, and EXIF that cannot be read, says nothing
        return None
    for text in (details.get(_EXPOSED_TAG), details.get(_DIGITISED_TAG), exif.get(_CHANGED_TAG)):
        if match := _EXIF_DATE.match(str(text)):
            *numbers, half = match.groups(default="0")
            year, month, day, hour, minute, second = map(int, numbers)
            if half != "0":
                hour = hour % 12 + 12 * (half in "Pp")
            try:
                return datetime(year, month, day, hour, minute, second)
            except ValueError:  # zeros where the clock was never set
                continue
    return None


def over_limit(name: str, size: int, max_bytes: int) -> str:
    """The sentence about a file of `size` bytes where at most `max_bytes` are allowed."""
    return (
        f"{_printable(name)} has {size / 1024**2:,.1f} MB, more than the {max_bytes / 1024**2:,.4g} MB allowed. "
        "Save it smaller."
    )


def reduced(photo: np.ndarray, side: int) -> np.ndarray:
    """A copy of a photo by means over areas; the photo itself if it is no larger.

    Args:
        photo: uint8 `(H, W, 3)`.
        side: Largest number of pixels of the copy's longer side.
    """
    import cv2

    scale = side / max(photo.shape[:2])
    if scale >= 1:
        return photo
    size = max(1, round(photo.shape[1] * scale)), max(1, round(photo.shape[0] * scale))
    return np.asarray(cv2.resize(photo, size, interpolation=cv2.INTER_AREA))


def find_photos(
    paths: Sequence[Path], passed_over: dict[Path, str] | None = None, suffixes: tuple[str, ...] = PHOTO_SUFFIXES
) -> list[Path]:
    """Photos among files and folders.

    Args:
        paths: Files, taken as they are, and folders, searched at every depth for files that end in one of
            `suffixes`. In folders, what is hidden (its name starts with a dot) is left out and links to folders
            are not followed.
        passed_over: Takes the folders inside of those given that cannot be listed, with a sentence each. If left out,
            such a folder is an error.
        suffixes: File name endings of photos in folders, in lower case.

    Returns:
        The files in the order given, those of a folder sorted by path; each path once.

    Raises:
        PhotoError: If a path does not exist or a folder cannot be listed.
    """
    photos: dict[Path, None] = {}
    for path in paths:
        mode = _mode(path, _printable(str(path)))
        if stat.S_ISDIR(mode):
            photos.update(dict.fromkeys(sorted(_walk(path, passed_over, suffixes))))
        else:
            photos[path] = None
    return list(photos)


def _walk(folder: Path, passed_over: dict[Path, str] | None, suffixes: tuple[str, ...]) -> Iterator[Path]:
    def failed(error: OSError) -> None:
        sentence = f"{_printable(str(error.filename))} cannot be listed: {error.strerror}. Change its permissions."
        if passed_over is None or Path(error.filename) == folder:
            raise PhotoError(sentence) from error
        passed_over[Path(error.filename)] = sentence

    for parent, folders, files in os.walk(folder, onerror=failed):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if not name.startswith(".") and name.lower().endswith(suffixes):
                yield Path(parent, name)


def _printable(name: str) -> str:
    """The name without line breaks, control characters and undecodable bytes, so that messages stay one line."""
    return "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in name)


# --- Getting at the bytes ---------------------------------------------------------------------------------------------


def _mode(path: Path, name: str) -> int:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        raise PhotoError(f"{name} does not exist. Check the path.") from None
    except ValueError:  # a zero byte in the path
        raise PhotoError(f"{name} is not a path of a file. Check the path.") from None
    except OSError as error:
        raise PhotoError(f"{name} cannot be reached: {error.strerror}.") from error


@contextmanager
def _opened(source: bytes | str | Path, name: str, max_bytes: int | None) -> Iterator[BinaryIO]:
    stream: BinaryIO
    if isinstance(source, bytes):
        stream, size = io.BytesIO(source), len(source)
    else:
        path = Path(source)
        mode = _mode(path, name)
        if stat.S_ISDIR(mode):
            raise PhotoError(f"{name} is a folder, not a photo.")
        if not stat.S_ISREG(mode):
            raise PhotoError(f"{name} is not a regular file. Name the photo itself.")
        try:
            stream = path.open("rb")
        except PermissionError:
            raise PhotoError(f"{name} may not be read by this user. Change the file's permissions.") from None
        size = os.fstat(stream.fileno()).st_size
    with stream:
        if size == 0:
            raise PhotoError(f"{name} is empty (0 bytes). {_COPY_AGAIN}")
        if max_bytes is not None and size > max_bytes:
            raise PhotoError(over_limit(name, size, max_bytes))
        yield stream


# `warnings.catch_warnings` swaps the filters of the whole process, so photos that open at the same time in several
# threads share one such block: the first in enters it, the last out leaves it.
_quiet_lock = threading.Lock()
_quiet_blocks: list[warnings.catch_warnings[None]] = []
_quiet_threads = 0


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps Pillow's warnings (large pictures, odd EXIF) to itself; other warnings and their filters stay."""
    global _quiet_threads  # noqa: PLW0603
    with _quiet_lock:
        if _quiet_threads == 0:
            block = warnings.catch_warnings()
            block.__enter__()
            warnings.filterwarnings("ignore", module=r"(PIL|pillow_heif)\b")
            _quiet_blocks.append(block)
        _quiet_threads += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_threads -= 1
            if _quiet_threads == 0:
                _quiet_blocks.pop().__exit__(None, None, None)


# --- What the header says ---------------------------------------------------------------------------------------------


def _head(stream: BinaryIO, length: int = 4096) -> bytes:
    stream.seek(0)
    return stream.read(length)


def _kind(stream: BinaryIO, name: str) -> str:
    """Which of `_FORMATS` the file starts like."""
    head = _head(stream)
    kind: str | None = None
    if head.startswith(b"\xff\xd8\xff"):
        kind = "JPEG"
    elif head.startswith(b"\x89PNG\r\n\x1a\n"):
        kind = "PNG"
    elif head.startswith((b"GIF87a", b"GIF89a")):
        kind = "GIF"
    elif head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        kind = "WebP"
    elif head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):
        kind = "TIFF"
    elif head.startswith(b"BM") and not _is_text(head):
        kind = "BMP"
    elif head[4:8] == b"ftyp":
        brands = {head[at : at + 4] for at in range(8, min(int.from_bytes(head[:4], "big"), 256), 4)}
        if head[8:12] in _AVIF_BRANDS or (brands & _AVIF_BRANDS and not brands & (_HEIF_BRANDS - {b"mif1", b"msf1"})):
            kind = "AVIF"
        elif head[8:12] in _HEIF_BRANDS:
            kind = "HEIC"
    if kind == "AVIF" and not features.check("avif"):
        raise PhotoError(f"{name} is an AVIF photo, which this installation cannot read. {_EXPORT_AGAIN}")
    if kind is None:
        raise PhotoError(f"{name} is {_other(head)}. {_WANTED}")
    return kind


def _other(head: bytes) -> str:
    for prefix, what in _OTHERS:
        if head.startswith(prefix):
            return f"{what}, not a photo"
    if head[4:8] == b"ftyp":
        return "a video or a raw camera file, not a photo"
    if _is_text(head):
        if re.search(rb"<html|<!doctype html", head, re.IGNORECASE):
            return "a web page, not a photo"
        if head.startswith(LFS_POINTER):
            return "a Git LFS pointer, not a photo: run git lfs pull"
        return "text, not a photo"
    if not head.strip(b"\0"):
        return "full of zeros, not a photo"
    return "not a photo in a supported format"


def _is_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):  # UTF-16
        return True
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)  # incremental: the last character may be incomplete
    except UnicodeDecodeError:
        return False
    return not re.search(rb"[\0-\x06]", head)


def _declared_size(stream: BinaryIO, kind: str) -> tuple[int, int] | None:
    """Width and height from the header, before any decoder sets memory aside for them; None where it does not tell."""
    head = _head(stream)
    try:
        if kind == "PNG":
            width, height = struct.unpack_from(">II", head, 16)
        elif kind == "GIF":
            width, height = struct.unpack_from("<HH", head, 6)
        elif kind == "BMP":
            width, height = struct.unpack_from("<HH" if head[14] == 12 else "<ii", head, 18)
        elif kind == "WebP" and head[12:16] == b"VP8X":
            width, height = (int.from_bytes(head[at : at + 3], "little") + 1 for at in (24, 27))
        elif kind == "JPEG":
            return _declared_jpeg_size(stream)
        elif kind in ("HEIC", "AVIF"):  # image spatial extents (ISO/IEC 23008-12, 6.5.3) of all items: the largest
            head = _head(stream, 65536)
            sizes = [struct.unpack_from(">II", head, found.end() + 4) for found in re.finditer(b"ispe", head)]
            width, height = max(sizes, key=lambda size: size[0] * size[1])
        else:
            return None
    except (struct.error, IndexError, ValueError):
        return None
    return abs(width), abs(height)


def _declared_jpeg_size(stream: BinaryIO) -> tuple[int, int] | None:
    """The frame header's width and height."""
    frame = _jpeg_frame(stream)
    return frame[1:] if frame else None


def _is_progressive(stream: BinaryIO) -> bool:
    """Whether a JPEG is progressive (SOF2, SOF6, SOF10, SOF14), or does not tell."""
    frame = _jpeg_frame(stream)
    return frame is None or frame[0] & 0x03 == 0x02


def _jpeg_frame(stream: BinaryIO) -> tuple[int, int, int] | None:
    """The frame's marker, width and height (ITU-T T.81, B.2.2), for which the segments before it are stepped over."""
    stream.seek(2)
    for _ in range(1000):
        marker = stream.read(2)
        if marker == b"\xff\xff":  # a fill byte
            stream.seek(-1, os.SEEK_CUR)
            continue
        if len(marker) < 2 or marker[0] != 0xFF:
            return None
        if 0xC0 <= marker[1] <= 0xCF and marker[1] not in (0xC4, 0xC8, 0xCC):
            segment = stream.read(7)
            if len(segment) < 7:
                return None
            height, width = struct.unpack(">HH", segment[3:])
            return marker[1], width, height
        length = int.from_bytes(stream.read(2), "big")
        if marker[1] in (0xD9, 0xDA) or length < 2:
            return None
        stream.seek(length - 2, os.SEEK_CUR)
    return None


def _most_pixels(stream: BinaryIO, kind: str) -> int:
    """Most pixels that a file may declare."""
    if kind != "JPEG":
        return MAX_READ_PIXELS
    return MAX_STORED_PIXELS["progressive JPEG" if _is_progressive(stream) else "JPEG"]


def _check_size(size: tuple[int, int], name: str, most: int = MAX_READ_PIXELS) -> None:
    width, height = size
    if width * height > most:
        raise PhotoError(
            f"{name} is {width:,} x {height:,} pixels, more than the {most // 1_000_000} million allowed. "
            "Save it smaller."
        )
    if min(width, height) < MIN_SIDE:
        raise PhotoError(
            f"{name} is only {width:,} x {height:,} pixels; the minimum is {MIN_SIDE} on each side. "
            "Give a larger photo."
        )


# --- Decoding ---------------------------------------------------------------------------------------------------------

# A row of this colour throughout is one that the decoder never reached.
_UNTOUCHED = {"RGB": (255, 0, 255), "RGBA": (255, 0, 255, 1), "CMYK": (1, 255, 2, 254)}


def _decoded(stream: BinaryIO, kind: str, name: str) -> Photo:
    most = _most_pixels(stream, kind)
    try:
        width, height = (_declared_jpeg_size(stream) if kind == "JPEG" else None) or (0, 0)
        stream.seek(0)
        large = width * height > MAX_READ_PIXELS  # Pillow's `open` has a limit of its own
        image: Image.Image = jpeg_factory(stream) if large else Image.open(stream, formats=_FORMATS[kind])
    except Image.DecompressionBombError:
        raise PhotoError(
            f"{name} has more than the {most // 1_000_000} million pixels allowed. Save it smaller."
        ) from None
    except MemoryError:
        raise
    except Exception as error:  # decoders raise what they like
        raise _damage(stream, kind, name, error) from error
    with image:
        _check_size(image.size, name, most)
        turned = _orientation(image) if kind == "TIFF" else None  # loading turns it, and takes the tag away
        stored, factor, notes = image.size, _reduction(image.size), list[str]()
        if factor > 1 and kind == "JPEG":
            image.draft(None, (stored[0] // factor, stored[1] // factor))
        canvas: Image.Image | None = None
        if kind in ("JPEG", "PNG") and image.mode in _UNTOUCHED and not image.info.get("interlace"):
            canvas = Image.new(image.mode, image.size, _UNTOUCHED[image.mode])
            image.im = canvas.im  # the decoder draws into the canvas, so a failure leaves the rows that there are
        try:
            image.load()
        except MemoryError:
            raise
        except Exception as error:
            whole = _without_end_marker(stream) if kind == "JPEG" else None
            if whole is None:
                raise _damage(stream, kind, name, error, canvas) from error
            photo = _decoded(whole, kind, name)
            return replace(photo, notes=(f"{name} lacks its end marker; all of its rows could be read.", *photo.notes))
        orientation = turned or _orientation(image)
        pixels = _upright_rgb(image, name)
        if factor > 1:
            if image.size == stored:
                pixels = np.array(Image.fromarray(pixels).reduce(factor))
            notes.append(
                f"{name} is {stored[0]:,} x {stored[1]:,} pixels and was read at 1/{factor} of its width and height, "
                f"as photos of more than {MAX_PIXELS // 1_000_000} million pixels are."
            )
        return Photo(pixels, orientation, tuple(notes))


def _reduction(size: tuple[int, int]) -> int:
    """Whole number by which width and height are divided, a power of 2, so that a photo has at most `MAX_PIXELS`."""
    factor = 1
    while (size[0] // factor) * (size[1] // factor) > MAX_PIXELS:
        factor *= 2
    return factor


def _without_end_marker(stream: BinaryIO) -> io.BytesIO | None:
    """A JPEG with the end marker that it lacks; None if it lacks more, or nothing.

    Whatever is put between the data and the marker changes pixels if data is missing there, and is skipped if not.
    """
    stream.seek(0)
    data = stream.read().rstrip(b"\xff")
    if b"\xff\xd9" in data[-64:]:
        return None
    found = []
    for filling in (b"", b"\x00" * 64, b"\x55\xaa" * 32):
        try:
            with Image.open(io.BytesIO(data + filling + b"\xff\xd9"), formats=_FORMATS["JPEG"]) as image:
                image.draft(None, tuple(max(1, side // 2) for side in image.size))  # type: ignore[arg-type]
                found.append(image.tobytes())
        except Exception:  # decoders raise what they like
            return None
    return io.BytesIO(data + b"\xff\xd9") if found[0] == found[1] == found[2] else None


def _from_picture(image: Image.Image, name: str) -> Photo:
    """A picture of Pillow, as a photo from a file; it is not reduced, as its owner has decoded it."""
    _check_size(image.size, name, MAX_PIXELS)
    stored = _orientation(image) if image.format == "TIFF" else None
    try:
        image.load()
    except MemoryError:
        raise
    except Exception as error:  # decoders raise what they like
        raise PhotoError(f"{name} is damaged, or its file is closed already: {error}. Open it again.") from error
    return Photo(_upright_rgb(image, name), stored or _orientation(image))


def _upright_rgb(image: Image.Image, name: str) -> np.ndarray:
    """The loaded picture, uint8 `(H, W, 3)` sRGB, upright."""
    try:
        return np.array(_upright(_to_rgb(image), image))
    except MemoryError:
        raise
    except Exception as error:
        raise PhotoError(f"{name} stores its colours in a way that cannot be read. {_EXPORT_AGAIN}") from error


def _damage(stream: BinaryIO, kind: str, name: str, error: Exception, canvas: Image.Image | None = None) -> PhotoError:
    rows = 0 if canvas is None else _rows_drawn(canvas)
    how_far = f" after {rows:,} of {canvas.height:,} rows" if canvas is not None and 0 < rows < canvas.height else ""
    if _is_cut_off(stream, kind, str(error)):
        return PhotoError(f"{name} is cut off{how_far or ': its end is missing'}. {_COPY_AGAIN}")
    if isinstance(error, UnidentifiedImageError):
        return PhotoError(f"{name} begins as {kind} but is damaged or of an unsupported kind. {_EXPORT_AGAIN}")
    return PhotoError(f"{name} is damaged{how_far}. {_COPY_AGAIN}")


def _rows_drawn(canvas: Image.Image) -> int:
    drawn = (np.asarray(canvas) != np.array(_UNTOUCHED[canvas.mode], np.uint8)).any(axis=(1, 2))
    return int(np.flatnonzero(drawn)[-1]) + 1 if drawn.any() else 0


def _is_cut_off(stream: BinaryIO, kind: str, complaint: str) -> bool:
    """Whether the end of the file is missing, as opposed to an error inside it."""
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - 64))
    tail = stream.read()
    if (kind == "JPEG" and tail.endswith(b"\xff\xd9")) or (kind == "PNG" and b"IEND" in tail):
        return False
    if re.search("truncat|end of file|end of data", complaint, re.IGNORECASE):
        return True
    head = _head(stream, 16)
    if kind == "WebP":
        return int.from_bytes(head[4:8], "little") + 8 > size
    if kind == "TIFF" and head[2] + head[3] == 42:
        return int.from_bytes(head[4:8], "little" if head[0] == ord("I") else "big") + 2 > size
    if kind in ("HEIC", "AVIF"):
        at = 0
        for _ in range(1000):
            stream.seek(at)
            box = stream.read(8)
            length = int.from_bytes(box[:4], "big")
            if len(box) < 8 or length < 8:  # 0: to the end of the file; 1: a length of 64 bits
                break
            at += length
        return at > size
    return False


def _to_rgb(image: Image.Image) -> Image.Image:
    """The loaded image in sRGB and over white, not turned upright yet."""
    if image.mode.startswith("I;16"):
        image_8bit: Image.Image = Image.fromarray(_grey_16_to_8(np.asarray(image)))
    elif image.mode in ("I", "F"):
        image_8bit = Image.fromarray(_grey_32_to_8(np.asarray(image)))
    elif image.mode == "1":
        image_8bit = image.convert("L")
    elif image.mode == "LAB":
        return _through_profile(image, ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))) or image.convert("RGB")
    else:
        image_8bit = image
    flat = _over_white(image_8bit)
    if image.mode == "CMYK" and image.format in ("JPEG", "MPO") and "adobe" not in image.info:
        # Pillow takes each CMYK JPEG for an inverted one, as Adobe's programs write them; without their marker 0 is
        # no ink, as libvips and ImageMagick have it.
        flat = Image.fromarray(255 - np.asarray(flat), "CMYK")
    profile = image.info.get("icc_profile")
    if profile:
        try:
            converted = _through_profile(flat, ImageCms.ImageCmsProfile(io.BytesIO(profile)))
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            converted = None  # a corrupt profile is as good as none
        if converted is not None:
            return converted
    elif flat.mode == "RGB" and _is_adobe_rgb(image):
        return flat.filter(_adobe_to_srgb())
    return flat.convert("RGB")


def _is_adobe_rgb(image: Image.Image) -> bool:
    """Whether EXIF says that a camera has stored Adobe RGB."""
    try:
        exif = image.getexif()
        space = exif.get_ifd(_EXIF_DETAILS).get(_COLOUR_SPACE_TAG)
        index = str(exif.get_ifd(_INTEROPERABILITY).get(_INDEX_TAG, "")).strip(" \0")
    except Exception:  # EXIF that cannot be read says nothing
        return False
    return space == 2 or (space == 0xFFFF and index == "R03")


@cache
def _adobe_to_srgb() -> ImageFilter.Color3DLUT:
    """Adobe RGB (1998) to sRGB (IEC 61966-2-1), both with white D65; colours outside sRGB are clipped."""
    to_xyz = np.array([[0.57667, 0.18556, 0.18823], [0.29734, 0.62736, 0.07529], [0.02703, 0.07069, 0.99134]])
    from_xyz = np.array([[3.24045, -1.53714, -0.49853], [-0.96927, 1.87601, 0.04156], [0.05564, -0.20403, 1.05723]])
    steps = np.linspace(0, 1, _LUT_SIDE)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")  # red runs fastest
    linear = np.stack([red, green, blue], axis=-1).reshape(-1, 3) ** (563 / 256) @ (from_xyz @ to_xyz).T
    linear = np.clip(linear, 0, 1)
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return ImageFilter.Color3DLUT(_LUT_SIDE, srgb.astype(np.float32).ravel())


def _grey_16_to_8(values: np.ndarray) -> np.ndarray:
    return ((values.astype(np.uint32) * 255 + 32895) >> 16).astype(np.uint8)  # = round(value / 257)


def _grey_32_to_8(values: np.ndarray) -> np.ndarray:
    values = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    largest = float(values.max())
    steps = (255.0, 65535.0) if largest > 1 else (1.0, 255.0)
    white = next((step for step in steps if largest <= step), largest)
    return np.rint(np.clip(values * (255.0 / white), 0, 255)).astype(np.uint8)


def _over_white(image: Image.Image) -> Image.Image:
    if image.mode == "La":
        image = image.convert("LA")
    elif image.mode == "RGBa":
        image = image.convert("RGBA")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image if image.mode in ("L", "RGB", "CMYK") else image.convert("RGB")


def _through_profile(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image | None:
    """The image in sRGB; None if the profile is for other channels than the image's."""
    channels = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK", "LAB": "Lab"}[image.mode]
    if profile.profile.xcolor_space.strip() != channels:
        return None
    transform = ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), image.mode, "RGB")
    if image.mode == "RGB":
        levels = np.linspace(0, 255, 9).astype(np.uint8)
        lattice = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(27, 27, 3)
        moved = np.asarray(ImageCms.applyTransform(Image.fromarray(lattice), transform))
        if np.abs(moved.astype(int) - lattice).max() <= 1:  # sRGB under any name
            return image
    return ImageCms.applyTransform(image, transform)


def _upright(rgb: Image.Image, image: Image.Image) -> Image.Image:
    if image.format == "TIFF":  # done by Pillow when it loads one
        return rgb
    method = _UPRIGHT.get(_orientation(image))
    return rgb if method is None else rgb.transpose(method)


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 to 8; 1 where there is none that can be read."""
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG)
    except Exception:  # EXIF that cannot be read says nothing
        return 1
    return orientation if isinstance(orientation, int) and orientation in _UPRIGHT else 1
