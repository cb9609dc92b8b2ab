"""What the browser's Back and Forward do on a page that keeps its view in the address."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

__all__ = ["returned", "watch_history"]

_KEY = "history"
_MARK = "back"  # as in history.js


def watch_history() -> None:
    """Mounts an invisible listener, once for all pages."""
    _component(key=_KEY)


def returned() -> bool:
    """Whether the visitor came to the page's address by Back or Forward; the mark is taken out of the address."""
    if _MARK not in st.query_params:
        return False
    del st.query_params[_MARK]
    return True


_component = st.components.v2.component(
    "garmentscope_history", js=Path(__file__).with_name("history.js").read_text(encoding="utf-8")
)
