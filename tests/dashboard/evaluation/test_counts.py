from pathlib import Path

import pytest
from scored import evaluation, judged, write_model
from streamlit.testing.v1 import AppTest
from streamlit_page import opened

from dashboard.evaluation.counts import calibration_of, count_table, kind_of
from dashboard.evaluation.records import Model, read_model
from dashboard.figures import reliability_figure
from segmodels.evaluation.results import EvaluatedPhotos
from segmodels.inference.presence import (
    CALIBRATION_FILE,
    Calibration,
    ClassCalibration,
    PresenceJudgement,
    PresenceScores,
    ReliabilityBin,
    feature_names,
    write_calibration,
)
from segmodels.taxonomy import OUTFIT_15

PAGE = Path(__file__).parents[3] / "dashboard" / "app_pages" / "evaluation.py"


def judgement(dataset: str, framing: str = "full", how: str = "held out", off: float = 0.02) -> PresenceJudgement:
    return PresenceJudgement(
        photos=EvaluatedPhotos(dataset=dataset, split="test", number=90),
        how=how,  # type: ignore[arg-type]
        framing=framing,
        raw=PresenceScores(share_error=0.08, f1=0.8, brier=0.1),
        calibrated=PresenceScores(share_error=off, f1=0.9, brier=0.05),
        reliability=(
            ReliabilityBin(predicted=0.05, observed=0.04, number=700),
            ReliabilityBin(predicted=0.9, observed=0.95, number=300),
        ),
    )


def calibrated(folder: Path, *judged_on: PresenceJudgement, fitted_on: tuple[PresenceJudgement, ...] = ()) -> Model:
    folder = write_model(folder, {"evaluations": [evaluation(judged(1))]})
    weights = (0.0,) * len(feature_names(OUTFIT_15))
    one = ClassCalibration(intercept=0.0, weights=weights, share_error=0.01)
    classes = {garment.name: one for garment in OUTFIT_15.worn}
    write_calibration(
        folder, Calibration(taxonomy="OUTFIT_15", classes=classes, judged_on=judged_on, fitted_on=fitted_on)
    )
    return read_model(folder.name, folder)


def test_kinds_of_photo_have_the_pages_names(tmp_path: Path) -> None:
    model = calibrated(tmp_path / "m", judgement("ccp"), judgement("ccp", "bust"), judgement("flatlay"))
    calibration = calibration_of(model)
    assert calibration and [kind_of(each) for each in calibration.judgements] == ["Whole outfit", "Bust", "Flat-lays"]


def test_cross_validated_scores_stand_in_where_there_are_no_others(tmp_path: Path) -> None:
    own = judgement("ccp", how="cross-validated")
    calibration = calibration_of(calibrated(tmp_path / "m", fitted_on=(own,)))
    assert calibration and calibration.judgements == (own,)


def test_a_row_for_each_kind_and_way(tmp_path: Path) -> None:
    model = calibrated(tmp_path / "m", judgement("ccp"), fitted_on=(judgement("ccp", how="cross-validated", off=0.01),))
    table = count_table([model])
    assert table["how"].tolist() == ["held out", "cross-validated"] and table["share_error"].tolist() == [0.02, 0.01]
    assert (
        table["share_error_raw"].tolist() == [0.08, 0.08]
        and table["measured_on"].iloc[0] == "Clothing Co-Parsing, part test (90 photos)"
    )


def test_a_model_without_a_calibration_or_a_damaged_one_has_none(tmp_path: Path) -> None:
    model = calibrated(tmp_path / "m", judgement("ccp"))
    (model.folder / CALIBRATION_FILE).write_text("{")
    assert calibration_of(model) is None and count_table([model]).empty
    (model.folder / CALIBRATION_FILE).unlink()
    assert calibration_of(model) is None


def test_the_curve_has_a_line_for_each_kind(tmp_path: Path) -> None:
    figure = reliability_figure([judgement("ccp"), judgement("flatlay")], "light")
    diagonal, whole, flat = figure.data
    assert list(diagonal.x) == list(diagonal.y) == [0, 1]
    assert (whole.name, flat.name) == ("Whole outfit", "Flat-lays")
    assert list(whole.x) == [0.05, 0.9] and list(whole.y) == [0.04, 0.95] and list(whole.customdata) == [700, 300]
    assert whole.line.color != flat.line.color


def test_the_page_says_how_far_counts_are_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calibrated(tmp_path / "models" / "mine", judgement("ccp"))
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(tmp_path / "models"))
    page = opened(AppTest.from_file(str(PAGE), default_timeout=60), models="mine")
    said = " ".join(each.value for each in page.caption).replace("\\", "")
    assert "Counts of garments" in [each.label for each in page.expander]
    assert (
        "2.0 points off on average, without the calibration 8.0." in said
        and "Clothing Co-Parsing, part test (90 photos)" in said
    )
    assert not page.exception
