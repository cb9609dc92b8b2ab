"""Padding, for networks that take only some photo sizes."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

__all__ = ["PadToStride"]


class PadToStride(nn.Module):
    """Pads height and width up to a multiple of the stride, and cuts the logits back.

    Args:
        network: Network whose input and output maps have sides that are multiples of `stride`.
        stride: Stride in pixels.
    """

    def __init__(self, network: nn.Module, stride: int) -> None:
        super().__init__()
        self.network = network
        self.stride = stride

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        """Maps float `(N, 3, H, W)` to logits `(N, classes, H, W)`."""
        height, width = photos.shape[-2:]
        logits: torch.Tensor = self.network(self.pad(photos))
        return logits[..., :height, :width]

    def pad(self, photos: torch.Tensor) -> torch.Tensor:
        """Photos `(N, 3, H, W)` with zeros below and right of them, up to multiples of the stride."""
        bottom, right = (-side % self.stride for side in photos.shape[-2:])
        return functional.pad(photos, (0, right, 0, bottom)) if bottom or right else photos
