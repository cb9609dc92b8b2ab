"""Batches of a fit: which photos are in them, and what a teacher gives for these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch.utils.data import DataLoader, Subset

from segmodels.checkpoints.catalog import open_checkpoint
from segmodels.checkpoints.checkpoint import Checkpoint
from segmodels.checkpoints.errors import CheckpointError
from segmodels.device import Precision
from segmodels.inference.segmenter import Segmenter
from segmodels.taxonomy import Taxonomy
from train.data.cache import Cache
from train.distributed import Processes
from train.recipe import Recipe
from train.resume import FitError
from train.segmentation.crops import TrainingCrops, ValidationCrops
from train.segmentation.cutting import CropBatch, join_plans
from train.segmentation.distillation import SoftLabels, open_soft_labels
from train.segmentation.sampling import EpochSampler, rarity_weights

__all__ = ["choice_loader", "class_shares", "open_teacher", "smallest_batch", "training_loader"]


def training_loader(
    cache: Cache,
    recipe: Recipe,
    workers: int,
    taxonomy: Taxonomy,
    processes: Processes,
    *,
    pinned: bool = False,
    flatlay_ids: frozenset[str] = frozenset(),
    teacher: Checkpoint | None = None,
    precision: Precision | None = None,
) -> DataLoader[CropBatch]:
    """Batches of crops in random order, whole ones wherever there are photos enough for a step.

    Args:
        cache: Photos to train on.
        recipe: Recipe of the fit.
        workers: Processes that read photos; 0 for none but this one.
        taxonomy: Classes of the truths.
        processes: Processes that train together, of which this one is one.
        pinned: Whether batches lie in memory from which a GPU takes them quickly.
        flatlay_ids: Ids of the photos without a person.
        teacher: Network to learn from beside the truths; None for none.
        precision: Device and number format in which the teacher is asked; its defaults if left out.

    Raises:
        FitError: If the recipe names a class that there is not.
        DatasetError: If what the teacher gives cannot be written.
    """
    try:
        pasted = [taxonomy[name].id for name in recipe.pasted] if recipe.paste else []
    except KeyError as error:
        raise FitError(f"pasted: {error.args[0]}") from None
    skin = next((each.id for each in taxonomy.classes if each.name == "Skin"), None)
    if recipe.skin_tone and skin is None:
        raise FitError(f"skin_tone needs a class Skin, which {taxonomy.name} does not have. Set skin_tone to 0.")
    flatlays = [index for index, photo_id in enumerate(cache.ids) if photo_id in flatlay_ids]
    rare = recipe.sampling == "rare"
    weights = rarity_weights(cache, len(taxonomy), flatlays, recipe.flatlay_share) if rare else None
    sampler = EpochSampler(len(cache), recipe.step_photos, recipe.seed, processes, weights, recipe.samples)
    soft = _soft_labels(cache, flatlays, teacher, precision) if teacher else None
    crops = TrainingCrops(cache, recipe, pasted, skin, flatlays, soft)
    return DataLoader(crops, recipe.batch_size // processes.count, sampler=sampler, **_loading(workers, pinned))  # type: ignore[arg-type]


def open_teacher(recipe: Recipe, taxonomy: Taxonomy) -> Checkpoint:
    """The checkpoint of a recipe's teacher.

    Args:
        recipe: Recipe that names a teacher.
        taxonomy: Classes of the photos' truths.

    Raises:
        FitError: If it cannot be loaded, or is in other classes.
    """
    try:
        teacher = open_checkpoint(recipe.teacher)
    except CheckpointError as error:
        raise FitError(f"The recipe learns from {recipe.teacher}: {error}") from None
    if not teacher.taxonomy.matches(taxonomy):
        data = taxonomy.name_beside(teacher.taxonomy)
        raise FitError(f"The teacher {recipe.teacher} is in {teacher.taxonomy.name}, the data in {data}.")
    return teacher


def _soft_labels(cache: Cache, flatlays: Sequence[int], teacher: Checkpoint, precision: Precision | None) -> SoftLabels:
    """What a teacher gives for the photos of people."""
    without = frozenset(flatlays)
    people = [index for index in range(len(cache)) if index not in without]
    return open_soft_labels(
        cache, people, Segmenter(teacher, precision.device if precision else None, precision=precision)
    )


def choice_loader(
    cache: Cache, recipe: Recipe, workers: int, processes: Processes, *, pinned: bool = False
) -> DataLoader[CropBatch]:
    """Batches of crops of which each process has its own, so that each photo is counted once.

    Args:
        cache: Photos to choose the epoch by.
        recipe: Recipe of the fit.
        workers: Processes that read photos; 0 for none but this one.
        processes: Processes that train together, of which this one is one.
        pinned: Whether batches lie in memory from which a GPU takes them quickly.

    Raises:
        FitError: If there are fewer photos than processes.
    """
    if len(cache) < processes.count:
        raise FitError(f"{processes.count} processes cannot share {len(cache)} photos. Start fewer.")
    mine = Subset(ValidationCrops(cache, recipe), range(processes.rank, len(cache), processes.count))
    return DataLoader(mine, recipe.batch_size // processes.count, **_loading(workers, pinned))  # type: ignore[arg-type]


def _loading(workers: int, pinned: bool) -> dict[str, Any]:
    return {
        "collate_fn": join_plans,
        "num_workers": workers,
        "persistent_workers": workers > 0,
        "pin_memory": pinned,
    }


def smallest_batch(photos: int, recipe: Recipe, processes: Processes) -> int:
    """Number of photos in the smallest batch that one device will train on.

    Args:
        photos: Number of photos of an epoch.
        recipe: Recipe of the fit.
        processes: Processes that train together.

    Raises:
        FitError: If the processes cannot share a batch evenly.
    """
    if recipe.batch_size % processes.count:
        raise FitError(f"{processes.count} processes cannot share batches of {recipe.batch_size} evenly. Start fewer.")
    if photos <= recipe.step_photos and photos % recipe.batch_size:  # the last batch of an epoch without a whole step
        return max(1, photos % recipe.batch_size // processes.count)
    return max(1, recipe.batch_size // processes.count)


def class_shares(cache: Cache, classes: int) -> list[float]:
    """Share of each class in a photo's labelled pixels, 0 to 1, averaged over the photos.

    Args:
        cache: Photos with their truths.
        classes: Number of classes.
    """
    total = np.zeros(classes)
    for index in range(len(cache)):
        pixels = np.bincount(cache.pair(index)[1].ravel(), minlength=classes)[:classes]
        total += pixels / max(1, pixels.sum())
    return [float(share) for share in total / len(cache)]
