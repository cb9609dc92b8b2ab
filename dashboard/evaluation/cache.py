"""Scores of checkpoints, cached for all visitors; read again when a file of a checkpoint has changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from dashboard.shared.networks import checkpoint_stamp

if TYPE_CHECKING:
    from dashboard.evaluation.pictures import Source
    from dashboard.evaluation.records import Measurement, Model
    from segmodels.datasets import Dataset
    from segmodels.evaluation.bootstrap import Interval
    from segmodels.evaluation.evidence import Evidence

__all__ = ["difference", "evidence", "intervals", "photo", "photo_and_truth", "scored_model", "scored_models"]


def scored_models() -> list[Model]:
    """What the files of checkpoints, descriptions and maps made elsewhere say; read again when one has changed."""
    from segmodels.checkpoints.catalog import list_maps, match_offers

    folders = {offer.name: offer.folder for offer in match_offers(()) if offer.folder}
    folders |= {f"{name} (maps)" if name in folders else name: folder for name, folder in list_maps().items()}
    return [scored_model(name, folder) for name, folder in folders.items()]


def scored_model(name: str, folder: Path) -> Model:
    """What the files of one checkpoint say of its scores and costs."""
    return _read_model(name, folder, checkpoint_stamp(folder))


def evidence(model: Model, measurement: Measurement) -> tuple[list[Evidence], str]:
    """The photos behind a measurement, and a sentence; one of the two is empty."""
    from dashboard.evaluation.records import evidence_of_measurement

    rows, sentence = _read_evidence(model.folder, checkpoint_stamp(model.folder))
    if sentence:
        return [], f"{model.name}: {sentence}"
    return evidence_of_measurement(model, measurement, rows)


def intervals(model: Model, measurement: Measurement) -> dict[str, Interval]:
    """Each score of a measurement with its interval over the photos; empty without evidence."""
    return _intervals(model.folder, checkpoint_stamp(model.folder), measurement.key, model, measurement)


def difference(first: Model, second: Model, measured: Sequence[Measurement]) -> dict[str, Interval]:
    """Each score of the first model less the second's on the same photos, with its interval; empty without evidence.

    Args:
        first: The first model.
        second: The second model.
        measured: Measurements of the two models.
    """
    stamps = (checkpoint_stamp(first.folder), checkpoint_stamp(second.folder))
    key = (first.folder, second.folder, measured[0].key)
    return _difference(key, stamps, (first, second), tuple(measured))


@st.cache_data(show_spinner=False, max_entries=500)
def photo_and_truth(dataset: str, root: Path | None, photo_id: str) -> Source:
    """What the server has of a photo of the data set that `find_data` found.

    Raises:
        PictureError: If photo or truth is missing or damaged.
    """
    from dashboard.evaluation.pictures import own_source, read_source
    from segmodels.datasets import DATASETS

    if root and dataset in DATASETS:
        return read_source(dataset, root, photo_id)
    return own_source(_own(dataset, root), photo_id)


@st.cache_data(show_spinner=False, max_entries=500)
def photo(dataset: str, root: Path | None, photo_id: str) -> bytes:
    """The small photo that the server has of the data set that `find_data` found; JPEG.

    Raises:
        PictureError: If it is missing or damaged.
    """
    from dashboard.evaluation.pictures import own_photo, read_photo
    from segmodels.datasets import DATASETS

    if root and dataset in DATASETS:
        return read_photo(dataset, root, photo_id)
    return own_photo(_own(dataset, root), photo_id)


@st.cache_resource(show_spinner=False, max_entries=2, ttl=600)
def _own(name: str, data: Path | None) -> Dataset:
    from dashboard.evaluation.pictures import open_own

    return open_own(name, data)


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
    taxonomy = _measurement.common.taxonomy if _measurement.common else _model.taxonomy
    return interval(rows, taxonomy.names) if rows and taxonomy else {}


@st.cache_resource(show_spinner=False, max_entries=256)
def _difference(
    key: object, stamps: object, _models: tuple[Model, Model], _measured: tuple[Measurement, ...]
) -> dict[str, Interval]:
    from segmodels.evaluation.bootstrap import difference

    (first, _), (second, _) = (evidence(*pair) for pair in zip(_models, _measured, strict=True))
    taxonomy = _measured[0].common.taxonomy if _measured[0].common else _models[0].taxonomy
    if not first or not second or not taxonomy:
        return {}
    try:
        return difference(second, first, taxonomy.names)
    except ValueError:  # the photos differ, but have the same number of pixels of each class
        return {}
