"""Scores in a checkpoint's folder, whatever state its files are in.

Nothing here builds a network: `metrics.json`, `config.json`, the header of `model.safetensors` and `evidence.parquet`
are read as data. Missing, damaged or outdated files are reported in a sentence; the rest is used.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from segmodels.checkpoints.catalog import MAPS_FILE
from segmodels.checkpoints.errors import CheckpointError
from segmodels.evaluation.evidence import Evidence, in_common
from segmodels.evaluation.metrics import ConfusionMatrix
from segmodels.evaluation.results import (
    ConditionScore,
    EvaluatedPhotos,
    Results,
    ResultsError,
    Scores,
    parse_results,
    parse_scores,
    shorten,
    taxonomy_from,
)
from segmodels.files import read_json
from segmodels.foreign.description import config_values
from segmodels.foreign.formats import weights_of
from segmodels.foreign.onnx_file import find_onnx, read_onnx
from segmodels.mappings import ClassMapping, CommonClasses, MappingError, common_classes, mapping_beside
from segmodels.taxonomy import Taxonomy, TaxonomyError, taxonomy_of

__all__ = [
    "Measurement",
    "Model",
    "PhotoSet",
    "evidence_of_measurement",
    "photo_sets",
    "read_model",
]

_REMOVE = "Its scores are left out. Remove the file, and evaluate the network again with --keep."
_BUFFERS = ("running_mean", "running_var", "num_batches_tracked")  # stored by batch norms beside the parameters


@dataclass(frozen=True)
class Measurement:
    """One model's scores on one set of photos.

    Args:
        photos: Photos that the model was measured on.
        how: How the scores were measured, for people; empty if the file does not say.
        scores: Scores over all photos; of a cross-validation the means over the folds.
        ids: Ids of the photos; None if the file does not say.
        deviation: Standard deviation over the folds by score; None if this is no cross-validation.
        seconds_per_photo: Median of the seconds per photo; None if not known.
        device: Device that the seconds were measured on; empty if not known.
        precision: Number format of the network's features in that measurement; empty if not known.
        truth_taxonomy: Taxonomy of the truth, if it is not the model's: of the rows of the matrix.
        common: Classes that scores and matrix are in, if these are not the model's.
    """

    photos: EvaluatedPhotos
    how: str
    scores: Scores
    ids: tuple[str, ...] | None = None
    deviation: Mapping[str, float | None] | None = None
    seconds_per_photo: float | None = None
    device: str = ""
    precision: str = ""
    truth_taxonomy: Taxonomy | None = None
    common: CommonClasses | None = None

    @property
    def matrix(self) -> np.ndarray | None:
        """int64 `(n, n)` pixels: rows truth, columns prediction; None if the file has none.

        In common classes it is `(n, n + 1)`: the last column counts predictions of other classes.
        """
        counts = self.scores.confusion_matrix
        return None if counts is None else np.array(counts, np.int64)

    @property
    def key(self) -> tuple[Any, ...]:
        """A key that is equal for measurements on the same photos with the same method.

        Photos are told apart by the pixels that each class has in their truth, so that two lists of one name are not
        taken for the same photos; where there is no matrix, by their name.
        """
        truth = self.matrix
        photos = tuple(truth.sum(axis=1).tolist()) if truth is not None else self.photos
        classes = (self.common.members,) if self.common else ()
        return (self.deviation is not None, self.photos.number, photos, *classes)

    def in_common(self, taxonomy: Taxonomy, common: CommonClasses) -> Measurement:
        """The measurement in the classes that several models have in common; without a matrix it has no scores.

        Args:
            taxonomy: Taxonomy of the model.
            common: The classes.
        """
        scores = Scores()
        if self.matrix is not None:
            counts = common.map_counts(self.matrix, self.truth_taxonomy or taxonomy, taxonomy)
            scores = parse_scores(ConfusionMatrix(common.taxonomy.names, counts).scores())
        return replace(self, scores=scores, common=common)


@dataclass(frozen=True)
class Model:
    """The scores and costs of a checkpoint.

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
        mapping: Mapping of its classes in its folder; None if there is none.
        maps: Sentence on where the class maps are from, if they were made elsewhere; empty for a checkpoint.
        config_fault: Sentence on what is wrong with `config.json`; empty if nothing is.
        metrics_fault: Sentence on why `metrics.json` cannot be read; empty if it can, or there is none.
        sentences: Sentences on what is wrong with the files, each with the model's name in front.
    """

    name: str
    folder: Path
    taxonomy: Taxonomy | None = None
    measurements: tuple[Measurement, ...] = ()
    conditions: tuple[ConditionScore, ...] = ()
    curve: tuple[Mapping[str, float], ...] = ()
    training: Mapping[str, Any] = field(default_factory=dict)
    architecture: str = ""
    config: Mapping[str, Any] = field(default_factory=dict)
    parameters: int | None = None
    size: int | None = None
    mapping: ClassMapping | None = None
    maps: str = ""
    config_fault: str = ""
    metrics_fault: str = ""
    sentences: tuple[str, ...] = ()

    @property
    def epoch(self) -> int | None:
        """Epoch whose weights are kept; None if not known."""
        value = self.training.get("epoch")
        return value if type(value) is int else None

    @property
    def hours(self) -> float | None:
        """Hours of training; None if an epoch was not timed."""
        seconds = [epoch.get("seconds") for epoch in self.curve]
        known = [value for value in seconds if value is not None]
        return sum(known) / 3600 if known and len(known) == len(seconds) else None

    @property
    def device(self) -> str:
        """Device of the training; empty if not known."""
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
        """Measurement on a set of photos, in the classes of the set; None if there is none."""
        if self.name not in photos.models or self.taxonomy is None:
            return None
        found = next((each for each in self.measurements if each.key == photos.key), None)
        return found.in_common(self.taxonomy, photos.common) if found and photos.common else found

    def acquaintance(self, measurement: Measurement) -> str:
        """Sentence on how training used the photos of a measurement; empty if no such use is known."""
        if measurement.photos.fold is None or self.fold is None:
            return ""
        if self.fold == measurement.photos.fold:
            return "The epoch was chosen on these photos."
        return "The model was trained on these photos, so the scores say little about new photos."


@dataclass(frozen=True)
class PhotoSet:
    """Photos on which at least one model was measured.

    Args:
        label: Label of the set, for people; each set has another.
        how: How the first model was measured on them.
        key: Key of the set, as `Measurement.key`.
        models: Names of the models that were measured on them.
        common: Classes in which they are compared, if their own differ from each other or from those of the truth.
    """

    label: str
    how: str
    key: tuple[Any, ...]
    models: tuple[str, ...]
    common: CommonClasses | None = None

    @property
    def photos(self) -> int | None:
        """Number of photos; None if the files do not say."""
        return self.key[1] if isinstance(self.key[1], int) else None

    @property
    def over_folds(self) -> bool:
        """Whether each photo was evaluated by a network whose training left out its fold."""
        return bool(self.key[0])


def photo_sets(models: Sequence[Model]) -> list[PhotoSet]:
    """Sets of photos that models were measured on; the sets with the most models come first.

    Where models of several taxonomies were measured on the same photos, there is one set for those whose classes are
    those of the truth and, after all such sets, one for all of them in the classes that they have in common.
    """
    found: dict[tuple[Any, ...], list[tuple[Model, Measurement]]] = {}
    for model in models:
        for each in model.measurements:
            found.setdefault(each.key, []).append((model, each))
    sets: list[PhotoSet] = []
    same_name: Counter[str] = Counter()
    for key, pairs in found.items():
        label = str(pairs[0][1].photos)
        same_name[label] += 1
        if same_name[label] > 1:
            label += f", other photos with the same name ({same_name[label]})"
        alike = [pair for pair in pairs if pair[1].truth_taxonomy is None]
        if alike:
            sets.append(PhotoSet(label, alike[0][1].how, key, _names(alike)))
        if len(alike) < len(pairs) and (mixed := _mixed(pairs)):
            common, comparable = mixed
            title = f"{label}, {len(common)} common classes" if alike else label
            sets.append(PhotoSet(title, comparable[0][1].how, key, _names(comparable), common))
    return sorted(sets, key=lambda each: (each.common is not None, -len(each.models)))


def _names(pairs: Sequence[tuple[Model, Measurement]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(model.name for model, _ in pairs))


def _mixed(pairs: Sequence[tuple[Model, Measurement]]) -> tuple[CommonClasses, list[tuple[Model, Measurement]]] | None:
    """Classes in which models can be compared, and those models; None if no mapping connects any with the truth."""
    truth = next(measurement.truth_taxonomy for _, measurement in pairs if measurement.truth_taxonomy)
    taxonomies: dict[str, Taxonomy] = {"the ground truth": truth}
    common: CommonClasses | None = None
    comparable = []
    own = [model.mapping for model, _ in pairs if model.mapping]
    for model, measurement in pairs:
        assert model.taxonomy
        try:
            common = common_classes({**taxonomies, model.name: model.taxonomy}, own)
        except MappingError:
            continue
        taxonomies[model.name] = model.taxonomy
        comparable.append((model, measurement))
    return (common, comparable) if common else None


def read_model(name: str, folder: Path) -> Model:
    """Reads what a checkpoint's folder says; never fails.

    Args:
        name: Name of the model in the catalog.
        folder: Folder of the checkpoint.
    """
    try:
        return _read_model(name, folder)
    except Exception as error:  # one folder, whatever is in it, never hides the others
        fault = f"{folder.name} cannot be read: {shorten(error)}. Get the checkpoint again."
        return Model(name=name, folder=folder, taxonomy=None, config_fault=fault, sentences=(f"{name}: {fault}",))


def _read_model(name: str, folder: Path) -> Model:
    is_maps = not (folder / "config.json").is_file() and (folder / MAPS_FILE).is_file()
    config, config_fault = _json(folder / MAPS_FILE, "Evaluate the maps again.") if is_maps else _config(folder)
    try:
        taxonomy = taxonomy_of(config)
    except TaxonomyError:
        taxonomy = None
    training = config.get("training")
    training = training if isinstance(training, dict) else {}
    parameters, size = _cost(folder)
    if size is None and type(training.get("parameters")) is int:
        parameters = training["parameters"]
    mapping, mapping_fault = None, ""
    try:
        mapping = mapping_beside(folder)
    except MappingError as error:
        mapping_fault = str(error).replace(f"{folder}/", "")
    model = Model(
        name=name,
        folder=folder,
        taxonomy=taxonomy,
        mapping=mapping,
        maps=_origin(config) if is_maps else "",
        training=training,
        architecture=str(config.get("architecture") or ""),
        config=config,
        parameters=parameters,
        size=size,
    )
    metrics: dict[str, Any] = {}
    metrics_fault = ""
    if (folder / "metrics.json").exists():
        metrics, metrics_fault = _json(folder / "metrics.json", _REMOVE)
    if metrics and taxonomy is None and not config_fault:
        config_fault = f"{MAPS_FILE if is_maps else 'config.json'} names no known classes; its scores are left out."
    try:
        results = parse_results(metrics, taxonomy.names if taxonomy else None)
    except ResultsError as error:
        results, metrics_fault = Results(), str(error)
    measurements, unmapped = _mapped(name, taxonomy, mapping, _measurements(results)) if taxonomy else ([], [])
    faults = (config_fault, metrics_fault, mapping_fault, *results.faults, *unmapped)
    return replace(
        model,
        measurements=tuple(measurements),
        conditions=results.conditions,
        curve=tuple(map(_known, results.learning_curve)),
        config_fault=config_fault,
        metrics_fault=metrics_fault,
        sentences=tuple(f"{name}: {fault}" for fault in faults if fault),
    )


def evidence_of_measurement(
    model: Model, measurement: Measurement, evidence: Sequence[Evidence]
) -> tuple[list[Evidence], str]:
    """The photos of a measurement, from all photos in a checkpoint's evidence file.

    They are found by their ids; where an older file names none, they are a run of rows. Either way their counts must
    add up to the measurement's own matrix, so that no photo is shown for a number that it is no part of.

    Returns:
        The rows, and a sentence; one of the two is empty.
    """
    if measurement.matrix is None or model.taxonomy is None:
        return [], f"{model.name}: metrics.json has no confusion matrix for {measurement.photos}. Evaluate it again."
    if measurement.ids is not None:
        wanted = set(measurement.ids)
        candidates = [[row for row in evidence if row.photo_id in wanted]]
    else:  # the photos of one run are consecutive rows
        length = measurement.photos.number or len(evidence)
        candidates = [list(evidence[start : start + length]) for start in range(len(evidence) - length + 1)]
    for rows in candidates:
        if rows and len({row.counts.shape for row in rows}) == 1:
            try:
                judged = in_common(rows, model.taxonomy, measurement.common) if measurement.common else rows
            except KeyError:  # their truth is in another taxonomy
                continue
            if np.array_equal(sum(row.counts for row in judged), measurement.matrix):
                return judged, ""
    return [], (
        f"{model.name}: evidence.parquet belongs to other photos than {measurement.photos}, or to an earlier run. "
        "Evaluate it again with --keep to see the photos behind its numbers."
    )


# --- Reading ----------------------------------------------------------------------------------------------------------


def _config(folder: Path) -> tuple[dict[str, Any], str]:
    """The values of `config.json`, or those that a network from elsewhere would have; empty with a sentence if none."""
    try:
        if values := config_values(folder):
            return values, ""
    except CheckpointError as error:
        return {}, str(error).replace(f"{folder}/", "")
    return _json(folder / "config.json", "Get the checkpoint again.")


def _json(path: Path, remedy: str) -> tuple[dict[str, Any], str]:
    """An object from a file; if it is missing or damaged it is empty, with a sentence."""
    try:
        values = read_json(path)
    except FileNotFoundError:
        return {}, f"{path.name} is missing. {remedy}"
    except (OSError, ValueError) as error:
        return {}, f"{path.name} is damaged ({shorten(error)}). {remedy}"
    if not isinstance(values, dict):
        return {}, f"{path.name} is damaged (it holds no object). {remedy}"
    return values, ""


def _measurements(results: Results) -> tuple[Measurement, ...]:
    """Measurements; a cross-validation has means and deviations over folds, but classes and matrix of all photos."""
    found = [
        Measurement(
            photos=each.photos,
            how=each.how,
            scores=each.scores,
            ids=each.ids,
            seconds_per_photo=each.seconds_per_photo,
            device=each.device,
            precision=each.precision,
            truth_taxonomy=taxonomy_from(each.truth_taxonomy) if each.truth_taxonomy else None,
        )
        for each in results.evaluations
    ]
    if run := results.crossval:
        scores = replace(run.all_photos, **run.mean)  # type: ignore[arg-type]
        found.append(Measurement(run.photos, run.how, scores, run.ids, deviation=run.standard_deviation))
    return tuple(found)


def _mapped(
    name: str, taxonomy: Taxonomy, mapping: ClassMapping | None, measurements: Sequence[Measurement]
) -> tuple[list[Measurement], list[str]]:
    """The measurements that can be used, and a sentence for each that no mapping connects with its truth."""
    usable, sentences = [], []
    for each in measurements:
        if truth := each.truth_taxonomy:
            try:
                common_classes({"the ground truth": truth, name: taxonomy}, [mapping] if mapping else [])
            except MappingError as error:
                sentences.append(f"the scores on {each.photos} are left out. {error}")
                continue
            if each.matrix is not None and each.matrix.shape != (len(truth), len(taxonomy)):
                sentences.append(f"the confusion matrix for {each.photos} is of other classes. Evaluate it again.")
                continue
        usable.append(each)
    return usable, sentences


def _origin(config: Mapping[str, Any]) -> str:
    """Where class maps are from, as a sentence."""
    parts = [text for key in ("source", "licence") if isinstance(text := config.get(key), str) and text]
    return f"Class maps made elsewhere{': ' + ', '.join(parts) if parts else ''}."


def _known(epoch: Mapping[str, float]) -> dict[str, float]:
    """The numbers of an epoch that can be drawn."""
    return {key: value for key, value in epoch.items() if math.isfinite(value) and key != "lr"}


def _cost(folder: Path) -> tuple[int | None, int | None]:
    """Parameters and bytes of the weights in a folder; None where they cannot be read."""
    files = weights_of(folder)
    size = sum(path.stat().st_size for path in files) if files else None
    parameters = 0
    try:
        if any(path.suffix == ".onnx" for path in files):
            return read_onnx(find_onnx(folder)).parameters, size
        for path in files:
            with safe_open(path, "np") as file:
                shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}  # noqa: SIM118
            parameters += sum(math.prod(shape) for name, shape in shapes.items() if not name.endswith(_BUFFERS))
    except (CheckpointError, OSError, SafetensorError, RuntimeError):  # RuntimeError where it cannot be mapped
        return None, size
    return parameters if files else None, size
