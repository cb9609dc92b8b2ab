import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest
from scored import HOW, LABEL, PHOTOS, judged

from dashboard.evaluation.ranking import (
    COLUMNS,
    Standing,
    classes_table,
    curves_table,
    leaderboard_data,
    leaderboard_table,
    papers_table,
    rank,
    references,
    scope,
)
from dashboard.evaluation.records import Model, photo_sets, read_model
from dashboard.shared.tables import as_csv
from segmodels.checkpoints.catalog import EMBEDDED
from segmodels.evaluation.bootstrap import interval
from segmodels.evaluation.papers import CASTRO_TABLE_3, CASTRO_TABLE_5
from segmodels.evaluation.results import EvaluatedPhotos
from segmodels.taxonomy import OUTFIT_15


@pytest.fixture
def models(scored_models: Path) -> list[Model]:
    return [*(read_model(path.name, path) for path in sorted(scored_models.iterdir())),
            read_model("fpn", EMBEDDED / "fpn")]  # fmt: skip


@pytest.fixture
def standings(models: list[Model]) -> list[Standing]:
    return rank(models, photo_sets(models)[0], {"sharp": interval(judged(1), OUTFIT_15.names)})


def test_only_those_measured_on_the_photos_are_ranked_and_the_others_named(models: list[Model]) -> None:
    first, *others = photo_sets(models)
    assert [row.model.name for row in rank(models, first, {})] == ["sharp", "old", "blunt"]
    assert scope(models, first) == f"3 models measured on {LABEL}. Not measured there: fpn."
    assert len(others) == 2
    for photos in others:
        assert [row.model.name for row in rank(models, photos, {})] == ["fpn"]


def test_each_number_says_which_photos_and_how(standings: list[Standing]) -> None:
    sharp, old, _ = standings
    note = sharp.note("mean_iou")
    assert LABEL in note and HOW in note and "95% interval" in note and sharp.text("mean_iou") in note
    assert "a test" in sharp.note("seconds") and "1.5 hours on a test" in sharp.note("epochs")
    assert old.text("seconds") == "–" and "evaluated before times were kept" in old.note("seconds")
    assert old.spread("mean_iou") == "" and "interval" not in old.note("mean_iou")
    assert sharp.text("parameters") == "4.0 M"


def test_the_browser_gets_all_columns_of_all_rows(standings: list[Standing]) -> None:
    data = leaderboard_data(standings, {"old": "#123456"})
    assert [column["key"] for column in data["columns"]] == list(COLUMNS)
    assert [(row["name"], row["ink"]) for row in data["rows"]] == [("sharp", None), ("old", "#123456"), ("blunt", None)]
    seconds = list(COLUMNS).index("seconds")
    assert data["rows"][1]["cells"][seconds] | {"note": ""} == {"value": None, "text": "–", "spread": "", "note": ""}


def test_downloads_hold_what_is_shown(standings: list[Standing]) -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(leaderboard_table(standings)).decode())))
    assert [row["model"] for row in rows] == ["sharp", "old", "blunt"]
    assert float(rows[0]["mean_iou_low"]) < float(rows[0]["mean_iou"]) < float(rows[0]["mean_iou_high"])
    assert rows[1]["seconds_per_photo"] == "" and rows[0]["training_hours"] == "1.5" and rows[0]["photos"] == LABEL
    rows = list(csv.DictReader(io.StringIO(as_csv(classes_table(standings[:1], {"Coat": 8})).decode())))
    coat = next(row for row in rows if row["class"] == "Coat")
    assert (coat["pixels"], coat["photos"], len(rows)) == ("4000", "8", 15)
    assert next(row for row in rows if row["class"] == "Hat")["iou"] == ""
    rows = list(csv.DictReader(io.StringIO(as_csv(curves_table([row.model for row in standings])).decode())))
    assert [(row["model"], row["mean_iou"]) for row in rows][:2] == [("sharp", "0.3"), ("sharp", "0.5")]
    assert len(rows) == 5


def test_castros_binary_iou_stands_beside_no_other_score() -> None:
    binary = {row.binary_iou for row in CASTRO_TABLE_5.values()}
    binary |= {row.binary_iou for rows in CASTRO_TABLE_3.values() for row in rows}
    for key in COLUMNS:
        for line in references(key):
            assert "photos of" in line.on
            assert ("Castro" in line.label) == (key in ("binary_iou", "pixel_accuracy"))
            assert key == "binary_iou" or line.value not in binary - {None}
    assert [line.value for line in references("binary_iou")] == [0.80, 0.77]
    assert references("mean_f1")[0].label == "Inácio fpn" and len(references("mean_f1")) == 4
    assert [line.value for line in references("mean_iou")] == [0.657]
    assert references("mean_iou_foreground") == references("parameters") == []


def test_what_a_paper_prints_stands_beside_scores_on_the_same_photos_only() -> None:
    theirs = EvaluatedPhotos(dataset="ccp_cfpd", split="folds", folds=5, number=3686)
    ours = EvaluatedPhotos(dataset="ccp", split="fold", fold=0, number=158)
    assert [line.value for line in references("mean_iou", theirs)] == [0.657]
    assert not any(references(key, photos) for key in COLUMNS for photos in (ours, PHOTOS))
    assert not any(references(key, replace(theirs, number=3000)) for key in COLUMNS)
    assert references("binary_iou", theirs) == references("pixel_accuracy", theirs) == [], "on iMaterialist"
    table = papers_table()
    row = table[table["score"] == "Mean IoU"].iloc[0].to_dict()
    assert row == {
        "paper and network": "Inácio fpn",
        "score": "Mean IoU",
        "value": 0.657,
        "measured on": "3,686 photos of CCP and CFPD, 15 classes, five folds",
    }
