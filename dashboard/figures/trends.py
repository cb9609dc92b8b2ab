"""The figures of the Trends page: shares, movements, palettes. Points carry in `customdata` the code of a `Behind`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from dashboard.figures.theme import COLOURS, Theme, contrast, template

__all__ = ["forecast_figure", "interval_figure", "line_figure", "palette_figure", "panels_figure", "share_figure"]

_ROW = 30  # pixels
_PANEL_ROW = 20
_ACROSS = 3  # panels
_KEPT = {"selected": {"marker": {"opacity": 1}}, "unselected": {"marker": {"opacity": 1}}}
_PALE = 0.3  # opacity of what is not significant
_POWER = 6  # a logarithmic axis reaches from 1/2**_POWER to 2**_POWER at most
_MOST_TICKS = 8  # beyond which every second one is left out
_ZERO = 1e-9  # factor that rounding made of 0
_SEEN_FROM = 3.0  # contrast with the ground below which a line has an outline
_DAY = 24 * 3600 * 1000  # ms
_MOST_WEEKS = 24  # beyond which months are labelled
_TICKS = [  # short labels, which stand upright on a phone; the year is in a line below, where it begins
    {"dtickrange": [None, 28 * _DAY], "value": "%-d %b\n%Y"},
    {"dtickrange": ["M1", "M6"], "value": "%b\n%Y"},
    {"dtickrange": ["M12", None], "value": "%Y"},
]
_DASHES = {"solid": "solid", "dash": "9px,9px", "dot": "3px,3px", "dashdot": "9px,3px,3px,3px", "longdash": "15px,15px"}
"""plotly's dashes in pixels, as it draws them in lines of 2 pixels; an outline needs the same."""


def share_figure(
    rows: pd.DataFrame,
    inks: Mapping[str, str],
    theme: Theme,
    *,
    axis: str,
    notes: Mapping[str, str] | None = None,
    one: str = "",
    other: str = "",
) -> go.Figure:
    """Bars from 0 with their intervals, the first row on top.

    Args:
        rows: `name`, `share`, `low`, `high` (NaN: a dash), `hover`, `code`; with `other` also `other_share`,
            `other_low`, `other_high`, and `significant`: differences that are not are pale.
        inks: Colour by name.
        theme: Theme of the page.
        axis: Title of the axis.
        notes: A second line below a name.
        one: Name of the group whose bars are filled, in a comparison.
        other: Name of the group whose bars are hollow; empty for no comparison.
    """
    colours = COLOURS[theme]
    names = rows["name"].tolist()
    row_height = _ROW + 14 * bool(notes or other)
    figure = go.Figure()
    thickness, apart = 8 / row_height, 7 / row_height * bool(other)
    faint = [_PALE if other and not sure else 1.0 for sure in rows.get("significant", [True] * len(names))]
    _share_bars(figure, rows, inks, thickness, colours, place=-apart, opacities=faint)
    if other:
        second = rows.assign(share=rows["other_share"], low=rows["other_low"], high=rows["other_high"])
        _share_bars(figure, second, inks, thickness, colours, place=apart, opacities=faint, hollow=True)
        for name, fill, line, opacity in (
            (one, colours["mute"], colours["mute"], 1.0),
            (other, colours["ground"], colours["mute"], 1.0),
            ("pale: difference not significant", colours["mute"], colours["mute"], _PALE),
        ):
            marker = {"color": fill, "line": {"color": line, "width": 2}}
            figure.add_bar(x=[None], y=[None], name=name, marker=marker, opacity=opacity, hoverinfo="skip")
    lines = [
        f"{name}<br><span style='font-size:11px;color:{colours['mute']}'>{notes[name]}</span>"
        if notes and name in notes
        else name
        for name in names
    ]
    figure.update_yaxes(tickvals=list(range(len(names))), ticktext=lines, range=[len(names) - 0.5, -0.5])
    most = float(np.nanmax([*rows["high"].fillna(0), *rows.get("other_high", [0]), 0.01]))
    figure.update_xaxes(title=axis, range=[0, min(1.02, most * 1.06)], tickformat=".0%", showgrid=True, nticks=6)
    height = row_height * len(names) + 70 + 70 * bool(other)
    return _finished(figure, theme, height, legend=bool(other), hovermode="closest" if other else "y")


def _share_bars(
    figure: go.Figure,
    rows: pd.DataFrame,
    inks: Mapping[str, str],
    thickness: float,
    colours: Mapping[str, Any],
    *,
    place: float = 0.0,
    opacities: Sequence[float] = (),
    hollow: bool = False,
) -> None:
    """Bars with their intervals, `place` below the middle of their rows; a dash where no share is known."""
    names = rows["name"].tolist()
    known = rows["share"].notna().to_numpy()
    values = rows["share"].fillna(0).to_numpy(float)
    fills = [inks[name] for name in names]
    marker = {"color": fills, "line": {"color": colours["mute"], "width": 1}, "opacity": list(opacities) or 1}
    if hollow:
        marker |= {"color": colours["ground"], "line": {"color": fills, "width": 2}}
    figure.add_bar(
        x=values,
        y=np.arange(len(names)) + place,
        width=thickness,
        orientation="h",
        marker=marker,
        error_x={
            "type": "data",
            "symmetric": False,
            "array": np.where(known, rows["high"] - values, 0),
            "arrayminus": np.where(known, values - rows["low"], 0),
            "color": colours["ink"],
            "thickness": 1.5,
            "width": 4 if not place else 2,
        },
        customdata=rows["code"].tolist(),
        text=rows["hover"].tolist(),
        textposition="none",
        hovertemplate="%{text}<extra></extra>",
        showlegend=False,
        **({} if place else _KEPT),
    )
    for row in np.flatnonzero(~known):
        figure.add_annotation(x=0, y=int(row) + place, text="–", showarrow=False, xanchor="left")


def panels_figure(
    rows: pd.DataFrame, groups: Sequence[str], names: Sequence[str], inks: Mapping[str, str], theme: Theme
) -> go.Figure:
    """The bars of each group in a panel of its own, all to one scale; pale where groups do not differ significantly.

    Args:
        rows: `group`, `name`, `share`, `low`, `high`, `significant`, `hover`, `code`.
        groups: Groups, in the order of the panels.
        names: Names, from the top of each panel.
        inks: Colour by name.
        theme: Theme of the page.
    """
    colours = COLOURS[theme]
    across = min(_ACROSS, len(groups))
    down = -(-len(groups) // across)
    figure = make_subplots(
        down, across, shared_xaxes="all", shared_yaxes="all", subplot_titles=list(groups),
        horizontal_spacing=0.1 / max(1, across - 1), vertical_spacing=0.16 / down,
    )  # fmt: skip
    for place, group in enumerate(groups):
        part = rows[rows["group"] == group].set_index("name").reindex(list(names)).reset_index()
        bars = go.Figure()
        faint = [1.0 if sure else _PALE for sure in part["significant"]]
        _share_bars(bars, part, inks, 8 / _PANEL_ROW, colours, opacities=faint)
        figure.add_trace(bars.data[0], row=place // across + 1, col=place % across + 1)
    figure.update_annotations(font={"size": 13, "color": colours["ink"]})
    _finished(figure, theme, down * (_PANEL_ROW * len(names) + 48) + 40, legend=False, hovermode="closest")
    figure.update_yaxes(
        tickvals=list(range(len(names))), ticktext=list(names), range=[len(names) - 0.5, -0.5], tickfont_size=12
    )
    most = float(np.nanmax([*rows["high"], 0.01]))
    figure.update_xaxes(range=[0, min(1.02, most * 1.06)], tickformat=".0%", showgrid=True, nticks=4, tickfont_size=12)
    figure.update_xaxes(title="Share of outfits", row=down, col=(across + 1) // 2)
    figure.update_layout(margin={"t": 28})
    return figure


def interval_figure(rows: pd.DataFrame, theme: Theme, *, axis: str, factor: bool = True) -> go.Figure:
    """Points with intervals around "no effect", the first row on top; grey if not significant.

    Args:
        rows: `name`, `value`, `low`, `high`, `significant`, `hover`, `code`.
        theme: Theme of the page.
        axis: Title of the axis.
        factor: Whether values are factors about 1, on a logarithmic axis with a step for 0; differences of shares about
            0 otherwise, marked in percentage points.
    """
    colours = COLOURS[theme]
    numbers = rows[["value", "low", "high"]].to_numpy(float)
    places, ticks = _factor_places(numbers) if factor else (np.clip(numbers, -1, 1), {})
    values, low, high = places.T
    figure = go.Figure()
    for sure in (True, False):
        at = np.flatnonzero(rows["significant"].to_numpy(bool) == sure)
        ink = colours["series"][0] if sure else colours["mute"]
        figure.add_scatter(
            x=values[at],
            y=at,
            mode="markers",
            name="Significant" if sure else "Not significant",
            marker={"size": 10, "symbol": "circle" if sure else "circle-open", "color": ink},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": high[at] - values[at],
                "arrayminus": values[at] - low[at],
                "color": ink,
                "thickness": 1.5,
                "width": 4,
            },
            customdata=[rows["code"].iloc[place] for place in at],
            text=[rows["hover"].iloc[place] for place in at],
            hovertemplate="%{text}<extra></extra>",
            opacity=1 if sure else 0.7,
            **_KEPT,
        )
    figure.add_vline(1 if factor else 0, line={"color": colours["mute"], "width": 1, "dash": "dot"})
    figure.update_yaxes(tickvals=list(range(len(rows))), ticktext=rows["name"].tolist(), range=[len(rows) - 0.5, -0.5])
    if factor:
        figure.update_xaxes(title=axis, **ticks)
    else:
        reach = max(0.02, float(np.abs([*low, *high, 0.02]).max())) * 1.08
        figure.update_xaxes(title=axis, range=[-reach, reach], **_point_ticks(reach))
    figure.update_xaxes(showgrid=True)
    return _finished(figure, theme, _ROW * len(rows) + 110, legend=True, hovermode="y")


def line_figure(
    rows: pd.DataFrame, looks: Mapping[str, tuple[str, str]], theme: Theme, *, axis: str, factor: bool = False
) -> go.Figure:
    """Lines over time with their 95% bands; a line in nearly the colour of the ground has an outline.

    Args:
        rows: `name`, `start`, `value`, `low`, `high`, `hover`, `code`.
        looks: Ink and dash by name.
        theme: Theme of the page.
        axis: Title of the axis.
        factor: Whether values are factors, on a logarithmic axis with a step for 0.
    """
    colours = COLOURS[theme]
    figure = go.Figure()
    ticks: dict[str, Any] = {}
    if factor:
        places, ticks = _factor_places(rows[["value", "low", "high"]].to_numpy(float))
        rows = rows.assign(value=places[:, 0], low=places[:, 1], high=places[:, 2])
    for name, (ink, dash) in looks.items():
        part = rows[rows["name"] == name].dropna(subset=["value"])
        faint = contrast(ink, colours["ground"]) < _SEEN_FROM
        _band(figure, part, colours["mute"] if faint else ink)
        if faint:
            _draw_outline(figure, part, colours["mute"], _DASHES[dash])
        figure.add_scatter(
            x=part["start"],
            y=part["value"],
            mode="lines+markers",
            name=name,
            line={"color": ink, "width": 2, "dash": _DASHES[dash] if faint else dash},
            marker={"size": 6, "color": ink, "line": {"color": colours["mute"], "width": 1 if faint else 0}},
            customdata=part["code"].tolist(),
            text=part["hover"].tolist(),
            hovertemplate="%{text}<extra></extra>",
            **_KEPT,
        )
    if factor:
        figure.add_hline(1, line={"color": colours["mute"], "width": 1, "dash": "dot"})
        figure.update_yaxes(title=axis, **ticks)
    else:
        top = min(1.02, float(rows["high"].max()) * 1.06)
        figure.update_yaxes(title=axis, range=[0, top], tickformat=".0%", nticks=7)
    figure.update_yaxes(showgrid=True)
    _dates(figure, rows["start"])
    return _finished(figure, theme, 420 + 8 * len(looks), legend=len(looks) > 1, hovermode="closest")


def forecast_figure(past: pd.DataFrame, ahead: pd.DataFrame, ink: str, theme: Theme) -> go.Figure:
    """Past shares with their intervals, and the forecast with its band.

    Args:
        past: `start`, `share`, `low`, `high`, `hover`, `code`.
        ahead: `start`, `share`, `low`, `high`, `hover`.
        ink: Colour of the line.
        theme: Theme of the page.
    """
    figure = go.Figure()
    _band(figure, past.rename(columns={"share": "value"}), ink)
    figure.add_scatter(
        x=past["start"],
        y=past["share"],
        mode="lines+markers",
        name="Observed",
        line={"color": ink, "width": 2},
        marker={"size": 6},
        customdata=past["code"].tolist(),
        text=past["hover"].tolist(),
        hovertemplate="%{text}<extra></extra>",
        **_KEPT,
    )
    now = past["share"].iloc[-1]
    last = past.tail(1)[["start", "share", "hover"]].assign(low=now, high=now)
    joined = pd.concat([last, ahead], ignore_index=True)
    _band(figure, joined, ink)
    figure.add_scatter(
        x=joined["start"],
        y=joined["share"],
        mode="lines+markers",
        name="Forecast",
        line={"color": ink, "width": 2, "dash": "dot"},
        marker={"size": 6, "symbol": "circle-open"},
        text=joined["hover"].tolist(),
        hovertemplate="%{text}<extra></extra>",
        **_KEPT,
    )
    top = min(1.02, max(float(past["high"].max()), float(ahead["high"].max())) * 1.06)
    figure.update_yaxes(title="Share of outfits", range=[0, top], tickformat=".0%", nticks=7, showgrid=True)
    _dates(figure, pd.concat([past["start"], ahead["start"]]))
    return _finished(figure, theme, 430, legend=True, hovermode="closest")


def palette_figure(rows: pd.DataFrame, theme: Theme) -> go.Figure:
    """The main colours of each garment as one bar of 100%.

    Args:
        rows: `name`, `colour`, `share`, `hex`, `hover`, `code`; by garment, and within one in the order of the bar.
        theme: Theme of the page.
    """
    colours = COLOURS[theme]
    names = list(dict.fromkeys(rows["name"]))
    figure = go.Figure(
        go.Bar(
            x=rows["share"],
            y=[names.index(name) for name in rows["name"]],
            base=rows.groupby("name", sort=False)["share"].cumsum() - rows["share"],
            orientation="h",
            width=0.76,
            marker={"color": rows["hex"].tolist(), "line": {"color": colours["mute"], "width": 1}},
            customdata=rows["code"].tolist(),
            hovertext=rows["hover"].tolist(),
            hovertemplate="%{hovertext}<extra></extra>",
            text=rows["colour"].tolist(),
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            textfont={"size": 11, "color": [_on(colour) for colour in rows["hex"]]},
            **_KEPT,
        )
    )
    figure.update_yaxes(tickvals=list(range(len(names))), ticktext=names, range=[len(names) - 0.5, -0.5])
    figure.update_xaxes(title="Share of the garments, by main colour", range=[0, 1.001], tickformat=".0%", nticks=6)
    figure.update_layout(uniformtext={"minsize": 11, "mode": "hide"})  # a name that does not fit is in the legend
    return _finished(figure, theme, _ROW * len(names) + 70, legend=False, hovermode="closest")


def _on(colour: str) -> str:
    """Ink for text on a colour: black or white, whichever stands out more."""
    return max(("#000000", "#FFFFFF"), key=lambda ink: contrast(ink, colour))


def _band(figure: go.Figure, part: pd.DataFrame, ink: str) -> None:
    red, green, blue = bytes.fromhex(ink[1:])
    figure.add_scatter(
        x=[*part["start"], *part["start"][::-1]],
        y=[*part["high"], *part["low"][::-1]],
        fill="toself",
        fillcolor=f"rgba({red},{green},{blue},0.14)",
        line={"width": 0},
        mode="lines",
        hoverinfo="skip",
        showlegend=False,
    )


def _draw_outline(figure: go.Figure, part: pd.DataFrame, ink: str, dash: str) -> None:
    """A wider line, to lie below a line that would not stand out from the ground."""
    figure.add_scatter(
        x=part["start"],
        y=part["value"],
        mode="lines",
        line={"color": ink, "width": 4, "dash": dash},
        hoverinfo="skip",
        showlegend=False,
    )


def _point_ticks(reach: float) -> dict[str, Any]:
    """At most five marks of an axis of differences of shares, in percentage points; it ends at `reach`, below 1.5."""
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if reach < 3 * step)
    counts = range(-int(reach / step), int(reach / step) + 1)
    texts = [f"{100 * step * count:+.0f}".replace("-", "−") if count else "0" for count in counts]
    return {"tickvals": [step * count for count in counts], "ticktext": texts}


def _factor_places(factors: np.ndarray) -> tuple[np.ndarray, dict[str, Any]]:
    """Places of factors on a logarithmic axis, and the axis.

    A logarithm has no place for 0: it stands a step below the power of 2 below all other factors, labelled 0. Factors
    above 2**`_POWER` or below its reciprocal stand a step beyond these.

    Args:
        factors: Factors of any shape, 0 or more; NaN for none.

    Returns:
        Places of the same shape, and the properties of the axis.
    """
    factors = np.where(factors < _ZERO, 0.0, factors)
    known = factors[~np.isnan(factors)]
    inside = np.clip(known[known > 0], 2.0**-_POWER, 2.0**_POWER)
    lowest, highest = (
        int(end) for end in (np.floor(np.log2(min([*inside, 0.5]))), np.ceil(np.log2(max([*inside, 2]))))
    )
    least, most = 2.0**lowest, 2.0**highest
    places = np.where(factors < least, least / 2, np.where(factors > most, 2 * most, factors))
    step = 1 if highest - lowest <= _MOST_TICKS else 2
    powers = [power for power in range(lowest, highest + 1) if power % step == 0]
    marks = {2.0**power: f"{2**power}" if power >= 0 else f"1/{2**-power}" for power in powers}
    if (below := known[known < least]).size:
        marks[least / 2] = f"0–1/{2**-lowest}" if below.any() else "0"
        if step > 1:
            marks.pop(least, None)  # their labels would touch
    if (known > most).any():
        marks[2 * most] = f">{2**highest}"
        if step > 1:
            marks.pop(most, None)
    drawn = [*places[~np.isnan(places)], 0.5, 2]
    axis = {
        "type": "log",
        "range": np.log10([min(drawn) / 1.1, max(drawn) * 1.1]),
        "tickvals": sorted(marks),
        "ticktext": [marks[place] for place in sorted(marks)],
    }
    return places, axis


def _dates(figure: go.Figure, starts: pd.Series) -> None:
    first, last = pd.Timestamp(starts.min()), pd.Timestamp(starts.max())
    edge = max(pd.Timedelta(days=3), (last - first) * 0.02)
    ends = [first - edge, last + edge]
    figure.update_xaxes(title="First day of the period", range=ends, type="date", nticks=7, tickformatstops=_TICKS)
    weeks = (last - first).days / 7
    if 0 < weeks <= _MOST_WEEKS and weeks.is_integer() and set(starts.dt.day_of_week) == {first.day_of_week}:
        figure.update_xaxes(tick0=first, dtick=7 * _DAY * math.ceil(weeks / 6))  # plotly's own weeks begin on Sundays


def _finished(figure: go.Figure, theme: Theme, height: int, *, legend: bool, hovermode: str) -> go.Figure:
    above: dict[str, Any] = {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom", "font": {"size": 13}}
    figure.update_layout(
        template=template(theme),
        height=max(200, height),
        showlegend=legend,
        legend=above | {"itemclick": False, "itemdoubleclick": False},
        hovermode=hovermode,
        clickmode="event+select",
        dragmode=False,
    )
    return figure
