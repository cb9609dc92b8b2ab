"""Pure functions for the Dataset page: counts in, plotly figure out. Titles are Streamlit headings outside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from dashboard.dataset.shipped import Count, Measure, Share, Sizes
from dashboard.figures.theme import Theme, colours, template
from dashboard.figures.together import pair_matrix
from segmodels.taxonomy import Taxonomy

__all__ = ["flow_figure", "flow_order", "garments_figure", "pairs_figure", "shares_figure", "sizes_figure"]

_ROW = 24  # pixels of a bar with the gap beneath it
_BAR_GAP = 0.6
_ROOM = 1.22  # axis length in longest bars, so that its number fits beside it on a phone
_LONGEST_NAME = 24  # characters beside a bar or a cell
_COLUMNS_HEIGHT = 260  # pixels
_LEAST_RANGE = 20  # pixels that a histogram spans at least, even if all photos have one size
_FLOW = 420  # pixels of all flows together
_FLOW_GAP = 17  # pixels between two labels: a line of text
_FLOW_MARGIN = 12  # pixels above and below
_FLOW_LEFT, _FLOW_RIGHT = 132, 128  # pixels for the names beside


def shares_figure(shares: Sequence[Share], measure: Measure, taxonomy: Taxonomy, theme: Theme) -> go.Figure:
    """The class distribution, one bar for each class or label in the class's colour, in the order given.

    Args:
        shares: Shares of the classes or labels, at least one.
        measure: What they count: photos stand as numbers, pixels as shares.
        taxonomy: Taxonomy that gives the colours.
        theme: Theme of the page.
    """
    by_photos = measure == "photos"
    values = [each.value if by_photos else each.share for each in shares]
    form = ",d" if by_photos else ".2~%"
    figure = go.Figure(
        go.Bar(
            x=values,
            y=[each.count.name for each in shares],
            orientation="h",
            marker={
                "color": [_colour(each.count, taxonomy, theme) for each in shares],
                "line": {"color": colours(theme)["mute"], "width": 1},  # hair is as dark as the dark ground
            },
            text=[_number(each, by_photos) for each in shares],
            textposition="outside",
            textfont={"size": 13},
            constraintext="none",
            cliponaxis=False,
            customdata=[
                (
                    "" if each.count.class_name == each.count.name else f" ({each.count.class_name})",
                    each.count.photos,
                    each.count.pixels,
                    each.share,
                )
                for each in shares
            ],
            hovertemplate="%{y}%{customdata[0]}<br>%{customdata[3]:.2~%}<br>%{customdata[1]:,d} photos<br>"
            "%{customdata[2]:,d} pixels<extra></extra>",
        )
    )
    title = "Number of photos" if by_photos else "Share of pixels"
    figure.update_xaxes(title={"text": title}, range=[0, max(values) * _ROOM], tickformat=form, showgrid=True, nticks=6)
    names = [each.count.name for each in shares]
    figure.update_yaxes(autorange="reversed", tickvals=names, ticktext=[_shortened(name) for name in names])
    figure.update_layout(template=template(theme), height=56 + _ROW * len(shares), bargap=_BAR_GAP)
    return figure


def garments_figure(photos: Mapping[int, int], theme: Theme) -> go.Figure:
    """Number of photos by number of garments and accessories, from none to the most.

    Args:
        photos: Number of photos by number of garments; at least one entry.
        theme: Theme of the page.
    """
    numbers = list(range(max(photos) + 1))
    values = [photos.get(number, 0) for number in numbers]
    figure = _columns(numbers, values, "%{x} garments and accessories: %{y:,d} photos<extra></extra>", theme)
    figure.data[0].text = [f"{value:,d}" if value else "" for value in values]
    figure.data[0].update(textposition="outside", textfont={"size": 13}, constraintext="none")
    figure.update_xaxes(title={"text": "Garments and accessories in a photo"}, dtick=1)
    figure.update_yaxes(range=[0, max(values) * 1.12])
    return figure


def pairs_figure(rows: pd.DataFrame, names: Sequence[str], theme: Theme) -> go.Figure:
    """How many photos show two classes, a number in each cell.

    Args:
        rows: `first`, `second` and `photos`, a row for each cell.
        names: Names of the classes, from the top and from the left.
        theme: Theme of the page.
    """
    cells = rows.assign(
        value=rows["photos"],
        text=[f"{photos:,d}" for photos in rows["photos"]],
        significant=True,
        hover=[
            f"{first}{'' if first == second else f' and {second}'}<br>{photos:,d} photos"
            for first, second, photos in zip(rows["first"], rows["second"], rows["photos"], strict=True)
        ],
        code="",
    )
    short = {name: _shortened(name) for name in names}
    figure = pair_matrix(cells, names, names, theme, scale="count", title="Photos that show both")
    figure.update_xaxes(ticktext=[short[name] for name in names])
    figure.update_yaxes(ticktext=[short[name] for name in names])
    return figure


def sizes_figure(side: str, sizes: Sizes, theme: Theme) -> go.Figure:
    """The histogram of widths or of heights.

    Args:
        side: What is measured, such as Width.
        sizes: Sizes of the photos.
        theme: Theme of the page.
    """
    starts, ends = sizes.edges[:-1], sizes.edges[1:]
    centres = [(start + end - 1) / 2 for start, end in zip(starts, ends, strict=True)]
    figure = _columns(centres, sizes.photos, "%{customdata} pixels: %{y:,d} photos<extra></extra>", theme)
    figure.data[0].width = [(end - start) * 0.86 for start, end in zip(starts, ends, strict=True)]
    figure.data[0].customdata = [
        f"{start:,d}" if end - start == 1 else f"{start:,d} to {end - 1:,d}"
        for start, end in zip(starts, ends, strict=True)
    ]
    middle = (starts[0] + ends[-1] - 1) / 2
    half = max(ends[-1] - starts[0], _LEAST_RANGE) * 0.52
    figure.update_xaxes(title={"text": f"{side}, pixels"}, range=[middle - half, middle + half], tickformat=",d")
    return figure


def flow_order(labels: Sequence[Count], taxonomy: Taxonomy) -> list[tuple[str, list[Count]]]:
    """The classes in display order, each with its labels, the most pixels first.

    Labels that no pixel carries or that become no class are left out, and classes without any.
    """
    found = []
    for name in taxonomy.display_order:
        theirs = [each for each in labels if each.class_name == name and each.pixels]
        if theirs:
            found.append((name, sorted(theirs, key=lambda each: -each.pixels)))
    return found


def flow_figure(labels: Sequence[Count], measure: Measure, taxonomy: Taxonomy, theme: Theme) -> go.Figure:
    """How labels become classes: labels left, classes right, the bands as wide as what is counted.

    A class is a stack of nodes, one for each of its labels, because plotly orders the bands into a single node itself
    and lets them cross.

    Args:
        labels: Labels that flow, without the background.
        measure: Measure that the width of a band shows.
        taxonomy: Taxonomy of the classes.
        theme: Theme of the page.
    """
    blocks = flow_order(labels, taxonomy)
    sources = [each for _, theirs in blocks for each in theirs]
    values = [getattr(each, measure) for each in sources]
    shares = [value / sum(values) for value in values]
    whole = {name: sum(getattr(each, measure) for each in theirs) / sum(values) for name, theirs in blocks}
    left, right, middles = _flow_places(blocks, dict(zip((each.name for each in sources), shares, strict=True)))
    count = len(sources)
    names = [name for name, theirs in blocks for _ in theirs]
    paints = [taxonomy[name].colour for name in names]
    of = "appearances" if measure == "photos" else "the foreground pixels"
    figure = go.Figure(
        go.Sankey(
            arrangement="fixed",
            node={
                "label": [*(each.name for each in sources), *names],
                "x": [0.001] * count + [0.999] * count,
                "y": [*left, *right],
                "color": paints * 2,
                "customdata": [*shares, *(whole[name] for name in names)],
                "hovertemplate": "%{label}<br>%{customdata:.2~%} of " + of + "<extra></extra>",
                "line": {"color": colours(theme)["mute"], "width": 0.5},
                "pad": _FLOW_GAP,
                "thickness": 10,
            },
            link=_flow_links(sources, values, shares, paints, of),
            textfont={"size": 1, "color": "rgba(0,0,0,0)", "shadow": "none"},  # names stand beside, not on the bands
        )
    )
    beside = [
        _name_beside(f"{each.name} {_per_cent(share)}", 0, place)
        for each, share, place in zip(sources, shares, left, strict=True)
    ]
    beside += [_name_beside(f"{name} {_per_cent(share)}", 1, middles[name]) for name, share in whole.items()]
    figure.update_layout(
        annotations=beside,  # at once: each add_annotation checks all those before it again
        template=template(theme),
        height=_flow_height(count) + 2 * _FLOW_MARGIN,
        margin={"l": _FLOW_LEFT, "r": _FLOW_RIGHT, "t": _FLOW_MARGIN, "b": _FLOW_MARGIN},
    )
    return figure


def _flow_links(
    sources: Sequence[Count], values: Sequence[int], shares: Sequence[float], paints: Sequence[str], of: str
) -> dict[str, Any]:
    """The bands: from each label's node to the node at its class, in pale paint."""
    count = len(sources)
    return {
        "source": list(range(count)),
        "target": list(range(count, 2 * count)),
        "value": values,
        "color": [_pale(colour) for colour in paints],
        "customdata": [
            (each.name, each.class_name, share, each.photos, each.pixels)
            for each, share in zip(sources, shares, strict=True)
        ],
        "hovertemplate": "%{customdata[0]} becomes %{customdata[1]}<br>%{customdata[2]:.2~%} of "
        + of
        + "<br>%{customdata[3]:,d} photos<br>%{customdata[4]:,d} pixels<extra></extra>",
    }


def _flow_height(labels: int) -> int:
    """Pixels from the first label's top to the last one's end."""
    return _FLOW + _FLOW_GAP * (labels - 1)


def _flow_places(
    blocks: Sequence[tuple[str, Sequence[Count]]], shares: Mapping[str, float]
) -> tuple[list[float], list[float], dict[str, float]]:
    """Middles of the nodes, from 0 at the top to 1: of the labels, of their ends at the classes, and of the classes.

    Labels stand a line apart; a class is as high as its labels together and stands in the middle of them.
    """
    height = _flow_height(sum(len(theirs) for _, theirs in blocks))
    left: list[float] = []
    right: list[float] = []
    middles = {}
    top = 0.0
    for name, theirs in blocks:
        bands = [shares[each.name] * _FLOW for each in theirs]
        span = sum(bands) + _FLOW_GAP * (len(bands) - 1)
        middles[name] = (top + span / 2) / height
        at, end = top, top + (span - sum(bands)) / 2
        for band in bands:
            left.append((at + band / 2) / height)
            right.append((end + band / 2) / height)
            at, end = at + band + _FLOW_GAP, end + band
        top += span + _FLOW_GAP
    return left, right, middles


def _name_beside(text: str, side: int, middle: float) -> dict[str, Any]:
    """The annotation of a node's name, left (0) or right (1) of the flows, at a height from 0 at the top to 1."""
    return {
        "text": text,
        "xref": "paper",
        "yref": "paper",
        "x": side,
        "y": 1 - middle,
        "xanchor": "left" if side else "right",
        "yanchor": "middle",
        "xshift": 6 if side else -6,
        "showarrow": False,
        "font": {"size": 13},
    }


def _columns(where: Sequence[float], values: Sequence[int], hover: str, theme: Theme) -> go.Figure:
    """Upright bars of photos."""
    bars = go.Bar(
        x=where, y=values, marker={"color": colours(theme)["scale"][7]}, hovertemplate=hover, cliponaxis=False
    )
    figure = go.Figure(bars)
    figure.update_yaxes(title={"text": "Photos"}, showgrid=True, rangemode="tozero", tickformat=",d", nticks=5)
    figure.update_layout(template=template(theme), height=_COLUMNS_HEIGHT, bargap=0.3)
    return figure


def _colour(count: Count, taxonomy: Taxonomy, theme: Theme) -> str:
    return str(colours(theme)["mute"] if count.class_name is None else taxonomy[count.class_name].colour)


def _shortened(name: str) -> str:
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def _pale(colour: str) -> str:
    red, green, blue = bytes.fromhex(colour[1:])
    return f"rgba({red},{green},{blue},0.4)"


def _number(share: Share, by_photos: bool) -> str:
    return f"{share.value:,d}" if by_photos else _per_cent(share.share)


def _per_cent(share: float) -> str:
    """A share in per cent; a small share is never shown as 0%."""
    return "<0.1%" if 0 < share < 0.0005 else f"{share:.1%}"
