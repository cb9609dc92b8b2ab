"""Gives photos that are pasted, or dropped beside the uploader, to the uploader."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

__all__ = ["watch_pasted"]


def watch_pasted(uploader: str, opener: str) -> None:
    """Mounts an invisible listener.

    Args:
        uploader: Key of the container of the uploader that gets the files.
        opener: Key of the popover that holds it; opened first where the uploader is not to be seen.
    """
    _component(key="pasted", data={"uploader": f".st-key-{uploader}", "opener": f".st-key-{opener}"})


_component = st.components.v2.component(
    "garmentscope_paste", js=Path(__file__).with_name("paste.js").read_text(encoding="utf-8")
)
