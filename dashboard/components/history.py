"""What Back and Forward do on a page that keeps its view in the address; and the drawer of pages on a phone."""

from __future__ import annotations

from pathlib import Path

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

__all__ = ["returned", "watch_history"]


def watch_history() -> None:
    """Mounts an invisible listener, once for all pages."""
    _component(key="history")


def returned() -> bool:
    """Whether the visitor came to the page's address by Back or Forward."""
    return bool(getattr(get_script_run_ctx(), "is_history_navigation", False))


_component = st.components.v2.component(
    "garmentscope_history", js=Path(__file__).with_name("history.js").read_text(encoding="utf-8")
)
