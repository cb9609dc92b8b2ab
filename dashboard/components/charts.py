"""Figures on pages, with a description in words and downloads as image and data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from dashboard.figures import Theme
from dashboard.shared.audit import audited, note
from dashboard.shared.tables import as_csv, as_excel_csv, as_parquet
from dashboard.shared.visitor import principal

__all__ = ["page_theme", "show_chart", "show_downloads"]

_BUTTON = 132  # pixels; the buttons of images are as wide


_FORMS = (
    ("CSV", "csv", as_csv),
    ("CSV for Excel", "csv", as_excel_csv),
    ("Parquet", "parquet", as_parquet),
)


def show_chart(
    figure: go.Figure,
    key: str,
    words: str,
    *,
    title: str,
    notes: Sequence[str] = (),
    data: Callable[[], pd.DataFrame] | None = None,
    archive: str = "",
    on_select: Callable[[], None] | None = None,
) -> None:
    """Shows a figure, with a menu below it for its image and its data.

    Args:
        figure: Figure to show.
        key: Streamlit key, and name of the files.
        words: Description of the figure, for visitors who cannot see it.
        title: Title of the picture that is downloaded.
        notes: Lines below its title: filter, number of outfits or photos, period, model. The date is added.
        data: Function that makes the table of the figure; without it, only images can be downloaded.
        archive: Archive that the table is of, for the audit log.
        on_select: Function that is called after a point was chosen, which then stands in the session's state under
            `key`.
    """
    bar: dict[str, Any] = {
        "displaylogo": False,
        "displayModeBar": True,  # hidden by CSS; the menu presses its button
        "modeBarButtons": [["toImage"]],
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
    _show_menu("Download", key, data, archive, {"chart": key, "title": title, "notes": [*notes, _written()]})


def show_downloads(label: str, key: str, data: Callable[[], pd.DataFrame], archive: str = "") -> None:
    """A menu with a table as CSV and Parquet.

    Args:
        label: Label of the menu.
        key: Name of the files.
        data: Function that makes the table.
        archive: Archive that the table is of, for the audit log.
    """
    _show_menu(label, key, data, archive, None)


def _show_menu(
    label: str,
    key: str,
    data: Callable[[], pd.DataFrame] | None,
    archive: str,
    picture: Mapping[str, object] | None,
) -> None:
    with st.popover(label, type="tertiary", key=f"{key}-menu"):
        if data:
            of = {"archive": archive} if archive else {}
            exported = partial(note, "table exported", principal(), table=key, **of)
            with st.container(horizontal=True):
                for form, ending, write in _FORMS:
                    st.download_button(
                        f"Data ({form})",
                        partial(audited, exported, _file, data, write),
                        f"{key}.{ending}",
                        "text/csv" if ending == "csv" else "application/octet-stream",
                        key=f"{key}-{form}",
                        on_click="ignore",
                        width=_BUTTON,
                    )
        if picture:
            _pictures(key=f"{key}-picture", data=dict(picture))


def _written() -> str:
    return f"Garmentscope, {date.today():%Y-%m-%d}"


def _file(data: Callable[[], pd.DataFrame], write: Callable[[pd.DataFrame], bytes]) -> bytes:
    return write(data())


_pictures = st.components.v2.component(
    "garmentscope_pictures",
    js=Path(__file__).with_name("charts.js").read_text(encoding="utf-8"),
    isolate_styles=False,  # its buttons look like the page's
)


def page_theme() -> Theme:
    """Theme of the visitor's page when the script began."""
    return "dark" if st.context.theme.type == "dark" else "light"
