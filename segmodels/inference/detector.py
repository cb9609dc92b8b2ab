"""The people of a photo: the detector that finds them, and its checkpoint."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import nn
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.ssd import SSD
from torchvision.models.detection.ssdlite import SSDLite320_MobileNet_V3_Large_Weights, ssdlite320_mobilenet_v3_large

from segmodels.architectures.compiled import CompiledNetwork
from segmodels.architectures.folding import fold_batch_norm
from segmodels.architectures.ssd import ssd_lite0
from segmodels.checkpoints.checkpoint import write_folder
from segmodels.checkpoints.config import check_fields, read_fields
from segmodels.checkpoints.errors import CheckpointError
from segmodels.checkpoints.weights import load_weights
from segmodels.device import Precision, pick_device, pick_precision
from segmodels.inference.boxes import Box, crop_around, cut, overlap_coefficient
from segmodels.settings import read_settings
from segmodels.validation import Deviation, Share, expected

__all__ = [
    "EMBEDDED_DETECTOR",
    "DetectorConfig",
    "FoundPerson",
    "PersonDetector",
    "detect",
    "find_people",
    "load_detector",
    "save_detector",
]

_SMALL = 0.35  # share of the photo's longer side below which a second pass at a finer input pays
_SAME_PERSON = 0.6  # share of the smaller box inside a box with a higher score, from which both are one person

EMBEDDED_DETECTOR = Path(__file__).parents[1] / "embedded" / "detector"
"""Folder of the detector that ships with the package."""


_SIDES = "a multiple of 32 from 64 to 2048"
_Side = Annotated[int, Field(ge=64, le=2048, multiple_of=32)]


@dataclass(frozen=True, kw_only=True)
class DetectorConfig:
    """Configuration of a person detector, its `config.json`."""

    architecture: str
    """`ssd_lite0`, the one of `segmodels.architectures.ssd`."""

    side: Annotated[_Side, expected(_SIDES)]
    """Side of the square input, in pixels; a photo lies in its middle, on grey, with its own aspect."""

    mean: Share
    """Mean that is subtracted from each channel after scaling to 0..1."""

    std: Deviation
    """Standard deviation by which each channel is divided after the mean is subtracted."""

    second_side: Annotated[Literal[0] | _Side, expected(_SIDES)] = 0
    """Side of the input of a second pass, run where the first finds nobody, or small people only; 0 for none."""

    threshold: Share = 0.5
    """Score from which a box is a person, 0..1."""

    training: dict[str, Any] = field(default_factory=dict)
    """Data set, split, recipe and epoch; for information, not needed to run the detector."""

    format_version: Annotated[int, Field(ge=1, le=1000)] = 1
    """Version of the format of this file."""


class FoundPerson(NamedTuple):
    """A person whom the detector found: a box within the photo, and the score of the box, 0..1."""

    box: Box
    confidence: float


class PersonDetector:
    """A person detector that runs. One instance serves any number of threads.

    Args:
        network: torchvision's SSD, with person as its class 1.
        config: Configuration of the network.
        device: The device that computes; `pick_device()` if left out.
        precision: The number format of the network's features; the device's fastest if left out.
        runtime: What runs the network on a processor, `torch` or `openvino`.

    Attributes:
        parts: What `detect` runs up to the boxes.
    """

    def __init__(
        self,
        network: SSD,
        config: DetectorConfig,
        device: torch.device | None = None,
        precision: Precision | None = None,
        runtime: str = "torch",
    ) -> None:
        self.config = config
        self.device = device or pick_device()
        self.precision = precision or pick_precision(None, self.device)
        self.network: SSD = network.to(self.device).to(memory_format=torch.channels_last).eval()
        self.runtime = runtime
        parts = _Parts(self.network)
        self.parts = CompiledNetwork(parts, self.precision).outputs if runtime == "openvino" else parts

    def find(self, photo: np.ndarray) -> list[FoundPerson]:
        """The people of a photo, the surest first.

        Args:
            photo: Photo, uint8 `(H, W, 3)` RGB, upright.
        """
        return self.find_batch([photo])[0]

    def find_batch(self, photos: Sequence[np.ndarray]) -> list[list[FoundPerson]]:
        """The people of several photos, each uint8 `(H, W, 3)` RGB, upright; of each photo the surest first."""
        found = self._pass(photos, self.config.side)
        if self.config.second_side:
            heights = [max((person.box.height for person in people), default=0) for people in found]
            small = [n for n, photo in enumerate(photos) if heights[n] < _SMALL * max(photo.shape)]
            if small:
                for n, people in zip(
                    small, self._pass([photos[n] for n in small], self.config.second_side), strict=True
                ):
                    found[n] = people
        return found

    def _pass(self, photos: Sequence[np.ndarray], side: int) -> list[list[FoundPerson]]:
        config = self.config
        crops = [crop_around(Box(0, 0, photo.shape[1], photo.shape[0]), 1.0) for photo in photos]
        inputs = np.stack([cut(photo, crop, side, side) for photo, crop in zip(photos, crops, strict=True)])
        pixels = torch.from_numpy(inputs).to(self.device).permute(0, 3, 1, 2)
        batch = (
            pixels.float().div_(255).sub_(config.mean).div_(config.std).contiguous(memory_format=torch.channels_last)
        )
        with torch.inference_mode(), self.precision.autocast():
            found = detect(self.network, batch, self.parts)
        return [self._people(boxes, photo, crop, side) for boxes, photo, crop in zip(found, photos, crops, strict=True)]

    def _people(self, found: Mapping[str, torch.Tensor], photo: np.ndarray, crop: Box, side: int) -> list[FoundPerson]:
        """People of a photo, each once, from the boxes that the network gives for it."""
        config, (height, width), scale = self.config, photo.shape[:2], crop.width / side
        people: list[FoundPerson] = []
        for corners, score, label in zip(*(found[key].tolist() for key in ("boxes", "scores", "labels")), strict=True):
            left, right = (min(max(crop.x + x * scale, 0), width) for x in corners[0::2])
            top, bottom = (min(max(crop.y + y * scale, 0), height) for y in corners[1::2])
            box = Box(left, top, right - left, bottom - top)
            if label != 1 or score < config.threshold or box.width < 1 or box.height < 1:
                continue
            if all(overlap_coefficient(box, person.box) < _SAME_PERSON for person in people):
                people.append(FoundPerson(box, score))
        return people


class _Parts(nn.Module):
    """What an SSD computes before it looks at boxes: their corrections, their scores, and the maps they lie on."""

    def __init__(self, network: SSD) -> None:
        super().__init__()
        self.network = network

    def forward(self, photos: torch.Tensor) -> list[torch.Tensor]:
        maps = list(self.network.backbone(photos).values())
        outputs = self.network.head(maps)
        return [outputs["bbox_regression"], outputs["cls_logits"], *maps]


def detect(
    network: SSD, photos: torch.Tensor, parts: Callable[[torch.Tensor], list[torch.Tensor]] | None = None
) -> list[dict[str, torch.Tensor]]:
    """What an SSD finds in photos that already have its size and are normalised, the surest first.

    The network's own `forward` would decode boxes in the precision of autocast: with bfloat16 to whole pixels only.

    Args:
        network: Network in evaluation mode.
        photos: Photos, float `(N, 3, S, S)`.
        parts: Function that runs the network up to its boxes; the network itself if left out.

    Returns:
        For each photo `boxes` float32 `(n, 4)` (left, top, right, bottom in pixels), `scores` and `labels`.
    """
    regression, scores, *maps = (parts or _Parts(network))(photos)
    outputs = {"bbox_regression": regression.float(), "cls_logits": scores.float()}
    sizes = [(photos.shape[2], photos.shape[3])] * len(photos)
    anchors = network.anchor_generator(ImageList(photos, sizes), maps)
    found: list[dict[str, torch.Tensor]] = network.postprocess_detections(outputs, anchors, sizes)
    return found


def find_people(photo: np.ndarray) -> list[FoundPerson]:
    """The people of a photo, the surest first, by the detector of the environment, which is loaded once.

    Args:
        photo: Photo, uint8 `(H, W, 3)` RGB, upright.

    Raises:
        CheckpointError: If the detector is missing or damaged.
    """
    return load_detector(read_settings().detector).find(photo)


@cache
def load_detector(
    which: str = "",
    device: torch.device | None = None,
    precision: Precision | None = None,
    runtime: str = "torch",
) -> PersonDetector:
    """A person detector, ready to run; loaded once for each device, precision and runtime.

    Args:
        which: `coco` for torchvision's SSDLite on MobileNetV3 with its COCO weights, which are fetched; the folder of a
            detector; or empty for the one that ships.
        device: The device that computes; `pick_device()` if left out.
        precision: The number format of the network's features; the device's fastest if left out.
        runtime: What runs the network on a processor, `torch` or `openvino`.

    Raises:
        CheckpointError: If its files are missing or damaged, or the weights cannot be fetched.
    """
    if which == "coco":
        return _coco_detector(device, precision, runtime)
    folder = Path(which) if which else EMBEDDED_DETECTOR
    if which and which == read_settings().detector and not os.path.isdir(which):  # noqa: PTH112  # Path's own raises
        raise CheckpointError(
            f"GARMENTSCOPE_DETECTOR is {which[:80]!r}, neither coco nor the folder of a detector. Correct it, or "
            "unset it to use the detector that ships."
        )
    config = read_fields(folder, DetectorConfig)
    path = folder / "config.json"
    if config.architecture != "ssd_lite0":
        raise CheckpointError(f"{path}: there is no detector {config.architecture!r}. Get the detector again.")
    check_fields(config, path)
    network = ssd_lite0(config.side, config.mean, config.std)
    load_weights(folder, network)
    network.backbone = fold_batch_norm(network.backbone)
    return PersonDetector(network, config, device, precision, runtime)


def save_detector(
    folder: Path, config: DetectorConfig, network: nn.Module, *, metrics: Mapping[str, Any], card: str
) -> None:
    """Writes a detector as a checkpoint is written: whole or not at all, weights as fp16.

    Raises:
        OSError: If the folder cannot be written.
        CheckpointError: If a weight is not a number, or too large for fp16.
    """
    write_folder(folder, asdict(config), network, metrics=metrics, card=card)


def _coco_detector(device: torch.device | None, precision: Precision | None, runtime: str) -> PersonDetector:
    network = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=91)
    try:
        weights = SSDLite320_MobileNet_V3_Large_Weights.COCO_V1.get_state_dict(
            progress=False, check_hash=True, weights_only=True
        )
    except (OSError, RuntimeError) as error:  # no network, no room, or a file of another hash
        raise CheckpointError(
            f"torchvision's COCO weights cannot be downloaded ({error}). Connect to the internet once, or unset "
            "GARMENTSCOPE_DETECTOR to use the detector that ships."
        ) from None
    network.load_state_dict(weights, strict=True)
    config = DetectorConfig(architecture="coco", side=320, mean=0.5, std=0.5)
    return PersonDetector(network, config, device, precision, runtime)
