"""How a training crop was photographed: skin tone, light, focus, resolution and compression.

What is random is drawn where crops are planned (`random_capture`); what needs pixels is done on the device that trains,
for a batch at once (`apply_captures`), except JPEG, which the loading processes do.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch.nn import functional

from train.recipe import Recipe

__all__ = ["Capture", "apply_captures", "compressed", "random_capture"]

_SKIN = (0.3, 1.15)
_SKIN_SOFTNESS = 5  # pixels of the crop over which the border of the skin is averaged
_LIGHT = (0.12, 0.5)
_LIGHT_NOISE = 0.04  # most, of a range of 0..1
_SIGMA = (0.5, 3.0)  # pixels of the crop
_RESOLUTION = (0.2, 0.7)
_QUALITY = (10, 60)


class Capture(NamedTuple):
    """How one crop was photographed; the defaults change nothing.

    Args:
        skin: Factor on the values of true Skin pixels.
        light: Factor on all values.
        warmth: Factor on red; blue is divided by it.
        sigma: Standard deviation of the Gaussian that blurs the crop, in its pixels; 0 for none.
        resolution: Share of the crop's rows and columns that it is reduced to and enlarged from.
        noise: Seed and standard deviation of Gaussian noise, the latter of a range of 0..1; None for none.
        quality: Quality of JPEG, 1 to 100; 0 for none.
    """

    skin: float = 1.0
    light: float = 1.0
    warmth: float = 1.0
    sigma: float = 0.0
    resolution: float = 1.0
    noise: tuple[int, float] | None = None
    quality: int = 0


def random_capture(recipe: Recipe, random: np.random.Generator) -> Capture:
    """Draws how a crop was photographed; what the recipe leaves out draws nothing.

    Args:
        recipe: The experiment.
        random: Source of the numbers.
    """
    noise = (int(random.integers(2**62)), recipe.noise) if recipe.noise and random.random() < 0.5 else None
    light = 1.0
    if recipe.low_light and random.random() < recipe.low_light:
        light = float(random.uniform(*_LIGHT))
        noise = int(random.integers(2**62)), float(random.uniform(0, _LIGHT_NOISE))
    return Capture(
        skin=float(random.uniform(*_SKIN)) if recipe.skin_tone and random.random() < recipe.skin_tone else 1.0,
        light=light,
        warmth=math.exp(recipe.warmth * random.uniform(-1, 1)) if recipe.warmth else 1.0,
        sigma=float(random.uniform(*_SIGMA)) if recipe.blur and random.random() < recipe.blur else 0.0,
        resolution=(
            float(random.uniform(*_RESOLUTION))
            if recipe.low_resolution and random.random() < recipe.low_resolution
            else 1.0
        ),
        noise=noise,
        quality=int(random.integers(*_QUALITY)) if recipe.jpeg and random.random() < recipe.jpeg else 0,
    )


def apply_captures(
    image: torch.Tensor, truth: torch.Tensor, captures: Sequence[Capture], skin: int | None
) -> torch.Tensor:
    """The crops as they were photographed, on the device on which they lie.

    Args:
        image: float32 `(N, 3, H, W)`, 0..1; it is changed.
        truth: `(N, H, W)` class ids.
        captures: One for each crop.
        skin: Id of the class whose pixels are skin; None where there is none.

    Returns:
        float32 `(N, 3, H, W)`; noise may leave 0..1.
    """
    for crop, capture in enumerate(captures):
        one = image[crop : crop + 1]
        if capture.skin != 1 and skin is not None:
            share = (truth[crop] == skin).to(one.dtype)[None, None]
            share = functional.avg_pool2d(share, _SKIN_SOFTNESS, stride=1, padding=_SKIN_SOFTNESS // 2)
            one *= 1 - (1 - capture.skin) * share
        if capture.light != 1:
            one *= capture.light
        if capture.warmth != 1:
            one[:, 0] *= capture.warmth
            one[:, 2] /= capture.warmth
        if capture.sigma:
            one.copy_(_blurred(one, capture.sigma))
        if capture.resolution != 1:
            size = [max(1, round(side * capture.resolution)) for side in one.shape[2:]]
            small = functional.interpolate(one, size, mode="bilinear", antialias=True)
            one.copy_(functional.interpolate(small, one.shape[2:], mode="bilinear"))
        if capture.noise:
            seed, deviation = capture.noise
            generator = torch.Generator(image.device).manual_seed(seed)
            one += torch.randn(one.shape, generator=generator, device=image.device) * deviation
    return image


def compressed(photo: np.ndarray, quality: int) -> np.ndarray:
    """A photo after JPEG.

    Args:
        photo: uint8 `(H, W, 3)` RGB.
        quality: 1 to 100; 0 leaves the photo as it is.
    """
    if not quality:
        return photo
    _, file = cv2.imencode(".jpg", cv2.cvtColor(photo, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    decoded = cv2.imdecode(file, cv2.IMREAD_COLOR)
    assert decoded is not None  # it was written a line above
    return cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)


def _blurred(image: torch.Tensor, sigma: float) -> torch.Tensor:
    """Gaussian of `(1, 3, H, W)`, first along the rows, then along the columns; the edges are repeated."""
    reach = math.ceil(2.5 * sigma)
    weights = torch.exp(-(torch.arange(-reach, reach + 1, device=image.device) ** 2) / (2 * sigma**2))
    weights = (weights / weights.sum()).to(image.dtype)
    values = functional.pad(image, (reach, reach, reach, reach), mode="replicate").transpose(0, 1)  # (3, 1, h, w)
    values = functional.conv2d(values, weights.view(1, 1, 1, -1))
    return functional.conv2d(values, weights.view(1, 1, -1, 1)).transpose(0, 1)
