"""What every fit here optimises by: which weights decay, and how the learning rate runs."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

__all__ = ["one_cycle", "parameter_groups"]

_RISE = 0.15  # share of the steps in which the rate of a one-cycle schedule rises


def parameter_groups(
    network: nn.Module, weight_decay: float, slow: nn.Module | None = None, slow_rate: float = 0.0
) -> list[dict[str, Any]]:
    """The trained parameters of a network as an optimiser takes them: biases and norms are not decayed.

    Args:
        network: Network whose parameters are optimised; those that take no gradient are left out.
        weight_decay: Weight decay of all other parameters.
        slow: Part of the network with a learning rate of its own; None for none.
        slow_rate: Learning rate of that part.
    """
    apart = {id(parameter) for parameter in slow.parameters()} if slow is not None else set()
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = []
    for rate in ({}, {"lr": slow_rate}) if slow is not None else ({},):
        chosen = [parameter for parameter in trained if (id(parameter) in apart) == bool(rate)]
        groups += [
            {"params": [parameter for parameter in chosen if parameter.ndim > 1], "weight_decay": weight_decay, **rate},
            {"params": [parameter for parameter in chosen if parameter.ndim <= 1], "weight_decay": 0.0, **rate},
        ]
    return groups


def one_cycle(optimiser: torch.optim.Optimizer, steps: int) -> OneCycleLR:
    """The one-cycle schedule of Smith & Topin 2017: the rate rises in the first 15 % of the steps, then falls to zero.

    Args:
        optimiser: Optimiser whose learning rates are moved; each group's own is its highest.
        steps: Number of steps of the whole fit.
    """
    return OneCycleLR(optimiser, [group["lr"] for group in optimiser.param_groups], total_steps=steps, pct_start=_RISE)
