"""Reliability of the garments in an archive, measured on photos whose garments are known.

`archives/reliability.json`: by taxonomy, `model`, `revision`, `how` it was measured, and by garment `sensitivity` of
`worn` outfits and `specificity` of `not_worn` ones.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from segmodels.archive.intervals import Reliability
from segmodels.archive.store import Version
from segmodels.checkpoints.catalog import list_checkpoints
from segmodels.inference.presence import Calibration, read_calibration
from segmodels.taxonomy import taxonomy_of

__all__ = ["Trust", "installed_calibration", "read_trust"]


@dataclass(frozen=True)
class Trust:
    """Known error rates of a version.

    Args:
        how: Sentence on which photos and how it was measured.
        garments: Reliability by class.
        sentence: Sentence for the visitor on why no reliability is known; empty if it is.
        share_errors: Standard error of a mean presence that stems from the calibration, by class; empty if unknown.
    """

    how: str = ""
    garments: dict[str, Reliability] = field(default_factory=dict)
    sentence: str = ""
    share_errors: Mapping[str, float] = field(default_factory=dict)


def read_trust(file: Path, version: Version) -> Trust:
    """Reads the error rates of a version, and the errors of its calibration.

    Args:
        file: JSON file of the error rates, which may be missing.
        version: Version of the rows.
    """
    calibration = installed_calibration(version)
    return replace(_read_rates(file, version), share_errors=calibration.share_errors if calibration else {})


def installed_calibration(version: Version) -> Calibration | None:
    """The calibration of the installed checkpoint of the same model and revision; None if there is none.

    Args:
        version: Version of the rows.
    """
    for entry in list_checkpoints():
        if entry.name == version.model and version.revision == (entry.revision or _revision(entry.folder)):
            try:
                config = dict(json.loads((entry.folder / "config.json").read_text("utf-8")))
                return read_calibration(entry.folder, taxonomy_of(config))
            except (OSError, TypeError, ValueError):
                return None
    return None


def _revision(folder: Path) -> str:
    """Revision of a checkpoint that is not from the Hub; empty if its weights cannot be read."""
    file = folder / "model.safetensors"
    try:
        found = file.stat()
        return _digest(file, found.st_mtime_ns, found.st_size)
    except OSError:
        return ""


@lru_cache(maxsize=64)
def _digest(file: Path, changed: int, size: int) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()[:12]


def _read_rates(file: Path, version: Version) -> Trust:
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
    return Trust(how, garments)
