"""Contents of archives, cached for all visitors."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from dashboard.archive.shelf import Contents

__all__ = ["archive_contents", "forget_contents"]


def archive_contents(location: str) -> list[Contents]:
    """Contents of an archive, version by version; read again when a part has changed.

    Raises:
        ArchiveError: If it cannot be listed, or a part is damaged.
    """
    from dashboard.archive.shelf import stamp
    from segmodels.archive.store import Archive

    return _read_contents(location, stamp(Archive(location)))


def forget_contents() -> None:
    """Drops the contents that are kept in memory."""
    _read_contents.clear()


@st.cache_data(show_spinner=False, max_entries=64)
def _read_contents(location: str, stamp: object) -> list[Contents]:
    from dashboard.archive.shelf import read_contents
    from segmodels.archive.store import Archive

    return read_contents(Archive(location))
