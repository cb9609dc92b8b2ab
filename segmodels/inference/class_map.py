"""Small class maps for tables: shown on pages for photos that are not stored. Imports no network."""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import Image

from segmodels.taxonomy import Taxonomy

__all__ = ["small_map"]


def small_map(class_map: np.ndarray, taxonomy: Taxonomy, side: int) -> bytes:
    """A class map, uint8 `(H, W)`, as a palette PNG whose longest side has at most `side` pixels; values are ids."""
    scale = min(1.0, side / max(class_map.shape))
    height, width = (max(1, round(length * scale)) for length in class_map.shape)
    image = Image.fromarray(cv2.resize(class_map, (width, height), interpolation=cv2.INTER_NEAREST_EXACT), "P")
    image.putpalette(taxonomy.palette[: len(taxonomy)].tobytes())
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()
