import shutil
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from made_ccp import write_ccp

from segmodels.checkpoints.checkpoint import load_checkpoint
from segmodels.datasets import DatasetError, read_ccp
from segmodels.evaluation.results import EvaluatedPhotos
from segmodels.inference.presence import Calibration, ClassCalibration, feature_names, read_calibration
from segmodels.inference.segmentation import Garment, Person, Segmentation
from segmodels.inference.segmenter import Segmenter
from segmodels.taxonomy import CFPD_23, OUTFIT_15
from train.__main__ import main
from train.analysis.calibration import FLATLAY, Sample, fit, judge, keep_calibration, observe_framings
from train.analysis.framing import FRAMINGS
from train.commands import judging

NAMES = [garment.name for garment in OUTFIT_15.worn]
COUNT = len(feature_names(OUTFIT_15))
PHOTOS = EvaluatedPhotos(dataset="ccp", split="fold", fold=0)


def samples(number: int, kind: str = "full", seed: int = 0) -> list[Sample]:
    """Photos of which each class is shown with the probability that its first feature gives; the network finds all."""
    random = np.random.default_rng(seed)
    made = []
    for index in range(number):
        features = random.normal(size=(len(OUTFIT_15), COUNT))
        chance = 1 / (1 + np.exp(-2 * features[[garment.id for garment in OUTFIT_15.worn], 0]))
        shown = random.random(len(NAMES)) < chance
        made.append(Sample(f"{index:04}", kind, features, shown, np.ones(len(NAMES), bool)))
    return made


def test_a_fit_gives_probabilities_that_are_right() -> None:
    calibration = fit(samples(300), OUTFIT_15, PHOTOS, refits=2)
    (scores,) = calibration.fitted_on
    assert scores.how == "cross-validated" and scores.photos == replace(PHOTOS, number=300)
    assert scores.raw.share_error == pytest.approx(0.5, abs=0.03)  # everything is found, and half of it is shown
    assert scores.calibrated.share_error < 0.02
    assert scores.raw.brier == pytest.approx(0.5, abs=0.03)
    assert scores.calibrated.brier < 0.2 < scores.raw.brier
    # That of a coin is 0.25, and the best that can be had here is the mean of p (1 - p), about 0.15.
    assert sum(each.number for each in scores.reliability) == 300 * len(NAMES)
    observed = [each.observed for each in scores.reliability]
    assert observed == sorted(observed) and observed[0] < 0.1 and observed[-1] > 0.9
    others = samples(400, seed=1)
    (held_out,) = judge(calibration, others, OUTFIT_15, replace(PHOTOS, split="ids", fold=None, ids_file="others.txt"))
    assert held_out.how == "held out" and held_out.photos.ids_file == "others.txt" and held_out.photos.number == 400
    assert held_out.calibrated.share_error < 0.04 and held_out.calibrated.brier < 0.2


def test_the_error_of_a_share_shrinks_with_the_photos_of_the_fit() -> None:
    few, many = (np.mean(list(fit(samples(n), OUTFIT_15, PHOTOS, refits=20).share_errors.values())) for n in (40, 360))
    assert many < few / 2  # nine times the photos, a third of the error
    assert 0.005 < many < 0.04  # about sqrt(0.15 / 360) = 0.02


def test_kinds_of_photo_are_judged_apart() -> None:
    kinds = [*samples(60), *samples(60, "bust"), *samples(30, FLATLAY, seed=3)]
    calibration = fit(kinds, OUTFIT_15, PHOTOS, "choice.txt", refits=2)
    assert [(each.framing, each.photos.dataset, each.photos.number) for each in calibration.fitted_on] == [
        ("full", "ccp", 60),
        ("bust", "ccp", 60),
        ("full", "flatlay", 30),
    ]
    assert calibration.fitted_on[2].photos.ids_file == "choice.txt"


def test_a_class_that_is_hardly_ever_shown_has_its_share_alone() -> None:
    some = [replace(each, shown=np.where(np.array(NAMES) == "Romper", False, each.shown)) for each in samples(80)]
    calibration = fit(some, OUTFIT_15, PHOTOS, refits=2)
    assert set(calibration.classes["Romper"].weights) == {0.0}
    presence = calibration.presence(some[0].features, OUTFIT_15)
    assert 0 < presence["Romper"] < 0.01


def test_errors_that_exclude_each_other_are_correlated() -> None:
    """Of two classes that look alike exactly one is shown, and nothing tells which."""
    random = np.random.default_rng(5)
    first, second, rare = (NAMES.index(name) for name in ("Dress", "Pants", "Romper"))
    some = []
    for sample in samples(200):
        shown = sample.shown.copy()
        shown[first] = random.random() < 0.5
        shown[second] = not shown[first]
        shown[rare] = len(some) < 9  # of nine photos, which all show the first
        shown[first] |= shown[rare]
        some.append(replace(sample, shown=shown))
    correlations = np.array(fit(some, OUTFIT_15, PHOTOS, refits=2).correlations)
    assert (correlations == correlations.T).all() and not correlations.diagonal().any()
    # It is -1 before it is drawn towards 0: 300 x 0.25 / (300 x 0.25 + 60) = 0.56.
    assert correlations[first, second] == pytest.approx(-0.56, abs=0.06)
    assert not correlations[rare].any() and not correlations[:, rare].any()
    others = np.delete(np.delete(correlations, [first, second], 0), [first, second], 1)
    assert np.abs(others).max() < 0.3


def test_one_photo_is_too_few() -> None:
    with pytest.raises(DatasetError, match="at least two photos"):
        fit([samples(1)[0], replace(samples(1)[0], kind="bust")], OUTFIT_15, PHOTOS)


def test_scores_by_hand() -> None:
    off = ClassCalibration(intercept=-30.0, weights=(0.0,) * COUNT, share_error=0.0)
    on = replace(off, intercept=30.0)
    certain = Calibration(taxonomy="OUTFIT_15", classes={name: on if name in ("Hat", "Bag") else off for name in NAMES})
    shown = np.isin(NAMES, ["Hat", "Coat"])
    one = Sample("a", "full", np.zeros((15, COUNT)), shown, np.isin(NAMES, ["Hat", "Coat", "Shirt"]))
    (found,) = judge(certain, [one], OUTFIT_15, PHOTOS)
    assert found.raw.f1 == pytest.approx(2 * 2 / (3 + 2)) and found.raw.share_error == pytest.approx(1 / 12)
    assert found.calibrated.f1 == pytest.approx(2 * 1 / (2 + 2))
    assert found.calibrated.share_error == pytest.approx(2 / 12)
    assert found.calibrated.brier == pytest.approx(2 / 12)


class Finds:
    """Stands for a segmenter that finds a coat on everybody."""

    taxonomy = OUTFIT_15

    def segment_with_features(self, photo: np.ndarray) -> tuple[Segmentation, list[np.ndarray]]:
        empty = np.zeros(photo.shape[:2], np.uint8)
        person = Person((0, 0, *photo.shape[1::-1]), 0.9, detected=True)
        coat = Garment("Coat", 0, 0.1, 1.0, 0.8, (0, 0, 1, 1), ())
        found = Segmentation(OUTFIT_15, empty, empty, (person,), (coat,), "fake", "abc123", 0.1)
        return found, [np.full((15, COUNT), photo.shape[0], float)]


def test_photos_are_observed_in_all_framings(tmp_path: Path) -> None:
    dataset = read_ccp(write_ccp(tmp_path))
    photo_id = dataset.ids[0]
    found = observe_framings(cast(Segmenter, Finds()), dataset, [photo_id])
    assert [sample.kind for sample in found] == list(FRAMINGS)
    photo, truth = dataset.pair(photo_id)
    in_truth = {OUTFIT_15.names[index] for index in np.unique(truth) if index < len(OUTFIT_15)}
    assert {name for name, shown in zip(NAMES, found[0].shown, strict=True) if shown} == in_truth & set(NAMES)
    assert found[0].features[0, 0] == photo.shape[0] > found[1].features[0, 0]
    assert [name for name, there in zip(NAMES, found[0].found, strict=True) if there] == ["Coat"]


def test_another_taxonomy_is_refused(tmp_path: Path) -> None:
    class Other(Finds):
        taxonomy = CFPD_23

    with pytest.raises(DatasetError, match="ccp is in OUTFIT_15, the model in CFPD_23"):
        observe_framings(cast(Segmenter, Other()), read_ccp(write_ccp(tmp_path)), ["0001"])


def test_a_checkpoint_keeps_its_calibration_and_its_card_says_so(tmp_path: Path) -> None:
    shutil.copytree(Path("segmodels/embedded/segmentation/fpn"), tmp_path / "own")
    calibration = fit(samples(60), OUTFIT_15, PHOTOS, refits=2)
    keep_calibration(tmp_path / "own", calibration)
    assert load_checkpoint(tmp_path / "own").calibration == read_calibration(tmp_path / "own", OUTFIT_15)
    card = (tmp_path / "own" / "README.md").read_text()
    (scores,) = calibration.fitted_on
    assert "## Counts" in card
    assert (
        f"| Clothing Co-Parsing, fold 0 (60 photos) | full | cross-validated | {scores.raw.share_error:.3f} → "
        f"{scores.calibrated.share_error:.3f} |"
    ) in card


def test_photos_that_fit_and_judge_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ids = tmp_path / "others.txt"
    fold = [
        line.split(",")[0] for line in Path("train/splits/ccp_folds.csv").read_text().split() if line.endswith(",0")
    ]
    ids.write_text("\n".join(fold[:2]))
    data = tmp_path / "ccp"
    write_ccp(data)
    assert main(["calibrate", "fpn", "--data", str(data), "--ids", str(ids)]) == 1
    assert "which fits, and in" in capsys.readouterr().err


def test_what_is_missing_is_said_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def work(*_: object) -> list[Sample]:
        raise AssertionError("the work has begun")

    monkeypatch.setattr(judging, "observe_framings", work)
    monkeypatch.setattr(judging, "fold_ids", lambda *_: ([], ["0001"]))
    data, own, ids = write_ccp(tmp_path / "ccp"), tmp_path / "own", tmp_path / "others.txt"
    shutil.copytree(Path("segmodels/embedded/segmentation/fpn"), own)
    ids.write_text("nowhere")
    assert main(["calibrate", str(own), "--data", str(data), "--ids", str(ids)]) == 1
    assert "1 of 1 ids are not in ccp" in capsys.readouterr().err
    flatlays = tmp_path / "flatlays"
    assert main(["calibrate", str(own), "--data", str(data), "--flatlays", str(flatlays)]) == 1
    assert f"{flatlays / 'photos'} is missing" in capsys.readouterr().err
    (own / "calibration.json").unlink()
    (own / "calibration.json").mkdir()
    assert main(["calibrate", str(own), "--data", str(data)]) == 1
    assert "Is a directory" in capsys.readouterr().err
