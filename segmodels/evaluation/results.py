"""Contents of a checkpoint's `metrics.json` as types: evaluations, scores under other conditions, a cross-validation.

`parse_results` reads the contents of a file of this version or an older one, `Results.to_json` gives those of a new
file. The keys of the file are the fields of the classes below. Imports no network.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields
from statistics import mean, stdev
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from pydantic import Field

from segmodels.errors import GarmentscopeError
from segmodels.evaluation.metrics import ConfusionMatrix
from segmodels.sentences import counted, first_line
from segmodels.taxonomy import TAXONOMIES, Taxonomy

__all__ = [
    "CONDITION_MEASURES",
    "DATASET_TITLES",
    "VERSION",
    "ClassScores",
    "ConditionScore",
    "CrossValidation",
    "DetectorEvaluation",
    "DetectorResults",
    "EvaluatedPhotos",
    "Evaluation",
    "FoldScores",
    "Results",
    "ResultsError",
    "Scores",
    "parse_detector_results",
    "parse_results",
    "parse_scores",
    "shorten",
    "taxonomy_entry",
    "taxonomy_from",
    "to_json",
    "upgrade",
]

VERSION = 2
"""Version of the files that are written. Version 1 had no key `version`, and named the photos by a sentence."""

CONDITION_MEASURES: Mapping[str, str] = {
    "whole": "mean IoU",
    "framing": "mean IoU of the classes with more than 0.2 % of the true pixels",
    "flatlay": "share of photos whose largest garment is named correctly, mean over the classes",
    "wild": "micro F1 of garments and accessories on the main person",
}
"""Description of a score by the kind of its condition: `whole` for whole photos, changed or as they are."""

_UNUSABLE = (AttributeError, KeyError, TypeError, ValueError, OverflowError)  # what reading a damaged entry raises
_MOST = 1_000_000_000  # photos, folds
_MOST_NAMED = 80  # characters of a text from a file that a sentence repeats

DATASET_TITLES: Mapping[str, str] = {
    "ccp": "Clothing Co-Parsing",
    "cfpd": "Colorful Fashion Parsing Data",
    "ccp_cfpd": "Clothing Co-Parsing with Colorful Fashion Parsing Data",
    "imaterialist": "iMaterialist 2019",
    "fashionpedia": "Fashionpedia",
    "flatlay": "flat-lays",
    "wild": "photos of other kinds",
}
"""What people read in place of the name of a data set that has a reader of its own."""

Entry = TypeVar("Entry")


class ResultsError(GarmentscopeError, ValueError):
    """A `metrics.json` that this version cannot read; the message says why and what to do."""


@dataclass(frozen=True, kw_only=True)
class EvaluatedPhotos:
    """The photos that scores were measured on. As text, it names them for people."""

    dataset: str
    """Name of the data set."""

    split: Literal["all", "fold", "folds", "ids", "test"] = "all"
    """Part of the data set: all photos, one fold, all folds in turn, a list of ids, or its part `test`."""

    fold: Annotated[int, Field(ge=0, le=_MOST)] | None = None
    """Number of the fold, for the split `fold`."""

    folds: Annotated[int, Field(ge=0, le=_MOST)] | None = None
    """Number of folds, for the split `folds`."""

    ids_file: str = ""
    """Name of the file that lists the photos, for the split `ids`."""

    number: Annotated[int, Field(ge=1, le=_MOST)] | None = None
    """Number of photos; None if not known."""

    @property
    def part(self) -> str:
        """Split and number of photos, for people."""
        names = {"fold": f"fold {self.fold}", "folds": f"{self.folds} folds", "ids": self.ids_file, "test": "part test"}
        return self._counted(names.get(self.split, self.split))

    def __str__(self) -> str:
        dataset = DATASET_TITLES.get(self.dataset, self.dataset)
        if self.split == "all":
            return self._counted(dataset)
        how = ", each judged by a network that left it out" if self.split == "folds" else ""
        return f"{dataset}, {self.part}{how}"

    def _counted(self, name: str) -> str:
        return name if self.number is None else f"{name} ({counted(self.number, 'photo')})"


@dataclass(frozen=True, kw_only=True)
class ClassScores:
    """Scores of one class, as `ConfusionMatrix` defines them; None if the class does not occur."""

    iou: float | None = None
    f1: float | None = None
    precision: float | None = None
    recall: float | None = None
    pixels: int | None = None
    """Number of pixels of the class in the truth."""


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Scores over all photos together, as `ConfusionMatrix` defines them; None if a score does not exist."""

    pixel_accuracy: float | None = None
    mean_iou: float | None = None
    mean_iou_foreground: float | None = None
    mean_f1: float | None = None
    mean_precision: float | None = None
    mean_recall: float | None = None
    binary_iou: float | None = None
    classes: Mapping[str, ClassScores] = field(default_factory=dict)
    """Scores by name of the class; empty if not known."""

    confusion_matrix: tuple[tuple[int, ...], ...] | None = None
    """Numbers of pixels: rows truth, columns prediction; None if not known."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Scores of a checkpoint on whole photos as they are."""

    photos: EvaluatedPhotos
    scores: Scores
    how: str = ""
    """How the scores were measured, for people."""

    ids: tuple[str, ...] | None = None
    """Ids of the photos, by which their rows in `evidence.parquet` are found; None if not known."""

    photos_left_out: int = 0
    """Number of photos that could not be read."""

    truth_taxonomy: str | Mapping[str, Any] = ""
    """Taxonomy of the truth, where it is not the checkpoint's: its name in `TAXONOMIES`, or what `Taxonomy.to_json`
    gives. The rows of the confusion matrix are its classes then, and the scores those of the classes in common."""

    classes_scored: str = ""
    """Which classes are scored then, for people."""

    seconds_per_photo: float | None = None
    """Median time from decoded photo to garments, in seconds; None if not known."""

    device: str = ""
    """Name of the device that took this time; empty if not known."""

    precision: str = ""
    """Number format of the network's features; empty if not known."""


@dataclass(frozen=True, kw_only=True)
class ConditionScore:
    """A score under another condition: crops, light, image quality, or other kinds of photo."""

    kind: str
    """Key of `CONDITION_MEASURES`, which says what the score is."""

    framing: str = "full"
    """Part of the person that the photos were cut to; `full` for whole photos."""

    shift: str = ""
    """Change that the photos were given; empty for none."""

    photos: EvaluatedPhotos
    scores: Mapping[str, Any]
    """All scores under the condition, `score` among them."""

    @property
    def name(self) -> str:
        """Name of the condition, for people."""
        others = {"flatlay": "flat-lays", "wild": "photos of other kinds"}
        parts = (self.framing if self.framing != "full" else "", self.shift)
        return others.get(self.kind) or ", ".join(filter(None, parts)) or "full"

    @property
    def measure(self) -> str:
        """Description of the score."""
        return CONDITION_MEASURES[self.kind]

    @property
    def score(self) -> float:
        """The score, 0 to 1."""
        return float(self.scores["score"])


@dataclass(frozen=True, kw_only=True)
class FoldScores:
    """Scores on one fold of a cross-validation."""

    fold: int | None = None
    photos: int | None = None
    """Number of photos of the fold."""

    scores: Scores


@dataclass(frozen=True, kw_only=True)
class CrossValidation:
    """Scores of a recipe: each fold is evaluated with a network whose training left it out."""

    photos: EvaluatedPhotos
    how: str = ""
    """How the scores were measured, for people."""

    folds: tuple[FoldScores, ...]
    all_photos: Scores
    """Scores over the photos of all folds together."""

    interval_95: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Where 95 % of the bootstrap samples of photos lie, by score; empty if not known."""

    ids: tuple[str, ...] | None = None
    """Ids of the photos, by which their rows in `evidence.parquet` are found; None if not known."""

    @property
    def mean(self) -> dict[str, float]:
        """Mean over the folds, by score; without scores that exist on no fold."""
        return {name: mean(values) for name, values in self._over_folds().items() if values}

    @property
    def standard_deviation(self) -> dict[str, float | None]:
        """Standard deviation of the sample over the folds, by score; None with fewer than two values."""
        return {name: stdev(values) if len(values) > 1 else None for name, values in self._over_folds().items()}

    def _over_folds(self) -> dict[str, list[float]]:
        return {
            name: [value for fold in self.folds if (value := getattr(fold.scores, name)) is not None]
            for name in _NUMBERS
        }


@dataclass(frozen=True, kw_only=True)
class Results:
    """Contents of a checkpoint's `metrics.json`."""

    learning_curve: tuple[Mapping[str, float], ...] = ()
    """One mapping an epoch: `epoch`, and where known `loss`, `validation_loss`, `mean_iou`, `pixel_accuracy` (on
    crops) and `seconds`."""

    evaluations: tuple[Evaluation, ...] = ()
    """Scores on whole photos, each on other photos."""

    conditions: tuple[ConditionScore, ...] = ()
    """Scores under other conditions: crops, light, image quality, other kinds of photo."""

    crossval: CrossValidation | None = None
    """Scores over folds; None without a cross-validation."""

    faults: tuple[str, ...] = field(default=(), compare=False)
    """One sentence on each entry of the file that could not be used; they are not written."""

    def to_json(self) -> dict[str, Any]:
        """Contents of the file, ready for JSON."""
        return {"version": VERSION, **{key: value for key, value in to_json(self).items() if key != "faults"}}


@dataclass(frozen=True, kw_only=True)
class DetectorEvaluation:
    """Scores of a person detector."""

    photos: EvaluatedPhotos
    scores: Mapping[str, Mapping[str, float | None]]
    """Scores by kind of scene."""


@dataclass(frozen=True, kw_only=True)
class DetectorResults:
    """Contents of a person detector's `metrics.json`."""

    curve: tuple[Mapping[str, float], ...] = ()
    """One mapping an epoch."""

    evaluations: tuple[DetectorEvaluation, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Contents of the file, ready for JSON."""
        return {"version": VERSION, **to_json(self)}


_NUMBERS = tuple(each.name for each in fields(Scores) if each.name not in ("classes", "confusion_matrix"))
_CLASS_NUMBERS = tuple(each.name for each in fields(ClassScores))


def to_json(record: Any) -> dict[str, Any]:
    """The fields of a dataclass of this module, ready for JSON, without those that are empty or not known."""
    return asdict(
        record, dict_factory=lambda items: {key: value for key, value in items if value not in (None, "", ())}
    )


# --- Reading ----------------------------------------------------------------------------------------------------------


def parse_results(values: Mapping[str, Any], classes: tuple[str, ...] | None = None) -> Results:
    """Reads the contents of a `metrics.json`. An entry that cannot be used is left out, with a sentence in `faults`.

    Args:
        values: Contents of the file.
        classes: Class names by id. With them the scores are computed anew from each confusion matrix, which must be
            of these classes; without them the scores are those of the file.

    Raises:
        ResultsError: If the file is of a newer version.
    """
    current = _current(values)
    faults: list[str] = []
    evaluations = _each(
        "evaluation", values.get("evaluations", []), lambda entry: _evaluation(current(entry), classes), faults
    )
    crossval = None
    if "crossval" in values:
        try:
            crossval = _crossval(current(values["crossval"]), classes)
        except _UNUSABLE as error:
            faults.append(
                f"the cross-validation in metrics.json cannot be used ({shorten(error)}); it is left out. "
                "Run crossval again with --keep."
            )
    curve: tuple[Mapping[str, float], ...] = ()
    try:
        curve = _curve(values.get("learning_curve", []))
    except _UNUSABLE as error:
        faults.append(f"the learning curve in metrics.json cannot be used ({shorten(error)}); the rest can.")
    conditions = _each("condition", values.get("conditions", []), lambda entry: _condition(current(entry)), faults)
    return Results(
        learning_curve=curve,
        evaluations=tuple(evaluations),
        conditions=tuple(each for each in conditions if each.kind in CONDITION_MEASURES),
        crossval=crossval,
        faults=tuple(faults),
    )


def parse_detector_results(values: Mapping[str, Any]) -> DetectorResults:
    """Reads the contents of a person detector's `metrics.json`.

    Raises:
        ResultsError: If the file is of a newer version, or an entry cannot be used.
    """
    current = _current(values)
    try:
        entries = [current(entry) for entry in values.get("evaluations", [])]
        evaluations = [
            DetectorEvaluation(photos=_photos(entry["photos"]), scores=dict(entry["scores"])) for entry in entries
        ]
        return DetectorResults(curve=tuple(values.get("curve", [])), evaluations=tuple(evaluations))
    except _UNUSABLE as error:
        raise ResultsError(f"metrics.json is damaged ({shorten(error)}). Evaluate the detector again.") from None


def parse_scores(values: Mapping[str, Any], classes: tuple[str, ...] | None = None) -> Scores:
    """Reads scores, which `ConfusionMatrix.scores` gives in this form.

    Args:
        values: Scores by name.
        classes: Class names by id, as for `parse_results`.

    Raises:
        ValueError: If there is neither a score nor a matrix, or one cannot be used.
    """
    matrix = values.get("confusion_matrix")
    if matrix is not None:
        counts = np.array(matrix)
        if counts.dtype.kind not in "iu":
            raise ValueError("its confusion matrix does not contain pixel counts")
        if classes is not None:
            values = ConfusionMatrix(classes, counts).scores()
    elif all(values.get(name) is None for name in _NUMBERS):
        raise ValueError("it has neither a confusion matrix nor scores")
    return Scores(
        **{name: _number(values.get(name)) for name in _NUMBERS},
        classes={
            name: ClassScores(**{key: _number(row.get(key)) for key in _CLASS_NUMBERS})  # type: ignore[arg-type]
            for name, row in values.get("classes", {}).items()
        },
        confusion_matrix=None if matrix is None else tuple(map(tuple, matrix)),
    )


def upgrade(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry of a file of version 1 in the form of today: an evaluation, a condition or a cross-validation.

    Version 1 named the photos by a sentence, `ccp, fold 0 (158 photos)`; held their number among the scores; named a
    condition by framing and shift together, `bust, grey`; and held the scores of a fold beside its number.

    Args:
        entry: Entry of the file.

    Raises:
        KeyError: If the entry does not name the photos.
        ValueError: If it does not do so by a text.
    """
    found = re.fullmatch(r"(.+?)(?:, (.+?))?(?: \((\d+) photos\).*)?", _text(entry["photos"]))
    dataset, part, number = found.groups() if found else (entry["photos"], None, None)
    photos: dict[str, Any] = {"dataset": dataset, "split": "all", "number": int(number) if number else None}
    if fold := re.fullmatch(r"fold (\d+)", part or ""):
        photos |= {"split": "fold", "fold": int(fold[1])}
    elif folds := re.fullmatch(r"(\d+) folds", part or ""):
        photos |= {"split": "folds", "folds": int(folds[1])}
    elif part == "part test":
        photos["split"] = "test"
    elif part and part != "all":
        photos |= {"split": "ids", "ids_file": part}
    upgraded = {**entry, "photos": photos}
    scores = entry.get("scores", entry.get("all_photos"))
    if "kind" in entry:
        name = _text(entry["name"])
        if entry["kind"] == "framing":
            framing, _, shift = name.partition(", ")
            upgraded |= {"framing": framing, "shift": shift}
        elif entry["kind"] == "whole" and name != "full":
            upgraded["shift"] = name
    elif isinstance(scores, Mapping) and not isinstance(scores.get("photos"), Mapping):  # a detector's are of scenes
        photos["number"] = scores.get("photos", photos["number"])
        upgraded["photos_left_out"] = scores.get("photos_left_out", 0)
    if "all_photos" in entry:
        upgraded["folds"] = [
            {"fold": fold.get("fold"), "photos": fold.get("photos"), "scores": fold} for fold in entry["folds"]
        ]
    return upgraded


def taxonomy_from(entry: object) -> Taxonomy:
    """The taxonomy that an entry `truth_taxonomy` stands for.

    Raises:
        ValueError: If there is none.
    """
    if isinstance(entry, str):
        if entry not in TAXONOMIES:
            raise ValueError(f"there is no taxonomy {shorten(entry)}")
        return TAXONOMIES[entry]
    return Taxonomy.from_json(entry)


def taxonomy_entry(taxonomy: Taxonomy) -> str | dict[str, Any]:
    """What `taxonomy_from` reads."""
    return taxonomy.name if TAXONOMIES.get(taxonomy.name) == taxonomy else taxonomy.to_json()


def shorten(value: object) -> str:
    """The first line of an error or a value, cut to a length that fits into a sentence."""
    text = f"{value} is missing" if isinstance(value, KeyError) else value
    line = first_line(text) if isinstance(text, BaseException) else str(text).partition("\n")[0].rstrip(".")
    return line if len(line) <= _MOST_NAMED else f"{line[: _MOST_NAMED - 1]}…"


def _current(values: Mapping[str, Any]) -> Callable[[Any], Mapping[str, Any]]:
    """The function that brings an entry of a file to the form of today.

    Raises:
        ResultsError: If the file is of a newer version.
    """
    version = values.get("version", 1)
    if type(version) is not int or version > VERSION:
        raise ResultsError(
            f"metrics.json is of version {shorten(version)}; this Garmentscope reads up to {VERSION}. "
            "Update Garmentscope."
        )
    return upgrade if version < VERSION else lambda entry: entry


def _each(what: str, entries: object, read: Callable[[Any], Entry], faults: list[str]) -> list[Entry]:
    """The entries of a list that can be read."""
    found = []
    for number, entry in enumerate(entries if isinstance(entries, list | tuple) else [None], start=1):
        try:
            found.append(read(entry))
        except _UNUSABLE as error:
            faults.append(
                f"{what} {number} in metrics.json cannot be used ({shorten(error)}); it is left out. Evaluate it again."
            )
    return found


def _evaluation(entry: Mapping[str, Any], classes: tuple[str, ...] | None) -> Evaluation:
    truth = entry.get("truth_taxonomy", "")
    if truth:
        taxonomy_from(truth)
    return Evaluation(
        photos=_photos(entry["photos"]),
        scores=parse_scores(entry["scores"], None if truth else classes),
        truth_taxonomy=truth,
        classes_scored=_text(entry.get("classes_scored", "")),
        how=_text(entry.get("how", "")),
        ids=_ids(entry.get("ids")),
        photos_left_out=int(entry.get("photos_left_out", 0)),
        seconds_per_photo=_number(entry.get("seconds_per_photo")),
        device=_text(entry.get("device", "")),
        precision=_text(entry.get("precision", "")),
    )


def _condition(entry: Mapping[str, Any]) -> ConditionScore:
    score = entry["scores"]["score"]
    if _number(score) is None:
        raise ValueError("it has no score")
    return ConditionScore(
        kind=_text(entry["kind"]),
        framing=_text(entry.get("framing", "full")),
        shift=_text(entry.get("shift", "")),
        photos=_photos(entry["photos"]),
        scores=dict(entry["scores"]),
    )


def _crossval(entry: Mapping[str, Any], classes: tuple[str, ...] | None) -> CrossValidation:
    folds = [
        FoldScores(fold=fold.get("fold"), photos=fold.get("photos"), scores=parse_scores(fold["scores"]))
        for fold in entry["folds"]
    ]
    return CrossValidation(
        photos=_photos(entry["photos"]),
        how=_text(entry.get("how", "")),
        folds=tuple(folds),
        all_photos=parse_scores(entry["all_photos"], classes),
        interval_95={name: (low, high) for name, (low, high) in entry.get("interval_95", {}).items()},
        ids=_ids(entry.get("ids")),
    )


def _curve(values: object) -> tuple[Mapping[str, float], ...]:
    if not isinstance(values, list | tuple):
        raise TypeError("it is not a list")
    for entry in values:
        for value in entry.values():
            if not isinstance(value, float):  # which may be NaN: the loss of a fit that diverged
                _number(value)
    curve = [{key: value for key, value in entry.items() if value is not None} for entry in values]
    if any("epoch" not in entry for entry in curve):
        raise ValueError("an epoch has no number")
    return tuple(curve)


def _photos(values: object) -> EvaluatedPhotos:
    if not isinstance(values, Mapping):
        raise ValueError("photos is not an object")
    photos = EvaluatedPhotos(**values)
    for text in (photos.dataset, photos.split, photos.ids_file):
        _text(text)
    for whole in (photos.fold, photos.folds):
        if whole is not None and (type(whole) is not int or not 0 <= whole <= _MOST):
            raise ValueError(f"{shorten(whole)} should be the number of a fold")
    if photos.number is not None and (type(photos.number) is not int or not 1 <= photos.number <= _MOST):
        raise ValueError("photos is not a number of photos")
    return photos


def _ids(values: object) -> tuple[str, ...] | None:
    if values is None:
        return None
    if not isinstance(values, list | tuple) or not all(isinstance(value, str) for value in values):
        raise ValueError("ids is not a list of photos")
    return tuple(values)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{shorten(value)} should be a text")
    return value


def _number(value: object) -> float | None:
    """A number of a file; None if there is none."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{shorten(value)} should be a number")
    return value
