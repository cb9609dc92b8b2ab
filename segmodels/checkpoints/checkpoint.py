"""A checkpoint is a directory: `config.json`, `model.safetensors`, `metrics.json` and `README.md`.

It may also have `calibration.json`, which turns its probabilities into presence, `kinds.json` with
`kinds.safetensors`, which tell kinds of garments apart, and `embedding.safetensors`, which finds garments alike.

It is identical on disk, among the embedded ones and on the Hub. Loading is strict and nothing is ever unpickled.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn

from segmodels.architectures import build
from segmodels.checkpoints.config import CheckpointConfig, read_config, read_object
from segmodels.checkpoints.errors import CheckpointError
from segmodels.checkpoints.heads import calibration_of, embedding_of, kinds_of
from segmodels.checkpoints.weights import digest_of, load_weights
from segmodels.evaluation.results import Results, ResultsError, parse_results
from segmodels.files import write_whole
from segmodels.foreign.formats import home_of, name_of, weights_of
from segmodels.inference.embedding import Embedding
from segmodels.inference.kinds import Kinds
from segmodels.inference.presence import Calibration
from segmodels.taxonomy import Taxonomy, taxonomy_of

__all__ = [
    "Checkpoint",
    "count_parameters",
    "load_checkpoint",
    "read_metrics",
    "read_results",
    "save_checkpoint",
    "save_description",
    "save_metrics",
    "save_results",
    "write_folder",
]


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
        weights = revision or digest_of(weights_of(folder))
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
        calibration=calibration_of(home, config, "" if config.foreign and revision else weights)
        if with_calibration
        else None,
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


def read_metrics(folder: Path) -> dict[str, Any]:
    """Reads `metrics.json` of a checkpoint or a detector unchanged; empty if there is none.

    Raises:
        CheckpointError: If it is damaged.
    """
    path = folder / "metrics.json"
    return read_object(path) if path.is_file() else {}


def read_results(folder: Path) -> Results:
    """Reads `metrics.json` of a checkpoint of this version or an older one; empty if there is none.

    Raises:
        CheckpointError: If it is damaged, or of a newer version.
    """
    try:
        return parse_results(read_metrics(folder))
    except ResultsError as error:
        raise CheckpointError(f"{folder}: {error}") from None


def _write_json(path: Path, values: Mapping[str, Any]) -> None:
    write_whole(path, json.dumps(values, indent=1, ensure_ascii=False) + "\n")
