"""Inference on a GPU that `fake_cuda` stands for: no devices are mixed, and results are those of the processor."""

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from fake_cuda import FakeCuda, fake_cuda
from torch import nn

from segmodels.architectures import ARCHITECTURES, build
from segmodels.checkpoints.checkpoint import Checkpoint
from segmodels.checkpoints.config import Member
from segmodels.device import pick_precision
from segmodels.inference.detector import PersonDetector, load_detector
from segmodels.inference.segmentation import Segmentation
from segmodels.inference.segmenter import Segmenter
from segmodels.taxonomy import OUTFIT_15

pytestmark = pytest.mark.usefixtures("_float32")

MakeCheckpoint = Callable[..., Checkpoint]
MakeDetector = Callable[..., PersonDetector]
CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
COAT, PANTS = 2, 8
COLOURS = {COAT: (255, 0, 0), PANTS: (0, 0, 255)}
BOXES = (70.0, 90.0, 80.0, 220.0), (390.0, 110.0, 80.0, 210.0)


@pytest.fixture(autouse=True)
def gpu() -> Iterator[FakeCuda]:
    with fake_cuda() as gpu:
        yield gpu


class ByColour(nn.Conv2d):
    """Gives each pixel the class whose colour is nearest: `2 c x - c c` is largest for it."""

    def __init__(self) -> None:
        super().__init__(3, len(OUTFIT_15), 1)
        with torch.no_grad():
            self.weight.zero_()
            assert self.bias is not None
            self.bias.fill_(-1e4)
            self.bias[0] = 0
            for class_id, colour in COLOURS.items():
                values = torch.tensor(colour) / 127.5 - 1
                self.weight[class_id, :, 0, 0] = 20 * values
                self.bias[class_id] = -10 * (values**2).sum()


def photo() -> np.ndarray:
    """Two people in coat and pants, left and right."""
    pixels = np.full((400, 600, 3), 127, np.uint8)
    for x, y in ((80, 100), (400, 120)):
        pixels[y : y + 100, x : x + 60] = COLOURS[COAT]
        pixels[y + 100 : y + 190, x : x + 60] = COLOURS[PANTS]
    return pixels


def moved(detector: PersonDetector) -> PersonDetector:
    """The detector of `detector_of` on the GPU."""
    network = copy.deepcopy(detector.network)
    for name in ("logits", "moves"):
        setattr(network.head, name, getattr(network.head, name).to(CUDA))
    return PersonDetector(network, detector.config, CUDA)


def same(one: Segmentation, other: Segmentation) -> bool:
    assert (one.class_map == other.class_map).all()
    assert (one.confidence == other.confidence).all()
    assert one.owners is not None and other.owners is not None and (one.owners == other.owners).all()
    return one.people == other.people and one.garments == other.garments


KINDS: dict[str, dict[str, Any]] = {
    "none": {"crop": "none"},
    "found": {"crop": "found"},
    "box": {"crop": "box"},
    "person": {"crop": "person"},
    "scales": {"crop": "box", "scales": [0.75, 1.0, 1.25]},
    "mirror": {"crop": "found", "mirror": True},
    "opening": {"crop": "none", "opening_kernel": 5},
    "squash": {"crop": "box", "resize": "squash"},
    "all": {"crop": "person", "scales": [0.75, 1.25], "mirror": True, "opening_kernel": 3},
}


@pytest.mark.parametrize("ensemble", [False, True], ids=["alone", "ensemble"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_photo_is_segmented_as_by_the_processor(
    kind: str, ensemble: bool, checkpoint_of: MakeCheckpoint, detector_of: MakeDetector
) -> None:
    member = Member(
        architecture="fpn", arguments={}, height=96, width=96, mean=0.5, std=0.5, resize="squash", share=0.25
    )
    changes = {**KINDS[kind], "ensemble": [member] if ensemble else []}
    detector = detector_of(400, 600, *BOXES)
    results = []
    for device, finds in ((CPU, detector), (CUDA, moved(detector))):
        networks = nn.ModuleList([ByColour(), ByColour()]) if ensemble else ByColour()
        segmenter = Segmenter(checkpoint_of(networks, **changes), device, finds)
        assert next(segmenter.networks[0].parameters()).device == device
        results.append([segmenter.segment(photo()), *segmenter.segment_batch([photo(), photo()[:, ::-1]])])
        probability, _ = segmenter.probability(photo())
        assert probability.device == device
    assert {COAT, PANTS} <= set(np.unique(results[0][0].class_map))
    assert all(same(here, there) for here, there in zip(*results, strict=True))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_each_network_sees_what_it_sees_on_the_processor(architecture: str, checkpoint_of: MakeCheckpoint) -> None:
    torch.manual_seed(0)
    network = build(architecture, len(OUTFIT_15), {}).eval()
    probabilities = [
        Segmenter(checkpoint_of(copy.deepcopy(network), architecture=architecture, crop="none"), device).probability(
            photo()
        )[0]
        for device in (CPU, CUDA)
    ]
    assert probabilities[1].device == CUDA
    assert torch.equal(probabilities[0], probabilities[1].cpu())


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_sees_nearly_the_same(precision: str, checkpoint_of: MakeCheckpoint) -> None:
    with fake_cuda(capability=(8, 0)):
        segmenter = Segmenter(checkpoint_of(ByColour(), crop="none"), CUDA, precision=pick_precision(precision, CUDA))
        assert segmenter.probability(photo())[0].dtype == torch.float32
        result = segmenter.segment(photo())
    here = Segmenter(checkpoint_of(ByColour(), crop="none"), CPU).segment(photo())
    assert (result.class_map != here.class_map).mean() < 0.01


def test_the_detector_that_ships_finds_as_on_the_processor() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (240, 160, 3), np.uint8)
    noise[40:220, 60:110] = (200, 160, 130)
    found = []
    for device in (CPU, CUDA):
        detector = load_detector("", device)
        loose = PersonDetector(detector.network, replace(detector.config, threshold=0.0), device)
        found.append(loose.find(noise))
    assert found[0] and found[0] == found[1]
