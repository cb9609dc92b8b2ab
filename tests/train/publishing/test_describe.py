"""What ships of a network without its weights, and what the command that writes it refuses."""

import json
import shlex
import shutil
from pathlib import Path

import pytest

from segmodels.architectures import build
from segmodels.checkpoints.catalog import load_segmenter
from segmodels.checkpoints.checkpoint import count_parameters, read_results, save_checkpoint
from segmodels.checkpoints.config import read_config
from segmodels.datasets import read_ccp
from segmodels.evaluation.evidence import EVIDENCE_FILE, read_evidence
from segmodels.evaluation.results import EvaluatedPhotos, Results
from train.__main__ import main
from train.analysis.evaluate import evaluate, keep_evaluation
from train.publishing.describe import command_of
from train.recipe import load_recipe
from train.segmentation.fit import checkpoint_config

CHANGES = ["--set", "architecture=unet_classic", "--set", "arguments={width=0.125}", "--set", "height=32"]


@pytest.fixture
def trained(root: Path, tmp_path: Path) -> Path:
    """A checkpoint of that recipe, judged on two photos."""
    recipe = load_recipe("own/compare", CHANGES[1::2])
    dataset = read_ccp(root)
    config = checkpoint_config(recipe, dataset)
    config.training.update(epoch=2, device="a processor")
    folder = tmp_path / "run" / "checkpoint"
    save_checkpoint(folder, config, build("unet_classic", 15, {"width": 0.125}), results=Results())
    photos = EvaluatedPhotos(dataset="ccp", split="ids", ids_file="two.txt", number=2)
    keep_evaluation(folder, photos, evaluate(load_segmenter(str(folder)), dataset, ["0001", "0002"]))
    return folder


def test_before_any_training(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "embedded" / "unet_narrow"
    assert main(["describe", "own/compare", *CHANGES, "--data", str(root), "--out", str(out)]) == 0
    config = read_config(out)
    assert sorted(path.name for path in out.iterdir()) == ["README.md", "config.json", "metrics.json"]
    assert (config.architecture, config.arguments, config.height) == ("unet_classic", {"width": 0.125}, 32)
    assert config.training["parameters"] == count_parameters(config) > 100_000
    assert read_results(out) == Results()
    command = config.training["command"]
    assert shlex.split(command)[:5] == ["python", "-m", "train", "fit", "own/compare"] and command.endswith(
        "--data DATA --out runs/unet_narrow"
    )
    assert command in capsys.readouterr().out
    card = (out / "README.md").read_text("utf-8")
    assert "are not included" in card and command in card and "not trained yet" in card


def test_the_command_is_the_one_that_trains_it() -> None:
    command = command_of("own/compare", ["architecture=fcn", 'arguments={encoder="resnet50"}'], "fcn_resnet50")
    words = shlex.split(command)
    changes = [words[place + 1] for place, word in enumerate(words) if word == "--set"]
    recipe = load_recipe(words[4], changes)
    assert (recipe.architecture, recipe.arguments) == ("fcn", {"encoder": "resnet50"})


def test_the_numbers_of_a_checkpoint_are_kept_without_its_weights(root: Path, tmp_path: Path, trained: Path) -> None:
    out = tmp_path / "embedded" / "small"
    arguments = ["own/compare", *CHANGES, "--data", str(root), "--checkpoint", str(trained), "--out", str(out)]
    assert main(["describe", *arguments]) == 0
    assert not (out / "model.safetensors").exists()
    assert read_results(out) == read_results(trained) and read_config(out).training["epoch"] == 2
    assert [row.photo_id for row in read_evidence(out / EVIDENCE_FILE)[0]] == ["0001", "0002"]
    assert "## Scores on Clothing Co-Parsing, two.txt (2 photos)" in (out / "README.md").read_text("utf-8")


def test_a_checkpoint_that_is_older_than_a_key_of_the_recipe(root: Path, tmp_path: Path, trained: Path) -> None:
    old = shutil.copytree(trained, tmp_path / "old")
    config = json.loads((old / "config.json").read_text("utf-8"))
    assert config["training"]["recipe"].pop("mix") == 0
    (old / "config.json").write_text(json.dumps(config), "utf-8")
    arguments = ["own/compare", *CHANGES, "--data", str(root), "--checkpoint", str(old)]
    assert main(["describe", *arguments, "--out", str(tmp_path / "out")]) == 0
    assert read_results(tmp_path / "out") == read_results(trained)


def test_another_recipe_than_the_checkpoints(
    root: Path, tmp_path: Path, trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = [*CHANGES, "--set", "epochs=3"]
    arguments = ["own/compare", *changes, "--data", str(root), "--checkpoint", str(trained)]
    assert main(["describe", *arguments, "--out", str(tmp_path / "out")]) == 1
    assert "was trained by another recipe" in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_a_checkpoint_is_not_written_over(
    root: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (trained / "config.json").read_bytes()
    assert main(["describe", "own/compare", *CHANGES, "--data", str(root), "--out", str(trained)]) == 1
    assert "is a checkpoint" in capsys.readouterr().err and (trained / "config.json").read_bytes() == before
