"""`evaluate` on photos that are cut, changed, or have labels and no masks."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segmodels.architectures import build
from segmodels.checkpoints.checkpoint import load_checkpoint, read_results, save_checkpoint
from segmodels.checkpoints.config import CheckpointConfig
from segmodels.datasets import Dataset, DatasetError
from segmodels.evaluation.results import Results
from segmodels.inference.segmenter import Segmenter
from segmodels.taxonomy import OUTFIT_15
from train.__main__ import main
from train.analysis.conditions import judge_condition
from train.analysis.evaluate import evaluate
from train.analysis.framing import FRAMINGS, framed
from train.analysis.shift import SHIFTS


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    config = CheckpointConfig(
        architecture="fpn",
        arguments={},
        taxonomy="OUTFIT_15",
        classes=list(OUTFIT_15.names),
        height=64,
        width=32,
        mean=0.5,
        std=0.5,
        training={"dataset": "ccp", "recipe": {}},
    )
    folder = tmp_path_factory.mktemp("untrained") / "fpn"
    save_checkpoint(folder, config, build("fpn", 15, {}).eval(), results=Results(), card="# Old\n")
    return folder


@pytest.fixture
def checkpoint(untrained: Path, tmp_path: Path) -> Path:
    """A copy, to keep scores in."""
    return Path(shutil.copytree(untrained, tmp_path / "fpn"))


def run(checkpoint: Path, dataset: str, root: Path, out: Path, *more: object) -> int:
    arguments = ["evaluate", checkpoint, "--dataset", dataset, "--data", root, "--json", out, *more]
    return main([str(argument) for argument in arguments])


def test_a_framing_is_judged_on_what_it_shows(untrained: Path, dataset: Dataset) -> None:
    segmenter = Segmenter(load_checkpoint(untrained))
    scores = judge_condition(segmenter, dataset, ["0001", "0002"], "bust")
    pixels = sum(framed("bust", *dataset.pair(photo_id), photo_id)[1].size for photo_id in ("0001", "0002"))
    assert sum(map(sum, scores["confusion_matrix"])) == pixels
    assert pixels < 2 * 72 * 48 / 2


def test_a_shift_changes_the_photo_and_keeps_the_truth(untrained: Path, dataset: Dataset) -> None:
    segmenter = Segmenter(load_checkpoint(untrained))
    plain = evaluate(segmenter, dataset, ["0001", "0002"]).scores
    grey = judge_condition(segmenter, dataset, ["0001", "0002"], shift="grey")
    assert grey["score"] == grey["mean_iou"]
    truth = [sum(row) for row in plain["confusion_matrix"]]
    assert [sum(row) for row in grey["confusion_matrix"]] == truth
    assert grey["confusion_matrix"] != plain["confusion_matrix"]


def test_all_framings_go_into_one_file_and_into_the_checkpoint(checkpoint: Path, root: Path, tmp_path: Path) -> None:
    (tmp_path / "ids.txt").write_text("0001\n0002\n")
    options = ("--ids", tmp_path / "ids.txt", "--framing", "all", "--keep")
    assert run(checkpoint, "ccp", root, tmp_path / "out.json", *options) == 0
    found = json.loads((tmp_path / "out.json").read_text())
    assert list(found) == list(FRAMINGS)
    kept = read_results(checkpoint).conditions
    assert [(each.kind, each.name) for each in kept] == [
        ("whole" if name == "full" else "framing", name) for name in FRAMINGS
    ]
    assert all(str(each.photos) == "Clothing Co-Parsing, ids.txt (2 photos)" for each in kept)
    assert [each.score for each in kept] == [scores["score"] for scores in found.values()]
    card = (checkpoint / "README.md").read_text()
    assert "| close-up | " in card and "| full | " in card
    assert run(checkpoint, "ccp", root, tmp_path / "out.json", *options) == 0, "once more"
    assert len(read_results(checkpoint).conditions) == len(FRAMINGS), "replaces, adds nothing"


def test_one_shift_gives_the_scores_themselves(checkpoint: Path, root: Path, tmp_path: Path) -> None:
    assert run(checkpoint, "ccp", root, tmp_path / "out.json", "--framing", "waist-up", "--shift", "jpeg") == 0
    scores = json.loads((tmp_path / "out.json").read_text())
    assert scores["photos"] == 8 and "score" in scores
    assert not read_results(checkpoint).conditions, "without --keep"


def test_all_shifts_are_known_to_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    shown = capsys.readouterr().out
    assert all(name in shown for name in SHIFTS)


@pytest.fixture
def lying(tmp_path: Path) -> Path:
    """Three flat-lays, one of which is for the final report."""
    folder = tmp_path / "lying"
    (folder / "photos").mkdir(parents=True)
    lines = ["file,label,class,sender,kids,part"]
    for name, part in (("a", "train"), ("b", "train"), ("c", "test")):
        Image.fromarray(np.full((40, 30, 3), 90, np.uint8)).save(folder / "photos" / f"{name}.png")
        lines.append(f"{name}.png,Shirt,Shirt,1,False,{part}")
    (folder / "flatlay.csv").write_text("\n".join(lines) + "\n")
    return folder


def test_flat_lays_without_ids_are_those_of_the_test_part(checkpoint: Path, lying: Path, tmp_path: Path) -> None:
    assert run(checkpoint, "flatlay", lying, tmp_path / "out.json", "--keep") == 0
    scores = json.loads((tmp_path / "out.json").read_text())
    assert scores["photos"] == 1 and scores["score"] == scores["mean_over_classes"]
    (kept,) = read_results(checkpoint).conditions
    assert (kept.kind, str(kept.photos)) == ("flatlay", "flat-lays, part test (1 photo)")
    (tmp_path / "two.txt").write_text("a\nb\n")
    assert run(checkpoint, "flatlay", lying, tmp_path / "out.json", "--ids", tmp_path / "two.txt") == 0
    assert json.loads((tmp_path / "out.json").read_text())["photos"] == 2


def test_flat_lays_that_it_learned_from_are_refused(
    checkpoint: Path, lying: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = json.loads((checkpoint / "config.json").read_text())
    config["training"]["recipe"] = {"flatlays": "somewhere"}
    (checkpoint / "config.json").write_text(json.dumps(config))
    (tmp_path / "ids.txt").write_text("a\nc\n")
    options = ("--ids", tmp_path / "ids.txt")
    assert run(checkpoint, "flatlay", lying, tmp_path / "out.json", *options) == 1
    assert capsys.readouterr().err.startswith("The network was trained on 1 of the 2 flat-lays.")
    assert run(checkpoint, "flatlay", lying, tmp_path / "out.json", *options, "--allow-trained") == 0


def test_photos_of_other_kinds(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "wild"
    (folder / "photos").mkdir(parents=True)
    Image.fromarray(np.full((40, 30, 3), 90, np.uint8)).save(folder / "photos" / "a.png")
    (folder / "wild.csv").write_text("file,framing,people,tags,unsure,light,skin\na.png,bust,1,Hat,,bw,dark\n")
    assert run(checkpoint, "wild", folder, tmp_path / "out.json", "--keep") == 0
    scores = json.loads((tmp_path / "out.json").read_text())
    assert scores["photos"] == 1 and scores["hits"] + scores["missed"] == 1
    assert capsys.readouterr().out.startswith("micro F1 ")
    (kept,) = read_results(checkpoint).conditions
    assert (kept.kind, str(kept.photos)) == ("wild", "photos of other kinds (1 photo)")


@pytest.mark.parametrize(
    ("dataset", "option"),
    [("flatlay", ("--fold", "0")), ("flatlay", ("--framing", "bust")), ("wild", ("--shift", "grey"))],
)
def test_what_a_set_without_masks_cannot_have(
    untrained: Path, tmp_path: Path, dataset: str, option: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(untrained, dataset, tmp_path, tmp_path / "out.json", *option) == 1
    assert capsys.readouterr().err == f"{dataset} has no masks and no folds: leave {option[0]} out.\n"


def test_a_taxonomy_without_skin_has_no_dark_skin(untrained: Path, dataset: Dataset) -> None:
    segmenter = Segmenter(load_checkpoint(untrained))
    classes = OUTFIT_15.classes[:3]
    names = tuple(each.name for each in classes)
    other = replace(dataset, taxonomy=replace(OUTFIT_15, classes=classes, display_order=names))
    with pytest.raises(DatasetError, match="has no class Skin"):
        judge_condition(segmenter, other, ["0001"], shift="dark-skin")
