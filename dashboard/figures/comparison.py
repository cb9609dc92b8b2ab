"""The figures of the Compare page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import plotly.graph_objects as go

from dashboard.figures.theme import COLOURS, Theme, colour_scale, ink_on, template
from segmodels.taxonomy import Taxonomy

if TYPE_CHECKING:
    from dashboard.compare.agreement import Agreement  # not at run time, as it imports PyTorch

__all__ = ["agreement_figure", "scores_figure"]

_ROW = 27  # pixels
_NARROWEST = 260  # pixels between the row names and the edge of a phone


def agreement_figure(agreements: Sequence[Agreement], taxonomy: Taxonomy, theme: Theme) -> go.Figure:
    """IoU between the models of each pair, classes down, pairs across.

    Args:
        agreements: Agreements of pairs of models, at least one.
        taxonomy: Taxonomy whose display order the rows follow; a class that no model names has no row.
        theme: Theme of the page.
    """
    columns = [f"{each.first}<br>{each.second}" for each in agreements]
    rows: dict[str, list[float | None]] = {"Mean": [each.mean_iou for each in agreements]}
    rows |= {name: [each.iou[name] for each in agreements] for name in taxonomy.display_order}
    return _matrix(columns, rows, {}, theme)


def scores_figure(scores: Mapping[str, Mapping[str, Any]], taxonomy: Taxonomy, theme: Theme) -> go.Figure:
    """IoU with the ground truth, classes down, models across.

    Args:
        scores: Scores by name of the model, as `ConfusionMatrix.scores` gives them.
        taxonomy: Taxonomy whose display order the rows follow; a class that neither truth nor model names has no row.
        theme: Theme of the page.
    """
    rows = {"Mean": [each["mean_iou"] for each in scores.values()]}
    by_class = {name: [each["classes"][name] for each in scores.values()] for name in taxonomy.display_order}
    rows |= {name: [each["iou"] for each in values] for name, values in by_class.items()}
    return _matrix(list(scores), rows, {name: list(map(_details, values)) for name, values in by_class.items()}, theme)


def _details(scores: Mapping[str, Any]) -> str:
    """The other scores of a class, for the tooltip."""
    if scores["iou"] is None:
        return ""
    words = f"F1 {scores['f1']:.3f}, precision {scores['precision']:.3f}, recall {scores['recall']:.3f}"
    return f"<br>{words}<br>{scores['pixels']:,d} pixels in the ground truth"


def _matrix(
    columns: list[str], rows: dict[str, list[float | None]], details: dict[str, list[str]], theme: Theme
) -> go.Figure:
    """A matrix of IoU with the number in each cell, a dash for no value, and details in the tooltip."""
    rows = {name: values for name, values in rows.items() if any(value is not None for value in values)}
    places = range(len(columns))
    figure = go.Figure(
        go.Heatmap(
            x=list(places),
            y=list(rows),
            z=list(rows.values()),
            customdata=[
                [
                    (column.replace("<br>", " and "), more)
                    for column, more in zip(columns, details.get(name, [""] * len(columns)), strict=True)
                ]
                for name in rows
            ],
            zmin=0,
            zmax=1,
            colorscale=colour_scale(theme),
            showscale=False,
            xgap=1,
            ygap=1,
            hovertemplate="%{y}, %{customdata[0]}<br>IoU %{z:.3f}%{customdata[1]}<extra></extra>",
        )
    )
    longest = max(len(line) for column in columns for line in column.split("<br>"))
    upright = len(columns) * longest * 8 > _NARROWEST
    lines = max(column.count("<br>") + 1 for column in columns)
    figure.update_xaxes(
        side="top",
        tickvals=list(places),
        ticktext=columns,
        tickangle=-90 if upright else 0,
        range=[-0.5, len(columns) - 0.5],
    )
    figure.update_yaxes(autorange="reversed", dtick=1)
    header = 24 + (longest * 8 if upright else lines * 18)
    figure.update_layout(
        template=template(theme), height=header + _ROW * len(rows) + 16, annotations=_numbers(rows, theme)
    )
    return figure


def _numbers(rows: Mapping[str, Sequence[float | None]], theme: Theme) -> list[dict[str, Any]]:
    """The annotations of the cells."""
    colours, scale = COLOURS[theme], colour_scale(theme)
    return [
        {
            "x": place,
            "y": name,
            "text": "–" if value is None else f"{value:.2f}",
            "showarrow": False,
            "font": {"size": 13, "color": colours["ink"] if value is None else ink_on(value, scale, colours)},
        }
        for name, values in rows.items()
        for place, value in enumerate(values)
    ]
