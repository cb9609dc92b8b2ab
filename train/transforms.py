"""From a cached photo and truth to what a step sees: crops, and augmentation on tensors (torchvision v2)."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset, Sampler
from torchvision import tv_tensors
from torchvision.transforms import v2

from segmodels.frame import Box, box_of, cut, frame_around
from segmodels.taxonomy import UNLABELLED
from train.cache import Cache
from train.processes import Processes
from train.recipe import Recipe

__all__ = ["RareClassSampler", "TrainingCrops", "ValidationCrops", "augmentation", "classes_shown"]


class TrainingCrops(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """A random crop about the person, or about the whole photo, augmented.

    An item is float32 `(3, height, width)`, normalised, and int64 `(height, width)` class ids with `UNLABELLED`
    outside the photo. All randomness is torch's.
    """

    def __init__(self, cache: Cache, recipe: Recipe, pasted: Sequence[int] = ()) -> None:
        """Args are the photos, the recipe, and the ids of its `pasted` classes."""
        self.cache = cache
        self.recipe = recipe
        self.augment = augmentation(recipe)
        shown = classes_shown(cache, max(pasted, default=-1) + 1)
        self.donors = [(id_, np.flatnonzero(shown[:, id_])) for id_ in pasted if shown[:, id_].any()]

    def __len__(self) -> int:
        return len(self.cache)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        cv2.setNumThreads(0)
        recipe = self.recipe
        photo, truth = self.cache.pair(index)
        whole = Box(0, 0, truth.shape[1], truth.shape[0])
        box = _shown(truth, recipe)
        if torch.rand(()) < recipe.whole_photo:
            box = _between(box, whole, float(torch.rand(())))
        left, top, right, bottom = (torch.rand(4) * 2 - 1).mul(recipe.jitter).tolist()
        box = Box(
            box.x + left * box.width,
            box.y + top * box.height,
            box.width * (1 + right - left),
            box.height * (1 + bottom - top),
        )
        aspect = recipe.aspect
        if aspect is not None:
            aspect *= 1 + float(torch.rand(()) * 2 - 1) * recipe.stretch
        frame = frame_around(box, aspect, recipe.margin * float(torch.rand(())) * 2)
        size = (recipe.height, recipe.width)
        crop, ids = cut(photo, frame, *size), cut(truth, frame, *size, outside=UNLABELLED)
        if self.donors and torch.rand(()) < recipe.paste:
            self._paste(crop, ids, frame, _shown(truth, recipe))
        if recipe.mix and torch.rand(()) < recipe.mix:
            self._mix(crop, ids, frame, _shown(truth, recipe))
        image, mask = tv_tensors.Image(torch.from_numpy(crop).permute(2, 0, 1)), tv_tensors.Mask(torch.from_numpy(ids))
        image, mask = self.augment(image, mask)
        return image.as_subclass(torch.Tensor), mask.as_subclass(torch.Tensor).long()

    def _paste(self, crop: np.ndarray, ids: np.ndarray, frame: Box, person: Box) -> None:
        """Lays a garment of another photo onto a crop, in place, where it was on its own wearer's body.

        Ghiasi et al. 2021, *Simple copy-paste is a strong data augmentation method*, whose places are random.
        """
        pasted, donors = self.donors[int(torch.randint(len(self.donors), ()))]
        photo, truth = self._on_body(int(donors[int(torch.randint(len(donors), ()))]), frame, person)
        garment = truth == pasted
        crop[garment] = photo[garment]
        ids[garment] = pasted

    def _mix(self, crop: np.ndarray, ids: np.ndarray, frame: Box, person: Box) -> None:
        """Replaces a rectangle of a crop by the same part of another person's body, in place.

        CutMix (Yun et al. 2019), as French et al. 2020 use it for segmentation; its sides are 0.3 to 0.8 of the crop's.
        """
        photo, truth = self._on_body(int(torch.randint(len(self.cache), ())), frame, person)
        rows, columns = (self._span(side) for side in ids.shape)
        crop[rows, columns] = photo[rows, columns]
        ids[rows, columns] = truth[rows, columns]

    @staticmethod
    def _span(side: int) -> slice:
        """A random stretch of 0.3 to 0.8 of so many pixels."""
        length = round(side * (0.3 + 0.5 * float(torch.rand(()))))
        start = int(torch.randint(side - length + 1, ()))
        return slice(start, start + length)

    def _on_body(self, index: int, frame: Box, person: Box) -> tuple[np.ndarray, np.ndarray]:
        """Photo and truth of another person, cut so that each pixel shows the part of the body that it shows here.

        Args:
            index: Of the other photo.
            frame: Of the crop.
            person: In the photo that the crop is cut from.
        """
        photo, truth = self.cache.pair(index)
        wearer = _shown(truth, self.recipe)
        x, y = wearer.width / person.width, wearer.height / person.height
        theirs = Box(
            wearer.x + (frame.x - person.x) * x, wearer.y + (frame.y - person.y) * y, frame.width * x, frame.height * y
        )
        size = (self.recipe.height, self.recipe.width)
        return cut(photo, theirs, *size), cut(truth, theirs, *size, outside=UNLABELLED)


class ValidationCrops(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """The crop about the person with the recipe's margin, nothing random; items as in `TrainingCrops`."""

    def __init__(self, cache: Cache, recipe: Recipe) -> None:
        self.cache = cache
        self.recipe = recipe
        self.normalise = v2.Compose(_normalisation(recipe))

    def __len__(self) -> int:
        return len(self.cache)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        cv2.setNumThreads(0)
        recipe = self.recipe
        photo, truth = self.cache.pair(index)
        frame = frame_around(_shown(truth, recipe), recipe.aspect, recipe.margin)
        image = torch.from_numpy(cut(photo, frame, recipe.height, recipe.width)).permute(2, 0, 1)
        mask = torch.from_numpy(cut(truth, frame, recipe.height, recipe.width, outside=UNLABELLED))
        normalised: torch.Tensor = self.normalise(image)
        return normalised, mask.long()


class RareClassSampler(Sampler[int]):
    """Draws photos with replacement, more often those that show a rare class.

    A photo's weight is the largest `1 / sqrt(photos with class c)` over the classes c that it shows. The order of an
    epoch depends on seed and epoch alone, so that a fit that was stopped goes on as if it had not been. Several
    processes take turns in it, and each draws as many.
    """

    def __init__(self, cache: Cache, classes: int, seed: int, processes: Processes) -> None:
        shown = classes_shown(cache, classes)
        by_class = 1 / np.sqrt(np.maximum(shown.sum(axis=0), 1))
        self.weights = torch.from_numpy((shown * by_class).max(axis=1))
        self.seed = seed
        self.processes = processes
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by the trainer at the start of each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.weights) // self.processes.count

    def __iter__(self):  # type: ignore[no-untyped-def]
        generator = torch.Generator().manual_seed(self.seed * 100_003 + self.epoch)
        drawn = len(self) * self.processes.count
        order = torch.multinomial(self.weights, drawn, replacement=True, generator=generator)
        yield from order[self.processes.rank :: self.processes.count].tolist()


def classes_shown(cache: Cache, classes: int) -> np.ndarray:
    """Bool `(photos, classes)`: whether a photo shows a class."""
    counts = [np.bincount(cache.pair(index)[1].ravel(), minlength=classes)[:classes] for index in range(len(cache))]
    return np.stack(counts) > 0


def augmentation(recipe: Recipe) -> v2.Transform:
    """Flip, rotation, colour and noise of a crop, and its normalisation: uint8 image and mask to float image and mask.

    The set is that of Inácio et al. (flip, rotation, crop, noise, brightness, contrast) with saturation, hue and an
    occasional grey photo.
    """
    jitter, saturation = recipe.colour_jitter, recipe.saturation_jitter
    turn = v2.RandomRotation(
        recipe.rotation,
        interpolation=v2.InterpolationMode.BILINEAR,
        fill={tv_tensors.Image: 127, tv_tensors.Mask: UNLABELLED},
    )
    return v2.Compose(
        [
            *([v2.RandomHorizontalFlip()] if recipe.flip else []),
            v2.RandomApply([turn], p=0.5),
            v2.RandomApply([v2.ColorJitter(jitter, jitter, saturation, saturation / 10)], p=0.8),
            v2.RandomGrayscale(p=recipe.grey),
            *_normalisation(recipe, v2.RandomApply([v2.GaussianNoise(sigma=recipe.noise)], p=0.5)),
        ]
    )


def _normalisation(recipe: Recipe, noise: v2.Transform | None = None) -> list[v2.Transform]:
    return [
        v2.ToDtype({tv_tensors.Image: torch.float32, "others": None}, scale=True)
        if noise
        else v2.ToDtype(torch.float32, scale=True),
        *([noise] if noise else []),
        v2.Normalize([recipe.mean] * 3, [recipe.std] * 3),
    ]


def _shown(truth: np.ndarray, recipe: Recipe) -> Box:
    """What a crop is about: the person, or the whole photo where there is none or the recipe says so."""
    whole = Box(0, 0, truth.shape[1], truth.shape[0])
    return whole if recipe.crop == "none" else box_of((truth > 0) & (truth != UNLABELLED)) or whole


def _between(near: Box, far: Box, share: float) -> Box:
    """The box that lies `share` of the way from one to the other."""
    return Box(*(a + share * (b - a) for a, b in zip(near, far, strict=True)))
