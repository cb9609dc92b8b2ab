"""Colours of each theme, and the plotly template made of them; shared by all figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import plotly.graph_objects as go

__all__ = [
    "COLOURS",
    "Series",
    "Theme",
    "colour_scale",
    "colours",
    "contrast",
    "difference_scale",
    "heat_map",
    "ink_on",
    "lay_out_cells",
    "series",
    "template",
]

Theme = Literal["light", "dark"]

COLOURS: dict[Theme, dict[str, Any]] = {
    "light": {
        "ink": "#1B1B1D",
        "mute": "#5F5E5A",
        "line": "#E4E3DF",
        "ground": "#FFFFFF",
        "scale": "#F4F4F2 #E3E4E5 #D0D3D7 #BBC1C8 #A3ADB8 #8997A6 #6D7F93 #51677F #354E69 #12283F".split(),
        "less": "#8C3B12 #A9592C #C47D51 #DBA583 #EDD0BC".split(),
        "more": "#C9D6E2 #9BB5CD #6C92B5 #436F99 #1F4E7A".split(),
        "series": "#1F2A36 #B4691F #5E8FB8 #8A8984 #7A4A7A #4C7A5A #C79A3A #A5524A #3F6C8F #6B6A66".split(),
    },
    "dark": {
        "ink": "#EDEBE6",
        "mute": "#A3A19B",
        "line": "#2C2E31",
        "ground": "#121314",
        "scale": "#1D1F21 #242B32 #2B3844 #334658 #3E566D #4C6983 #617F9A #7E99B1 #A3B7C9 #E9F0F6".split(),
        "less": "#F0B48C #DB935F #B87140 #8D532C #5C3A24".split(),
        "more": "#27394A #34536F #47739A #6F9CC4 #A9CBE8".split(),
        "series": "#EDEBE6 #E0974A #6FA8DC #8F8E89 #C08CC0 #86BC96 #E3C26A #DB8A80 #9CC3E3 #B5B3AC".split(),
    },
}
"""Ink, quiet ink, lines and ground of each theme; its scales from nothing to all, and from less to more around nothing;
and the inks of series. They are those of `.streamlit/config.toml`."""

_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "triangle-down", "star", "hexagon")


class Series(NamedTuple):
    """Style of one of several models: its colour, with dash and symbol for those who cannot tell colours apart."""

    ink: str
    dash: str
    symbol: str


def series(place: int, theme: Theme) -> Series:
    """Style of the model at a position."""
    inks = COLOURS[theme]["series"]
    return Series(inks[place % len(inks)], _DASHES[place % len(_DASHES)], _SYMBOLS[place % len(_SYMBOLS)])


def colours(theme: Theme) -> Mapping[str, Any]:
    """Colours of a theme, from `COLOURS`."""
    return COLOURS[theme]


def contrast(first: str, second: str) -> float:
    """Contrast of two colours `#RRGGBB` after WCAG 2.1, 1..21."""
    low, high = sorted(map(_luminance, (first, second)))
    return (high + 0.05) / (low + 0.05)


def colour_scale(theme: Theme) -> list[list[Any]]:
    """Sequential colour scale, from nothing to all."""
    return _spread(COLOURS[theme]["scale"])


def difference_scale(theme: Theme) -> list[list[Any]]:
    """Diverging colour scale from less to more; its middle is the first colour of `colour_scale`."""
    colours = COLOURS[theme]
    return _spread([*colours["less"], colours["scale"][0], *colours["more"]])


def ink_on(depth: float, scale: Sequence[Sequence[Any]], colours: Mapping[str, Any]) -> str:
    """Colour of the text or of the background, whichever has more contrast with a point of a scale.

    Args:
        depth: Place on the scale, 0..1.
        scale: Colour scale, as `colour_scale` gives it.
        colours: Colours of the theme.
    """
    colour = scale[min(len(scale) - 1, max(0, round(depth * (len(scale) - 1))))][1]
    return str(max((colours["ink"], colours["ground"]), key=lambda each: contrast(each, colour)))


def _luminance(colour: str) -> float:
    """Relative luminance of `#RRGGBB` after WCAG 2.1, 0..1."""
    parts = [value / 255 for value in bytes.fromhex(colour[1:])]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _spread(scale: list[str]) -> list[list[Any]]:
    return [[index / (len(scale) - 1), colour] for index, colour in enumerate(scale)]


def template(theme: Theme) -> go.layout.Template:
    """Plotly template with fonts, background and axes; titles are Streamlit headings outside the figure."""
    colours = COLOURS[theme]
    axis = {
        "ticks": "",
        "automargin": True,
        "gridcolor": colours["line"],
        "linecolor": colours["mute"],
        "tickfont": {"size": 13},
        "ticklabelstandoff": 6,
        "title": {"standoff": 12, "font": {"size": 13, "color": colours["mute"]}},
        "showgrid": False,
        "zeroline": False,
        "fixedrange": True,
    }
    return go.layout.Template(
        layout={
            "font": {"family": "Source Sans, Arial, sans-serif", "size": 14, "color": colours["ink"]},
            "paper_bgcolor": colours["ground"],
            "plot_bgcolor": colours["ground"],
            "xaxis": axis,
            "yaxis": axis,
            "margin": {"l": 8, "r": 20, "t": 8, "b": 8},
        }
    )


def heat_map(
    shades: Any,
    ends: tuple[float, float],
    scale: Any,
    title: str,
    ticks: Any,
    texts: Any,
    theme: Theme,
) -> go.Figure:
    """A heat map with the colour bar on top; it receives no clicks, so invisible markers are laid over it.

    Args:
        shades: Values `(rows, columns)`; cells lie at 0, 1, 2 and so on.
        ends: Values at both ends of the scale.
        scale: Colour scale of plotly.
        title: Title of the colour bar.
        ticks: Values that are written at the bar.
        texts: Texts that are written at the ticks.
        theme: Theme of the page.
    """
    return go.Figure(
        go.Heatmap(
            x=list(range(len(shades[0]) if len(shades) else 0)),
            y=list(range(len(shades))),
            z=shades,
            zmin=ends[0],
            zmax=ends[1],
            colorscale=scale,
            xgap=1,
            ygap=1,
            hoverinfo="skip",
            colorbar={
                "orientation": "h",
                "x": 0.5,
                "y": 1,
                "yanchor": "bottom",
                "thickness": 8,
                "outlinewidth": 0,
                "title": {"text": title, "side": "top", "font": {"size": 13, "color": COLOURS[theme]["mute"]}},
                "tickvals": ticks,
                "ticktext": texts,
                "tickfont": {"size": 12},
            },
        )
    )


def lay_out_cells(
    figure: go.Figure, down: Sequence[str], across: Sequence[str], titles: tuple[str, str], numbers: Any, theme: Theme
) -> None:
    """Gives a `heat_map` its names, numbers and size, in place.

    Args:
        figure: Heat map to lay out.
        down: Names of the rows.
        across: Names of the columns.
        titles: Titles of the vertical and the horizontal axis.
        numbers: Annotations; set all at once, because adding them one by one takes half a second.
        theme: Theme of the page.
    """
    axis = {"tickvals": list(range(len(across))), "ticktext": list(across), "range": [-0.53, len(across) - 0.47]}
    figure.update_xaxes(**axis, title=titles[1], tickangle=-90)
    axis = {"tickvals": list(range(len(down))), "ticktext": list(down), "range": [len(down) - 0.47, -0.53]}
    figure.update_yaxes(**axis, title=titles[0])
    figure.update_layout(
        template=template(theme),
        annotations=numbers,
        height=max(340, len(down) * 29 + 190),
        hovermode="closest",
        hoverdistance=40,
        clickmode="event+select",
        dragmode=False,
        margin={"t": 48},
    )
