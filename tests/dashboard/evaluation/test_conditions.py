from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest
from scored import LABEL, PHOTOS, evaluation, judged, write_model
from streamlit.testing.v1 import AppTest
from streamlit_page import opened

from dashboard.evaluation.conditions import LABELS, conditions_caption, conditions_of, conditions_table
from dashboard.evaluation.records import Model, read_model
from dashboard.figures import Theme, condition_figure
from segmodels.evaluation.results import ConditionScore, EvaluatedPhotos, to_json
from train.analysis.framing import FRAMINGS
from train.analysis.shift import SHIFTS

PAGE = Path(__file__).parents[3] / "dashboard" / "app_pages" / "evaluation.py"


def condition(kind: str, score: Any, photos: EvaluatedPhotos = PHOTOS, **which: Any) -> dict[str, Any]:
    """An entry of metrics.json, as `train evaluate --framing ... --keep` writes it."""
    return to_json(ConditionScore(kind=kind, photos=photos, scores={"score": score}, **which))


CONDITIONS = [
    condition("wild", 0.5, EvaluatedPhotos(dataset="wild", number=38)),
    condition("framing", 0.3, framing="bust"),
    condition("framing", 0.9, replace(PHOTOS, ids_file="other.txt"), framing="bust"),
    condition("framing", 0.2, framing="bust", shift="grey"),
    condition("whole", 0.6),
]


@pytest.fixture
def model(tmp_path: Path) -> Model:
    metrics = {"evaluations": [evaluation(judged(1))], "conditions": CONDITIONS}
    return read_model("m", write_model(tmp_path / "models" / "m", metrics))


def test_every_framing_and_shift_has_a_name_for_people() -> None:
    assert set(FRAMINGS) | set(SHIFTS) <= set(LABELS)


def test_those_of_the_same_photos_in_the_pages_order(model: Model) -> None:
    assert [(each.name, each.score) for each in conditions_of(model, LABEL)] == [
        ("full", 0.6),
        ("bust", 0.3),
        ("photos of other kinds", 0.5),
        ("bust, grey", 0.2),
    ]
    table = conditions_table([model], LABEL)
    assert table["photos"].tolist() == ["Whole outfit", "Bust", "Other kinds of photo", "Bust, grey"]
    assert table["measured_on"].tolist()[2] == "photos of other kinds (38 photos)"


def test_the_caption_explains_only_scores_that_are_there(model: Model) -> None:
    said = conditions_caption([model], LABEL)
    assert "cropped to a part" in said and "Other kinds of photo: micro F1" in said and "Flat-lays" not in said
    elsewhere = conditions_caption([model], "other photos")
    assert elsewhere == "Other kinds of photo: micro F1 of the classes that the main person wears."


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"kind": "framing", "framing": "bust", "photos": to_json(PHOTOS)}, "'scores' is missing"),
        (condition("framing", "good", framing="bust"), "good should be a number"),
        (7, "int"),
    ],
)
def test_what_cannot_be_read_is_a_sentence_and_the_rest_stays(tmp_path: Path, entry: Any, reason: str) -> None:
    model = read_model("m", write_model(tmp_path / "m", {"conditions": [entry, *CONDITIONS]}))
    assert len(model.conditions) == len(CONDITIONS)
    (sentence,) = model.sentences
    assert sentence.startswith("m: condition 1 in metrics.json cannot be used (") and reason in sentence


def test_a_kind_of_a_later_version_is_left_out(tmp_path: Path) -> None:
    model = read_model("m", write_model(tmp_path / "m", {"conditions": [condition("weather", 0.5, shift="rain")]}))
    assert model.conditions == () and not model.sentences


@pytest.mark.parametrize("theme", get_args(Theme))
def test_a_bar_for_each_condition_and_model(model: Model, tmp_path: Path, theme: Theme) -> None:
    other = read_model(
        "other", write_model(tmp_path / "other", {"conditions": [condition("whole", 0.4, shift="blur")]})
    )
    without = read_model("without", write_model(tmp_path / "without", {}))
    figure = condition_figure([without, model, other], LABEL, theme)
    assert [bars.name for bars in figure.data] == ["m", "other"]
    names = ["Whole outfit", "Bust", "Blurred", "Other kinds of photo", "Bust, grey"]
    assert list(figure.data[0].y) == names
    assert list(figure.data[0].x) == [0.6, 0.3, None, 0.5, 0.2]
    assert list(figure.data[1].x) == [None, None, 0.4, None, None]
    assert figure.data[0].marker.color != figure.data[1].marker.color
    assert figure.data[1].customdata[2] == f"mean IoU, {LABEL}"


@pytest.mark.usefixtures("only_fpn")
def test_the_page_says_what_is_not_measured(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_model(tmp_path / "models" / "plain", {"evaluations": [evaluation(judged(2))]}, judged(2))
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(tmp_path / "models"))
    page = AppTest.from_file(str(PAGE), default_timeout=60)
    opened(page, models="m,plain", on=LABEL)
    assert "Robustness to framing, light and kind of photo" in [each.label for each in page.expander]
    assert "Not measured: plain." in [each.value.replace("\\", "") for each in page.caption]
