"""Reports as one HTML file each: figures and pictures lie in it, and it opens without a network."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from segmodels.files import write_whole
from segmodels.taxonomy import Taxonomy

__all__ = ["Section", "class_bars", "class_picture", "picture", "write_page"]

_STYLE = """
body { margin: 0 auto; max-width: 70rem; padding: 1rem 1rem 4rem; font: 1rem/1.5 system-ui, sans-serif;
       color: #1c1b1a; background: #fff; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; line-height: 1.25; } h2 { font-size: 1.2rem; line-height: 1.3; margin: 2.5rem 0 .5rem; }
p { max-width: 45rem; white-space: pre-line; }
figure { margin: 1.25rem 0; } figcaption { font-size: .9rem; color: #55504c; }
.pictures { display: flex; flex-wrap: wrap; gap: 1rem; }
.pictures figure { margin: 0; flex: 1 1 6.5rem; max-width: 15rem; }
img { display: block; width: 100%; }
"""
_INK, _LINES = "#1c1b1a", "#e4e0dc"


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Args:
        heading: Heading of the part.
        text: Plain text; a line break stays one.
        figures: Figures below the text, as wide as the page. A figure's title becomes its caption, which wraps on a
            phone.
        images: Caption and PNG of each, side by side where there is room.
    """

    heading: str
    text: str = ""
    figures: Sequence[go.Figure] = ()
    images: Sequence[tuple[str, bytes]] = ()


def write_page(path: Path, title: str, sections: Sequence[Section]) -> None:
    """Writes a page, whole or not at all.

    Args:
        path: Path of the HTML file.
        title: Title of the page.
        sections: Sections of the page, from top to bottom.

    Raises:
        OSError: If it cannot be written.
    """
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style>",
        f"<script>{get_plotlyjs()}</script></head><body>",
        f"<h1>{html.escape(title)}</h1>",
    ]
    number = 0
    for section in sections:
        parts.append(f"<section><h2>{html.escape(section.heading)}</h2>")
        if section.text:
            parts.append(f"<p>{html.escape(section.text)}</p>")
        if section.images:
            parts.append(f'<div class="pictures">{"".join(_image(*image) for image in section.images)}</div>')
        for figure in section.figures:
            number += 1
            parts.append(_figure(figure, f"figure-{number}"))
        parts.append("</section>")
    parts.append("</body></html>\n")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, "\n".join(parts))


def class_bars(title: str, taxonomy: Taxonomy, values: Mapping[str, float], *, form: str = ".3~g") -> go.Figure:
    """One horizontal bar for each class, in the class's colour and the order of `values`, from top to bottom.

    Args:
        title: Title that says what the bars are, and in which unit.
        taxonomy: Taxonomy that gives the colours.
        values: Values by class name; NaN draws no bar.
        form: Format of the number at a bar, as d3 writes it.
    """
    names = list(values)
    bars = go.Bar(
        x=list(values.values()),
        y=names,
        orientation="h",
        marker={"color": [taxonomy[name].colour for name in names]},
        texttemplate=f"%{{x:{form}}}",
        hovertemplate=f"%{{y}}: %{{x:{form}}}<extra></extra>",
        textposition="outside",
        cliponaxis=False,
    )
    layout = go.Layout(
        title=title,
        height=60 + 24 * len(names),
        margin={"r": 60},  # for the number at the longest bar
        xaxis={"tickformat": form},
        yaxis={"autorange": "reversed"},
    )
    return go.Figure(bars, layout)


def picture(photo: np.ndarray) -> bytes:
    """PNG of a photo, uint8 `(H, W, 3)` RGB."""
    done, data = cv2.imencode(".png", cv2.cvtColor(photo, cv2.COLOR_RGB2BGR))
    assert done
    return data.tobytes()


def class_picture(class_map: np.ndarray, taxonomy: Taxonomy) -> bytes:
    """PNG of a class map, uint8 `(H, W)`, in the classes' colours; what is no class is black."""
    return picture(taxonomy.palette[class_map])


def _figure(figure: go.Figure, name: str) -> str:
    caption = figure.layout.title.text or ""
    shown = go.Figure(figure).update_layout(
        title=None,
        template="none",
        autosize=True,
        width=None,
        font={"family": "system-ui, sans-serif", "size": 13, "color": _INK},
        margin={"t": 16, "l": 48, "r": figure.layout.margin.r or 16, "b": 48},
    )
    shown.update_xaxes(automargin=True, gridcolor=_LINES, zerolinecolor=_LINES)
    shown.update_yaxes(automargin=True, gridcolor=_LINES, zerolinecolor=_LINES)
    drawn = shown.to_html(
        full_html=False,
        include_plotlyjs=False,
        div_id=name,
        default_height=f"{figure.layout.height or 360}px",
        config={"responsive": True, "displaylogo": False, "displayModeBar": False, "scrollZoom": False},
    )
    return f"<figure><figcaption>{html.escape(caption)}</figcaption>{drawn}</figure>"


def _image(caption: str, png: bytes) -> str:
    data = base64.b64encode(png).decode("ascii")
    text = html.escape(caption)
    return f'<figure><img alt="{text}" src="data:image/png;base64,{data}"><figcaption>{text}</figcaption></figure>'
