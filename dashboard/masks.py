"""Ground truth that a visitor brings: a PNG of class ids, or a mask of Clothing Co-Parsing.

What a file declares (kind, size, type) is checked against the photo before any of its pixels are read, and what is
packed in it is unpacked no further than a mask of that photo can be.
"""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import PurePath

import numpy as np
from PIL import Image
from scipy.io import loadmat, whosmat

from segmodels.taxonomy import CCP_59, CCP_TO_OUTFIT_15, OUTFIT_15, UNLABELLED, label_lookup

__all__ = ["MaskError", "match_masks", "read_mask"]

_VARIABLE = "groundtruth"
_HEADER = 128  # bytes of a MATLAB 5 file before its first variable
_COMPRESSED = 15  # its element type for a variable that is packed with zlib
_WIDEST = 8  # bytes of a pixel stored as double
_SLACK = 1 << 16  # bytes beside the pixels: tags, names, padding
_CCP = label_lookup(CCP_59, CCP_TO_OUTFIT_15, OUTFIT_15)


class MaskError(ValueError):
    """A file that is no mask of the photo; the message is for the visitor."""


def read_mask(name: str, data: bytes, width: int, height: int) -> np.ndarray:
    """Reads the ground truth of a photo.

    Args:
        name: File name, for messages.
        data: The file: a PNG of 8-bit palette or grey whose values are ids of `OUTFIT_15` (255: unlabelled), or a
            MATLAB 5 file of Clothing Co-Parsing with `groundtruth`.
        width: Of the photo, in pixels.
        height: Of the photo, in pixels.

    Returns:
        uint8 `(height, width)`: ids of `OUTFIT_15`, or `UNLABELLED`.

    Raises:
        MaskError: If it is neither, has another size than the photo, holds ids that are no class, or is damaged.
    """
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        truth = _read_png(name, data, width, height)
    elif data.startswith(b"MATLAB"):
        truth = _read_mat(name, data, width, height)
    else:
        raise MaskError(f"{name} is not a mask. Add class ids as a palette PNG, or a .mat of Clothing Co-Parsing.")
    unknown = sorted(set(np.unique(truth).tolist()) - {*range(len(OUTFIT_15)), UNLABELLED})
    if unknown:
        raise MaskError(
            f"{name} holds the id {unknown[0]}; the classes end at {len(OUTFIT_15) - 1} ({UNLABELLED} is unlabelled). "
            "Number its classes as the app's class maps do."
        )
    if (truth == UNLABELLED).all():
        raise MaskError(f"{name} labels no pixel: all are {UNLABELLED}. There is nothing to judge by.")
    return truth


def match_masks(masks: list[str], photos: list[str], shown: int) -> tuple[dict[int, int], list[str]]:
    """Which mask belongs to which photo, by file name without ending; a mask that comes alone may have any name.

    Args:
        masks: File names.
        photos: File names.
        shown: Index of the photo that a lone mask of another name is for.

    Returns:
        Indices of photos by index of mask, and one sentence for each mask that belongs to none or to a taken photo.
    """
    stems = [PurePath(name).stem for name in photos]
    if len(masks) == 1 and PurePath(masks[0]).stem not in stems:
        return {0: shown}, []
    matched: dict[int, int] = {}
    sentences = []
    for index, name in enumerate(masks):
        fitting = [place for place, stem in enumerate(stems) if stem == PurePath(name).stem]
        free = [place for place in fitting if place not in matched.values()]
        if free:
            matched[index] = shown if shown in free else free[0]
        elif fitting:
            sentences.append(f"{name} is left out: {photos[fitting[0]]} already has a mask. Keep one of the two.")
        else:
            sentences.append(f"{name} belongs to no photo here. Give it the photo's name, as in {stems[0]}.png.")
    return matched, sentences


def _read_png(name: str, data: bytes, width: int, height: int) -> np.ndarray:
    if len(data) < 33:
        raise MaskError(f"{name} is damaged: it ends within its first lines. Save it again.")
    columns, rows, depth, colour = struct.unpack(">IIBB", data[16:26])
    if colour not in (0, 3) or depth > 8:
        raise MaskError(f"{name} is a picture, not a mask: its pixels are colours. Save class ids as a palette PNG.")
    _check_size(name, columns, rows, width, height)
    try:
        with Image.open(io.BytesIO(data)) as image:
            return np.array(image.convert("L") if image.mode == "1" else image, np.uint8)
    except Exception as error:  # a damaged file makes Pillow raise whatever it trips over
        raise MaskError(f"{name} is damaged ({error}). Save it again.") from None


def _read_mat(name: str, data: bytes, width: int, height: int) -> np.ndarray:
    file = _unpacked(name, data, width * height * _WIDEST + _SLACK)
    try:
        variables = whosmat(io.BytesIO(file))  # type: ignore[arg-type]  # takes open files too
        declared = [(shape, kind) for each, shape, kind in variables if each == _VARIABLE]
    except Exception as error:  # as above, of scipy
        raise MaskError(f"{name} is damaged ({error}). Get it again.") from None
    if len(declared) != 1:
        names = ", ".join(each for each, _, _ in variables) or "nothing"
        raise MaskError(f"{name} should hold one {_VARIABLE}; it holds {names}. Add a mask of Clothing Co-Parsing.")
    shape, kind = declared[0]
    if kind not in ("uint8", "double") or len(shape) != 2:  # CCP's say double and store bytes
        raise MaskError(f"{name}: {_VARIABLE} is {kind} {shape}; a mask is uint8 or double with two sides.")
    _check_size(name, shape[1], shape[0], width, height)
    try:
        stored = np.asarray(loadmat(io.BytesIO(file), variable_names=[_VARIABLE])[_VARIABLE])  # type: ignore[arg-type]
    except Exception as error:  # as above
        raise MaskError(f"{name} is damaged ({error}). Get it again.") from None
    with np.errstate(invalid="ignore"):
        labels = stored.astype(np.uint8)
    if labels.shape != (height, width) or (labels != stored).any():
        raise MaskError(f"{name}: {_VARIABLE} does not hold labels from 0 to 58, as {width} x {height} whole numbers.")
    truth = np.asarray(_CCP[labels])
    if (truth == UNLABELLED).any():
        label = int(labels[truth == UNLABELLED][0])
        raise MaskError(f"{name} holds the label {label}, which belongs to none of the 15 classes. Correct the mask.")
    return truth


def _check_size(name: str, columns: int, rows: int, width: int, height: int) -> None:
    if (columns, rows) != (width, height):
        raise MaskError(
            f"{name} is {columns:,} x {rows:,} pixels; the photo is {width:,} x {height:,}. Add the mask of this photo."
        )


def _unpacked(name: str, data: bytes, limit: int) -> bytes:
    """A MATLAB 5 file with its packed variables unpacked, as long as none is over `limit` bytes."""
    order = {b"IM": "<", b"MI": ">"}.get(data[126:_HEADER])
    if order is None or data.startswith(b"MATLAB 7.3"):
        raise MaskError(f"{name} is no MATLAB 5 file, which the masks of Clothing Co-Parsing are. Save it as one.")
    parts, at = [data[:_HEADER]], _HEADER
    while at + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, at)
        part = data[at : at + 8 + size]
        if kind == _COMPRESSED:
            try:
                part = zlib.decompressobj().decompress(part[8:], limit + 1)
            except zlib.error as error:
                raise MaskError(f"{name} is damaged ({error}). Get it again.") from None
        if len(part) > limit:
            raise MaskError(f"{name} holds more than a mask of this photo can. Add the mask of this photo.")
        parts.append(part)
        at += 8 + size
    return b"".join(parts)
