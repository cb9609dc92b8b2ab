"""Heads of torchvision on encoders of segmentation-models-pytorch: Castro & Ramirez' FCN and Atrous ResNet50."""

from __future__ import annotations

import torch
from segmentation_models_pytorch.encoders import get_encoder
from torch import nn
from torch.nn import functional
from torchvision.models.resnet import Bottleneck, ResNet
from torchvision.models.segmentation.deeplabv3 import DeepLabHead
from torchvision.models.segmentation.fcn import FCNHead

from segmodels.architectures.dry_run import drop_unused, dry_run
from segmodels.architectures.padding import PadToStride
from segmodels.architectures.smp import LITE0

__all__ = ["atrous", "fcn"]


def fcn(classes: int, encoder: str = LITE0) -> nn.Module:
    """Fully Convolutional Network (Long et al. 2015), as in Castro & Ramirez, §7.5.

    3.2 million parameters with 15 classes on EfficientNet-Lite0, 33.0 million on the paper's ResNet50. The encoder is
    not dilated, other than torchvision's `fcn_resnet50`, which is dilated to the backbone of `atrous`: the logits are
    up-sampled from stride 32, as in the FCN-32s that the paper cites.

    Args:
        classes: Channels of the logits.
        encoder: Any encoder of segmentation-models-pytorch; `resnet50` is the paper's.
    """
    features = get_encoder(encoder, weights=None)
    return _up_sampled(features, FCNHead(features.out_channels[-1], classes), stride=32)


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
    return _up_sampled(features, DeepLabHead(features.out_channels[-1], classes), stride=8)


def _up_sampled(encoder: nn.Module, head: nn.Module, stride: int) -> nn.Module:
    return PadToStride(drop_unused(_UpSampled(encoder, head)), stride)


class _UpSampled(nn.Module):
    """A head on an encoder's deepest map; its logits are up-sampled to the photo's size, bilinearly."""

    def __init__(self, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        logits = self.head(self.encoder(photos)[-1])
        return functional.interpolate(logits, size=photos.shape[-2:], mode="bilinear", align_corners=False)
