"""`config.json` of a checkpoint: everything needed to run a network, and its origin."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field

from segmodels.architectures import ARCHITECTURES
from segmodels.checkpoints.errors import AGAIN, CheckpointError
from segmodels.files import read_json
from segmodels.foreign.description import Foreign, config_values
from segmodels.sentences import first_line
from segmodels.taxonomy import TaxonomyError, taxonomy_of
from segmodels.validation import Arguments, Deviation, Kernel, Pixels, Scales, Share, checked_fields, expected, key_of

__all__ = [
    "FORMAT_VERSION",
    "CheckpointConfig",
    "Member",
    "NetworkConfig",
    "check_config",
    "check_fields",
    "read_config",
    "read_fields",
    "read_object",
]

FORMAT_VERSION = 2
"""Newest format that is read. A file without `own_taxonomy` is of format 1, which every Garmentscope reads."""

Config = TypeVar("Config")

_MOST_PIXELS = 2048 * 1024  # of a network's input, times the squares of its scales
_MOST_WORK = 16 * 1024**2  # pixels of all passes over a region, of all members of an ensemble


@dataclass(frozen=True, kw_only=True)
class NetworkConfig:
    """Architecture and input of a network."""

    architecture: Annotated[str, key_of(ARCHITECTURES)]
    """Key in `ARCHITECTURES`."""

    arguments: Arguments
    """Arguments of the architecture's function, beside the number of classes."""

    height: Pixels
    """Height of the network's input, in pixels."""

    width: Pixels
    """Width of the network's input, in pixels."""

    mean: Share
    """Mean that is subtracted from each channel after scaling to 0..1."""

    std: Deviation
    """Standard deviation by which each channel is divided after the mean is subtracted."""

    resize: Literal["keep", "squash"] = "keep"
    """`keep`: a crop has the shape of the input and reaches beyond the photo where it must; `squash`: it is resized to
    the input whatever its shape."""

    @property
    def aspect(self) -> float | None:
        """Height over width of a crop; None if it is squashed from the shape it has."""
        return self.height / self.width if self.resize == "keep" else None


@dataclass(frozen=True, kw_only=True)
class Member(NetworkConfig):
    """A further network of an ensemble."""

    share: Annotated[float, Field(gt=0, lt=1), expected("a number between 0 and 1")]
    """Weight of its probabilities in the average, inside its crop, 0..1; the members before it have the rest."""


@dataclass(frozen=True, kw_only=True)
class CheckpointConfig(NetworkConfig):
    """Everything needed to run a network, and its origin."""

    taxonomy: str
    """Name of the taxonomy: a key in `TAXONOMIES`, or the name in `own_taxonomy`."""

    classes: list[str]
    """Class names by id; must be those of the taxonomy."""

    crop: Literal["person", "box", "found", "none"] = "found"
    """How the region of interest is found.

    - `box`: the person detector's box with `margin`, one pass; the whole photo where the only person is unsure or fills
      most of it; where it finds nobody, as `found`.
    - `person`: a coarse pass over the detector's box, then a refine pass over what it found; where the detector finds
      nobody, as `found`.
    - `found`: a coarse pass over the whole photo, then a refine pass over what it found.
    - `none`: one pass over the whole photo.
    """

    margin: Share = 0.06
    """Border of the crop, as a share of the longer side of what was found."""

    scales: Scales = field(default_factory=lambda: [1.0])
    """Factors on the input's size in the refine pass, whose probabilities are averaged (test-time augmentation)."""

    mirror: bool = False
    """Whether each scale is averaged with the mirrored crop's (test-time augmentation). It doubles that pass's time."""

    ensemble: Annotated[list[Member], Field(max_length=7), expected("a list of up to 7 networks")] = field(
        default_factory=list
    )
    """Further members of the ensemble, each run in the refine pass on a crop of its own aspect."""

    opening_kernel: Kernel = 0
    """Side of the square that opens each probability map before argmax: an odd number of input pixels; 0 is off."""

    training: dict[str, Any] = field(default_factory=dict)
    """Data set, split, recipe, epoch and git commit; for information, not needed to run the network."""

    own_taxonomy: dict[str, Any] | None = None
    """The taxonomy as `Taxonomy.to_json` gives it; None, and not in the file, for one in `TAXONOMIES`."""

    foreign: Foreign | None = None
    """What else there is to say of a network from elsewhere; None, and not in the file, for those of Garmentscope."""

    format_version: Annotated[int, Field(ge=1, le=FORMAT_VERSION)] = 1
    """Version of the format of this file: 2 with `own_taxonomy`, else 1."""

    def to_json(self) -> dict[str, Any]:
        """Content of `config.json`."""
        values = asdict(self)
        for name in ("own_taxonomy", "foreign"):
            if values[name] is None:
                del values[name]
        return {**values, "format_version": 1 if self.own_taxonomy is None else 2}


def read_config(folder: Path) -> CheckpointConfig:
    """Reads `config.json` alone; of a network from elsewhere, what its own files say.

    Raises:
        CheckpointError: If it is missing, damaged, of a newer format, or its classes are not its taxonomy's; or if it
            is a model of a kind that is not supported.
    """
    if values := config_values(folder):
        return CheckpointConfig(**values)
    path = folder / "config.json"
    if not path.is_file() and (folder / "checkpoint" / "config.json").is_file():
        raise CheckpointError(f"{folder} is the folder of a run. Did you mean {folder / 'checkpoint'}?")
    config = read_fields(folder, CheckpointConfig)
    if config.foreign is not None:
        raise CheckpointError(f"{path} has an unknown key, foreign. {AGAIN}")
    try:
        config = replace(config, ensemble=[Member(**member) for member in config.ensemble])  # type: ignore[arg-type]
    except TypeError as error:
        reason = first_line(error).rpartition("Member.__init__() ")[2]
        members = config.ensemble if isinstance(config.ensemble, list) else [config.ensemble]
        if not all(isinstance(member, dict) for member in members):
            reason = "one is no table of keys and values"
        raise CheckpointError(
            f"{path}: ensemble must be a list of networks with all their keys: {reason}. {AGAIN}"
        ) from None
    try:
        check_config(config, path)
    except CheckpointError as error:
        raise CheckpointError(f"{error} Correct it, or get the checkpoint again.") from None
    return config


def read_fields(folder: Path, kind: type[Config]) -> Config:
    """Reads `config.json` into a dataclass that has a `format_version`; the values are not checked.

    Raises:
        CheckpointError: If it is missing, damaged, of a newer format, or its keys are not the dataclass's fields.
    """
    path = folder / "config.json"
    if not folder.is_dir():
        raise CheckpointError(
            f"There is no checkpoint folder {folder}. Check the path; `garmentscope models` lists models."
        )
    values = read_object(path)
    version = values.get("format_version")
    if type(version) is not int or version < 1:
        raise CheckpointError(f"{path} does not say its format_version, {FORMAT_VERSION} or lower. {AGAIN}")
    if version > FORMAT_VERSION:
        raise CheckpointError(
            f"{path} is of format {version}; this Garmentscope reads up to {FORMAT_VERSION}. Update Garmentscope."
        )
    known = {item.name for item in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(values) - known):
        raise CheckpointError(f"{path} has an unknown key, {unknown[0]}. Remove it, or get the checkpoint again.")
    try:
        return kind(**values)
    except TypeError as error:
        raise CheckpointError(
            f"{path} lacks a key: {str(error).removeprefix(f'{kind.__name__}.__init__() ')}. {AGAIN}"
        ) from None


def check_fields(config: object, path: Path) -> None:
    """Checks that each value of a dataclass is one that the annotation of its field allows.

    Raises:
        CheckpointError: If one is not; the sentence begins with `path`, where it stands or would stand.
    """
    try:
        checked_fields(type(config), vars(config), CheckpointError)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from None


def check_config(config: CheckpointConfig, path: Path) -> None:
    """Checks that each value is valid for a checkpoint.

    Raises:
        CheckpointError: If one is not; the sentence begins with `path`, the file that has or would have the value.
    """
    for network in (config, *config.ensemble):
        check_fields(network, path)
    largest = max(config.scales) ** 2 * config.height * config.width
    sizes = [largest, *(member.height * member.width for member in config.ensemble)]
    if max(sizes) > _MOST_PIXELS:
        raise CheckpointError(
            f"{path}: height times width, times the square of the largest scale, must be at most {_MOST_PIXELS:,} "
            f"pixels, not {int(max(sizes)):,}."
        )
    passes = sum(scale**2 for scale in config.scales) * config.height * config.width * (1 + config.mirror)
    if (work := passes + sum(sizes[1:])) > _MOST_WORK:
        raise CheckpointError(
            f"{path}: its scales and its ensemble have {int(work):,} pixels together, and may have {_MOST_WORK:,}."
        )
    try:
        taxonomy_of(vars(config))
    except TaxonomyError as error:
        raise CheckpointError(f"{path}: {error}") from None


def read_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file of a checkpoint.

    Raises:
        CheckpointError: If it is missing or damaged.
    """
    try:
        values = read_json(path)
    except FileNotFoundError:
        raise CheckpointError(f"{path.parent} has no {path.name}. {AGAIN}") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged: {first_line(error)}. {_remedy(path)}") from None
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} is damaged: it is not a JSON object. {_remedy(path)}")
    return values


def _remedy(path: Path) -> str:
    return AGAIN if path.name == "config.json" else "Remove it, and evaluate the network again with --keep."
