"""SegNet as Castro & Ramirez build it (Tables 1 and 2), after Badrinarayanan, Kendall & Cipolla 2017."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from segmodels.architectures.channels import scale_channels
from segmodels.architectures.padding import PadToStride

__all__ = ["segnet"]


def segnet(classes: int, width: float = 1.0, unpool: bool = False) -> nn.Module:
    """SegNet as in Castro & Ramirez, §7.1: an encoder and a decoder of five steps, deepest map at stride 32.

    31.8 million parameters with 15 classes at width 1. Blocks are `(Conv 3x3 -> ReLU -> BatchNorm) x n`, then
    max-pooling by 2 or up-sampling by 2 to the nearest pixel; the last convolution is 1x1, and stands without the
    softmax that the paper counts among its layers. The original SegNet (section 3, figure 2) up-samples to where the
    maxima were, and its decoder has the encoder's channels in reverse: `unpool` builds that, with 29.4 million
    parameters.

    The paper contradicts itself, and this is what was chosen. The counts that Table 2 prints for Simple_Block_1 and 2,
    Complex_block_1 and 2 and the Final_Block (128 channels in, 47 classes) hold to the unit, BatchNorm's statistics
    counted. Complex_block_3 is printed with the count of Complex_block_2, though it has 512 channels in and so
    7,085,568. The decoder's counts are the encoder's in reverse, which its own output sizes rule out: they would need
    256, 256, 128 and 64 channels in where 512, 512, 512 and 256 come, and these give 7,085,568 twice, 2,363,136 and
    443,648. Table 1 gives a Complex_Block_Dec two convolutions; the counts of Table 2 are those of three, as in the
    original SegNet: three are built here. Table 2 also names a pool size for the Final_Block, which pools nothing in
    Table 1.

    Args:
        classes: Channels of the logits.
        width: Factor on every number of channels but the classes; 0.5 quarters the parameters.
        unpool: Whether the decoder is that of the original SegNet.
    """
    return PadToStride(_SegNet(classes, width, unpool), stride=32)


class _SegNet(nn.Module):
    def __init__(self, classes: int, width: float, unpool: bool) -> None:
        super().__init__()
        self.unpool = unpool
        c64, c128, c256, c512 = scale_channels((64, 128, 256, 512), width)
        self.encoder = nn.ModuleList(
            [
                _block(3, [c64] * 2),
                _block(c64, [c128] * 2),
                _block(c128, [c256] * 3),
                _block(c256, [c512] * 3),
                _block(c512, [c512] * 3),
            ]
        )
        last = (c256, c128, c64) if unpool else (c512, c256, c128)  # channels that leave the steps between
        self.decoder = nn.ModuleList(
            [
                _block(c512, [c512] * 3),
                _block(c512, [c512, c512, last[0]]),
                _block(last[0], [c256, c256, last[1]]),
                _block(last[1], [c128, last[2]]),
            ]
        )
        self.final = nn.Sequential(_block(last[2], [c64] * (1 if unpool else 2)), nn.Conv2d(c64, classes, 1))

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        values = photos
        maxima = []
        for step in self.encoder:
            values, indices = functional.max_pool2d(step(values), 2, return_indices=True)
            maxima.append(indices)
        for step in (*self.decoder, self.final):
            indices = maxima.pop()
            if self.unpool:
                values = functional.max_unpool2d(values, indices, [2, 2])
            else:
                values = functional.interpolate(values, scale_factor=2)
            values = step(values)
        return values


def _block(channels: int, convolutions: Sequence[int]) -> nn.Sequential:
    """`(Conv 3x3 -> ReLU -> BatchNorm) x n`, keeping height and width.

    Args:
        channels: Number of input channels.
        convolutions: Number of output channels of each convolution.
    """
    layers: list[nn.Module] = []
    for out in convolutions:
        layers += [nn.Conv2d(channels, out, 3, padding=1), nn.ReLU(inplace=True), nn.BatchNorm2d(out)]
        channels = out
    return nn.Sequential(*layers)
