"""One confusion matrix of pixels, and every score derived from it.

The definitions are those of Inácio et al. (equations 1 to 4); binary IoU is Castro & Ramirez', with a pixel positive
where it is not Background. A class that neither truth nor prediction holds has no score: it is NaN and left out of
every mean. A class that is in the truth and never predicted has no precision by equation 1; its precision counts as
0, so that a network gains nothing by never naming a rare class. The like for recall.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from segmodels.taxonomy import UNLABELLED

__all__ = ["ConfusionMatrix"]


class ConfusionMatrix:
    """Counts of pixels, rows truth, columns prediction.

    Args:
        names: Class names by id; id 0 is the background.
        counts: Counts to start from, int64 `(n, n)`, or `(n, n + 1)`, whose last column counts predictions of any other
            class: wrong for each of the classes, and no class with scores of its own. Zeros `(n, n)` if left out.

    Raises:
        ValueError: If `counts` has another shape, or holds a negative number.
    """

    def __init__(self, names: tuple[str, ...], counts: np.ndarray | None = None) -> None:
        size = len(names)
        self.names = names
        self.counts = np.zeros((size, size), np.int64) if counts is None else np.asarray(counts, np.int64)
        if self.counts.shape not in ((size, size), (size, size + 1)):
            raise ValueError(f"A matrix over {size} classes is ({size}, {size}), not {self.counts.shape}.")
        if (self.counts < 0).any():
            raise ValueError("A confusion matrix holds counts of pixels; none can be negative.")

    def add(self, truth: np.ndarray, prediction: np.ndarray) -> None:
        """Counts the pixels of one photo; those whose truth is `UNLABELLED` are left out.

        Args:
            truth: True class ids, uint8 `(H, W)`.
            prediction: Predicted class ids, uint8 `(H, W)`.

        Raises:
            ValueError: If the shapes differ, or an id is outside the taxonomy.
        """
        if truth.shape != prediction.shape:
            raise ValueError(f"Truth {truth.shape} and prediction {prediction.shape} must have the same shape.")
        size = len(self.names)
        known = truth != UNLABELLED
        width = self.counts.shape[1]
        pairs = truth[known].astype(np.int64) * width + prediction[known]
        if pairs.size and (truth[known].max() >= size or prediction[known].max() >= width):
            raise ValueError(f"Class ids must be below {size}.")
        self.counts += np.bincount(pairs, minlength=size * width).reshape(size, width)

    def __add__(self, other: ConfusionMatrix) -> ConfusionMatrix:
        if self.names != other.names:
            raise ValueError("Matrices over different classes cannot be added.")
        return ConfusionMatrix(self.names, self.counts + other.counts)

    @property
    def _hits(self) -> np.ndarray:
        return np.asarray(np.diag(self.counts), float)

    @property
    def _truth(self) -> np.ndarray:
        return np.asarray(self.counts.sum(axis=1), float)

    @property
    def _predicted(self) -> np.ndarray:
        return np.asarray(self.counts.sum(axis=0)[: len(self.names)], float)

    @property
    def _union(self) -> np.ndarray:
        return np.asarray(self._truth + self._predicted - self._hits)

    @property
    def iou(self) -> np.ndarray:
        """Intersection over union by class, float `(n,)` (equation 4)."""
        return _ratio(self._hits, self._union, self._union > 0)

    @property
    def precision(self) -> np.ndarray:
        """Hits over predicted pixels by class, float `(n,)` (equation 1)."""
        return _ratio(self._hits, self._predicted, self._union > 0)

    @property
    def recall(self) -> np.ndarray:
        """Hits over true pixels by class, float `(n,)` (equation 2)."""
        return _ratio(self._hits, self._truth, self._union > 0)

    @property
    def f1(self) -> np.ndarray:
        """Harmonic mean of precision and recall by class, float `(n,)` (equation 3); equal to the Dice score."""
        return _ratio(2 * self._hits, self._truth + self._predicted, self._union > 0)

    @property
    def pixel_accuracy(self) -> float:
        """Hits over all pixels; NaN without pixels."""
        total = self.counts.sum()
        return float(self._hits.sum() / total) if total else float("nan")

    @property
    def mean_iou(self) -> float:
        """Mean IoU over the classes that occur."""
        return _mean(self.iou)

    @property
    def binary_iou(self) -> float:
        """IoU of "not Background" (Castro & Ramirez); NaN where neither truth nor prediction holds a person."""
        hits = float(self.counts[1:, 1:].sum())
        union = float(self.counts.sum() - self.counts[0, 0])
        return hits / union if union else float("nan")

    def scores(self) -> dict[str, Any]:
        """All scores and the matrix, ready for JSON; a score that does not exist is None.

        Returns:
            `pixel_accuracy`, `mean_iou`, `mean_iou_foreground` (without id 0), `mean_f1`, `mean_precision`,
            `mean_recall`, `binary_iou`, `classes` (`iou`, `f1`, `precision`, `recall`, `pixels` by name) and
            `confusion_matrix` (rows truth, columns prediction, in the shape of `counts`).
        """
        iou, f1, precision, recall = self.iou, self.f1, self.precision, self.recall
        return {
            "pixel_accuracy": _number(self.pixel_accuracy),
            "mean_iou": _number(self.mean_iou),
            "mean_iou_foreground": _number(_mean(iou[1:])),
            "mean_f1": _number(_mean(f1)),
            "mean_precision": _number(_mean(precision)),
            "mean_recall": _number(_mean(recall)),
            "binary_iou": _number(self.binary_iou),
            "classes": {
                name: {
                    "iou": _number(iou[index]),
                    "f1": _number(f1[index]),
                    "precision": _number(precision[index]),
                    "recall": _number(recall[index]),
                    "pixels": int(self._truth[index]),
                }
                for index, name in enumerate(self.names)
            },
            "confusion_matrix": self.counts.tolist(),
        }


def _ratio(over: np.ndarray, under: np.ndarray, exists: np.ndarray) -> np.ndarray:
    """`over / under`, 0 where only `under` is 0, NaN where the class does not exist."""
    return np.where(exists, over / np.maximum(under, 1), np.nan)


def _mean(values: np.ndarray) -> float:
    """Mean over the values that exist; NaN where none does."""
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
