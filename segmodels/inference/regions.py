"""Regions of interest: the people of a photo who are segmented, or the whole photo."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from segmodels.inference.boxes import Box
from segmodels.inference.detector import FoundPerson

__all__ = ["Region", "from_left_to_right", "is_unsure_or_large", "people_to_segment", "regions_to_segment"]

# Without a coarse pass a single person's region is the whole photo where the detector's score is below the first or the
# box covers more of the photo's area than the second; chosen on fold 0, flat-lays and photos of other kinds.
_WHOLE_BELOW_SCORE = 0.9
_WHOLE_FROM_AREA = 0.65
_MOST_PEOPLE = 8
_PASSER_BY = 0.5  # of the height of the tallest: twice as far away, or a small child
_COMPANION = 0.95  # score from which somebody beside the surest person counts; chosen on the folds


@dataclass(eq=False)
class Region:
    """A region of interest: one person, or a whole photo where nobody was found or the only person stands for it.

    Args:
        photo: Index of the photo.
        crop: Box of the photo that the network is given, in pixels of the photo, of the input's aspect.
        box: Region with its margin, around which each further ensemble member sets a crop of its own aspect.
        person: Person that the detector found, also where the crop is the whole photo; None if it found nobody.
        limit: Box outside of which nothing belongs to this person; None for no limit.
        probability: Probabilities in the crop, float32 `(C, height, width)`.
        maps: Feature maps of the crop, each `(channels, h, w)`; empty unless they are wanted.
    """

    photo: int
    crop: Box
    box: Box
    person: FoundPerson | None = None
    limit: Box | None = None
    probability: torch.Tensor | None = None
    maps: Sequence[torch.Tensor] = ()


def from_left_to_right(regions: Sequence[Region]) -> list[Region]:
    """Regions in the order of a segmentation's people; those of one photo come from the farthest to the nearest."""
    return sorted(regions, key=lambda region: region.person.box.x + region.person.box.width / 2 if region.person else 0)


def regions_to_segment(people: list[FoundPerson], height: int, width: int) -> list[Box]:
    """Boxes that the rule `box` of `CheckpointConfig.crop` crops around: of each person, or the whole photo.

    Args:
        people: People that the detector found.
        height: Height of the photo, in pixels.
        width: Width of the photo, in pixels.

    Returns:
        One box a region of interest, the farthest person's first.
    """
    whole = Box(0, 0, width, height)
    people = people_to_segment(people)
    if not people or (len(people) == 1 and is_unsure_or_large(people[0], whole)):
        return [whole]
    return [person.box for person in people]


def is_unsure_or_large(person: FoundPerson, whole: Box) -> bool:
    """Whether the only person of a photo stands for the whole of it.

    Args:
        person: Only person that the detector found.
        whole: Box of the photo.
    """
    area = person.box.width * person.box.height / (whole.width * whole.height)
    return person.confidence < _WHOLE_BELOW_SCORE or area > _WHOLE_FROM_AREA


def people_to_segment(people: list[FoundPerson]) -> list[FoundPerson]:
    """Those of the detected people that are segmented, the farthest first.

    People much smaller than the tallest are passers-by whose outfit nobody wants; they are left out, and so is whoever
    beside the surest is not sure: mostly people in the background, half hidden or turned away.

    Args:
        people: People that the detector found, the surest first.
    """
    tallest = max((person.box.height for person in people), default=0)
    tall = [person for person in people if person.box.height >= _PASSER_BY * tallest]
    people = [*tall[:1], *(person for person in tall[1:] if person.confidence >= _COMPANION)][:_MOST_PEOPLE]
    return sorted(people, key=lambda person: (person.box.y + person.box.height, person.confidence))
