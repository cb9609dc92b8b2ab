"""A network on a device whose memory holds a few photos only."""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["SmallMemory"]


class SmallMemory(nn.Module):
    """Raises what a GPU raises when a batch is larger than its memory.

    Args:
        network: The network that is run on smaller batches.
        photos: Number of photos that fit.

    Attributes:
        batches: Photos of each batch that was asked for, whether it fitted or not.
    """

    def __init__(self, network: nn.Module, photos: int) -> None:
        super().__init__()
        self.network = network
        self.photos = photos
        self.batches: list[int] = []

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        self.batches.append(len(batch))
        if len(batch) > self.photos:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        result: torch.Tensor = self.network(batch)
        return result
