"""Two drawn pictures and what each of their pixels shows, which `make_annotations.py` writes as annotations."""

from __future__ import annotations

import numpy as np

__all__ = ["NAMES", "PHOTOS", "POLYGONS", "picture", "truth"]

NAMES = ("background", "skirt", "belt", "boots")
PHOTOS = ("front", "side")
POLYGONS: dict[tuple[str, str], list[tuple[int, int]]] = {("front", "skirt"): [(10, 6), (40, 6), (40, 24), (10, 24)]}
"""What is drawn as a polygon: points by photo and label; the rest is painted."""


def truth(name: str) -> np.ndarray:
    """Numbers of `NAMES`, uint8 `(36, 48)`: a skirt with a belt and a pair of boots; from the side, a boot."""
    values = np.zeros((36, 48), np.uint8)
    rows, columns = np.mgrid[:36, :48]
    if name == "front":
        values[6:24, 10:40] = 1
        values[10:12, 12:38] = 2
        values[11, 20:24] = 1  # a gap in the belt
        values[26:34, 12:18] = values[26:34, 30:36] = 3
    else:
        ring = (rows - 18) ** 2 + (columns - 24) ** 2
        values[(ring < 150) & (ring > 40)] = 3  # with a hole
    return values


def picture(name: str) -> np.ndarray:
    """The picture, uint8 `(36, 48, 3)` RGB."""
    colours = np.array([[200, 200, 190], [60, 90, 160], [30, 20, 20], [120, 70, 30]], np.uint8)
    return colours[truth(name)]
