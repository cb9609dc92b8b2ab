import math

import pytest
import segmentation_models_pytorch as smp
import torch

from segmodels.taxonomy import UNLABELLED
from train.losses import LOSSES, cross_entropy, cross_entropy_dice, dice

each_loss = pytest.mark.parametrize("name", list(LOSSES))


def logits_of(*pixels: tuple[float, ...]) -> torch.Tensor:
    """Logits `(1, C, 1, W)` whose softmax is the given probabilities, by pixel."""
    return torch.tensor(pixels).log().T[None, :, None, :].clone().requires_grad_()


def truth_of(*ids: int) -> torch.Tensor:
    return torch.tensor(ids)[None, None, :]


def noise(classes: int = 4, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    truth = torch.randint(0, classes, (2, 6, 5), generator=generator)
    truth[torch.rand(truth.shape, generator=generator) < 0.3] = UNLABELLED
    return torch.randn(2, classes, 6, 5, generator=generator), truth


def test_cross_entropy_by_hand() -> None:
    loss = cross_entropy(logits_of((0.5, 0.5), (0.2, 0.8)), truth_of(0, 1))
    assert loss.item() == pytest.approx(-(math.log(0.5) + math.log(0.8)) / 2)


def test_dice_by_hand() -> None:
    # class 0: 2 * 0.5 / (0.5 + 0.2 + 1); class 1: 2 * 0.8 / (0.5 + 0.8 + 1)
    loss = dice(logits_of((0.5, 0.5), (0.2, 0.8)), truth_of(0, 1))
    assert loss.item() == pytest.approx(((1 - 1 / 1.7) + (1 - 1.6 / 2.3)) / 2)


def test_dice_of_a_class_without_true_pixels_adds_nothing() -> None:
    # class 0: 2 * (0.5 + 0.2) / (0.7 + 2); class 2 has no true pixel, nor has class 1
    loss = dice(logits_of((0.5, 0.25, 0.25), (0.2, 0.4, 0.4)), truth_of(0, 0))
    assert loss.item() == pytest.approx((1 - 1.4 / 2.7) / 3)


def test_dice_is_taken_over_the_whole_batch() -> None:
    logits, truth = noise()
    joined = dice(torch.cat(list(logits), dim=1)[None], torch.cat(list(truth), dim=0)[None])
    assert dice(logits, truth).item() == pytest.approx(joined.item())


@pytest.mark.parametrize("seed", range(3))
def test_dice_is_that_of_segmentation_models_pytorch(seed: int) -> None:
    logits, truth = noise(seed=seed)
    truth[truth == 3] = 0  # a class without true pixels
    theirs = smp.losses.DiceLoss("multiclass", ignore_index=UNLABELLED)(logits, truth)
    assert dice(logits, truth).item() == pytest.approx(theirs.item(), rel=1e-5)


def test_cross_entropy_dice_is_one_plus_half_the_other() -> None:
    logits, truth = noise()
    expected = cross_entropy(logits, truth) + 0.5 * dice(logits, truth)
    assert cross_entropy_dice(logits, truth).item() == pytest.approx(expected.item())


@each_loss
def test_ignored_pixels_count_nowhere(name: str) -> None:
    loss = LOSSES[name]
    labelled = loss(logits_of((0.5, 0.5), (0.2, 0.8)), truth_of(0, 1))
    logits = logits_of((0.5, 0.5), (0.99, 0.01), (0.2, 0.8), (0.01, 0.99))
    with_ignored = loss(logits, truth_of(0, UNLABELLED, 1, UNLABELLED))
    assert with_ignored.item() == pytest.approx(labelled.item())
    with_ignored.backward()
    assert logits.grad is not None
    assert (logits.grad[..., [1, 3]] == 0).all()
    assert (logits.grad[..., [0, 2]] != 0).all()


@each_loss
def test_gradient_is_right(name: str) -> None:
    logits, truth = noise()
    logits = logits.requires_grad_()
    LOSSES[name](logits, truth).backward()
    assert logits.grad is not None
    generator, step = torch.Generator().manual_seed(1), 1e-2
    direction = torch.randn(logits.shape, generator=generator)
    with torch.no_grad():
        ahead, behind = (LOSSES[name](logits + sign * step * direction, truth) for sign in (1, -1))
    slope = float((ahead - behind) / (2 * step))
    assert float((logits.grad * direction).sum()) == pytest.approx(slope, rel=0.02, abs=1e-4)


@each_loss
def test_a_perfect_answer_costs_nothing_and_a_wrong_one_much(name: str) -> None:
    _, truth = noise()
    sure = torch.nn.functional.one_hot(torch.where(truth == UNLABELLED, 0, truth), 4).permute(0, 3, 1, 2) * 100.0
    assert LOSSES[name](sure, truth).item() == pytest.approx(0, abs=1e-5)
    assert LOSSES[name](sure.roll(1, dims=1), truth).item() > 0.9


@each_loss
def test_half_precision_logits_are_taken_at_full_precision(name: str) -> None:
    logits, truth = noise()
    half = logits.bfloat16()
    loss = LOSSES[name](half, truth)
    assert loss.dtype == torch.float32 and loss.ndim == 0
    assert loss.item() == pytest.approx(LOSSES[name](half.float(), truth).item())


@each_loss
def test_the_truth_is_left_as_it_was(name: str) -> None:
    logits, truth = noise()
    before = truth.clone()
    LOSSES[name](logits, truth)
    assert torch.equal(truth, before)
