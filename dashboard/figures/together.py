"""The figures of what is worn together: a matrix of any names, and a network."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard.figures.theme import COLOURS, Theme, colour_scale, difference_scale, heat_map, lay_out_cells, template

__all__ = ["Scale", "network_figure", "pair_matrix"]

Scale = Literal["factor", "balance", "share", "count"]
"""Scale of the shades: log2 around 1, from 1/4 or less (0 too) to 4 or more; around 0; from 0; square root from 0."""

_PALE = 0.12  # of the distance from the middle of the scale
_KEPT = {"selected": {"marker": {"opacity": 0}}, "unselected": {"marker": {"opacity": 0}}}


def pair_matrix(
    rows: pd.DataFrame,
    down: Sequence[str],
    across: Sequence[str],
    theme: Theme,
    *,
    scale: Scale,
    title: str,
    axes: tuple[str, str] = ("", ""),
    marked: str = "",
) -> go.Figure:
    """A matrix with a number in each cell, a dash if there is none.

    Colour follows evidence: on a scale about a middle, a cell that is not significant is pale, and its number grey.

    Args:
        rows: `first` (down), `second` (across), `value`, `text`, `significant`, `hover`, `code`.
        down: Names, from the top.
        across: Names, from the left.
        theme: Theme of the page.
        scale: Scale of the shades.
        title: Title of the colour bar.
        axes: Titles of the vertical and the horizontal axis.
        marked: Code of the cell to frame.
    """
    colours = COLOURS[theme]
    y, x = rows["first"].map(list(down).index).to_numpy(), rows["second"].map(list(across).index).to_numpy()
    shades = np.full((len(down), len(across)), np.nan)
    shades[y, x] = _shades(rows["value"].to_numpy(float), scale)
    about = scale in ("factor", "balance")
    if about:
        shades[y, x] *= np.where(rows["significant"], 1.0, _PALE)
    top = 2.0 if scale == "factor" else 1.0 if scale == "balance" else float(np.nanmax([*shades.ravel(), 1e-9]))
    ends = (-top, top) if about else (0.0, top)
    steps = difference_scale(theme) if about else colour_scale(theme)
    ticks, texts = _ticks(scale, top)
    figure = heat_map(shades, ends, steps, title, ticks, texts, theme)
    figure.add_scatter(
        x=x,
        y=y,
        mode="markers",
        marker={"symbol": "square", "size": 16, "color": "rgba(0,0,0,0)"},
        customdata=rows["code"].tolist(),
        text=rows["hover"].tolist(),
        hovertemplate="%{text}<extra></extra>",
        showlegend=False,
        **_KEPT,
    )
    for place in np.flatnonzero(rows["code"] == marked) if marked else ():
        box = {"x0": x[place] - 0.5, "x1": x[place] + 0.5, "y0": y[place] - 0.5, "y1": y[place] + 0.5}
        figure.add_shape(type="rect", **box, line={"color": colours["ink"], "width": 2})
    numbers = _numbers(rows, x, y, (shades - ends[0]) / (ends[1] - ends[0]), colours, about=about)
    lay_out_cells(figure, down, across, axes, numbers, theme)
    return figure


def network_figure(rows: pd.DataFrame, worn: Mapping[str, float], inks: Mapping[str, str], theme: Theme) -> go.Figure:
    """Garments as discs on a ring, sized by how often they are worn, with lines between pairs.

    Args:
        rows: Edges: `first`, `second`, `lift`, `hover`, `code`. Solid for a lift above 1, dotted below; a cross for 0.
            Widths do not grow beyond a lift of 4, or of 1/4.
        worn: Share of outfits by garment.
        inks: Colour by garment.
        theme: Theme of the page.
    """
    colours = COLOURS[theme]
    names = list(worn)
    turn = {name: 2 * math.pi * index / len(names) - math.pi / 2 for index, name in enumerate(names)}
    place = {name: (math.cos(angle), math.sin(angle)) for name, angle in turn.items()}
    figure = go.Figure()
    _draw_edges(figure, rows, place, colours)
    _draw_garments(figure, worn, inks, place, colours)
    figure.update_xaxes(visible=False, range=[-1.5, 1.5])
    figure.update_yaxes(visible=False, range=[1.25, -1.25])
    figure.update_layout(
        template=template(theme),
        height=470,
        showlegend=False,
        hovermode="closest",
        clickmode="event+select",
        dragmode=False,
    )
    return figure


def _numbers(
    rows: pd.DataFrame, x: np.ndarray, y: np.ndarray, depths: np.ndarray, colours: Mapping[str, Any], *, about: bool
) -> list[dict[str, Any]]:
    """The annotations of the cells; a depth is the place of a cell's shade on the scale, 0..1, NaN without one."""
    numbers = []
    for row, column, text, sure in zip(y, x, rows["text"], rows["significant"], strict=True):
        depth = 0.5 if np.isnan(depths[row, column]) else depths[row, column]
        strong = abs(2 * depth - 1) > 0.62 if about else depth > 0.62
        ink = colours["ground"] if strong else colours["ink"] if sure else colours["mute"]
        numbers.append({"x": column, "y": row, "text": text, "showarrow": False, "font": {"size": 11, "color": ink}})
    return numbers


def _draw_edges(
    figure: go.Figure, rows: pd.DataFrame, place: Mapping[str, tuple[float, float]], colours: Mapping[str, Any]
) -> None:
    """Lines, with a point in the middle of each that can be clicked."""
    edges: list[dict[str, Any]] = rows.to_dict("records")  # type: ignore[assignment]
    for row in edges:
        (x0, y0), (x1, y1) = place[row["first"]], place[row["second"]]
        more = row["lift"] >= 1
        strength = min(2.0, abs(math.log2(max(row["lift"], 0.25))))
        figure.add_scatter(
            x=[x0, x1],
            y=[y0, y1],
            mode="lines",
            line={
                "color": colours["more"][3] if more else colours["less"][1],
                "width": 1 + (3 if more else 0.5) * strength,
                "dash": "solid" if more else "dot",
            },
            hoverinfo="skip",
            showlegend=False,
        )
    ends = [(place[row["first"]], place[row["second"]]) for row in edges]
    figure.add_scatter(
        x=[0.5 * (a[0] + b[0]) for a, b in ends],
        y=[0.5 * (a[1] + b[1]) for a, b in ends],
        mode="markers",
        marker={
            "symbol": ["circle" if lift else "x" for lift in rows["lift"]],
            "size": 9,
            "color": colours["ground"],
            "line": {"color": colours["mute"], "width": 1},
        },
        customdata=rows["code"].tolist(),
        text=rows["hover"].tolist(),
        hovertemplate="%{text}<extra></extra>",
        name="edges",
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 1}},
    )


def _draw_garments(
    figure: go.Figure,
    worn: Mapping[str, float],
    inks: Mapping[str, str],
    place: Mapping[str, tuple[float, float]],
    colours: Mapping[str, Any],
) -> None:
    """Points with their names outside the ring."""
    figure.add_scatter(
        x=[place[name][0] for name in worn],
        y=[place[name][1] for name in worn],
        mode="markers",
        marker={
            "size": [12 + 34 * math.sqrt(share) for share in worn.values()],
            "color": [inks[name] for name in worn],
            "line": {"color": colours["mute"], "width": 1},
            "opacity": 1,
        },
        text=[f"{name}<br>{share:.1%} of outfits" for name, share in worn.items()],
        hovertemplate="%{text}<extra></extra>",
        name="garments",
        selected={"marker": {"opacity": 1}},
        unselected={"marker": {"opacity": 1}},
    )
    for name in worn:
        x, y = place[name]
        figure.add_annotation(
            x=x,
            y=y,
            xshift=52 * x,
            yshift=-36 * y,
            text=name,
            showarrow=False,
            font={"size": 13, "color": colours["ink"]},
        )


def _shades(values: np.ndarray, scale: Scale) -> np.ndarray:
    if scale == "factor":
        with np.errstate(divide="ignore"):
            return np.asarray(np.clip(np.log2(values), -2, 2))
    return np.asarray(np.sqrt(values)) if scale == "count" else values


def _ticks(scale: Scale, top: float) -> tuple[list[float], list[str]]:
    if scale == "factor":
        return [-2, -1, 0, 1, 2], ["0–1/4", "1/2", "1", "2", "≥4"]
    if scale == "balance":
        return [-1, -0.5, 0, 0.5, 1], ["−1", "−0.5", "0", "0.5", "1"]
    if scale == "count":
        return [0, top / 2, top], ["0", f"{(top / 2) ** 2:,.0f}", f"{top**2:,.0f}"]
    return [0, top / 2, top], ["0", f"{top / 2:.2f}", f"{top:.2f}"]
