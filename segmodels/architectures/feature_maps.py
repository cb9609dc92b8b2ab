"""Feature maps of a network beside its logits, for heads that go on with them."""

from __future__ import annotations

import torch
from torch import nn

from segmodels.architectures.padding import PadToStride

__all__ = ["has_feature_maps", "logits_and_maps"]

_FINEST = 2  # index of the encoder's map at stride 4; finer ones are left out


def has_feature_maps(network: nn.Module) -> bool:
    """Whether `logits_and_maps` takes a network: those of segmentation-models-pytorch have the parts that it needs."""
    inner = network.network if isinstance(network, PadToStride) else network
    return all(hasattr(inner, part) for part in ("encoder", "decoder", "segmentation_head"))


def logits_and_maps(network: nn.Module, photos: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """What a network gives, and the maps from which it comes, in one pass.

    Args:
        network: Network of segmentation-models-pytorch, padded or not.
        photos: Input, float `(N, 3, H, W)`, whose sides are multiples of the network's stride.

    Returns:
        Logits `(N, classes, H, W)`; and the decoder's last map and the encoder's maps from stride 4 on, each
        `(N, channels, h, w)`.
    """
    inner = network.network if isinstance(network, PadToStride) else network
    maps = inner.encoder(photos)
    decoded = inner.decoder(maps)
    logits: torch.Tensor = inner.segmentation_head(decoded)
    return logits, [decoded, *maps[_FINEST:]]
