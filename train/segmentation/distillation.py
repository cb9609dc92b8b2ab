"""Distillation: a network learns from what a larger one gives for the same photos, beside their ground truth.

Hinton, Vinyals & Dean 2015, *Distilling the knowledge in a neural network*: the student's cross-entropy with the
teacher's probabilities is added to the loss. The teacher sees each person whole, once, before the fit begins; its
probabilities are kept at a quarter of the photo's size and cut and turned with each crop.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from filelock import FileLock
from torch.nn import functional
from tqdm import tqdm

from segmodels.datasets import DatasetError
from segmodels.files import replacing
from segmodels.inference.segmenter import Segmenter
from segmodels.sentences import first_line
from train.data.cache import Cache, cache_folder
from train.data.mapped import as_files, as_maps
from train.segmentation.pseudo_labels import photo_probabilities

__all__ = ["SHRINK", "SoftLabels", "SoftTarget", "distillation_loss", "open_soft_labels"]

SHRINK = 4
"""Rows and columns of a photo, or of a crop, for one of the teacher's probabilities."""


@dataclass(frozen=True)
class SoftLabels:
    """A teacher's probabilities for the photos of a cache.

    Args:
        places: Number of each photo among those that have probabilities, by its index in the cache.
        shapes: Height and width of the probabilities of each of these.
        values: uint8 `(sum of h * w, C)`, 255 for a probability of 1, one photo after the other.
    """

    places: dict[int, int]
    shapes: tuple[tuple[int, int], ...]
    values: np.ndarray

    def __getstate__(self) -> dict[str, Any]:
        return as_files(self.__dict__)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(as_maps(state))

    @cached_property
    def _starts(self) -> list[int]:
        """Row at which the probabilities of each photo begin."""
        return [0, *accumulate(height * width for height, width in self.shapes)]

    def of_photo(self, index: int) -> np.ndarray | None:
        """uint8 `(C, h, w)` over the whole photo; None if the teacher was not asked about it."""
        place = self.places.get(index)
        if place is None:
            return None
        height, width = self.shapes[place]
        rows = self.values[self._starts[place] : self._starts[place + 1]]
        return np.ascontiguousarray(rows.reshape(height, width, -1).transpose(2, 0, 1))


class SoftTarget(NamedTuple):
    """What a teacher gives for the crops of a batch, at a `SHRINK`-th of their size.

    Args:
        probability: float32 `(N, C, h, w)`.
        weight: float32 `(N, h, w)`: 1 where the teacher saw what the crop shows, 0 elsewhere.
    """

    probability: torch.Tensor
    weight: torch.Tensor


def open_soft_labels(
    cache: Cache, indices: Sequence[int], teacher: Segmenter, *, folder: Path | None = None
) -> SoftLabels:
    """Opens the probabilities of a teacher for photos of a cache, and asks it first where there are none.

    Args:
        cache: Photos at training size.
        indices: Indices of the photos in the cache.
        teacher: Network to learn from. It has seen none of the photos that the student is judged on.
        folder: Folder of the probabilities; `cache_folder()` if left out.

    Raises:
        DatasetError: If they cannot be written.
    """
    key = hashlib.sha256(json.dumps([teacher.checkpoint.revision, SHRINK, [cache.ids[n] for n in indices]]).encode())
    key.update(json.dumps([cache.shapes[n] for n in indices]).encode())
    home = (folder or cache_folder()) / f"soft-{key.hexdigest()[:16]}"
    shapes = tuple((-(-height // SHRINK), -(-width // SHRINK)) for height, width in (cache.shapes[n] for n in indices))
    path = home / "probabilities.bin"
    try:
        home.mkdir(parents=True, exist_ok=True)
        with FileLock(home / ".lock"):
            if not path.is_file():
                asked = tqdm(indices, desc="Asking the teacher", unit="photo")
                with replacing(path) as part, part.open("wb") as file:
                    for index, shape in zip(asked, shapes, strict=True):
                        file.write(_asked(teacher, cache.pair(index)[0], shape).tobytes())
    except OSError as error:
        raise DatasetError(
            f"The cache {home} cannot be written: {first_line(error)}. Free space there, or set GARMENTSCOPE_CACHE to "
            "a folder that can be written."
        ) from None
    values = np.memmap(path, np.uint8, "r").reshape(-1, len(teacher.taxonomy))
    return SoftLabels({index: place for place, index in enumerate(indices)}, shapes, values)


def distillation_loss(logits: torch.Tensor, target: SoftTarget) -> torch.Tensor:
    """Cross-entropy of the student's probabilities with the teacher's, as mean over the pixels that it saw.

    Args:
        logits: float `(N, C, H, W)`, the student's.
        target: The teacher's, at a `SHRINK`-th of that size.
    """
    height, width = target.weight.shape[1:]
    small = functional.adaptive_avg_pool2d(logits.float(), (height, width))
    loss = -(target.probability * small.log_softmax(dim=1)).sum(dim=1) * target.weight
    return loss.sum() / target.weight.sum().clamp_min(1)


def _asked(teacher: Segmenter, photo: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """What a teacher gives for a photo, uint8 `(h, w, C)`."""
    (probability,) = photo_probabilities([teacher], [np.ascontiguousarray(photo)])
    small = functional.adaptive_avg_pool2d(probability[None], shape)[0]
    return (small.clamp(0, 1) * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().cpu().numpy()
