"""Framings: the parts of an outfit photo that people show, cut from full-length photos by their ground truth.

Rows are measured from the first row of the truth that is not Background, y0, to the last, y1, in units of
h = y1 - y0:

| framing    | first row       | last row           | width / height |
|------------|-----------------|--------------------|----------------|
| full       | the whole photo | the whole photo    | of the photo   |
| waist-up   | y0 - 0.05 h     | y0 + 0.55 h        | 0.8            |
| waist-down | y0 + 0.45 h     | y0 + 1.05 h        | 0.8            |
| bust       | y0 - 0.05 h     | y0 + 0.30 h        | 1.0            |
| close-up   | y0 + k h        | y0 + (k + 0.3) h   | 1.0            |

k is uniform in 0.2 to 0.6 and drawn from the photo's id, so that a photo has one close-up for good. Rows are rounded
and cut at the photo's edges first; the width follows from the height that is left. The crop is centred on the columns
that are not Background in its rows, then moved into the photo; where the photo is narrower, it takes all columns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from segmodels.datasets import DatasetError
from segmodels.evaluation.metrics import ConfusionMatrix
from segmodels.taxonomy import UNLABELLED

__all__ = ["FRAMINGS", "LEAST_SHARE", "Framing", "classes_that_count", "draw", "framed", "framing_score"]

LEAST_SHARE = 0.002
"""Share of a framing's true pixels that a class must exceed to count in the framing's score."""


@dataclass(frozen=True)
class Framing:
    """Rows and shape of a crop, relative to the person.

    Args:
        top: First row, in heights of the person below the person's first row.
        bottom: Row after the last one, in the same unit.
        aspect: Width over height of the crop.
        slide: Range from which k is drawn; k is added to `top` and `bottom`.
    """

    top: float
    bottom: float
    aspect: float
    slide: tuple[float, float] = (0.0, 0.0)


FRAMINGS: Mapping[str, Framing | None] = {
    "full": None,
    "waist-up": Framing(-0.05, 0.55, 0.8),
    "waist-down": Framing(0.45, 1.05, 0.8),
    "bust": Framing(-0.05, 0.30, 1.0),
    "close-up": Framing(0.0, 0.3, 1.0, slide=(0.2, 0.6)),
}
"""Framing by the name that the command line uses; None takes the whole photo."""


def framed(name: str, photo: np.ndarray, truth: np.ndarray, photo_id: str) -> tuple[np.ndarray, np.ndarray]:
    """The part of a photo that a framing shows, and its truth; both are views.

    Args:
        name: Key in `FRAMINGS`.
        photo: uint8 `(H, W, 3)` RGB.
        truth: uint8 `(H, W)` class ids; id 0 is the background.
        photo_id: Source of k for close-ups.

    Raises:
        DatasetError: If the truth holds no person, or one too low to be cut: `full` alone takes such a photo.
        KeyError: If there is no such framing.
    """
    framing = FRAMINGS[name]
    if framing is None:
        return photo, truth
    person = (truth != 0) & (truth != UNLABELLED)
    rows = np.flatnonzero(person.any(axis=1))
    height, width = truth.shape
    if not len(rows):
        raise DatasetError(f"{photo_id}: the mask holds nothing but background, so it has no {name}.")
    first, tall = int(rows[0]), int(rows[-1] - rows[0])
    least, most = framing.slide
    k = least + (most - least) * draw(photo_id)
    top = max(0, round(first + (framing.top + k) * tall))
    bottom = min(height, round(first + (framing.bottom + k) * tall))
    if bottom <= top:
        raise DatasetError(f"{photo_id}: the mask's person is {tall + 1} pixels high, too low for a {name}.")
    columns = np.flatnonzero(person[top:bottom].any(axis=0))
    if not len(columns):  # a gap between two parts of the person
        columns = np.flatnonzero(person.any(axis=0))
    wide = min(width, max(1, round(framing.aspect * (bottom - top))))
    left = round((columns[0] + columns[-1] + 1 - wide) / 2)
    left = min(max(0, left), width - wide)
    part = np.s_[top:bottom, left : left + wide]
    return photo[part], truth[part]


def draw(photo_id: str, purpose: str = "") -> float:
    """A number in 0..1 that depends on the photo's id alone, uniform over ids.

    Args:
        photo_id: Id of the photo in the data set.
        purpose: Any text; numbers of different purposes are independent of each other.
    """
    return int.from_bytes(hashlib.sha256(f"{purpose}{photo_id}".encode()).digest()[:8]) / 2**64


def classes_that_count(matrix: ConfusionMatrix) -> tuple[str, ...]:
    """Names of the classes that hold more than `LEAST_SHARE` of the true pixels, the background among them.

    Args:
        matrix: Sum over all photos of a framing.
    """
    pixels = matrix.counts.sum(axis=1)
    return tuple(name for name, count in zip(matrix.names, pixels, strict=True) if count > LEAST_SHARE * pixels.sum())


def framing_score(matrix: ConfusionMatrix) -> float:
    """Score of a framing: mean IoU over `classes_that_count`; NaN without pixels.

    A bust shows a few pixels of shoes now and then; a mean over all classes would hang on them.

    Args:
        matrix: Sum over all photos of a framing.
    """
    counted = classes_that_count(matrix)
    ious = [iou for name, iou in zip(matrix.names, matrix.iou, strict=True) if name in counted]
    return float(np.mean(ious)) if ious else float("nan")
