"""What a checkpoint's folder says of its scores, whatever state its files are in.

Nothing here builds a network: `metrics.json`, `config.json`, the header of `model.safetensors` and `evidence.parquet`
are read as data. What is missing, damaged or older is a sentence, and the rest is used.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from segmodels.evaluation.bootstrap import SCORES
from segmodels.evaluation.conditions import CONDITION_MEASURES
from segmodels.evaluation.evidence import Evidence
from segmodels.evaluation.metrics import ConfusionMatrix
from segmodels.taxonomy import TAXONOMIES, Taxonomy

__all__ = [
    "Condition",
    "Measurement",
    "Model",
    "PhotoSet",
    "evidence_of_measurement",
    "photo_sets",
    "read_model",
]

_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")  # stored beside the parameters by a norm
_MOST_NAMED = 80  # characters of a text from a file that a sentence repeats


@dataclass(frozen=True)
class Measurement:
    """One model's scores on one set of photos.

    Args:
        photos: Name of the set of photos, for people.
        how: How they were measured, for people; empty if the file does not say.
        scores: `photos` (their number) and the keys of `ConfusionMatrix.scores`; a key may be absent.
        ids: Ids of the photos; None if the file does not say.
        deviation: Standard deviation over the folds by score; None if this is no cross-validation.
        seconds_per_photo: Median of the seconds per photo; None if not known.
        device: Device that the seconds were measured on; empty if not known.
        precision: The number format of the network's features then; empty if not known.
    """

    photos: str
    how: str
    scores: Mapping[str, Any]
    ids: tuple[str, ...] | None = None
    deviation: Mapping[str, float | None] | None = None
    seconds_per_photo: float | None = None
    device: str = ""
    precision: str = ""

    @property
    def matrix(self) -> np.ndarray | None:
        """int64 `(n, n)` pixels: rows truth, columns prediction; None if the file has none."""
        counts = self.scores.get("confusion_matrix")
        return None if counts is None else np.array(counts, np.int64)

    @property
    def key(self) -> tuple[Any, ...]:
        """Equal for measurements of the same photos in the same way.

        Photos are told apart by the pixels that each class has in their truth, so that two lists of one name are not
        taken for the same photos; where there is no matrix, by their name.
        """
        truth = self.matrix
        photos = tuple(truth.sum(axis=1).tolist()) if truth is not None else self.photos
        return (self.deviation is not None, self.scores.get("photos"), photos)


@dataclass(frozen=True)
class Condition:
    """One model's score on photos that are cut, lit or made otherwise.

    Args:
        kind: Key of `segmodels.evaluation.conditions.CONDITION_MEASURES`.
        name: Name of the condition.
        photos: Name of the set of photos, for people.
        score: Score, 0 to 1.
    """

    kind: str
    name: str
    photos: str
    score: float

    @property
    def measure(self) -> str:
        """What the score is, for people."""
        return CONDITION_MEASURES[self.kind]


@dataclass(frozen=True)
class Model:
    """A checkpoint as far as its scores and costs go.

    Args:
        name: Name of the model in the catalog.
        folder: Folder of the checkpoint.
        taxonomy: Taxonomy of the model's classes; None if `config.json` does not say.
        measurements: Measurements in the order of `metrics.json`, cross-validation last.
        conditions: Scores on photos that are cut, lit or made otherwise.
        curve: The learning curve, one mapping an epoch: `epoch`, and where known `loss`, `validation_loss`,
            `mean_iou`, `pixel_accuracy` (on crops) and `seconds`.
        training: Entry `training` of `config.json`; empty if there is none.
        architecture: Name of the architecture, as in `config.json`; empty if not known.
        config: All of `config.json`, unchecked; empty if it cannot be read.
        parameters: Number of parameters of the network; None if not known.
        size: Size of the weights on disk, in bytes; None if there are none.
        sentences: Sentences on what is wrong with the files.
    """

    name: str
    folder: Path
    taxonomy: Taxonomy | None = None
    measurements: tuple[Measurement, ...] = ()
    conditions: tuple[Condition, ...] = ()
    curve: tuple[Mapping[str, float], ...] = ()
    training: Mapping[str, Any] = field(default_factory=dict)
    architecture: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    parameters: int | None = None
    size: int | None = None
    sentences: tuple[str, ...] = ()

    @property
    def epoch(self) -> int | None:
        """The one that is kept."""
        value = self.training.get("epoch")
        return value if type(value) is int else None

    @property
    def hours(self) -> float | None:
        """Of the training, as far as its epochs were timed; None if one was not."""
        seconds = [epoch.get("seconds") for epoch in self.curve]
        known = [value for value in seconds if value is not None]
        return sum(known) / 3600 if known and len(known) == len(seconds) else None

    @property
    def device(self) -> str:
        """What it was trained on; empty if not known."""
        return str(self.training.get("device") or "")

    @property
    def precision(self) -> str:
        """The number format of the network's features in training; empty if not known."""
        return str(self.training.get("precision") or "")

    @property
    def fold(self) -> int | None:
        """The fold that training left out and that chose the epoch; -1 if it left none out, None if not known."""
        value = self.training.get("recipe", {}).get("fold") if isinstance(self.training.get("recipe"), dict) else None
        return value if type(value) is int else None

    def measured_on(self, photos: PhotoSet) -> Measurement | None:
        """Its scores on a set of photos."""
        return next((each for each in self.measurements if each.key == photos.key), None)

    def acquaintance(self, measurement: Measurement) -> str:
        """Whether training had to do with the photos that it was measured on, in words; empty if not known to."""
        found = re.search(r"\bfold (\d+)\b", measurement.photos)
        if measurement.deviation is not None or not found or self.fold is None:
            return ""
        if self.fold == int(found[1]):
            return "These photos chose the epoch that is kept."
        return "These photos were trained on: the scores say what is remembered, not what was learnt."


@dataclass(frozen=True)
class PhotoSet:
    """Photos on which at least one model was measured.

    Args:
        label: Label of the set, for people; each set has another.
        how: How the first model was measured on them.
        key: Key of the set, as `Measurement.key`.
        models: Names of the models that were measured on them.
    """

    label: str
    how: str
    key: tuple[Any, ...]
    models: tuple[str, ...]

    @property
    def photos(self) -> int | None:
        """How many; None if the files do not say."""
        return self.key[1] if isinstance(self.key[1], int) else None

    @property
    def over_folds(self) -> bool:
        """Whether each photo was judged by the network of a fold that left it out."""
        return bool(self.key[0])


def photo_sets(models: Sequence[Model]) -> list[PhotoSet]:
    """The sets of photos that models were measured on; those that most models have come first."""
    found: dict[tuple[Any, ...], list[tuple[Model, Measurement]]] = {}
    for model in models:
        for each in model.measurements:
            found.setdefault(each.key, []).append((model, each))
    sets: list[PhotoSet] = []
    for key, pairs in found.items():
        label = pairs[0][1].photos
        twins = sum(each.label.startswith(label) for each in sets)
        if twins:
            label += f", other photos of the same name ({twins + 1})"
        names = tuple(dict.fromkeys(model.name for model, _ in pairs))
        sets.append(PhotoSet(label, pairs[0][1].how, key, names))
    return sorted(sets, key=lambda each: -len(each.models))


def read_model(name: str, folder: Path) -> Model:
    """Reads what a checkpoint's folder says; never fails.

    Args:
        name: Name of the model in the catalog.
        folder: Folder of the checkpoint.
    """
    sentences: list[str] = []
    config = _json(folder / "config.json", name, "Get the checkpoint again.", sentences)
    taxonomy = TAXONOMIES.get(str(config.get("taxonomy")))
    training = config.get("training")
    training = training if isinstance(training, dict) else {}
    parameters, size = _cost(folder / "model.safetensors")
    if size is None and type(training.get("parameters")) is int:
        parameters = training["parameters"]
    model = Model(
        name=name,
        folder=folder,
        taxonomy=taxonomy,
        training=training,
        architecture=str(config.get("architecture") or ""),
        config=config,
        parameters=parameters,
        size=size,
    )
    metrics: dict[str, Any] = {}
    if (folder / "metrics.json").exists():
        metrics = _json(folder / "metrics.json", name, "Its row is left out. Evaluate it again.", sentences)
    if metrics and taxonomy is None and not sentences:
        sentences.append(f"{name}: config.json names no known classes; its scores are left out.")
    measurements = list(_measurements(name, metrics, taxonomy, sentences)) if taxonomy else []
    curve = _curve(name, metrics.get("learning_curve", []), sentences)
    conditions = tuple(_conditions(name, metrics.get("conditions", []), sentences))
    return replace(
        model, measurements=tuple(measurements), conditions=conditions, curve=curve, sentences=tuple(sentences)
    )


def evidence_of_measurement(
    model: Model, measurement: Measurement, evidence: Sequence[Evidence]
) -> tuple[list[Evidence], str]:
    """The photos that stand behind a measurement, out of all that a checkpoint's file holds.

    They are found by their ids; where an older file names none, they are a run of rows. Either way their counts must
    add up to the measurement's own matrix, so that no photo is shown for a number that it is no part of.

    Returns:
        The rows, and a sentence; one of the two is empty.
    """
    if measurement.matrix is None:
        return [], f"{model.name}: metrics.json has no confusion matrix for {measurement.photos}. Evaluate it again."
    if measurement.ids is not None:
        wanted = set(measurement.ids)
        candidates = [[row for row in evidence if row.photo_id in wanted]]
    else:  # the photos of one run stand in a row
        length = measurement.scores.get("photos") or len(evidence)
        candidates = [list(evidence[start : start + length]) for start in range(len(evidence) - length + 1)]
    for rows in candidates:
        if rows and np.array_equal(sum(row.counts for row in rows), measurement.matrix):
            return rows, ""
    return [], (
        f"{model.name}: evidence.parquet is of other photos than {measurement.photos}, or of an earlier run. "
        "Evaluate it again with --keep to see the photos behind its numbers."
    )


# --- Reading ----------------------------------------------------------------------------------------------------------


def _json(path: Path, name: str, remedy: str, sentences: list[str]) -> dict[str, Any]:
    """An object from a file; empty, with a sentence, if it is missing or damaged."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        sentences.append(f"{name}: {path.name} is missing. {remedy}")
        return {}
    except (OSError, ValueError, RecursionError) as error:
        sentences.append(f"{name}: {path.name} is damaged ({_short(error)}). {remedy}")
        return {}
    if not isinstance(values, dict):
        sentences.append(f"{name}: {path.name} is damaged (it holds no object). {remedy}")
        return {}
    return values


def _measurements(name: str, metrics: Mapping[str, Any], taxonomy: Taxonomy, sentences: list[str]) -> list[Measurement]:
    found = []
    evaluations = metrics.get("evaluations", [])
    for number, entry in enumerate(evaluations if isinstance(evaluations, list) else [None], start=1):
        try:
            found.append(_evaluation(entry, taxonomy))
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            sentences.append(
                f"{name}: evaluation {number} in metrics.json cannot be used ({_short(error)}); it is left out. "
                "Evaluate it again."
            )
    if "crossval" in metrics:
        try:
            found.append(_crossval(metrics["crossval"], taxonomy))
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            sentences.append(
                f"{name}: the cross-validation in metrics.json cannot be used ({_short(error)}); it is left out. "
                "Run crossval again with --keep."
            )
    return found


def _evaluation(entry: Mapping[str, Any], taxonomy: Taxonomy) -> Measurement:
    seconds = entry.get("seconds_per_photo")
    return Measurement(
        photos=_text(entry["photos"]),
        how=_text(entry.get("how", "")),
        scores=_scores(entry["scores"], taxonomy),
        ids=_ids(entry.get("ids")),
        seconds_per_photo=_finite(seconds) if seconds is not None else None,
        device=_text(entry.get("device", "")),
        precision=_text(entry.get("precision", "")),
    )


def _crossval(entry: Mapping[str, Any], taxonomy: Taxonomy) -> Measurement:
    """Means over the folds, with their deviation; classes and matrix are of all photos together."""
    everything = _scores(entry["all_photos"], taxonomy)
    by_fold = {name: [fold[name] for fold in entry["folds"] if fold.get(name) is not None] for name in SCORES}
    means = {name: mean(map(_finite, values)) for name, values in by_fold.items() if values}
    deviation = {name: stdev(map(_finite, values)) if len(values) > 1 else None for name, values in by_fold.items()}
    return Measurement(
        photos=_text(entry["photos"]),
        how=_text(entry.get("how", "")),
        scores=everything | means,
        ids=_ids(entry.get("ids")),
        deviation=deviation,
    )


def _scores(values: Mapping[str, Any], taxonomy: Taxonomy) -> dict[str, Any]:
    """All scores anew from the matrix; without one, those that the file has."""
    photos = values.get("photos")
    if photos is not None and (type(photos) is not int or photos < 1):
        raise ValueError("photos is no number of photos")
    if values.get("confusion_matrix") is None:
        known = {name: _finite(values[name]) for name in SCORES if values.get(name) is not None}
        if not known:
            raise ValueError("it has neither a confusion matrix nor scores")
        return {"photos": photos, **known}
    counts = np.array(values["confusion_matrix"])
    if counts.dtype.kind not in "iu":
        raise ValueError("its confusion matrix does not hold numbers of pixels")
    return {"photos": photos, **ConfusionMatrix(taxonomy.names, counts).scores()}


def _conditions(name: str, values: object, sentences: list[str]) -> list[Condition]:
    """Those that can be read; a kind that this version does not know is left out."""
    found = []
    for number, entry in enumerate(values if isinstance(values, list) else [None], start=1):
        try:
            kind, score = _text(entry["kind"]), _finite(entry["scores"]["score"])
            if kind in CONDITION_MEASURES:
                found.append(Condition(kind, _text(entry["name"]), _text(entry["photos"]), score))
        except (KeyError, TypeError, ValueError) as error:
            sentences.append(
                f"{name}: condition {number} in metrics.json cannot be used ({_short(error)}); it is left out. "
                "Evaluate it again."
            )
    return found


def _curve(name: str, values: object, sentences: list[str]) -> tuple[Mapping[str, float], ...]:
    try:
        if not isinstance(values, list):
            raise TypeError("it is no list")
        curve = [
            {key: _finite(value) for key, value in entry.items() if value is not None and key != "lr"}
            for entry in values
        ]
        if any("epoch" not in entry for entry in curve):
            raise ValueError("an epoch has no number")
    except (AttributeError, TypeError, ValueError) as error:
        sentences.append(f"{name}: the learning curve in metrics.json cannot be used ({_short(error)}); the rest can.")
        return ()
    return tuple(curve)


def _cost(path: Path) -> tuple[int | None, int | None]:
    """Parameters and bytes of a file of weights; None where they cannot be read."""
    try:
        size = path.stat().st_size
        with safe_open(path, "np") as file:
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError):
        return None, path.stat().st_size if path.is_file() else None
    return sum(math.prod(shape) for name, shape in shapes.items() if not name.endswith(_BUFFERS)), size


def _ids(values: object) -> tuple[str, ...] | None:
    if values is None:
        return None
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise ValueError("ids is no list of photos")
    return tuple(values)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{_short(value)} should be a text")
    return value


def _finite(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{_short(value)} should be a number")
    return value


def _short(value: object) -> str:
    """The first line of something, cut to a length that fits into a sentence."""
    text = f"{value} is missing" if isinstance(value, KeyError) else str(value)
    line = text.partition("\n")[0].rstrip(".")
    return line if len(line) <= _MOST_NAMED else f"{line[: _MOST_NAMED - 1]}…"
