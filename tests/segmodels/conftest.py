"""Networks and checkpoints that are small, and known to the last pixel."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.ssd import SSD

from segmodels.architectures import build
from segmodels.architectures.ssd import ssd_lite0
from segmodels.checkpoints.checkpoint import Checkpoint, save_checkpoint
from segmodels.checkpoints.config import CheckpointConfig
from segmodels.inference.detector import DetectorConfig, PersonDetector
from segmodels.taxonomy import OUTFIT_15

COLOURS = {2: (255, 0, 0), 8: (0, 0, 255), 13: (0, 255, 0)}  # Coat is red, Pants blue, Skin green; grey is background


class ByColour(nn.Module):
    """Names each pixel by its colour; halfway between grey 127 and a class's colour lies the border."""

    def __init__(self, colours: Mapping[int, tuple[int, int, int]], classes: int) -> None:
        super().__init__()
        self.ids = list(colours)
        self.classes = classes
        self.register_buffer("colours", torch.tensor(list(colours.values())) / 127.5 - 1)
        self.batches: list[int] = []

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        self.batches.append(len(photos))
        logits = torch.full((len(photos), self.classes, *photos.shape[2:]), -1e4)
        logits[:, 0] = 0
        for class_id, colour in zip(self.ids, self.colours, strict=True):
            away = ((photos - colour.reshape(1, 3, 1, 1)) ** 2).sum(dim=1)
            logits[:, class_id] = 20 * ((colour**2).sum() / 4 - away)
        return logits


class Sees(nn.Module):
    """Stands for the heads of an SSD: sure of some boxes and of no other.

    Args:
        network: Whose default boxes are moved to where the boxes are.
        boxes: `(n, 4)`: left, top, right, bottom in pixels of the input; the first is the surest.
    """

    def __init__(self, network: SSD, boxes: torch.Tensor) -> None:
        super().__init__()
        (side,) = network.transform.fixed_size[:1]
        maps = [torch.zeros(1, 1, side // stride, side // stride) for stride in (8, 16, 32)]
        defaults = network.anchor_generator(ImageList(torch.zeros(1, 3, side, side), [(side, side)]), maps)[0]
        self.logits = torch.tensor([20.0, 0.0]).repeat(1, len(defaults), 1)
        self.moves = torch.zeros(1, len(defaults), 4)
        for rank, box in enumerate(boxes):
            nearest = (defaults - box).abs().sum(dim=1).argsort()[rank]
            self.logits[0, nearest] = torch.tensor([0.0, 8.0 - rank])
            self.moves[0, nearest] = network.box_coder.encode_single(box[None], defaults[nearest][None])[0]

    def forward(self, features: list[torch.Tensor]) -> dict[str, torch.Tensor]:
        photos = len(features[0])
        return {
            "cls_logits": self.logits.expand(photos, -1, -1),
            "bbox_regression": self.moves.expand(photos, -1, -1),
        }


@pytest.fixture(scope="session")
def detector_of() -> Callable[..., PersonDetector]:
    """Makes a detector that sees given boxes (left, top, width, height) in every photo of a height and a width."""
    network = ssd_lite0(64, 0.5, 0.5)
    detector_config = DetectorConfig(architecture="ssd_lite0", side=64, mean=0.5, std=0.5)

    def make(height: int, width: int, *boxes: tuple[float, float, float, float]) -> PersonDetector:
        side = max(height, width)
        moved = [[x + (side - width) / 2, y + (side - height) / 2, w, h] for x, y, w, h in boxes]
        corners = [[x, y, x + w, y + h] for x, y, w, h in moved]
        seeing = copy.copy(network)
        seeing._modules = {**network._modules, "head": Sees(network, torch.tensor(corners).reshape(-1, 4) * 64 / side)}
        return PersonDetector(seeing, detector_config, torch.device("cpu"))

    return make


@pytest.fixture(scope="session")
def config() -> Callable[..., CheckpointConfig]:
    """Makes a config for inputs of 96 x 48; keywords replace its fields."""

    def make(**changes: object) -> CheckpointConfig:
        values: dict[str, object] = {
            "architecture": "fpn",
            "arguments": {},
            "taxonomy": "OUTFIT_15",
            "classes": list(OUTFIT_15.names),
            "height": 96,
            "width": 48,
            "mean": 0.5,
            "std": 0.5,
        }
        return CheckpointConfig(**{**values, **changes})  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def by_colour() -> Callable[[Mapping[int, tuple[int, int, int]], int], nn.Module]:
    """Makes a network that names pixels by their colour: the colour by class id, and the number of classes."""
    return ByColour


@pytest.fixture
def checkpoint_of(config: Callable[..., CheckpointConfig]) -> Callable[..., Checkpoint]:
    """Makes a checkpoint in memory around a network; by default one that names pixels by their colour."""

    def make(network: nn.Module | None = None, **changes: object) -> Checkpoint:
        return Checkpoint("fake", config(**changes), network or ByColour(COLOURS, len(OUTFIT_15)), {}, "abc123")

    return make


@pytest.fixture(scope="session")
def random_fpn() -> nn.Module:
    """An FPN with random weights, in eval mode; do not train it."""
    torch.manual_seed(0)
    return build("fpn", len(OUTFIT_15), {}).eval()


@pytest.fixture
def models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: Callable[..., CheckpointConfig], random_fpn: nn.Module
) -> Path:
    """The folder that GARMENTSCOPE_MODELS names; it holds one checkpoint with random weights, `tiny`."""
    folder = tmp_path / "models"
    save_checkpoint(folder / "tiny", config(height=64, width=32), random_fpn)
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(folder))
    return folder


@pytest.fixture
def jpeg() -> Callable[..., bytes]:
    """Makes the bytes of a noisy JPEG of a height and a width."""

    def make(height: int = 60, width: int = 40, seed: int = 0) -> bytes:
        pixels = np.random.default_rng(seed).integers(0, 256, (6, 4, 3), np.uint8)
        out = io.BytesIO()
        Image.fromarray(pixels).resize((width, height)).save(out, "JPEG")
        return out.getvalue()

    return make
