import copy
import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError

import cv2
import numpy as np
import pytest
import skimage.data
import torch
import torchvision
from safetensors.torch import load_file, save_file
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.ssd import SSD

from segmodels.architectures.folding import fold_batch_norm
from segmodels.architectures.ssd import TallBoxes, ssd_lite0
from segmodels.checkpoints.errors import CheckpointError
from segmodels.inference.detector import (
    EMBEDDED_DETECTOR,
    DetectorConfig,
    PersonDetector,
    find_people,
    load_detector,
    save_detector,
)


@pytest.fixture(scope="module")
def random_ssd() -> SSD:
    torch.manual_seed(0)
    return ssd_lite0(64, 0.5, 0.5).eval()


def a_config(**changes: object) -> DetectorConfig:
    values: dict[str, object] = {"architecture": "ssd_lite0", "side": 64, "mean": 0.5, "std": 0.5, "threshold": 0.05}
    return DetectorConfig(**{**values, **changes})  # type: ignore[arg-type]


def test_a_detector_is_saved_and_loaded_to_the_last_bit(tmp_path: Path, random_ssd: SSD) -> None:
    save_detector(tmp_path / "detector", a_config(threshold=0.4), random_ssd, metrics={"a": 1}, card="A card.")
    loaded = load_detector(str(tmp_path / "detector"))
    assert loaded.config == a_config(threshold=0.4)
    network = copy.deepcopy(random_ssd).half().float()
    network.backbone = fold_batch_norm(network.backbone)  # as it is loaded to run
    for (name, tensor), other in zip(network.state_dict().items(), loaded.network.state_dict().values(), strict=True):
        assert torch.equal(tensor, other.cpu()), name
    assert load_detector(str(tmp_path / "detector")) is loaded, "loaded once"
    assert sorted(path.name for path in (tmp_path / "detector").iterdir()) == [
        "README.md",
        "config.json",
        "metrics.json",
        "model.safetensors",
    ]


def test_a_tensor_too_few_is_an_error(tmp_path: Path, random_ssd: SSD) -> None:
    folder = tmp_path / "detector"
    save_detector(folder, a_config(), random_ssd, metrics={}, card="")
    tensors = load_file(folder / "model.safetensors")
    tensors.pop("backbone.encoder.conv_stem.weight")
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"1 tensors are missing, the first is backbone\.encoder\.conv_stem"):
        load_detector(str(folder))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"architecture": "yolo"}, "there is no detector 'yolo'"),
        ({"side": 100}, "side must be a multiple of 32 from 64 to 2048, not 100"),
        ({"second_side": 16}, "second_side must be a multiple of 32 from 64 to 2048, not 16"),
        ({"side": 64.0}, "side must be a multiple of 32"),
        ({"std": 0}, "std must be a number from 0.001 to 10, as pixels are scaled to 0..1, not 0"),
        ({"threshold": "high"}, "threshold must be a number between 0 and 1, not 'high'"),
        ({"crop": "none"}, "has an unknown key, crop"),
    ],
)
def test_a_detector_config_that_cannot_be_run(
    tmp_path: Path, random_ssd: SSD, changes: dict[str, object], sentence: str
) -> None:
    save_detector(tmp_path / "detector", a_config(), random_ssd, metrics={}, card="")
    path = tmp_path / "detector" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(CheckpointError, match=re.escape(sentence)):
        load_detector(str(tmp_path / "detector"))


def test_weights_that_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise URLError("no route")

    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", refuse)
    with pytest.raises(CheckpointError, match=r"COCO weights cannot be downloaded \(<urlopen error no route>\)"):
        load_detector("coco")


@pytest.mark.parametrize("size", [(64, 64), (90, 41), (30, 200), (1, 1), (1000, 20)])
def test_boxes_lie_within_the_photo(random_ssd: SSD, size: tuple[int, int]) -> None:
    photo = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    photo.setflags(write=False)
    detector = PersonDetector(random_ssd, a_config(threshold=0.0), torch.device("cpu"))
    people = detector.find(photo)
    assert [person.confidence for person in people] == sorted((p.confidence for p in people), reverse=True)
    for (x, y, width, height), confidence in people:
        assert x >= 0 and x + width <= size[1] + 1e-6 and width >= 1
        assert y >= 0 and y + height <= size[0] + 1e-6 and height >= 1
        assert 0 <= confidence <= 1


@pytest.mark.parametrize("size", [(128, 128), (128, 64), (300, 1000), (77, 51)])
def test_a_box_comes_back_in_pixels_of_the_photo(
    detector_of: Callable[..., PersonDetector], size: tuple[int, int]
) -> None:
    height, width = size
    boxes = (
        (0.1 * width, 0.2 * height, 0.3 * width, 0.7 * height),
        (0.6 * width, 0.1 * height, 0.2 * width, 0.5 * height),
    )
    people = detector_of(height, width, *boxes).find(np.zeros((height, width, 3), np.uint8))
    assert [person.box.x < width / 2 for person in people] == [True, False], "the surest first"
    for person, box in zip(people, boxes, strict=True):
        assert np.abs(np.array(person.box) - box).max() < 0.01
        assert person.confidence > 0.9


def test_a_box_that_reaches_beyond_the_photo_is_cut(detector_of: Callable[..., PersonDetector]) -> None:
    (person,) = detector_of(100, 60, (-10, 40, 40, 90)).find(np.zeros((100, 60, 3), np.uint8))
    assert np.abs(np.array(person.box) - (0, 40, 30, 60)).max() < 0.01


def test_small_people_are_looked_at_again(detector_of: Callable[..., PersonDetector]) -> None:
    photo = np.zeros((100, 60, 3), np.uint8)
    for height, sides in ((30, [64, 96]), (40, [64]), (0, [64, 96])):
        detector = detector_of(100, 60, *([(10, 10, 20, height)] if height else []))
        seen: list[int] = []
        detector.network.backbone.register_forward_pre_hook(
            lambda _, inputs, seen=seen: seen.append(len(inputs[0][0, 0]))
        )
        again = PersonDetector(detector.network, replace(detector.config, second_side=96), torch.device("cpu"))
        with suppress(RuntimeError):  # the stand-in's heads fit one input only
            again.find(photo)
        assert seen == sides


def test_a_part_of_a_surer_box_is_the_same_person(detector_of: Callable[..., PersonDetector]) -> None:
    whole, part, neighbour = (20, 10, 30, 80), (22, 12, 26, 30), (45, 10, 30, 80)
    people = detector_of(100, 100, whole, part, neighbour).find(np.zeros((100, 100, 3), np.uint8))
    assert np.abs(np.array([person.box for person in people]) - [whole, neighbour]).max() < 0.01


def test_default_boxes_sit_on_the_cells_and_are_tall() -> None:
    boxes = TallBoxes(((16.0,), (32.0, 64.0)), (1.0, 4.0))
    assert boxes.num_anchors_per_location() == [2, 4]
    maps = [torch.zeros(1, 1, 2, 3), torch.zeros(1, 1, 1, 1)]
    first, second = boxes(ImageList(torch.zeros(2, 3, 64, 96), [(64, 96)] * 2), maps)
    assert torch.equal(first, second) and first.shape == (2 * 3 * 2 + 4, 4)
    assert first[0].tolist() == [16 - 8, 16 - 8, 16 + 8, 16 + 8]
    assert first[1].tolist() == [16 - 4, 16 - 16, 16 + 4, 16 + 16]
    assert first[2].tolist() == [48 - 8, 16 - 8, 48 + 8, 16 + 8], "the next column"
    assert first[6].tolist() == [16 - 8, 48 - 8, 16 + 8, 48 + 8], "the next row"
    assert first[-1].tolist() == [48 - 16, 32 - 64, 48 + 16, 32 + 64]


def test_the_network_has_the_parameters_it_should_and_every_one_gets_a_gradient() -> None:
    network = ssd_lite0(64, 0.5, 0.5).train()
    assert sum(parameter.numel() for parameter in network.parameters()) == 3_276_194
    target = {"boxes": torch.tensor([[10.0, 5.0, 30.0, 60.0]]), "labels": torch.tensor([1])}
    sum(network([torch.rand(3, 64, 64)] * 2, [target] * 2).values()).backward()
    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


# --- The detector that ships ------------------------------------------------------------------------------------------


def test_the_detector_that_ships_is_small_and_finds_a_person() -> None:
    assert (EMBEDDED_DETECTOR / "model.safetensors").stat().st_size < 12_000_000
    photo = skimage.data.astronaut()
    (person,) = find_people(photo)
    assert person.confidence > 0.5
    assert person.box.width * person.box.height > 0.25 * photo.shape[0] * photo.shape[1]
    x, y, width, height = person.box
    assert x < 225 < x + width and y < 120 < y + height, "the face"


def test_the_detector_that_ships_finds_a_small_person_and_nobody_in_a_plain_scene() -> None:
    ground = np.full((900, 1200, 3), (150, 160, 150), np.uint8)
    assert find_people(ground) == []
    person = cv2.resize(skimage.data.astronaut(), (230, 230), interpolation=cv2.INTER_AREA)
    ground[500:730, 800:1030] = person
    x, y, width, height = find_people(ground)[0].box  # it also takes the rocket behind her for somebody
    assert 780 < x < 960 and 480 < y < 600 and x + width < 1050 and y + height < 750


def test_a_batch_gives_what_each_photo_gives() -> None:
    """Photos of several shapes, one of them with small people only, who get the second look."""
    photos = [
        skimage.data.astronaut(),
        np.full((90, 200, 3), 120, np.uint8),
        cv2.resize(skimage.data.astronaut(), (300, 150)),
    ]
    photos.append(
        cv2.copyMakeBorder(cv2.resize(skimage.data.astronaut(), (90, 90)), 200, 200, 150, 150, cv2.BORDER_REPLICATE)
    )
    detector = load_detector()
    together = detector.find_batch(photos)
    assert any(together) and len(together) == len(photos)
    for photo, people in zip(photos, together, strict=True):
        alone = detector.find(photo)
        assert len(alone) == len(people)
        for one, other in zip(alone, people, strict=True):
            assert np.allclose([*one.box, one.confidence], [*other.box, other.confidence], atol=0.1)
