"""Perceptual hash of a photo, which hardly changes when the photo is recompressed, resized or made brighter."""

from __future__ import annotations

import imagehash
import numpy as np
from PIL import Image

from segmodels.photo import reduced

__all__ = ["fingerprint"]

_SIDE = 256  # pixels of the longest side of the copy that is hashed


def fingerprint(photo: np.ndarray) -> int:
    """Perceptual hash of a photo: which of its 8 x 8 lowest frequencies are above their median, `imagehash.phash`.

    Args:
        photo: uint8 `(H, W, 3)` RGB.

    Returns:
        64 bits as a signed integer, as the column of an archive stores it.
    """
    bits = imagehash.phash(Image.fromarray(reduced(photo, _SIDE))).hash
    return int.from_bytes(np.packbits(bits).tobytes(), "big", signed=True)
