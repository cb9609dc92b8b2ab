"""A row of small pictures, of which one is chosen."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from pathlib import Path

import streamlit as st

__all__ = ["picture_strip"]


def picture_strip(
    pictures: Sequence[tuple[str, bytes]],
    chosen: int | None,
    on_choice: Callable[[int], object],
    *,
    label: str,
    key: str,
) -> None:
    """Mounts the row.

    Args:
        pictures: Title and JPEG of each.
        chosen: Index of the one that is on show; None for none of them.
        on_choice: Called with the index of the one chosen, before the script runs anew.
        label: What the row is, for screen readers.
        key: Streamlit key.
    """

    def answer() -> None:
        on_choice(int(st.session_state[key].chosen))

    data = [{"title": title, "jpeg": base64.b64encode(jpeg).decode("ascii")} for title, jpeg in pictures]
    _component(key=key, data={"label": label, "pictures": data, "chosen": chosen}, on_chosen_change=answer)


_FOLDER = Path(__file__).parent
_component = st.components.v2.component(
    "garmentscope_picture_strip",
    css=(_FOLDER / "picture_strip.css").read_text(encoding="utf-8"),
    js=(_FOLDER / "picture_strip.js").read_text(encoding="utf-8"),
)
