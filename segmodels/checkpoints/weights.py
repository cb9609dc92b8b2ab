"""`model.safetensors` of a checkpoint: loading is strict, and nothing is ever unpickled."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

from segmodels.checkpoints.errors import AGAIN, CheckpointError
from segmodels.files import is_lfs_pointer
from segmodels.foreign.formats import PICKLES, digest
from segmodels.inference.memory import is_out_of_memory
from segmodels.sentences import first_line

__all__ = ["digest_of", "load_weights"]

_MOST_PARAMETERS = 1_000_000_000


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
    return digest_of([weights])


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
            raise CheckpointError(f"{path} is not a regular file. {AGAIN}")
        raise CheckpointError(f"{folder} has no model.safetensors. {AGAIN}")
    if sum(map(math.prod, expected.values())) > _MOST_PARAMETERS:
        raise CheckpointError(f"{folder} has more than {_MOST_PARAMETERS:,} parameters, and cannot be used here.")
    try:
        with safe_open(path, "pt") as file:
            found = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, RuntimeError, MemoryError) as error:  # RuntimeError where it cannot be mapped
        raise CheckpointError(_no_safetensors(path, error)) from None
    if missing := sorted(set(expected) - set(found)):
        raise CheckpointError(
            f"{path}: {len(missing)} tensors are missing, the first is {repr(missing[0])[1:-1]}. {AGAIN}"
        )
    if extra := sorted(set(found) - set(expected)):
        raise CheckpointError(f"{path}: {len(extra)} tensors are unknown, the first is {repr(extra[0])[1:-1]}. {AGAIN}")
    for name, shape in found.items():
        if shape != expected[name]:
            raise CheckpointError(
                f"{path}: {name} has the shape {shape}; the architecture has {expected[name]}. {AGAIN}"
            )
    return path


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
    return f"{path} is damaged or no safetensors file ({first_line(error)}). {AGAIN}"


def digest_of(weights: Sequence[Path]) -> str:
    """Identifier of weights: the first 12 hex digits of the SHA-256 of their files.

    Raises:
        CheckpointError: If one cannot be read.
    """
    try:
        return digest(weights)
    except OSError as error:
        raise CheckpointError(f"{error.filename} cannot be read: {error.strerror}.") from None
