"""Data of the server's data sets, cached for all visitors."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

if TYPE_CHECKING:
    from dashboard.dataset.folder import LabelIndex
    from dashboard.dataset.reading import Counted, Reading, Source

__all__ = ["forget", "label_index", "reading", "source_thumbnail", "thumbnail"]


def label_index(root: Path, ids: tuple[str, ...]) -> Future[LabelIndex]:
    """Which labels each mask of a data set's folder holds; begun at the first call and read once per server.

    Args:
        root: The folder.
        ids: Ids of the data set's photos; when there are others, the masks are read again.
    """
    return _indexing(str(root), ids)


def reading(source: Source) -> Reading:
    """The reading of a data set; begun at the first call, and again when its file or folder has changed.

    Args:
        source: The data set.
    """
    return _reading(source, _stamp(source))


def forget(source: Source) -> None:
    """Lets a data set that could not be read be read again at the next call.

    Args:
        source: The data set.
    """
    _reading.clear(source, _stamp(source))


@st.cache_data(show_spinner=False, max_entries=500)
def thumbnail(root: str, photo_id: str, masked: bool) -> bytes:
    """A small JPEG of a photo of the server's data set.

    Raises:
        FolderError: If the photo or its mask cannot be read.
    """
    from dashboard.dataset import folder

    return folder.thumbnail(Path(root), photo_id, masked=masked)


@st.cache_data(show_spinner=False, max_entries=500)
def source_thumbnail(key: str, _counted: Counted, photo_id: str, masked: bool) -> bytes:
    """A small JPEG of a photo of another data set.

    Raises:
        FolderError: If the photo or its mask cannot be read.
    """
    from dashboard.dataset.album import picture_of

    return picture_of(_counted, photo_id, masked=masked)


@st.cache_resource(show_spinner=False, max_entries=2)
def _indexing(root: str, ids: tuple[str, ...]) -> Future[LabelIndex]:
    from dashboard.dataset.folder import index_labels

    executor = ThreadPoolExecutor(1, thread_name_prefix="index-labels")
    future = executor.submit(index_labels, Path(root), ids)
    executor.shutdown(wait=False)
    return future


@st.cache_resource(show_spinner=False, max_entries=4)
def _reading(source: Source, stamp: tuple[float, ...]) -> Reading:
    from dashboard.dataset.reading import Reading
    from dashboard.shared.background import begin

    return begin(Reading(source, f"{source[0]} {source[1] or ''} {stamp}"))


def _stamp(source: Source) -> tuple[float, ...]:
    """When the file or folder and the folder of the photos were changed; what changes deeper in them is not seen."""
    name, data = source
    found: list[float] = []
    for path in (Path(name.partition(":")[2]), data):
        try:
            found.append(path.stat().st_mtime if path else 0.0)
        except OSError:  # also a name on the Hub
            found.append(0.0)
    return tuple(found)
