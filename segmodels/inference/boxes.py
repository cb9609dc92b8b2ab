"""Boxes in a photo, and the crops about them that a network sees. Imports no network."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

__all__ = [
    "PADDING_GREY",
    "Box",
    "box_of",
    "crop_around",
    "cut",
    "edges",
    "intersection_area",
    "overlap_coefficient",
    "whole_pixels",
    "whole_size",
]

PADDING_GREY = 127
"""Value of the pixels of a crop that lie outside the photo; near 0 once a network's mean and std are applied."""


class Box(NamedTuple):
    """A rectangle in pixels of the photo: left, top, width, height. It may reach beyond the photo."""

    x: float
    y: float
    width: float
    height: float


def box_of(mask: np.ndarray) -> Box | None:
    """The smallest box around the True pixels of bool `(H, W)`; None if there are none."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    if not len(columns):
        return None
    return Box(int(columns[0]), int(rows[0]), int(columns[-1] - columns[0] + 1), int(rows[-1] - rows[0] + 1))


def intersection_area(one: Box, other: Box) -> float:
    """The area that two boxes share, in square pixels."""
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    return max(0.0, width) * max(0.0, height)


def overlap_coefficient(one: Box, other: Box) -> float:
    """The area that two boxes share over that of the smaller one, 0 to 1: 1 where one lies within the other.

    The intersection over union, by contrast, is small where one box is a small part of the other.
    """
    smaller = min(one.width * one.height, other.width * other.height)
    return intersection_area(one, other) / smaller if smaller > 0 else 0.0


def crop_around(box: Box, aspect: float | None, margin: float = 0.0) -> Box:
    """The smallest box of the given shape, with the same centre, that holds `box` and a margin on each side.

    Args:
        box: Box that must be inside the crop.
        aspect: Height over width of the crop; None for that of the box with its margin.
        margin: Share of the box's longer side that is added on each side.
    """
    border = margin * max(box.width, box.height)
    width, height = box.width + 2 * border, box.height + 2 * border
    if aspect is not None:
        width, height = max(width, height / aspect), max(height, width * aspect)
    return Box(box.x + (box.width - width) / 2, box.y + (box.height - height) / 2, width, height)


def cut(image: np.ndarray, crop: Box, height: int, width: int, outside: int = PADDING_GREY) -> np.ndarray:
    """The part of the image inside `crop`, resized to `height` x `width`.

    Args:
        image: uint8 `(H, W, 3)` photo, averaged where it shrinks and interpolated where it grows; or uint8 `(H, W)`
            class map, whose ids are never mixed.
        crop: Crop in pixels of the image; pixels beyond the image are filled.
        height: Height of the result, in pixels.
        width: Width of the result, in pixels.
        outside: Value of the pixels beyond the image.
    """
    left, top = round(crop.x), round(crop.y)
    right, bottom = max(left + 1, round(crop.x + crop.width)), max(top + 1, round(crop.y + crop.height))
    inside = image[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)]
    scale_y, scale_x = height / (bottom - top), width / (right - left)
    target_height = min(height, max(1, round(inside.shape[0] * scale_y)))
    target_width = min(width, max(1, round(inside.shape[1] * scale_x)))
    result = np.full((height, width, *image.shape[2:]), outside, np.uint8)
    if inside.size:
        y = min(round(max(-top, 0) * scale_y), height - target_height)
        x = min(round(max(-left, 0) * scale_x), width - target_width)
        how = cv2.INTER_NEAREST_EXACT if image.ndim == 2 else cv2.INTER_AREA if scale_x < 1 else cv2.INTER_LINEAR
        result[y : y + target_height, x : x + target_width] = cv2.resize(
            inside, (target_width, target_height), interpolation=how
        )
    return result


def edges(box: Box) -> tuple[int, int, int, int]:
    """Left, top, right and bottom in whole pixels, as `cut` takes them."""
    left, top = round(box.x), round(box.y)
    return left, top, max(left + 1, round(box.x + box.width)), max(top + 1, round(box.y + box.height))


def whole_size(crop: Box) -> tuple[int, int]:
    """Height and width of a crop at the photo's own size, in whole pixels."""
    left, top, right, bottom = edges(crop)
    return bottom - top, right - left


def whole_pixels(box: Box) -> tuple[int, int, int, int]:
    """Left, top, width and height of a box in whole pixels."""
    left, top, right, bottom = edges(box)
    return left, top, right - left, bottom - top
