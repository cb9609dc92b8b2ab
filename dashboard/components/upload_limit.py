"""Reports files over the uploader's size limit to Python, as Streamlit does not send them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import streamlit as st

from segmodels.photo import MAX_BYTES, over_limit

__all__ = ["watch_uploads"]

_KEY = "upload-limit"


def watch_uploads(intake: int, on_refused: Callable[[Sequence[str], bool], None], *, limit: int = MAX_BYTES) -> None:
    """Mounts an invisible listener for every file uploader of the page.

    Args:
        intake: Changes when chosen files have been taken in; only then it is told which others were refused.
        on_refused: Called before the script runs anew, with one sentence for each file over the limit in the last
            selection, and whether there was no other file in it.
        limit: Most bytes that an uploader of the page takes for a file.
    """

    def answer() -> None:
        refused = st.session_state[_KEY].refused
        sentences = [over_limit(str(file["name"]), int(file["size"]), limit) for file in refused["files"]]
        on_refused(sentences, bool(refused["alone"]))

    _component(key=_KEY, data={"bytes": limit, "intake": intake}, on_refused_change=answer)


_component = st.components.v2.component(
    "garmentscope_upload_limit", js=Path(__file__).with_name("upload_limit.js").read_text(encoding="utf-8")
)
