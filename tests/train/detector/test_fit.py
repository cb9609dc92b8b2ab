import csv
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torchvision.models.detection.ssd import SSD

import train.detector.fit as module
import train.detector.judge
from segmodels.architectures.ssd import ssd_lite0
from segmodels.datasets import Dataset, DatasetError
from segmodels.datasets.flatlay import FlatLays, read_flatlays
from segmodels.inference.detector import load_detector
from train.__main__ import main
from train.detector.bystanders import open_source, read_bystanders
from train.detector.fit import PersonRecipe, Scenes, detection_loss, fit_person, list_bystanders
from train.detector.judge import evaluate_person
from train.resume import FitError

RECIPE = PersonRecipe(side=64, second_side=96, cache_side=72, batch_size=4, epoch_scenes=8, epochs=2, bystanders=False)


@pytest.fixture
def network() -> SSD:
    torch.manual_seed(0)
    return ssd_lite0(64, 0.5, 0.5).train()


@pytest.fixture(autouse=True)
def _few_photos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "fold_ids", lambda name, fold: ([f"{n:04}" for n in range(1, 7)], ["0007", "0008"]))


def boxes(*rows: list[float]) -> torch.Tensor:
    return torch.tensor(list(rows)).reshape(-1, 4)


def gradient(network: SSD, people: torch.Tensor, unknown: torch.Tensor) -> float:
    network.zero_grad()
    loss = detection_loss(network, torch.linspace(-1, 1, 3 * 64 * 64).reshape(1, 3, 64, 64), [people], [unknown])
    loss.backward()
    return sum(float(p.grad.abs().sum()) for p in network.head.parameters() if p.grad is not None)


def test_a_photo_with_nobody_teaches_and_an_unknown_one_does_not(network: SSD) -> None:
    network.eval()  # so that batch statistics do not blur the two
    assert gradient(network, boxes(), boxes()) > 0
    assert gradient(network, boxes(), boxes([-1.0, -1.0, 65.0, 65.0])) == 0


def test_the_loss_falls_when_a_person_is_learnt(network: SSD) -> None:
    torch.manual_seed(1)
    photos = torch.rand(2, 3, 64, 64)
    photos[0, :, 10:60, 20:40] = -1
    people, unknown = [boxes([20.0, 10.0, 40.0, 60.0]), boxes()], [boxes(), boxes()]
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3)
    losses = []
    for _ in range(12):
        loss = detection_loss(network, photos, people, unknown)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_a_loss_that_is_no_number_is_one_sentence(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, steps = module.detection_loss, []

    def diverges(*arguments: Any) -> torch.Tensor:
        steps.append(len(steps))
        return real(*arguments) * (math.nan if len(steps) == 3 else 1)

    monkeypatch.setattr(module, "detection_loss", diverges)
    with pytest.raises(FitError, match=r"The loss became nan in epoch 2\. Lower learning_rate\."):
        fit_person(RECIPE, root, tmp_path / "run", workers=0)
    kept = torch.load(tmp_path / "run" / "resume.pt", weights_only=True)
    assert [epoch["epoch"] for epoch in kept["curve"]] == [1], "the epoch before it is kept"
    assert all(values.isfinite().all() for values in kept["best"].values())


def test_scenes_are_numbered(dataset: Dataset) -> None:
    source = open_source(dataset, dataset.ids, 72, bystanders=False)
    first, later = Scenes(source, 64, 0, range(0, 4)), Scenes(source, 64, 0, range(2, 4))
    assert len(first) == 4 and len(later) == 2
    for one, other in zip(first[3], later[1], strict=True):
        assert torch.equal(one, other)
    picture, people, unknown = first[0]
    assert picture.shape == (3, 64, 64) and picture.dtype == torch.uint8
    assert people.dtype == unknown.dtype == torch.float32


def test_a_fit_that_was_stopped_goes_on_as_if_it_had_not_been(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fit_person(RECIPE, root, tmp_path / "whole", workers=0)
    write = module._write_state

    def stop(out: Path, state: dict[str, object]) -> None:
        write(out, state)
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_write_state", stop)
    with pytest.raises(KeyboardInterrupt):
        fit_person(RECIPE, root, tmp_path / "parts", workers=0)
    assert not (tmp_path / "parts" / "checkpoint").exists()
    monkeypatch.setattr(module, "_write_state", write)
    parts = fit_person(RECIPE, root, tmp_path / "parts", workers=0)
    curves = [json.loads((folder / "metrics.json").read_text())["curve"] for folder in (whole, parts)]
    assert len(curves[0]) == 2 and curves[0] == curves[1]
    assert load_detector(str(parts)).config.second_side == 96
    assert "# Garmentscope person detector" in (parts / "README.md").read_text()
    with pytest.raises(FitError, match="holds a fit of another recipe"):
        fit_person(replace(RECIPE, seed=1), root, tmp_path / "parts", workers=0)
    (tmp_path / "parts" / "resume.pt").write_bytes(b"damaged")
    with pytest.raises(FitError, match=r"resume\.pt is damaged"):
        fit_person(RECIPE, root, tmp_path / "parts", workers=0)

    listed = tmp_path / "bystanders.csv"
    count = list_bystanders(tmp_path / "whole", root, listed)
    with listed.open(newline="") as file:
        assert len(list(csv.DictReader(file))) == count
    assert all((of_photo >= 0).all() and (of_photo <= 1).all() for of_photo in read_bystanders(listed).values())
    with pytest.raises(FitError, match="holds no fit"):
        list_bystanders(tmp_path / "nowhere", root, listed)


def made_flatlays(folder: Path) -> FlatLays:
    """Two photos of a garment that lies on a floor."""
    (folder / "photos").mkdir(parents=True)
    lines = ["file,label,class,sender,kids,part"]
    for name in ("a", "b"):
        photo = np.full((60, 40, 3), 90, np.uint8)
        photo[15:45, 10:30] = 200
        Image.fromarray(photo).save(folder / "photos" / f"{name}.png")
        lines.append(f"{name}.png,Shirt,Shirt,1,False,train")
    (folder / "flatlay.csv").write_text("\n".join(lines) + "\n")
    return read_flatlays(folder)


def test_a_resume_file_that_does_not_fit_on_the_disk_is_an_error_of_the_disk(tmp_path: Path) -> None:
    """PyTorch's own error, "unexpected pos 704 vs 598", went on as a traceback."""
    resource = pytest.importorskip("resource")
    module._write_state(tmp_path, {"epoch": 1})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))
    try:
        with pytest.raises(OSError) as found:
            module._write_state(tmp_path, {"epoch": 2, "weights": torch.zeros(100_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert found.value.filename == str(tmp_path / module._RESUME)
    assert [path.name for path in tmp_path.iterdir()] == [module._RESUME], "the one before"
    assert torch.load(tmp_path / module._RESUME, weights_only=True) == {"epoch": 1}


def test_a_detector_learns_from_flat_lays_too(root: Path, tmp_path: Path) -> None:
    made_flatlays(tmp_path / "lying")
    (tmp_path / "masks").mkdir()
    mask = np.zeros((60, 40), np.uint8)
    mask[15:45, 10:30] = 11
    Image.fromarray(mask).save(tmp_path / "masks" / "a.png")
    recipe = replace(RECIPE, epochs=1, flatlays=str(tmp_path / "lying"), flatlay_masks=str(tmp_path / "masks"))
    folder = fit_person(recipe, root, tmp_path / "run", workers=0)
    assert json.loads((folder / "config.json").read_text())["training"]["recipe"]["flatlays"].endswith("lying")
    with pytest.raises(DatasetError, match="mask-flatlays"):
        fit_person(replace(recipe, flatlay_masks=str(tmp_path)), root, tmp_path / "other", workers=0)


def test_a_fit_goes_on_from_a_detector(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = fit_person(replace(RECIPE, epochs=1), root, tmp_path / "first", workers=0)
    capsys.readouterr()
    recipe = replace(RECIPE, epochs=1, start=str(first), learning_rate=1e-12, average=0.0)
    second = fit_person(recipe, root, tmp_path / "second", workers=0)
    assert f"The detector starts from {first}, revision " in capsys.readouterr().out
    one, other = (dict(load_detector(str(folder)).network.named_parameters()) for folder in (first, second))
    for name, tensor in one.items():
        if ".bn" not in name and "backbone" not in name:
            torch.testing.assert_close(tensor, other[name], atol=2e-3, rtol=0)
    with pytest.raises(FitError, match="starts from nowhere: There is no"):
        fit_person(replace(recipe, start="nowhere"), root, tmp_path / "third", workers=0)


def test_what_is_kept_lies_between_the_start_and_what_was_trained(root: Path, tmp_path: Path) -> None:
    first = fit_person(replace(RECIPE, epochs=1), root, tmp_path / "first", workers=0)
    recipe = replace(RECIPE, epochs=1, start=str(first), learning_rate=1e-3, average=0.0)
    start, trained, kept = (
        load_file(folder / "model.safetensors")
        for folder in (
            first,
            fit_person(recipe, root, tmp_path / "whole", workers=0),
            fit_person(replace(recipe, blend=0.7), root, tmp_path / "blended", workers=0),
        )
    )
    moved = [name for name in start if start[name].is_floating_point() and not torch.equal(start[name], trained[name])]
    assert len(moved) > 100
    for name in moved:
        between = 0.3 * start[name].float() + 0.7 * trained[name].float()
        torch.testing.assert_close(kept[name].float(), between, atol=2e-3, rtol=2e-3)
    assert "those trained, of which they have 70%" in (tmp_path / "blended" / "checkpoint" / "README.md").read_text()
    with pytest.raises(FitError, match=r"none is named\. Give start\."):
        fit_person(replace(RECIPE, blend=0.7), root, tmp_path / "other", workers=0)


@pytest.mark.parametrize("text", ["1.5", "-0.1", "half", "nan"])
def test_a_share_that_is_none(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fit-person", "--data", "DATA", "--out", "OUT", f"--blend={text}"])
    assert f"argument --blend: '{text}' is not a number from 0 to 1" in capsys.readouterr().err


def test_the_commands_judge_a_detector(
    root: Path, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(train.detector.judge, "_EVALUATION_SIDE", 96)
    detector = fit_person(replace(RECIPE, epochs=1), root, tmp_path / "run", workers=0)
    ids, out = tmp_path / "ids.txt", tmp_path / "scores.json"
    ids.write_text("0001\n0002\n")
    arguments = ["evaluate-person", "--detector", str(detector), "--data", str(root), "--ids", str(ids)]
    assert main([*arguments, "--json", str(out), "--keep"]) == 0
    scores = json.loads(out.read_text())
    assert list(scores) == [
        "photos",
        "photos_without_bystanders",
        "waist-up",
        "waist-down",
        "bust",
        "close-up",
        "small_person",
        "several_people",
        "group",
        "other_ground",
        "nobody",
    ]
    assert scores["photos"]["scenes"] == scores["photos"]["people"] == 2
    assert (
        scores["several_people"]["people"] >= 4 and scores["group"]["people"] >= 4 and scores["nobody"]["people"] == 0
    )
    assert json.loads((detector / "metrics.json").read_text())["evaluations"][0]["scores"] == scores
    assert "## Scores on Clothing Co-Parsing, ids.txt (2 photos)" in (detector / "README.md").read_text()
    assert scores == evaluate_person(load_detector(str(detector)), dataset, ["0001", "0002"])
    assert scores["bust"]["people"] == 2
    lying = made_flatlays(tmp_path / "lying")
    found = evaluate_person(load_detector(str(detector)), dataset, ["0001"], lying)["flatlays"]
    assert found["scenes"] == 2 and found["people"] == 0 and found["recall"] is None
    assert main(["evaluate-person", "--detector", str(tmp_path), *arguments[3:], "--json", str(out)]) == 1
    assert "has no config.json" in capsys.readouterr().err
