"""Caches of photos that are painted by their truth, for tests of what a training step sees."""

from __future__ import annotations

import numpy as np

from segmodels.taxonomy import OUTFIT_15
from train.data.cache import Cache

STILL = {
    "jitter": 0.0,
    "stretch": 0.0,
    "rotation": 0.0,
    "colour_jitter": 0.0,
    "saturation_jitter": 0.0,
    "noise": 0.0,
    "whole_photo": 0.0,
}
"""A recipe with nothing random but flips and grey."""


def cache_of(*truths: np.ndarray) -> Cache:
    """A cache in memory; a photo's red is 10 times the class."""
    photos = [np.repeat(truth[..., None] * 10, 3, axis=2).astype(np.uint8) for truth in truths]
    return Cache(
        ids=tuple(map(str, range(len(truths)))),
        shapes=tuple((truth.shape[0], truth.shape[1]) for truth in truths),
        photos=np.concatenate([photo.reshape(-1, 3) for photo in photos]),
        truths=np.concatenate([truth.ravel() for truth in truths]),
        rejected={},
        background_only=(),
    )


def standing() -> np.ndarray:
    """A person of 100 rows with a margin of 10: ten rows each of Hair, Skin, ... down to Footwear."""
    truth = np.zeros((120, 60), np.uint8)
    order = ("Hair", "Skin", "Shirt", "Shirt", "Coat", "Coat", "Pants", "Pants", "Socks", "Footwear")
    for row, name in enumerate(order):
        truth[10 + 10 * row : 20 + 10 * row, 20:40] = OUTFIT_15[name].id
    return truth
