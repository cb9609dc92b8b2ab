"""Losses over logits: functions `(logits, truth) -> scalar` in one literal dict.

Logits are float `(N, C, H, W)`, truth is int64 `(N, H, W)`; pixels of `UNLABELLED` truth count nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import segmentation_models_pytorch as smp
import torch
from torch.nn import functional

from segmodels.taxonomy import UNLABELLED

__all__ = ["LOSSES", "Loss", "cross_entropy", "cross_entropy_dice", "dice"]

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def cross_entropy(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Mean softmax cross-entropy over the labelled pixels, in nats."""
    return functional.cross_entropy(logits.float(), truth, ignore_index=UNLABELLED)


def dice(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """One minus the soft Dice score, averaged over the classes (Milletari et al. 2016), as smp computes it.

    Each class's score is taken over all photos of the batch; a class without true pixels there adds 0.
    """
    loss: torch.Tensor = smp.losses.DiceLoss("multiclass", ignore_index=UNLABELLED)(logits.float(), truth)
    return loss


def cross_entropy_dice(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Cross-entropy plus half the Dice loss: the first keeps probabilities honest, the second lifts rare classes."""
    return cross_entropy(logits, truth) + 0.5 * dice(logits, truth)


LOSSES: Mapping[str, Loss] = {"cross_entropy": cross_entropy, "cross_entropy_dice": cross_entropy_dice, "dice": dice}
"""Loss by the name that recipes use."""
