"""Data of the server's data set, cached for all visitors."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from dashboard.dataset.folder import LabelIndex

__all__ = ["label_index", "thumbnail"]


def label_index(root: Path, ids: tuple[str, ...]) -> Future[LabelIndex]:
    """Which labels each mask of a data set's folder holds; begun at the first call and read once per server.

    Args:
        root: The folder.
        ids: Ids of the data set's photos; when there are others, the masks are read again.
    """
    return _indexing(str(root), ids)


@st.cache_data(show_spinner=False, max_entries=500)
def thumbnail(root: str, photo_id: str, masked: bool) -> bytes:
    """A small JPEG of a photo of the server's data set.

    Raises:
        FolderError: If the photo or its mask cannot be read.
    """
    from dashboard.dataset import folder

    return folder.thumbnail(Path(root), photo_id, masked=masked)


@st.cache_resource(show_spinner=False, max_entries=2)
def _indexing(root: str, ids: tuple[str, ...]) -> Future[LabelIndex]:
    from dashboard.dataset.folder import index_labels

    executor = ThreadPoolExecutor(1, thread_name_prefix="index-labels")
    future = executor.submit(index_labels, Path(root), ids)
    executor.shutdown(wait=False)
    return future
