"""The people in the background of Clothing Co-Parsing's photos, and photos as a source of scenes that knows them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segmodels.datasets import Dataset, DatasetError
from train.data.cache import open_cache
from train.data.split import SPLITS
from train.detector.source import Source

__all__ = ["BYSTANDERS", "open_source", "read_bystanders"]

BYSTANDERS = SPLITS / "ccp_bystanders.csv"
"""People in the background of Clothing Co-Parsing's photos: what `train.detector.fit.list_bystanders` found."""


def open_source(dataset: Dataset, ids: Sequence[str], side: int, bystanders: bool = True) -> Source:
    """Photos of a data set as a source of scenes.

    Args:
        dataset: Data set whose truths label one person a photo.
        ids: Ids of the photos.
        side: Long side at which they are kept, in pixels.
        bystanders: Whether the stored list of bystanders is known.

    Raises:
        DatasetError: If an id is unknown, or no photo can be read.
    """
    photos = open_cache(dataset, dataset.select(list(ids)), side)
    return Source(photos, read_bystanders() if bystanders else None)


def read_bystanders(path: Path = BYSTANDERS) -> dict[str, np.ndarray]:
    """Boxes of a list of bystanders by id, `(n, 4)` in shares of the photo: left, top, right, bottom.

    Raises:
        DatasetError: If there is no such list.
    """
    if not path.is_file():
        raise DatasetError(f"There is no list of bystanders {path}. Make it with list-bystanders.")
    boxes: dict[str, list[list[float]]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            boxes.setdefault(row["id"], []).append([float(row[key]) for key in ("left", "top", "right", "bottom")])
    return {photo_id: np.array(of_photo) for photo_id, of_photo in boxes.items()}
