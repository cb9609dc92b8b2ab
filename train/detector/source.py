"""Where made-up scenes take people and grounds from, and what a scene is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import cv2
import numpy as np

from segmodels.inference.boxes import Box, box_of
from train.data.cache import Cache

__all__ = ["Scene", "Source", "as_boxes", "clipped", "corners", "person_box", "whole_of"]

_SMALLEST_PART = 0.1


def person_box(truth: np.ndarray) -> Box | None:
    """The box around the person of a class map uint8 `(H, W)`, specks apart; None if there is nobody."""
    count, labels, statistics, _ = cv2.connectedComponentsWithStats((truth > 0).astype(np.uint8))
    if count < 2:
        return None
    areas = statistics[1:, cv2.CC_STAT_AREA]
    return box_of(np.isin(labels, 1 + np.flatnonzero(areas >= _SMALLEST_PART * areas.max())))


class Scene(NamedTuple):
    """A picture and who is in it; boxes are float64 `(n, 4)`: left, top, right, bottom in pixels.

    Args:
        picture: uint8 `(H, W, 3)` RGB.
        truth: uint8 `(H, W)` class ids.
        people: Boxes of the people.
        unknown: Boxes of what may show somebody who is not among them.
    """

    picture: np.ndarray
    truth: np.ndarray
    people: np.ndarray
    unknown: np.ndarray

    def moved(self, x: float, y: float) -> Scene:
        """The same with its boxes moved."""
        offset = np.array([x, y, x, y])
        return self._replace(people=self.people + offset, unknown=self.unknown + offset)


class Source:
    """Where scenes take people and grounds from.

    Args:
        photos: Photos and truths, each with at most one person who is labelled.
        bystanders: Boxes of people whom the truth does not label, by id of the photo: `(n, 4)` as left, top, right,
            bottom in shares of the photo. Without them everything beside a person is unknown, and no ground is taken
            from there.
        flatlays: Photos of garments without a person; without them scenes of that kind are grounds.
    """

    def __init__(
        self, photos: Cache, bystanders: Mapping[str, np.ndarray] | None = None, flatlays: Cache | None = None
    ) -> None:
        self.photos = photos
        self.flatlays = flatlays
        self.people = [person_box(photos.pair(index)[1]) for index in range(len(photos))]
        self.bystanders = bystanders

    def __len__(self) -> int:
        return len(self.photos)

    def pair(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Photo uint8 `(H, W, 3)` and truth uint8 `(H, W)`."""
        return self.photos.pair(index)

    def unknown(self, index: int) -> np.ndarray:
        """Boxes, in pixels of the photo, that may show somebody who is not labelled."""
        height, width = self.photos.shapes[index]
        if self.bystanders is not None:
            listed = self.bystanders.get(self.photos.ids[index], np.empty((0, 4)))
            return np.asarray(listed * [width, height, width, height])
        person = self.people[index]
        if person is None:
            return as_boxes([np.array([0, 0, width, height])])
        left, right = person.x - 0.02 * width, person.x + person.width + 0.02 * width
        return as_boxes([np.array([0, 0, left, height]), np.array([right, 0, width, height])])


def corners(box: Box) -> np.ndarray:
    """Left, top, right and bottom, float or int `(4,)`."""
    return np.array([box.x, box.y, box.x + box.width, box.y + box.height])


def as_boxes(boxes: list[np.ndarray]) -> np.ndarray:
    """Boxes float64 `(n, 4)`, also where there are none, from each one's `corners`."""
    return np.array(boxes, np.float64).reshape(-1, 4)


def whole_of(image: np.ndarray) -> Box:
    """The box of a whole picture or class map."""
    return Box(0, 0, image.shape[1], image.shape[0])


def clipped(boxes: np.ndarray, frame: Box) -> np.ndarray:
    """The parts of boxes `(..., 4)` that lie inside a frame; without area where none does."""
    left, top, right, bottom = corners(frame)
    return np.asarray(np.clip(boxes, [left, top, left, top], [right, bottom, right, bottom]))
