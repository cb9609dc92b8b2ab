"""Kinds: what a garment is within its class, such as a skirt within Dress, from features of the network.

A second, small head beside the segmentation. The network's feature maps are averaged over the garment's mask, and a
multinomial logistic regression for each class turns them into the probability of each of its kinds. The likeliest kind
is named where it is certain enough. `kinds.json` of a checkpoint says which kinds there are and how well they were
recognised, `kinds.safetensors` holds the coefficients; `python -m train kinds` fits them. A checkpoint without these
files has no kinds. This module needs no torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from segmodels.errors import GarmentscopeError
from segmodels.evaluation.results import EvaluatedPhotos
from segmodels.files import replacing, write_whole
from segmodels.sentences import first_line
from segmodels.taxonomy import Taxonomy
from segmodels.validation import read_versioned

__all__ = [
    "KINDS_FILE",
    "KINDS_WEIGHTS",
    "ClassKinds",
    "Kind",
    "KindJudgement",
    "Kinds",
    "KindsConfig",
    "KindsError",
    "Proportion",
    "read_kinds",
    "read_kinds_config",
    "write_kinds",
]

KINDS_FILE = "kinds.json"
"""Name of the file in a checkpoint's folder that describes the kinds."""

KINDS_WEIGHTS = "kinds.safetensors"
"""Name of the file in a checkpoint's folder with the coefficients."""

_VERSION = 1  # of the files and of the features
_AGAIN = "Fit them again with `python -m train kinds`, or remove both files: the checkpoint has no kinds then."

_Share = Annotated[float, Field(strict=True, ge=0, le=1)]
_Number = Annotated[int, Field(strict=True, ge=0, le=1_000_000_000)]
_Name = Annotated[str, Field(min_length=1, max_length=80)]


class KindsError(GarmentscopeError, ValueError):
    """Kinds of a checkpoint that cannot be used; the message names the file, says what is wrong and what to do."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a garment is within its class.

    Args:
        name: Name of the kind.
        probability: Calibrated probability of the kind, 0..1.
    """

    name: str
    probability: float

    def to_json(self) -> dict[str, Any]:
        """The kind with the keys of the command line's JSON."""
        return {"name": self.name, "probability": round(self.probability, 4)}


@dataclass(frozen=True, kw_only=True)
class ClassKinds:
    """The kinds of one class."""

    names: tuple[_Name, ...]
    """Names of the kinds."""

    thresholds: tuple[_Share, ...]
    """Probability of each kind from which it is named where it is the likeliest."""

    largest: _Share = 1.0
    """Share of what is seen of the person up to which a garment's kinds are told; 1 for any.

    `train kinds` sets it to 1.2 times that of the largest garment that taught them. What is larger still, such as shoes
    without a wearer, is unlike all of these, and a regression would be as sure as wrong.
    """

    share_feature: Annotated[int, Field(strict=True, le=-1)] = -1
    """Place, counted from the end, of the feature that is the log of that share: with `largest` below 1, the class's id
    less the number of classes."""


@dataclass(frozen=True, kw_only=True)
class Proportion:
    """A share with its 95 % interval by bootstrap over photos."""

    value: _Share
    low: _Share
    high: _Share


@dataclass(frozen=True, kw_only=True)
class KindJudgement:
    """How well the kinds of one class were recognised on some photos."""

    garment: str
    """Name of the class."""

    photos: EvaluatedPhotos

    how: Literal["cross-validated", "held out"]
    """`cross-validated`: by folds of the photos of the fit; `held out`: on other photos."""

    framing: str
    """Part of the person that the photos show."""

    garments: _Number
    """Number of garments of the class that were found and whose kind is known."""

    answered: _Share
    """Share of them whose kind is named."""

    accuracy: Proportion
    """Share of those named whose kind is right."""

    balanced_accuracy: _Share
    """Mean over the kinds of the share of those named that are right."""

    majority: _Share
    """Share of the most frequent kind among those named: the accuracy of always answering it."""

    accuracy_of_all: _Share
    """Share of all garments whose likeliest kind is right, named or not."""

    matrix: tuple[tuple[_Number, ...], ...]
    """Numbers of garments: true kinds in rows, likeliest kinds in columns and one more column for those not named."""

    photo_ids: tuple[tuple[str, ...], ...] = ()
    """Ids of the photos behind each cell of the matrix, one a line; empty where they were not kept."""


@dataclass(frozen=True, kw_only=True)
class KindsConfig:
    """Contents of `kinds.json`."""

    taxonomy: str
    """Name of the taxonomy."""

    weights: str
    """Identifier of the network's weights: first 12 hex digits of the SHA-256 of `model.safetensors`."""

    classes: Mapping[str, ClassKinds]
    """Kinds by name of the class; a class that is not here has none."""

    features: Annotated[int, Field(strict=True, ge=1, le=65_536)]
    """Number of features."""

    data: str
    """The photos that the kinds were learned from, and their licences."""

    left_out: Mapping[str, str] = field(default_factory=dict)
    """Why a class whose kinds were tried has none, by name of the class."""

    judgements: tuple[KindJudgement, ...] = ()
    """Scores by class and photos."""

    version: Literal[1] = 1

    def judgements_of(self, name: str) -> tuple[KindJudgement, ...]:
        """Scores of the kinds of a class."""
        return tuple(each for each in self.judgements if each.garment == name)


@dataclass(frozen=True, eq=False)
class Kinds:
    """The head: probabilities of the kinds of a class = softmax(weight · features + bias).

    Args:
        config: Names of the kinds, thresholds and scores.
        weights: Coefficients by name of the class, float32 `(kinds, features)`.
        biases: Intercepts by name of the class, float32 `(kinds,)`.
    """

    config: KindsConfig
    weights: Mapping[str, np.ndarray]
    biases: Mapping[str, np.ndarray]

    @cached_property
    def revision(self) -> str:
        """Identifier of what decides on kinds, whatever the scores: names, thresholds, limits, weights and biases."""
        digest = sha256()
        for name, known in sorted(self.config.classes.items()):
            digest.update(json.dumps([name, known.names, [round(least, 4) for least in known.thresholds]]).encode())
            if known.largest < 1:
                digest.update(json.dumps([round(known.largest, 4), known.share_feature]).encode())
            for values in (self.weights[name], self.biases[name]):
                digest.update(np.ascontiguousarray(values, np.float32).tobytes())
        return digest.hexdigest()[:12]

    def probabilities(self, name: str, features: np.ndarray) -> dict[str, float] | None:
        """Calibrated probability of each kind of a garment, 0..1.

        None if its class has no kinds, or if the garment is larger than `ClassKinds.largest`.

        Args:
            name: Name of the class.
            features: Features from `segmodels.architectures.feature_maps.pool_features`, float32 `(features,)`.

        Raises:
            KindsError: If they are not as many as those that the weights are for.
        """
        if (known := self.config.classes.get(name)) is None:
            return None
        if (wanted := self.config.features) != len(features):
            raise KindsError(
                f"{KINDS_WEIGHTS} was made for another input size or another network: for {wanted} features of a "
                f"garment, where {len(features)} come. {_AGAIN}"
            )
        if known.largest < 1 and np.exp(features[known.share_feature]) > known.largest:
            return None
        odds = (self.weights[name] @ features + self.biases[name]).astype(np.float64)
        shares = np.exp(odds - odds.max())
        return dict(zip(known.names, (shares / shares.sum()).tolist(), strict=True))

    def named(self, name: str, probabilities: Mapping[str, float]) -> Kind | None:
        """The likeliest kind of a garment; None if it is not certain.

        Args:
            name: Name of the class.
            probabilities: Probability of each kind of the class.
        """
        likeliest = max(probabilities, key=lambda kind: probabilities[kind])
        known = self.config.classes[name]
        least = known.thresholds[known.names.index(likeliest)]
        return Kind(likeliest, probabilities[likeliest]) if probabilities[likeliest] >= least else None


def read_kinds_config(folder: Path, taxonomy: Taxonomy) -> KindsConfig | None:
    """Reads `kinds.json` of a checkpoint; None if there is none.

    Args:
        folder: Folder of the checkpoint.
        taxonomy: Taxonomy of the checkpoint.

    Raises:
        KindsError: If the file is damaged, of a newer version, or of other classes.
    """
    path = folder / KINDS_FILE
    if not path.exists() and not path.is_symlink():
        return None
    config = read_versioned(path, _ADAPTER, _VERSION, KindsError, _AGAIN)
    worn = {garment.name for garment in taxonomy.worn}
    if config.taxonomy != taxonomy.name or not set(config.classes) <= worn:
        raise KindsError(f"{path} is not of the classes of {taxonomy.name}. {_AGAIN}")
    for name, known in config.classes.items():
        if len(known.names) < 2 or len(set(known.names)) < len(known.names):
            raise KindsError(f"{path} is damaged: the kinds of {name} are not two names or more, each once. {_AGAIN}")
        if len(known.thresholds) != len(known.names):
            raise KindsError(f"{path} is damaged: {name} has not a threshold for each kind. {_AGAIN}")
        if known.largest < 1 and known.share_feature != taxonomy[name].id - len(taxonomy):
            raise KindsError(f"{path} is damaged: the share_feature of {name} is that of another class. {_AGAIN}")
    for each in config.judgements:
        names = config.classes[each.garment].names if each.garment in config.classes else ()
        if len(each.matrix) != len(names) or any(len(row) != len(names) + 1 for row in each.matrix):
            raise KindsError(f"{path} is damaged: a matrix is not one of the kinds of {each.garment}. {_AGAIN}")
        ids = [[len(cell.split("\n")) if cell else 0 for cell in row] for row in each.photo_ids]
        if ids and ids != [list(row) for row in each.matrix]:
            raise KindsError(f"{path} is damaged: a cell of {each.garment} has not an id for each garment. {_AGAIN}")
    return config


def read_kinds(folder: Path, taxonomy: Taxonomy, weights: str) -> Kinds | None:
    """Reads the kinds of a checkpoint; None if it has none.

    Args:
        folder: Folder of the checkpoint.
        taxonomy: Taxonomy of the checkpoint.
        weights: Identifier of the network's weights, to which the kinds must belong.

    Raises:
        KindsError: If a file is missing or damaged, of a newer version, of other classes or other weights, or the
            tensors are not exactly those that `kinds.json` describes.
    """
    config, path = read_kinds_config(folder, taxonomy), folder / KINDS_WEIGHTS
    if config is None:
        if path.exists():
            raise KindsError(f"{path} is there without {KINDS_FILE}. {_AGAIN}")
        return None
    if config.weights != weights:
        raise KindsError(
            f"{folder / KINDS_FILE} belongs to the weights {config.weights}, and the network's are {weights}. {_AGAIN}"
        )
    wanted: dict[str, tuple[int, ...]] = {}
    for name, known in config.classes.items():
        wanted |= {f"{name}.weight": (len(known.names), config.features), f"{name}.bias": (len(known.names),)}
    if not path.is_file():
        raise KindsError(f"{path} is missing, damaged or not a regular file. {_AGAIN}")
    try:
        with safe_open(path, "np") as file:
            found = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
            if found != wanted:
                wrong = min(set(wanted.items()) ^ set(found.items()))[0]
                raise KindsError(f"{path}: the tensor {wrong} is missing, unknown or of another shape. {_AGAIN}")
            tensors = {key: file.get_tensor(key).astype(np.float32) for key in wanted}
    except (SafetensorError, OSError, RuntimeError, MemoryError) as error:  # RuntimeError where it cannot be mapped
        reason = first_line(error)
        raise KindsError(f"{path} is missing, damaged or not a safetensors file: {reason}. {_AGAIN}") from None
    if broken := [key for key, tensor in tensors.items() if not np.isfinite(tensor).all()]:
        raise KindsError(f"{path}: {broken[0]} has values that are not numbers. {_AGAIN}")
    return Kinds(
        config,
        {name: tensors[f"{name}.weight"] for name in config.classes},
        {name: tensors[f"{name}.bias"] for name in config.classes},
    )


def write_kinds(folder: Path, kinds: Kinds) -> None:
    """Writes `kinds.safetensors` and `kinds.json` of a checkpoint, each atomically.

    Raises:
        OSError: If the folder cannot be written.
    """
    tensors = {
        f"{name}.{part}": np.ascontiguousarray(values[name], np.float32)
        for name in kinds.config.classes
        for part, values in (("weight", kinds.weights), ("bias", kinds.biases))
    }
    try:
        with replacing(folder / KINDS_WEIGHTS) as part_file:
            save_file(tensors, part_file)
            part_file.chmod(0o644)
    except SafetensorError as error:  # raised for a full disk, among others
        raise OSError(f"{folder / KINDS_WEIGHTS}: {error}") from error
    write_whole(folder / KINDS_FILE, json.dumps(_rounded(asdict(kinds.config)), indent=1) + "\n")


def _rounded(value: Any) -> Any:
    """A JSON value with its numbers rounded to four digits, and without keys whose value is None."""
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items() if each is not None}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return round(value, 4) if isinstance(value, float) else value


_ADAPTER: TypeAdapter[KindsConfig] = TypeAdapter(KindsConfig)
