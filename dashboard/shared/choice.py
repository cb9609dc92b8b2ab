"""A select box whose choice a page keeps in its state."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import streamlit as st

__all__ = ["choose"]

Option = TypeVar("Option")


def choose(
    label: str, options: Sequence[Option], chosen: Option, take: Callable[[Option], object], *, key: str, **looks: Any
) -> None:
    """Draws a select box that shows what the state says, and tells the state what the visitor chooses.

    A select box with an index and no key is another widget once its index has changed, and Streamlit drops what the
    visitor chose in the one before: every second choice is lost. So this one has a key, the state is changed before
    the script runs, and the box is set when something else has changed the state.

    Args:
        label: Label.
        options: Options, of which none occurs twice.
        chosen: Option that is chosen now.
        take: Function that puts the visitor's choice into the state.
        key: Streamlit key.
        **looks: Further arguments of `st.selectbox`.
    """

    def answer() -> None:
        take(st.session_state[key])

    if st.session_state.get(key) != chosen:
        st.session_state[key] = chosen
    every: Sequence[Any] = options
    st.selectbox(label, every, key=key, on_change=answer, **looks)
