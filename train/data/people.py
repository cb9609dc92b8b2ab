"""Where the person detector finds people in cached photos, for crops that are cut as in use."""

from __future__ import annotations

from dataclasses import replace

from tqdm import tqdm

from segmodels.inference.detector import load_detector
from segmodels.inference.regions import regions_to_segment
from segmodels.settings import read_settings
from train.data.cache import Cache
from train.distributed import this_process

__all__ = ["with_people"]


def with_people(cache: Cache) -> Cache:
    """The same cache, with the boxes about which the checkpoint will crop each photo (`Cache.people`).

    Args:
        cache: Photos and truths; the detector reads the photos at the size that they have there.

    Raises:
        CheckpointError: If the detector is missing or damaged.
    """
    detector = load_detector(read_settings().detector)
    photos = (cache.pair(index)[0] for index in range(len(cache)))
    quiet = not this_process().is_first
    people = tuple(
        tuple(regions_to_segment(detector.find(photo), *photo.shape[:2]))
        for photo in tqdm(photos, "Finding people", len(cache), unit="photo", disable=quiet)
    )
    return replace(cache, people=people)
