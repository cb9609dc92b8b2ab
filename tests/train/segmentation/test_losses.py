import math

import pytest
import segmentation_models_pytorch as smp
import torch

from segmodels.taxonomy import UNLABELLED
from train.segmentation.losses import (
    LOSSES,
    Loss,
    build_loss,
    complement_cross_entropy,
    cross_entropy,
    cross_entropy_dice,
    cross_entropy_lovasz,
    dice,
    focal,
    frequency_cross_entropy,
    generalised_dice,
)


def build(name: str) -> Loss:
    """The loss as a recipe has it, whatever the number of classes."""

    def loss(logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        shares = [2.0**-number for number in range(logits.shape[1])]
        return build_loss(name, gamma=2.0, shares=shares)(logits, truth)

    loss.__name__ = name
    return loss


each_loss = pytest.mark.parametrize("loss", [build(name) for name in LOSSES], ids=list(LOSSES))


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


def test_lovasz_of_sure_answers_is_one_minus_their_mean_iou() -> None:
    # Each class has two true pixels and is seen on two, one of which is right: 1 of 3.
    sure = logits_of((1.0, 1e-30), (1.0, 1e-30), (1e-30, 1.0), (1e-30, 1.0))
    truth = truth_of(0, 1, 1, 0)
    lovasz = cross_entropy_lovasz(sure, truth) - cross_entropy(sure, truth)
    assert lovasz.item() == pytest.approx(1 - (1 / 3 + 1 / 3) / 2, abs=1e-5)


def test_lovasz_of_a_large_batch_takes_every_second_row_and_column() -> None:
    generator = torch.Generator().manual_seed(0)
    logits, truth = (
        torch.randn(1, 3, 600, 500, generator=generator),
        torch.randint(3, (1, 600, 500), generator=generator),
    )
    lovasz = cross_entropy_lovasz(logits, truth) - cross_entropy(logits, truth)
    few = logits[..., ::2, ::2], truth[..., ::2, ::2]
    assert lovasz.item() == pytest.approx((cross_entropy_lovasz(*few) - cross_entropy(*few)).item(), abs=1e-5)
    other = logits[..., 1::2, ::2], truth[..., 1::2, ::2]
    assert lovasz.item() != pytest.approx((cross_entropy_lovasz(*other) - cross_entropy(*other)).item(), abs=1e-5)


@each_loss
def test_ignored_pixels_count_nowhere(loss: Loss) -> None:
    labelled = loss(logits_of((0.5, 0.5), (0.2, 0.8)), truth_of(0, 1))
    logits = logits_of((0.5, 0.5), (0.99, 0.01), (0.2, 0.8), (0.01, 0.99))
    with_ignored = loss(logits, truth_of(0, UNLABELLED, 1, UNLABELLED))
    assert with_ignored.item() == pytest.approx(labelled.item())
    with_ignored.backward()
    assert logits.grad is not None
    assert (logits.grad[..., [1, 3]] == 0).all()
    assert (logits.grad[..., [0, 2]] != 0).all()


@each_loss
def test_gradient_is_right(loss: Loss) -> None:
    if loss.__name__ == "complement_cross_entropy":
        pytest.skip("no gradient flows through its weights: by hand below")
    logits, truth = noise()
    logits = logits.requires_grad_()
    loss(logits, truth).backward()
    assert logits.grad is not None
    generator, step = torch.Generator().manual_seed(1), 1e-2
    direction = torch.randn(logits.shape, generator=generator)
    with torch.no_grad():
        ahead, behind = (loss(logits + sign * step * direction, truth) for sign in (1, -1))
    slope = float((ahead - behind) / (2 * step))
    assert float((logits.grad * direction).sum()) == pytest.approx(slope, rel=0.02, abs=1e-4)


@each_loss
def test_a_perfect_answer_costs_nothing_and_a_wrong_one_much(loss: Loss) -> None:
    _, truth = noise()
    sure = torch.nn.functional.one_hot(torch.where(truth == UNLABELLED, 0, truth), 4).permute(0, 3, 1, 2) * 100.0
    assert loss(sure, truth).item() == pytest.approx(0, abs=1e-5)
    assert loss(sure.roll(1, dims=1), truth).item() > 0.9


@each_loss
def test_half_precision_logits_are_taken_at_full_precision(loss: Loss) -> None:
    logits, truth = noise()
    half = logits.bfloat16()
    value = loss(half, truth)
    assert value.dtype == torch.float32 and value.ndim == 0
    assert value.item() == pytest.approx(loss(half.float(), truth).item())


@each_loss
def test_the_truth_is_left_as_it_was(loss: Loss) -> None:
    logits, truth = noise()
    before = truth.clone()
    loss(logits, truth)
    assert torch.equal(truth, before)


# --- Castro & Ramirez, section 8.1 ------------------------------------------------------------------------------------


def test_complement_cross_entropy_by_hand() -> None:
    # predicted: class 0 on 0.5 + 0.2 + 0.9 = 1.6 of 3 pixels, class 1 on 1.4; each counts with at least one pixel
    loss = complement_cross_entropy(logits_of((0.5, 0.5), (0.2, 0.8), (0.9, 0.1)), truth_of(0, 1, 0))
    first, second = (3 - 1.6) / 1.6, (3 - 1.4) / 1.4
    assert loss.item() == pytest.approx(-(first * math.log(0.5) + second * math.log(0.8) + first * math.log(0.9)) / 3)


def test_complement_weights_carry_no_gradient() -> None:
    logits = logits_of((0.5, 0.5), (0.2, 0.8), (0.9, 0.1))
    complement_cross_entropy(logits, truth_of(0, 1, 0)).backward()
    assert logits.grad is not None
    first, second = (3 - 1.6) / 1.6, (3 - 1.4) / 1.4
    by_hand = torch.tensor([first * (0.5 - 1), second * 0.2, first * (0.9 - 1)]) / 3  # w (p - r) / N, of class 0
    torch.testing.assert_close(logits.grad[0, 0, 0], by_hand)


def test_a_class_that_is_not_predicted_weighs_as_one_pixel_would() -> None:
    loss = complement_cross_entropy(logits_of((0.9, 0.1), (0.9, 0.1)), truth_of(0, 1))
    first, second = (2 - 1.8) / 1.8, (2 - 0.2) / 1.0
    assert loss.item() == pytest.approx(-(first * math.log(0.9) + second * math.log(0.1)) / 2)


def test_frequency_cross_entropy_by_hand() -> None:
    loss = frequency_cross_entropy(logits_of((0.5, 0.5), (0.2, 0.8)), truth_of(0, 1), shares=[0.8, 0.2])
    assert loss.item() == pytest.approx(-(math.log(0.5) / 0.8 + math.log(0.8) / 0.2) / (1 / 0.8 + 1 / 0.2))


def test_a_class_without_training_pixels_weighs_nothing() -> None:
    loss = frequency_cross_entropy(logits_of((0.5, 0.5), (0.2, 0.8)), truth_of(0, 1), shares=[1.0, 0.0])
    assert loss.item() == pytest.approx(-math.log(0.5))
    nothing = frequency_cross_entropy(logits_of((0.5, 0.5)), truth_of(1), shares=[1.0, 0.0])
    assert nothing.item() == 0


def test_generalised_dice_by_hand() -> None:
    # class 0: two true pixels, w = 1/4, overlap 1.4, sum of p 1.6; class 1: one true pixel, w = 1, 0.8 and 1.4
    loss = generalised_dice(logits_of((0.5, 0.5), (0.2, 0.8), (0.9, 0.1)), truth_of(0, 1, 0))
    assert loss.item() == pytest.approx(1 - 2 * (1.4 / 4 + 0.8) / ((1.6 + 2) / 4 + (1.4 + 1)))


def test_generalised_dice_leaves_out_a_class_without_true_pixels() -> None:
    loss = generalised_dice(logits_of((0.5, 0.25, 0.25), (0.2, 0.6, 0.2)), truth_of(0, 1))
    assert loss.item() == pytest.approx(1 - 2 * (0.5 + 0.6) / ((0.7 + 1) + (0.85 + 1)))


def test_focal_by_hand() -> None:
    loss = focal(logits_of((0.5, 0.5), (0.2, 0.8)), truth_of(0, 1), gamma=2.0)
    assert loss.item() == pytest.approx(-(0.5**2 * math.log(0.5) + 0.2**2 * math.log(0.8)) / 2)


def test_focal_is_the_papers_example() -> None:
    """Lin et al., section 3.2: with gamma 2 a pixel at p = 0.9 costs 100 times less than under cross-entropy."""
    logits, truth = logits_of((0.9, 0.1)), truth_of(0)
    assert cross_entropy(logits, truth).item() / focal(logits, truth, gamma=2.0).item() == pytest.approx(100, rel=1e-3)


def test_focal_without_gamma_is_cross_entropy() -> None:
    logits, truth = noise()
    assert focal(logits, truth, gamma=0.0).item() == pytest.approx(cross_entropy(logits, truth).item())


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_has_a_finite_gradient_where_it_is_sure(gamma: float) -> None:
    logits = torch.tensor([[[[100.0, -100.0]], [[-100.0, 100.0]]]], requires_grad=True)
    focal(logits, truth_of(0, 0), gamma=gamma).backward()
    assert logits.grad is not None and logits.grad.isfinite().all()


@each_loss
def test_a_batch_without_labels_costs_nothing(loss: Loss) -> None:
    logits = logits_of((0.5, 0.5), (0.2, 0.8)).detach().requires_grad_()
    value = loss(logits, truth_of(UNLABELLED, UNLABELLED))
    assert value.item() == 0
    value.backward()
    assert logits.grad is not None and (logits.grad == 0).all()


def test_weights_that_a_validation_asked_for_first_can_be_trained_with() -> None:
    logits, truth = noise()
    loss = build_loss("frequency_cross_entropy", gamma=2.0, shares=[0.4, 0.3, 0.2, 0.1])
    with torch.inference_mode():
        judged = loss(logits, truth)
    logits = logits.requires_grad_()
    value = loss(logits, truth)
    value.backward()
    assert value.item() == judged.item() and logits.grad is not None and logits.grad.any()


@pytest.mark.parametrize("seed", range(3))
def test_lovasz_is_that_of_segmentation_models_pytorch(seed: int) -> None:
    logits, truth = noise(seed=seed)
    truth[truth == 3] = 0  # a class without true pixels
    gradients = []
    for lovasz in (
        lambda own: cross_entropy_lovasz(own, truth) - cross_entropy(own, truth),
        lambda own: smp.losses.LovaszLoss("multiclass", ignore_index=UNLABELLED)(own, truth),
    ):
        own = logits.clone().requires_grad_()
        value = lovasz(own)
        value.backward()
        assert own.grad is not None
        gradients.append(torch.cat([own.grad.flatten(), value.detach()[None]]))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-6)
