"""What a page is for, in one screen that opens when it is asked for."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

__all__ = ["guide"]


def guide(points: Sequence[str]) -> None:
    """Draws the button, and behind it what can be done on the page.

    Args:
        points: Markdown, a sentence or two each.
    """
    with st.popover("What can I do here?", type="tertiary"):
        st.markdown("\n".join(f"- {point}" for point in points))
