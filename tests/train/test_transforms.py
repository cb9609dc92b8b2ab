from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision import tv_tensors

from segmodels.datasets import Dataset
from segmodels.taxonomy import OUTFIT_15, UNLABELLED
from train.cache import Cache, open_cache
from train.processes import Processes
from train.recipe import Recipe
from train.transforms import RareClassSampler, TrainingCrops, ValidationCrops, augmentation

MakeRecipe = Callable[..., Recipe]
SHOWN = {0, *(OUTFIT_15[name].id for name in ("Hair", "Shirt", "Pants", "Footwear", "Scarf/Tie"))}
STILL = {
    "jitter": 0.0,
    "stretch": 0.0,
    "rotation": 0.0,
    "colour_jitter": 0.0,
    "saturation_jitter": 0.0,
    "noise": 0.0,
    "whole_photo": 0.0,
}


@pytest.fixture
def cache(dataset: Dataset, tmp_path: Path) -> Cache:
    return open_cache(dataset, dataset.ids, 64, folder=tmp_path)


def cache_of(*truths: np.ndarray) -> Cache:
    """A cache in memory; a photo's red is 10 times the class."""
    photos = [np.repeat(truth[..., None] * 10, 3, axis=2).astype(np.uint8) for truth in truths]
    return Cache(
        ids=tuple(map(str, range(len(truths)))),
        shapes=tuple((truth.shape[0], truth.shape[1]) for truth in truths),
        photos=np.concatenate([photo.reshape(-1, 3) for photo in photos]),
        truths=np.concatenate([truth.ravel() for truth in truths]),
        rejected={},
        background_only=(),
    )


@pytest.mark.parametrize("size", [(64, 32), (48, 48), (33, 61)])
def test_items_have_the_recipes_size(cache: Cache, tiny: MakeRecipe, size: tuple[int, int]) -> None:
    recipe = tiny(height=size[0], width=size[1])
    for crops in (TrainingCrops(cache, recipe), ValidationCrops(cache, recipe)):
        assert len(crops) == len(cache) == 8
        torch.manual_seed(0)
        photo, truth = crops[3]
        assert type(photo) is type(truth) is torch.Tensor, "no tv_tensors beyond this border"
        assert photo.shape == (3, *size) and photo.dtype == torch.float32
        assert truth.shape == size and truth.dtype == torch.int64


def test_ids_are_never_mixed(cache: Cache, tiny: MakeRecipe) -> None:
    crops = TrainingCrops(cache, tiny(rotation=30.0, jitter=0.3))
    torch.manual_seed(0)
    seen = {int(value) for index in list(range(8)) * 10 for value in crops[index][1].unique()}
    assert seen == SHOWN | {UNLABELLED}


def test_outside_the_photo_is_unlabelled_and_grey(tiny: MakeRecipe) -> None:
    cache = cache_of(np.full((40, 40), 9, np.uint8))  # all of the photo is a person
    photo, truth = ValidationCrops(cache, tiny(margin=0.25))[0]  # 64 x 32 for 60 x 60 and what the shape adds
    outside = truth == UNLABELLED
    assert outside[0].all() and outside[-1].all() and outside[:, 0].all() and outside[:, -1].all()
    assert set(truth.unique().tolist()) == {9, UNLABELLED}
    assert photo[:, outside].unique().tolist() == pytest.approx([127 / 127.5 - 1], abs=1e-6)
    torch.manual_seed(0)
    _, truth = TrainingCrops(cache, tiny(margin=0.25))[0]
    assert set(truth.unique().tolist()) == {9, UNLABELLED}


def test_photo_and_truth_move_together(tiny: MakeRecipe) -> None:
    truth = np.zeros((60, 40), np.uint8)
    truth[10:50, 5:18] = 10  # 100 in the photo; what is added around it is 127
    crops = TrainingCrops(cache_of(truth), tiny(colour_jitter=0.0, noise=0.0, rotation=20.0, jitter=0.2))
    torch.manual_seed(0)
    for _ in range(30):
        photo, marked = crops[0]
        value = (photo[0] + 1) * 127.5
        shown = (value < 101) & (marked != UNLABELLED)
        fits = ((value > 50) == (marked == 10))[shown]
        assert shown.float().mean() > 0.1 and fits.float().mean() > 0.85


def test_values_are_normalised(tiny: MakeRecipe) -> None:
    cache = cache_of(np.full((64, 32), 10, np.uint8))
    photo, _ = ValidationCrops(cache, tiny(margin=0.0, mean=0.25, std=0.5))[0]
    torch.testing.assert_close(photo, torch.full((3, 64, 32), (100 / 255 - 0.25) / 0.5))
    torch.manual_seed(0)
    photo, _ = TrainingCrops(cache, tiny(margin=0.0, mean=0.25, std=0.5, **STILL))[0]
    torch.testing.assert_close(photo, torch.full((3, 64, 32), (100 / 255 - 0.25) / 0.5), atol=2e-3, rtol=0)


def test_validation_crops_are_about_the_person_and_the_same_each_time(cache: Cache, tiny: MakeRecipe) -> None:
    crops = ValidationCrops(cache, tiny(margin=0.0))
    photo, truth = crops[0]
    again = crops[0]
    assert torch.equal(photo, again[0]) and torch.equal(truth, again[1])
    found = (truth > 0) & (truth != UNLABELLED)
    rows, columns = torch.nonzero(found.any(dim=1)), torch.nonzero(found.any(dim=0))
    height, width = int(rows.max() - rows.min() + 1), int(columns.max() - columns.min() + 1)
    assert height == 64 or width == 32, "the person touches the frame on one axis"


def test_squashed_crops_have_no_rim_whatever_their_shape(cache: Cache, tiny: MakeRecipe) -> None:
    for size in ((64, 32), (32, 64), (48, 48)):
        recipe = tiny(height=size[0], width=size[1], resize="squash", margin=0.0, **STILL)
        for crops in (ValidationCrops(cache, recipe), TrainingCrops(cache, recipe)):
            photo, truth = crops[0]
            assert photo.shape == (3, *size) and (truth != UNLABELLED).all()
            found = truth > 0
            assert found[:, found.any(dim=0)].any(dim=1).all(), "a person on each row: the box fills the crop"


def test_without_a_crop_the_whole_photo_is_shown(cache: Cache, tiny: MakeRecipe) -> None:
    recipe = tiny(height=72, width=48, resize="squash", crop="none", margin=0.0, flip=False, **STILL)
    _, whole = cache.pair(0)
    height, width = whole.shape
    for crops in (ValidationCrops(cache, recipe), TrainingCrops(cache, recipe)):
        _, truth = crops[0]
        rows, columns = np.arange(72) * height // 72, np.arange(48) * width // 48
        assert (truth.numpy() == whole[np.ix_(rows, columns)]).mean() > 0.97


def test_a_recipe_may_do_without_flips_and_grey(tiny: MakeRecipe) -> None:
    ramp = (
        torch.arange(32, dtype=torch.uint8).expand(3, 64, 32)
        * torch.tensor([1, 2, 3], dtype=torch.uint8)[:, None, None]
    )
    recipe = tiny(flip=False, grey=0.0, mean=0.0, std=1.0, **STILL)
    augment = augmentation(recipe)
    for seed in range(20):
        torch.manual_seed(seed)
        photo, _ = augment(tv_tensors.Image(ramp), tv_tensors.Mask(torch.zeros(64, 32, dtype=torch.uint8)))
        torch.testing.assert_close(photo.as_subclass(torch.Tensor), ramp / 255)


def test_a_photo_without_a_person_is_shown_whole(tiny: MakeRecipe) -> None:
    cache = cache_of(np.zeros((64, 32), np.uint8))
    _, truth = ValidationCrops(cache, tiny(margin=0.0))[0]
    assert (truth == 0).all()
    torch.manual_seed(0)
    _, truth = TrainingCrops(cache, tiny())[0]
    assert set(truth.unique().tolist()) <= {0, UNLABELLED}


def test_the_same_seed_gives_the_same_crop_and_another_another(cache: Cache, tiny: MakeRecipe) -> None:
    crops = TrainingCrops(cache, tiny())
    items = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        items.append(crops[0])
    assert torch.equal(items[0][0], items[1][0]) and torch.equal(items[0][1], items[1][1])
    assert not torch.equal(items[0][0], items[2][0])


def test_the_cache_is_left_as_it_was(cache: Cache, tiny: MakeRecipe) -> None:
    before = cache.photos.copy(), cache.truths.copy()
    crops = TrainingCrops(cache, tiny())
    for index in range(len(crops)):
        _ = crops[index]
    assert (cache.photos == before[0]).all() and (cache.truths == before[1]).all()


def test_augmentation_flips_half_of_the_photos(tiny: MakeRecipe) -> None:
    augment = augmentation(tiny(**STILL))
    image, mask = torch.zeros(3, 8, 8, dtype=torch.uint8), torch.zeros(8, 8, dtype=torch.uint8)
    image[:, :, :4], mask[:, :4] = 255, 1
    torch.manual_seed(0)
    flipped = 0
    for _ in range(100):
        moved, marked = augment(tv_tensors.Image(image), tv_tensors.Mask(mask))
        bright = moved[0] > 0
        assert torch.equal(bright, marked == 1)
        flipped += not bool(marked[0, 0])
    assert 30 < flipped < 70


def test_the_sampler_repeats_an_epoch_and_no_two_are_alike(cache: Cache) -> None:
    sampler = RareClassSampler(cache, 15, 3, Processes())
    assert len(sampler) == 8
    orders = []
    for epoch in (0, 1, 0):
        sampler.set_epoch(epoch)
        orders.append(list(sampler))
    assert all(len(order) == 8 and set(order) <= set(range(8)) for order in orders)
    assert orders[0] == orders[2] != orders[1]
    again = RareClassSampler(cache, 15, 3, Processes())
    again.set_epoch(1)
    assert list(again) == orders[1], "whatever was drawn before"
    other = RareClassSampler(cache, 15, 4, Processes())
    assert list(other) != orders[0]


def test_processes_take_turns_in_what_the_sampler_draws(cache: Cache) -> None:
    alone = list(RareClassSampler(cache, 15, 3, Processes()))
    first, second = (list(RareClassSampler(cache, 15, 3, Processes(rank, 2))) for rank in (0, 1))
    assert len(first) == len(second) == 4
    assert [photo for pair in zip(first, second, strict=True) for photo in pair] == alone
    assert [len(RareClassSampler(cache, 15, 3, Processes(rank, 3))) for rank in range(3)] == [2, 2, 2]


def test_the_sampler_weighs_by_the_rarest_class(cache: Cache) -> None:
    weights = RareClassSampler(cache, 15, 0, Processes()).weights
    torch.testing.assert_close(weights, torch.tensor([1 / 8**0.5] * 7 + [1.0], dtype=torch.float64))


def test_the_sampler_prefers_what_is_rare(cache: Cache) -> None:
    sampler = RareClassSampler(cache, 15, 0, Processes())
    drawn = []
    for epoch in range(200):
        sampler.set_epoch(epoch)
        drawn += list(sampler)
    counts = np.bincount(drawn, minlength=8)
    assert counts.min() > 0, "none is never shown"
    expected = 1 / (1 + 7 / 8**0.5)
    assert counts[7] / len(drawn) == pytest.approx(expected, rel=0.15)


def test_a_garment_is_pasted_where_it_was_on_its_wearers_body(tiny: MakeRecipe) -> None:
    hat, shirt = OUTFIT_15["Hat"].id, OUTFIT_15["Shirt"].id
    plain, with_hat = np.zeros((64, 32), np.uint8), np.zeros((96, 96), np.uint8)
    plain[8:56, 8:24] = shirt
    with_hat[24:72, 40:56] = shirt  # as large as the other, elsewhere
    with_hat[24:32, 40:56] = hat
    recipe = tiny(height=64, width=32, margin=0.0, paste=1.0, sampling="uniform", **STILL)

    torch.manual_seed(0)
    _, truth = TrainingCrops(cache_of(plain, with_hat), recipe, [hat])[0]
    _, untouched = TrainingCrops(cache_of(plain, with_hat), recipe, [])[0]

    assert not (untouched == hat).any()
    pasted = np.argwhere((truth == hat).numpy())
    person = np.argwhere(((truth != 0) & (truth != UNLABELLED)).numpy())
    assert pasted[:, 0].min() == person[:, 0].min(), "at the top of the person"
    assert np.isclose(len(pasted) / len(person), 8 / 48, atol=0.03)


def test_a_rectangle_shows_the_same_part_of_another_persons_body(tiny: MakeRecipe) -> None:
    shirt, pants = OUTFIT_15["Shirt"].id, OUTFIT_15["Pants"].id
    plain, other = np.zeros((64, 32), np.uint8), np.zeros((96, 96), np.uint8)
    plain[8:56, 8:24] = shirt
    other[24:48, 40:56], other[48:72, 40:56] = shirt, pants  # as large, elsewhere
    recipe = tiny(height=64, width=32, margin=0.0, mix=1.0, sampling="uniform", flip=False, **STILL)
    crops = TrainingCrops(cache_of(plain, other), recipe)

    torch.manual_seed(0)
    pants_seen = [np.argwhere((crops[0][1] == pants).numpy()) for _ in range(30)]
    person = np.argwhere((TrainingCrops(cache_of(plain, other), replace(recipe, mix=0.0))[0][1] == shirt).numpy())
    (top, left), (bottom, right) = person.min(axis=0), person.max(axis=0)

    shown = [places for places in pants_seen if len(places)]
    assert 5 < len(shown) < 30, "the other person's, or, as often, the same one's"
    for places in shown:
        first, last = places.min(axis=0), places.max(axis=0)
        assert len(places) == np.prod(last - first + 1), "a rectangle"
        assert first[0] >= (top + bottom) / 2 and left <= first[1] and last[1] <= right, "where their legs are"
        assert (last - first + 1 <= np.array([0.8 * 64, 0.8 * 32]) + 1).all()
    assert len({tuple(places[0]) for places in shown}) > 3, "anywhere"


def test_a_class_that_no_photo_shows_is_never_pasted(tiny: MakeRecipe) -> None:
    plain = np.zeros((64, 32), np.uint8)
    plain[8:56, 8:24] = OUTFIT_15["Shirt"].id
    crops = TrainingCrops(cache_of(plain), tiny(paste=1.0), [OUTFIT_15["Hat"].id])
    assert crops.donors == [] and not (crops[0][1] == OUTFIT_15["Hat"].id).any()
