"""The figures of the Evaluation page."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from dashboard.evaluation.conditions import LABELS, conditions_of, label_of
from dashboard.evaluation.counts import kind_of
from dashboard.evaluation.ranking import COLUMNS, Reference, Standing
from dashboard.evaluation.records import Model
from dashboard.figures.theme import COLOURS, Series, Theme, series, template
from segmodels.evaluation.papers import INACIO_TABLE_3
from segmodels.evaluation.results import ClassScores
from segmodels.inference.presence import PresenceJudgement
from segmodels.taxonomy import Taxonomy

__all__ = [
    "class_figure",
    "condition_figure",
    "cost_figure",
    "curve_figure",
    "reliability_figure",
    "spread_labels",
]

_PHONE = (300, 300)  # pixels of a plot between its axes, on a phone; labels that fit there fit everywhere
_LETTER, _LINE = 6.6, 17  # pixels of a label's letter and line
_UNITS = {"parameters": 1e6, "size": 1e6, "seconds": 1.0}
_MEASURES = {"iou": "IoU", "f1": "F1", "precision": "Precision", "recall": "Recall"}
_CURVES = {
    "mean_iou": "Mean IoU on crops",
    "pixel_accuracy": "Pixel accuracy on crops",
    "loss": "Training loss",
    "validation_loss": "Validation loss",
}


def cost_figure(
    standings: Sequence[Standing],
    score: str,
    cost: str,
    theme: Theme,
    chosen: Sequence[str] = (),
    lines: Sequence[Reference] = (),
) -> go.Figure:
    """A score against a cost, one point per model.

    Args:
        standings: Standings of the models; those without score or cost have no point.
        score: Key of `COLUMNS`.
        cost: Key of `COLUMNS`, one of `COSTS`.
        theme: Theme of the page.
        chosen: Names of the models of all charts, in the order of their inks; the other models are hollow.
        lines: What papers print for this score, on the same photos.
    """
    colours = COLOURS[theme]
    points = [
        (row, row.value(cost), row.value(score))
        for row in standings
        if row.value(score) is not None and row.value(cost)
    ]
    xs = [float(x) / _UNITS[cost] for _, x, _ in points if x is not None]
    ys = [float(y) for _, _, y in points if y is not None]
    low, high = _padded([*ys, *(line.value for line in lines)])
    low = max(low, -0.04)  # room for a label below a score of 0
    left, right = _padded([math.log10(x) for x in xs], least=0.45)
    notes = _reference_labels(lines, low, high)
    places = spread_labels(
        [((math.log10(x) - left) / (right - left), (y - low) / (high - low)) for x, y in zip(xs, ys, strict=True)],
        [row.model.name for row, _, _ in points],
        [((value - low) / (high - low), text) for value, text in notes],
    )
    figure, looks = go.Figure(), _looks(chosen, theme)
    for (row, _, _), x, y, place in zip(points, xs, ys, places, strict=True):
        name = row.model.name
        _draw_point(figure, (x, y), name, place, looks.get(name), _point_words(row, score, cost), colours)
    _draw_references(figure, lines, notes, colours["mute"])
    figure.update_xaxes(
        type="log",
        title=COLUMNS[cost].axis,
        range=[left, right],
        tickvals=_log_ticks(left, right),
        ticktext=[f"{value:g}" for value in _log_ticks(left, right)],
    )
    figure.update_yaxes(title=COLUMNS[score].axis, range=[low, high], showgrid=True, tickformat=".2f", nticks=7)
    figure.update_layout(template=template(theme), height=450, showlegend=False)
    return figure


def _point_words(row: Standing, score: str, cost: str) -> str:
    """What the tooltip of a point says."""
    spread = f" ({row.spread(score)})" if row.spread(score) else ""
    return (
        f"{row.model.name}<br>{COLUMNS[score].label} {row.text(score)}{spread}"
        f"<br>{COLUMNS[cost].label} {row.text(cost)}<br>{row.measurement.photos}<extra></extra>"
    )


def _draw_point(
    figure: go.Figure,
    point: tuple[float, float],
    name: str,
    label_position: str,
    looks: Series | None,
    hover: str,
    colours: Mapping[str, Any],
) -> None:
    """A model with its name; hollow without looks of a series."""
    figure.add_scatter(
        x=[point[0]],
        y=[point[1]],
        mode="markers+text",
        name=name,
        text=[name],
        textposition=label_position,
        cliponaxis=False,
        textfont={"size": 13, "color": colours["ink"]},
        marker={
            "size": 10,
            "symbol": looks.symbol if looks else "circle-open",
            "color": looks.ink if looks else colours["mute"],
        },
        hovertemplate=hover,
    )


def _draw_references(
    figure: go.Figure, lines: Sequence[Reference], notes: Sequence[tuple[float, str]], ink: str
) -> None:
    """Dotted lines, and their labels at the left edge."""
    for line in lines:
        figure.add_hline(line.value, line={"color": ink, "width": 1, "dash": "dot"})
    for value, text in notes:
        figure.add_annotation(
            x=0,
            xref="paper",
            xanchor="left",
            y=value,
            yanchor="bottom",
            text=text,
            align="left",
            showarrow=False,
            font={"size": 12, "color": ink},
        )


def spread_labels(
    points: Sequence[tuple[float, float]], labels: Sequence[str], bands: Sequence[tuple[float, str]] = ()
) -> list[str]:
    """Positions of labels around their points at which they overlap least, even on a phone.

    Args:
        points: Points as x and y, both 0..1 over the plot.
        labels: Labels, one for each point.
        bands: Heights, 0..1, above which at the left edge another text stands.

    Returns:
        Text positions of plotly.
    """
    width, height = _PHONE
    markers = [(x * width - 6, y * height - 6, x * width + 6, y * height + 6) for x, y in points]
    notes: list[tuple[float, ...]] = []
    for y, text in bands:
        rows = text.split("<br>")
        notes.append((0, y * height, max(map(len, rows)) * _LETTER, y * height + len(rows) * _LINE))
    boxes = [_label_boxes(x * width, y * height, len(label)) for (x, y), label in zip(points, labels, strict=True)]
    found: dict[int, str] = {}
    for _ in range(3):  # later rounds know where the labels after them lie
        for own, candidates in enumerate(boxes):
            others: list[tuple[float, ...]] = [*markers[:own], *markers[own + 1 :], *notes]
            others += [boxes[place][position] for place, position in found.items() if place != own]
            costs = {position: _covered(box, others, width, height) for position, box in candidates.items()}
            found[own] = min(costs, key=lambda position: costs[position])
    return list(found.values())


def _label_boxes(x: float, y: float, letters: int) -> dict[str, tuple[float, ...]]:
    """Left, bottom, right and top of a label in each text position of plotly around a point, in pixels."""
    wide = letters * _LETTER
    corners = {
        "top center": (x - wide / 2, y + 6),
        "bottom center": (x - wide / 2, y - 6 - _LINE),
        "middle right": (x + 8, y - _LINE / 2),
        "middle left": (x - 8 - wide, y - _LINE / 2),
        "top right": (x + 4, y + 4),
        "bottom right": (x + 4, y - 4 - _LINE),
        "top left": (x - 4 - wide, y + 4),
        "bottom left": (x - 4 - wide, y - 4 - _LINE),
    }
    return {position: (left, bottom, left + wide, bottom + _LINE) for position, (left, bottom) in corners.items()}


def _covered(box: tuple[float, ...], others: Sequence[tuple[float, ...]], width: int, height: int) -> float:
    """Square pixels of a box that lie on others or outside the plot."""
    left, bottom, right, top = box
    inside = max(0, min(right, width) - max(left, 0)) * max(0, min(top, height) - max(bottom, 0))
    total = 2 * ((right - left) * (top - bottom) - inside)
    for a, b, c, d in others:
        total += max(0, min(right, c) - max(left, a)) * max(0, min(top, d) - max(bottom, b))
    return total


def _reference_labels(lines: Sequence[Reference], low: float, high: float) -> list[tuple[float, str]]:
    """Heights and texts: lines too close for a label each have one above the highest of them."""
    labels: list[tuple[float, list[Reference]]] = []
    for line in sorted(lines, key=lambda each: -each.value):
        near = labels and (labels[-1][1][-1].value - line.value) / (high - low) * _PHONE[1] < 2 * _LINE
        if near:
            labels[-1][1].append(line)
        else:
            labels.append((line.value, [line]))
    found = []
    for height, group in labels:
        words = [f"{line.label} {line.value:.3f}" for line in group]
        rows = [", ".join(words[start : start + 2]) for start in range(0, len(words), 2)]
        found.append((height, "<br>".join(rows)))
    return found


def _padded(values: Sequence[float], least: float = 0.05) -> tuple[float, float]:
    """Ends of an axis around values."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    border = max(0.22 * (high - low), least)
    return low - border, high + border


def _log_ticks(left: float, right: float) -> list[float]:
    """1, 2 and 5 of each decade between two logarithms; of many decades only the first."""
    steps = (1, 2, 5) if right - left < 2.5 else (1,)
    decades = range(math.floor(left), math.ceil(right) + 1)
    return [
        float(f"{step}e{power}") for power in decades for step in steps if left <= math.log10(step) + power <= right
    ]


def class_figure(
    standings: Sequence[Standing],
    measure: str,
    taxonomy: Taxonomy,
    photos: Mapping[str, int],
    theme: Theme,
    chosen: Sequence[str] = (),
    *,
    printed: bool = False,
) -> go.Figure:
    """A score of each class, one bar per model; the classes sorted by their mean over the models.

    Args:
        standings: Standings of the models, at least one.
        measure: Name of the score: `iou`, `f1`, `precision` or `recall`.
        taxonomy: Taxonomy of the classes; a class that no model has a score of has no bar.
        photos: Number of photos that show each class; empty if not known.
        theme: Theme of the page.
        chosen: Names of the models of all charts, in the order of their inks; the order of `standings` if left out.
        printed: Whether to mark what Inácio et al. print, which is of their photos.
    """
    colours = COLOURS[theme]
    values = {row.model.name: row.measurement.scores.classes for row in standings}
    looks = _looks(chosen or list(values), theme)
    absent = ClassScores()
    known = {name: [v for each in values.values() if (v := getattr(each.get(name, absent), measure)) is not None]
             for name in taxonomy.display_order}  # fmt: skip
    names = sorted((name for name in known if known[name]), key=lambda name: -float(np.mean(known[name])))
    few = len(standings) <= 3
    figure = go.Figure()
    for model, classes in values.items():
        shown = [getattr(classes.get(name, absent), measure) for name in names]
        details = [_class_details(classes.get(name, absent), photos.get(name)) for name in names]
        figure.add_bar(
            x=shown,
            y=names,
            orientation="h",
            name=model,
            marker={"color": looks[model].ink},
            text=["–" if value is None else f"{value:.2f}" for value in shown] if few else None,
            textposition="outside",
            textfont={"size": 12, "color": colours["ink"]},
            constraintext="none",
            cliponaxis=False,
            customdata=details,
            hovertemplate=f"%{{y}}, {model}<br>{_MEASURES[measure]} %{{x:.3f}}%{{customdata}}<extra></extra>",
        )
    printed = printed and set(INACIO_TABLE_3) == set(taxonomy.names)
    if printed:
        figure.add_scatter(
            x=[getattr(INACIO_TABLE_3[name], measure) for name in names],
            y=names,
            mode="markers",
            name="Inácio fpn",
            marker={"symbol": "line-ns-open", "size": 14, "color": colours["mute"], "line": {"width": 2}},
            hovertemplate="%{y}, Inácio et al., FPN<br>"
            f"{_MEASURES[measure]} %{{x:.3f}}, on the same photos of CCP and CFPD<extra></extra>",
        )
    thickness = 15 if few else 10
    legend = -(-(len(standings) + printed) // 2) * 20 + 8 if len(standings) + printed > 1 else 0
    figure.update_xaxes(range=[0, 1.08 if few else 1.0], title=_MEASURES[measure], showgrid=True, tickformat=".1f",
                        tickvals=[0, 0.2, 0.4, 0.6, 0.8, 1])  # fmt: skip
    figure.update_yaxes(categoryorder="array", categoryarray=names, autorange="reversed", dtick=1)
    height = len(names) * (len(standings) * thickness + 12) + legend + 60
    figure.update_layout(template=template(theme), height=height, barmode="group", bargap=0.25, bargroupgap=0.12)
    return _with_legend(figure, legend)


def _class_details(scores: ClassScores, photos: int | None) -> str:
    """Further lines in the tooltip of a bar."""
    rest = [f"{label} {v:.3f}" for key, label in _MEASURES.items() if (v := getattr(scores, key)) is not None]
    count = f"in {photos} photo{'s' if photos != 1 else ''}" if photos is not None else ""
    pixels = f"{scores.pixels:,d} pixels in the ground truth" if scores.pixels is not None else ""
    return "".join(f"<br>{line}" for line in (", ".join(rest), " ".join(filter(None, (pixels, count)))) if line)


def condition_figure(models: Sequence[Model], photos: str, theme: Theme) -> go.Figure:
    """A score under each condition, one bar per model, in the page's order.

    Args:
        models: Models of all charts, in the order of their inks; those without conditions have no bar.
        photos: Label of the set of photos.
        theme: Theme of the page.
    """
    colours = COLOURS[theme]
    found = {model.name: {label_of(each): each for each in conditions_of(model, photos)} for model in models}
    looks = _looks(list(found), theme)
    order = [*LABELS.values(), *dict.fromkeys(label for each in found.values() for label in each)]
    names = [label for label in dict.fromkeys(order) if any(label in each for each in found.values())]
    few = len(models) <= 3
    figure = go.Figure()
    for model, conditions in found.items():
        if not conditions:
            continue
        shown = [conditions.get(name) for name in names]
        figure.add_bar(
            x=[each.score if each else None for each in shown],
            y=names,
            orientation="h",
            name=model,
            marker={"color": looks[model].ink},
            text=[f"{each.score:.2f}" if each else "–" for each in shown] if few else None,
            textposition="outside",
            textfont={"size": 12, "color": colours["ink"]},
            constraintext="none",
            cliponaxis=False,
            customdata=[f"{each.measure}, {each.photos}" if each else "" for each in shown],
            hovertemplate=f"%{{y}}, {model}<br>%{{x:.3f}}: %{{customdata}}<extra></extra>",
        )
    several = len(figure.data)
    legend = -(-several // 2) * 20 + 8 if several > 1 else 0
    figure.update_xaxes(range=[0, 1.08 if few else 1.0], title="Score", showgrid=True, tickformat=".1f",
                        tickvals=[0, 0.2, 0.4, 0.6, 0.8, 1])  # fmt: skip
    figure.update_yaxes(categoryorder="array", categoryarray=names, autorange="reversed", dtick=1)
    height = len(names) * (several * (15 if few else 10) + 12) + legend + 60
    figure.update_layout(template=template(theme), height=height, barmode="group", bargap=0.25, bargroupgap=0.12)
    return _with_legend(figure, legend)


def curve_figure(models: Sequence[Model], key: str, theme: Theme) -> go.Figure:
    """A number by epoch, one line per model; the epoch that was kept has a point.

    Args:
        models: Models of all charts, in the order of their inks; those without the number have no line.
        key: Key of the number: `mean_iou`, `pixel_accuracy`, `loss` or `validation_loss`.
        theme: Theme of the page.
    """
    looks_of = _looks([model.name for model in models], theme)
    figure = go.Figure()
    shown = 0
    for model in models:
        points = [(epoch["epoch"], epoch[key]) for epoch in model.curve if key in epoch]
        if not points:
            continue
        shown += 1
        looks = looks_of[model.name]
        kept = [epoch == model.epoch for epoch, _ in points]
        figure.add_scatter(
            x=[epoch for epoch, _ in points],
            y=[value for _, value in points],
            mode="lines+markers",
            name=model.name,
            line={"color": looks.ink, "dash": looks.dash, "width": 2},
            marker={"symbol": looks.symbol, "size": [10 if each else 0 for each in kept], "opacity": 1},
            customdata=[", kept" if each else "" for each in kept],
            hovertemplate=f"{model.name}, epoch %{{x}}%{{customdata}}<br>{_CURVES[key]} %{{y:.3f}}<extra></extra>",
        )
    legend = -(-shown // 2) * 20 + 8 if shown > 1 else 0
    figure.update_xaxes(title="Epoch", rangemode="tozero", tickformat="d")
    figure.update_yaxes(title=_CURVES[key], showgrid=True, rangemode="tozero")
    figure.update_layout(template=template(theme), height=360 + legend)
    return _with_legend(figure, legend)


def reliability_figure(found: Sequence[PresenceJudgement], theme: Theme) -> go.Figure:
    """Share of photos that show a garment, against the presence that was predicted; one line per kind of photo.

    Args:
        found: Scores of one calibration, each with a reliability curve.
        theme: Theme of the page.
    """
    looks = _looks([kind_of(each) for each in found], theme)
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", showlegend=False, hoverinfo="skip",
        line={"color": COLOURS[theme]["mute"], "dash": "dot", "width": 1},
    )  # fmt: skip
    for each in found:
        name = kind_of(each)
        figure.add_scatter(
            x=[point.predicted for point in each.reliability],
            y=[point.observed for point in each.reliability],
            mode="lines+markers",
            name=name,
            line={"color": looks[name].ink, "dash": looks[name].dash, "width": 2},
            marker={"symbol": looks[name].symbol, "size": 8},
            customdata=[point.number for point in each.reliability],
            hovertemplate=f"{name}<br>predicted %{{x:.0%}}, shown %{{y:.0%}}<br>"
            "%{customdata:,} pairs of a photo and a garment<extra></extra>",
        )
    legend = -(-len(found) // 2) * 20 + 8 if len(found) > 1 else 0
    figure.update_xaxes(title="Predicted presence", range=[0, 1], tickformat=".0%", showgrid=True)
    figure.update_yaxes(title="Share that shows the garment", range=[0, 1.03], tickformat=".0%", showgrid=True)
    figure.update_layout(template=template(theme), height=380 + legend)
    return _with_legend(figure, legend)


def _looks(names: Sequence[str], theme: Theme) -> dict[str, Series]:
    """Style of each model, by its place among all those chosen, also where a chart lacks some of them."""
    return {name: series(place, theme) for place, name in enumerate(names)}


def _with_legend(figure: go.Figure, height: int) -> go.Figure:
    """Adds a legend in rows above the plot, which shrinks accordingly; none for a single series."""
    looks = {"orientation": "h", "x": 0, "xanchor": "left", "y": 1, "yanchor": "bottom", "font": {"size": 13}}
    return figure.update_layout(showlegend=height > 0, legend=looks)
