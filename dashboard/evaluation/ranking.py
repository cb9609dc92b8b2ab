"""The leaderboard: models measured on the same photos, what they score, what they cost, and what the papers print."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from dashboard.evaluation.records import Measurement, Model, PhotoSet
from segmodels.evaluation.bootstrap import SCORES, Interval
from segmodels.evaluation.papers import CASTRO_TABLE_5, INACIO_FPN_MEAN_IOU, INACIO_TABLE_2
from segmodels.evaluation.results import EvaluatedPhotos
from segmodels.sentences import listed
from segmodels.taxonomy import Taxonomy

__all__ = [
    "COLUMNS",
    "COSTS",
    "Column",
    "Reference",
    "Standing",
    "classes_table",
    "curves_table",
    "is_inacio_data",
    "leaderboard_data",
    "leaderboard_table",
    "papers_table",
    "rank",
    "references",
    "scope",
]


@dataclass(frozen=True)
class Column:
    """One column of the leaderboard.

    Args:
        key: Key of the column, as `Standing.value` takes it.
        label: Heading of the column.
        meaning: What the number is, for people.
        axis: Title of an axis, with its unit.
        better: Whether `high` or `low` values are better; empty if neither is.
    """

    key: str
    label: str
    meaning: str
    axis: str
    better: str = "high"


COLUMNS: Mapping[str, Column] = {
    column.key: column
    for column in (
        Column("mean_iou", "Mean IoU", "Intersection over union, mean over all classes that occur", "Mean IoU"),
        Column(
            "mean_iou_foreground",
            "IoU, no background",
            "Intersection over union, mean over the classes without Background",
            "Mean IoU without background",
        ),
        Column("mean_f1", "F1", "Harmonic mean of precision and recall, mean over the classes", "Mean F1"),
        Column(
            "mean_precision",
            "Precision",
            "Share of the pixels predicted as a class that belong to it, mean over the classes",
            "Mean precision",
        ),
        Column(
            "mean_recall",
            "Recall",
            "Share of a class's pixels that are predicted as it, mean over the classes",
            "Mean recall",
        ),
        Column("pixel_accuracy", "Accuracy", "Share of all pixels with the correct class", "Pixel accuracy"),
        Column("binary_iou", "Binary IoU", "Intersection over union of everything but Background", "Binary IoU"),
        Column("parameters", "Parameters", "Number of trained parameters", "Parameters (millions, logarithmic)", "low"),
        Column("size", "Size", "Size of the weights on disk", "Size on disk (MB, logarithmic)", "low"),
        Column("seconds", "Time", "Median time per photo", "Time per photo (s, logarithmic)", "low"),
        Column("epochs", "Epochs", "Epoch whose weights are kept", "Epochs", ""),
    )
}
"""Columns by key, in display order."""

COSTS = ("parameters", "size", "seconds")
"""Keys of the columns that a score can be plotted against."""


@dataclass(frozen=True)
class Standing:
    """A model's row among those that were measured on the same photos.

    Args:
        model: Model of the row.
        measurement: Scores of the model on those photos.
        intervals: Intervals by score, in which 95% of the bootstrap samples of photos lie; empty without evidence.
    """

    model: Model
    measurement: Measurement
    intervals: Mapping[str, Interval]

    @property
    def taxonomy(self) -> Taxonomy:
        """Taxonomy of the scores: the model's, or the classes that several models have in common."""
        taxonomy = self.measurement.common.taxonomy if self.measurement.common else self.model.taxonomy
        assert taxonomy  # a model without classes has no measurement
        return taxonomy

    @property
    def pictured(self) -> Taxonomy:
        """Taxonomy in which pictures of class maps are drawn; it has all classes of `taxonomy` under their ids."""
        return self.measurement.common.shown if self.measurement.common else self.taxonomy

    def picture_ids(self, *, of_truth: bool = False) -> np.ndarray:
        """A table from class ids to those of `pictured`, uint8 `(256,)`.

        Args:
            of_truth: Whether the ids are those of the truth, not of the prediction.
        """
        common = self.measurement.common
        own = (self.measurement.truth_taxonomy if of_truth else None) or self.model.taxonomy
        return common.shown_ids(own) if common and own else np.arange(256, dtype=np.uint8)

    def value(self, key: str) -> float | None:
        """Value in a column; None if it is not known."""
        if key == "parameters":
            return self.model.parameters
        if key == "size":
            return self.model.size if self.model.parameters is not None else None  # of damaged weights
        if key == "seconds":
            return self.measurement.seconds_per_photo
        if key == "epochs":
            return self.model.epoch
        value = getattr(self.measurement.scores, key)
        return None if value is None else float(value)

    def text(self, key: str) -> str:
        """Value in a column as text; a dash if it is not known."""
        value = self.value(key)
        if value is None:
            return "–"
        if key == "parameters":
            return f"{value / 1e6:.1f} M"
        if key == "size":
            return f"{value / 1e6:.1f} MB"
        if key == "seconds":
            return f"{value:.2f} s"
        return f"{value:d}" if key == "epochs" else f"{value:.3f}"

    def spread(self, key: str) -> str:
        """Uncertainty of a score as text: the deviation over folds, or the interval over photos."""
        if self.measurement.deviation is not None:
            deviation = self.measurement.deviation.get(key)
            return "" if deviation is None else f"± {deviation:.3f}"
        found = self.intervals.get(key)
        return f"{found.low:.3f}–{found.high:.3f}" if found else ""

    def note(self, key: str) -> str:
        """Source of a number as text: the photos, the method and the device."""
        column, measurement, model = COLUMNS[key], self.measurement, self.model
        if self.value(key) is None:
            why = model.maps or _MISSING.get(key, "The files do not say.")
            return f"{model.name}, {column.label}: not known. {why}"
        start = f"{model.name}, {column.label} {self.text(key)}. {column.meaning}."
        if key in ("parameters", "size"):
            return start
        if key == "seconds":
            device = f" on {measurement.device}" if measurement.device else ""
            return f"{start} Measured from decoded photo to garments{device}, over {measurement.photos}."
        if key == "epochs":
            hours = f"{model.hours:.1f} hours" if model.hours is not None else ""
            device = f"on {model.device}" if model.device else ""
            spent = " ".join(part for part in (hours, device) if part)
            ran = f" Trained for {len(model.curve)} epochs{', ' + spent if spent else ''}." if model.curve else ""
            return f"{start}{ran}"
        parts = [start, f"Measured on {measurement.photos}."]
        if measurement.deviation is not None:
            parts.append(f"Mean over the folds, {self.spread(key) or 'no deviation'} (standard deviation).")
        elif spread := self.spread(key):
            parts.append(f"95% interval {spread} (bootstrap over photos).")
        parts += [model.acquaintance(measurement), measurement.how]
        return " ".join(part for part in parts if part)


_MISSING = {
    "seconds": "The checkpoint was evaluated before times were kept.",
    "epochs": "config.json names no epoch.",
    "parameters": "The weights are missing or damaged.",
    "size": "The weights are missing.",
}


def rank(models: Sequence[Model], photos: PhotoSet, intervals: Mapping[str, Mapping[str, Interval]]) -> list[Standing]:
    """The models that were measured on a set of photos, the best mean IoU first.

    Args:
        models: All models there are.
        photos: Set of photos, one of `photo_sets`.
        intervals: Intervals of the scores by name of the model.
    """
    found = [
        Standing(model, measurement, intervals.get(model.name, {}))
        for model in models
        if (measurement := model.measured_on(photos))
    ]
    return sorted(found, key=lambda row: (-(row.value("mean_iou") or 0), row.model.name))


def scope(models: Sequence[Model], photos: PhotoSet) -> str:
    """Scope of the leaderboard: its photos, and the models without a row."""
    measured = len(photos.models)
    text = f"{measured} model{'s' if measured > 1 else ''} measured on {photos.label}."
    absent = [model.name for model in models if model.name not in photos.models]
    if photos.common is None:
        others = [m.name for m in models if m.name in absent and any(each.key == photos.key for each in m.measurements)]
        absent = [name for name in absent if name not in others]
        if others:
            text += f" In other classes, and so compared on those in common (see Measured on): {', '.join(others)}."
    elif remark := photos.common.remark():
        text += f" {remark}"
    if absent:
        text += f" Not measured there: {listed(absent)}."
    return text


def leaderboard_data(standings: Sequence[Standing], inks: Mapping[str, str]) -> dict[str, Any]:
    """Columns and rows for the browser, which sorts them.

    Args:
        standings: Standings in the initial order of the rows.
        inks: CSS colour of each model that is in the charts.
    """
    return {
        "columns": [
            {"key": c.key, "label": c.label, "meaning": c.meaning, "better": c.better} for c in COLUMNS.values()
        ],
        "rows": [
            {
                "name": row.model.name,
                "ink": inks.get(row.model.name),
                "mark": row.model.acquaintance(row.measurement),
                "cells": [
                    {
                        "value": row.value(key),
                        "text": row.text(key),
                        "spread": row.spread(key) if key in SCORES else "",
                        "note": row.note(key),
                    }
                    for key in COLUMNS
                ],
            }
            for row in standings
        ],
    }


def leaderboard_table(standings: Sequence[Standing]) -> pd.DataFrame:
    """One row per model with all known values."""
    bounds = [f"{name}_{bound}" for name in SCORES for bound in ("low", "high", "deviation")]
    more = ["parameters", "bytes", "seconds_per_photo", "device", "epoch", "training_hours", "training_device"]
    rows = []
    for row in standings:
        deviation = row.measurement.deviation or {}
        ends: list[float | None] = []
        for name in SCORES:
            found = row.intervals.get(name)
            ends += [found.low if found else None, found.high if found else None, deviation.get(name)]
        model, measurement = row.model, row.measurement
        cost = [model.parameters, model.size, measurement.seconds_per_photo, measurement.device]
        cost += [model.epoch, model.hours, model.device]
        numbers = [*(row.value(name) for name in SCORES), *ends]
        rows.append([model.name, str(measurement.photos), measurement.how, *map(_rounded, [*numbers, *cost])])
    return pd.DataFrame(rows, columns=["model", "photos", "how", *SCORES, *bounds, *more]).convert_dtypes()


def classes_table(standings: Sequence[Standing], photos: Mapping[str, int]) -> pd.DataFrame:
    """One row per model and class.

    Args:
        standings: Standings of the models.
        photos: Number of photos that show each class; empty if not known.
    """
    keys = ("iou", "f1", "precision", "recall", "pixels")
    rows = []
    for row in standings:
        for name, scores in row.measurement.scores.classes.items():
            numbers = [_rounded(getattr(scores, key)) for key in keys]
            rows.append([row.model.name, str(row.measurement.photos), name, *numbers, photos.get(name)])
    return pd.DataFrame(rows, columns=["model", "measured_on", "class", *keys, "photos"]).convert_dtypes()


def curves_table(models: Sequence[Model]) -> pd.DataFrame:
    """One row per model and epoch."""
    keys = ("epoch", "loss", "validation_loss", "mean_iou", "pixel_accuracy", "seconds")
    rows = [[model.name, *(_rounded(epoch.get(key)) for key in keys)] for model in models for epoch in model.curve]
    return pd.DataFrame(rows, columns=["model", *keys]).convert_dtypes()


def _rounded(value: float | str | None) -> float | str | None:
    return round(value, 6) if isinstance(value, float) else value


# --- The papers -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reference:
    """A number that a paper prints.

    Args:
        label: Paper's first author and architecture.
        value: Value of the score, 0..1.
        on: Description of the data that it was measured on.
    """

    label: str
    value: float
    on: str


_INACIO = "3,686 photos of CCP and CFPD, 15 classes, five folds"
_CASTRO = "their photos of iMaterialist, background against the rest"
_CASTRO_47 = "their photos of iMaterialist, 47 classes"


def is_inacio_data(photos: EvaluatedPhotos) -> bool:
    """Whether photos are those of Inácio et al.: all of CCP and CFPD, over five folds."""
    return photos.dataset == "ccp_cfpd" and (photos.split, photos.folds, photos.number) == ("folds", 5, 3686)


def references(key: str, photos: EvaluatedPhotos | None = None) -> list[Reference]:
    """What the papers print for a score, the highest first.

    Only equal scores are given: Castro & Ramirez' IoU is binary, so it is not a reference for a mean IoU.

    Args:
        key: Key of `COLUMNS`.
        photos: Photos that the numbers must be measured on, which no list of Castro & Ramirez' photos tells; those on
            any photos if left out.
    """
    if photos is not None and not is_inacio_data(photos):
        return []
    if key == "mean_iou":
        return [Reference("Inácio fpn", INACIO_FPN_MEAN_IOU, _INACIO)]
    if key in ("mean_f1", "mean_precision", "mean_recall"):
        found = [
            Reference(f"Inácio {name}", getattr(row, key.removeprefix("mean_")), _INACIO)
            for name, row in INACIO_TABLE_2.items()
        ]
    elif key == "binary_iou" and photos is None:
        found = [
            Reference(f"Castro {name}", row.binary_iou, _CASTRO)
            for name, row in CASTRO_TABLE_5.items()
            if row.binary_iou is not None
        ]
    elif key == "pixel_accuracy" and photos is None:
        found = [Reference(f"Castro {name}", row.accuracy, _CASTRO_47) for name, row in CASTRO_TABLE_5.items()]
    else:
        return []
    return sorted(found, key=lambda each: -each.value)


def papers_table() -> pd.DataFrame:
    """One row per number that a paper prints, with the data that it was measured on."""
    rows = [
        [each.label, COLUMNS[key].label, round(each.value, 3), each.on] for key in SCORES for each in references(key)
    ]
    return pd.DataFrame(rows, columns=["paper and network", "score", "value", "measured on"]).convert_dtypes()
