import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import train.data.split
from segmodels.checkpoints.checkpoint import read_results
from segmodels.checkpoints.errors import CheckpointError
from segmodels.datasets import DatasetError
from segmodels.evaluation.evidence import read_evidence, total
from segmodels.taxonomy import OUTFIT_15
from train.__main__ import main
from train.analysis.crossval import compare, crossval
from train.recipe import Recipe, RecipeError
from train.segmentation.fit import fit

MakeRecipe = Callable[..., Recipe]


@pytest.fixture(autouse=True)
def _stored_folds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Eight photos in two folds, of three and of five."""
    (tmp_path / "splits").mkdir()
    rows = [f"{number:04},{0 if number in (2, 5, 8) else 1}" for number in range(1, 9)]
    (tmp_path / "splits" / "ccp_folds.csv").write_text("id,fold\n" + "\n".join(rows) + "\n")
    monkeypatch.setattr(train.data.split, "SPLITS", tmp_path / "splits")
    monkeypatch.setattr(train.data.split, "FOLDS", 2)


@pytest.fixture
def recipe(tiny: MakeRecipe) -> Recipe:
    return tiny(architecture="unet_classic", arguments={"width": 0.05}, epochs=1, crop="none")


def test_each_photo_is_judged_once_by_a_network_that_left_it_out(recipe: Recipe, root: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    metrics = crossval(recipe, root, out, folds=2, workers=0)
    with (out / "folds.csv").open(newline="") as file:
        stored = {row["id"]: int(row["fold"]) for row in csv.DictReader(file)}
    evidence, taxonomy = read_evidence(out / "evidence.parquet")
    assert {row.photo_id: row.fold for row in evidence} == stored and len(evidence) == 8
    for fold in (0, 1):
        fitted = json.loads((out / f"fold{fold}" / "recipe.json").read_text())
        assert (fitted["fold"], fitted["folds"]) == (fold, 2)
    assert json.loads((out / "metrics.json").read_text()) == json.loads(json.dumps(metrics))
    by_fold = [total([row for row in evidence if row.fold == fold], taxonomy) for fold in (0, 1)]
    scores = [matrix.mean_iou for matrix in by_fold]
    assert [fold["photos"] for fold in metrics["folds"]] == [3, 5]
    assert metrics["mean"]["mean_iou"] == pytest.approx(np.mean(scores))
    assert metrics["standard_deviation"]["mean_iou"] == pytest.approx(np.std(scores, ddof=1))
    assert metrics["all_photos"]["mean_iou"] == total(evidence, taxonomy).mean_iou
    low, high = metrics["interval_95"]["pixel_accuracy"]
    assert low <= metrics["all_photos"]["pixel_accuracy"] <= high
    assert set(metrics["class_iou"]) == set(OUTFIT_15.names)
    page = (out / "page.html").read_text()
    for text in ("IoU by class", "Confusion matrix", "Highest IoU", "Lowest IoU", "0005: IoU 0."):
        assert text in page


def test_scores_over_the_folds_are_kept_in_a_checkpoint(recipe: Recipe, root: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    crossval(recipe, root, run, folds=2, workers=0)
    checkpoint = shutil.copytree(run / "fold0" / "checkpoint", tmp_path / "mine")
    metrics = crossval(recipe, root, run, folds=2, workers=0, keep=checkpoint)
    results = read_results(checkpoint)
    kept = results.crossval
    rows, taxonomy = read_evidence(checkpoint / "evidence.parquet")
    assert kept and kept.mean == metrics["mean"] and kept.standard_deviation == metrics["standard_deviation"]
    assert kept.ids == tuple(row.photo_id for row in rows) and len(rows) == 8
    assert np.array_equal(total(rows, taxonomy).counts, np.array(kept.all_photos.confusion_matrix))
    assert results.learning_curve, "what was there stays"
    with pytest.raises(CheckpointError, match="no checkpoint folder"):
        crossval(recipe, root, run, folds=2, workers=0, keep=tmp_path / "none")


def test_it_goes_on_after_the_folds_that_are_done(
    recipe: Recipe, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*arguments: object, **options: object) -> Path:
        raise KeyboardInterrupt

    out, real = tmp_path / "run", train.analysis.crossval.fit
    monkeypatch.setattr(
        train.analysis.crossval,
        "fit",
        lambda r, *arguments, **options: (stop if r.fold else real)(r, *arguments, **options),
    )
    with pytest.raises(KeyboardInterrupt):
        crossval(recipe, root, out, folds=2, workers=0)
    judged = out / "fold0" / "evidence.parquet"
    before = judged.stat().st_mtime_ns
    monkeypatch.setattr(train.analysis.crossval, "fit", real)
    metrics = crossval(recipe, root, out, folds=2, workers=0)
    assert judged.stat().st_mtime_ns == before
    assert [fold["photos"] for fold in metrics["folds"]] == [3, 5]


def test_a_recipe_without_a_fold(tiny: MakeRecipe, root: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="leaves out each fold in turn"):
        crossval(tiny(fold=-1), root, tmp_path / "run", folds=2)


def test_two_runs_are_compared_by_the_command(
    recipe: Recipe, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(
        "architecture = 'unet_classic'\narguments = { width = 0.05 }\nimagenet = false\nheight = 64\nwidth = 32\n"
        "cache_side = 64\nepochs = 1\nbatch_size = 2\ncrop = 'none'\n"
    )
    for seed in (0, 1):
        command = ["crossval", mine, "--data", root, "--out", tmp_path / f"run{seed}", "--folds", 2, "--workers", 0]
        assert main([*map(str, command), "--set", f"seed={seed}"]) == 0
        assert "over 2 folds" in capsys.readouterr().out
    assert main(["compare", str(tmp_path / "run0"), str(tmp_path / "run1")]) == 0
    said = capsys.readouterr().out
    assert said.startswith("8 photos, paired bootstrap") and "mean_iou " in said and "->" in said
    (tmp_path / "run1" / "mapping.toml").write_text("from =")
    assert main(["compare", str(tmp_path / "run0"), str(tmp_path / "run1")]) == 0, "of one taxonomy: not looked at"
    (tmp_path / "run1" / "evidence.parquet").unlink()
    command = ["compare", str(tmp_path / "run0"), str(tmp_path / "run1"), "--mapping", str(mine)]
    assert main(command) == 1
    assert "mine.toml has the unknown key" in capsys.readouterr().err, "before the evidence, which takes longer"
    assert main(["compare", str(tmp_path / "run0"), str(tmp_path / "run1")]) == 1
    assert "evidence.parquet is missing" in capsys.readouterr().err


def test_runs_are_compared_on_the_photos_that_both_judged(recipe: Recipe, root: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    metrics = crossval(recipe, root, run, folds=2, workers=0)
    said = compare(run, run / "fold0")
    score = metrics["folds"][0]["scores"]["mean_iou"]
    assert said.startswith("3 photos, paired") and f"mean_iou               {score:.4f} -> {score:.4f}" in said
    assert f"did not judge them: 5 of {run} and 0 of {run / 'fold0'}." in said
    assert "Left out" not in compare(run, run)
    with pytest.raises(DatasetError, match="judged no photo in common"):
        compare(run / "fold1", run / "fold0")


@pytest.mark.parametrize("key", ["start", "teacher"])
def test_a_network_that_saw_the_folds_is_refused_before_the_first_fit(
    tiny: MakeRecipe, root: Path, tmp_path: Path, key: str
) -> None:
    source = fit(tiny(epochs=1, folds=2), root, tmp_path / "source", workers=0)
    with pytest.raises(RecipeError, match=rf"^{key} .*: behind it is a network that was trained on ccp"):
        crossval(tiny(epochs=1, **{key: str(source)}), root, tmp_path / "run", folds=2, workers=0)
    assert not (tmp_path / "run").exists()


def test_pseudo_labels_of_networks_that_saw_the_folds_are_refused(tiny: MakeRecipe, root: Path, tmp_path: Path) -> None:
    fits = [{"dataset": "ccp_cfpd", "fold": 0, "folds": 5}]
    (tmp_path / "labels.json").write_text(json.dumps({"trained_on": fits}))
    with pytest.raises(RecipeError, match="^pseudo "):
        crossval(tiny(pseudo=str(tmp_path)), root, tmp_path / "run", folds=2, workers=0)
