from collections.abc import Callable

import numpy as np
import pytest
import torch

from segmodels.taxonomy import OUTFIT_15
from train.recipe import Recipe
from train.segmentation.capture import Capture, apply_captures, compressed, random_capture

MakeRecipe = Callable[..., Recipe]
SKIN = OUTFIT_15["Skin"].id


def captured(capture: Capture, image: torch.Tensor | None = None, skin: int | None = SKIN) -> torch.Tensor:
    """One crop whose left half is skin, of 0.5 everywhere if nothing else is given."""
    image = torch.full((1, 3, 20, 20), 0.5) if image is None else image
    truth = torch.zeros(1, 20, 20)
    truth[:, :, :10] = SKIN
    return apply_captures(image.clone(), truth, [capture], skin)


def test_by_default_nothing_changes() -> None:
    image = torch.rand(1, 3, 20, 20)
    assert torch.equal(captured(Capture(), image), image)


def test_skin_is_darkened_and_nothing_else() -> None:
    found = captured(Capture(skin=0.4))
    assert found[0, :, 10, 4].tolist() == pytest.approx([0.2] * 3)
    assert found[0, :, 10, 15].tolist() == pytest.approx([0.5] * 3)
    edge = found[0, 0, 10, 8:12].tolist()
    assert edge == sorted(edge) and len(set(edge)) == 4, "the border is soft"
    assert torch.equal(captured(Capture(skin=0.4), skin=None), torch.full((1, 3, 20, 20), 0.5))


def test_light_and_its_colour() -> None:
    found = captured(Capture(light=0.5, warmth=1.25))
    assert found[0, :, 3, 3].tolist() == pytest.approx([0.3125, 0.25, 0.2])


def test_blur_spreads_a_point_and_keeps_its_sum() -> None:
    image = torch.zeros(1, 3, 20, 20)
    image[..., 10, 10] = 1
    found = captured(Capture(sigma=1.5), image)[0, 0]
    assert found.sum().item() == pytest.approx(1, abs=1e-5)
    assert found[10, 10] < 0.1 and found[10, 7].item() == pytest.approx(found[7, 10].item(), abs=1e-6)
    rows = (torch.arange(20) - 10.0) ** 2
    assert (found.sum(dim=1) * rows).sum().item() == pytest.approx(1.5**2, rel=0.1), "the variance is sigma squared"
    assert captured(Capture(sigma=3.0)).allclose(torch.tensor(0.5)), "the edges stay what they are"


def test_low_resolution_takes_detail_away_and_keeps_the_mean() -> None:
    image = torch.zeros(1, 3, 20, 20)
    image[..., ::2] = 1
    found = captured(Capture(resolution=0.25), image)
    assert found.shape == image.shape
    assert found.std() < 0.15 and found.mean().item() == pytest.approx(0.5, abs=0.05)


def test_noise_is_that_of_its_seed() -> None:
    found = captured(Capture(noise=(3, 0.1)))
    assert found.std().item() == pytest.approx(0.1, rel=0.1)
    assert torch.equal(found, captured(Capture(noise=(3, 0.1))))
    assert not torch.equal(found, captured(Capture(noise=(4, 0.1))))


def test_each_crop_has_its_own() -> None:
    images = torch.full((2, 3, 20, 20), 0.5)
    found = apply_captures(images, torch.zeros(2, 20, 20), [Capture(), Capture(light=0.5)], SKIN)
    assert found[0].unique().tolist() == [0.5] and found[1].unique().tolist() == [0.25]


def test_jpeg_leaves_its_blocks() -> None:
    photo = np.random.default_rng(0).integers(0, 255, (64, 48, 3), np.uint8)
    assert compressed(photo, 0) is photo
    found = compressed(photo, 10)
    assert found.shape == photo.shape and found.dtype == np.uint8
    assert 20 < np.abs(found.astype(int) - photo).mean() < 80
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 200
    assert np.abs(compressed(red, 90).astype(int) - red).max() < 6, "the order of the channels stays"


def test_a_recipe_that_asks_for_nothing_draws_nothing(tiny: MakeRecipe) -> None:
    random, untouched = np.random.default_rng(0), np.random.default_rng(0)
    assert random_capture(tiny(noise=0.0), random) == Capture()
    assert random.random() == untouched.random()


@pytest.mark.parametrize(
    ("key", "attribute"),
    [
        ("skin_tone", "skin"),
        ("low_light", "light"),
        ("blur", "sigma"),
        ("low_resolution", "resolution"),
        ("jpeg", "quality"),
    ],
)
def test_each_key_of_the_recipe_switches_one_thing(tiny: MakeRecipe, key: str, attribute: str) -> None:
    recipe = tiny(noise=0.0, **{key: 0.5})
    random = np.random.default_rng(0)
    drawn = [random_capture(recipe, random)._replace(noise=None) for _ in range(200)]
    changed = [capture for capture in drawn if capture != Capture()]
    assert 70 < len(changed) < 130, "a half"
    assert all(capture._replace(**{attribute: getattr(Capture(), attribute)}) == Capture() for capture in changed)


def test_warmth_is_around_one(tiny: MakeRecipe) -> None:
    random = np.random.default_rng(0)
    drawn = [random_capture(tiny(warmth=0.2), random).warmth for _ in range(200)]
    assert 0.81 < min(drawn) < 0.9 < 1.1 < max(drawn) < 1.23
