"""Views of the confusion matrix, and the photos behind each of its cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd

from segmodels.evaluation.evidence import Evidence
from segmodels.evaluation.metrics import ConfusionMatrix
from segmodels.taxonomy import Taxonomy

__all__ = [
    "UNITS",
    "Cell",
    "MatrixView",
    "PhotoShare",
    "Unit",
    "cell_photos",
    "matrix_table",
    "photos_by_iou",
    "photos_of_class",
    "view_matrix",
]

Unit = Literal["row", "column", "pixels"]
"""Unit of a cell: share of the true class's pixels, share of the predicted class's pixels, or pixels."""

UNITS: tuple[Unit, ...] = get_args(Unit)


@dataclass(frozen=True)
class Cell:
    """One cell of a matrix.

    Args:
        truth: Class name of the ground truth.
        predicted: Class name of the prediction.
    """

    truth: str
    predicted: str

    @property
    def is_right(self) -> bool:
        """Whether it lies on the diagonal."""
        return self.truth == self.predicted

    def words(self) -> str:
        """Description of the cell's pixels."""
        return f"{self.truth} recognised" if self.is_right else f"{self.truth} predicted as {self.predicted}"


@dataclass(frozen=True)
class MatrixView:
    """A confusion matrix, or the difference of two, in one unit and for some classes.

    Args:
        names: Names of the classes, in display order; rows are truth, columns prediction.
        values: float `(n, n)`: shares 0..1 or pixels, or their difference; NaN where a class does not occur.
        pixels: Counts of pixels of the (first) model, int64 `(n, n)`.
        unit: Unit of the values.
        is_difference: Whether the values are differences.
    """

    names: tuple[str, ...]
    values: np.ndarray
    pixels: np.ndarray
    unit: Unit
    is_difference: bool = False

    def value(self, cell: Cell) -> float:
        """Value of a cell; NaN if it is empty."""
        return float(self.values[self.names.index(cell.truth), self.names.index(cell.predicted)])

    def text(self, cell: Cell) -> str:
        """Value of a cell with its unit, as text."""
        value = self.value(cell)
        if np.isnan(value):
            return "–"
        sign = "+" if self.is_difference else ""
        if self.unit == "pixels":
            return f"{value:{sign},.0f} pixels".replace("-", "−")
        if self.is_difference:
            return f"{100 * value:+.1f} percentage points".replace("-", "−")
        return f"{value:.1%}"

    def cells(self) -> list[Cell]:
        """All cells that are not 0: first the errors, then the diagonal, each with the largest first."""
        found = [
            Cell(truth, predicted)
            for truth in self.names
            for predicted in self.names
            if abs(self.value(Cell(truth, predicted))) > 0  # False for NaN
        ]
        return sorted(found, key=lambda cell: (cell.is_right, -abs(self.value(cell))))


def view_matrix(
    counts: np.ndarray,
    taxonomy: Taxonomy,
    unit: Unit,
    classes: Sequence[str],
    other: np.ndarray | None = None,
) -> MatrixView:
    """A view of a confusion matrix.

    Shares are of all pixels of a class, including those in classes that are not shown.

    Args:
        counts: int64 `(n, n)` pixels: rows truth, columns prediction.
        taxonomy: Taxonomy of the matrix.
        unit: Unit of the values.
        classes: Classes that are shown; their order is the taxonomy's.
        other: A second model's matrix, which is subtracted from the first.
    """
    names = tuple(name for name in taxonomy.display_order if name in classes)
    places = [taxonomy[name].id for name in names]
    values = _in_unit(counts, unit)
    if other is not None:
        values = values - _in_unit(other, unit)
    chosen = np.ix_(places, places)
    return MatrixView(names, values[chosen], counts[chosen], unit, other is not None)


def _in_unit(counts: np.ndarray, unit: Unit) -> np.ndarray:
    values = counts.astype(float)
    if unit == "pixels":
        return values
    whole = values.sum(axis=1 if unit == "row" else 0, keepdims=True)
    return np.asarray(np.divide(values, whole, out=np.full(values.shape, np.nan), where=whole > 0))


def matrix_table(view: MatrixView) -> pd.DataFrame:
    """One row per cell."""
    value = {"row": "share_of_truth", "column": "share_of_prediction", "pixels": "pixels"}[view.unit]
    columns = [value] if view.unit == "pixels" else ["pixels", value]
    rows = []
    for row, truth in enumerate(view.names):
        for column, predicted in enumerate(view.names):
            number = view.values[row, column]
            shown = None if np.isnan(number) else int(number) if view.unit == "pixels" else round(float(number), 6)
            pixels = [] if view.unit == "pixels" else [int(view.pixels[row, column])]
            rows.append([truth, predicted, *pixels, shown])
    names = [f"{name}_difference" if view.is_difference and name == value else name for name in columns]
    return pd.DataFrame(rows, columns=["truth", "prediction", *names]).convert_dtypes()


@dataclass(frozen=True)
class PhotoShare:
    """A photo and its part in a cell.

    Args:
        evidence: Evidence of the first model.
        pixels: Number of pixels in the cell; for a difference, how many more the first model has there than the second.
        share: Share of the photo in the cell's pixels over all photos that lean the same way, 0..1.
        other: Evidence of the second model, for a difference.
    """

    evidence: Evidence
    pixels: int
    share: float
    other: Evidence | None = None


def cell_photos(
    evidence: Sequence[Evidence], taxonomy: Taxonomy, cell: Cell, other: Sequence[Evidence] | None = None
) -> list[PhotoShare]:
    """The photos that contribute to a cell, the largest part first.

    Args:
        evidence: Evidence of a model.
        taxonomy: Taxonomy of the model's confusion matrices.
        cell: Cell of the total confusion matrix.
        other: Evidence of a second model on the same photos: what counts is then how far the two differ in the cell, in
            the direction in which they differ over all photos.
    """
    place = (taxonomy[cell.truth].id, taxonomy[cell.predicted].id)
    second = {row.photo_id: row for row in other} if other is not None else {}
    rows = [row for row in evidence if other is None or row.photo_id in second]
    pixels = [
        int(row.counts[place]) - (int(second[row.photo_id].counts[place]) if other is not None else 0) for row in rows
    ]
    direction = -1 if sum(pixels) < 0 else 1
    whole = sum(max(0, direction * count) for count in pixels)
    ranked = sorted(zip(rows, pixels, strict=True), key=lambda pair: (-direction * pair[1], pair[0].photo_id))
    return [
        PhotoShare(row, count, direction * count / whole, second.get(row.photo_id))
        for row, count in ranked
        if direction * count > 0
    ]


def photos_by_iou(evidence: Sequence[Evidence], taxonomy: Taxonomy) -> list[tuple[Evidence, float]]:
    """Photos and their own mean IoU over the classes that truth or prediction names, the best first."""
    scored = [(row, ConfusionMatrix(taxonomy.names, row.counts).mean_iou) for row in evidence if row.counts.any()]
    return sorted(scored, key=lambda pair: (-pair[1], pair[0].photo_id))


def photos_of_class(evidence: Sequence[Evidence], taxonomy: Taxonomy) -> dict[str, int]:
    """How many photos show each class in their truth."""
    present = sum((row.counts.sum(axis=1) > 0).astype(int) for row in evidence)
    return {name: int(present[taxonomy[name].id]) if evidence else 0 for name in taxonomy.names}
