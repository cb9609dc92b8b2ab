"""Networks of segmentation-models-pytorch: the four that Inácio et al. compare, and Castro & Ramirez' DenseNet."""

from __future__ import annotations

from collections.abc import Sequence

import segmentation_models_pytorch as smp
import torch
from segmentation_models_pytorch.decoders.linknet.decoder import LinknetDecoder
from torch import nn

from segmodels.architectures.channels import scale_channels
from segmodels.architectures.dry_run import without_unused
from segmodels.architectures.padding import PadToStride

__all__ = ["LITE0", "LITE2", "densenet", "fpn", "linknet", "pspnet", "unet"]

LITE0 = "tu-tf_efficientnet_lite0"
"""smp's name of timm's EfficientNet-Lite0: EfficientNet-B0 without squeeze-and-excitation, made for processors.

smp's own `timm-tf_efficientnet_lite0` is deprecated, keeps the classifier's layers, and pads and normalises otherwise
than the network that the ImageNet weights were trained in.
"""

LITE2 = "tu-tf_efficientnet_lite2"
"""smp's name of EfficientNet-Lite2, deeper and wider: 77.5 % against 74.8 % on ImageNet (its authors' page)."""


@without_unused
def fpn(classes: int, encoder: str = LITE0, pyramid_channels: int = 256, segmentation_channels: int = 128) -> nn.Module:
    """Feature Pyramid Network (Lin et al. 2017) for segmentation, the best of the four in Inácio et al., §III-A.

    4.7 million parameters with 15 classes on EfficientNet-Lite0; the encoder's deepest map has stride 32, the logits
    are up-sampled from stride 4.

    Args:
        classes: Channels of the logits.
        encoder: Any encoder of segmentation-models-pytorch.
        pyramid_channels: Channels of the pyramid's maps; 256 is Lin et al.'s. With half as many, the first 3 x 3
            convolution at stride 4, the dearest of all, costs half.
        segmentation_channels: Channels of the maps that are added up before the last convolution; a multiple of 32.
    """
    network = smp.FPN(
        encoder,
        encoder_weights=None,
        classes=classes,
        decoder_pyramid_channels=pyramid_channels,
        decoder_segmentation_channels=segmentation_channels,
    )
    network.decoder.merge = _Sum()
    return PadToStride(network, stride=32)


@without_unused
def unet(classes: int, encoder: str = LITE0, decoder_width: float = 1.0) -> nn.Module:
    """U-Net (Ronneberger et al. 2015) around a classifier's encoder, as in Inácio et al., §IV-B.

    5.2 million parameters with 15 classes on EfficientNet-Lite0; the encoder's deepest map has stride 32, the decoder
    goes back to stride 1. The U-Net as it was published is `unet_classic`.

    Args:
        classes: Channels of the logits.
        encoder: Any encoder of segmentation-models-pytorch.
        decoder_width: Factor on the decoder's channels, which are 256, 128, 64, 32 and 16.
    """
    channels = scale_channels((256, 128, 64, 32, 16), decoder_width)
    network = smp.Unet(encoder, encoder_weights=None, classes=classes, decoder_channels=channels)
    return PadToStride(network, stride=32)


@without_unused
def linknet(classes: int, encoder: str = LITE0, wide: bool = False) -> nn.Module:
    """LinkNet (Chaurasia & Culurciello 2017), which adds the encoder's maps where U-Net concatenates them.

    3.1 million parameters with 15 classes on EfficientNet-Lite0; the encoder's deepest map has stride 32, the decoder
    goes back to stride 1. One of the four in Inácio et al., §IV-B.

    Args:
        classes: Channels of the logits.
        encoder: Any encoder of segmentation-models-pytorch that gives a map at stride 2.
        wide: Whether 1 x 1 convolutions bring the encoder's maps to the channels that the paper's decoder has: 64, 64,
            128, 256 and 512, those of ResNet-18. Each of its blocks works on a quarter of the channels, so with
            EfficientNet-Lite0's 16 at stride 2 all 15 classes have to pass through 4.
    """
    network = smp.Linknet(encoder, encoder_weights=None, classes=classes)
    if wide:
        network.decoder = _Widened(network.encoder.out_channels, (3, 64, 64, 128, 256, 512))
    return PadToStride(network, stride=32)


@without_unused
def pspnet(classes: int, encoder: str = LITE0, dilated: bool = False) -> nn.Module:
    """Pyramid Scene Parsing Network (Zhao et al. 2017), one of the four in Inácio et al., §IV-B.

    0.2 million parameters with 15 classes on EfficientNet-Lite0: smp's PSPNet takes the encoder's map at stride 8 and
    leaves the rest, which is removed here; the logits are up-sampled from stride 8.

    Args:
        classes: Channels of the logits.
        encoder: Any encoder of segmentation-models-pytorch.
        dilated: Whether the whole encoder is kept, whose deeper maps stay at stride 8 by dilation, as in the paper.
    """
    whole = {"encoder_depth": 5, "output_stride": 8} if dilated else {}
    return PadToStride(smp.PSPNet(encoder, encoder_weights=None, classes=classes, **whole), stride=8)


def densenet(classes: int, encoder: str = "densenet121", decoder_width: float = 1.0) -> nn.Module:
    """DenseNet (Huang et al. 2017) with a decoder path, as in Castro & Ramirez, §5 and §7.6.

    13.6 million parameters with 15 classes on DenseNet-121; the encoder's deepest map has stride 32, the decoder goes
    back to stride 1. The paper says neither which DenseNet it took nor what the decoder path was: the smallest one
    and U-Net's are chosen here.

    Args:
        classes: Channels of the logits.
        encoder: `densenet121`, `densenet161`, `densenet169` or `densenet201`.
        decoder_width: Factor on the decoder's channels; with half of them there are 10.0 million parameters.
    """
    if not encoder.startswith("densenet"):
        raise ValueError(f"{encoder} is not a DenseNet.")
    return unet(classes, encoder, decoder_width)


class _Widened(nn.Module):
    """LinkNet's decoder, given the encoder's maps in other channels.

    Args:
        given: Channels of the encoder's maps, the finest first.
        wanted: Channels that the decoder gets.
    """

    def __init__(self, given: Sequence[int], wanted: Sequence[int]) -> None:
        super().__init__()
        self.projections = nn.ModuleList(
            nn.Sequential(nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True))
            for before, after in zip(given[1:], wanted[1:], strict=True)
        )
        self.decoder = LinknetDecoder(list(wanted))

    def forward(self, maps: list[torch.Tensor]) -> torch.Tensor:
        widened = [project(each) for project, each in zip(self.projections, maps[1:], strict=True)]
        decoded: torch.Tensor = self.decoder([maps[0], *widened])
        return decoded


class _Sum(nn.Module):
    """The pyramid's maps, each `(N, C, H, W)`, added up in float32, in the memory format and precision of the first.

    smp stacks them and sums over the stack, with the same result to the last bit, but ten times as slow on a processor.
    """

    def forward(self, maps: list[torch.Tensor]) -> torch.Tensor:
        first, *others = maps
        total = first.float()
        for other in others:
            total = total + other
        return total.to(first.dtype)
