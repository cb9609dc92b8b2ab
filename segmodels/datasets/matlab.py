"""Variables of MATLAB 5 files, read without trusting the sizes that a file states."""

from __future__ import annotations

import io
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from scipy.io import loadmat, whosmat

from segmodels.datasets.dataset import DatasetError
from segmodels.photo import MAX_PIXELS
from segmodels.sentences import first_line

__all__ = ["read_variable"]

_HEADER = 128  # bytes, before the first element
_COMPRESSED = 15  # type of an element that zlib unpacks to another
_MOST_BYTES = MAX_PIXELS + 1024 * 1024  # of a file, packed and unpacked: a byte for each pixel of the largest photo


def read_variable(path: Path, name: str, advice: str) -> np.ndarray:
    """One variable of a MATLAB 5 file, which may be compressed.

    Args:
        path: Path of the file.
        name: Name of the variable.
        advice: Sentence on what to do, which ends each error.

    Raises:
        DatasetError: If the file is missing, damaged, too large, or has no such variable.
    """
    if not path.is_file():
        raise DatasetError(f"{path} is missing. {advice}")
    try:
        with path.open("rb") as file:
            content = io.BytesIO(_unpacked(file.read(_MOST_BYTES + 1)))
        shapes = {each[0]: each[1] for each in whosmat(content)}  # type: ignore[arg-type]  # files are taken too
        if name not in shapes:
            raise DatasetError(f"{path} has no variable {name}. {advice}")
        if math.prod(shapes[name]) > MAX_PIXELS:
            raise ValueError(f"{name} is given {' x '.join(map(str, shapes[name]))} values")
        return np.asarray(loadmat(content, variable_names=[name])[name])  # type: ignore[arg-type]
    except DatasetError:
        raise
    except Exception as error:  # a damaged file makes scipy raise whatever it trips over
        raise DatasetError(f"{path} is damaged ({first_line(error)}). {advice}") from None


def _unpacked(content: bytes) -> bytes:
    """The same file with none of its elements compressed.

    Raises:
        ValueError: If it ends too early, is compressed twice, or is larger than a file for the largest photo.
        zlib.error: If an element cannot be unpacked.
    """
    order = ">" if content[126:128] == b"MI" else "<"
    parts, at, left = [content[:_HEADER]], _HEADER, _MOST_BYTES
    while at + 8 <= len(content) and left >= 0:
        kind, size = struct.unpack_from(f"{order}II", content, at)
        part = content[at : at + 8 + size]
        if kind == _COMPRESSED:
            unpacker = zlib.decompressobj()
            part = unpacker.decompress(part[8:], left + 1)
            if not unpacker.eof and len(part) <= left:
                raise ValueError("it ends too early")
            if len(part) >= 4 and struct.unpack_from(f"{order}I", part)[0] == _COMPRESSED:
                raise ValueError("it is compressed twice")
        parts.append(part)
        left -= len(part)
        at += 8 + size
    if left < 0 or len(content) > _MOST_BYTES:
        raise ValueError(f"it holds more than {_MOST_BYTES / 1e6:.0f} MB")
    return b"".join(parts)
