"""The U-Net of Ronneberger, Fischer & Brox 2015, which Castro & Ramirez take over in §7.2."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

from segmodels.architectures.channels import scale_channels
from segmodels.architectures.padding import PadToStride

__all__ = ["unet_classic"]


def unet_classic(classes: int, width: float = 1.0) -> nn.Module:
    """U-Net without pretrained encoder: four poolings, 64 to 1,024 channels, stride 16.

    31.0 million parameters with 15 classes at width 1. Convolutions are padded, so that the logits have the photo's
    size; the original's are not, and its output is 92 pixels smaller on each side. There is no normalisation, as in the
    original, so that it can be trained on one photo at a time; weights start with a standard deviation of sqrt(2 / N),
    N values going into one (section 3 of the original).

    Args:
        classes: Channels of the logits.
        width: Factor on every number of channels but the classes; 0.5 quarters the parameters.
    """
    return PadToStride(_UNet(classes, width), stride=16)


class _UNet(nn.Module):
    def __init__(self, classes: int, width: float) -> None:
        super().__init__()
        channels = scale_channels((64, 128, 256, 512, 1024), width)
        self.down = nn.ModuleList(_double(i, o) for i, o in zip([3, *channels], channels, strict=False))
        steps = list(zip(channels[:0:-1], channels[-2::-1], strict=True))
        self.up = nn.ModuleList(nn.ConvTranspose2d(i, o, 2, stride=2) for i, o in steps)
        self.merge = nn.ModuleList(_double(2 * o, o) for _, o in steps)
        self.classify = nn.Conv2d(channels[0], classes, 1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                transposed = isinstance(module, nn.ConvTranspose2d)
                incoming = module.in_channels if transposed else module.weight[0].numel()  # values in one output's sum
                nn.init.normal_(module.weight, std=math.sqrt(2 / incoming))
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        skips = []
        values = photos
        for index, step in enumerate(self.down):
            values = step(functional.max_pool2d(values, 2) if index else values)
            skips.append(values)
        skips.pop()
        for up, merge in zip(self.up, self.merge, strict=True):
            values = merge(torch.cat([skips.pop(), up(values)], dim=1))
        logits: torch.Tensor = self.classify(values)
        return logits


def _double(channels: int, out: int) -> nn.Sequential:
    """(Conv 3x3 -> ReLU) x 2."""
    return nn.Sequential(
        nn.Conv2d(channels, out, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(out, out, 3, padding=1),
        nn.ReLU(inplace=True),
    )
