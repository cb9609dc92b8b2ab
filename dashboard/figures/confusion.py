"""The confusion matrix of the Evaluation page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from dashboard.evaluation.confusion import Cell, MatrixView
from dashboard.figures.theme import COLOURS, Theme, colour_scale, difference_scale, heat_map, ink_on, lay_out_cells

__all__ = ["confusion_figure"]

_MANY = 8  # number of classes above which a cell has room for two digits only


def confusion_figure(view: MatrixView, theme: Theme, marked: Cell | None = None) -> go.Figure:
    """A confusion matrix as a heat map: truth down, prediction across.

    Shades follow the square root of a share, so that errors of a few per cent are seen, and the logarithm of a number
    of pixels. Over each cell lies an invisible marker, as heat maps report no clicks; its `customdata` are the names
    of truth and prediction.

    Args:
        view: View of the matrix.
        theme: Theme of the page.
        marked: Cell to frame; None for none.
    """
    colours, count = COLOURS[theme], len(view.names)
    shades = _shades(view)
    top = max(1e-9, float(np.nanmax(np.abs(shades), initial=0)))
    ends = (-top, top) if view.is_difference else (0.0, 1.0 if view.unit != "pixels" else top)
    scale = difference_scale(theme) if view.is_difference else colour_scale(theme)
    title, ticks, texts = _legend(view, ends[1])
    places = list(range(count))
    figure = heat_map(shades, ends, scale, title, ticks, texts, theme)
    cells = [Cell(truth, predicted) for truth in view.names for predicted in view.names]
    figure.add_scatter(
        x=[column for _ in places for column in places],
        y=[row for row in places for _ in places],
        mode="markers",
        marker={"symbol": "square", "size": 14, "color": "rgba(0,0,0,0)"},
        selected={"marker": {"opacity": 0}},
        unselected={"marker": {"opacity": 0}},
        customdata=[[cell.truth, cell.predicted] for cell in cells],
        text=[_cell_text(view, cell) for cell in cells],
        hovertemplate="%{text}<extra></extra>",
        showlegend=False,
    )
    if marked and {marked.truth, marked.predicted} <= set(view.names):
        x, y = view.names.index(marked.predicted), view.names.index(marked.truth)
        for half, colour in (
            (0.5, colours["ink"]),
            (0.44, colours["ground"]),
        ):  # one is visible on any shade
            box = {"x0": x - half, "x1": x + half, "y0": y - half, "y1": y + half}
            figure.add_shape(type="rect", **box, line={"color": colour, "width": 2})
    numbers = _numbers(view, (shades - ends[0]) / (ends[1] - ends[0]), scale, colours)
    lay_out_cells(figure, view.names, view.names, ("Truth", "Prediction"), numbers, theme)
    return figure


def _numbers(
    view: MatrixView, depths: np.ndarray, scale: Sequence[Sequence[Any]], colours: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """The annotations of the cells; a depth is the place of a cell's shade on the scale, 0..1."""
    places = range(len(view.names))
    size = 13 if len(view.names) <= _MANY else 11
    return [
        {
            "x": column,
            "y": row,
            "text": text,
            "showarrow": False,
            "font": {"size": size, "color": ink_on(depths[row, column], scale, colours)},
        }
        for row in places
        for column in places
        if (text := _digits(view, view.values[row, column]))
    ]


def _shades(view: MatrixView) -> np.ndarray:
    """Values that the colours show."""
    if view.unit == "pixels":
        return np.asarray(np.sign(view.values) * np.log10(1 + np.abs(view.values)))
    return np.asarray(np.sign(view.values) * np.sqrt(np.abs(view.values)))


def _legend(view: MatrixView, top: float) -> tuple[str, list[float], list[str]]:
    """Title, places and texts of the colour bar."""
    if view.unit == "pixels":
        powers = range(0, math.floor(top) + 1, 2)
        title = f"{'Difference in pixels' if view.is_difference else 'Pixels'} (logarithmic)"
        marks = [(float(power), f"{10**power:,d}") for power in powers if power]
    else:
        whole = {"row": "true class", "column": "predicted class"}[view.unit]
        title = f"Share of the {whole}'s pixels (%)"
        if view.is_difference:
            title = "Difference (percentage points)"
        shares = (0.01, 0.05, 0.2, 0.5, 1.0)
        marks = [(math.sqrt(share), f"{share:.0%}".rstrip("%")) for share in shares if math.sqrt(share) <= top + 1e-9]
    if view.is_difference:
        marks = [*((-place, f"−{text}") for place, text in reversed(marks)), (0.0, "0"), *marks]
    elif view.unit != "pixels":
        marks = [(0.0, "0"), *marks]
    return title, [place for place, _ in marks], [text for _, text in marks]


def _cell_text(view: MatrixView, cell: Cell) -> str:
    """The tooltip of a cell."""
    row, column = view.names.index(cell.truth), view.names.index(cell.predicted)
    whole = {
        "row": f" of the true pixels of {cell.truth}",
        "column": f" of the pixels predicted as {cell.predicted}",
        "pixels": "",
    }
    lines = [cell.words(), f"{view.text(cell)}{whole[view.unit]}"]
    if view.unit != "pixels":
        lines.append(f"{view.pixels[row, column]:,d} pixels{' of the first model' if view.is_difference else ''}")
    return "<br>".join([*lines, "Click for the photos"])


def _digits(view: MatrixView, value: float) -> str:
    """A number for a small cell; empty where it would be 0."""
    if np.isnan(value):
        return ""
    sign = "−" if value < 0 else "+" if view.is_difference else ""
    size = abs(value)
    if view.unit != "pixels":
        return f"{sign}{100 * size:.0f}" if size >= 0.005 else ""
    for unit, letter in ((1e6, "M"), (1e3, "k")):
        if size >= unit:
            return f"{sign}{size / unit:.{1 if size < 10 * unit else 0}f}{letter}"
    return f"{sign}{size:.0f}" if size else ""
