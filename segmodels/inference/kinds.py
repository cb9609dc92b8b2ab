"""Kinds: what a garment is within its class, such as a skirt within Dress, from features of the network.

A second, small head beside the segmentation. The network's feature maps are averaged over the garment's mask, and a
multinomial logistic regression for each class turns them into the probability of each of its kinds. The likeliest kind
is named where it is certain enough. `kinds.json` of a checkpoint says which kinds there are and how well they were
recognised, `kinds.safetensors` holds the coefficients; `python -m train kinds` fits them. A checkpoint without these
files has no kinds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field, TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch.nn import functional

from segmodels.errors import GarmentscopeError
from segmodels.evaluation.results import EvaluatedPhotos
from segmodels.files import replacing, write_whole
from segmodels.taxonomy import Taxonomy

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
    "pool_features",
    "read_kinds",
    "read_kinds_config",
    "write_kinds",
]

KINDS_FILE = "kinds.json"
"""Name of the file in a checkpoint's folder that describes the kinds."""

KINDS_WEIGHTS = "kinds.safetensors"
"""Name of the file in a checkpoint's folder with the coefficients."""

_VERSION = 1  # of the files and of the features
_CORE = 0.5  # share of a class's largest probability from which a cell belongs to the garment's core
_LEAST_CELLS = 256  # of a map from which the standard deviation of its channels says something
_LEAST_SHARE = 1e-3  # added to shares before their logarithm is taken
_AGAIN = "Fit them again with `python -m train kinds`, or remove both files: the checkpoint has no kinds then."

_Share = Annotated[float, Field(strict=True, ge=0, le=1)]
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

    threshold: _Share
    """Probability from which the likeliest kind is named."""


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

    garments: int
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

    matrix: tuple[tuple[int, ...], ...]
    """Numbers of garments: true kinds in rows, likeliest kinds in columns and one more column for those not named."""


@dataclass(frozen=True, kw_only=True)
class KindsConfig:
    """Contents of `kinds.json`."""

    taxonomy: str
    """Name of the taxonomy."""

    weights: str
    """Identifier of the network's weights: first 12 hex digits of the SHA-256 of `model.safetensors`."""

    classes: Mapping[str, ClassKinds]
    """Kinds by name of the class; a class that is not here has none."""

    features: int
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

    def probabilities(self, name: str, features: np.ndarray) -> dict[str, float] | None:
        """Calibrated probability of each kind of a garment, 0..1; None if its class has no kinds.

        Args:
            name: Name of the class.
            features: Features from `pool_features`, float32 `(features,)`.
        """
        if (known := self.config.classes.get(name)) is None:
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
        certain = probabilities[likeliest] >= self.config.classes[name].threshold
        return Kind(likeliest, probabilities[likeliest]) if certain else None


def pool_features(maps: Sequence[torch.Tensor], cells: torch.Tensor, ids: Sequence[int]) -> np.ndarray:
    """Features of the garments of one person, float32 `(garments, features)`.

    A garment's core are the cells in which the probability of its class is at least half of its largest; they weigh as
    much as that probability. Of each garment:

    - mean over the core of each channel of each map, and its standard deviation where the map is fine enough;
    - place in the region of interest: mean and standard deviation of the core's rows and columns, the rows and columns
      between which 94 % of it lie, and where these rows are on the person;
    - log of its share of what is not background, and share of its box that it fills;
    - log of the share of each class of what is not background, the same for all garments.

    Args:
        maps: Feature maps of the region, float `(channels, h, w)`, none finer than the cells.
        cells: Probabilities of the region, averaged over cells, float32 `(C, H, W)`; class 0 is the background.
        ids: Class of each garment.
    """
    if not ids:
        return np.zeros((0, 0), np.float32)
    likely = cells[list(ids)]
    top = likely.amax(dim=(1, 2), keepdim=True)
    core = torch.where(likely >= _CORE * top, likely, torch.zeros_like(likely))
    columns = []
    for each in maps:
        weight = core if each.shape[1:] == core.shape[1:] else functional.adaptive_avg_pool2d(core, each.shape[1:])
        weight = weight.flatten(1)
        weight = weight / weight.sum(dim=1, keepdim=True).clamp_min(1e-9)
        channels = each.flatten(1).float()
        mean = weight @ channels.T
        columns.append(mean)
        if each.shape[1] * each.shape[2] >= _LEAST_CELLS:
            columns.append((weight @ channels.square().T - mean.square()).clamp_min(0).sqrt())
    columns += [_places(core, cells), _shares(cells).expand(len(ids), -1)]
    pooled: np.ndarray = torch.cat(columns, dim=1).float().cpu().numpy()
    return pooled


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
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        version = values.get("version") if isinstance(values, dict) else None
        if isinstance(version, int) and version > _VERSION:
            raise KindsError(f"{path} is of version {version}; this Garmentscope reads {_VERSION}. Update it.")
        config = _ADAPTER.validate_python(values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise KindsError(f"{path} is damaged: {place}: {first['msg']}. {_AGAIN}") from None
    except KindsError:
        raise
    except (OSError, ValueError, RecursionError) as error:  # json raises any ValueError for a number of many digits
        raise KindsError(f"{path} is damaged: {error}. {_AGAIN}") from None
    worn = {garment.name for garment in taxonomy.worn}
    if config.taxonomy != taxonomy.name or not set(config.classes) <= worn:
        raise KindsError(f"{path} is not of the classes of {taxonomy.name}. {_AGAIN}")
    for name, known in config.classes.items():
        if len(known.names) < 2 or len(set(known.names)) < len(known.names):
            raise KindsError(f"{path} is damaged: the kinds of {name} are not two names or more, each once. {_AGAIN}")
    for each in config.judgements:
        names = config.classes[each.garment].names if each.garment in config.classes else ()
        if len(each.matrix) != len(names) or any(len(row) != len(names) + 1 for row in each.matrix):
            raise KindsError(f"{path} is damaged: a matrix is not one of the kinds of {each.garment}. {_AGAIN}")
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
    try:
        with safe_open(path, "pt") as file:
            found = {key: tuple(file.get_slice(key).get_shape()) for key in file.keys()}  # noqa: SIM118
            if found != wanted:
                wrong = min(set(wanted.items()) ^ set(found.items()))[0]
                raise KindsError(f"{path}: the tensor {wrong} is missing, unknown or of another shape. {_AGAIN}")
            tensors = {key: file.get_tensor(key).float().numpy() for key in wanted}
    except (SafetensorError, OSError) as error:
        raise KindsError(f"{path} is missing, damaged or not a safetensors file: {error}. {_AGAIN}") from None
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
        f"{name}.{part}": torch.from_numpy(np.ascontiguousarray(values[name], np.float32))
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


def _places(core: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """Where the cores `(garments, H, W)` lie and how large they are, float32 `(garments, 15)`."""
    height, width = core.shape[1:]
    rows = (torch.arange(height, device=core.device) + 0.5) / height
    columns = (torch.arange(width, device=core.device) + 0.5) / width
    by_row, by_column = core.sum(dim=2), core.sum(dim=1)
    mass = by_row.sum(dim=1).clamp_min(1e-9)
    body = 1 - cells[0]
    first, last = _span(body.sum(dim=1)[None], rows, 0.01)
    y, y_spread = _moments(by_row, rows)
    x, x_spread = _moments(by_column, columns)
    top, bottom = _span(by_row, rows, 0.03)
    left, right = _span(by_column, columns, 0.03)
    tall = (last - first).clamp_min(0.05)
    box = ((bottom - top) * height + 1) * ((right - left) * width + 1)
    place = [y, y_spread, x, x_spread, top, bottom, left, right, bottom - top, right - left]
    on_person = [(top - first) / tall, (bottom - first) / tall]
    size = [torch.log(mass / (body.sum() + 1) + _LEAST_SHARE), mass / box]
    return torch.stack([*place, *on_person, *size, (last - first).expand(len(core))], dim=1)


def _shares(cells: torch.Tensor) -> torch.Tensor:
    """Log of the share of each class of what is not background, float32 `(1, C)`."""
    return torch.log(cells.sum(dim=(1, 2)) / ((1 - cells[0]).sum() + 1) + _LEAST_SHARE)[None]


def _moments(mass: torch.Tensor, at: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation of a place, `(garments,)`, from the mass `(garments, n)` at each of n places."""
    total = mass.sum(dim=1).clamp_min(1e-9)
    mean = mass @ at / total
    return mean, (mass @ at.square() / total - mean.square()).clamp_min(0).sqrt()


def _span(mass: torch.Tensor, at: torch.Tensor, tail: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Places `(garments,)` below and above which a tail of the mass `(garments, n)` lies."""
    share = mass.cumsum(dim=1) / mass.sum(dim=1, keepdim=True).clamp_min(1e-9)
    low, high = ((share < part).sum(dim=1).clamp_max(len(at) - 1) for part in (tail, 1 - tail))
    return at[low], at[high]


def _rounded(value: Any) -> Any:
    """A JSON value with its numbers rounded to four digits, and without keys whose value is None."""
    if isinstance(value, dict):
        return {key: _rounded(each) for key, each in value.items() if each is not None}
    if isinstance(value, list | tuple):
        return [_rounded(each) for each in value]
    return round(value, 4) if isinstance(value, float) else value


_ADAPTER: TypeAdapter[KindsConfig] = TypeAdapter(KindsConfig)
