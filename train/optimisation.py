"""What every fit here optimises by: which weights decay, and how the learning rate runs."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

__all__ = ["one_cycle", "parameter_groups"]

_RISE = 0.15  # share of the steps in which the rate of a one-cycle schedule rises


def parameter_groups(network: nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """The trained parameters of a network as an optimiser takes them: biases and norms are not decayed.

    Args:
        network: Network whose parameters are optimised; those that take no gradient are left out.
        weight_decay: Weight decay of all other parameters.
    """
    trained = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return [
        {"params": [parameter for parameter in trained if parameter.ndim > 1], "weight_decay": weight_decay},
        {"params": [parameter for parameter in trained if parameter.ndim <= 1], "weight_decay": 0.0},
    ]


def one_cycle(optimiser: torch.optim.Optimizer, learning_rate: float, steps: int) -> OneCycleLR:
    """The one-cycle schedule of Smith & Topin 2017: the rate rises in the first 15 % of the steps, then falls to zero.

    Args:
        optimiser: Optimiser whose learning rate is moved.
        learning_rate: Highest learning rate.
        steps: Number of steps of the whole fit.
    """
    return OneCycleLR(optimiser, learning_rate, total_steps=steps, pct_start=_RISE)
