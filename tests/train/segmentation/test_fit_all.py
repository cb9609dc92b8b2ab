import json
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn

from segmodels.architectures import ARCHITECTURES
from segmodels.checkpoints.checkpoint import load_checkpoint
from segmodels.datasets import DatasetError
from train.__main__ import main
from train.recipe import Recipe
from train.segmentation.fit_all import fit_all

MakeRecipe = Callable[..., Recipe]

pytestmark = pytest.mark.usefixtures("folds", "_three_networks")


def good(classes: int, width: int = 4) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, classes, 1))


def bad(classes: int) -> nn.Module:
    """Gives logits of another size than the photo's."""
    return nn.Conv2d(3, classes, 3, stride=2)


@pytest.fixture
def _three_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(ARCHITECTURES):
        monkeypatch.delitem(ARCHITECTURES, name)  # type: ignore[arg-type]
    for name, function in (("first", good), ("broken", bad), ("last", good)):
        monkeypatch.setitem(ARCHITECTURES, name, function)  # type: ignore[arg-type]


def test_one_that_fails_does_not_stop_the_others(
    tiny: MakeRecipe, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tiny(architecture="first", arguments={"width": 6}, epochs=1)
    outcomes = fit_all(recipe, root, tmp_path, workers=0)
    assert [(each.architecture, each.epoch, bool(each.failure)) for each in outcomes] == [
        ("first", 1, False),
        ("broken", None, True),
        ("last", 1, False),
    ]
    assert load_checkpoint(tmp_path / "first" / "checkpoint").config.arguments == {"width": 6}
    assert load_checkpoint(tmp_path / "last" / "checkpoint").config.arguments == {}
    assert "Traceback" in (tmp_path / "broken" / "error.log").read_text()
    said = capsys.readouterr().out
    assert "broken         failed: " in said and "first          mean IoU 0." in said and "Traceback" not in said
    stored = json.loads((tmp_path / "outcomes.json").read_text())
    assert [each["mean_iou"] for each in stored] == [each.mean_iou for each in outcomes]
    curve = load_checkpoint(tmp_path / "first" / "checkpoint").results.learning_curve
    assert stored[0]["mean_iou"] == curve[0]["mean_iou"]


def test_what_is_finished_is_gone_over(tiny: MakeRecipe, root: Path, tmp_path: Path) -> None:
    recipe = tiny(architecture="first", epochs=1)
    first = fit_all(recipe, root, tmp_path, workers=0)
    weights = tmp_path / "first" / "checkpoint" / "model.safetensors"
    before = weights.stat().st_mtime_ns
    again = fit_all(recipe, root, tmp_path, workers=0)
    assert weights.stat().st_mtime_ns == before
    assert [each.mean_iou for each in again] == [each.mean_iou for each in first]


def test_a_data_set_that_is_none_is_said_once(tiny: MakeRecipe, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="photos is missing"):
        fit_all(tiny(architecture="first"), tmp_path / "nowhere", tmp_path / "runs")


def test_the_command_says_that_one_failed(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "mine.toml"
    recipe.write_text(
        "imagenet = false\narchitecture = 'first'\nheight = 64\nwidth = 32\ncache_side = 64\nepochs = 9\n"
    )
    command = ["fit", recipe, "--all", "--data", root, "--out", tmp_path / "runs", "--workers", 0]
    status = main([*map(str, command), "--set", "epochs=1", "--set", "batch_size=2"])
    assert status == 1
    assert "last           mean IoU " in capsys.readouterr().out
    assert load_checkpoint(tmp_path / "runs" / "last" / "checkpoint").config.training["recipe"]["epochs"] == 1
