"""Heads of torchvision on encoders of segmentation-models-pytorch: Castro & Ramirez' FCN and Atrous ResNet50."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from segmentation_models_pytorch.encoders import get_encoder
from torch import nn
from torch.nn import functional
from torchvision.models.resnet import Bottleneck, ResNet
from torchvision.models.segmentation.deeplabv3 import DeepLabHead
from torchvision.models.segmentation.fcn import FCNHead

from segmodels.architectures.dry_run import dry_run, without_unused
from segmodels.architectures.padding import PadToStride
from segmodels.architectures.smp import LITE0

__all__ = ["atrous", "fcn"]


@without_unused
def fcn(classes: int, encoder: str = LITE0, stride: int = 32) -> nn.Module:
    """Fully Convolutional Network (Long et al. 2015), as in Castro & Ramirez, §7.5.

    3.2 million parameters with 15 classes on EfficientNet-Lite0, 33.0 million on the paper's ResNet50. Unlike
    torchvision's `fcn_resnet50`, the encoder is not dilated.

    Args:
        classes: Channels of the logits.
        encoder: Any encoder of segmentation-models-pytorch; `resnet50` is the paper's.
        stride: Stride from which the logits are up-sampled. 32 is FCN-32s, which Castro & Ramirez cite; 16 and 8 are
            FCN-16s and FCN-8s, where scores of the encoder's finer maps are added on the way (Long et al., section
            4.2).

    Raises:
        ValueError: If the stride is not 8, 16 or 32.
    """
    if stride not in (8, 16, 32):
        raise ValueError(f"stride must be 8, 16 or 32, not {stride}.")
    features = get_encoder(encoder, weights=None)
    head = FCNHead(features.out_channels[-1], classes)
    if stride == 32:
        return PadToStride(_UpSampled(features, head), 32)
    finer = features.out_channels[-2:-3:-1] if stride == 16 else features.out_channels[-2:-4:-1]
    return PadToStride(_Skipping(features, head, finer, classes), 32)


@without_unused
def atrous(classes: int, encoder: str = LITE0) -> nn.Module:
    """DeepLabv3 (Chen et al. 2017) with atrous rates 12, 24 and 36, as in Castro & Ramirez, §7.4.

    6.3 million parameters with 15 classes on EfficientNet-Lite0, 39.6 million on the paper's ResNet50. The encoder is
    dilated, so that its deepest map has stride 8, from which the logits are up-sampled. On ResNet50 it computes what
    torchvision's `deeplabv3_resnet50` does. It pools the whole map to one pixel and normalises that over the photos,
    so it cannot be trained on one at a time: see `check_batch`.

    Args:
        classes: Channels of the logits.
        encoder: An encoder of segmentation-models-pytorch that can be dilated; `resnet50` is the paper's.

    Raises:
        ValueError: If the encoder cannot be dilated.
    """
    features = get_encoder(encoder, weights=None, output_stride=8)
    if isinstance(features, ResNet):
        # smp dilates the whole stage; torchvision, and so its weights, only after the block that would have strided.
        for stage, dilation in ((features.layer3, 1), (features.layer4, 2)):
            if isinstance(stage[0], Bottleneck):
                stage[0].conv2.dilation = stage[0].conv2.padding = (dilation, dilation)
    _, maps = dry_run(features, (2, 3, 64, 64))
    if maps[-1].shape[-2:] != (8, 8):
        raise ValueError(f"{encoder} cannot be dilated to stride 8.")
    return PadToStride(_UpSampled(features, DeepLabHead(features.out_channels[-1], classes)), 8)


class _UpSampled(nn.Module):
    """A head on an encoder's deepest map; its logits are up-sampled to the photo's size, bilinearly."""

    def __init__(self, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        logits = self.head(self.encoder(photos)[-1])
        return functional.interpolate(logits, size=photos.shape[-2:], mode="bilinear", align_corners=False)


class _Skipping(nn.Module):
    """A head on an encoder's deepest map, to which the scores of finer maps are added (Long et al. 2015, figure 3).

    Args:
        encoder: Encoder that gives maps from the finest to the deepest.
        head: Head that scores the deepest map.
        finer: Channels of the finer maps, the deeper first.
        classes: Number of classes.
    """

    def __init__(self, encoder: nn.Module, head: nn.Module, finer: Sequence[int], classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.scores = nn.ModuleList(nn.Conv2d(channels, classes, 1) for channels in finer)
        for parameter in self.scores.parameters():  # as in the original, training begins as FCN-32s
            nn.init.zeros_(parameter)

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        *maps, deepest = self.encoder(photos)
        logits = self.head(deepest)
        for score, values in zip(self.scores, reversed(maps), strict=False):
            logits = score(values) + functional.interpolate(
                logits, size=values.shape[-2:], mode="bilinear", align_corners=False
            )
        return functional.interpolate(logits, size=photos.shape[-2:], mode="bilinear", align_corners=False)
