"""Scores under other conditions than those of the ranking: crops, light, image quality, other kinds of photo."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from dashboard.evaluation.records import Model
from segmodels.evaluation.results import ConditionScore

__all__ = ["LABELS", "conditions_caption", "conditions_of", "conditions_table", "label_of"]

LABELS: Mapping[str, str] = {
    "full": "Whole outfit",
    "waist-up": "Waist up",
    "waist-down": "Waist down",
    "bust": "Bust",
    "close-up": "Close-up",
    "grey": "Black and white",
    "dark-skin": "Darkened skin",
    "low-light": "Low light",
    "jpeg": "Strong JPEG compression",
    "blur": "Blurred",
    "tilt": "Tilted by 20°",
    "half": "Half resolution",
    "quarter": "Quarter resolution",
    "flat-lays": "Flat-lays",
    "photos of other kinds": "Other kinds of photo",
}
"""Label of each condition on the page by its name in `metrics.json`, in the page's order."""


def label_of(condition: ConditionScore) -> str:
    """Label of a condition on the page."""
    return LABELS.get(condition.name, condition.name.capitalize())


def conditions_of(model: Model, photos: str) -> list[ConditionScore]:
    """The conditions of a model that belong to a set of photos, in the page's order.

    Framings and shifts are made of photos with ground truth, so that only those of the same photos can be compared;
    flat-lays and photos of other kinds are sets of their own.

    Args:
        model: Model whose conditions are sought.
        photos: Label of the set of photos.
    """
    places = list(LABELS)
    found = [each for each in model.conditions if each.kind in ("flatlay", "wild") or str(each.photos) == photos]
    return sorted(found, key=lambda each: places.index(each.name) if each.name in places else len(places))


def conditions_caption(models: Sequence[Model], photos: str) -> str:
    """What the scores of the conditions are that the models have.

    Args:
        models: Models with conditions.
        photos: Label of the set of photos.
    """
    kinds = {each.kind for model in models for each in conditions_of(model, photos)}
    sentences = []
    if kinds - {"flatlay", "wild"}:
        sentences.append(
            f"Mean IoU on the photos of {photos}, cropped to a part of the person or otherwise changed "
            "(crops: over the classes with more than 0.2% of the pixels)."
        )
    if "flatlay" in kinds:
        sentences.append("Flat-lays: accuracy on the largest garment, mean over the classes.")
    if "wild" in kinds:
        sentences.append("Other kinds of photo: micro F1 of the classes that the main person wears.")
    return " ".join(sentences)


def conditions_table(models: Sequence[Model], photos: str) -> pd.DataFrame:
    """One row per model and condition.

    Args:
        models: Models; those without conditions have no row.
        photos: Label of the set of photos.
    """
    rows = [
        [model.name, label_of(each), each.measure, round(each.score, 6), str(each.photos)]
        for model in models
        for each in conditions_of(model, photos)
    ]
    return pd.DataFrame(rows, columns=["model", "photos", "measure", "score", "measured_on"]).convert_dtypes()
