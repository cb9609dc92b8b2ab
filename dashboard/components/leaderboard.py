"""The leaderboard: a table that is sorted in the browser, with the source of each number in its tooltip."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

__all__ = ["show_leaderboard"]


def show_leaderboard(data: Mapping[str, Any], key: str) -> None:
    """Mounts the table; its sorting is kept when its data change.

    Args:
        data: Columns and rows, as `dashboard.evaluation.ranking.leaderboard_data` gives them.
        key: Streamlit key.
    """
    _component(key=key, data=dict(data))


_component = st.components.v2.component(
    "garmentscope_leaderboard",
    js=Path(__file__).with_name("leaderboard.js").read_text(encoding="utf-8"),
    isolate_styles=False,  # it is a table of the page, in the page's style
)
