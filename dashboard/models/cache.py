"""Answers of the Hub, cached for all visitors."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from dashboard.models.listing import Listing

__all__ = ["hub_listing"]


def hub_listing() -> Listing | None:
    """Checkpoints of the owner in `GARMENTSCOPE_HUB`; None if it is not set. Sends no request itself."""
    from segmodels.checkpoints.catalog import hub_owner

    owner = hub_owner()
    return _listing(owner, os.environ.get("HF_ENDPOINT", "")) if owner else None


@st.cache_resource(show_spinner=False, max_entries=4)
def _listing(owner: str, endpoint: str) -> Listing:
    from dashboard.models.listing import Listing

    return Listing(owner)
