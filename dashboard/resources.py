"""What all visitors of a server share: the only place with Streamlit's caches.

Nothing of a visitor's photos may come here; they live in that visitor's session. PyTorch takes seconds to import, so it
is imported in a thread while the first visitor still reads the page.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

if TYPE_CHECKING:
    from dashboard.datasets.folder import LabelIndex
    from segmodels.segmenter import Segmenter

__all__ = ["label_index", "model_bytes", "model_names", "segmenter", "thumbnail", "warm_up"]


def segmenter(name: str) -> Segmenter:
    """The segmenter of a catalog name, loaded once per server.

    Raises:
        ValueError: If there is no such checkpoint, or it is damaged; the message is for the visitor.
    """
    try:
        return _loading(name).result()
    except ValueError:
        _loading.clear(name)  # so that a mended checkpoint is found
        raise


def warm_up(name: str) -> None:
    """Starts loading a segmenter and returns at once."""
    _loading(name)


def model_names() -> list[str]:
    """Names of the checkpoints that can be chosen."""
    from segmodels.catalog import list_checkpoints

    return [entry.name for entry in list_checkpoints()]


def model_bytes(name: str) -> int:
    """Size of the weights of a checkpoint that can be chosen, on disk.

    Raises:
        ValueError: If there is no such checkpoint.
    """
    from segmodels.catalog import list_checkpoints

    for entry in list_checkpoints():
        if entry.name == name:
            return (entry.folder / "model.safetensors").stat().st_size
    raise ValueError(f"There is no model {name!r}.")


@st.cache_resource(show_spinner=False, max_entries=4)
def _loading(name: str) -> Future[Segmenter]:
    executor = ThreadPoolExecutor(1, thread_name_prefix=f"load-{name}")
    future = executor.submit(_load, name)
    executor.shutdown(wait=False)
    return future


def _load(name: str) -> Segmenter:
    from segmodels.catalog import load_segmenter

    segmenter = load_segmenter(name)
    segmenter.segment(np.zeros((64, 48, 3), np.uint8))  # a first look is slow; no photo's time should hold it
    return segmenter


def label_index(root: Path, ids: tuple[str, ...]) -> Future[LabelIndex]:
    """Which labels each mask of a data set's folder holds; begun at the first call and read once per server.

    Args:
        root: The folder.
        ids: Of its photos; when there are others, the masks are read again.
    """
    return _indexing(str(root), ids)


@st.cache_data(show_spinner=False, max_entries=500)
def thumbnail(root: str, photo_id: str, masked: bool) -> bytes:
    """A small JPEG of a photo of the server's data set.

    Raises:
        FolderError: If the photo or its mask cannot be read.
    """
    from dashboard.datasets import folder

    return folder.thumbnail(Path(root), photo_id, masked=masked)


@st.cache_resource(show_spinner=False, max_entries=2)
def _indexing(root: str, ids: tuple[str, ...]) -> Future[LabelIndex]:
    from dashboard.datasets.folder import index_labels

    executor = ThreadPoolExecutor(1, thread_name_prefix="index-labels")
    future = executor.submit(index_labels, Path(root), ids)
    executor.shutdown(wait=False)
    return future
