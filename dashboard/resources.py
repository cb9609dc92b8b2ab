"""What all visitors of a server share: the only place with Streamlit's caches.

Nothing of a visitor's photos may come here; they live in that visitor's session.
"""

from __future__ import annotations

import streamlit as st

from segmodels.catalog import load_segmenter
from segmodels.segmenter import Segmenter

__all__ = ["segmenter"]


@st.cache_resource(show_spinner="Loading the network. This happens once.", max_entries=4)
def segmenter(name: str) -> Segmenter:
    """The segmenter of a catalog name, loaded once per server."""
    return load_segmenter(name)
