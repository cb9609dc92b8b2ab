"""What the bytes of an image file say before any decoder sees them: its kind, its size, whether its end is missing."""

from __future__ import annotations

import codecs
import os
import re
import struct
from typing import BinaryIO

from PIL import features

from segmodels.errors import GarmentscopeError
from segmodels.files import LFS_POINTER

__all__ = [
    "EXPORT_AGAIN",
    "FORMATS",
    "PhotoError",
    "coded_colours",
    "declared_jpeg_size",
    "declared_size",
    "is_cut_off",
    "is_progressive",
    "kind_of",
]

_WANTED = "Give a JPEG, PNG, WebP, HEIC, AVIF, TIFF, GIF or BMP photo."
EXPORT_AGAIN = "Export it again as JPEG or PNG."
"""What to do with a file that is whole and cannot be read."""

FORMATS = {
    "JPEG": ("JPEG", "MPO"),
    "PNG": ("PNG",),
    "WebP": ("WEBP",),
    "GIF": ("GIF",),
    "BMP": ("BMP",),
    "TIFF": ("TIFF",),
    "HEIC": ("HEIF", "AVIF"),
    "AVIF": ("AVIF",),
}
"""Pillow's readers for each kind of file. A container of brand `mif1` may hold either HEVC or AV1."""

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


class PhotoError(GarmentscopeError, ValueError):
    """A photo that cannot be used. The message says, on one line and for a person, which file, why and what to do."""


def _head(stream: BinaryIO, length: int = 4096) -> bytes:
    stream.seek(0)
    return stream.read(length)


def kind_of(stream: BinaryIO, name: str) -> str:
    """Which of `FORMATS` a file starts like.

    Args:
        stream: The open file.
        name: Name of the file in messages.

    Raises:
        PhotoError: If it is none of them, or one that this installation cannot read.
    """
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
        raise PhotoError(f"{name} is an AVIF photo, which this installation cannot read. {EXPORT_AGAIN}")
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


def declared_size(stream: BinaryIO, kind: str) -> tuple[int, int] | None:
    """Width and height from the header, before any decoder sets memory aside for them.

    Args:
        stream: The open file.
        kind: Kind of the file, a key of `FORMATS`.

    Returns:
        Width and height in pixels; None where the header does not tell, as in a TIFF.
    """
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
            return declared_jpeg_size(stream)
        elif kind in ("HEIC", "AVIF"):  # image spatial extents (ISO/IEC 23008-12, 6.5.3) of all items: the largest
            head = _head(stream, 65536)
            sizes = [struct.unpack_from(">II", head, found.end() + 4) for found in re.finditer(b"ispe", head)]
            width, height = max(sizes, key=lambda size: size[0] * size[1])
        else:
            return None
    except (struct.error, IndexError, ValueError):
        return None
    return abs(width), abs(height)


def coded_colours(stream: BinaryIO, kind: str) -> tuple[int, int] | None:
    """Colour primaries and transfer characteristics of a photo, as code points of ITU-T H.273; None without them.

    Args:
        stream: The open file.
        kind: Kind of the file, a key of `FORMATS`.
    """
    if kind not in ("PNG", "HEIC", "AVIF"):
        return None
    head = _head(stream, 65536)
    if kind == "PNG":  # the chunk cICP, which stands before the pixels
        found = re.search(rb"\0\0\0\x04cICP(.)(.)", head.partition(b"IDAT")[0], re.DOTALL)
    else:  # the box colr (ISO/IEC 14496-12, 12.1.5)
        found = re.search(rb"colrnclx(..)(..)", head, re.DOTALL)
    return (int.from_bytes(found[1], "big"), int.from_bytes(found[2], "big")) if found else None


def declared_jpeg_size(stream: BinaryIO) -> tuple[int, int] | None:
    """Width and height from the frame header of a JPEG, in pixels; None where it does not tell."""
    frame = _jpeg_frame(stream)
    return frame[1:] if frame else None


def is_progressive(stream: BinaryIO) -> bool:
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


def is_cut_off(stream: BinaryIO, kind: str, complaint: str) -> bool:
    """Whether the end of a file is missing, as opposed to an error inside it.

    Args:
        stream: The open file.
        kind: Kind of the file, a key of `FORMATS`.
        complaint: What the decoder said.
    """
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
