"""What a `metrics.json` says, of this version and of older ones."""

import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from segmodels.checkpoints.catalog import EMBEDDED
from segmodels.checkpoints.checkpoint import read_metrics, read_results
from segmodels.datasets import DATASETS
from segmodels.evaluation.metrics import ConfusionMatrix
from segmodels.evaluation.results import (
    CONDITION_MEASURES,
    DATASET_TITLES,
    VERSION,
    ConditionScore,
    CrossValidation,
    DetectorEvaluation,
    DetectorResults,
    EvaluatedPhotos,
    Evaluation,
    FoldScores,
    Results,
    ResultsError,
    Scores,
    parse_detector_results,
    parse_results,
    parse_scores,
    upgrade,
)
from segmodels.inference.detector import EMBEDDED_DETECTOR

VERSION_1 = Path(__file__).parent / "version_1"
"""Files as they shipped before there were versions."""

NAMES = ("Background", "Coat", "Hat")
MATRIX = ConfusionMatrix(NAMES)
MATRIX.counts[:2, :2] = [[5, 1], [2, 4]]
SCORES = parse_scores(MATRIX.scores())
TEST = EvaluatedPhotos(dataset="ccp", split="ids", ids_file="ccp_test.txt", number=101)
FOLD = EvaluatedPhotos(dataset="ccp", split="fold", fold=0, number=158)

DIGESTS = {
    "fpn_compare": "e142a0878155c663",
    "fpn_inacio": "70ffd05c9a6eebba",
    "fpn_lite0": "bf99cb7c81d07f03",
    "fpn_pair": "83ef2ce07f84ab77",
    "fpn_portrait": "592346853d310bed",
    "fpn_random": "33b94db1fc9512ab",
}
"""SHA-256 of all scores, classes and matrices of each checkpoint that ships, from its file of version 1."""


@pytest.mark.parametrize("name", DIGESTS)
def test_no_score_changed_when_the_files_that_ship_were_written_anew(name: str) -> None:
    assert read_metrics(EMBEDDED / name)["version"] == VERSION
    scores = [asdict(each.scores) for each in read_results(EMBEDDED / name).evaluations]
    assert hashlib.sha256(json.dumps(scores, sort_keys=True).encode()).hexdigest()[:16] == DIGESTS[name]


@pytest.mark.parametrize(
    ("name", "photos", "ids"), [("fpn_pair", (TEST, FOLD), [101, 158]), ("fpn_lite0", (TEST,), [None])]
)
def test_a_file_of_version_1_that_shipped(name: str, photos: tuple[EvaluatedPhotos, ...], ids: list[int]) -> None:
    results = parse_results(json.loads((VERSION_1 / f"{name}.json").read_text("utf-8")))
    assert results == read_results(EMBEDDED / name) and not results.faults
    assert tuple(each.photos for each in results.evaluations) == photos
    assert [each.ids and len(each.ids) for each in results.evaluations] == ids


def test_a_detectors_file_of_version_1_that_shipped() -> None:
    results = parse_detector_results(json.loads((VERSION_1 / "detector.json").read_text("utf-8")))
    (evaluation,) = results.evaluations
    assert evaluation.photos == TEST and len(results.curve) == 10
    assert evaluation.scores["photos"]["precision"] == 0.8859649122807017
    assert parse_detector_results(results.to_json()) == results


def test_the_detectors_file_that_ships() -> None:
    results = parse_detector_results(read_metrics(EMBEDDED_DETECTOR))
    assert [each.photos for each in results.evaluations] == [FOLD, TEST] and len(results.curve) == 5
    assert all(each.scores["group"]["recall"] > 0.9 for each in results.evaluations)


@pytest.mark.parametrize(
    ("sentence", "photos"),
    [
        ("ccp, fold 0 (158 photos)", FOLD),
        ("ccp, ccp_test.txt (101 photos)", TEST),
        ("ccp, all (8 photos)", EvaluatedPhotos(dataset="ccp", number=8)),
        ("wild (38 photos)", EvaluatedPhotos(dataset="wild", number=38)),
        ("flatlay, part test (188 photos)", EvaluatedPhotos(dataset="flatlay", split="test", number=188)),
        (
            "ccp, 5 folds (798 photos), each judged by a network that left it out",
            EvaluatedPhotos(dataset="ccp", split="folds", folds=5, number=798),
        ),
        ("ccp, a, b.txt (3 photos)", EvaluatedPhotos(dataset="ccp", split="ids", ids_file="a, b.txt", number=3)),
        ("mine", EvaluatedPhotos(dataset="mine")),
        ("two\nlines, of text", EvaluatedPhotos(dataset="two\nlines, of text")),
        ("", EvaluatedPhotos(dataset="")),
    ],
)
def test_the_sentence_on_photos_in_version_1(sentence: str, photos: EvaluatedPhotos) -> None:
    assert EvaluatedPhotos(**upgrade({"photos": sentence})["photos"]) == photos
    title = DATASET_TITLES.get(photos.dataset, photos.dataset)
    assert str(photos) == title + sentence.replace(", all", "").removeprefix(photos.dataset)


def test_what_a_data_set_is_called() -> None:
    assert set(DATASETS) <= set(DATASET_TITLES)
    assert str(FOLD) == "Clothing Co-Parsing, fold 0 (158 photos)"
    assert str(EvaluatedPhotos(dataset="mine", number=3)) == "mine (3 photos)"


@pytest.mark.parametrize(
    ("kind", "name", "framing", "shift"),
    [
        ("whole", "full", "full", ""),
        ("whole", "grey", "full", "grey"),
        ("framing", "bust", "bust", ""),
        ("framing", "waist-up, jpeg", "waist-up", "jpeg"),
        ("flatlay", "flat-lays", "full", ""),
        ("wild", "photos of other kinds", "full", ""),
    ],
)
def test_a_condition_of_version_1(kind: str, name: str, framing: str, shift: str) -> None:
    entry = {"kind": kind, "name": name, "photos": "ccp, ccp_test.txt (101 photos)", "scores": {"score": 0.5, "a": 1}}
    (found,) = parse_results({"conditions": [entry]}).conditions
    assert (found.framing, found.shift, found.photos, found.score) == (framing, shift, TEST, 0.5)
    assert found.name == name and found.measure == CONDITION_MEASURES[kind] and found.scores["a"] == 1


def test_a_cross_validation_of_version_1() -> None:
    scores = MATRIX.scores()
    by_fold = {key: value for key, value in scores.items() if key != "confusion_matrix"}
    run = {
        "how": "By folds.",
        "photos": "ccp, 2 folds (8 photos), each judged by a network that left it out",
        "folds": [{"fold": 0, "photos": 3, **by_fold}, {"fold": 1, "photos": 5, **by_fold, "mean_iou": 0.5}],
        "mean": {"mean_iou": 0.4},
        "interval_95": {"mean_iou": [0.3, 0.5]},
        "all_photos": {"photos": 8, **scores},
        "ids": ["0001"],
    }
    results = parse_results({"crossval": run})
    found = results.crossval
    assert found and not results.faults
    assert found.photos == EvaluatedPhotos(dataset="ccp", split="folds", folds=2, number=8)
    assert [(fold.fold, fold.photos) for fold in found.folds] == [(0, 3), (1, 5)]
    assert found.folds[0].scores == replace(SCORES, confusion_matrix=None) and found.all_photos == SCORES
    assert found.mean["mean_iou"] == pytest.approx((MATRIX.mean_iou + 0.5) / 2)
    assert found.standard_deviation["mean_iou"] == pytest.approx((MATRIX.mean_iou - 0.5) / 2**0.5)
    assert found.interval_95 == {"mean_iou": (0.3, 0.5)} and found.ids == ("0001",)


def test_what_is_written_is_read_again() -> None:
    results = Results(
        learning_curve=({"epoch": 1, "loss": 0.5},),
        evaluations=(
            Evaluation(photos=TEST, scores=SCORES, how="Counted.", ids=("1", "2"), photos_left_out=1),
            Evaluation(photos=FOLD, scores=Scores(mean_iou=0.25), seconds_per_photo=0.1, device="a", precision="32"),
        ),
        conditions=(ConditionScore(kind="framing", framing="bust", photos=TEST, scores={"score": 0.5}),),
        crossval=CrossValidation(
            photos=EvaluatedPhotos(dataset="ccp", split="folds", folds=2),
            folds=(FoldScores(fold=0, photos=3, scores=Scores(mean_iou=0.25)),),
            all_photos=SCORES,
            interval_95={"mean_iou": (0.25, 0.5)},
        ),
    )
    assert parse_results(json.loads(json.dumps(results.to_json()))) == results
    assert parse_results(Results().to_json()) == Results() == parse_results({})
    detector = DetectorResults(curve=({"epoch": 1},), evaluations=(DetectorEvaluation(photos=TEST, scores={"a": {}}),))
    assert parse_detector_results(json.loads(json.dumps(detector.to_json()))) == detector


def test_with_classes_the_scores_are_those_of_the_matrix() -> None:
    values = Results(evaluations=(Evaluation(photos=TEST, scores=replace(SCORES, mean_iou=0.99)),)).to_json()
    assert parse_results(values).evaluations[0].scores.mean_iou == 0.99
    assert parse_results(values, NAMES).evaluations[0].scores == SCORES
    other = parse_results(values, NAMES[:2])
    assert not other.evaluations and "2 classes" in other.faults[0]


@pytest.mark.parametrize("version", [VERSION + 1, "2", None, 2.0, True])
def test_a_newer_version_is_refused(version: Any) -> None:
    sentence = f"is of version {version}; this Garmentscope reads up to {VERSION}. Update Garmentscope."
    for parse in (parse_results, parse_detector_results):
        with pytest.raises(ResultsError, match=sentence):
            parse({"version": version})


PHOTOS = {"dataset": "ccp"}


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"evaluations": 3}, "evaluation 1 in metrics.json cannot be used"),
        ({"evaluations": [{"scores": {"mean_iou": 1}}]}, "'photos' is missing"),
        ({"evaluations": [{"photos": "ccp", "scores": {"mean_iou": 1}}]}, "photos is not an object"),
        ({"evaluations": [{"photos": PHOTOS | {"number": 0}, "scores": {"mean_iou": 1}}]}, "not a number of photos"),
        ({"evaluations": [{"photos": PHOTOS | {"fold": "0"}, "scores": {"mean_iou": 1}}]}, "number of a fold"),
        ({"evaluations": [{"photos": PHOTOS | {"part": 1}, "scores": {"mean_iou": 1}}]}, "unexpected keyword"),
        ({"evaluations": [{"photos": PHOTOS, "scores": {"mean_iou": float("nan")}}]}, "nan should be a number"),
        ({"evaluations": [{"photos": PHOTOS, "scores": {"mean_iou": 1}, "ids": "ab"}]}, "ids is not a list of photos"),
        ({"conditions": [{"kind": "wild", "photos": PHOTOS, "scores": {"score": None}}]}, "it has no score"),
        ({"crossval": {"photos": PHOTOS, "folds": [{}], "all_photos": {}}}, "Run crossval again with --keep."),
        ({"learning_curve": [{"epoch": 1, "loss": "low"}]}, "low should be a number"),
    ],
)
def test_what_cannot_be_used_is_one_sentence(values: dict[str, Any], reason: str) -> None:
    results = parse_results({"version": VERSION, **values})
    (fault,) = results.faults
    assert reason in fault and fault.endswith(".") and results == Results()


def test_a_kind_of_condition_that_is_not_known_is_left_out() -> None:
    entry = {"kind": "weather", "name": "rain", "photos": "ccp", "scores": {"score": 0.5}}
    assert parse_results({"conditions": [entry]}) == Results()


def test_a_fit_that_diverged_keeps_its_curve() -> None:
    (epoch,) = parse_results({"learning_curve": [{"epoch": 1, "loss": float("inf"), "mean_iou": None}]}).learning_curve
    assert epoch == {"epoch": 1, "loss": float("inf")}


def test_a_damaged_file_of_a_detector_is_a_sentence() -> None:
    with pytest.raises(ResultsError, match=r"is damaged \('photos' is missing\). Evaluate the detector again."):
        parse_detector_results({"evaluations": [{}]})
