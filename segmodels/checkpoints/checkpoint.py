"""A checkpoint is a directory: `config.json`, `model.safetensors`, `metrics.json` and `README.md`.

It may also have `calibration.json`, which turns its probabilities into presence, `kinds.json` with
`kinds.safetensors`, which tell kinds of garments apart, and `embedding.safetensors`, which finds garments alike.

It is identical on disk, among the embedded ones and on the Hub. Loading is strict and nothing is ever unpickled.
"""

from __future__ import annotations

import json
import math
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import torch
from pydantic import Field
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from segmodels.architectures import ARCHITECTURES, build
from segmodels.checkpoints.errors import CheckpointError
from segmodels.checkpoints.heads import calibration_of, embedding_of, kinds_of
from segmodels.evaluation.results import Results, ResultsError, parse_results
from segmodels.files import is_lfs_pointer, read_json, write_whole
from segmodels.foreign.description import Foreign, config_values
from segmodels.foreign.formats import PICKLES, digest, home_of, name_of, weights_of
from segmodels.inference.embedding import Embedding
from segmodels.inference.kinds import Kinds
from segmodels.inference.memory import is_out_of_memory
from segmodels.inference.presence import Calibration
from segmodels.sentences import first_line
from segmodels.taxonomy import Taxonomy, TaxonomyError, taxonomy_of
from segmodels.validation import Arguments, Deviation, Kernel, Pixels, Scales, Share, checked_fields, expected, key_of

__all__ = [
    "FORMAT_VERSION",
    "PICKLES",
    "Checkpoint",
    "CheckpointConfig",
    "CheckpointError",
    "Member",
    "NetworkConfig",
    "check_config",
    "check_fields",
    "count_parameters",
    "load_checkpoint",
    "load_weights",
    "read_config",
    "read_fields",
    "read_metrics",
    "read_results",
    "save_checkpoint",
    "save_description",
    "save_metrics",
    "save_results",
    "write_folder",
]

FORMAT_VERSION = 2
"""Newest format that is read. A file without `own_taxonomy` is of format 1, which every Garmentscope reads."""

Config = TypeVar("Config")

_MOST_PIXELS = 2048 * 1024  # of a network's input, times the squares of its scales
_MOST_WORK = 16 * 1024**2  # pixels of all passes over a region, of all members of an ensemble
_MOST_PARAMETERS = 1_000_000_000
_AGAIN = "Get the checkpoint again."


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


@dataclass(frozen=True)
class Checkpoint:
    """A loaded checkpoint.

    Args:
        name: Name of the checkpoint in the catalog.
        config: Configuration, as in `config.json`.
        network: Network in eval mode, float32; of an ensemble the list of all, the config's own first.
        results: Scores and learning curve, as in `metrics.json`; empty if there is none.
        revision: Identifier of the weights: first 12 hex digits of the SHA-256 of `model.safetensors`, or the
            Hub's commit.
        calibration: What turns probabilities into presence, as in `calibration.json`; None if there is none.
        kinds: What tells kinds of garments apart, as in `kinds.json`; None if there is none.
        embedding: What makes vectors of garments, as in `embedding.safetensors`; None if there is none.
    """

    name: str
    config: CheckpointConfig
    network: nn.Module
    results: Results
    revision: str
    calibration: Calibration | None = None
    kinds: Kinds | None = None
    embedding: Embedding | None = None

    @cached_property
    def taxonomy(self) -> Taxonomy:
        """The classes of its class maps."""
        return taxonomy_of(vars(self.config))

    @property
    def needs_maps(self) -> bool:
        """Whether feature maps of the network are needed beside its logits."""
        return self.kinds is not None or self.embedding is not None

    @property
    def parameters(self) -> int:
        """Number of weights and biases of the network."""
        counted: int | None = getattr(self.network, "parameter_count", None)  # of an ONNX file, which is no module
        return counted or sum(parameter.numel() for parameter in self.network.parameters())


def save_checkpoint(
    folder: Path,
    config: CheckpointConfig,
    network: nn.Module,
    *,
    results: Results | None = None,
    card: str = "",
) -> None:
    """Writes a checkpoint; what was in `folder` is replaced, and is still there if writing fails.

    Args:
        folder: Folder of the checkpoint.
        config: Configuration of the network.
        network: Network whose floating-point weights are stored as fp16.
        results: Scores and learning curve for `metrics.json`, if known.
        card: Contents of `README.md`.

    Raises:
        OSError: If the folder cannot be written.
        CheckpointError: If a weight is not a number, or too large for fp16.
    """
    write_folder(folder, config.to_json(), network, metrics=results.to_json() if results else None, card=card)


def write_folder(
    folder: Path,
    config: Mapping[str, Any],
    network: nn.Module,
    *,
    metrics: Mapping[str, Any] | None = None,
    card: str = "",
) -> None:
    """Does what `save_checkpoint` does, for a network of any kind whose config is already a mapping."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    try:
        fresh.chmod(0o755)
        tensors = {
            name: tensor.detach().cpu().to(torch.float16 if tensor.is_floating_point() else tensor.dtype).contiguous()
            for name, tensor in network.state_dict().items()
        }
        if broken := [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]:
            raise CheckpointError(f"The weights cannot be saved: {broken[0]} has values that fp16 cannot represent.")
        try:
            save_file(tensors, fresh / "model.safetensors")
        except SafetensorError as error:  # raised for a full disk, among others
            raise OSError(f"{folder / 'model.safetensors'}: {error}") from error
        (fresh / "model.safetensors").chmod(0o644)
        _write_json(fresh / "config.json", config)
        if metrics is not None:
            _write_json(fresh / "metrics.json", metrics)
        (fresh / "README.md").write_text(card, encoding="utf-8")
        if folder.exists():
            old = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
            folder.replace(old)
            try:
                fresh.replace(folder)
            except OSError:
                old.replace(folder)
                raise
            shutil.rmtree(old)
        else:
            fresh.replace(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def save_metrics(folder: Path, metrics: Mapping[str, Any], *, card: str | None) -> None:
    """Replaces `metrics.json` and, unless `card` is None, `README.md` of a checkpoint; the weights stay.

    Raises:
        OSError: If the folder cannot be written.
    """
    _write_json(folder / "metrics.json", metrics)
    if card is not None:
        write_whole(folder / "README.md", card)


def save_results(folder: Path, results: Results, *, card: str | None) -> None:
    """Replaces the scores and the learning curve of a checkpoint, and its card if there is one; the weights stay.

    Raises:
        OSError: If the folder cannot be written.
    """
    save_metrics(folder, results.to_json(), card=card)


def save_description(folder: Path, config: CheckpointConfig, results: Results, *, card: str) -> None:
    """Writes the config, scores and card of a checkpoint, without weights.

    Raises:
        OSError: If the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write_json(folder / "config.json", config.to_json())
    save_results(folder, results, card=card)


def load_checkpoint(
    folder: Path,
    name: str | None = None,
    revision: str = "",
    *,
    with_calibration: bool = True,
    with_kinds: bool = True,
) -> Checkpoint:
    """Reads a checkpoint, or a network from elsewhere, and builds its network.

    Args:
        folder: Folder that holds `config.json` and `model.safetensors`; or a folder of transformers or ONNX, or an ONNX
            file.
        name: Name of the checkpoint in the catalog; if left out, the folder's, or that of its run if the folder is
            `checkpoint`.
        revision: Commit on the Hub; computed from the weights if left out.
        with_calibration: Whether its calibration is read; one that is fitted anew may be damaged.
        with_kinds: Whether its kinds and its embedding are read; those that are fitted anew may be damaged.

    Raises:
        CheckpointError: If a file is missing or damaged, the format is newer, or the weights are not exactly those of
            the architecture: a tensor too many, too few, or of another shape.
    """
    config = read_config(folder)
    home = home_of(folder)
    network: nn.Module
    if config.foreign:
        from segmodels.foreign.network import load_network

        network = load_network(folder, config)
        weights = revision or _digest(weights_of(folder))
    else:
        try:
            with torch.device("meta"):  # whatever the config asks for, only what the file holds takes memory
                network = _build(config)
        except ValueError as error:
            raise CheckpointError(f"{folder / 'config.json'}: {error}") from None
        weights = load_weights(folder, network)
        if _holds_meta(network):  # what no file holds: tables that an encoder computes when it is built
            network = _build(config)
            load_weights(folder, network)
    return Checkpoint(
        name=name or name_of(folder),
        config=config,
        network=network.eval(),
        results=read_results(home),
        revision=revision or weights,
        calibration=calibration_of(home, config) if with_calibration else None,
        kinds=kinds_of(home, config, network, weights) if with_kinds else None,
        embedding=embedding_of(home, config, network, weights) if with_kinds else None,
    )


def count_parameters(config: CheckpointConfig) -> int:
    """Weights and biases of the network, without the running means and variances; none is held in memory.

    Raises:
        ValueError: If the architecture does not take the config's arguments, or it is a network from elsewhere.
    """
    if config.foreign:
        raise ValueError(f"The parameters of a network of {config.foreign.library} are counted from its weights.")
    with torch.device("meta"):
        network = _build(config)
    return sum(parameter.numel() for parameter in network.parameters())


def _build(config: CheckpointConfig) -> nn.Module:
    """The network of a checkpoint, with random weights; of an ensemble the list of all."""
    networks = [build(one.architecture, len(config.classes), one.arguments) for one in (config, *config.ensemble)]
    return nn.ModuleList(networks) if config.ensemble else networks[0]


def _holds_meta(network: nn.Module) -> bool:
    """Whether a tensor of the network is on the meta device, where it has no values."""
    held = (each for module in network.modules() for each in vars(module).values() if isinstance(each, torch.Tensor))
    return any(tensor.is_meta for tensor in (*network.buffers(), *held))


def load_weights(folder: Path, network: nn.Module) -> str:
    """Loads `model.safetensors` into a network, in place.

    Args:
        folder: Folder of the checkpoint.
        network: Network of the same tensors. Those on the meta device are replaced, others are overwritten.

    Returns:
        Identifier of the weights: the first 12 hex digits of the file's SHA-256.

    Raises:
        CheckpointError: If the file is missing or damaged, or does not hold exactly the network's tensors.
    """
    weights = _check_weights(folder, _shapes(network))
    on_meta = any(tensor.is_meta for tensor in network.state_dict().values())
    network.load_state_dict(_read_weights(weights, network), strict=True, assign=on_meta)
    return _digest([weights])


def _shapes(network: nn.Module) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}


def _check_weights(folder: Path, expected: Mapping[str, tuple[int, ...]]) -> Path:
    """The file with the weights, once it is there and its tensors have the names and shapes of the network's."""
    path = folder / "model.safetensors"
    if not path.is_file():
        pickles = sorted(each.name for each in folder.iterdir() if each.suffix in PICKLES)
        if pickles:
            raise CheckpointError(
                f"{folder} holds its weights only as a pickle ({pickles[0]}), which can run any code and is refused. "
                "Save them as model.safetensors."
            )
        if path.exists():
            raise CheckpointError(f"{path} is not a regular file. {_AGAIN}")
        raise CheckpointError(f"{folder} has no model.safetensors. {_AGAIN}")
    if sum(map(math.prod, expected.values())) > _MOST_PARAMETERS:
        raise CheckpointError(f"{folder} has more than {_MOST_PARAMETERS:,} parameters, and cannot be used here.")
    try:
        with safe_open(path, "pt") as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, RuntimeError, MemoryError) as error:  # RuntimeError where it cannot be mapped
        raise CheckpointError(_no_safetensors(path, error)) from None
    if missing := sorted(set(expected) - set(found)):
        raise CheckpointError(
            f"{path}: {len(missing)} tensors are missing, the first is {repr(missing[0])[1:-1]}. {_AGAIN}"
        )
    if extra := sorted(set(found) - set(expected)):
        raise CheckpointError(
            f"{path}: {len(extra)} tensors are unknown, the first is {repr(extra[0])[1:-1]}. {_AGAIN}"
        )
    for name, shape in found.items():
        if shape != expected[name]:
            raise CheckpointError(
                f"{path}: {name} has the shape {shape}; the architecture has {expected[name]}. {_AGAIN}"
            )
    return path


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
        raise CheckpointError(f"{path} has an unknown key, foreign. {_AGAIN}")
    try:
        config = replace(config, ensemble=[Member(**member) for member in config.ensemble])  # type: ignore[arg-type]
    except TypeError as error:
        reason = first_line(error).removeprefix("Member.__init__() ")
        raise CheckpointError(
            f"{path}: ensemble must be a list of networks with all their keys: {reason}. {_AGAIN}"
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
    values = _read_json(path)
    version = values.get("format_version")
    if type(version) is not int or version < 1:
        raise CheckpointError(f"{path} does not say its format_version, {FORMAT_VERSION} or lower. {_AGAIN}")
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
            f"{path} lacks a key: {str(error).removeprefix(f'{kind.__name__}.__init__() ')}. {_AGAIN}"
        ) from None


def check_fields(config: object, path: Path) -> None:
    """Whether each value of a dataclass is one that the annotation of its field allows.

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


def read_metrics(folder: Path) -> dict[str, Any]:
    """Reads `metrics.json` of a checkpoint or a detector unchanged; empty if there is none.

    Raises:
        CheckpointError: If it is damaged.
    """
    path = folder / "metrics.json"
    return _read_json(path) if path.is_file() else {}


def read_results(folder: Path) -> Results:
    """Reads `metrics.json` of a checkpoint of this version or an older one; empty if there is none.

    Raises:
        CheckpointError: If it is damaged, or of a newer version.
    """
    try:
        return parse_results(read_metrics(folder))
    except ResultsError as error:
        raise CheckpointError(f"{folder}: {error}") from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        values = read_json(path)
    except FileNotFoundError:
        raise CheckpointError(f"{path.parent} has no {path.name}. {_AGAIN}") from None
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} is damaged: {first_line(error)}. {_remedy(path)}") from None
    if not isinstance(values, dict):
        raise CheckpointError(f"{path} is damaged: it is not a JSON object. {_remedy(path)}")
    return values


def _remedy(path: Path) -> str:
    return _AGAIN if path.name == "config.json" else "Remove it, and evaluate the network again with --keep."


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    write_whole(path, json.dumps(values, indent=1, ensure_ascii=False) + "\n")


def _read_weights(path: Path, network: nn.Module) -> dict[str, torch.Tensor]:
    """The tensors of a file, each in the network's own format; all of them must be finite."""
    wanted = {name: tensor.dtype for name, tensor in network.state_dict().items()}
    try:
        with safe_open(path, "pt") as file:
            stored = {name: file.get_tensor(name) for name in wanted}
    except (SafetensorError, OSError, RuntimeError, MemoryError) as error:  # RuntimeError where it cannot be mapped
        raise CheckpointError(_no_safetensors(path, error)) from None
    other = [name for name, dtype in wanted.items() if dtype.is_floating_point != stored[name].is_floating_point()]
    if other:
        kind = str(stored[other[0]].dtype).removeprefix("torch.")
        raise CheckpointError(
            f"{path}: {other[0]} holds {kind}, as of a quantised network, and the architecture has "
            f"{str(wanted[other[0]]).removeprefix('torch.')}. Save it as fp16 or fp32."
        )
    tensors = {name: stored[name].to(dtype, copy=True) for name, dtype in wanted.items()}  # the file may be replaced
    if broken := [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]:
        raise CheckpointError(
            f"{path}: {broken[0]} has values that are not numbers, as after a fit that diverged. Take another epoch."
        )
    return tensors


def _no_safetensors(path: Path, error: Exception) -> str:
    if is_out_of_memory(error):
        return f"{path} cannot be read: there is not enough memory. Close other programs, or take a machine with more."
    if is_lfs_pointer(path):
        return f"{path} is a Git LFS pointer, not the weights. Run git lfs pull in its repository."
    return f"{path} is damaged or no safetensors file ({first_line(error)}). {_AGAIN}"


def _digest(weights: Sequence[Path]) -> str:
    try:
        return digest(weights)
    except OSError as error:
        raise CheckpointError(f"{error.filename} cannot be read: {error.strerror}.") from None
