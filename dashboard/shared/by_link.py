"""Photos that the server fetches for a visitor, from an address that the visitor gives."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.shared.photo_file import PhotoFile
from dashboard.shared.text import literal
from dashboard.shared.waiting import finished
from segmodels.fetch import FETCH_SECONDS, FetchError, fetch
from segmodels.sentences import first_line

__all__ = ["fetch_photo"]

_AT_ONCE = 4  # fetches of all visitors together


def fetch_photo(address: str, place: DeltaGenerator) -> PhotoFile | str:
    """The photo at an address, or the sentence that says why there is none.

    Meanwhile the place says what is done; a click on Cancel there ends it, as any click does.

    Args:
        address: Address as the visitor gave it.
        place: Place of that sentence; empty afterwards.
    """
    with place.container(), st.container(horizontal=True, vertical_alignment="center", key="fetching"):
        bar = st.progress(0.0, text="Opening the link.")
        st.button("Cancel", key="fetching-cancel")
    future = _fetchers().submit(fetch, address)

    def show(seconds: float) -> None:
        left = max(1, round(FETCH_SECONDS - seconds))
        bar.progress(min(1.0, seconds / FETCH_SECONDS), text=f"Opening the link. {left} s left at most.")

    try:
        finished(future, show)
        found = future.result()
    except FetchError as error:
        return str(error)
    except Exception as error:  # belongs to this address alone
        return literal(f"The link could not be opened: {first_line(error)}.")
    finally:
        place.empty()
    return PhotoFile(found.name, found.data)


@cache
def _fetchers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="fetch")
