"""The result of every reader, and its error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from segmodels.errors import GarmentscopeError
from segmodels.photo import open_photo, read_stored
from segmodels.sentences import listed
from segmodels.taxonomy import Taxonomy

__all__ = ["Dataset", "DatasetError", "DrawnTruth"]


class DatasetError(GarmentscopeError, ValueError):
    """A data set, or one file of it, that cannot be used; the message says which file and what to do."""


@dataclass(frozen=True)
class DrawnTruth:
    """The truth of one photo, and what had to be decided to make it.

    Args:
        truth: Class ids, uint8 `(H, W)`, upright.
        turned: Whether it was drawn on the photo as it lies in its file, and turned upright with it.
        contested: Number of pixels that were marked as two classes.
    """

    truth: np.ndarray
    turned: bool = False
    contested: int = 0


@dataclass(frozen=True)
class Dataset:
    """Photos with a ground truth for each of their pixels.

    Args:
        name: Name of the data set, a key in `DATASETS`; of a source, its kind, `-` and the name of its file or folder.
        root: The folder that was read.
        taxonomy: The classes of the truth.
        ids: Ids of all photos that have a truth, sorted.
        photo_path: Function that gives the path of the photo of an id.
        truth_path: Function that gives the path of the truth of an id.
        read_truth: Function that gives the class map of an id, uint8 `(H, W)`.
        parts: The data sets that it combines, if any; its ids are their names, `-` and their ids.
        labels: The source's own labels by id, where they are finer than the classes.
        aliases: Class name by label; a label without one is in no class.
        read_labels: Function that gives the labels of an id before they become classes, uint8 `(H, W)`.
        tagged: Ids of further photos that have tags and no truth.
        draw_truth: Function that gives what `read_truth` gives, and how it came about; None where nothing was decided.
        faults: A sentence for each thing that was wrong when the data set was opened and belongs to none of the ids.
        notes: A sentence for each thing that had to be decided when it was opened.
        columns: What the source says of its photos beside their truths: text by id, by name of the column.
        folds: Fold by id, where a file says so; None where folds are stored or made.
        reading: Text that is another one wherever the same files would give another truth: what stands for a class.
        kinds: Labels that say each kind, by name of the kind, by name of the class. A label of a class that is in none
            says nothing of the kind.
        supercategories: Supercategory by class name, of the classes for which the source says one.
    """

    name: str
    root: Path
    taxonomy: Taxonomy
    ids: tuple[str, ...]
    photo_path: Callable[[str], Path]
    truth_path: Callable[[str], Path]
    read_truth: Callable[[str], np.ndarray]
    parts: tuple[Dataset, ...] = ()
    labels: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    read_labels: Callable[[str], np.ndarray] | None = None
    tagged: tuple[str, ...] = ()
    draw_truth: Callable[[str], DrawnTruth] | None = None
    faults: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    columns: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    folds: Mapping[str, int] | None = None
    reading: str = ""
    kinds: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    supercategories: Mapping[str, str] = field(default_factory=dict)

    def photo(self, photo_id: str) -> np.ndarray:
        """The photo, uint8 `(H, W, 3)` RGB.

        Raises:
            PhotoError: If the file is missing or damaged.
        """
        return open_photo(self.photo_path(photo_id), max_bytes=None)

    def pair(self, photo_id: str) -> tuple[np.ndarray, np.ndarray]:
        """The photo, uint8 `(H, W, 3)` RGB, and its truth, uint8 `(H, W)`.

        Raises:
            PhotoError: If the photo is missing or damaged.
            DatasetError: If the truth is missing or damaged, or its size is not the photo's.
        """
        photo, truth = self.photo(photo_id), self.read_truth(photo_id)
        self._check_size(photo_id, (photo.shape[1], photo.shape[0]), truth)
        return photo, truth

    def drawn_pair(self, photo_id: str) -> tuple[np.ndarray, DrawnTruth]:
        """The photo, and its truth with what had to be decided to make it.

        Raises:
            PhotoError: If the photo is missing or damaged.
            DatasetError: If the truth is missing or damaged, or its size is not the photo's.
        """
        photo, drawn = self.photo(photo_id), self._drawn(photo_id)
        self._check_size(photo_id, (photo.shape[1], photo.shape[0]), drawn.truth)
        return photo, drawn

    def drawn(self, photo_id: str) -> DrawnTruth:
        """What `drawn_pair` gives without the photo, of which only the header is read.

        Raises:
            PhotoError: If the photo is missing or is none.
            DatasetError: If the truth is missing or damaged, or its size is not the photo's.
        """
        drawn = self._drawn(photo_id)
        self._check_size(photo_id, read_stored(self.photo_path(photo_id)).upright_size, drawn.truth)
        return drawn

    def _drawn(self, photo_id: str) -> DrawnTruth:
        return self.draw_truth(photo_id) if self.draw_truth else DrawnTruth(self.read_truth(photo_id))

    def _check_size(self, photo_id: str, size: tuple[int, int], truth: np.ndarray) -> None:
        if truth.shape != size[::-1]:
            raise DatasetError(
                f"{self.name} {photo_id}: the mask is {truth.shape[1]} x {truth.shape[0]} pixels, "
                f"its photo {size[0]} x {size[1]}. Get both files again."
            )

    def select(self, ids: list[str]) -> tuple[str, ...]:
        """The given ids, in their order.

        Raises:
            DatasetError: If one of them has no truth here; the message names the first few.
        """
        known = set(self.ids)
        missing = [photo_id for photo_id in ids if photo_id not in known]
        if missing:
            raise DatasetError(
                f"{len(missing)} of {len(ids)} ids are not in {self.name} at {self.root}: {listed(missing)}."
            )
        return tuple(ids)
