"""Polygons around the pixels of a mask."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

__all__ = ["joined", "polygons_of"]

_DEVIATION = 0.5  # pixels by which the polygon's vertices are thinned out


def polygons_of(mask: np.ndarray, left: int = 0, top: int = 0) -> list[np.ndarray]:
    """Polygons around each connected part of a mask, the largest first.

    They keep within one pixel of the edges of the mask: a contour halfway between the centres of pixels inside and
    outside (marching squares), thinned out by Douglas and Peucker's algorithm to half a pixel. A hole is cut into the
    polygon around it by a seam without width, from the nearest vertex there and back, since none of the formats has
    holes.

    Args:
        mask: bool `(H, W)`.
        left: Column of the photo at which the mask begins.
        top: Row of the photo at which the mask begins.

    Returns:
        For each part float64 `(n, 2)`: x and y of n >= 3 vertices in pixels of the photo, from its top left corner.
    """
    from skimage.measure import find_contours

    outer: list[tuple[float, np.ndarray]] = []
    holes: list[tuple[float, np.ndarray]] = []
    for contour in find_contours(np.pad(mask, 1).astype(np.uint8), 0.5, fully_connected="high"):
        ring = contour[:-1, ::-1] - 0.5  # the last point is the first; centres are at halves, and one pixel is padding
        area = _area(ring)
        (outer if area > 0 else holes).append((abs(area), _thinned(ring)))
    outer.sort(key=lambda each: -each[0])
    polygons = [ring for _, ring in outer]
    inside: list[list[np.ndarray]] = [[] for _ in outer]
    for _, hole in sorted(holes, key=lambda each: -each[0]):
        around = [
            at
            for at, (_, ring) in enumerate(outer)
            if cv2.pointPolygonTest(ring.astype(np.float32), [float(value) for value in hole[0]], False) >= 0
        ]
        inside[around[-1] if around else 0].append(hole)
    corner = np.array([left, top])
    return [joined([polygon, *rings]) + corner for polygon, rings in zip(polygons, inside, strict=True)]


def joined(rings: Sequence[np.ndarray]) -> np.ndarray:
    """One polygon of several, by seams without width between their nearest vertices.

    Filled by the even-odd rule it is the same as the rings are together.

    Args:
        rings: Polygons, each `(n, 2)`, at least one.
    """
    whole = rings[0]
    for ring in rings[1:]:
        apart = ((whole[:, None] - ring[None]) ** 2).sum(axis=2)
        here, there = np.unravel_index(int(apart.argmin()), apart.shape)
        around = np.concatenate([ring[there:], ring[: there + 1]])
        whole = np.concatenate([whole[: here + 1], around, whole[here:]])
    return whole


def _area(ring: np.ndarray) -> float:
    """Area inside a contour, in square pixels; negative around a hole."""
    x, y = ring.T
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def _thinned(ring: np.ndarray) -> np.ndarray:
    """A contour with fewer vertices; as it is where fewer than three would be left."""
    fewer = cv2.approxPolyDP(ring.astype(np.float32)[:, None], _DEVIATION, True)[:, 0].astype(np.float64)
    return fewer if len(fewer) > 2 else ring
