"""A batch of crops, cut and augmented on the device that trains.

What is random has been drawn before, in `train.segmentation.crops`; here it is applied to a whole batch at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from segmodels.inference.boxes import PADDING_GREY
from segmodels.taxonomy import UNLABELLED
from train.recipe import Recipe
from train.segmentation.capture import Capture, apply_captures
from train.segmentation.crops import LUMA, CropPlan, View
from train.segmentation.distillation import SHRINK, SoftTarget

__all__ = ["CropBatch", "cut_crops", "join_plans", "soft_targets"]


class CropBatch(NamedTuple):
    """Crops before they are cut, packed so that a batch is a few tensors on its way to the device.

    Args:
        pixels: uint8 `(P, 3)`, the regions' RGB, one region after the other.
        ids: uint8 `(P,)`, their class ids.
        places: float32 `(V, 2, 3)`, one for each region, as in `View`.
        colours: float32 `(N, 3, 3)`, one for each crop.
        lifts: float32 `(N,)`.
        shapes: Height, width and shrink of each region.
        own: Index of each crop's own region.
        pasted: Index of the crop, of the region that is pasted onto it, and of its class.
        mixed: Index of the crop and of the region that is mixed in, and the rectangle.
        captures: How each crop was photographed.
        skin: Id of the class whose pixels are skin; None where there is none.
        soft: What a teacher gives for the photo of a crop, and where the crop lies in it, by index of the crop.
    """

    pixels: torch.Tensor
    ids: torch.Tensor
    places: torch.Tensor
    colours: torch.Tensor
    lifts: torch.Tensor
    shapes: list[tuple[int, int, int, int]]
    own: list[int]
    pasted: list[tuple[int, int, int]]
    mixed: list[tuple[int, int, int, int, int, int]]
    captures: list[Capture]
    skin: int | None
    soft: dict[int, tuple[torch.Tensor, torch.Tensor]]

    def to(self, device: torch.device, non_blocking: bool = True) -> CropBatch:
        """The same batch on a device; what lies in pinned memory is brought there while the processor goes on."""
        return self._replace(
            pixels=self.pixels.to(device, non_blocking=non_blocking),
            ids=self.ids.to(device, non_blocking=non_blocking),
            places=self.places.to(device, non_blocking=non_blocking),
            colours=self.colours.to(device, non_blocking=non_blocking),
            lifts=self.lifts.to(device, non_blocking=non_blocking),
            soft={
                crop: (maps.to(device, non_blocking=non_blocking), place.to(device, non_blocking=non_blocking))
                for crop, (maps, place) in self.soft.items()
            },
        )


def join_plans(plans: Sequence[CropPlan]) -> CropBatch:
    """Packs the plans of a batch; the `collate_fn` of a loader."""
    views: list[View] = []

    def add(view: View) -> int:
        views.append(view)
        return len(views) - 1

    own = [add(plan.view) for plan in plans]
    pasted = [(n, add(plan.pasted[0]), plan.pasted[1]) for n, plan in enumerate(plans) if plan.pasted]
    mixed = [(n, add(plan.mixed[0]), *plan.mixed[1]) for n, plan in enumerate(plans) if plan.mixed]
    return CropBatch(
        pixels=torch.from_numpy(np.concatenate([view.photo.reshape(-1, 3) for view in views])),
        ids=torch.from_numpy(np.concatenate([view.truth.ravel() for view in views])),
        places=torch.from_numpy(np.stack([view.place for view in views])),
        colours=torch.from_numpy(np.stack([plan.colour for plan in plans])),
        lifts=torch.tensor([plan.lift for plan in plans], dtype=torch.float32),
        shapes=[(*view.truth.shape, *view.shrink) for view in views],
        own=own,
        pasted=pasted,
        mixed=mixed,
        captures=[plan.capture for plan in plans],
        skin=plans[0].skin,
        soft={
            n: (torch.from_numpy(plan.soft[0]), torch.from_numpy(plan.soft[1]))
            for n, plan in enumerate(plans)
            if plan.soft
        },
    )


def cut_crops(batch: CropBatch, recipe: Recipe) -> tuple[torch.Tensor, torch.Tensor]:
    """Cuts and augments the crops of a batch on the device on which it lies. Nothing is read back from there.

    Args:
        batch: Batch from `join_plans`.
        recipe: The experiment: size of the input, its mean and standard deviation, and the noise.

    Returns:
        Photos, float32 `(N, 3, height, width)`, normalised, channels last; and truths, int64 `(N, height, width)`,
        `UNLABELLED` outside the photo.
    """
    photos, truths = _sampled(batch, recipe.height, recipe.width)
    count = len(batch.own)
    image, truth = photos[:count], truths[:count]  # a crop's own region stands at its own index
    for crop, view, id_ in batch.pasted:
        garment = truths[view] == id_
        image[crop] = torch.where(garment, photos[view], image[crop])
        truth[crop] = torch.where(garment, id_, truth[crop])
    for crop, view, top, bottom, left, right in batch.mixed:
        image[crop, :, top:bottom, left:right] = photos[view, :, top:bottom, left:right]
        truth[crop, top:bottom, left:right] = truths[view, top:bottom, left:right]
    image = image / 255
    luma = sum(share * mean for share, mean in zip(LUMA.tolist(), image.mean(dim=(2, 3)).unbind(1), strict=True))
    # One matrix a crop is a grouped convolution of 1 x 1, the fastest form of it on every device.
    kernels, bias = batch.colours.flatten(0, 1)[..., None, None], (batch.lifts * luma).repeat_interleave(3)
    image = functional.conv2d(image.flatten(0, 1)[None], kernels, bias, groups=count).view_as(image)
    image = apply_captures(image, truth, batch.captures, batch.skin)
    image = image.clamp_(0, 1).sub_(recipe.mean).div_(recipe.std)
    return image.contiguous(memory_format=torch.channels_last), truth.long()


def soft_targets(batch: CropBatch, recipe: Recipe) -> SoftTarget | None:
    """What the teacher gives for the crops of a batch, on the device on which it lies; None if it was not asked.

    What is pasted or mixed in comes from another photo, and has no weight.

    Args:
        batch: Batch from `join_plans`.
        recipe: The experiment: size of the input.
    """
    if not batch.soft:
        return None
    height, width = recipe.height // SHRINK, recipe.width // SHRINK
    device = batch.places.device
    classes = len(next(iter(batch.soft.values()))[0])
    probability = torch.zeros(len(batch.own), classes, height, width, device=device)
    weight = torch.zeros(len(batch.own), height, width, device=device)
    for crop, (maps, place) in batch.soft.items():
        grid = _grid(place[None], height, width)
        probability[crop] = functional.grid_sample(maps[None].float() / 255, grid, align_corners=False)[0]
        weight[crop] = (grid.abs().amax(dim=-1) <= 1)[0]
    if batch.pasted:
        _, truths = _sampled(batch, height, width)
        for crop, view, id_ in batch.pasted:
            weight[crop] *= truths[view] != id_
    for crop, _, top, bottom, left, right in batch.mixed:
        weight[crop, top // SHRINK : -(-bottom // SHRINK), left // SHRINK : -(-right // SHRINK)] = 0
    return SoftTarget(probability, weight)


def _grid(places: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Where each pixel of crops is sampled, float32 `(V, height, width, 2)`: `affine_grid` without its product."""
    device, places = places.device, places[:, None, None]
    x = (torch.arange(width, device=device) * 2 + 1)[:, None] / width - 1  # centres of the pixels, from -1 to 1
    y = (torch.arange(height, device=device) * 2 + 1)[:, None, None] / height - 1
    return places[..., 0] * x + places[..., 1] * y + places[..., 2]


def _sampled(batch: CropBatch, height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The crop of each region: photos float32 `(V, 3, height, width)`, 0..255, and truths float32 `(V, height, width)`.

    A photo that shrinks by two or more is averaged first, as bilinear sampling would miss pixels.
    """
    grids = _grid(batch.places, height, width)
    photos, truths = [], []
    start = 0
    for index, (rows, columns, *shrink) in enumerate(batch.shapes):
        region = slice(start, start + rows * columns)
        start += rows * columns
        grid = grids[index : index + 1]
        # Both samplers take what lies outside for 0, so that 0 is made the value that is wanted there.
        photo = batch.pixels[region].view(1, rows, columns, 3).permute(0, 3, 1, 2).float() - PADDING_GREY
        if shrink != [1, 1]:
            photo = functional.avg_pool2d(photo, shrink)
        photos.append(functional.grid_sample(photo, grid, align_corners=False))
        truth = batch.ids[region].view(1, 1, rows, columns).float() - UNLABELLED
        truths.append(functional.grid_sample(truth, grid, mode="nearest", align_corners=False))
    return torch.cat(photos) + PADDING_GREY, torch.cat(truths)[:, 0] + UNLABELLED
