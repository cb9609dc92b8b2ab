"""Pruning: a narrower FPN starts from the channels of a wider one that weigh most.

Li et al. 2017, *Pruning filters for efficient ConvNets*: a channel counts as much as the weights that lead on from it.
GroupNorm sets the size of a channel in a segmentation block, so its factor is multiplied in. Its groups stay what they
are: of each one the same number of channels is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn

__all__ = ["prune_segmentation_blocks"]

_BLOCKS = "network.decoder.seg_blocks."
_HEAD = "network.segmentation_head.0.weight"


def prune_segmentation_blocks(wide: Mapping[str, Tensor], narrow: nn.Module) -> bool:
    """Loads an FPN of segmentation-models-pytorch from one with more `segmentation_channels`, in place.

    Args:
        wide: State of the wider network.
        narrow: Network to load into; it differs in the number of these channels only.

    Returns:
        False, with `narrow` unchanged, if it is no such network.
    """
    mine = narrow.state_dict()
    if _HEAD not in mine or wide.keys() != mine.keys():
        return False
    last: list[str] = []  # the norms whose channels are summed, one a level of the pyramid
    pruned = dict(wide)
    for level in sorted({name.removeprefix(_BLOCKS).split(".")[0] for name in mine if name.startswith(_BLOCKS)}):
        depth = sum(name.startswith(f"{_BLOCKS}{level}.block.") and name.endswith(".block.0.weight") for name in mine)
        steps = [f"{_BLOCKS}{level}.block.{step}.block" for step in range(depth)]
        for step, following in pairwise(steps):
            importance = wide[f"{step}.1.weight"].abs() * wide[f"{following}.0.weight"].transpose(0, 1).flatten(1).norm(
                dim=1
            )
            kept = _strongest(importance, mine[f"{step}.1.weight"].numel(), _groups(narrow, f"{step}.1"))
            _keep_outputs(pruned, step, kept)
            pruned[f"{following}.0.weight"] = pruned[f"{following}.0.weight"][:, kept]
        last.append(steps[-1])
    factors = torch.stack([wide[f"{step}.1.weight"].abs() for step in last]).sum(0)
    importance = factors * wide[_HEAD].transpose(0, 1).flatten(1).norm(dim=1)
    kept = _strongest(importance, mine[_HEAD].shape[1], _groups(narrow, f"{last[0]}.1"))
    for step in last:
        _keep_outputs(pruned, step, kept)
    pruned[_HEAD] = wide[_HEAD][:, kept]
    if any(pruned[name].shape != tensor.shape for name, tensor in mine.items()):
        return False
    narrow.load_state_dict(pruned)
    return True


def _keep_outputs(state: dict[str, Tensor], step: str, kept: Tensor) -> None:
    """Takes the kept channels of a convolution and of the norm behind it."""
    for name in ("0.weight", "1.weight", "1.bias"):
        state[f"{step}.{name}"] = state[f"{step}.{name}"][kept]


def _groups(network: nn.Module, name: str) -> int:
    norm = network.get_submodule(name)
    assert isinstance(norm, nn.GroupNorm)
    return norm.num_groups


def _strongest(importance: Tensor, count: int, groups: int) -> Tensor:
    """Indices, ascending, of the channels that weigh most, equally many in each group."""
    by_group = importance.reshape(groups, -1)
    kept = by_group.topk(min(count // groups, by_group.shape[1]), dim=1).indices.sort(dim=1).values
    return (kept + torch.arange(groups)[:, None] * by_group.shape[1]).flatten()
