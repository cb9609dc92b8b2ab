"""The state of a page: one typed object in a visitor's session."""

from __future__ import annotations

from typing import TypeVar

import streamlit as st

from dashboard.shared.keeping import kept

__all__ = ["page_state"]

State = TypeVar("State")


def page_state(kind: type[State]) -> State:
    """The object that holds a page's state in this visitor's session, made at first use.

    A new session gets the state that the address leads to, if there is one; see `keeping`.

    Streamlit stops a script when it next draws or asks for the session state; until then the script goes on beside the
    visitor's next run, and both change this object. So a script that works for long holds the lists and dicts that it
    fills in variables of its own: the next run may have put others in their place.

    Args:
        kind: Dataclass of the page, each field with a default, from an imported module: Streamlit runs the file of a
            page anew each time, and would define another class.
    """
    found = st.session_state.get(kind.__name__)
    if isinstance(found, kind):  # else there is none, or its module has been edited and imported anew
        return found
    state = st.session_state[kind.__name__] = kept(kind) or kind()
    return state
