from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from scored import judged

from dashboard.evaluation.confusion import Cell, view_matrix
from dashboard.evaluation.ranking import COLUMNS, COSTS, Standing, rank, references
from dashboard.evaluation.records import photo_sets, read_model
from dashboard.figures import Theme, class_figure, confusion_figure, cost_figure, curve_figure, series
from dashboard.figures.evaluation import spread_labels
from segmodels.evaluation.bootstrap import SCORES
from segmodels.evaluation.evidence import total
from segmodels.evaluation.papers import INACIO_TABLE_3
from segmodels.taxonomy import OUTFIT_15

THEMES = get_args(Theme)
COUNTS = total(judged(1), OUTFIT_15).counts
WORSE = total(judged(3), OUTFIT_15).counts


@pytest.fixture
def standings(scored_models: Path) -> list[Standing]:
    models = [read_model(path.name, path) for path in sorted(scored_models.iterdir())]
    return rank(models, photo_sets(models)[0], {})


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("score", SCORES)
def test_a_point_for_each_model_and_a_line_for_each_number_of_a_paper(
    standings: list[Standing], score: str, theme: Theme
) -> None:
    lines = references(score)
    figure = cost_figure(standings, score, "parameters", theme, ["blunt"], lines)
    points = {trace.name: (trace.x[0], trace.y[0]) for trace in figure.data}
    assert points == {row.model.name: (row.model.parameters / 1e6, row.value(score)) for row in standings}  # type: ignore[operator]
    assert sorted(shape.y0 for shape in figure.layout.shapes) == sorted(line.value for line in lines)
    text = " ".join(each.text for each in figure.layout.annotations)
    assert all(f"{line.value:.3f}" in text for line in lines)
    low, high = figure.layout.yaxis.range
    assert all(low < value < high for value in [*(y for _, y in points.values()), *(line.value for line in lines)])
    symbols = {trace.name: trace.marker.symbol for trace in figure.data}
    assert symbols == {"sharp": "circle-open", "old": "circle-open", "blunt": series(0, theme).symbol}
    assert figure.layout.xaxis.title.text == COLUMNS["parameters"].axis and "millions" in COLUMNS["parameters"].axis


def test_a_model_of_unknown_cost_has_no_point(standings: list[Standing]) -> None:
    figure = cost_figure(standings, "mean_iou", "seconds", "light")
    assert {trace.name for trace in figure.data} == {"sharp", "blunt"}
    for cost in COSTS:
        assert "(" in COLUMNS[cost].axis, "a unit"
    assert not cost_figure([], "mean_iou", "seconds", "light").data


def test_labels_keep_apart_on_a_phone() -> None:
    """Six decoders of about one size and score: the hardest that is to come."""
    generator = np.random.default_rng(1)
    names = ["fpn", "unet", "linknet", "pspnet", "fcn", "atrous", "densenet", "segnet", "unet_classic"]
    crowd = [(0.25 + 0.2 * generator.random(), 0.3 + 0.5 * generator.random()) for _ in names]
    places = spread_labels(crowd, names, [(0.9, "Inácio fpn 0.657")])
    assert len(places) == len(names) and len(set(places)) > 2
    assert spread_labels([(0.5, 0.5), (0.5, 0.54)], ["one", "other"]) == ["bottom center", "top center"]
    places = spread_labels([(0.31, 0.41), (0.43, 0.41), (0.38, 0.41)], ["a_long_name"] * 3)
    assert places == ["bottom left", "bottom center", "top center"], "the first gives way to the last"
    (edge,) = spread_labels([(0.99, 0.5)], ["a_long_name"])
    assert "left" in edge


@pytest.mark.parametrize("theme", THEMES)
def test_bars_by_class_sorted_by_their_mean(standings: list[Standing], theme: Theme) -> None:
    figure = class_figure(standings, "iou", OUTFIT_15, {"Coat": 8}, theme)
    assert [trace.name for trace in figure.data] == ["sharp", "old", "blunt"]
    sharp = dict(zip(figure.data[0].y, figure.data[0].x, strict=True))
    scores = standings[0].measurement.scores.classes
    assert sharp == {name: scores[name].iou for name in sharp} and "Hat" not in sharp
    means = [np.mean([trace.x[place] for trace in figure.data]) for place in range(len(sharp))]
    assert means == sorted(means, reverse=True)
    assert figure.layout.xaxis.range[0] == 0 and figure.layout.xaxis.title.text == "IoU"
    coat = list(figure.data[0].y).index("Coat")
    assert "4,000 pixels in the ground truth in 8 photos" in figure.data[0].customdata[coat]
    assert len({trace.marker.color for trace in figure.data}) == 3


def test_a_model_keeps_its_ink_where_another_has_no_scores(standings: list[Standing]) -> None:
    chosen = ["gone", "blunt", "sharp", "old"]
    bars = class_figure([standings[2], standings[0]], "iou", OUTFIT_15, {}, "light", chosen).data
    points = {
        trace.name: trace.marker.color
        for trace in cost_figure(standings, "mean_iou", "parameters", "light", chosen).data
    }
    assert {trace.name: trace.marker.color for trace in bars} == {"blunt": "#B4691F", "sharp": "#5E8FB8"}
    assert points == {"blunt": "#B4691F", "sharp": "#5E8FB8", "old": "#8A8984"}


def test_the_papers_classes_stand_only_beside_scores_on_the_same_photos(standings: list[Standing]) -> None:
    assert len(class_figure(standings, "f1", OUTFIT_15, {}, "light").data) == 3
    ticks = class_figure(standings, "f1", OUTFIT_15, {}, "light", printed=True).data[-1]
    assert ticks.name == "Inácio fpn"
    assert dict(zip(ticks.y, ticks.x, strict=True))["Coat"] == INACIO_TABLE_3["Coat"].f1


def test_curves_mark_the_epoch_that_was_kept(standings: list[Standing]) -> None:
    figure = curve_figure([row.model for row in standings], "mean_iou", "light")
    assert [trace.name for trace in figure.data] == ["sharp", "blunt"], "old has no curve"
    assert list(figure.data[0].y) == [0.3, 0.5, 0.4]
    assert [size > 0 for size in figure.data[0].marker.size] == [False, True, False]
    assert figure.data[0].line.dash != figure.data[1].line.dash
    assert (figure.layout.xaxis.title.text, figure.layout.yaxis.title.text) == ("Epoch", "Mean IoU on crops")


def markers(figure: Any) -> Any:
    return next(trace for trace in figure.data if trace.type == "scatter")


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("unit", ["row", "column", "pixels"])
@pytest.mark.parametrize("other", [None, WORSE], ids=["one", "difference"])
def test_each_cell_has_a_marker_that_can_be_clicked(unit: Any, other: Any, theme: Theme) -> None:
    view = view_matrix(COUNTS, OUTFIT_15, unit, OUTFIT_15.names, other)
    figure = confusion_figure(view, theme, Cell("Coat", "Shirt"))
    heat, over = figure.data[0], markers(figure)
    assert len(over.x) == 15 * 15 and over.hoverinfo != "skip"
    for x, y, names, text in zip(over.x, over.y, over.customdata, over.text, strict=True):
        assert (view.names[y], view.names[x]) == tuple(names)
        assert view.text(Cell(*names)) in text
    assert list(figure.layout.xaxis.ticktext) == list(figure.layout.yaxis.ticktext) == list(view.names)
    assert figure.layout.xaxis.title.text == "Prediction" and figure.layout.yaxis.title.text == "Truth"
    assert figure.layout.xaxis.tickangle == -90 and figure.layout.yaxis.range[0] > figure.layout.yaxis.range[1]
    assert heat.zmin == (0 if other is None else -heat.zmax)
    frame, inner = figure.layout.shapes
    assert frame.line.color != inner.line.color
    assert (view.names[int(frame.y0 + 0.5)], view.names[int(frame.x0 + 0.5)]) == ("Coat", "Shirt")


def test_numbers_in_the_cells() -> None:
    figure = confusion_figure(view_matrix(COUNTS, OUTFIT_15, "row", ("Coat", "Shirt", "Pants")), "light")
    shown = {(each.y, each.x): each.text for each in figure.layout.annotations}
    assert shown == {(0, 0): "82", (0, 1): "18", (2, 2): "100"}
    figure = confusion_figure(view_matrix(COUNTS, OUTFIT_15, "pixels", ("Coat", "Shirt")), "light")
    assert {each.text for each in figure.layout.annotations} == {"3.3k", "720"}
    figure = confusion_figure(view_matrix(COUNTS, OUTFIT_15, "row", ("Coat", "Shirt"), WORSE), "light")
    assert {each.text[0] for each in figure.layout.annotations} == {"+", "−"}
