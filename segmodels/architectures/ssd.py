"""The person detector's network: a Single Shot MultiBox Detector (Liu et al. 2016) on EfficientNet-Lite0."""

from __future__ import annotations

import math
from collections import OrderedDict

import timm
import torch
from torch import nn
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.ssd import SSD
from torchvision.models.detection.ssdlite import SSDLiteHead
from torchvision.ops import FeaturePyramidNetwork

__all__ = ["TallBoxes", "ssd_lite0"]

_SIZES = ((12.0, 17.0, 24.0), (34.0, 48.0, 68.0), (96.0, 136.0, 192.0))
_LITE0_CHANNELS = (40, 112, 320)
_RATIOS = (1.0, 2.0, 3.0)


class TallBoxes(nn.Module):
    """Default boxes that suit people: square to three times as tall as wide, centred on the cells of each map.

    torchvision's `DefaultBoxGenerator` gives each tall box a wide twin, which no person fills.

    Args:
        sizes: Square roots of the boxes' areas for each map, in pixels of the input.
        ratios: Ratios of height to width of the boxes.
    """

    def __init__(self, sizes: tuple[tuple[float, ...], ...], ratios: tuple[float, ...]) -> None:
        super().__init__()
        for index, of_map in enumerate(sizes):
            sides = [(size / math.sqrt(ratio), size * math.sqrt(ratio)) for size in of_map for ratio in ratios]
            # (boxes, 2): half of their width and height. They lie where the network does, but in no checkpoint.
            self.register_buffer(f"half{index}", torch.tensor(sides) / 2, persistent=False)

    def num_anchors_per_location(self) -> list[int]:
        """Boxes at each cell of each map."""
        return [len(half) for half in self.buffers()]

    def forward(self, images: ImageList, features: list[torch.Tensor]) -> list[torch.Tensor]:
        """Boxes float32 `(cells * boxes of all maps, 4)` as left, top, right, bottom, the same for each image."""
        height, width = images.tensors.shape[-2:]
        boxes = []
        for feature, half in zip(features, self.buffers(), strict=True):
            rows, columns = feature.shape[-2:]
            device = feature.device
            y = (torch.arange(rows, device=device) + 0.5) * (height / rows)
            x = (torch.arange(columns, device=device) + 0.5) * (width / columns)
            centres = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).reshape(-1, 1, 2)  # (cells, 1, 2)
            boxes.append(torch.cat([centres - half, centres + half], dim=-1).reshape(-1, 4))
        return [torch.cat(boxes)] * len(images.tensors)


class _Lite0Pyramid(nn.Module):
    """EfficientNet-Lite0's maps of stride 8, 16 and 32, each combined with the deeper ones.

    Plain SSD reads people at stride 8 off features that have seen little of their surroundings; the pyramid of Lin et
    al. 2017 hands the deeper maps down.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.encoder = timm.create_model("tf_efficientnet_lite0", features_only=True, out_indices=(2, 3, 4))
        self.pyramid = FeaturePyramidNetwork(list(_LITE0_CHANNELS), channels, norm_layer=nn.BatchNorm2d)

    def forward(self, photos: torch.Tensor) -> OrderedDict[str, torch.Tensor]:
        """Float `(N, 3, H, W)` to maps `(N, channels, H / s, W / s)` for s = 8, 16 and 32."""
        maps = self.encoder(photos)
        joined: OrderedDict[str, torch.Tensor] = self.pyramid(OrderedDict((str(i), m) for i, m in enumerate(maps)))
        return joined


def ssd_lite0(side: int, mean: float, std: float, channels: int = 96) -> SSD:
    """The SSD of torchvision for one class, person (label 1), with random weights.

    3.3 million parameters: EfficientNet-Lite0, a feature pyramid, and the depthwise heads of SSDLite (Sandler et al.
    2018, section 6.2). Three maps are enough for people: stride 32 still places the largest well, and 64 does not.

    Args:
        side: Side of the square input, in pixels.
        mean: Mean that is subtracted from each channel after scaling to 0..1.
        std: Standard deviation by which each channel is divided after the mean is subtracted.
        channels: Channels of each map of the pyramid.
    """
    boxes = TallBoxes(_SIZES, _RATIOS)
    head = SSDLiteHead([channels] * len(_SIZES), boxes.num_anchors_per_location(), 2, nn.BatchNorm2d)
    return SSD(
        _Lite0Pyramid(channels),
        boxes,
        (side, side),
        num_classes=2,
        head=head,
        image_mean=[mean] * 3,
        image_std=[std] * 3,
        score_thresh=0.05,
        nms_thresh=0.5,
        detections_per_img=30,
    )
