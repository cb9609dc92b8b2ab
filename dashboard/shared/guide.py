"""What a visitor can do on a page: a popover beside its title."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

__all__ = ["show_guide"]


def show_guide(lines: Sequence[str]) -> None:
    """Shows the popover, closed.

    Args:
        lines: One thing that can be done in each, as Markdown.
    """
    with st.popover("Help", type="tertiary", key="guide"):
        st.markdown("**What can I do here?**\n\n" + "\n".join(f"- {line}" for line in lines))
