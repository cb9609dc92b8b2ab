"""A moving average of a network's weights, which is what is judged and kept."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

__all__ = ["MovingAverage"]


class MovingAverage(AveragedModel):
    """The exponential moving average of a network's weights and buffers: torch's, but a GPU is not waited for.

    torch's asks a counter, which lies on the device, at each step whether it is still 0, and copies it from device to
    device; this one asks once. The state is the same.

    Args:
        network: The network whose weights are averaged; a copy of it becomes `module`.
        decay: Weight of the past in the average.
    """

    def __init__(self, network: nn.Module, decay: float) -> None:
        self._move = get_ema_multi_avg_fn(decay)
        super().__init__(network, multi_avg_fn=self._move, use_buffers=True)
        self.requires_grad_(False)
        self._begun: bool | None = None  # None: ask the counter

    @torch.no_grad()
    def update_parameters(self, model: nn.Module) -> None:
        """Moves the average towards the weights of a network; the first time it becomes them."""
        if self._begun is None:
            self._begun = bool(self.n_averaged > 0)
        averaged = [*self.module.parameters(), *self.module.buffers()]
        current = [*model.parameters(), *model.buffers()]
        if self._begun:
            for floating in (True, False):
                pairs = zip(averaged, current, strict=True)
                chosen = [pair for pair in pairs if pair[0].is_floating_point() is floating]
                if chosen:
                    self._move([pair[0] for pair in chosen], [pair[1] for pair in chosen], 0)
        else:
            torch._foreach_copy_(averaged, current)
        self._begun = True
        self.n_averaged += 1

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._begun = None
