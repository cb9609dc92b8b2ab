"""Feature maps of a network beside its logits, and their means over garments, for heads that go on with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from segmodels.architectures.compiled import CompiledNetwork
from segmodels.architectures.padding import PadToStride

__all__ = ["WithFeatureMaps", "has_feature_maps", "logits_and_maps", "pool_features"]

_FINEST = 2  # index of the encoder's map at stride 4; finer ones are left out
_CORE = 0.5  # share of a class's largest probability from which a cell belongs to the garment's core
_LEAST_CELLS = 256  # of a map from which the standard deviation of its channels says something
_LEAST_SHARE = 1e-3  # added to shares before their logarithm is taken


def has_feature_maps(network: nn.Module) -> bool:
    """Whether `logits_and_maps` takes a network: those of segmentation-models-pytorch have the parts that it needs."""
    inner = network.network if isinstance(network, PadToStride) else network
    return all(hasattr(inner, part) for part in ("encoder", "decoder", "segmentation_head"))


class WithFeatureMaps(nn.Module):
    """A network that gives what `logits_and_maps` does as one tuple, so that it can be compiled.

    Args:
        network: Network that `has_feature_maps`.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, photos: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Logits, then the maps.

        Args:
            photos: Input, float `(N, 3, H, W)`.
        """
        logits, maps = logits_and_maps(self.network, photos)
        return logits, *maps


def logits_and_maps(network: nn.Module, photos: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """What a network gives, and the maps from which it comes, in one pass.

    Args:
        network: Network of segmentation-models-pytorch, padded or not; or a compiled one with `WithFeatureMaps`.
        photos: Input, float `(N, 3, H, W)`; of a network that is not padded, its sides are multiples of the stride.

    Returns:
        Logits `(N, classes, H, W)`; and the decoder's last map and the encoder's maps from stride 4 on, each
        `(N, channels, h, w)`, without the cells that lie in the padding altogether.
    """
    if isinstance(network, CompiledNetwork):
        compiled, *found = network.outputs(photos)
        return compiled, found
    padded = network.pad(photos) if isinstance(network, PadToStride) else photos
    inner: Any = network.network if isinstance(network, PadToStride) else network
    maps = inner.encoder(padded)
    decoded = inner.decoder(maps)
    logits: torch.Tensor = inner.segmentation_head(decoded)
    kept = [decoded, *maps[_FINEST:]]
    if padded is photos:
        return logits, kept
    height, width = photos.shape[-2:]
    return logits[..., :height, :width], [_shown(each, padded, height, width) for each in kept]


def _shown(each: torch.Tensor, padded: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """The cells of a map `(N, channels, h, w)` that show a part of the first rows and columns of the input."""
    rows, columns = -(-each.shape[2] * height // padded.shape[2]), -(-each.shape[3] * width // padded.shape[3])
    return each[..., :rows, :columns]  # rounded up


def pool_features(maps: Sequence[torch.Tensor], cells: torch.Tensor, ids: Sequence[int]) -> np.ndarray:
    """Features of the garments of one person, float32 `(garments, features)`.

    A garment's core are the cells in which the probability of its class is at least half of its largest; they weigh as
    much as that probability. Of each garment:

    - mean over the core of each channel of each map, and its standard deviation where the map is fine enough;
    - place in the region of interest: mean and standard deviation of the core's rows and columns, the rows and columns
      between which 94 % of it lie, and where these rows are on the person;
    - log of its share of what is not background, and share of its box that it fills;
    - log of the share of each class of what is not background, the same for all garments.

    Args:
        maps: Feature maps of the region, float `(channels, h, w)`, none finer than the cells.
        cells: Probabilities of the region, averaged over cells, float32 `(C, H, W)`; class 0 is the background.
        ids: Class of each garment.
    """
    if not ids:
        return np.zeros((0, 0), np.float32)
    likely = cells[list(ids)]
    top = likely.amax(dim=(1, 2), keepdim=True)
    core = torch.where(likely >= _CORE * top, likely, torch.zeros_like(likely))
    columns = []
    for each in maps:
        weight = (
            core
            if each.shape[1:] == core.shape[1:]
            else functional.adaptive_avg_pool2d(core, (each.shape[1], each.shape[2]))
        )
        weight = weight.flatten(1)
        weight = weight / weight.sum(dim=1, keepdim=True).clamp_min(1e-9)
        channels = each.permute(1, 2, 0).flatten(0, 1).float()  # (cells, channels): a view of channels-last maps
        mean = weight @ channels
        columns.append(mean)
        if each.shape[1] * each.shape[2] >= _LEAST_CELLS:
            columns.append((weight @ channels.square() - mean.square()).clamp_min(0).sqrt())
    columns += [_places(core, cells), _shares(cells).expand(len(ids), -1)]
    pooled: np.ndarray = torch.cat(columns, dim=1).float().cpu().numpy()
    return pooled


def _places(core: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """Where the cores `(garments, H, W)` lie and how large they are, float32 `(garments, 15)`."""
    height, width = core.shape[1:]
    rows = (torch.arange(height, device=core.device) + 0.5) / height
    columns = (torch.arange(width, device=core.device) + 0.5) / width
    by_row, by_column = core.sum(dim=2), core.sum(dim=1)
    mass = by_row.sum(dim=1).clamp_min(1e-9)
    body = 1 - cells[0]
    first, last = _span(body.sum(dim=1)[None], rows, 0.01)
    y, y_spread = _moments(by_row, rows)
    x, x_spread = _moments(by_column, columns)
    top, bottom = _span(by_row, rows, 0.03)
    left, right = _span(by_column, columns, 0.03)
    tall = (last - first).clamp_min(0.05)
    box = ((bottom - top) * height + 1) * ((right - left) * width + 1)
    place = [y, y_spread, x, x_spread, top, bottom, left, right, bottom - top, right - left]
    on_person = [(top - first) / tall, (bottom - first) / tall]
    size = [torch.log(mass / (body.sum() + 1) + _LEAST_SHARE), mass / box]
    return torch.stack([*place, *on_person, *size, (last - first).expand(len(core))], dim=1)


def _shares(cells: torch.Tensor) -> torch.Tensor:
    """Log of the share of each class of what is not background, float32 `(1, C)`."""
    return torch.log(cells.sum(dim=(1, 2)) / ((1 - cells[0]).sum() + 1) + _LEAST_SHARE)[None]


def _moments(mass: torch.Tensor, at: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of a place, `(garments,)`, from the mass `(garments, n)` at each of n places."""
    total = mass.sum(dim=1).clamp_min(1e-9)
    mean = mass @ at / total
    return mean, (mass @ at.square() / total - mean.square()).clamp_min(0).sqrt()


def _span(mass: torch.Tensor, at: torch.Tensor, tail: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Places `(garments,)` below and above which a tail of the mass `(garments, n)` lies."""
    share = mass.cumsum(dim=1) / mass.sum(dim=1, keepdim=True).clamp_min(1e-9)
    low, high = ((share < part).sum(dim=1).clamp_max(len(at) - 1) for part in (tail, 1 - tail))
    return at[low], at[high]
