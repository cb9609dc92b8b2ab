"""Data sets that `GARMENTSCOPE_DATASETS` names: their masks are counted once, in a task beside the pages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from dashboard.dataset.folder import LabelIndex
from dashboard.dataset.shipped import Count, Sizes, Statistics
from dashboard.shared.background import Task
from segmodels.datasets import DATASETS, Dataset, DatasetError, open_dataset
from segmodels.datasets.inspection import background_sentence, size_bins
from segmodels.errors import GarmentscopeError
from segmodels.photo import PhotoError
from segmodels.sentences import first_line

__all__ = ["Counted", "Reading", "Source", "count_masks", "pairs_table", "source_names", "source_statistics"]

Source = tuple[str, Path | None]
"""A data set as commands spell it, and the folder of its photos if that is another."""


@dataclass(frozen=True)
class Counted:
    """A data set, and what its masks hold.

    Args:
        dataset: The data set.
        index: Pixels of each class by photo.
        sizes: Widths and heights, int `(photos, 2)`, pixels.
        turned: Number of masks that were turned upright with their photos.
        contested: Number of pixels that were marked as two classes, by id of each photo with such.
    """

    dataset: Dataset
    index: LabelIndex
    sizes: np.ndarray
    turned: int
    contested: Mapping[str, int]

    def faults(self) -> list[str]:
        """A sentence for each thing that is wrong: first those of the data set, then those of its photos."""
        return [*self.dataset.faults, *(f"{photo_id}: {why}" for photo_id, why in self.index.unreadable.items())]

    def notes(self) -> list[str]:
        """Sentences on what had to be decided."""
        notes = [*self.dataset.notes]
        if self.turned:
            notes.append(
                f"Photos that lie turned in their files, and whose masks were turned with them: {self.turned}."
            )
        if self.contested:
            notes.append(
                f"Marked as two classes, and given to the smaller region: {sum(self.contested.values()):,} pixels in "
                f"{len(self.contested):,} photo{'s' if len(self.contested) > 1 else ''}."
            )
        rest = self.index.pixels[:, 1:].sum(axis=1).tolist()  # what is not background
        empty = [photo_id for photo_id, pixels in zip(self.index.ids, rest, strict=True) if not pixels]
        return [*notes, *background_sentence(empty)]


class Reading(Task):
    """The opening of a data set, and the counting of its masks.

    Args:
        source: The data set.
        key: Text that is another one when its files have changed.

    Attributes:
        done: Number of masks that were looked at.
        total: Number of masks; 0 before it is known.
        counted: What was found, once the phase is `done`.
    """

    def __init__(self, source: Source, key: str) -> None:
        super().__init__(key)
        self.source = source
        self.done = self.total = 0
        self.counted: Counted | None = None

    @property
    def words(self) -> str:
        """What it does now."""
        if not self.total:
            return "Opening the data set."
        return f"Reading masks: {self.done:,} of {self.total:,}."

    def work(self) -> None:
        """Opens and counts.

        Raises:
            DatasetError: If it cannot be opened, or no photo of it can be read.
        """
        name, data = self.source
        if name in DATASETS and data is None:
            raise DatasetError(f"Write the folder of {name} behind it: {name}=FOLDER.")
        self.counted = count_masks(open_dataset(name, data), self._tell)

    def explain(self, error: Exception) -> str:
        """The sentence for the visitor."""
        if isinstance(error, GarmentscopeError):
            return str(error)
        return f"{type(error).__name__}: {first_line(error)}."

    def _tell(self, done: int, total: int) -> None:
        self.done, self.total = done, total


def count_masks(dataset: Dataset, tell: Callable[[int, int], object] = lambda done, total: None) -> Counted:
    """Reads each mask once, and the headers of the photos; what cannot be read is named and never ends it.

    Args:
        dataset: Data set to count.
        tell: Function that is told before each mask how many were looked at, and how many there are.

    Raises:
        DatasetError: If no photo can be read.
    """
    read: list[str] = []
    pixels: list[np.ndarray] = []
    sizes: list[tuple[int, int]] = []
    unreadable: dict[str, str] = {}
    contested: dict[str, int] = {}
    turned = 0
    for place, photo_id in enumerate(dataset.ids):
        tell(place, len(dataset.ids))
        try:
            drawn = dataset.drawn(photo_id)
        except (DatasetError, PhotoError) as error:
            unreadable[photo_id] = str(error)
            continue
        read.append(photo_id)
        pixels.append(np.bincount(drawn.truth.ravel(order="K"), minlength=256))
        sizes.append((drawn.truth.shape[1], drawn.truth.shape[0]))
        turned += drawn.turned
        if drawn.contested:
            contested[photo_id] = drawn.contested
    if not read:
        first = next(iter(unreadable.values()), "there is none")
        raise DatasetError(f"None of the {len(dataset.ids)} photos can be read. The first: {first}")
    index = LabelIndex(tuple(read), np.array(pixels, np.int64), unreadable)
    return Counted(dataset, index, np.array(sizes, np.int64), turned, contested)


def source_names(sources: Sequence[Source]) -> dict[str, Source]:
    """The data sets by the name that the page has for them: `coco:a.json`, or `coco:shop/a.json` beside another one.

    Args:
        sources: Data sets, none of them twice.
    """
    alike = Counter(_short(name, 1) for name, _ in sources)
    named: dict[str, Source] = {}
    for source in sources:
        name = _short(source[0], 1 if alike[_short(source[0], 1)] == 1 else 2)
        named[f"{name} ({len(named) + 1})" if name in named else name] = source
    return named


def _short(name: str, parts: int) -> str:
    """A data set as it is spelled, but for the first folders of its path."""
    kind, colon, path = name.partition(":")
    return name if kind == "hub" else f"{kind}{colon}{'/'.join(Path(path).parts[-parts:])}"


def source_statistics(counted: Counted) -> Statistics:
    """The counts of a data set as the page shows them: in classes, without parts of a split.

    Args:
        counted: The data set, and what its masks hold.
    """
    taxonomy, pixels = counted.dataset.taxonomy, counted.index.pixels
    photos, total = (pixels > 0).sum(axis=0), pixels.sum(axis=0)
    worn = (pixels[:, [garment.id for garment in taxonomy.worn]] > 0).sum(axis=1)
    numbers, times = np.unique(worn, return_counts=True)
    return Statistics(
        taxonomy=taxonomy,
        photos=len(pixels),
        tagged=len(counted.dataset.tagged),
        pixels=int(total[: len(taxonomy)].sum()),
        counts={
            "classes": tuple(
                Count(garment.name, garment.name, int(photos[garment.id]), int(total[garment.id]))
                for garment in taxonomy.classes
            )
        },
        garments={"classes": dict(zip(numbers.tolist(), times.tolist(), strict=True))},
        width=_sizes(counted.sizes[:, 0]),
        height=_sizes(counted.sizes[:, 1]),
        parts=(),
        faults=tuple(counted.faults()),
    )


def pairs_table(counted: Counted, most: int | None = None) -> pd.DataFrame:
    """A row for each two classes beside the background: how many photos show both.

    Args:
        counted: The data set, and what its masks hold.
        most: Largest number of classes, those that most photos show; all that are seen if left out.

    Returns:
        Columns `first`, `second` and `photos`; of a class and itself, the photos that show it. In the order of the
        photos of the classes, the most first.
    """
    taxonomy = counted.dataset.taxonomy
    shown = counted.index.pixels[:, : len(taxonomy)] > 0
    both = shown.T.astype(np.int64) @ shown
    order = [int(place) for place in np.argsort(-both.diagonal(), kind="stable") if place and both[place, place]]
    rows = [
        (taxonomy.names[first], taxonomy.names[second], int(both[first, second]))
        for first in order[:most]
        for second in order[:most]
    ]
    return pd.DataFrame(rows, columns=["first", "second", "photos"])


def _sizes(values: np.ndarray) -> Sizes:
    edges, photos = size_bins(values)
    return Sizes(int(values.min()), float(np.median(values)), int(values.max()), tuple(edges), tuple(photos))
