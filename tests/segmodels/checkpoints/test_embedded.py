"""What ships: nine networks that run, and what is said of them and of those that are described only."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import skimage.data

from segmodels.architectures import ARCHITECTURES
from segmodels.checkpoints.catalog import EMBEDDED, list_described, load_segmenter
from segmodels.checkpoints.checkpoint import count_parameters, read_results
from segmodels.checkpoints.config import read_config
from segmodels.evaluation.bootstrap import difference
from segmodels.evaluation.evidence import EVIDENCE_FILE, read_evidence, total
from segmodels.evaluation.metrics import ConfusionMatrix
from segmodels.taxonomy import OUTFIT_15
from train.recipe import load_recipe

MOST_BYTES, MOST_BYTES_OF_ALL = 25_000_000, 120_000_000
ROOT = Path(__file__).parents[3]
SPLITS = ROOT / "train" / "splits"
RIVALS = (
    "atrous",
    "densenet",
    "fcn",
    "fpn_rivals",
    "linknet",
    "pspnet",
    "segnet",
    "unet",
    "unet_classic",
)  # by own/rivals
JUDGED = sorted(folder.parent.name for folder in EMBEDDED.glob(f"*/{EVIDENCE_FILE}"))


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """NASA's portrait of Eileen Collins, which scikit-image ships."""
    return np.asarray(skimage.data.astronaut())


def test_all_of_it_fits() -> None:
    sizes = {path: path.stat().st_size for path in EMBEDDED.parent.rglob("*") if path.is_file()}
    assert {"segmentation", "detector"} == {path.relative_to(EMBEDDED.parent).parts[0] for path in sizes}
    assert max(sizes.values()) <= MOST_BYTES and sum(sizes.values()) <= MOST_BYTES_OF_ALL


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_each_network_that_ships_sees_the_person(name: str, photo: np.ndarray) -> None:
    segmenter = load_segmenter(name)
    assert segmenter.checkpoint.config.architecture == name and segmenter.taxonomy is OUTFIT_15
    segmentation = segmenter.segment(photo)
    assert segmentation.class_map.shape == photo.shape[:2]
    (person,) = segmentation.people
    x, y, width, height = person.box
    found = segmentation.class_map != 0
    inside = found[y : y + height, x : x + width]
    assert person.detected and inside.mean() > 0.1 and inside.sum() > 0.9 * found.sum()


@pytest.mark.parametrize("name", JUDGED)
def test_the_photos_behind_the_scores_add_up_to_them(name: str) -> None:
    evidence, _ = read_evidence(EMBEDDED / name / EVIDENCE_FILE)
    rows = {row.photo_id: row for row in evidence}
    results = read_results(EMBEDDED / name)
    assert results.evaluations and not results.faults
    for each in results.evaluations:
        ids = each.ids or list(rows)  # an older file names none: all of its rows are of one run
        matrix = total([rows[photo_id] for photo_id in ids], OUTFIT_15)
        written = ConfusionMatrix(OUTFIT_15.names, np.array(each.scores.confusion_matrix))
        assert np.array_equal(matrix.counts, written.counts) and len(ids) == each.photos.number
        assert each.scores.mean_iou == pytest.approx(matrix.mean_iou, abs=1e-9)


def test_the_comparison_is_on_photos_that_none_of_it_was_trained_on() -> None:
    compared = [name for name in JUDGED if name != "fpn_lite0"]
    assert set(compared) >= {*ARCHITECTURES, "fpn_compare", "fpn_inacio", "fpn_pair", "fpn_portrait", "fpn_random"}
    fold, test = _fold_0(), set((SPLITS / "ccp_test.txt").read_text().split())
    assert len(fold) == 158 and not fold & test
    for name in compared:
        judged = [set(each.ids or ()) for each in read_results(EMBEDDED / name).evaluations]
        assert judged == ([test, fold] if name in ("fpn", "fpn_pair") else [fold])
        training = read_config(EMBEDDED / name).training
        for network in (training, *training.get("members", [])):
            assert network["recipe"]["fold"] == 0 and network["epoch"] >= 1
        tagged = name in ("fpn", "fpn_pair", "fpn_portrait", *RIVALS)
        assert bool(training["recipe"]["pseudo"]) == tagged, "which learn from tags too"


def test_rivals_are_trained_alike() -> None:
    rates = {"densenet": 0.003, "segnet": 0.003}
    batches = {
        "densenet": 4,
        "segnet": 4,
        "unet_classic": 4,
    }  # what starts from nothing takes more steps for the same samples
    for name in RIVALS:
        recipe = read_config(EMBEDDED / name).training["recipe"]
        alike = ("height", "width", "samples", "epochs", "flatlay_share", "framing", "paste", "mix", "fold")
        assert [recipe[key] for key in alike] == [320, 208, 1000, 30, 0.18, 0.45, 0.4, 0.3, 0]
        assert (recipe["batch_size"], recipe["learning_rate"]) == (batches.get(name, 8), rates.get(name, 0.001))


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What `make architectures` asks for each network, by architecture: the values of `--set`."""
    said = tmp_path_factory.mktemp("bin") / "python"
    said.write_text('#!/bin/sh\nprintf "%s\\t" "$@"\necho\n')
    said.chmod(0o755)
    command = ["make", "-s", "architectures", f"BIN={said.parent}", f"VENV={said.parent}", "DATA=a b", "FLATLAY=c"]
    made = [f"{said.parent}/{name}" for name in ("python", ".ready")]
    command += [f"--assume-old={path}" for path in made]
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # of a `make test`
    found = subprocess.run(command, cwd=ROOT, env=outside, capture_output=True, text=True, check=True)
    lines = found.stdout.splitlines()
    fits = [line.split("\t") for line in lines if "\tfit\t" in line]
    return {
        fit[fit.index("--out") + 1].split("/")[-1]: [fit[i + 1] for i, word in enumerate(fit) if word == "--set"]
        for fit in fits
    }


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
def test_the_makefile_trains_each_rival_as_what_ships_was_trained(name: str, commands: dict[str, list[str]]) -> None:
    recipe = load_recipe("own/rivals", commands[name])
    shipped = read_config(EMBEDDED / ("fpn_rivals" if name == "fpn" else name)).training
    keys = ("architecture", "arguments", "batch_size", "learning_rate", "samples", "epochs", "height", "width")
    assert {key: getattr(recipe, key) for key in keys} == {key: shipped["recipe"][key] for key in keys}
    random = name in ("densenet", "segnet", "unet_classic")
    assert (shipped["start"]["weights"] == "random") == random
    assert recipe.imagenet or random


def test_the_default_is_six_points_better_than_the_frozen_run() -> None:
    fold = _fold_0()
    before, after = (
        [row for row in read_evidence(EMBEDDED / name / EVIDENCE_FILE)[0] if row.photo_id in fold]
        for name in ("fpn_inacio", "fpn")
    )
    better = difference(before, after, OUTFIT_15.names)["mean_iou"]
    assert better.value >= 0.06 and better.low > 0


def test_a_description_says_what_it_is_and_how_to_get_it() -> None:
    described = list_described()
    assert {"fcn_resnet50", "atrous_resnet50"} <= set(described)
    for name, folder in described.items():
        config = read_config(folder)
        assert config.training["parameters"] == count_parameters(config)
        assert config.training["command"].endswith(f"--out runs/{name}")


def _fold_0() -> set[str]:
    rows = (line.split(",") for line in (SPLITS / "ccp_folds.csv").read_text().splitlines())
    return {row[0] for row in rows if row[1] == "0"}
