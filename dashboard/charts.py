"""What the pages with charts share: how a figure is put on the page and taken away, and the theme it is drawn in."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st

from dashboard.figures import Theme

__all__ = ["chart", "page_theme"]


def chart(figure: go.Figure, key: str, words: str) -> None:
    """A figure, whose one tool saves it as a picture.

    Args:
        figure: As `dashboard.figures` makes it.
        key: Streamlit key, and the picture's file name.
        words: What it says, for those who do not see it.
    """
    bar = {"displaylogo": False, "modeBarButtons": [["toImage"]], "toImageButtonOptions": {"filename": key, "scale": 2}}
    st.plotly_chart(figure, theme=None, key=key, config=bar, alt=words)


def page_theme() -> Theme:
    """The theme of the visitor's page."""
    return "dark" if st.context.theme.type == "dark" else "light"
