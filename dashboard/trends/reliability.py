"""Reliability of the garments in an archive, measured on photos whose garments are known.

`archives/reliability.json`: by taxonomy, `model`, `revision`, `how` it was measured, and by garment `sensitivity` of
`worn` outfits, `specificity` of `not_worn` ones, and the thresholds of share and confidence that it was measured at.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from segmodels.archive.intervals import Reliability
from segmodels.archive.store import Version

__all__ = ["WHY_NO_PAIRS", "Trust", "read_trust"]

WHY_NO_PAIRS = (
    "Pairs are not corrected: the errors on two garments depend on each other (a coat taken for a shirt removes one "
    "and adds the other), and errors were measured for single garments only."
)


@dataclass(frozen=True)
class Trust:
    """Known error rates of a version.

    Args:
        how: Sentence on which photos and how it was measured.
        garments: Reliability by class.
        thresholds: Least share and confidence that it was measured at, by class, where they are known.
        sentence: Sentence for the visitor on why no reliability is known; empty if it is.
    """

    how: str = ""
    garments: dict[str, Reliability] = field(default_factory=dict)
    thresholds: dict[str, tuple[float, float]] = field(default_factory=dict)
    sentence: str = ""


def read_trust(file: Path, version: Version) -> Trust:
    """Reads the error rates of a version.

    Args:
        file: JSON file, which may be missing.
        version: Version of the rows.
    """
    try:
        found = json.loads(file.read_text("utf-8"))[version.taxonomy]
        model, revision = str(found["model"]), str(found["revision"])
        garments = {
            str(name): Reliability(
                float(each["sensitivity"]), int(each["worn"]), float(each["specificity"]), int(each["not_worn"])
            )
            for name, each in found["garments"].items()
            if each.get("sensitivity") is not None and each.get("specificity") is not None
        }
        thresholds = {
            str(name): (float(each["share_threshold"]), float(each["confidence_threshold"]))
            for name, each in found["garments"].items()
            if each.get("share_threshold") is not None and each.get("confidence_threshold") is not None
        }
        how = str(found["how"])
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
    return Trust(how, garments, thresholds)
