"""Opening a photo from any file, with all guards against bad files.

A photo is uint8 `(H, W, 3)` RGB in sRGB, upright, at its own size; one of more than `MAX_PIXELS` is halved until it has
no more, and that is its size from then on, also for class maps and boxes. A file that is not a photo raises a
`PhotoError`, whose message is for the person who chose the file.
"""

from __future__ import annotations

import io
import os
import re
import stat
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pillow_heif
from PIL import Image, PngImagePlugin, UnidentifiedImageError
from PIL.JpegImagePlugin import jpeg_factory

from segmodels.class_maps import class_maps_in
from segmodels.photo_header import (
    EXPORT_AGAIN,
    FORMATS,
    PhotoError,
    coded_colours,
    declared_jpeg_size,
    declared_size,
    is_cut_off,
    is_progressive,
    kind_of,
)
from segmodels.srgb import EXIF_DETAILS, UPRIGHT, orientation_of, to_srgb, upright

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

_COPY_AGAIN = "Copy or download it again."

# When a photo was made (CIPA DC-008, 4.6.5): in the EXIF directory, and the last in the main one.
_EXPOSED_TAG, _DIGITISED_TAG, _CHANGED_TAG = 0x9003, 0x9004, 0x0132
# "2021:07:06 12:00:00" by the standard; programs also write dashes, slashes, a T, no time, or AM and PM
_EXIF_DATE = re.compile(
    r"[\s\0]*(\d{4})[:/.-](\d{1,2})[:/.-](\d{1,2})(?:[\sT]+(\d{1,2})[:.](\d{2})(?:[:.](\d{2}))?(?:[.,]\d+)?\s*(?:([AaPp])[Mm])?)?"
)

pillow_heif.register_heif_opener()
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY  # programs keep an edit's history, and large profiles


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
    Adobe RGB, and of Display P3, BT.2020, PQ and HLG as PNG, HEIC and AVIF name them, are turned into sRGB without a
    profile, too. Files that are only partly there are refused, not filled up;
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
            kind = kind_of(stream, name)
            if size := declared_size(stream, kind):
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
        method = UPRIGHT.get(self.orientation)
        return values if method is None else np.array(Image.fromarray(values).transpose(method))


def as_stored(values: np.ndarray, orientation: int) -> np.ndarray:
    """Turns a map of an upright photo back to how the file stores the photo.

    Args:
        values: uint8 `(H, W)`.
        orientation: EXIF orientation of the file, 1 to 8.
    """
    method = UPRIGHT.get({6: 8, 8: 6}.get(orientation, orientation))  # the others undo themselves
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
        kind = kind_of(stream, name)
        try:
            stream.seek(0)
            with Image.open(stream, formats=FORMATS[kind]) as image:
                (width, height), orientation = image.size, orientation_of(image)
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
        with _quiet(), Image.open(stream, formats=FORMATS[kind_of(stream, "")]) as image:
            exif = image.getexif()
            details = exif.get_ifd(EXIF_DETAILS)
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
            `suffixes`. In folders, what is hidden (its name starts with a dot) is left out, and so are
            `class_maps.class_maps`; links to folders are not followed.
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
            photos.update(dict.fromkeys(_photos_in(path, passed_over, suffixes)))
        else:
            photos[path] = None
    return list(photos)


def _photos_in(folder: Path, passed_over: dict[Path, str] | None, suffixes: tuple[str, ...]) -> list[Path]:
    files = {path.relative_to(folder).as_posix(): path for path in _walk(folder, passed_over)}
    made = class_maps_in(folder, files)
    return sorted(path for name, path in files.items() if name.lower().endswith(suffixes) and name not in made)


def _walk(folder: Path, passed_over: dict[Path, str] | None) -> Iterator[Path]:
    def failed(error: OSError) -> None:
        sentence = f"{_printable(str(error.filename))} cannot be listed: {error.strerror}. Change its permissions."
        if passed_over is None or Path(error.filename) == folder:
            raise PhotoError(sentence) from error
        passed_over[Path(error.filename)] = sentence

    for parent, folders, files in os.walk(folder, onerror=failed):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(parent, name) for name in files if not name.startswith("."))


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


def _most_pixels(stream: BinaryIO, kind: str) -> int:
    """Most pixels that a file may declare."""
    if kind != "JPEG":
        return MAX_READ_PIXELS
    return MAX_STORED_PIXELS["progressive JPEG" if is_progressive(stream) else "JPEG"]


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
        width, height = (declared_jpeg_size(stream) if kind == "JPEG" else None) or (0, 0)
        stream.seek(0)
        large = width * height > MAX_READ_PIXELS  # Pillow's `open` has a limit of its own
        image: Image.Image = jpeg_factory(stream) if large else Image.open(stream, formats=FORMATS[kind])
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
        turned = orientation_of(image) if kind == "TIFF" else None  # loading turns it, and takes the tag away
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
        orientation = turned or orientation_of(image)
        if coded := coded_colours(stream, kind):
            image.info["cicp"] = coded
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
            with Image.open(io.BytesIO(data + filling + b"\xff\xd9"), formats=FORMATS["JPEG"]) as image:
                image.draft(None, tuple(max(1, side // 2) for side in image.size))  # type: ignore[arg-type]
                found.append(image.tobytes())
        except Exception:  # decoders raise what they like
            return None
    return io.BytesIO(data + b"\xff\xd9") if found[0] == found[1] == found[2] else None


def _from_picture(image: Image.Image, name: str) -> Photo:
    """A picture of Pillow, as a photo from a file; it is not reduced, as its owner has decoded it."""
    _check_size(image.size, name, MAX_PIXELS)
    stored = orientation_of(image) if image.format == "TIFF" else None
    try:
        image.load()
    except MemoryError:
        raise
    except Exception as error:  # decoders raise what they like
        raise PhotoError(f"{name} is damaged, or its file is closed already: {error}. Open it again.") from error
    return Photo(_upright_rgb(image, name), stored or orientation_of(image))


def _upright_rgb(image: Image.Image, name: str) -> np.ndarray:
    """The loaded picture, uint8 `(H, W, 3)` sRGB, upright."""
    try:
        return np.array(upright(to_srgb(image), image))
    except MemoryError:
        raise
    except Exception as error:
        raise PhotoError(f"{name} stores its colours in a way that cannot be read. {EXPORT_AGAIN}") from error


def _damage(stream: BinaryIO, kind: str, name: str, error: Exception, canvas: Image.Image | None = None) -> PhotoError:
    rows = 0 if canvas is None else _rows_drawn(canvas)
    how_far = f" after {rows:,} of {canvas.height:,} rows" if canvas is not None and 0 < rows < canvas.height else ""
    if is_cut_off(stream, kind, str(error)):
        return PhotoError(f"{name} is cut off{how_far or ': its end is missing'}. {_COPY_AGAIN}")
    if isinstance(error, UnidentifiedImageError):
        return PhotoError(f"{name} begins as {kind} but is damaged or of an unsupported kind. {EXPORT_AGAIN}")
    return PhotoError(f"{name} is damaged{how_far}. {_COPY_AGAIN}")


def _rows_drawn(canvas: Image.Image) -> int:
    drawn = (np.asarray(canvas) != np.array(_UNTOUCHED[canvas.mode], np.uint8)).any(axis=(1, 2))
    return int(np.flatnonzero(drawn)[-1]) + 1 if drawn.any() else 0
