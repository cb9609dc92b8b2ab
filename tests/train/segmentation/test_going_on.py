"""What a fit may change on its way, what it says when it cannot go on, and what it leaves to be read."""

import csv
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import nn

import train.segmentation.fit
import train.segmentation.fit_log
import train.segmentation.pretrained
from segmodels.architectures import ARCHITECTURES
from segmodels.checkpoints.checkpoint import load_checkpoint
from segmodels.checkpoints.config import read_config
from segmodels.device import describe_device
from train.recipe import Recipe
from train.resume import FitError
from train.segmentation.crops import TrainingCrops
from train.segmentation.fit import fit
from train.segmentation.fit_log import EPOCHS_FILE, PICTURES_FOLDER, STEPS_FILE
from train.segmentation.losses import LOSSES
from train.segmentation.pretrained import PretrainedError

MakeRecipe = Callable[..., Recipe]

pytestmark = pytest.mark.usefixtures("folds", "_float32")


def small(classes: int, width: int = 16) -> nn.Module:
    """Without batch norm, so that a step of two halves is that of the whole."""
    return nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, classes, 1))


@pytest.fixture(autouse=True)
def _small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARCHITECTURES, "small", small)  # type: ignore[arg-type]


@pytest.fixture
def recipe(tiny: MakeRecipe) -> Recipe:
    return tiny(architecture="small", loss="cross_entropy", epochs=1, average=0.5, batch_size=2, accumulate=1)


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return dict(load_checkpoint(folder).network.state_dict())


def same(first: Path, second: Path) -> bool:
    return all(torch.equal(tensor, weights(second)[name]) for name, tensor in weights(first).items())


def test_the_number_of_loading_processes_changes_no_weight(recipe: Recipe, root: Path, tmp_path: Path) -> None:
    recipe = replace(recipe, paste=0.5, mix=0.5, epochs=2)
    folders = [fit(recipe, root, tmp_path / str(workers), workers=workers) for workers in (0, 1, 2)]
    assert same(folders[0], folders[1]) and same(folders[0], folders[2])
    assert not same(folders[0], fit(replace(recipe, seed=1), root, tmp_path / "other", workers=0))


def test_half_the_batch_twice_is_the_same_step(recipe: Recipe, root: Path, tmp_path: Path) -> None:
    whole = fit(recipe, root, tmp_path / "whole", workers=0)
    halves = fit(replace(recipe, batch_size=1, accumulate=2), root, tmp_path / "halves", workers=0)
    for name, tensor in weights(whole).items():
        torch.testing.assert_close(weights(halves)[name], tensor, atol=2e-3, rtol=0)
    states = [torch.load(f.parent / "resume.ckpt", weights_only=True) for f in (whole, halves)]
    assert [state["global_step"] for state in states] == [3, 3], "six photos, two a step"
    assert states[1]["state_dict"]["average.n_averaged"] == 3, "the average moves once a step"


def test_a_run_goes_on_with_more_epochs_in_smaller_batches(recipe: Recipe, root: Path, tmp_path: Path) -> None:
    fit(recipe, root, tmp_path, workers=0)
    longer = replace(recipe, epochs=3, batch_size=1, accumulate=2)
    folder = fit(longer, root, tmp_path, workers=0)
    state = torch.load(tmp_path / "resume.ckpt", weights_only=True)
    assert [entry["epoch"] for entry in state["curve"]] == [1, 2, 3]
    assert state["lr_schedulers"][0]["total_steps"] == 9, "one cycle over all epochs that are wanted now"
    assert json.loads((tmp_path / "recipe.json").read_text())["epochs"] == 3
    assert read_config(folder).training["recipe"]["accumulate"] == 2


@pytest.mark.parametrize("change", [{"batch_size": 1}, {"accumulate": 2}, {"epochs": 1}, {"learning_rate": 0.1}])
def test_a_run_does_not_go_on_by_another_recipe(
    recipe: Recipe, root: Path, tmp_path: Path, change: dict[str, Any]
) -> None:
    fit(replace(recipe, epochs=2), root, tmp_path, workers=0)
    with pytest.raises(FitError, match="holds a fit of another recipe"):
        fit(replace(recipe, **{"epochs": 2, **change}), root, tmp_path, workers=0)


@pytest.mark.parametrize(
    ("error", "whose"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), describe_device()),
        (MemoryError("Unable to allocate 2.00 GiB for an array"), "The machine"),
    ],
)
def test_want_of_memory_names_the_batch_and_what_to_set(
    recipe: Recipe, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, whose: str
) -> None:
    real, steps = LOSSES["cross_entropy"], []

    def loss(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        steps.extend([1] if torch.is_grad_enabled() else [])
        if len(steps) == 5:
            raise error
        return real(logits, truth)

    monkeypatch.setitem(LOSSES, "cross_entropy", loss)  # type: ignore[arg-type]
    recipe = replace(recipe, epochs=2)
    with pytest.raises(FitError) as raised:
        fit(recipe, root, tmp_path, workers=0)
    sentence = str(raised.value)
    assert sentence.startswith(whose)
    assert "ran out of memory in batch 2 of epoch 2: 2 photos of 64 x 32 in precision 32" in sentence
    assert "Set batch_size=1 and accumulate=2 (--set)" in sentence
    fit(replace(recipe, batch_size=1, accumulate=2), root, tmp_path, workers=0)
    assert len(torch.load(tmp_path / "resume.ckpt", weights_only=True)["curve"]) == 2, "as the sentence says"


def test_other_faults_of_a_network_are_not_taken_for_want_of_memory(
    recipe: Recipe, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def loss(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("The sizes of tensors must match.")

    monkeypatch.setitem(LOSSES, "cross_entropy", loss)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match="sizes of tensors"):
        fit(recipe, root, tmp_path, workers=0)


def test_a_loading_process_without_shared_memory_says_what_to_do(
    recipe: Recipe, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full /dev/shm ends a process by a bus error, which is what this one sends itself."""

    def fail(self: TrainingCrops, draw: object) -> None:
        os.kill(os.getpid(), signal.SIGBUS)

    monkeypatch.setattr(TrainingCrops, "__getitem__", fail)
    with pytest.raises(FitError, match=r"docker run --shm-size=2g.*--workers 0"):
        fit(recipe, root, tmp_path, workers=1)


def test_a_fit_can_be_watched(recipe: Recipe, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train.segmentation.fit_log, "_EVERY", 1)
    fit(replace(recipe, epochs=2), root, tmp_path, workers=0)
    with (tmp_path / STEPS_FILE).open() as file:
        steps = list(csv.DictReader(file))
    assert [row["step"] for row in steps] == ["1", "2", "3", "4", "5", "6"]
    rates = [float(row["learning_rate"]) for row in steps]
    assert max(rates) > rates[-1] and all(float(row["loss"]) > 0 for row in steps)
    with (tmp_path / EPOCHS_FILE).open() as file:
        epochs = list(csv.DictReader(file))
    curve = torch.load(tmp_path / "resume.ckpt", weights_only=True)["curve"]
    assert [float(row["mean_iou"]) for row in epochs] == pytest.approx([e["mean_iou"] for e in curve], rel=1e-4)
    assert [float(row["loss"]) for row in epochs] == pytest.approx([e["loss"] for e in curve], rel=1e-4)
    ious = [float(epochs[0][f"iou_{name}"]) for name in ("Background", "Shirt", "Romper")]
    assert 0 <= ious[0] <= 1 and 0 <= ious[1] <= 1 and ious[2] != ious[2], "no photo shows a romper: nan"
    with Image.open(tmp_path / PICTURES_FOLDER / "epoch_002.jpg") as picture:
        assert picture.size == (2 * 32, 3 * 64), "two photos, above their truths and predictions"


def test_a_log_that_goes_on_has_each_epoch_once(
    recipe: Recipe, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train.segmentation.fit_log, "_EVERY", 1)
    fit(recipe, root, tmp_path, workers=0)
    with (tmp_path / EPOCHS_FILE).open("a") as file:
        file.write("2,6,1,1,9,9,0,0\n")  # of an epoch that was not kept
    fit(replace(recipe, epochs=2), root, tmp_path, workers=0)
    with (tmp_path / EPOCHS_FILE).open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2"] and float(rows[1]["loss"]) != 9


def test_tensorboard_gets_the_same(recipe: Recipe, root: Path, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    fit(recipe, root, tmp_path, workers=0)
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert {"validation_loss", "mean_iou", "iou_Shirt"} <= set(events.Tags()["scalars"])


def test_what_happened_stands_in_the_checkpoint(recipe: Recipe, root: Path, tmp_path: Path) -> None:
    training = read_config(fit(recipe, root, tmp_path, workers=0)).training
    assert training["precision"] in ("32", "bf16") and training["seed"] == 0 and training["workers"] == 0
    assert training["versions"]["torch"] == torch.__version__.partition("+")[0]
    assert set(training["versions"]) == {"torch", "torchvision", "timm", "segmentation-models-pytorch", "lightning"}
    assert training["clean"] in (True, False, None) and training["processes"] == 1
    assert training["start"]["weights"] == "random" and not training["start"]["fell_back"]


def test_imagenet_weights_that_could_not_be_loaded_are_not_claimed(
    tiny: MakeRecipe, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nowhere(network: nn.Module, encoder: str) -> str:
        raise PretrainedError("They cannot be had.")

    monkeypatch.setattr(train.segmentation.pretrained, "load_imagenet", nowhere)
    recipe = tiny(architecture="fpn", imagenet=True, epochs=1)
    training = read_config(fit(recipe, root, tmp_path, workers=0)).training
    assert training["recipe"]["imagenet"] is False
    assert training["start"]["fell_back"] and training["start"]["sentence"].startswith("They cannot be had.")
    longer = read_config(fit(replace(recipe, epochs=2), root, tmp_path, workers=0)).training
    assert longer["start"] == training["start"] and longer["recipe"]["imagenet"] is False, "also when it went on"


def test_a_fit_goes_on_by_the_folds_that_it_began_with(recipe: Recipe, root: Path, tmp_path: Path) -> None:
    split = tmp_path / "mine.csv"
    ids = [path.stem for path in sorted((root / "photos").iterdir())]
    split.write_text("\n".join(["id,fold", *(f"{photo_id},{at % 2}" for at, photo_id in enumerate(ids))]))
    recipe = replace(recipe, split=str(split))
    fit(recipe, root, tmp_path / "run", workers=0)
    assert fit(recipe, root, tmp_path / "run", workers=0) == tmp_path / "run" / "checkpoint"
    split.write_text("\n".join(["id,fold", *(f"{photo_id},{1 - at % 2}" for at, photo_id in enumerate(ids))]))
    with pytest.raises(FitError, match="holds a fit by other folds than ccp has now. Put the split back"):
        fit(recipe, root, tmp_path / "run", workers=0)


@pytest.mark.parametrize(
    "text",
    [
        "DataLoader worker (pid 71) is killed by signal: Bus error. Its workers may be out of shared memory.",
        "unable to write to file </torch_71_2958>: No space left on device (28)",
        "unable to open shared memory object </torch_71> in read-write mode: Too many open files (24)",
        "received 0 items of ancdata",
    ],
)
def test_each_way_in_which_shared_memory_is_missing_is_one_sentence(text: str, recipe: Recipe) -> None:
    said = train.segmentation.fit._why_it_stopped(RuntimeError(text), None, recipe, None)  # type: ignore[arg-type]
    assert said and "--shm-size=2g" in said and "--workers 0" in said and "goes on from the last whole epoch" in said
