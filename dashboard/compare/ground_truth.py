"""Ground truth uploaded by a visitor: a PNG of class ids, or a mask of Clothing Co-Parsing.

What a file declares (kind, size, type) is checked against the photo before any of its pixels are read, and what is
packed in it is unpacked no further than a mask of that photo can be. MATLAB files are read by hand, after MathWorks'
*MAT-File Format*, level 5: SciPy's reader ends the whole process on some damaged ones.
"""

from __future__ import annotations

import io
import re
import struct
import unicodedata
import zlib
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import NamedTuple

import numpy as np
from PIL import Image

from segmodels.errors import GarmentscopeError
from segmodels.photo import PHOTO_SUFFIXES
from segmodels.taxonomy import CCP_59, CCP_TO_OUTFIT_15, OUTFIT_15, UNLABELLED, Taxonomy, label_lookup

__all__ = ["KINDS", "MaskError", "match_masks", "read_ccp_labels", "read_mask", "read_values"]

_MASK_WORD = re.compile(r"[ _.-]+(masks?|gt|labels?|classes|seg(mentation)?|annotation|ground[ _-]?truth|ids?)$")
KINDS = "Add class ids as an index or palette PNG, COCO's JSON, or a .mat of Clothing Co-Parsing."
"""What a ground truth may be, as a sentence."""

_PNG = b"\x89PNG\r\n\x1a\n"
_VARIABLE = "groundtruth"
_HEADER = 128  # bytes of a MATLAB 5 file before its first variable
_MATRIX, _COMPRESSED = 14, 15  # its element types for a variable, and for one packed with zlib
_KINDS = {1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 6: "double", 7: "single", 8: "int8", 9: "uint8"}
_NUMBERS = range(6, 16)  # classes of variables whose content is numbers
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8"}  # element type -> NumPy's
_WIDEST = 8  # bytes of a pixel stored as double
_SLACK = 1 << 16  # bytes beside the pixels: tags, names, padding
_CCP = label_lookup(CCP_59, CCP_TO_OUTFIT_15, OUTFIT_15)


class MaskError(GarmentscopeError, ValueError):
    """A file that is not a mask of the photo; the message is for the visitor."""


class _Variable(NamedTuple):
    """A variable of a MATLAB file: its declaration, its stored element type, and its bytes."""

    name: str
    kind: str
    shape: tuple[int, ...]
    stored: int
    content: bytes


def read_mask(name: str, data: bytes, width: int, height: int, taxonomy: Taxonomy = OUTFIT_15) -> np.ndarray:
    """Reads the ground truth of a photo.

    Args:
        name: File name, for messages.
        data: The file: a PNG of 8-bit palette or grey whose values are ids of the taxonomy (255: unlabelled), or, for
            `OUTFIT_15`, a MATLAB 5 file of Clothing Co-Parsing with `groundtruth`.
        width: Width of the photo, in pixels.
        height: Height of the photo, in pixels.
        taxonomy: Taxonomy of the ids.

    Returns:
        uint8 `(height, width)`: ids of the taxonomy, or `UNLABELLED`.

    Raises:
        MaskError: If it is neither, has another size than the photo, holds ids that are no class, or is damaged.
    """
    if data.startswith(_PNG):
        truth = _read_png(name, data, width, height)
    elif data.startswith(b"MATLAB") and taxonomy != OUTFIT_15:
        raise MaskError(f"{name} has the labels of Clothing Co-Parsing, not {taxonomy.name}. Add a PNG of class ids.")
    elif data.startswith(b"MATLAB"):
        truth = _read_mat(name, data, width, height)
    else:
        raise MaskError(f"{name} is not a mask. {KINDS}")
    if set(np.unique(truth).tolist()) == {0, UNLABELLED}:
        raise MaskError(
            f"{name} is black and white: it holds 0 and 255 only, so it marks one thing and names no class. Save class "
            "ids, where 0 is the background and 255 is unlabelled."
        )
    unknown = sorted(set(np.unique(truth).tolist()) - {*range(len(taxonomy)), UNLABELLED})
    if unknown:
        raise MaskError(
            f"{name} contains the id {unknown[0]}; class ids run from 0 to {len(taxonomy) - 1}, and {UNLABELLED} is "
            "unlabelled. Use the ids of the app's class maps."
        )
    if (truth == UNLABELLED).all():
        raise MaskError(f"{name} has no labelled pixel: all are {UNLABELLED}. Add a mask with labels.")
    return truth


def match_masks(masks: list[str], photos: list[str], shown: int) -> tuple[dict[int, int], list[str]]:
    """Assigns masks to photos by file name; a single mask may have any name.

    By the name without ending, else also without upper and lower case, the photo's ending (`look.jpg.png`), and a word
    for masks at the end (`look_mask.png`).

    Args:
        masks: File names of the masks.
        photos: File names of the photos.
        shown: Index of the photo that a lone mask of another name is for.

    Returns:
        Indices of photos by index of mask, and one sentence for each mask that belongs to none or to a taken photo.
    """
    stems = [PurePath(name).stem for name in photos]
    plain = [_plain_stem(name) for name in photos]
    if len(masks) == 1 and PurePath(masks[0]).stem not in stems and not _of_mask(masks[0], plain):
        return {0: shown}, []
    matched: dict[int, int] = {}
    sentences = []
    for index, name in enumerate(masks):
        fitting = [place for place, stem in enumerate(stems) if stem == PurePath(name).stem] or _of_mask(name, plain)
        free = [place for place in fitting if place not in matched.values()]
        if free:
            matched[index] = shown if shown in free else free[0]
        elif fitting:
            sentences.append(f"{name} is left out: {photos[fitting[0]]} already has a mask. Keep one of the two.")
        else:
            sentences.append(f"{name} matches no photo. Name it like its photo, for example {stems[0]}.png.")
    return matched, sentences


def read_values(name: str, data: bytes, width: int, height: int) -> np.ndarray:
    """The values of a PNG of 8-bit palette or grey, uint8 `(height, width)`, whatever they stand for.

    Args:
        name: File name, for messages.
        data: The file.
        width: Width of the photo, in pixels.
        height: Height of the photo, in pixels.

    Raises:
        MaskError: If it is no such PNG, has another size than the photo, or is damaged.
    """
    if not data.startswith(_PNG):
        raise MaskError(f"{name} is not a mask. {KINDS}")
    return _read_png(name, data, width, height)


def _of_mask(name: str, photos: Sequence[str]) -> list[int]:
    """Indices of the photos whose plain stem is the mask's, or what is left of it without the words for masks."""
    stem = _plain_stem(name)
    while True:
        if found := [place for place, photo in enumerate(photos) if photo == stem]:
            return found
        shorter = _MASK_WORD.sub("", stem)
        shorter = PurePath(shorter).stem if shorter == stem and shorter.endswith(PHOTO_SUFFIXES) else shorter
        if shorter == stem:
            return []
        stem = shorter


def _plain_stem(name: str) -> str:
    return PurePath(unicodedata.normalize("NFC", name).casefold()).stem


def _read_png(name: str, data: bytes, width: int, height: int) -> np.ndarray:
    if len(data) < 33:
        raise MaskError(f"{name} is damaged: its header is cut off. Save it again.")
    columns, rows, depth, colour = struct.unpack(">IIBB", data[16:26])
    picture = f"{name} is a picture, not a mask: its pixels are colours. Save class ids as a palette PNG."
    if depth > 8 and colour != 0:
        raise MaskError(picture)
    _check_size(name, columns, rows, width, height)
    try:
        with Image.open(io.BytesIO(data)) as image:
            pixels = np.array(image.convert("L") if image.mode == "1" else image)
    except Exception as error:  # a damaged file makes Pillow raise whatever it trips over
        raise MaskError(f"{name} is damaged ({error}). Save it again.") from None
    if pixels.ndim == 3:  # grey that was saved as colours, or with an opaque alpha channel
        alpha = pixels[..., -1] if pixels.shape[2] in (2, 4) else None
        channels = pixels if alpha is None else pixels[..., :-1]
        if (channels != channels[..., :1]).any() or (alpha is not None and (alpha != 255).any()):
            raise MaskError(picture)
        pixels = channels[..., 0]
    if pixels.max() > UNLABELLED:  # of 16 bits
        raise MaskError(f"{name} contains the id {pixels.max()}; the largest is {UNLABELLED}, for unlabelled pixels.")
    return pixels.astype(np.uint8)


def _read_mat(name: str, data: bytes, width: int, height: int) -> np.ndarray:
    labels = read_ccp_labels(name, data, width, height)
    truth = np.asarray(_CCP[labels])
    if (truth == UNLABELLED).any():
        label = int(labels[truth == UNLABELLED][0])
        raise MaskError(f"{name} contains the label {label}, which is none of the 15 classes. Correct the mask.")
    return truth


def read_ccp_labels(name: str, data: bytes, width: int, height: int) -> np.ndarray:
    """Reads a mask of Clothing Co-Parsing in its own labels.

    Args:
        name: File name, for messages.
        data: The file: MATLAB 5 with `groundtruth`.
        width: Width of the photo, in pixels.
        height: Height of the photo, in pixels.

    Returns:
        uint8 `(height, width)`: values of the file, which should be ids of `CCP_59`.

    Raises:
        MaskError: If it is no such file, has another size than the photo, or is damaged.
    """
    order = {b"IM": "<", b"MI": ">"}.get(data[126:_HEADER])
    if order is None or data.startswith(b"MATLAB 7.3"):
        raise MaskError(f"{name} is not a MATLAB 5 file, the format of Clothing Co-Parsing. Save it in that format.")
    try:
        variables = [_variable(part, order) for part in _unpacked(name, data, order, width * height * _WIDEST + _SLACK)]
    except (struct.error, zlib.error) as error:
        raise MaskError(f"{name} is damaged ({error}). Get it again.") from None
    masks = [variable for variable in variables if variable.name == _VARIABLE]
    if len(masks) != 1:
        names = ", ".join(variable.name[:60] for variable in variables) or "nothing"
        raise MaskError(f"{name} needs one variable {_VARIABLE}; it has {names}. Add a mask of Clothing Co-Parsing.")
    (mask,) = masks
    if mask.kind not in ("uint8", "double") or len(mask.shape) != 2:  # masks of CCP declare double and store bytes
        raise MaskError(f"{name}: {_VARIABLE} is {mask.kind} {mask.shape}; a mask is a 2-D uint8 or double array.")
    _check_size(name, mask.shape[1], mask.shape[0], width, height)
    form = _STORED.get(mask.stored)
    if form is None or len(mask.content) != width * height * np.dtype(form).itemsize:
        raise MaskError(f"{name}: {_VARIABLE} does not have the size that it declares. Get it again.")
    stored = np.frombuffer(mask.content, order + form).reshape(width, height).T  # column by column in the file
    with np.errstate(invalid="ignore"):
        labels = stored.astype(np.uint8)
    if (labels != stored).any():
        raise MaskError(f"{name}: {_VARIABLE} has values other than 0 to {len(CCP_59) - 1}. Correct the mask.")
    return labels


def _unpacked(name: str, data: bytes, order: str, limit: int) -> Iterator[bytes]:
    """Each variable of a MATLAB 5 file, unpacked, as long as it is no longer than `limit` bytes."""
    at = _HEADER
    while at + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, at)
        part = data[at : at + 8 + size]
        at += 8 + size
        if kind == _COMPRESSED:
            part = zlib.decompressobj().decompress(part[8:], limit + 1)
        if len(part) > limit:
            raise MaskError(f"{name} is larger than a mask of this photo can be. Add the mask of this photo.")
        yield part


def _variable(part: bytes, order: str) -> _Variable:
    """What a variable declares, and its numbers as they are stored.

    Raises:
        struct.error: If the bytes are no variable.
    """
    kind, matrix, _ = _element(part, 0, order)
    if kind != _MATRIX:
        raise struct.error(f"type {kind} where a variable should begin")
    _, flags, at = _element(matrix, 0, order)
    _, sides, at = _element(matrix, at, order)
    _, name, at = _element(matrix, at, order)
    of = struct.unpack_from(f"{order}I", flags)[0] & 0xFF
    shape = struct.unpack(f"{order}{len(sides) // 4}i", sides)
    stored, content, _ = _element(matrix, at, order) if of in _NUMBERS else (0, b"", 0)
    return _Variable(name.decode("latin-1"), _KINDS.get(of, f"of class {of}"), shape, stored, content)


def _element(data: bytes, at: int, order: str) -> tuple[int, bytes, int]:
    """Type and content of an element, and where the next begins; a short one holds its content in its tag."""
    kind, size = struct.unpack_from(f"{order}II", data, at)
    start, following = at + 8, at + 8 + size + -size % 8
    if kind >> 16:
        kind, size = kind & 0xFFFF, kind >> 16
        start, following = at + 4, at + 8
    content = data[start : start + size]
    if len(content) < size or start + size > following:
        raise struct.error("it is cut off")
    return kind, content, following


def _check_size(name: str, columns: int, rows: int, width: int, height: int) -> None:
    if (columns, rows) != (width, height):
        raise MaskError(
            f"{name} is {columns:,} x {rows:,} pixels; the photo is {width:,} x {height:,}. Add the mask of this photo."
        )
