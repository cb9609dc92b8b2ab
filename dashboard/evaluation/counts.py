"""How far counts of garments can be believed: the calibrations of the models, by kind of photo."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from dashboard.evaluation.conditions import LABELS
from dashboard.evaluation.records import Model
from segmodels.inference.presence import Calibration, CalibrationError, PresenceJudgement, read_calibration

__all__ = ["COUNT_HEADINGS", "calibration_of", "count_caption", "count_table", "kind_of"]

_FLATLAYS = "Flat-lays"


def calibration_of(model: Model) -> Calibration | None:
    """The calibration in a model's folder; None if there is none that can be used."""
    if model.taxonomy is None:
        return None
    try:
        return read_calibration(model.folder, model.taxonomy)
    except CalibrationError:
        return None


COUNT_HEADINGS = {
    "photos": "Kind of photo",
    "how": "Judged",
    "measured_on": "Photos",
    "share_error_raw": "Share error, uncalibrated",
    "f1_raw": "F1, uncalibrated",
    "brier_raw": "Brier score, uncalibrated",
    "brier": "Brier score",
}
"""Headings of `count_table`."""


def kind_of(judgement: PresenceJudgement) -> str:
    """Kind of photo, as the page calls it."""
    if judgement.photos.dataset == "flatlay":
        return _FLATLAYS
    return LABELS.get(judgement.framing, judgement.framing.capitalize())


def count_caption(name: str, calibration: Calibration) -> str:
    """What the reliability curve shows, on which photos, and how far shares are off.

    Args:
        name: Name of the model.
        calibration: Calibration of the model, with scores.
    """
    found = calibration.judgements
    if calibration.judged_on:
        which = "Photos on which neither the network nor the calibration was fitted"
    else:
        which = "Photos of the calibration, cross-validated"
    photos = ", ".join(dict.fromkeys(str(each.photos) for each in found))
    first = found[0]
    raw, left = 100 * first.raw.share_error, 100 * first.calibrated.share_error
    return (
        f"Presence is {name}'s probability that a garment is worn. Where it is 70%, the garment should be there in "
        f"70% of the photos: the dotted line. {which}: {photos}. {kind_of(first)}: the share of photos with a garment "
        f"is {left:.1f} points off on average, without the calibration {raw:.1f}."
    )


def count_table(models: Sequence[Model]) -> pd.DataFrame:
    """One row per model, kind of photo and way of judging: errors of shares, F1 and Brier score, raw and calibrated.

    Args:
        models: Models; those without a calibration have no row.
    """
    rows = [
        [
            model.name,
            kind_of(each),
            each.how,
            str(each.photos),
            each.raw.share_error,
            each.calibrated.share_error,
            each.raw.f1,
            each.calibrated.f1,
            each.raw.brier,
            each.calibrated.brier,
        ]
        for model in models
        if (calibration := calibration_of(model))
        for each in (*calibration.judged_on, *calibration.fitted_on)
    ]
    names = ["model", "photos", "how", "measured_on", "share_error_raw", "share_error", "f1_raw", "f1"]
    return pd.DataFrame(rows, columns=[*names, "brier_raw", "brier"]).convert_dtypes()
