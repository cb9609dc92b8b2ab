"""What all visitors of a server share: the only place with Streamlit's caches.

Nothing of a visitor's photos may come here; they live in that visitor's session. PyTorch takes seconds to import, so it
is imported in a thread while the first visitor still reads the page.
"""

from __future__ import annotations

import atexit
import gc
import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

if TYPE_CHECKING:
    from dashboard.archive.shelf import Contents
    from dashboard.dataset.folder import LabelIndex
    from dashboard.evaluation.pictures import Source
    from dashboard.evaluation.records import Measurement, Model
    from dashboard.models.listing import Listing
    from dashboard.shared.inference_queue import InferenceQueue, Visit
    from segmodels.archive.facts import Facts
    from segmodels.archive.store import Version
    from segmodels.evaluation.bootstrap import Interval
    from segmodels.evaluation.evidence import Evidence
    from segmodels.inference.segmenter import Segmenter

__all__ = [
    "archive_contents",
    "archive_photo",
    "difference",
    "evidence",
    "facts",
    "hub_listing",
    "intervals",
    "label_index",
    "model_bytes",
    "model_names",
    "photo_and_truth",
    "revision",
    "scored_model",
    "scored_models",
    "segmenter",
    "thumbnail",
    "versions",
    "visit",
    "warm_up",
]

_GPU_PHOTOS = 4  # that are on their way while one is in the GPU, as in an ingest


def segmenter(name: str) -> Segmenter:
    """The segmenter of a catalog name, loaded once per server, and again when its checkpoint is another one.

    Raises:
        ValueError: If there is no such checkpoint, or it is damaged; the message is for the visitor.
    """
    files = _files_of(name)
    try:
        return _loading(name, files).result()
    except ValueError:
        _loading.clear(name, files)  # so that a mended checkpoint is found
        raise


def warm_up(name: str) -> None:
    """Starts loading a segmenter and returns at once."""
    _loading(name, _files_of(name))


def revision(name: str) -> str:
    """What identifies the weights of a checkpoint that is here, as its results say it; empty if there are none."""
    from segmodels.checkpoints.catalog import list_checkpoints

    for entry in list_checkpoints():
        if entry.name == name:
            return entry.revision or _weights_digest(entry.folder, _stamp(entry.folder))
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
            return (entry.folder / "model.safetensors").stat().st_size
    raise ValueError(f"There is no model {name!r}.")


def visit() -> Visit:
    """A visitor's place in the queue for the networks, which all visitors share and an ingest of the Archive too."""
    return _queue().visit()


@st.cache_resource(show_spinner=False)  # one that is cleared still serves those who are in it
def _queue() -> InferenceQueue:
    """One slot for each thread of a processor.

    Measured on two cores: a photo with two threads takes as long as with one while anything else runs, and two photos
    with a thread each take 0.27 s each instead of 0.40 s. A third at the same time gains nothing.
    """
    import torch

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
    return queue


@cache
def _processor_threads() -> int:
    """Number of PyTorch's threads, asked for before any worker sets its own."""
    import torch

    return torch.get_num_threads()


def _files_of(name: str) -> object:
    """Changes when a name stands for another checkpoint: one that was pulled anew, or was replaced in its folder."""
    from segmodels.checkpoints.catalog import list_checkpoints

    return next(((str(each.folder), _stamp(each.folder)) for each in list_checkpoints() if each.name == name), None)


@st.cache_data(show_spinner=False, max_entries=64)
def _weights_digest(folder: Path, stamp: object) -> str:
    try:
        with (folder / "model.safetensors").open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[
                :12
            ]  # as `segmodels.checkpoints.checkpoint` does on loading
    except OSError:
        return ""


@st.cache_resource(show_spinner=False, max_entries=11)  # the ten that ship, and another
def _loading(name: str, files: object) -> Future[Segmenter]:
    executor = ThreadPoolExecutor(1, thread_name_prefix=f"load-{name}")
    future = executor.submit(_load, name)
    executor.submit(_import_charts)
    executor.shutdown(wait=False)
    return future


@cache
def _import_charts() -> None:
    """Draws a chart for nobody: whoever opens the first page with charts is spared a second of imports and checks."""
    import plotly.graph_objects as go

    from dashboard.figures.theme import template

    figure = go.Figure([go.Bar(x=[1]), go.Scatter(x=[1]), go.Heatmap(z=[[1]]), go.Sankey()])
    figure.update_xaxes(range=[0, 1]).update_layout(template=template("light"), annotations=[{"text": ""}])
    figure.to_json()
    _spare_collector()


@cache
def _import_networks() -> None:
    """Imports PyTorch and what stands on it, and spares the garbage collector its half a million objects."""
    import segmodels.inference.segmenter  # noqa: F401

    _spare_collector()
    atexit.register(gc.unfreeze)  # else DuckDB's bindings call what is left at the end a leak


def _spare_collector() -> None:
    """Spares the garbage collector all objects that are there: what is imported stays.

    Streamlit collects after every run of every visitor, while no other thread gets on: 0.3 s each with PyTorch, and
    0.03 s with the charts alone. What is frozen is no longer collected, but it is still freed when nothing refers to
    it any more; a network that another one replaces is, as no cycle holds it.
    """
    gc.collect()
    gc.freeze()


def _load(name: str) -> Segmenter:
    from segmodels.checkpoints.catalog import load_segmenter

    _import_networks()
    segmenter = load_segmenter(name)
    with visit() as queue:  # a first look is slow; no photo's time should hold it
        queue.submit(segmenter.segment, np.zeros((64, 48, 3), np.uint8)).result()
    return segmenter


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


def archive_contents(location: str) -> list[Contents]:
    """What an archive holds, version by version; read again when a part has changed.

    Raises:
        ArchiveError: If it cannot be listed, or a part is damaged.
    """
    from dashboard.archive.shelf import stamp
    from segmodels.archive.store import Archive

    return _read_contents(location, stamp(Archive(location)))


@st.cache_data(show_spinner=False, max_entries=64)
def _read_contents(location: str, stamp: object) -> list[Contents]:
    from dashboard.archive.shelf import read_contents
    from segmodels.archive.store import Archive

    return read_contents(Archive(location))


def scored_models() -> list[Model]:
    """What the files of each checkpoint and description say of its scores; read again when a file has changed."""
    from segmodels.checkpoints.catalog import match_offers

    return [scored_model(offer.name, offer.folder) for offer in match_offers(()) if offer.folder]


def scored_model(name: str, folder: Path) -> Model:
    """What the files of one checkpoint say of its scores and costs."""
    return _read_model(name, folder, _stamp(folder))


def hub_listing() -> Listing | None:
    """What the Hub's owner has there; None where `GARMENTSCOPE_HUB` names nobody. Asks nobody by itself."""
    from segmodels.checkpoints.catalog import hub_owner

    owner = hub_owner()
    return _listing(owner, os.environ.get("HF_ENDPOINT", "")) if owner else None


@st.cache_resource(show_spinner=False, max_entries=4)
def _listing(owner: str, endpoint: str) -> Listing:
    from dashboard.models.listing import Listing

    return Listing(owner)


def evidence(model: Model, measurement: Measurement) -> tuple[list[Evidence], str]:
    """The photos behind a measurement, and a sentence; one of the two is empty."""
    from dashboard.evaluation.records import evidence_of_measurement

    rows, sentence = _read_evidence(model.folder, _stamp(model.folder))
    if sentence:
        return [], f"{model.name}: {sentence}"
    return evidence_of_measurement(model, measurement, rows)


def intervals(model: Model, measurement: Measurement) -> dict[str, Interval]:
    """Each score of a measurement with its interval over the photos; empty without evidence."""
    return _intervals(model.folder, _stamp(model.folder), measurement.key, model, measurement)


def difference(first: Model, second: Model, measured: Sequence[Measurement]) -> dict[str, Interval]:
    """Each score of the first model less the second's on the same photos, with its interval; empty without evidence.

    Args:
        first: The first model.
        second: The second model.
        measured: Measurements of the two models.
    """
    stamps = (_stamp(first.folder), _stamp(second.folder))
    key = (first.folder, second.folder, measured[0].key)
    return _difference(key, stamps, (first, second), tuple(measured))


@st.cache_data(show_spinner=False, max_entries=500)
def photo_and_truth(dataset: str, root: Path, photo_id: str) -> Source:
    """What the folder of the server's data set has of a photo.

    Raises:
        PictureError: If photo or truth is missing or damaged.
    """
    from dashboard.evaluation.pictures import read_source

    return read_source(dataset, root, photo_id)


def versions(location: str) -> list[Version]:
    """Whose rows an archive holds.

    Raises:
        ArchiveError: If it cannot be listed.
    """
    from segmodels.archive.store import Archive

    return Archive(location).versions()


def facts(location: str, version: Version) -> tuple[Future[Facts], list[str]]:
    """The outfits of an archive's version, which take seconds to read the first time and after a change.

    Returns:
        What will hold them, or the `ArchiveError` that stopped it; and the steps begun so far, as sentences.
    """
    key = (location, version, _parts_stamp(location, version))
    future, steps = _loading_facts(*key)
    if future.done() and future.exception():
        _loading_facts.clear(*key)
        future, steps = _loading_facts(*key)
    return future, steps


@st.cache_data(show_spinner=False, max_entries=500)
def archive_photo(roots: tuple[Path, ...], file_name: str, identity: str) -> bytes:
    """The small photo of an archive's row, out of the server's folders.

    Raises:
        PictureError: If it is in none of them, is another file, or is damaged.
    """
    from dashboard.trends.photos import read_photo

    return read_photo(roots, file_name, identity)


def _parts_stamp(location: str, version: Version) -> tuple[object, ...]:
    """Changes when a part of an archive does; new tags replace a part by one of the same name."""
    from segmodels.archive.place import Place

    place = Place(location)
    names = [name for name in place.files(version.folder) if name.endswith(".parquet")]
    if place.local is None:
        return tuple(names)
    return tuple((name, (place.local / name).stat().st_mtime_ns) for name in names if (place.local / name).exists())


@st.cache_resource(show_spinner=False, max_entries=4)
def _loading_facts(location: str, version: Version, stamp: object) -> tuple[Future[Facts], list[str]]:
    steps: list[str] = []
    executor = ThreadPoolExecutor(1, thread_name_prefix="facts")
    future = executor.submit(_load_facts, location, version, steps.append)
    executor.shutdown(wait=False)
    return future, steps


atexit.register(_loading_facts.clear)  # DuckDB complains of connections that are open when Python ends


def _load_facts(location: str, version: Version, progress: Callable[[str], None]) -> Facts:
    from segmodels.archive.facts import Facts
    from segmodels.archive.store import Archive, ArchiveError
    from segmodels.taxonomy import TAXONOMIES

    if version.taxonomy not in TAXONOMIES:
        raise ArchiveError(f"{version} has classes that this app does not know. Update the app.")
    return Facts(Archive(location).reader(version), TAXONOMIES[version.taxonomy], progress)


def _stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Changes when a file of a checkpoint does."""
    found = []
    for name in ("config.json", "metrics.json", "evidence.parquet", "model.safetensors"):
        try:
            stat = (folder / name).stat()
        except OSError:
            continue
        found.append((name, stat.st_mtime_ns, stat.st_size))
    return tuple(found)


@st.cache_resource(show_spinner=False, max_entries=64)
def _read_model(name: str, folder: Path, stamp: object) -> Model:
    from dashboard.evaluation.records import read_model

    return read_model(name, folder)


@st.cache_resource(show_spinner=False, max_entries=64)
def _read_evidence(folder: Path, stamp: object) -> tuple[list[Evidence], str]:
    from segmodels.evaluation.evidence import EVIDENCE_FILE, EvidenceError, read_evidence

    try:
        return read_evidence(folder / EVIDENCE_FILE)[0], ""
    except EvidenceError as error:
        return [], str(error).replace(f"{folder}/", "")


@st.cache_resource(show_spinner=False, max_entries=256)
def _intervals(
    folder: Path, stamp: object, key: object, _model: Model, _measurement: Measurement
) -> dict[str, Interval]:
    from segmodels.evaluation.bootstrap import interval

    rows, _ = evidence(_model, _measurement)
    return interval(rows, _model.taxonomy.names) if rows and _model.taxonomy else {}


@st.cache_resource(show_spinner=False, max_entries=256)
def _difference(
    key: object, stamps: object, _models: tuple[Model, Model], _measured: tuple[Measurement, ...]
) -> dict[str, Interval]:
    from segmodels.evaluation.bootstrap import difference

    (first, _), (second, _) = (evidence(*pair) for pair in zip(_models, _measured, strict=True))
    if not first or not second or not _models[0].taxonomy:
        return {}
    try:
        return difference(second, first, _models[0].taxonomy.names)
    except ValueError:  # of other photos that happen to show the same pixels of each class
        return {}
