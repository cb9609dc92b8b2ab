"""How pages show a figure: with what it says in words, and as picture and data to take away."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from dashboard.figures import Theme

__all__ = ["page_theme", "show_chart"]


def show_chart(
    figure: go.Figure,
    key: str,
    words: str,
    *,
    data: Callable[[], bytes] | None = None,
    on_select: Callable[[], None] | None = None,
) -> None:
    """A figure whose one tool saves it as a picture, and a button for its data.

    Args:
        figure: To show.
        key: Streamlit key, and name of the files.
        words: What it says, for who does not see it.
        data: Makes its CSV; no button without.
        on_select: Called after a point was chosen, which then stands in the session's state under `key`.
    """
    bar: dict[str, Any] = {
        "displaylogo": False,
        "modeBarButtons": [["toImage"]],
        "toImageButtonOptions": {"filename": key, "scale": 2},
    }
    st.plotly_chart(
        figure,
        theme=None,
        key=key,
        config=bar,
        alt=words,
        on_select=on_select or "ignore",
        selection_mode="points",
    )
    if data:
        st.download_button("Data (CSV)", data, f"{key}.csv", "text/csv", key=f"{key}-csv", on_click="ignore")


def page_theme() -> Theme:
    """Of the visitor's page, as it was when the script began."""
    return "dark" if st.context.theme.type == "dark" else "light"
