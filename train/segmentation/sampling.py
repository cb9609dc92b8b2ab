"""Which photos an epoch takes, and in what order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.utils.data import Sampler

from train.data.cache import Cache
from train.distributed import Processes

__all__ = ["Draw", "EpochSampler", "classes_shown", "rarity_weights"]


class Draw(NamedTuple):
    """A photo that an epoch takes.

    Args:
        photo: Index of the photo in the cache.
        epoch: Number of the epoch, from 0.
        place: Number of the photo in the epoch, over all processes, from 0.
    """

    photo: int
    epoch: int
    place: int


class EpochSampler(Sampler[Draw]):
    """Draws the photos of an epoch: with weights, with replacement; without, each photo once in random order.

    An epoch depends on seed and number alone, so that a fit that was stopped goes on as if it had not been. Several
    processes take turns in it, and each draws as many. An epoch of more photos than a step takes ends with a whole
    step.

    Args:
        photos: Number of photos.
        step: Photos of an optimiser step, over all processes.
        seed: The recipe's seed.
        processes: The processes that take turns.
        weights: Relative frequency of each photo; None for each once.
        samples: Photos of an epoch, with weights; 0 for as many as there are.
    """

    def __init__(
        self,
        photos: int,
        step: int,
        seed: int,
        processes: Processes,
        weights: np.ndarray | None = None,
        samples: int = 0,
    ) -> None:
        self.photos = photos
        drawn = samples or photos
        self.drawn = drawn - drawn % (step if drawn > step else processes.count)
        self.weights = None if weights is None else torch.from_numpy(weights)
        self.seed = seed
        self.processes = processes
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer at the start of each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.drawn // self.processes.count

    def __iter__(self) -> Iterator[Draw]:
        generator = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        if self.weights is None:
            order = torch.randperm(self.photos, generator=generator)[: self.drawn]
        else:
            order = torch.multinomial(self.weights, self.drawn, replacement=True, generator=generator)
        for place in range(self.processes.rank, self.drawn, self.processes.count):
            yield Draw(int(order[place]), self.epoch, place)


def rarity_weights(cache: Cache, classes: int, flatlays: Sequence[int] = (), share: float = 0.0) -> np.ndarray:
    """How often each photo is drawn, relative to the others: float64 `(photos,)`.

    A person's photo weighs the largest `1 / sqrt(photos with class c)` over the classes c that it shows. Flat-lays
    weigh `1 / photos with class c`, so that each class lies there equally often.

    Args:
        cache: Photos and truths.
        classes: Number of classes.
        flatlays: Indices of the photos that show a garment without a person.
        share: Share of the flat-lays among what is drawn, 0..1.
    """
    shown = classes_shown(cache, classes)
    flat = np.zeros(len(cache), bool)
    flat[list(flatlays)] = True
    if flat.any():
        shown[flat, 0] = False  # each of them shows the background
    weights = np.zeros(len(cache))
    for part, power in ((~flat, 0.5), (flat, 1.0)):
        counts = np.maximum(shown[part].sum(axis=0), 1)
        weights[part] = (shown[part] / counts**power).max(axis=1)
    if flat.any():
        weights[flat] *= share / weights[flat].sum()
        weights[~flat] *= (1 - share) / weights[~flat].sum()
    return weights


def classes_shown(cache: Cache, classes: int) -> np.ndarray:
    """Bool `(photos, classes)`: whether a photo shows a class."""
    counts = [np.bincount(cache.pair(index)[1].ravel(), minlength=classes)[:classes] for index in range(len(cache))]
    return np.stack(counts) > 0
