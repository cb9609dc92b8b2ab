"""Inspection of a whole data set for faults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from segmodels.datasets.dataset import Dataset, DatasetError
from segmodels.photo import PhotoError
from segmodels.sentences import listed

__all__ = ["Inspection", "background_sentence", "inspect_dataset", "size_bins", "unreadable_sentence"]

_BINS = 20  # of a histogram of sizes, at most


@dataclass(frozen=True)
class Inspection:
    """Result of an inspection.

    Args:
        photos: Number of inspected photos.
        unreadable: Sentence by id for each photo or mask that cannot be read.
        background_only: Ids of the photos whose masks hold nothing but background.
        unseen: Names of the classes that no pixel carries.
    """

    photos: int
    unreadable: dict[str, str]
    background_only: tuple[str, ...]
    unseen: tuple[str, ...]

    def sentences(self) -> list[str]:
        """One sentence for each kind of fault that there is, and one that counts the photos."""
        return [
            f"{self.photos - len(self.unreadable)} of {self.photos} photos can be read.",
            *unreadable_sentence(self.unreadable, self.photos),
            *background_sentence(self.background_only),
            *([f"No pixel is {', '.join(self.unseen)}."] if self.unseen else []),
        ]


def inspect_dataset(dataset: Dataset, ids: Sequence[str] | None = None) -> Inspection:
    """Reads every photo and mask; what cannot be read is counted and left out, and never ends it.

    Args:
        dataset: Data set to inspect.
        ids: Ids of the photos to inspect; all if left out.
    """
    ids = dataset.ids if ids is None else ids
    unreadable: dict[str, str] = {}
    background_only: list[str] = []
    pixels = np.zeros(256, np.int64)
    for photo_id in tqdm(ids, desc=f"Inspecting {dataset.name}", unit="photo"):
        try:
            truth = dataset.pair(photo_id)[1]
        except (DatasetError, PhotoError) as error:
            unreadable[photo_id] = str(error)
            continue
        pixels += np.bincount(truth.ravel(), minlength=256)
        if not truth.any():  # the background is id 0
            background_only.append(photo_id)
    unseen = tuple(garment.name for garment in dataset.taxonomy.classes if not pixels[garment.id])
    return Inspection(len(ids), unreadable, tuple(background_only), unseen)


def size_bins(sizes: np.ndarray) -> tuple[list[int], list[int]]:
    """The histogram of widths or heights: edges of up to 20 bins of as many whole pixels, and how many are in each.

    Args:
        sizes: int `(photos,)`, pixels; at least one.
    """
    step = -(-int(np.ptp(sizes) + 1) // _BINS)  # rounded up
    edges = np.arange(sizes.min(), sizes.max() + 1 + step, step)
    return edges.tolist(), np.histogram(sizes, bins=edges)[0].tolist()


def unreadable_sentence(unreadable: dict[str, str], photos: int) -> list[str]:
    """One sentence on the photos that cannot be read, of so many; nothing if there are none."""
    if not unreadable:
        return []
    first, reason = next(iter(unreadable.items()))
    named = f"{first}: {reason}" if len(unreadable) == 1 else f"the first is {first}: {reason}"
    return [f"{len(unreadable)} of {photos} photos cannot be read and are left out; {named}"]


def background_sentence(ids: Sequence[str]) -> list[str]:
    """One sentence on the photos that show nothing but background; nothing if there are none."""
    if not ids:
        return []
    return [f"Nothing but background is marked in {len(ids)} of them: {listed(ids)}."]
