from typing import get_args

import pytest

from dashboard.compare.agreement import Agreement
from dashboard.figures import Theme, agreement_figure, scores_figure
from segmodels.evaluation.metrics import ConfusionMatrix
from segmodels.taxonomy import OUTFIT_15

NOTHING: dict[str, float | None] = dict.fromkeys(OUTFIT_15.names)


def agreement(first: str, second: str, **iou: float) -> Agreement:
    return Agreement(first, second, 0.9, 0.5, NOTHING | iou)


def numbers(figure: object) -> dict[tuple[int, str], str]:
    return {(each.x, each.y): each.text for each in figure.layout.annotations}  # type: ignore[attr-defined]


@pytest.mark.parametrize("theme", get_args(Theme))
def test_pairs_stand_across_and_classes_down_in_their_one_order(theme: Theme) -> None:
    pairs = [agreement("fpn", "unet", Shirt=0.4, Coat=0.91), agreement("fpn", "fcn", Coat=0.0)]
    figure = agreement_figure(pairs, OUTFIT_15, theme)
    assert list(figure.data[0].y) == ["Mean", "Coat", "Shirt"]
    assert list(figure.layout.xaxis.ticktext) == ["fpn<br>unet", "fpn<br>fcn"]
    assert numbers(figure)[0, "Coat"] == "0.91"
    assert numbers(figure)[1, "Coat"] == "0.00"
    assert numbers(figure)[1, "Shirt"] == "–"
    assert (figure.data[0].zmin, figure.data[0].zmax) == (0, 1)


@pytest.mark.parametrize("theme", get_args(Theme))
def test_numbers_stand_out_from_their_cells(theme: Theme) -> None:
    values = [index / 20 for index in range(21)]
    figure = agreement_figure([agreement("a", str(value), Coat=value) for value in values], OUTFIT_15, theme)
    scale = figure.data[0].colorscale
    for each in figure.layout.annotations:
        if each.y == "Coat":
            cell = scale[round(values[each.x] * 9)][1]
            assert contrast(cell, each.font.color) >= 3.9, f"{each.text} on {cell}"


def contrast(first: str, second: str) -> float:
    """Of two colours, after WCAG 2.1."""

    def luminance(colour: str) -> float:
        parts = [value / 255 for value in bytes.fromhex(colour[1:])]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(first), luminance(second)))
    return (high + 0.05) / (low + 0.05)


def test_scores_stand_by_model() -> None:
    matrix = ConfusionMatrix(OUTFIT_15.names)
    matrix.counts[0, 0], matrix.counts[2, 2], matrix.counts[2, 0] = 90, 5, 5
    figure = scores_figure({"fpn": matrix.scores()}, OUTFIT_15, "light")
    assert list(figure.data[0].y) == ["Mean", "Coat", "Background"]
    assert numbers(figure)[0, "Coat"] == "0.50"


def test_long_names_stand_upright_and_short_ones_do_not() -> None:
    short = agreement_figure([agreement("fpn", "unet")], OUTFIT_15, "light")
    long = agreement_figure([agreement("atrous_resnet50", f"unet_classic_{i}") for i in range(6)], OUTFIT_15, "light")
    assert (short.layout.xaxis.tickangle, long.layout.xaxis.tickangle) == (0, -90)
    assert long.layout.height > short.layout.height
