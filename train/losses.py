"""Losses over logits: functions `(logits, truth) -> scalar` in one literal dict.

Logits are float `(N, C, H, W)`, truth is int64 `(N, H, W)`; pixels of `UNLABELLED` truth count nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch.nn import functional

from segmodels.taxonomy import UNLABELLED

__all__ = ["LOSSES", "Loss", "cross_entropy", "cross_entropy_dice", "dice"]

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def cross_entropy(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Mean softmax cross-entropy over the labelled pixels, in nats."""
    return functional.cross_entropy(logits.float(), truth, ignore_index=UNLABELLED)


def dice(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """One minus the soft Dice score, `1 - 2 sum(p t) / (sum(p) + sum(t))`, as mean over the classes.

    Milletari, Navab & Ahmadi 2016 (V-Net), for several classes, over all pixels of the batch; a class without true
    pixels there adds 0. It gives what `smp.losses.DiceLoss("multiclass")` gives, without its one-hot truth of
    `(N, H * W, C)` int64, which took half as long as the network on a processor.
    """
    return _dice(logits.float().log_softmax(dim=1), truth)


def cross_entropy_dice(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Cross-entropy plus half the Dice loss: the first keeps probabilities honest, the second lifts rare classes."""
    log_probability = logits.float().log_softmax(dim=1)
    return functional.nll_loss(log_probability, truth, ignore_index=UNLABELLED) + 0.5 * _dice(log_probability, truth)


LOSSES: Mapping[str, Loss] = {"cross_entropy": cross_entropy, "cross_entropy_dice": cross_entropy_dice, "dice": dice}
"""Loss by the name that recipes use."""


def _dice(log_probability: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    labelled = truth != UNLABELLED
    ids = torch.where(labelled, truth, 0)
    probability = log_probability.exp() * labelled.unsqueeze(1)  # (N, C, H, W)
    hits = probability.gather(1, ids.unsqueeze(1)).flatten()  # of the true class, by pixel
    classes = probability.shape[1]
    overlap = hits.new_zeros(classes).index_add(0, ids.flatten(), hits)
    true = torch.bincount(ids[labelled], minlength=classes)
    score = 2 * overlap / (probability.sum(dim=(0, 2, 3)) + true).clamp_min(1e-7)
    return ((1 - score) * (true > 0)).mean()
