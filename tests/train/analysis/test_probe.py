import csv
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import train.analysis.probe
from segmodels.architectures import ARCHITECTURES
from segmodels.datasets import Dataset
from train.__main__ import main
from train.analysis.grid import Grid
from train.analysis.probe import Cell, choose_photos, probe, varied_subset
from train.data.cache import open_cache
from train.recipe import Recipe
from train.resume import FitError
from train.segmentation.losses import LOSSES

MakeRecipe = Callable[..., Recipe]
QUICK: dict[str, Any] = {"one_epochs": 3, "subset_photos": 3, "subset_epochs": 2, "split_epochs": 1}


def good(classes: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, classes, 1))


class Pooled(nn.Module):
    """Normalises one value per photo and channel, and so never a single photo."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.logits = nn.Conv2d(3, classes, 1)
        self.pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(3, classes, 1), nn.BatchNorm2d(classes))

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.logits(photos) + self.pooled(photos)
        return logits


@pytest.fixture(autouse=True)
def _networks(monkeypatch: pytest.MonkeyPatch, folds: None) -> None:
    for name, function in (("good", good), ("pooled", Pooled)):
        monkeypatch.setitem(ARCHITECTURES, name, function)  # type: ignore[arg-type]
    monkeypatch.setattr(train.analysis.probe, "fold_ids", train.segmentation.fit.fold_ids)


@pytest.fixture(autouse=True)
def _interrupts_as_before() -> Iterator[None]:
    """Lightning ignores Ctrl-C once it has seen one."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def run(recipe: Recipe, root: Path, out: Path, **grid: Any) -> list[Cell]:
    return probe(recipe, Grid(**{**QUICK, **grid}), root, out, workers=0)


def test_the_subset_is_like_the_whole() -> None:
    generator = np.random.default_rng(0)
    shares = generator.dirichlet([60, 20, 10, 0.3, 0.05], 200)
    shares[shares < 1e-3] = 0
    shares[:, 4] = 0
    shares[[20, 120], 4] = 0.02  # a class of two photos
    chosen = varied_subset(shares, 12, range(200))
    assert len(set(chosen)) == 12 and chosen == sorted(chosen)
    assert (shares[chosen].max(axis=0) > 0).all()
    far = [np.abs(shares[some].mean(axis=0) - shares.mean(axis=0)).sum() for some in (chosen, list(range(12)))]
    assert far[0] < far[1] / 3
    assert varied_subset(shares, 12, range(200)) == chosen
    others = sorted(set(range(200)) - set(chosen))
    other = varied_subset(shares, 12, others)
    assert set(other) <= set(others) and (shares[other].max(axis=0) > 0).all()


def test_a_class_that_cannot_be_had_is_done_without() -> None:
    shares = np.array([[1.0, 0.0], [0.5, 0.5], [0.9, 0.1]])
    assert varied_subset(shares, 2, [0, 2]) == [0, 2] and varied_subset(shares, 1, [0]) == [0]
    assert varied_subset(shares, 1, [0, 1, 2]) == [2]  # nearest to 0.8, 0.2


def test_the_photo_with_most_classes_is_the_complex_one(dataset: Dataset) -> None:
    cache = open_cache(dataset, dataset.ids, 64)
    photos = choose_photos(cache, len(dataset.taxonomy), 3)
    assert photos.one == "0008"  # the one with a scarf
    assert "0008" in photos.subset and len(photos.subset) == len(photos.other) == 3
    assert not set(photos.subset) & set(photos.other)
    with pytest.raises(FitError, match="Two subsets of 5 photos need 10 photos to train on, and there are 8"):
        choose_photos(cache, len(dataset.taxonomy), 5)


def test_three_steps_end_with_a_choice(
    tiny: MakeRecipe, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = {"architectures": ["good", "pooled"], "batch_sizes": [1, 2], "one_mean_iou": 0.0}
    cells = run(tiny(architecture="good"), root, tmp_path / "out", **grid)
    said = capsys.readouterr().out
    names = [f"{network}-cross_entropy_dice-adamw-0.001-{batch}" for network in ("good", "pooled") for batch in (1, 2)]
    assert [cell.name for cell in cells] == names
    failed = cells[2]
    assert failed.failed and not failed.scores
    assert failed.verdict.startswith("Failed on one photo: A batch of 1 ") and "BatchNorm" in failed.verdict
    through = [cell for cell in cells if not cell.failed]
    best = max(through, key=lambda cell: cell.scores["split"]["mean_iou"])
    assert [cell.verdict.startswith("Taken") for cell in cells] == [cell is best for cell in cells]
    for cell in through:
        assert list(cell.scores) == ["one", "subset", "split"]
        assert list(cell.scores["subset"]) == [
            "mean_iou",
            "pixel_accuracy",
            "binary_iou",
            "own_mean_iou",
            "epoch",
            "seconds",
        ]
        assert all(0 <= score <= 1 for name, score in cell.scores["split"].items() if name not in ("epoch", "seconds"))
    assert f"Take {best.title}: the highest mean IoU" in said and "1 of 4 cells did not come that far" in said
    assert "epoch 1: mean IoU" not in said
    stored = json.loads((tmp_path / "out" / "cells.json").read_text())
    assert stored["choice"] in said and stored["photos"]["one"] == "0008"
    assert [row["verdict"] for row in stored["cells"]] == [cell.verdict for cell in cells]
    assert stored["cells"][1]["one_mean_iou"] == cells[1].scores["one"]["mean_iou"]
    with (tmp_path / "out" / "cells.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["cell"] for row in rows] == names and [row["batch_size"] for row in rows] == ["1", "2", "1", "2"]
    assert float(rows[0]["split_mean_iou"]) == cells[0].scores["split"]["mean_iou"] and rows[2]["one_mean_iou"] == ""
    page = (tmp_path / "out" / "index.html").read_text("utf-8")
    assert page.count("<h2>") == 5 and page.count("What is true</figcaption>") == 3
    assert page.count('id="figure-') == 4 and best.verdict in page
    assert not list((tmp_path / "out").rglob("resume.ckpt"))


def test_the_scores_are_those_that_chose_the_epoch(tiny: MakeRecipe, root: Path, tmp_path: Path) -> None:
    (cell,) = run(tiny(architecture="good", learning_rate=0.02), root, tmp_path, one_mean_iou=0.0)
    for step, scores in cell.scores.items():
        metrics = json.loads((tmp_path / "cells" / cell.name / step / "checkpoint" / "metrics.json").read_text())
        best = max(metrics["learning_curve"], key=lambda epoch: epoch["mean_iou"])
        assert scores["epoch"] == best["epoch"]
        assert scores["mean_iou"] == pytest.approx(best["mean_iou"], abs=0.01)
        assert scores["pixel_accuracy"] == pytest.approx(best["pixel_accuracy"], abs=0.01)


def test_what_does_not_overfit_is_out(
    tiny: MakeRecipe, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (cell,) = run(tiny(architecture="good"), root, tmp_path, one_mean_iou=0.99)
    assert list(cell.scores) == ["one"] and not cell.failed
    assert cell.verdict.startswith("Out: it does not overfit one photo (mean IoU 0.")
    assert "No cell is left to take." in capsys.readouterr().out


def test_only_so_many_of_an_architecture_go_on(tiny: MakeRecipe, root: Path, tmp_path: Path) -> None:
    grid = {"learning_rates": [0.1, 1e-6], "one_mean_iou": 0.0, "keep": 1}
    cells = run(tiny(architecture="good"), root, tmp_path, **grid)
    better, worse = sorted(cells, key=lambda cell: -cell.scores["subset"]["mean_iou"])
    assert "split" in better.scores and "split" not in worse.scores
    assert worse.verdict == f"Out: {better.title} is better on the other subset."


def test_it_goes_on_where_it_was_stopped(
    tiny: MakeRecipe, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe, grid = tiny(architecture="good"), {"batch_sizes": [1, 2], "one_mean_iou": 0.0}
    steps, real = [0], LOSSES["cross_entropy_dice"]
    stop_at = 3 + 2  # in the second epoch of the second cell

    def counted(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        if torch.is_grad_enabled():
            steps[0] += 1
            if steps[0] == stop_at:
                signal.raise_signal(signal.SIGINT)
        return real(logits, truth)

    monkeypatch.setitem(LOSSES, "cross_entropy_dice", counted)  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        run(recipe, root, tmp_path / "out", **grid)
    assert not (tmp_path / "out" / "cells.json").exists()
    stop_at, steps[0] = 0, 0
    cells = run(recipe, root, tmp_path / "out", **grid)
    # Left: two of three epochs on one photo; on the subset two of 3 steps and, as there are no half batches, of 1; 6
    # and 3 on the split.
    assert steps[0] == 2 + 2 * (3 + 1) + 6 + 3
    steps[0] = 0
    assert run(recipe, root, tmp_path / "out", **grid) == cells and steps[0] == 0
    with pytest.raises(FitError, match="holds another probe"):
        run(recipe, root, tmp_path / "out", **grid, keep=1)


def test_the_command(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe, grid = tmp_path / "mine.toml", tmp_path / "grid.toml"
    recipe.write_text("imagenet = false\narchitecture = 'pooled'\nheight = 64\nwidth = 32\ncache_side = 64\n")
    grid.write_text("one_epochs = 1\nsubset_photos = 2\nbatch_sizes = [1]\n")
    command = ["probe", recipe, "--grid", grid, "--data", root, "--out", tmp_path / "out", "--set", "seed=3"]
    assert main(list(map(str, command))) == 1
    assert "Failed on one photo: A batch of 1" in capsys.readouterr().out
    assert json.loads((tmp_path / "out" / "probe.json").read_text())["recipe"]["seed"] == 3
    (tmp_path / "out" / "probe.json").write_text("{")
    assert main(list(map(str, command))) == 1
    assert "probe.json is damaged" in capsys.readouterr().err
