"""Reliability of the counts of an archive, measured on photos whose garments are known.

That of expected counts stands in the calibration of the model. That of raw counts stands in `data/reliability.json`: by
taxonomy, `model`, `revision`, `how` it was measured, and by garment `sensitivity` of `worn` outfits, `specificity` of
`not_worn` ones, and the minimums that counted there, `share_threshold` and `confidence_threshold`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from segmodels.archive.calibration import installed_calibration
from segmodels.archive.division import Division
from segmodels.archive.intervals import Reliability
from segmodels.archive.store import Version
from segmodels.files import read_json
from segmodels.inference.presence import Calibration

__all__ = ["Trust", "of_kinds", "read_trust"]

_NOT_INSTALLED = (
    "The calibration of this model is not installed here: intervals leave out its error, and the errors of two "
    "garments of an outfit count as independent."
)


@dataclass(frozen=True)
class Trust:
    """Known errors of the counts of a version.

    Args:
        how: Sentences on which photos and how the reliability of raw counts was measured.
        garments: Reliability of raw counts by class.
        sentence: Sentence for the visitor on why no reliability of raw counts is known; empty if it is.
        share_errors: Standard error of a mean presence that stems from the calibration, by class; empty if unknown.
        expected: Sentence for the visitor on the errors of expected counts; empty if nothing is known of them.
        lacking: Sentence for the visitor on what expected counts lack without the calibration; empty with it.
    """

    how: str = ""
    garments: dict[str, Reliability] = field(default_factory=dict)
    sentence: str = ""
    share_errors: Mapping[str, float] = field(default_factory=dict)
    expected: str = ""
    lacking: str = ""


def read_trust(file: Path, version: Version) -> Trust:
    """Reads what is known of the errors of raw and expected counts.

    Args:
        file: JSON file of the reliability of raw counts, which may be missing.
        version: Version of the rows.
    """
    calibration = installed_calibration(version)
    return replace(
        _read_rates(file, version),
        share_errors=calibration.share_errors if calibration else {},
        expected=_expected(calibration) if calibration else "",
        lacking="" if calibration else _NOT_INSTALLED,
    )


def of_kinds(trust: Trust, division: Division) -> Trust:
    """What is known of the errors of counts by kind: a kind has the error of its class, and no rates of its own.

    Args:
        trust: Errors of the counts by class.
        division: The kinds.
    """
    kept = {part: trust.garments[name] for part, name in division.class_of.items() if part in trust.garments}
    errors = {part: trust.share_errors.get(name, 0.0) for part, name in division.class_of.items()}
    return replace(trust, garments=kept, share_errors=errors if trust.share_errors else {})


def _expected(calibration: Calibration) -> str:
    """Sentence on the errors of expected counts; empty if nobody measured them."""
    if not calibration.judgements:
        return ""
    judged = calibration.judgements[0]
    raw, left = 100 * judged.raw.share_error, 100 * judged.calibrated.share_error
    number = "" if judged.photos.number is None else f"{judged.photos.number:,} "
    return (
        f"On {number}photos whose garments are known, expected shares were {left:.1f} points off on "
        f"average, without the calibration {raw:.1f}."
    )


def _read_rates(file: Path, version: Version) -> Trust:
    try:
        found = read_json(file)[version.taxonomy]
        model, revision = str(found["model"]), str(found["revision"])
        garments = {
            str(name): Reliability(
                float(each["sensitivity"]), int(each["worn"]), float(each["specificity"]), int(each["not_worn"])
            )
            for name, each in found["garments"].items()
            if each.get("sensitivity") is not None and each.get("specificity") is not None
        }
        how = str(found["how"]) + _minimums(found["garments"].values())
    except (OSError, KeyError):
        return Trust(sentence="The reliability of these counts was not measured for this model.")
    except (ValueError, TypeError, AttributeError):
        return Trust(
            sentence=f"{file.name} is damaged, so no reliability is shown beside the garments. Measure it again."
        )
    if (model, revision) != (version.model, version.revision):
        return Trust(
            sentence=f"Reliability was measured for {model} {revision[:12]}, not for {version.model} "
            f"{version.revision[:12]}, so it is not shown."
        )
    return Trust(how, garments)


def _minimums(garments: Iterable[Mapping[str, Any]]) -> str:
    """Sentence, after a space, on the minimums that counted; all garments have the same."""
    first = next(iter(garments), {})
    share, sure = (float(first.get(f"{key}_threshold") or 0) for key in ("share", "confidence"))
    least = [f"{share:.1%} of the outfit"] * (share > 0) + [f"{sure:.0%} confidence"] * (sure > 0)
    return f" Garments below {' or '.join(least)} did not count there." if least else ""
