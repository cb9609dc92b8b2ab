"""What an annotation is made of: all pixels of one class on one person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from segmodels.inference.boxes import box_of
from segmodels.taxonomy import GarmentClass

if TYPE_CHECKING:
    from segmodels.inference.segmentation import Segmentation

__all__ = ["Region", "regions_of"]


@dataclass(frozen=True, eq=False)
class Region:
    """All pixels of one class on one person.

    Args:
        category: Class of the pixels.
        person: Index into the segmentation's people.
        confidence: Mean of the network's probability over the pixels, 0..1.
        presence: Calibrated probability that the person shows a garment of the class, 0..1; None without a calibration,
            and for skin and hair.
        box: Left, top, width, height in pixels of the photo.
        mask: The pixels inside the box, bool `(height, width)`.
    """

    category: GarmentClass
    person: int
    confidence: float
    presence: float | None
    box: tuple[int, int, int, int]
    mask: np.ndarray

    @property
    def area(self) -> int:
        """Number of pixels."""
        return int(self.mask.sum())

    def whole_mask(self, height: int, width: int) -> np.ndarray:
        """The pixels in a photo of that size, bool `(height, width)`."""
        left, top, across, down = self.box
        whole = np.zeros((height, width), bool)
        whole[top : top + down, left : left + across] = self.mask
        return whole


def regions_of(segmentation: Segmentation) -> Iterator[Region]:
    """The regions of a photo: the garments and accessories in their order, likely or not, then skin, hair and the like.

    Together they are all pixels but the background, each once.
    """
    garments = {(garment.person, garment.name): garment for garment in segmentation.garments}
    others = [each for each in segmentation.taxonomy.classes[1:] if not each.is_worn]
    people = range(len(segmentation.people))
    for person, category in [
        *((person, segmentation.taxonomy[name]) for person, name in garments),
        *((person, category) for person in people for category in others),
    ]:
        mask = segmentation.class_map == category.id
        if segmentation.owners is not None:
            mask &= segmentation.owners == person
        box = box_of(mask)
        if box is None:
            continue
        left, top, width, height = map(int, box)
        inside = np.s_[top : top + height, left : left + width]
        garment = garments.get((person, category.name))
        yield Region(
            category=category,
            person=person,
            confidence=garment.confidence if garment else float(segmentation.confidence[mask].mean()) / 255,
            presence=segmentation.presence_of(garment) if garment else None,
            box=(left, top, width, height),
            mask=mask[inside].copy(),
        )
