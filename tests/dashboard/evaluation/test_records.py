import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_classes import KIMONO
from scored import LABEL, PHOTOS, curve, evaluation, judged, write_maps, write_model

from dashboard.evaluation.records import evidence_of_measurement, photo_sets, read_model
from segmodels.checkpoints.catalog import EMBEDDED
from segmodels.checkpoints.checkpoint import load_checkpoint
from segmodels.evaluation.evidence import evidence_of, read_evidence, total
from segmodels.evaluation.results import EvaluatedPhotos, Evaluation, parse_scores, to_json
from segmodels.taxonomy import OUTFIT_15, taxonomy_entries


def test_the_embedded_checkpoint_is_read_whole() -> None:
    model = read_model("fpn", EMBEDDED / "fpn")
    network = load_checkpoint(EMBEDDED / "fpn").network
    assert model.parameters == sum(parameter.numel() for parameter in network.parameters())
    assert model.size == (EMBEDDED / "fpn" / "model.safetensors").stat().st_size
    assert not model.sentences and model.architecture == "fpn" and model.taxonomy is OUTFIT_15
    evidence = read_evidence(EMBEDDED / "fpn" / "evidence.parquet")[0]
    found = [evidence_of_measurement(model, measurement, evidence) for measurement in model.measurements]
    assert [(len(rows), sentence) for rows, sentence in found] == [(101, ""), (158, "")]


def test_scores_that_were_written_before_ids_were() -> None:
    """Their evidence is found by adding up to their matrix."""
    model = read_model("fpn_lite0", EMBEDDED / "fpn_lite0")
    (measurement,) = model.measurements
    assert measurement.ids is None
    evidence = read_evidence(EMBEDDED / "fpn_lite0" / "evidence.parquet")[0]
    rows, sentence = evidence_of_measurement(model, measurement, evidence)
    assert (len(rows), sentence) == (101, "")


def test_scores_are_those_of_the_matrix(tmp_path: Path) -> None:
    rows = judged(2)
    entry = evaluation(rows)
    entry["scores"] = {"mean_iou": 0.99, "confusion_matrix": entry["scores"]["confusion_matrix"]}
    model = read_model("m", write_model(tmp_path / "m", {"evaluations": [entry]}))
    assert model.measurements[0].scores.mean_iou == total(rows, OUTFIT_15).mean_iou != 0.99
    assert model.measurements[0].scores.classes["Coat"].pixels == 8 * 500


def test_scores_in_classes_of_ones_own(tmp_path: Path) -> None:
    labels = np.array([[0, 1], [1, 4]], np.uint8)
    found = evidence_of("0001", labels, np.array([[0, 1], [2, 4]], np.uint8), KIMONO)
    scores = parse_scores(total([found], KIMONO).scores())
    entry = to_json(Evaluation(photos=EvaluatedPhotos(dataset="mine", number=1), how="", scores=scores))
    folder = write_model(tmp_path / "m", {"evaluations": [entry]})
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | taxonomy_entries(KIMONO) | {"format_version": 2}))
    model = read_model("m", folder)
    assert model.taxonomy == KIMONO and not model.sentences
    classes = model.measurements[0].scores.classes
    assert (classes["Kimono"].iou, classes["Tote bag"].iou, classes["Kimono"].pixels) == (0.5, 1.0, 2)


def test_an_older_file_without_a_matrix_keeps_its_scores(tmp_path: Path) -> None:
    entry = {"photos": LABEL, "how": "", "scores": {"photos": 8, "mean_iou": 0.4, "pixel_accuracy": None}}
    model = read_model("m", write_model(tmp_path / "m", {"version": 1, "evaluations": [entry]}))
    (measurement,) = model.measurements
    assert measurement.scores.mean_iou == 0.4 and measurement.scores.pixel_accuracy is None
    assert measurement.matrix is None and not model.sentences
    assert "no confusion matrix" in evidence_of_measurement(model, measurement, judged(1))[1]


def test_cost_and_training(tmp_path: Path) -> None:
    model = read_model("m", write_model(tmp_path / "m", {"learning_curve": curve(0.1, 0.2)}, parameters=123))
    assert (model.parameters, model.epoch, model.hours, model.device) == (123, 2, 1.0, "a test")
    (tmp_path / "m" / "model.safetensors").write_bytes(b"torn")
    assert (read_model("m", tmp_path / "m").parameters, read_model("m", tmp_path / "m").size) == (None, 4)
    (tmp_path / "m" / "model.safetensors").unlink()
    assert read_model("m", tmp_path / "m").size is None


@pytest.mark.parametrize(
    ("metrics", "sentence"),
    [
        ('{"evaluations": [', "m: metrics.json is damaged ("),
        ("[]", "m: metrics.json is damaged (it holds no object)"),
        ({"evaluations": "many"}, "evaluation 1 in metrics.json cannot be used"),
        ({"evaluations": [{"photos": LABEL}]}, "'scores' is missing"),
        ({"evaluations": [{"photos": LABEL, "scores": {}}]}, "neither a confusion matrix nor scores"),
        ({"evaluations": [{"photos": 3, "scores": {"mean_iou": 0.1}}]}, "3 should be a text"),
        ({"evaluations": [{"photos": LABEL, "scores": {"mean_iou": "good"}}]}, "good should be a number"),
        ({"evaluations": [{"photos": LABEL, "scores": {"confusion_matrix": [[1, 2], [3, 4]]}}]}, "15 classes"),
        ({"evaluations": [{"photos": LABEL, "scores": {"confusion_matrix": [[-1] * 15] * 15}}]}, "negative"),
        (
            {"evaluations": [{"photos": LABEL, "scores": {"confusion_matrix": [["a"] * 15] * 15}}]},
            "does not contain pixel counts",
        ),
        ({"learning_curve": 7}, "the learning curve in metrics.json cannot be used"),
        ({"learning_curve": [{"loss": 1}]}, "an epoch has no number"),
        ({"crossval": {"folds": []}}, "the cross-validation in metrics.json cannot be used"),
    ],
)
def test_bad_metrics_are_a_sentence(tmp_path: Path, metrics: Any, sentence: str) -> None:
    older = metrics if isinstance(metrics, str) else {"version": 1} | metrics
    model = read_model("m", write_model(tmp_path / "m", older))
    assert len(model.sentences) == 1 and sentence in model.sentences[0]
    assert model.sentences[0].startswith("m: ") and model.sentences[0].endswith(".") and "\n" not in model.sentences[0]
    assert not model.measurements and not model.curve


def test_the_good_evaluation_beside_a_bad_one_counts(tmp_path: Path) -> None:
    metrics = {"evaluations": [{"photos": "x"}, evaluation(judged(1))], "learning_curve": curve(0.5)}
    model = read_model("m", write_model(tmp_path / "m", metrics))
    assert [each.photos for each in model.measurements] == [PHOTOS] and len(model.curve) == 1
    assert len(model.sentences) == 1


def test_a_missing_or_strange_config(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "m", {"evaluations": [evaluation(judged(1))]})
    (folder / "config.json").write_text('{"taxonomy": "SHOES"}')
    assert "names no known classes" in read_model("m", folder).sentences[0]
    (folder / "config.json").unlink()
    assert "config.json is missing" in read_model("m", folder).sentences[0]
    assert not read_model("m", folder).measurements


def test_photos_of_one_name_that_differ_are_two_sets(tmp_path: Path) -> None:
    rows = judged(1)
    others = [*rows[1:], rows[1]]
    models = [
        read_model("a", write_model(tmp_path / "a", {"evaluations": [evaluation(judged(1))]})),
        read_model("b", write_model(tmp_path / "b", {"evaluations": [evaluation(judged(2))]})),
        read_model("c", write_model(tmp_path / "c", {"evaluations": [evaluation(others)]})),
    ]
    first, second = photo_sets(models)
    assert (first.label, first.models, first.photos) == (LABEL, ("a", "b"), 8)
    assert second.label == f"{LABEL}, other photos with the same name (2)" and second.models == ("c",)
    assert models[2].measured_on(first) is None and models[2].measured_on(second) is models[2].measurements[0]


def test_cross_validation_is_a_set_of_its_own_with_mean_and_deviation(tmp_path: Path) -> None:
    rows = judged(1, fold=0)
    scores = total(rows, OUTFIT_15).scores()
    run = {
        "photos": {"dataset": "ccp", "split": "folds", "folds": 2, "number": 8},
        "how": "By folds.",
        "folds": [
            {"fold": 0, "photos": 4, "scores": {"mean_iou": 0.4, "mean_f1": None}},
            {"fold": 1, "scores": {"mean_iou": 0.6}},
        ],
        "all_photos": scores,
    }
    metrics = {"evaluations": [evaluation(rows)], "crossval": run}
    model = read_model("m", write_model(tmp_path / "m", metrics))
    assert not model.sentences
    plain, folded = model.measurements
    assert folded.scores.mean_iou == pytest.approx(0.5) and folded.deviation
    assert folded.deviation["mean_iou"] == pytest.approx(0.2**2 / 2 / 0.1414213562, rel=1e-6)
    assert folded.scores.classes == parse_scores(scores).classes and plain.deviation is None
    assert [each.over_folds for each in photo_sets([model])] == [False, True]


def test_no_photo_is_shown_for_a_number_that_it_is_no_part_of(tmp_path: Path) -> None:
    rows, others = judged(1), judged(3)
    model = read_model("m", write_model(tmp_path / "m", {"evaluations": [evaluation(rows)]}))
    (measurement,) = model.measurements
    found, sentence = evidence_of_measurement(model, measurement, [*rows, *judged(1, fold=2)[:0]])
    assert len(found) == 8 and not sentence
    for wrong in (others, rows[:7], []):
        found, sentence = evidence_of_measurement(model, measurement, wrong)
        assert not found and "belongs to other photos than Clothing Co-Parsing, eight.txt" in sentence


def test_without_ids_the_photos_of_a_run_are_found_among_others(tmp_path: Path) -> None:
    rows = judged(1)
    entry = evaluation(rows[2:6])
    del entry["ids"]
    model = read_model("m", write_model(tmp_path / "m", {"evaluations": [entry]}))
    found, _ = evidence_of_measurement(model, model.measurements[0], rows)
    assert [row.photo_id for row in found] == ["0003", "0004", "0005", "0006"]


def test_what_training_had_to_do_with_the_photos(tmp_path: Path) -> None:
    sets = [EvaluatedPhotos(dataset="ccp", split="fold", fold=fold) for fold in (0, 3)]
    metrics = {"evaluations": [evaluation(judged(1), photos) for photos in (*sets, PHOTOS)]}
    model = read_model("m", write_model(tmp_path / "m", metrics))
    chose, learnt, neither = (model.acquaintance(each) for each in model.measurements)
    assert "epoch was chosen on these" in chose and "was trained on these" in learnt and neither == ""


def test_a_file_of_a_newer_version_is_a_sentence(tmp_path: Path) -> None:
    metrics = {"version": 3, "evaluations": [evaluation(judged(1))], "learning_curve": curve(0.5)}
    model = read_model("m", write_model(tmp_path / "m", metrics))
    assert model.sentences == (
        "m: metrics.json is of version 3; this Garmentscope reads up to 2. Update Garmentscope.",
    )
    assert not model.measurements and not model.curve and model.parameters == 1000


def test_a_file_of_a_hundred_brackets_is_damaged(tmp_path: Path) -> None:
    model = read_model("m", write_model(tmp_path / "m", "[" * 100_000))
    assert "metrics.json is damaged" in model.sentences[0]
    assert json.loads((tmp_path / "m" / "config.json").read_text())["taxonomy"] == "OUTFIT_15"


def test_models_of_two_taxonomies_are_compared_on_what_both_can_name(tmp_path: Path) -> None:
    """By hand: of 500 pixels of coat in each photo, 100 are called a dress; ATR has no socks."""
    rows = judged(1)
    sharp = read_model("sharp", write_model(tmp_path / "sharp", {"evaluations": [evaluation(rows)]}, rows))
    maps = read_model("maps", write_maps(tmp_path / "maps"))
    assert maps.maps == "Class maps made elsewhere: https://example.org/segformer, MIT." and not maps.sentences
    own, common = photo_sets([maps, sharp])
    assert (own.label, own.models, own.common) == (LABEL, ("sharp",), None)
    assert (common.label, common.models) == (f"{LABEL}, 11 common classes", ("maps", "sharp"))
    assert common.common and "Left out: Romper, Socks, which maps cannot name." in common.common.remark()
    assert maps.measured_on(own) is None

    measured = maps.measured_on(common)
    assert measured and measured.scores.mean_iou == pytest.approx((1 + 0.8 + 0 + 1) / 4)
    classes = measured.scores.classes
    assert (classes["Coat or Shirt"].pixels, classes["Coat or Shirt"].iou) == (4000, pytest.approx(0.8))
    assert (classes["Dress"].iou, classes["Pants or Shorts"].iou, classes["Pants or Shorts"].pixels) == (0, 1, 3900)
    better = sharp.measured_on(common)
    assert better and better.scores.mean_iou == 1.0, "a shirt in place of a coat is no fault here"
    assert sharp.measured_on(own) == sharp.measurements[0]
    for model, found, file in ((maps, measured, "maps"), (sharp, better, "sharp")):
        evidence = read_evidence(tmp_path / file / "evidence.parquet")[0]
        found_rows, sentence = evidence_of_measurement(model, found, evidence)
        assert not sentence and len(found_rows) == 8 and found_rows[0].counts.shape == (11, 12)

    (alone,) = photo_sets([maps])
    assert (alone.label, alone.models) == (LABEL, ("maps",)) and alone.common


def test_maps_whose_classes_no_mapping_knows_are_a_sentence(tmp_path: Path) -> None:
    folder = write_maps(tmp_path / "maps")
    values = json.loads((folder / "maps.json").read_text())
    (folder / "maps.json").write_text(json.dumps(values | taxonomy_entries(KIMONO)))
    model = read_model("maps", folder)
    assert not model.measurements and "no mapping says what Kimono" in model.sentences[0]
    (folder / "mapping.toml").write_text("from = ")
    assert any("mapping.toml is not TOML" in sentence for sentence in read_model("maps", folder).sentences)
    (folder / "maps.json").write_text("{}")
    assert "maps.json names no known classes; its scores are left out." in read_model("maps", folder).sentences[0]
