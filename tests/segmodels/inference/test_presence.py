import json
import math
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segmodels.evaluation.results import EvaluatedPhotos
from segmodels.inference.presence import (
    CALIBRATION_FILE,
    Calibration,
    CalibrationError,
    ClassCalibration,
    PresenceJudgement,
    PresenceScores,
    ReliabilityBin,
    doubts,
    feature_names,
    features,
    read_calibration,
    write_calibration,
)
from segmodels.taxonomy import CFPD_23, OUTFIT_15

COUNT = len(feature_names(OUTFIT_15))
NAMES = [garment.name for garment in OUTFIT_15.worn]


def calibration(**weights: tuple[float, ...]) -> Calibration:
    """Log odds of -2 everywhere, but for the classes with weights."""
    rest = (0.0,) * COUNT
    return Calibration(
        taxonomy="OUTFIT_15",
        classes={
            name: ClassCalibration(intercept=-2.0, weights=weights.get(name, rest), share_error=0.01) for name in NAMES
        },
    )


def test_doubts_fall_with_the_square_below_a_half_and_leave_the_body_alone() -> None:
    presence = dict.fromkeys(NAMES, 1.0) | {"Coat": 0.5, "Dress": 0.25, "Hat": 0.05, "Pants": 0.1}
    cells = np.zeros((15, 4, 5))
    cells[OUTFIT_15["Skin"].id] = 0.9
    cells[OUTFIT_15["Dress"].id, 0, 0] = cells[OUTFIT_15["Pants"].id, 1, :2] = 0.95
    expected = np.ones(15, np.float32)
    expected[OUTFIT_15["Dress"].id], expected[OUTFIT_15["Hat"].id] = 0.25, 0.01  # pants are most of what is worn
    factors = doubts(presence, cells, OUTFIT_15)
    assert factors.dtype == np.float32 and factors == pytest.approx(expected)


def test_features_by_hand() -> None:
    # 10 x 10 cells: a quarter is class 2 with 0.8, the rest background with 0.9; class 1 has the remainder.
    probability = np.zeros((3, 10, 10))
    probability[:, :5, :5] = np.array([0.1, 0.1, 0.8])[:, None, None]
    probability[:, 5:, :] = probability[:, :5, 5:] = 0
    away = np.ones((10, 10), bool)
    away[:5, :5] = False
    probability[0, away], probability[1, away], probability[2, away] = 0.9, 0.06, 0.04
    found = features(probability, 0.75)
    assert found.shape == (3, 6 + 3 + 1)
    worn = 25 * 0.9 + 75 * 0.1
    odds = math.log(0.8 / 0.2)
    expected = [
        math.log(25 / 26 + 1e-3),
        0.8,
        odds,
        odds,
        odds,
        math.log((25 * 0.8 + 75 * 0.04) / (worn + 1) + 1e-3),
    ]
    assert found[2, :6] == pytest.approx(expected, rel=1e-5)
    assert found[1, 0] == pytest.approx(math.log(1e-3)) and found[1, 1] == 0  # nowhere the likeliest
    context = [math.log(0.9 / 0.1), math.log(0.1 / 0.9), odds, 0.75]
    assert found[:, 6:] == pytest.approx(np.tile(context, (3, 1)), rel=1e-5)


def test_features_of_certain_and_empty_maps_are_finite() -> None:
    certain = np.zeros((15, 4, 4))
    certain[0] = 1
    assert np.isfinite(features(certain, 0.0)).all()
    certain[0], certain[5] = 0, 1
    assert np.isfinite(features(certain, 0.0)).all()


def test_presence_is_the_logistic_function_of_the_features() -> None:
    weights = (0.5, *(0.0,) * (COUNT - 1))
    found = np.zeros((15, COUNT))
    found[OUTFIT_15["Coat"].id, 0] = 6.0
    presence = calibration(Coat=weights).presence(found, OUTFIT_15)
    assert list(presence) == NAMES
    assert presence["Coat"] == pytest.approx(1 / (1 + math.exp(-1)))  # -2 + 0.5 * 6 = 1
    assert presence["Hat"] == pytest.approx(1 / (1 + math.exp(2)))
    found[OUTFIT_15["Coat"].id, 0] = 1e9
    assert calibration(Coat=weights).presence(found, OUTFIT_15)["Coat"] == pytest.approx(1)


def test_written_and_read_again(tmp_path: Path) -> None:
    scores = PresenceScores(share_error=0.02, f1=0.9, brier=0.05)
    judgement = PresenceJudgement(
        photos=EvaluatedPhotos(dataset="ccp", split="fold", fold=0, number=158),
        how="cross-validated",
        raw=replace(scores, f1=0.8),
        calibrated=scores,
        framing="bust",
        reliability=(ReliabilityBin(predicted=0.05, observed=0.04, number=700),),
    )
    written = replace(calibration(Coat=(0.25,) * COUNT), fitted_on=(judgement,), correlations=((0.0,) * 12,) * 12)
    write_calibration(tmp_path, written)
    found = read_calibration(tmp_path, OUTFIT_15)
    assert found == written
    assert found.share_errors == dict.fromkeys(NAMES, 0.01)


def test_a_checkpoint_without_one_has_none(tmp_path: Path) -> None:
    assert read_calibration(tmp_path, OUTFIT_15) is None


def _drop(values: dict[str, Any]) -> None:
    del values["classes"]["Hat"]


def _short(values: dict[str, Any]) -> None:
    values["classes"]["Hat"]["weights"].pop()


def _infinite(values: dict[str, Any]) -> None:
    values["classes"]["Hat"]["intercept"] = math.nan


def _text(values: dict[str, Any]) -> None:
    values["classes"]["Hat"]["share_error"] = "small"


def _one_row(values: dict[str, Any]) -> None:
    values["correlations"] = [[0.0] * len(NAMES)]


def _huge(values: dict[str, Any]) -> None:
    values["classes"]["Hat"]["weights"] = [1e308, -1e308] * (COUNT // 2)


def _digits(values: dict[str, Any]) -> None:
    values["classes"]["Hat"]["intercept"] = "1.5"


def _yes(values: dict[str, Any]) -> None:
    values["classes"]["Hat"]["share_error"] = True


def _unknown(values: dict[str, Any]) -> None:
    values["correlations"] = [[math.nan] * len(NAMES)] * len(NAMES)


def _one_way(values: dict[str, Any]) -> None:
    values["correlations"] = [[0.0] * len(NAMES) for _ in NAMES]
    values["correlations"][0][1] = 0.5


def _itself(values: dict[str, Any]) -> None:
    values["correlations"] = np.eye(len(NAMES)).tolist()


def _newer(values: dict[str, Any]) -> None:
    values["version"] = 9


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_drop, "not a calibration of the classes of OUTFIT_15"),
        (_short, f"Hat has not {COUNT} weights"),
        (_infinite, "classes.Hat.intercept"),
        (_text, "classes.Hat.share_error"),
        (_one_row, "correlations are not 12 rows of 12"),
        (_huge, "classes.Hat.weights.0"),
        (_digits, "classes.Hat.intercept"),
        (_yes, "classes.Hat.share_error"),
        (_unknown, "correlations.0.0"),
        (_one_way, "correlations are not symmetric with a diagonal of 0"),
        (_itself, "correlations are not symmetric with a diagonal of 0"),
        (_newer, "is of version 9; this Garmentscope reads 1"),
    ],
)
def test_a_file_that_cannot_be_used_is_a_sentence(tmp_path: Path, change: Any, words: str) -> None:
    write_calibration(tmp_path, calibration())
    path = tmp_path / CALIBRATION_FILE
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    with pytest.raises(CalibrationError) as caught:
        read_calibration(tmp_path, OUTFIT_15)
    assert words in str(caught.value) and str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["", "[]", "{", "\udcff", '{"version": ' + "9" * 5000 + "}"])
def test_a_damaged_file_is_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / CALIBRATION_FILE).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(CalibrationError, match="is damaged"):
        read_calibration(tmp_path, OUTFIT_15)


def test_a_folder_or_a_link_to_nothing_is_not_taken_for_no_calibration(tmp_path: Path) -> None:
    path = tmp_path / CALIBRATION_FILE
    path.mkdir()
    with pytest.raises(CalibrationError, match="is damaged"):
        read_calibration(tmp_path, OUTFIT_15)
    path.rmdir()
    path.symlink_to(tmp_path / "gone.json")
    with pytest.raises(CalibrationError, match="is damaged"):
        read_calibration(tmp_path, OUTFIT_15)


def test_another_taxonomy_is_refused(tmp_path: Path) -> None:
    write_calibration(tmp_path, calibration())
    with pytest.raises(CalibrationError, match=CFPD_23.name):
        read_calibration(tmp_path, CFPD_23)


def test_reading_one_needs_no_torch() -> None:
    code = "import sys, segmodels.inference.presence; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
