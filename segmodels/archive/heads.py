"""Heads made unrecognisable in small copies of photos, from the class map alone.

A region is blurred where hair, glasses and hats are found, and the skin beside them; of a person on whom none of these
is found, the top of the box. It follows the network: a head that the network does not see, or takes for something
else, stays as it is. What remains of a head are the means of blocks, four of them across it.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from segmodels.taxonomy import Taxonomy

__all__ = ["blurred", "head_region"]

_SEEDS = ("Hair", "Glasses", "Hat")
_SKIN = "Skin"
_BESIDE = 0.6  # of the size of the head: how far skin beside it belongs to the face
_TOP = 0.45  # of the shorter side of a person's box: height of its top, which is taken where little of a head is found
_COVERED = 0.25  # share of that top, below which it is
_BLOCKS = 4  # across a head
_LEAST = 0.0002  # of the photo: smaller finds are no heads


def head_region(class_map: np.ndarray, boxes: Sequence[Sequence[int]], taxonomy: Taxonomy) -> list[np.ndarray]:
    """The region of each head.

    Args:
        class_map: uint8 `(H, W)`, ids of the taxonomy.
        boxes: Box of each person, `[x, y, width, height]`, in pixels of the class map.
        taxonomy: Taxonomy of the ids; without the classes Hair and Skin, the tops of the boxes are taken.

    Returns:
        bool `(H, W)` for each head.
    """
    ids = {name: taxonomy[name].id for name in (*_SEEDS, _SKIN) if name in taxonomy.names}
    seeds = np.isin(class_map, [ids[name] for name in _SEEDS if name in ids])
    skin = class_map == ids.get(_SKIN, 255)
    height, width = class_map.shape
    grown = cv2.dilate(seeds.astype(np.uint8), np.ones((3, 3), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(grown, connectivity=8)
    regions = []
    for number in range(1, count):
        x, y, w, h, area = stats[number]
        if area < max(4, _LEAST * class_map.size):
            continue
        size = min(w, h) if h > 1.5 * w else max(w, h)  # long hair is longer than a head
        far = max(2, round(_BESIDE * size))
        near = np.zeros_like(seeds)
        near[max(0, y - far) : min(height, y + h + far), max(0, x - far) : min(width, x + w + far)] = True
        near &= cv2.dilate((labels == number).astype(np.uint8), _disc(2 * far)) > 0
        regions.append(_grown(_hull((labels == number) | (skin & near)), max(1, far // 6)))
    found = np.any(regions, axis=0) if regions else np.zeros_like(seeds)
    for x, y, w, h in boxes:
        top = np.zeros_like(seeds)
        size = max(2, round(min(w, h) * _TOP))
        left = max(0, x + (w - 2 * size) // 2)
        top[max(0, y) : max(0, y) + size, left : min(x + w, left + 2 * size)] = True
        if (found & top).sum() < _COVERED * top.sum():
            regions.append(top)
    return regions


def blurred(photo: np.ndarray, regions: Sequence[np.ndarray]) -> np.ndarray:
    """A photo in which regions are means of large blocks, with soft edges between these.

    Args:
        photo: uint8 `(H, W, 3)`.
        regions: bool `(h, w)`, of any size that covers the whole photo.
    """
    result = photo.copy()
    height, width = photo.shape[:2]
    for region in regions:
        whole = cv2.resize(region.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR) > 0.25
        rows, columns = np.flatnonzero(whole.any(1)), np.flatnonzero(whole.any(0))
        if not len(rows):
            continue
        part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        tall, wide = result[part].shape[:2]
        step = max(1.0, min(tall, wide) / _BLOCKS)
        small = cv2.resize(
            photo[part], (max(1, round(wide / step)), max(1, round(tall / step))), interpolation=cv2.INTER_AREA
        )
        coarse = cv2.resize(small, (wide, tall), interpolation=cv2.INTER_LINEAR)
        result[part] = np.where(whole[part][..., None], coarse, result[part])
    return result


def _hull(region: np.ndarray) -> np.ndarray:
    """The convex hull of a region: what hair and face enclose, such as eyes, belongs to the head."""
    points = cv2.findNonZero(region.astype(np.uint8))
    hull = np.zeros(region.shape, np.uint8)
    cv2.fillConvexPoly(hull, cv2.convexHull(points), 1)
    whole: np.ndarray = hull > 0
    return whole


def _grown(region: np.ndarray, by: int) -> np.ndarray:
    grown: np.ndarray = cv2.dilate(region.astype(np.uint8), _disc(by)) > 0
    return grown


def _disc(radius: int) -> np.ndarray:
    disc: np.ndarray = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return disc
