"""Presence: the probability that a person shows a garment, calibrated on photos that the network never saw.

A mask says where a garment is; presence says whether there is one. A logistic regression for each garment and accessory
class turns a few features of a region's probability maps into that probability, and an unlikely class gives way to
others in the class map. The coefficients stand in `calibration.json` of a checkpoint; `python -m train calibrate` fits
them. This module needs no torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, TypeAdapter

from segmodels.errors import GarmentscopeError
from segmodels.evaluation.results import EvaluatedPhotos
from segmodels.files import write_whole
from segmodels.taxonomy import Taxonomy
from segmodels.validation import read_versioned

__all__ = [
    "CALIBRATION_FILE",
    "LIKELY",
    "Calibration",
    "CalibrationError",
    "ClassCalibration",
    "PresenceJudgement",
    "PresenceScores",
    "ReliabilityBin",
    "doubts",
    "feature_names",
    "features",
    "read_calibration",
    "write_calibration",
]

CALIBRATION_FILE = "calibration.json"
"""Name of the file in a checkpoint's folder."""

LIKELY = 0.5
"""Presence from which a garment counts as worn where a yes or no is needed."""

_VERSION = 1  # of the file and of the features
_USE = 2  # how presence is used: 1 beside the class map, 2 in it as well
_DOUBT = 2.0  # power of a class's factor in the class map; chosen on fold 0, flat-lays and photos of other kinds
_OWN = ("area", "confidence", "strongest 0.1 %", "strongest 0.8 %", "strongest 5 %", "mass")
_STRONGEST = (0.001, 0.008, 0.05)  # shares of all cells
_LEAST_SHARE = 1e-3  # added to shares before their logarithm is taken
_LEAST_ODDS = 1e-4  # probabilities are kept this far from 0 and 1 before their log odds are taken
_LARGEST = 1e9  # coefficient; sums of products with features, which are below 10, are finite

_Coefficient = Annotated[float, Field(strict=True, ge=-_LARGEST, le=_LARGEST)]
_Share = Annotated[float, Field(strict=True, ge=0, le=1)]
_Number = Annotated[int, Field(strict=True, ge=0, le=1_000_000_000)]
_Correlation = Annotated[float, Field(strict=True, ge=-1, le=1)]


class CalibrationError(GarmentscopeError, ValueError):
    """A `calibration.json` that cannot be used; the message names the file, says what is wrong and what to do."""


@dataclass(frozen=True, kw_only=True)
class ClassCalibration:
    """Logistic regression of one class: log odds = intercept + weights · features."""

    intercept: _Coefficient

    weights: tuple[_Coefficient, ...]
    """Weights of `features`, in their order."""

    share_error: _Share
    """Standard error of the mean presence that does not shrink with the number of photos counted: the regression was
    fitted on few. It is the standard deviation over refits on bootstrap samples of the photos of the fit."""


@dataclass(frozen=True, kw_only=True)
class ReliabilityBin:
    """A point of the reliability curve: pairs of a photo and a class whose presence lies in one tenth."""

    predicted: _Share
    """Mean presence, 0..1."""

    observed: _Share
    """Share of the pairs in which the garment is shown, 0..1."""

    number: _Number
    """Number of pairs."""


@dataclass(frozen=True, kw_only=True)
class PresenceScores:
    """Scores of counts of garments against the truth."""

    share_error: _Share
    """Mean over the classes of the absolute error of the share of photos that show the class."""

    f1: _Share
    """Micro F1 over all pairs of a photo and a class, from presence 0.5."""

    brier: _Share
    """Mean squared error of the presence over all pairs."""


@dataclass(frozen=True, kw_only=True)
class PresenceJudgement:
    """Scores of a calibration on one kind of photo."""

    photos: EvaluatedPhotos

    how: Literal["cross-validated", "held out"]
    """`cross-validated`: by folds of the photos of the fit; `held out`: on other photos."""

    raw: PresenceScores
    """Scores of the garments that the network finds without a calibration, counted as 1 each."""

    calibrated: PresenceScores

    framing: str = "full"
    """Part of the person that the photos show."""

    reliability: tuple[ReliabilityBin, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What turns features into presence, with the photos that it was fitted and judged on."""

    taxonomy: str
    """Name of the taxonomy."""

    classes: Mapping[str, ClassCalibration]
    """Regression by name of each garment and accessory class."""

    correlations: tuple[tuple[_Correlation, ...], ...] = ()
    """Correlation of the errors of two classes, -1..1, in rows and columns of the taxonomy's display order: below 0
    where one of the two is worn and the network cannot tell which. Empty if not known; its diagonal is 0."""

    fitted_on: tuple[PresenceJudgement, ...] = ()
    """Cross-validated scores on the photos of the fit, by kind of photo."""

    judged_on: tuple[PresenceJudgement, ...] = ()
    """Scores on other photos, by kind of photo."""

    weights: str = ""
    """Identifier of the network's weights on which it was fitted, as `Kinds` has it; empty in files of earlier
    versions."""

    version: Literal[1] = 1

    @cached_property
    def revision(self) -> str:
        """Identifier of the coefficients and of how presence is used, whatever the scores."""
        fitted = [[name, each.intercept, *each.weights] for name, each in sorted(self.classes.items())]
        return sha256(json.dumps([_USE, *fitted]).encode()).hexdigest()[:12]

    @property
    def judgements(self) -> tuple[PresenceJudgement, ...]:
        """Scores on other photos; the cross-validated ones if there are none."""
        return self.judged_on or self.fitted_on

    @property
    def share_errors(self) -> dict[str, float]:
        """Standard error of a share that stems from the calibration, by class."""
        return {name: each.share_error for name, each in self.classes.items()}

    def presence(self, found: np.ndarray, taxonomy: Taxonomy) -> dict[str, float]:
        """Presence of each garment and accessory class, 0..1, in display order.

        Args:
            found: Features from `features`, float64 `(classes, features)`.
            taxonomy: Taxonomy of the rows of `found`.
        """
        result = {}
        for garment in taxonomy.worn:
            regression = self.classes[garment.name]
            odds = regression.intercept + float(np.dot(regression.weights, found[garment.id]))
            result[garment.name] = float(1 / (1 + np.exp(-np.clip(odds, -30, 30))))
        return result


def doubts(presence: Mapping[str, float], probability: np.ndarray, taxonomy: Taxonomy) -> np.ndarray:
    """Factors on the probabilities of the classes of a person, float32 `(C,)`, 0..1, for the choice of the likeliest.

    A pixel looks at its surroundings, presence at the whole outfit: with these factors a strip of shirt on a dress goes
    to the dress, where the person is unlikely to wear a shirt. The factor is 1 from presence 0.5 on and falls with the
    square of presence below. It is always 1 for hair, skin and background, and for the garment with most cells.

    Args:
        presence: Presence of each garment and accessory class, 0..1.
        probability: Probabilities in the person's region, float `(C, h, w)`, averaged over cells of a few pixels.
        taxonomy: Taxonomy of the classes.
    """
    cells = np.bincount(probability.argmax(axis=0).ravel(), minlength=len(taxonomy))
    largest = max(taxonomy.worn, key=lambda garment: cells[garment.id])
    factors = np.ones(len(taxonomy), np.float32)
    for garment in taxonomy.worn:
        if garment != largest:
            factors[garment.id] = min(1.0, presence[garment.name] / LIKELY) ** _DOUBT
    return factors


def feature_names(taxonomy: Taxonomy) -> list[str]:
    """Names of the features, in the order of `features`."""
    return [*_OWN, *(f"{_OWN[3]} of {name}" for name in taxonomy.names), "score of the person"]


def features(probability: np.ndarray, score: float) -> np.ndarray:
    """Features of each class, float64 `(C, 6 + C + 1)`, from the probabilities of a region of interest.

    Of the class itself:

    - log of its share of the cells that are not background, where a cell belongs to its likeliest class;
    - its mean probability in its cells;
    - log odds of its mean probability in the 0.1 %, 0.8 % and 5 % of all cells where it is strongest;
    - log of its summed probability over that of all classes but the background.

    The same for all classes: the log odds at 0.8 % of each of them, which say what is worn together and which part of a
    person is shown, and the detector's score.

    Args:
        probability: Probabilities, float `(C, h, w)`, averaged over cells of a few pixels; class 0 is the background.
        score: Score of the detector for the person, 0..1; 0 where it found nobody.
    """
    maps = probability.reshape(len(probability), -1).astype(np.float32)
    likeliest = maps.argmax(axis=0)
    cells = np.bincount(likeliest, minlength=len(maps))
    area = np.log(cells / (cells[1:].sum() + 1) + _LEAST_SHARE)
    summed = np.bincount(likeliest, maps[likeliest, np.arange(maps.shape[1])], minlength=len(maps))
    confidence = summed / np.maximum(cells, 1)
    counts = [max(1, round(share * maps.shape[1])) for share in _STRONGEST]
    upper = np.sort(np.partition(maps, -counts[-1], axis=1)[:, -counts[-1] :], axis=1)
    strongest = [_log_odds(upper[:, -count:].mean(axis=1, dtype=np.float64)) for count in counts]
    mass = np.log(maps.sum(axis=1, dtype=np.float64) / ((1 - maps[0]).sum(dtype=np.float64) + 1) + _LEAST_SHARE)
    own = np.stack([area, confidence, *strongest, mass], axis=1)
    context = np.broadcast_to([*strongest[1], score], (len(maps), len(maps) + 1))
    return np.hstack([own, context])


def read_calibration(folder: Path, taxonomy: Taxonomy) -> Calibration | None:
    """Reads `calibration.json` of a checkpoint; None if there is none.

    Args:
        folder: Folder of the checkpoint.
        taxonomy: Taxonomy of the checkpoint.

    Raises:
        CalibrationError: If the file is damaged, of a newer version, or of other classes.
    """
    path = folder / CALIBRATION_FILE
    if not path.exists() and not path.is_symlink():
        return None
    again = "Fit it again with `python -m train calibrate`, or remove the file: counts are raw then."
    calibration = read_versioned(path, _ADAPTER, _VERSION, CalibrationError, again)
    names = [garment.name for garment in taxonomy.worn]
    if calibration.taxonomy != taxonomy.name or set(calibration.classes) != set(names):
        raise CalibrationError(f"{path} is not a calibration of the classes of {taxonomy.name}. {again}")
    count = len(feature_names(taxonomy))
    sizes = {len(row) for row in calibration.correlations}
    if calibration.correlations and (len(calibration.correlations) != len(names) or sizes != {len(names)}):
        raise CalibrationError(f"{path} is damaged: correlations are not {len(names)} rows of {len(names)}. {again}")
    matrix = np.array(calibration.correlations)
    if matrix.size and (matrix.diagonal().any() or (matrix != matrix.T).any()):
        raise CalibrationError(f"{path} is damaged: correlations are not symmetric with a diagonal of 0. {again}")
    if wrong := [name for name in names if len(calibration.classes[name].weights) != count]:
        raise CalibrationError(f"{path} is damaged: {wrong[0]} has not {count} weights. {again}")
    return calibration


def write_calibration(folder: Path, calibration: Calibration) -> None:
    """Writes `calibration.json` of a checkpoint atomically.

    Raises:
        OSError: If the folder cannot be written.
    """
    write_whole(folder / CALIBRATION_FILE, json.dumps(_rounded(asdict(calibration)), indent=1) + "\n")


def _rounded(value: Any) -> Any:
    """A JSON value with its numbers rounded to seven significant digits, and without keys whose value is None."""
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items() if each is not None}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return float(f"{value:.7g}") if isinstance(value, float) else value


def _log_odds(probability: np.ndarray) -> np.ndarray:
    kept = np.clip(probability, _LEAST_ODDS, 1 - _LEAST_ODDS)
    odds: np.ndarray = np.log(kept / (1 - kept))
    return odds


_ADAPTER: TypeAdapter[Calibration] = TypeAdapter(Calibration)
