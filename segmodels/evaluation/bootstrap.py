"""Intervals by bootstrap over photos, for a score and for the difference between two runs on the same photos."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from segmodels.evaluation.evidence import Evidence
from segmodels.evaluation.metrics import ConfusionMatrix

__all__ = ["SCORES", "Interval", "batch_scores", "difference", "interval"]

SCORES = ("mean_iou", "mean_iou_foreground", "mean_f1", "mean_precision", "mean_recall", "pixel_accuracy", "binary_iou")
"""Keys of `ConfusionMatrix.scores` that hold one number."""

SAMPLES = 2000
"""Bootstrap samples: enough for the second digit of a 95 per cent interval."""


@dataclass(frozen=True)
class Interval:
    """A value on all photos, and the middle 95 per cent of its values over the bootstrap samples."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:+.4f} ({self.low:+.4f} to {self.high:+.4f})"


def interval(evidence: Sequence[Evidence], names: tuple[str, ...], *, seed: int = 0) -> dict[str, Interval]:
    """Each score of `SCORES` with its interval; photos are drawn with replacement.

    Args:
        evidence: Evidence for each photo.
        names: Class names by id.
        seed: Seed of the draws.
    """
    counts = np.stack([row.counts for row in evidence])
    samples = _samples(counts, _draws(len(counts), seed))
    return _intervals(_scores(counts.sum(axis=0), names), samples)


def difference(
    first: Sequence[Evidence], second: Sequence[Evidence], names: tuple[str, ...], *, seed: int = 0
) -> dict[str, Interval]:
    """Each score of `SCORES` of the second run less that of the first; both are scored on the same draws of photos.

    Args:
        first: Evidence of the first run, for each photo.
        second: Evidence of the second run, for each of the same photos, in any order.
        names: Class names by id.
        seed: Seed of the draws.

    Raises:
        ValueError: If the photos are not the same.
    """
    by_id = {row.photo_id: row.counts for row in second}
    ids = [row.photo_id for row in first]
    if set(ids) != set(by_id) or len(ids) != len(second):
        apart = sorted(set(ids) ^ set(by_id))
        raise ValueError(
            f"The runs were not evaluated on the same photos: {len(apart)} are in only one ({', '.join(apart[:3])})."
        )
    before, after = np.stack([row.counts for row in first]), np.stack([by_id[photo_id] for photo_id in ids])
    draws = _draws(len(ids), seed)
    first_samples, second_samples = _samples(before, draws), _samples(after, draws)
    first_scores, second_scores = _scores(before.sum(axis=0), names), _scores(after.sum(axis=0), names)
    return _intervals(
        {name: second_scores[name] - first_scores[name] for name in SCORES},
        {name: second_samples[name] - first_samples[name] for name in SCORES},
    )


def _draws(photos: int, seed: int) -> np.ndarray:
    """How often each photo is in each sample, int `(SAMPLES, photos)`."""
    return np.random.default_rng(seed).multinomial(photos, np.full(photos, 1 / photos), SAMPLES)


def _samples(counts: np.ndarray, draws: np.ndarray) -> dict[str, np.ndarray]:
    """Scores of each sample, float `(SAMPLES,)`."""
    photos, *shape = counts.shape
    # In float64, whose 53 bits hold any number of pixels there is, as integers have no fast product of matrices.
    return batch_scores((draws.astype(float) @ counts.reshape(photos, -1)).reshape(-1, *shape))


def batch_scores(matrices: np.ndarray) -> dict[str, np.ndarray]:
    """Each score of `SCORES` of many matrices at once, by the definitions of `ConfusionMatrix`.

    Args:
        matrices: `(m, n, n)` or `(m, n, n + 1)` counts of pixels: rows truth, columns prediction.

    Returns:
        By score, float `(m,)`; NaN where it does not exist.
    """
    hits = np.diagonal(matrices, axis1=1, axis2=2).astype(float)
    truth = matrices.sum(axis=2, dtype=float)
    predicted = matrices.sum(axis=1, dtype=float)[:, : hits.shape[1]]
    union = truth + predicted - hits
    exists = union > 0

    def over(under: np.ndarray) -> np.ndarray:
        return np.where(exists, hits / np.maximum(under, 1), np.nan)

    iou = over(union)
    everything = truth.sum(axis=1)
    worn = everything - matrices[:, 0, 0]
    with np.errstate(invalid="ignore", divide="ignore"), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        return {
            "mean_iou": np.nanmean(iou, axis=1),
            "mean_iou_foreground": np.nanmean(iou[:, 1:], axis=1),
            "mean_f1": np.nanmean(over((truth + predicted) / 2), axis=1),
            "mean_precision": np.nanmean(over(predicted), axis=1),
            "mean_recall": np.nanmean(over(truth), axis=1),
            "pixel_accuracy": hits.sum(axis=1) / everything,
            "binary_iou": matrices[:, 1:, 1:].sum(axis=(1, 2)) / worn,
        }


def _scores(counts: np.ndarray, names: tuple[str, ...]) -> dict[str, float]:
    scores = ConfusionMatrix(names, counts).scores()
    return {name: float("nan") if scores[name] is None else scores[name] for name in SCORES}


def _intervals(values: Mapping[str, float], samples: Mapping[str, np.ndarray]) -> dict[str, Interval]:
    bounds = {name: np.nanquantile(samples[name], (0.025, 0.975)) for name in SCORES}
    return {name: Interval(values[name], float(low), float(high)) for name, (low, high) in bounds.items()}
