"""Batch normalisation folded into the convolutions before it: the same output in less time, for inference."""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from segmodels.architectures.dry_run import dry_run

__all__ = ["fold_batch_norm"]


def fold_batch_norm(network: nn.Module) -> nn.Module:
    """A network with the same output in evaluation mode, without the batch norms that follow a convolution.

    Batch normalisation, `(y - mean) * weight / sqrt(variance + eps) + bias`, is a factor and a summand per channel,
    which can be put into the weights of the convolution (Jacob et al. 2018, section 3.2). Outputs differ by rounding.

    Args:
        network: Network that maps float32 `(1, 3, 64, 64)` to a tensor or a mapping of tensors. It stays as it is.

    Returns:
        A copy in evaluation mode; the network itself if it has no batch norm.
    """
    if not any(isinstance(module, nn.BatchNorm2d) for module in network.modules()):
        return network.eval()
    folded = copy.deepcopy(network).eval()
    modules = dict(folded.named_modules())
    for convolution, norm in _pairs(folded):
        fused = fuse_conv_bn_eval(modules[convolution], modules[norm])
        _put(folded, convolution, fused)
        # timm's batch norm is one with the activation after it
        rest = [getattr(modules[norm], name) for name in ("drop", "act") if hasattr(modules[norm], name)]
        _put(folded, norm, nn.Sequential(*rest) if rest else nn.Identity())
    return folded


def _pairs(network: nn.Module) -> list[tuple[str, str]]:
    """Names of each convolution whose output goes to a batch norm and nowhere else, and of that batch norm."""
    parameters, outputs = dry_run(network, (1, 3, 64, 64))
    owners = {id(parameter): name.rpartition(".")[0] for name, parameter in parameters.items()}
    modules = dict(network.named_modules())
    tensors: list[Any] = [outputs] if isinstance(outputs, torch.Tensor) else [*outputs.values()]
    ahead: list[Any] = [tensor.grad_fn for tensor in tensors]
    seen = set(ahead)
    readers: Counter[Any] = Counter(ahead)  # readers of each step's output, including those outside of the network
    inputs: dict[str, Any] = {}  # step before each batch norm that is used once
    convolutions: dict[Any, str] = {}
    uses: Counter[str] = Counter()
    while ahead:
        step = ahead.pop()
        before = [node for node, _ in step.next_functions if node is not None]
        readers.update(before)
        ahead += [node for node in before if node not in seen]
        seen.update(before)
        for owner in {owners[id(node.variable)] for node in before if hasattr(node, "variable")}:
            uses[owner] += 1
            if isinstance(modules[owner], nn.Conv2d):
                convolutions[step] = owner
            elif isinstance(modules[owner], nn.BatchNorm2d):
                inputs[owner] = step.next_functions[0][0]
    return [
        (convolutions[step], norm)
        for norm, step in inputs.items()
        if step in convolutions and readers[step] == uses[norm] == uses[convolutions[step]] == 1
    ]


def _put(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, module)
