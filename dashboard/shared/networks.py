"""The networks, which all visitors share, and the queue in which photos wait for them.

PyTorch takes seconds to import, so it is imported in a thread while the first visitor still reads the page.
"""

from __future__ import annotations

import atexit
import gc
import sys
import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from segmodels.files import read_json
from segmodels.foreign.formats import digest, weights_of
from segmodels.sentences import first_line

if TYPE_CHECKING:
    from dashboard.shared.inference_queue import Flow, InferenceQueue
    from segmodels.inference.segmenter import Segmenter
    from segmodels.mappings import ClassMapping
    from segmodels.taxonomy import Taxonomy

__all__ = [
    "checkpoint_stamp",
    "flow",
    "loading",
    "mapping_fault",
    "model_bytes",
    "model_names",
    "own_mapping",
    "queue_load",
    "revision",
    "segmenter",
    "taxonomy",
    "usual_seconds",
    "warm_up",
    "warm_up_soon",
]

_SMALL_FILES = (
    *("config.json", "maps.json", "mapping.toml", "metrics.json", "calibration.json", "evidence.parquet"),
    *("kinds.json", "kinds.safetensors", "embedding.safetensors"),
    *("preprocessor_config.json", "garmentscope.json"),  # of networks from elsewhere
)
_FIRST_SECONDS = 8.0  # to import PyTorch and load the default network, on two cores
_took: deque[float] = deque(maxlen=1)  # seconds of the last loading, without the import
_SOON_SECONDS = 2.0
_soon: dict[str, threading.Timer] = {}  # loadings that are to begin, by catalog name
_soon_lock = threading.Lock()
_SWITCH_SECONDS = 0.0005  # at which threads take turns while PyTorch is imported; a page takes hundreds of turns
_GPU_PHOTOS = 4  # photos in work at once while one is on the GPU, as in an ingest


def segmenter(name: str) -> Segmenter:
    """The segmenter of a catalog name, loaded once per server, and again when its checkpoint changes.

    Raises:
        ValueError: If there is no such checkpoint, or it is damaged; the message is for the visitor.
    """
    files = _files_of(name)
    try:
        return _loading(name, files).result()
    except ValueError:
        _loading.clear(name, files)  # so that a mended checkpoint is found
        raise
    except Exception as error:  # no memory on the GPU, or what a library raises
        _loading.clear(name, files)
        raise ValueError(f"{name} could not be loaded: {first_line(error) or type(error).__name__}.") from error


def warm_up(name: str) -> None:
    """Starts loading a segmenter and returns at once."""
    loading(name)


def warm_up_soon(name: str) -> None:
    """Starts loading a segmenter once the page has had time to be shown and to answer a first click."""
    with _soon_lock:
        if name in _soon:
            return
        _soon[name] = threading.Timer(_SOON_SECONDS, _warm_up_now, [name])
        _soon[name].daemon = True
        _soon[name].start()


def _warm_up_now(name: str) -> None:
    try:
        warm_up(name)
    finally:
        with _soon_lock:
            del _soon[name]


def loading(name: str) -> Future[Segmenter]:
    """The segmenter of a catalog name as a future, which is done once it is loaded; `segmenter` then gives it."""
    return _loading(name, _files_of(name))


def usual_seconds() -> float:
    """Time that the last segmenter took to load, in seconds; a guess, with the import of PyTorch, before the first."""
    return _took[-1] if _took else _FIRST_SECONDS


def revision(name: str) -> str:
    """Revision of the weights of an installed checkpoint, as in its results; empty if there are none."""
    from segmodels.checkpoints.catalog import list_checkpoints

    for entry in list_checkpoints():
        if entry.name == name:
            return entry.revision or _weights_digest(entry.folder, checkpoint_stamp(entry.folder))
    return ""


def model_names() -> list[str]:
    """Names of the checkpoints that can be chosen."""
    from segmodels.checkpoints.catalog import list_checkpoints

    return [entry.name for entry in list_checkpoints()]


def model_bytes(name: str) -> int:
    """Size of the weights of a checkpoint that can be chosen, on disk.

    Raises:
        ValueError: If there is no such checkpoint.
    """
    from segmodels.checkpoints.catalog import list_checkpoints

    for entry in list_checkpoints():
        if entry.name == name:
            return sum(each.stat().st_size for each in weights_of(entry.folder))
    raise ValueError(f"There is no model {name!r}.")


def taxonomy(name: str) -> Taxonomy | None:
    """Taxonomy of a checkpoint that can be chosen; None if there is none, or its config cannot be read."""
    from segmodels.checkpoints.catalog import list_checkpoints
    from segmodels.foreign.description import config_values
    from segmodels.taxonomy import taxonomy_of

    for entry in list_checkpoints():
        if entry.name == name:
            try:
                own = config_values(entry.folder) or read_json(entry.folder / "config.json")
                return taxonomy_of(dict(own))
            except (OSError, TypeError, ValueError):
                return None
    return None


def own_mapping(name: str) -> ClassMapping | None:
    """The mapping in the folder of a checkpoint that can be chosen; None if there is none, or it cannot be used."""
    from segmodels.checkpoints.catalog import list_checkpoints
    from segmodels.mappings import MappingError, mapping_beside

    for entry in list_checkpoints():
        if entry.name == name:
            try:
                return mapping_beside(entry.folder)
            except MappingError:
                return None
    return None


def mapping_fault(name: str) -> str:
    """What keeps the mapping in the folder of a checkpoint from being used, as a sentence; empty if nothing does."""
    from segmodels.checkpoints.catalog import list_checkpoints
    from segmodels.mappings import MappingError, mapping_beside

    for entry in list_checkpoints():
        if entry.name == name:
            try:
                mapping_beside(entry.folder)
            except MappingError as error:
                return str(error).replace(str(entry.folder.parent), "").lstrip("/\\")
    return ""


def flow() -> Flow:
    """A visitor's place in the queue for the networks, which all visitors and ingests share."""
    return _queue().flow()


def queue_load() -> tuple[int, int]:
    """Number of photos that wait in the queue for the networks, and of those in work."""
    return _queue().load()


def checkpoint_stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """A value that changes when a file of a checkpoint changes."""
    found = []
    weights = weights_of(folder)
    settings = [file.with_suffix(".json") for file in weights if file.suffix == ".onnx"]
    for file in (*(folder / name for name in _SMALL_FILES), *settings, *weights):
        try:
            stat = file.stat()
        except OSError:
            continue
        found.append((file.name, stat.st_mtime_ns, stat.st_size))
    return tuple(found)


@st.cache_resource(show_spinner=False)  # a cleared queue still serves its visitors
def _queue() -> InferenceQueue:
    """One slot for each thread of a processor.

    Measured on two cores: a photo with two threads takes as long as with one while anything else runs, and two photos
    with a thread each take 0.27 s each instead of 0.40 s. A third at the same time gains nothing.
    """
    import torch

    from dashboard.shared import closed_sessions
    from dashboard.shared.inference_queue import InferenceQueue
    from segmodels.device import pick_device
    from segmodels.inference.memory import return_memory

    threads = _processor_threads()
    on_processor = pick_device().type == "cpu"
    slots = threads if on_processor else _GPU_PHOTOS

    def use_threads(used: int) -> None:
        torch.set_num_threads(max(1, used * threads // slots))  # of the calling thread, and of those that start later

    def rest() -> None:
        use_threads(slots)
        return_memory()

    queue = InferenceQueue(slots, most=slots if on_processor else 1, use_threads=use_threads, when_idle=rest)
    atexit.register(queue.close)
    closed_sessions.begin()
    return queue


@cache
def _processor_threads() -> int:
    """Number of PyTorch's threads, asked for before any worker sets its own."""
    import torch

    return torch.get_num_threads()


def _files_of(name: str) -> object:
    """A value that changes when a name gets another checkpoint: one pulled again, or replaced in its folder."""
    from segmodels.checkpoints.catalog import list_checkpoints

    return next(
        ((str(each.folder), checkpoint_stamp(each.folder)) for each in list_checkpoints() if each.name == name), None
    )


@st.cache_data(show_spinner=False, max_entries=64)
def _weights_digest(folder: Path, stamp: object) -> str:
    try:
        return digest(weights) if (weights := weights_of(folder)) else ""
    except OSError:
        return ""


@st.cache_resource(show_spinner=False, max_entries=11)  # the nine that ship, and two more
def _loading(name: str, files: object) -> Future[Segmenter]:
    executor = ThreadPoolExecutor(1, thread_name_prefix=f"load-{name}")
    future = executor.submit(_load, name)
    executor.submit(_import_charts)
    executor.shutdown(wait=False)
    return future


@cache
def _import_charts() -> None:
    """Draws an unused chart, so that the first page with charts does not wait a second for imports."""
    import plotly.graph_objects as go

    from dashboard.figures.theme import template

    figure = go.Figure([go.Bar(x=[1]), go.Scatter(x=[1]), go.Heatmap(z=[[1]]), go.Sankey()])
    figure.update_xaxes(range=[0, 1]).update_layout(template=template("light"), annotations=[{"text": ""}])
    figure.to_json()
    _spare_collector()


@cache
def _import_networks() -> None:
    """Imports PyTorch and what depends on it, and excludes its half a million objects from garbage collection."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(_SWITCH_SECONDS)  # else each turn of a page waits ten times as long
    try:
        import segmodels.inference.segmenter  # noqa: F401
    finally:
        sys.setswitchinterval(usual)
    _spare_collector()
    atexit.register(gc.unfreeze)  # else DuckDB's bindings call what is left at the end a leak


def _spare_collector() -> None:
    """Excludes all current objects from garbage collection, as imported modules stay.

    Streamlit collects after every run of every visitor, while all other threads wait: 0.3 s each with PyTorch, and
    0.03 s with the charts alone. A frozen object is still freed when nothing refers to it any more; so is a replaced
    network, as it is in no cycle.
    """
    gc.collect()
    gc.freeze()


def _load(name: str) -> Segmenter:
    from segmodels.checkpoints.catalog import load_segmenter

    _import_networks()
    begun = time.monotonic()  # the next network does not wait for PyTorch
    segmenter = load_segmenter(name)
    with flow() as queue:  # the first run of a network is slow and should not count as a photo's time
        queue.submit(segmenter.segment, np.zeros((64, 48, 3), np.uint8)).result()
    _took.append(max(1.0, time.monotonic() - begun))
    return segmenter
