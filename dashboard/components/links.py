"""A sentence whose parts are links within a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import streamlit as st

__all__ = ["show_links"]


def show_links(parts: Sequence[tuple[str, str]], key: str, on_followed: Callable[[int], None]) -> None:
    """Shows the sentence.

    Args:
        parts: Text of each part, and its address for another tab of the browser; empty for a part that is no link.
        key: Streamlit key.
        on_followed: Called with the place of the part that was clicked, before the script runs anew.
    """

    def answer() -> None:
        on_followed(int(st.session_state[key].followed))

    _component(
        key=key, data={"parts": [{"text": text, "href": href} for text, href in parts]}, on_followed_change=answer
    )


_component = st.components.v2.component(
    "garmentscope_links",
    js=Path(__file__).with_name("links.js").read_text(encoding="utf-8"),
    isolate_styles=False,  # it is a sentence of the page
)
