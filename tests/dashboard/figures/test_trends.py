"""Lines and points of the Trends page: factors of 0, and lines in colours of garments."""

import json
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import Page
from plotly.offline import get_plotlyjs

from dashboard.figures import Theme, series
from dashboard.figures.theme import COLOURS, contrast
from dashboard.figures.together import network_figure, pair_matrix
from dashboard.figures.trends import interval_figure, line_figure, share_figure
from dashboard.trends.coloured import hexes

LIGHT = series(0, "light").ink


def over_time(*values: tuple[float, float, float], name: str = "pair") -> pd.DataFrame:
    table = pd.DataFrame(values, columns=["value", "low", "high"])
    return table.assign(
        name=name, start=pd.date_range("2023-01-01", periods=len(values), freq="MS"), hover="h", code="c"
    )


def ticks(axis: object) -> dict[float, str]:
    return dict(zip(axis.tickvals, axis.ticktext, strict=True))  # type: ignore[attr-defined]


def test_a_lift_of_0_stands_at_0_and_not_at_a_64th() -> None:
    rows = over_time((0, 2e-19, 0.9), (0.4, 0.2, 0.8), (1.2, 1, 1.5), (np.nan, np.nan, np.nan))
    figure = line_figure(rows, {"pair": (LIGHT, "solid")}, "light", axis="Lift", factor=True)
    line = next(trace for trace in figure.data if trace.name == "pair")
    at = ticks(figure.layout.yaxis)
    assert [at.get(value) for value in line.y] == ["0", None, None] and list(line.y[1:]) == [0.4, 1.2]
    assert at[0.125] == "1/8" and "1/64" not in at.values()
    low, high = figure.layout.yaxis.range
    assert low < np.log10(line.y[0]) < np.log10(0.125) and high > np.log10(1.5)
    band = figure.data[0]
    assert at[min(band.y)] == "0", "its interval begins there too"


def test_factors_without_0_have_no_step_for_it() -> None:
    rows = over_time((0.5, 0.4, 0.9), (8, 4, 16))
    figure = line_figure(rows, {"pair": (LIGHT, "solid")}, "light", axis="Lift", factor=True)
    at = ticks(figure.layout.yaxis)
    assert at == {0.25: "1/4", 0.5: "1/2", 1: "1", 2: "2", 4: "4", 8: "8", 16: "16"}


def test_factors_beyond_the_axis_stand_on_steps_that_say_so() -> None:
    rows = over_time((1 / 200, 0, 0.1), (0.5, 0.2, 0.8), (100, 60, np.inf)).assign(significant=True, name=list("abc"))
    figure = interval_figure(rows, "light", axis="Lift")
    points, at = figure.data[0], ticks(figure.layout.xaxis)
    assert [at.get(value) for value in points.x] == ["0–1/64", None, ">64"]
    ends = points.x + points.error_x.array
    assert at[ends[2]] == ">64" and ends[1] == pytest.approx(0.8)
    assert at[points.x[0] - points.error_x.arrayminus[0]] == "0–1/64"
    assert list(at.values()) == ["0–1/64", "1/16", "1/4", "1", "4", "16", ">64"], "no two labels touch"
    assert at[1 / 16] == "1/16" and at[16] == "16"


def test_differences_are_marked_in_points() -> None:
    rows = over_time((0.1, -0.3, 0.2), (-0.01, -0.02, 0.0)).assign(significant=True, name=list("ab"))
    axis = interval_figure(rows, "light", axis="Difference (points)", factor=False).layout.xaxis
    assert list(axis.ticktext) == ["−20", "0", "+20"] and list(axis.tickvals) == pytest.approx([-0.2, 0, 0.2])
    whole = interval_figure(rows.assign(low=-1.0), "light", axis="Difference (points)", factor=False).layout.xaxis
    assert list(whole.ticktext) == ["−100", "−50", "0", "+50", "+100"]


def test_the_colour_of_0_in_a_matrix_is_that_of_a_quarter_and_says_so() -> None:
    lifts = [0, 0.1, 0.25, 1, 9]
    rows = pd.DataFrame({"first": "a", "second": list("vwxyz"), "value": lifts, "text": ["0", "0.1", "0.3", "1", "9"]})
    rows = rows.assign(significant=True, hover="h", code=list("vwxyz"))
    heat = pair_matrix(rows, ["a"], list("vwxyz"), "light", scale="factor", title="Lift").data[0]
    assert list(heat.z[0]) == [-2, -2, -2, 0, 2] and (heat.zmin, heat.zmax) == (-2, 2)
    assert dict(zip(heat.colorbar.tickvals, heat.colorbar.ticktext, strict=True)) == {
        **{-2: "0–1/4", -1: "1/2", 0: "1", 1: "2", 2: "≥4"}
    }


def test_an_edge_of_a_pair_that_is_never_together_has_a_cross() -> None:
    rows = pd.DataFrame(
        {"first": "Coat", "second": ["Hat", "Bag"], "lift": [0.0, 2.0], "hover": "h", "code": ["0", "2"]}
    )
    worn, inks = dict.fromkeys(("Coat", "Hat", "Bag"), 0.5), dict.fromkeys(("Coat", "Hat", "Bag"), "#A19604")
    figure = network_figure(rows, worn, inks, "light")
    edges = next(trace for trace in figure.data if trace.name == "edges")
    assert dict(zip(edges.customdata, edges.marker.symbol, strict=True)) == {"0": "x", "2": "circle"}
    assert [trace.line.dash for trace in figure.data if trace.mode == "lines"] == ["dot", "solid"]


@pytest.mark.parametrize("theme", get_args(Theme))
@pytest.mark.parametrize("colour", hexes(fine=False))
def test_a_line_in_the_colour_of_the_ground_has_an_outline(colour: str, theme: Theme) -> None:
    ink, ground = hexes(fine=False)[colour], COLOURS[theme]["ground"]
    figure = line_figure(
        over_time((0.4, 0.3, 0.5), (0.5, 0.4, 0.6), name=colour), {colour: (ink, "dash")}, theme, axis=""
    )
    lines = [trace for trace in figure.data if trace.fill is None]
    assert lines[-1].name == colour and lines[-1].line.color == lines[-1].marker.color == ink
    outlined = len(lines) == 2
    assert outlined == (contrast(ink, ground) < 3)
    if outlined:
        below = lines[0]
        assert contrast(below.line.color, ground) > 3 and below.line.width > lines[1].line.width
        assert below.line.dash == lines[1].line.dash and below.showlegend is False
        assert lines[1].marker.line.width and contrast(lines[1].marker.line.color, ground) > 3, "seen in the legend"


def test_which_colours_need_an_outline() -> None:
    """Contrast after WCAG: white on white 1, black on the dark ground 1.1, gray on white 3.9, red on white 5.3."""

    def outlined(colour: str, theme: Theme) -> bool:
        rows = over_time((0.4, 0.3, 0.5), (0.5, 0.4, 0.6), name=colour)
        figure = line_figure(rows, {colour: (hexes(fine=False)[colour], "solid")}, theme, axis="")
        return len(figure.data) == 3

    assert [outlined(name, "light") for name in ("white", "black", "gray", "red")] == [True, False, False, False]
    assert [outlined(name, "dark") for name in ("white", "black", "gray", "red")] == [False, True, False, False]


@pytest.mark.parametrize(
    ("first", "periods", "freq", "shown"),  # a year stands in a line of its own
    [
        ("2012-01-01", 42, "MS", ["2012", "2013", "2014", "2015"]),
        ("2014-01-01", 6, "MS", ["Jan2014", "Feb", "Mar", "Apr", "May", "Jun"]),
        ("2013-01-01", 8, "QS", ["Jan2013", "Jul", "Jan2014", "Jul"]),
        ("2014-03-03", 20, "W-MON", ["3 Mar2014", "31 Mar", "28 Apr", "26 May", "23 Jun"]),
        ("2014-03-03", 4, "W-MON", ["3 Mar2014", "10 Mar", "17 Mar", "24 Mar"]),
    ],
)
def test_dates_stand_upright_on_a_phone(page: Page, first: str, periods: int, freq: str, shown: list[str]) -> None:
    rows = over_time(*[(0.5, 0.4, 0.6)] * periods).assign(start=pd.date_range(first, periods=periods, freq=freq))
    figure = line_figure(rows, {"pair": (LIGHT, "solid")}, "light", axis="Share").update_layout(width=330)
    page.set_content('<div id="chart"></div>')
    page.add_script_tag(content=get_plotlyjs())
    page.evaluate("figure => Plotly.newPlot('chart', figure)", json.loads(figure.to_json()))
    labels = page.locator(".xtick text")
    assert labels.all_text_contents() == shown
    assert not any("rotate(" in html for html in labels.evaluate_all("all => all.map(each => each.outerHTML)"))


def test_two_groups_stand_on_their_own_rows_however_these_are_numbered() -> None:
    rows = pd.DataFrame({"name": list("abc"), "share": 0.5, "low": 0.4, "high": 0.6, "hover": "h", "code": "c"})
    rows = rows.assign(other_share=[0.1, 0.2, 0.3], other_low=0.05, other_high=0.4, significant=[True, False, True])
    inks = dict.fromkeys("abc", "#A19604")
    rows = rows.set_index(pd.Index([7, 3, 5]))
    filled, hollow = share_figure(rows, inks, "light", axis="Share", one="now", other="before").data[:2]
    assert list(filled.x) == [0.5] * 3 and list(hollow.x) == [0.1, 0.2, 0.3]
    assert [round(place) for place in filled.y] == [round(place) for place in hollow.y] == [0, 1, 2]
    assert all(filled.y < hollow.y) and list(hollow.error_x.arrayminus) == pytest.approx([0.05, 0.15, 0.25])
    assert list(filled.marker.opacity) == [1, 0.3, 1], "pale where the difference is not significant"


def test_a_cell_is_pale_until_its_pair_is_significant() -> None:
    rows = pd.DataFrame({"first": list("ab"), "second": list("cc"), "value": 4.0, "text": "4", "hover": "", "code": ""})
    figure = pair_matrix(rows.assign(significant=[True, False]), list("ab"), ["c"], "light", scale="factor", title="")
    assert figure.data[0].z.ravel().tolist() == pytest.approx([2, 0.24])
    counted = pair_matrix(rows.assign(significant=[True, False]), list("ab"), ["c"], "light", scale="count", title="")
    assert counted.data[0].z.ravel().tolist() == [2, 2], "a count is no claim"
