"""Losses over logits: functions `(logits, truth) -> scalar` in one literal dict.

Logits are float `(N, C, H, W)`, truth is int64 `(N, H, W)`; pixels of `UNLABELLED` truth count nowhere. A batch without
a labelled pixel gives 0, with a gradient of 0. All shapes follow from those of the inputs and no value is read back, so
that a GPU is never waited for.

Why they are written here: the focal loss of segmentation-models-pytorch 0.6 takes several classes as so many yes-or-no
questions, each with its own sigmoid, where Castro & Ramirez (and Lin et al. 2017, section 3) have the softmax
probability of the true class; it has no generalised Dice, and MONAI, which has both, weighs more than this project. Its
Lovász loss asks the GPU after each class whether there is one of its pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import torch
from torch.nn import functional

from segmodels.taxonomy import UNLABELLED

__all__ = [
    "LOSSES",
    "Loss",
    "build_loss",
    "complement_cross_entropy",
    "cross_entropy",
    "cross_entropy_dice",
    "cross_entropy_lovasz",
    "dice",
    "focal",
    "frequency_cross_entropy",
    "generalised_dice",
]

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

_SORTED_PIXELS = 1 << 18


def cross_entropy(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Mean softmax cross-entropy over the labelled pixels, in nats."""
    return _negative_log_likelihood(logits.float().log_softmax(dim=1), truth)


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
    return _negative_log_likelihood(log_probability, truth) + 0.5 * _dice(log_probability, truth)


def cross_entropy_lovasz(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Cross-entropy plus the Lovász-softmax loss, which stands for one minus the mean IoU of the classes in the batch.

    Berman, Rannen Triki & Blaschko 2018, *The Lovász-softmax loss*, equations 10 and 11, over the classes that have a
    true pixel. It sorts the pixels by class; of a batch of more than 2^18 pixels it takes every second row and column,
    or every third and so on, without which it would take as long as a network.
    """
    logits = logits.float()
    step = math.ceil(math.sqrt(truth.numel() / _SORTED_PIXELS))
    lovasz = _lovasz(logits[..., ::step, ::step].softmax(dim=1), truth[..., ::step, ::step])
    return cross_entropy(logits, truth) + lovasz


def complement_cross_entropy(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Cross-entropy in which a class weighs by what is not predicted as it: `w = (N - sum p) / sum p`.

    Castro & Ramirez, section 8.1, after Sudre et al. 2017, equation for WCE; `p` is the predicted probability of the
    class over the N labelled pixels of the batch. Both print it for two classes, where only the foreground is weighted
    and the background counts once. For several classes each is its own foreground: the loss is the mean over the
    pixels of `-w[truth] log p[truth]`. No gradient flows through `w`. A class that is not predicted at all weighs as
    if one pixel were, so that `w` stays below N.
    """
    log_probability = logits.float().log_softmax(dim=1)
    labelled = truth != UNLABELLED
    pixels = labelled.sum()
    predicted = (log_probability.detach().exp() * labelled.unsqueeze(1)).sum(dim=(0, 2, 3))
    weights = (pixels - predicted) / predicted.clamp_min(1.0)
    loss = functional.nll_loss(log_probability, truth, weights, ignore_index=UNLABELLED, reduction="sum")
    return loss / pixels.clamp_min(1)


def frequency_cross_entropy(logits: torch.Tensor, truth: torch.Tensor, *, shares: Sequence[float]) -> torch.Tensor:
    """Cross-entropy in which a class weighs by how little of the training photos it covers.

    Castro & Ramirez, section 8.1: "we get the average of class x respect to the total number of pixel per image". The
    weight is one over that average; the loss is the weighted mean, so that only the ratios of the weights matter. A
    class without a training pixel weighs nothing.

    Args:
        logits: float `(N, C, H, W)`.
        truth: int64 `(N, H, W)`.
        shares: C averages over the training photos of the share of a photo's pixels that are of the class.
    """
    weights = _weights(tuple(shares), logits.device)
    log_probability = logits.float().log_softmax(dim=1)
    labelled = truth != UNLABELLED
    total = weights[torch.where(labelled, truth, 0)].mul(labelled).sum()
    loss = functional.nll_loss(log_probability, truth, weights, ignore_index=UNLABELLED, reduction="sum")
    return loss / total.clamp_min(1e-12)


def generalised_dice(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """One minus the generalised Dice score: `1 - 2 sum_l(w_l sum(r p)) / sum_l(w_l sum(r + p))`, `w_l = 1 / sum(r)^2`.

    Sudre, Li, Vercauteren, Ourselin & Cardoso 2017, *Generalised Dice overlap as a deep learning loss function*,
    GDL_v; sums run over the pixels of the batch. Castro & Ramirez, section 8.1, print it with the denominator's bracket
    missing and `p_lr` for `p_ln`. A class without true pixels, whose weight would be infinite, is left out, as in the
    authors' own NiftyNet.
    """
    probability, ids, labelled = _probabilities(logits.float().log_softmax(dim=1), truth)
    overlap, true = _true_probability(probability, ids, labelled)
    weights = torch.where(true > 0, true.float().clamp_min(1).pow(-2), 0)
    score = 2 * (weights * overlap).sum() / (weights * (probability.sum(dim=(0, 2, 3)) + true)).sum().clamp_min(1e-12)
    return (1 - score) * labelled.any()


def focal(logits: torch.Tensor, truth: torch.Tensor, *, gamma: float = 2.0) -> torch.Tensor:
    """Mean of `-(1 - p)^gamma log p` over the labelled pixels, with p the softmax probability of the true class.

    Lin, Goyal, Girshick, He & Dollar 2017, equation 4; Castro & Ramirez, section 8.1. At gamma 0 it is cross-entropy.
    """
    loss = functional.cross_entropy(logits.float(), truth, ignore_index=UNLABELLED, reduction="none")  # -log p
    # Not below 0, as rounding could bring p above 1; the gradient of 0 ** gamma is infinite for gamma below 1.
    easy = (1 - (-loss).exp()).clamp_min(1e-7).pow(gamma)
    return (easy * loss).sum() / (truth != UNLABELLED).sum().clamp_min(1)


LOSSES: Mapping[str, Callable[..., torch.Tensor]] = {
    "complement_cross_entropy": complement_cross_entropy,
    "cross_entropy": cross_entropy,
    "cross_entropy_dice": cross_entropy_dice,
    "cross_entropy_lovasz": cross_entropy_lovasz,
    "dice": dice,
    "focal": focal,
    "frequency_cross_entropy": frequency_cross_entropy,
    "generalised_dice": generalised_dice,
}
"""Function by the name that recipes use."""


def build_loss(name: str, *, gamma: float, shares: Sequence[float]) -> Loss:
    """The loss of a recipe, as a function of logits and truth alone.

    Args:
        name: Key in `LOSSES`.
        gamma: Exponent of `focal`.
        shares: Class shares of `frequency_cross_entropy`.
    """
    options: dict[str, dict[str, Any]] = {"focal": {"gamma": gamma}, "frequency_cross_entropy": {"shares": shares}}
    return partial(LOSSES[name], **options.get(name, {}))


def _negative_log_likelihood(log_probability: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """The mean over the labelled pixels; torch's own is nan where there are none."""
    total = functional.nll_loss(log_probability, truth, ignore_index=UNLABELLED, reduction="sum")
    return total / (truth != UNLABELLED).sum().clamp_min(1)


@cache
def _weights(shares: tuple[float, ...], device: torch.device) -> torch.Tensor:
    """One over each share, float32 `(C,)`, and 0 for a share of 0; on its device once, as a copy waits for the GPU."""
    with torch.inference_mode(False):  # it may be a validation that asks first, and training saves it for backward
        share = torch.tensor(shares, dtype=torch.float32, device=device)
        return torch.where(share > 0, 1 / share.clamp_min(1e-12), 0)


def _lovasz(probability: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Mean over the classes with a true pixel of the Lovász extension of one minus the IoU, at the errors `|t - p|`."""
    ids = truth.flatten()  # (pixels,)
    labelled = ids != UNLABELLED
    total, present = probability.new_zeros(()), probability.new_zeros(())
    for class_id, values in enumerate(probability.transpose(0, 1).flatten(1)):
        true = (ids == class_id).to(values.dtype)
        error = torch.where(
            labelled, (true - values).abs(), -1
        )  # the unlabelled pixels go last, where they add nothing
        error, order = error.sort(descending=True)
        true = true[order]
        pixels = true.sum()
        loss = 1 - (pixels - true.cumsum(0)) / (pixels + (1 - true).cumsum(0))  # one minus the IoU of the first pixels
        steps = torch.cat([loss[:1], loss[1:] - loss[:-1]])
        shown = (pixels > 0).to(values.dtype)
        total = total + shown * torch.dot(error.clamp_min(0), steps)
        present = present + shown
    return total / present.clamp_min(1)


def _dice(log_probability: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    probability, ids, labelled = _probabilities(log_probability, truth)
    overlap, true = _true_probability(probability, ids, labelled)
    score = 2 * overlap / (probability.sum(dim=(0, 2, 3)) + true).clamp_min(1e-7)
    return ((1 - score) * (true > 0)).mean()


def _probabilities(
    log_probability: torch.Tensor, truth: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Probabilities `(N, C, H, W)`, 0 where unlabelled; ids `(N, H, W)`, 0 there; and where labelled, bool."""
    labelled = truth != UNLABELLED
    return log_probability.exp() * labelled.unsqueeze(1), torch.where(labelled, truth, 0), labelled


def _true_probability(
    probability: torch.Tensor, ids: torch.Tensor, labelled: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sums by class, `(C,)`: of its probability over its true pixels, and the number of these."""
    hits = probability.gather(1, ids.unsqueeze(1)).flatten()  # of the true class, by pixel
    classes = probability.shape[1]
    overlap = hits.new_zeros(classes).index_add(0, ids.flatten(), hits)
    pixels = torch.zeros(classes, dtype=torch.int64, device=ids.device)
    return overlap, pixels.index_add(0, ids.flatten(), labelled.flatten().long())
