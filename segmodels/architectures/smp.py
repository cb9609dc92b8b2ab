"""Decoders of segmentation-models-pytorch, as Inácio et al. compare them, on an EfficientNet encoder."""

from __future__ import annotations

import segmentation_models_pytorch as smp
import torch
from torch import nn
from torch.nn import functional

__all__ = ["LITE0", "PadToStride", "fpn"]

LITE0 = "tu-tf_efficientnet_lite0"
"""smp's name of timm's EfficientNet-Lite0: EfficientNet-B0 without squeeze-and-excitation, made for processors.

smp's own `timm-tf_efficientnet_lite0` is deprecated, keeps the classifier's layers, and pads and normalises otherwise
than the network that the ImageNet weights were trained in.
"""


class PadToStride(nn.Module):
    """Pads height and width up to a multiple of the stride, and cuts the logits back.

    Args:
        network: Takes and gives maps whose sides are multiples of `stride`.
        stride: In pixels.
    """

    def __init__(self, network: nn.Module, stride: int) -> None:
        super().__init__()
        self.network = network
        self.stride = stride

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        """Maps float `(N, 3, H, W)` to logits `(N, classes, H, W)`."""
        height, width = photos.shape[-2:]
        bottom, right = -height % self.stride, -width % self.stride
        if bottom or right:
            photos = functional.pad(photos, (0, right, 0, bottom))
        logits: torch.Tensor = self.network(photos)
        return logits[..., :height, :width]


def fpn(classes: int, encoder: str = LITE0) -> nn.Module:
    """Feature Pyramid Network (Lin et al. 2017) for segmentation, the best of the four in Inácio et al.

    4.7 million parameters with 15 classes on EfficientNet-Lite0; the encoder's deepest map has stride 32, the logits
    are up-sampled from stride 4.

    Args:
        classes: Channels of the logits.
        encoder: Any encoder of segmentation-models-pytorch.
    """
    return PadToStride(smp.FPN(encoder, encoder_weights=None, classes=classes), stride=32)
