from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from made_cache import STILL, cache_of, standing

from segmodels.datasets import Dataset
from segmodels.inference.boxes import Box
from segmodels.taxonomy import OUTFIT_15, UNLABELLED
from train.data.cache import Cache, open_cache
from train.distributed import Processes
from train.recipe import Recipe
from train.segmentation.crops import TrainingCrops, ValidationCrops
from train.segmentation.cutting import cut_crops, join_plans
from train.segmentation.sampling import Draw, EpochSampler, rarity_weights

MakeRecipe = Callable[..., Recipe]
SHOWN = {0, *(OUTFIT_15[name].id for name in ("Hair", "Shirt", "Pants", "Footwear", "Scarf/Tie"))}


@pytest.fixture
def cache(dataset: Dataset, tmp_path: Path) -> Cache:
    return open_cache(dataset, dataset.ids, 64, folder=tmp_path)


def crop(crops: TrainingCrops | ValidationCrops, photo: int, place: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """A crop of a photo as a step sees it; of a training crop the one at that place of the first epoch."""
    plan = crops[Draw(photo, 0, place)] if isinstance(crops, TrainingCrops) else crops[photo]
    photos, truths = cut_crops(join_plans([plan]), crops.recipe)
    return photos[0], truths[0]


@pytest.mark.parametrize("size", [(64, 32), (48, 48), (33, 61)])
def test_items_have_the_recipes_size(cache: Cache, tiny: MakeRecipe, size: tuple[int, int]) -> None:
    recipe = tiny(height=size[0], width=size[1])
    for crops in (TrainingCrops(cache, recipe), ValidationCrops(cache, recipe)):
        assert len(crops) == len(cache) == 8
        photo, truth = crop(crops, 3)
        assert photo.shape == (3, *size) and photo.dtype == torch.float32
        assert truth.shape == size and truth.dtype == torch.int64


def test_ids_are_never_mixed(cache: Cache, tiny: MakeRecipe) -> None:
    crops = TrainingCrops(cache, tiny(rotation=30.0, jitter=0.3))
    seen = {int(value) for place in range(80) for value in crop(crops, place % 8, place)[1].unique()}
    assert seen == SHOWN | {UNLABELLED}


def test_outside_the_photo_is_unlabelled_and_grey(tiny: MakeRecipe) -> None:
    cache = cache_of(np.full((40, 40), 9, np.uint8))  # all of the photo is a person
    photo, truth = crop(ValidationCrops(cache, tiny(margin=0.25)), 0)  # 64 x 32 for 60 x 60 and what the shape adds
    outside = truth == UNLABELLED
    assert outside[0].all() and outside[-1].all() and outside[:, 0].all() and outside[:, -1].all()
    assert set(truth.unique().tolist()) == {9, UNLABELLED}
    assert photo[:, outside].unique().tolist() == pytest.approx([127 / 127.5 - 1], abs=1e-6)
    _, truth = crop(TrainingCrops(cache, tiny(margin=0.25)), 0)
    assert set(truth.unique().tolist()) == {9, UNLABELLED}


def test_photo_and_truth_move_together(tiny: MakeRecipe) -> None:
    truth = np.zeros((60, 40), np.uint8)
    truth[10:50, 5:18] = 10  # 100 in the photo; what is added around it is 127
    crops = TrainingCrops(cache_of(truth), tiny(colour_jitter=0.0, noise=0.0, rotation=20.0, jitter=0.2))
    for place in range(30):
        photo, marked = crop(crops, 0, place)
        value = (photo[0] + 1) * 127.5
        shown = (value < 101) & (marked != UNLABELLED)
        fits = ((value > 50) == (marked == 10))[shown]
        assert shown.float().mean() > 0.1 and fits.float().mean() > 0.85


def test_values_are_normalised(tiny: MakeRecipe) -> None:
    cache = cache_of(np.full((64, 32), 10, np.uint8))
    photo, _ = crop(ValidationCrops(cache, tiny(margin=0.0, mean=0.25, std=0.5)), 0)
    torch.testing.assert_close(photo, torch.full((3, 64, 32), (100 / 255 - 0.25) / 0.5))
    photo, _ = crop(TrainingCrops(cache, tiny(margin=0.0, mean=0.25, std=0.5, **STILL)), 0)
    torch.testing.assert_close(photo, torch.full((3, 64, 32), (100 / 255 - 0.25) / 0.5), atol=2e-3, rtol=0)


def test_validation_crops_are_about_the_person_and_the_same_each_time(cache: Cache, tiny: MakeRecipe) -> None:
    crops = ValidationCrops(cache, tiny(margin=0.0))
    photo, truth = crop(crops, 0)
    again = crop(crops, 0)
    assert torch.equal(photo, again[0]) and torch.equal(truth, again[1])
    found = (truth > 0) & (truth != UNLABELLED)
    rows, columns = torch.nonzero(found.any(dim=1)), torch.nonzero(found.any(dim=0))
    height, width = int(rows.max() - rows.min() + 1), int(columns.max() - columns.min() + 1)
    assert height == 64 or width == 32, "the person touches the frame on one axis"


def test_squashed_crops_have_no_rim_whatever_their_shape(cache: Cache, tiny: MakeRecipe) -> None:
    for size in ((64, 32), (32, 64), (48, 48)):
        recipe = tiny(height=size[0], width=size[1], resize="squash", margin=0.0, **STILL)
        for crops in (ValidationCrops(cache, recipe), TrainingCrops(cache, recipe)):
            photo, truth = crop(crops, 0)
            assert photo.shape == (3, *size) and (truth != UNLABELLED).all()
            found = truth > 0
            assert found[:, found.any(dim=0)].any(dim=1).all(), "a person on each row: the box fills the crop"


def test_without_a_crop_the_whole_photo_is_shown(cache: Cache, tiny: MakeRecipe) -> None:
    recipe = tiny(height=72, width=48, resize="squash", crop="none", margin=0.0, flip=False, **STILL)
    _, whole = cache.pair(0)
    height, width = whole.shape
    for crops in (ValidationCrops(cache, recipe), TrainingCrops(cache, recipe)):
        _, truth = crop(crops, 0)
        rows, columns = np.arange(72) * height // 72, np.arange(48) * width // 48
        assert (truth.numpy() == whole[np.ix_(rows, columns)]).mean() > 0.97


def test_a_recipe_may_do_without_flips_and_grey(tiny: MakeRecipe) -> None:
    ramp = np.arange(32, dtype=np.uint8) * np.ones((64, 1), np.uint8)
    cache = replace(
        cache_of(np.full((64, 32), 9, np.uint8)), photos=np.stack([ramp, 2 * ramp, 3 * ramp], -1).reshape(-1, 3)
    )
    crops = TrainingCrops(cache, tiny(flip=False, grey=0.0, mean=0.0, std=1.0, margin=0.0, **STILL))
    for place in range(20):
        photo, _ = crop(crops, 0, place)
        expected = torch.from_numpy(np.stack([ramp, 2 * ramp, 3 * ramp]) / 255).float()
        torch.testing.assert_close(photo.contiguous(), expected, atol=1e-4, rtol=0)


def test_a_photo_without_a_person_is_shown_whole(tiny: MakeRecipe) -> None:
    cache = cache_of(np.zeros((64, 32), np.uint8))
    _, truth = crop(ValidationCrops(cache, tiny(margin=0.0)), 0)
    assert (truth == 0).all()
    _, truth = crop(TrainingCrops(cache, tiny()), 0)
    assert set(truth.unique().tolist()) <= {0, UNLABELLED}


def test_what_is_random_depends_on_seed_epoch_place_and_photo_alone(cache: Cache, tiny: MakeRecipe) -> None:
    def seen(seed: int, draw: Draw) -> torch.Tensor:
        recipe = tiny(seed=seed, paste=0.5, mix=0.5)
        crops = TrainingCrops(cache, recipe, [OUTFIT_15["Scarf/Tie"].id])
        return cut_crops(join_plans([crops[draw]]), recipe)[0]

    first = seen(0, Draw(2, 0, 5))
    torch.manual_seed(99)
    np.random.seed(99)
    assert torch.equal(seen(0, Draw(2, 0, 5)), first)
    for other in (seen(1, Draw(2, 0, 5)), seen(0, Draw(2, 1, 5)), seen(0, Draw(2, 0, 6)), seen(0, Draw(3, 0, 5))):
        assert not torch.equal(other, first)


def test_a_crop_is_the_same_in_any_batch(cache: Cache, tiny: MakeRecipe) -> None:
    recipe = tiny(paste=0.5, mix=0.5)
    crops = TrainingCrops(cache, recipe, [OUTFIT_15["Scarf/Tie"].id])
    plans = [crops[Draw(photo, 0, photo)] for photo in range(8)]
    assert any(plan.pasted for plan in plans) and any(plan.mixed for plan in plans)
    together = cut_crops(join_plans(plans), recipe)
    for place, plan in enumerate(plans):
        alone = cut_crops(join_plans([plan]), recipe)
        torch.testing.assert_close(alone[0][0], together[0][place])
        assert torch.equal(alone[1][0], together[1][place])


def test_a_photo_that_shrinks_is_averaged(tiny: MakeRecipe) -> None:
    """Each fourth column is white: sampled at single pixels it would be all white or all black."""
    truth = np.full((256, 128), 9, np.uint8)
    stripes = np.where(np.arange(128) % 4 == 0, 255, 0).astype(np.uint8) * np.ones((256, 1), np.uint8)
    cache = replace(cache_of(truth), photos=np.repeat(stripes.reshape(-1, 1), 3, axis=1))
    photo, _ = crop(ValidationCrops(cache, tiny(margin=0.0, mean=0.0, std=1.0)), 0)
    torch.testing.assert_close(photo, torch.full_like(photo, 0.25), atol=0.01, rtol=0)


def test_colours_are_those_of_torchvision(tiny: MakeRecipe) -> None:
    from torchvision.transforms.v2 import functional as v2

    from train.segmentation.crops import CropPlan, _random_colour

    truth = np.full((64, 32), 9, np.uint8)
    pixels = np.random.default_rng(0).integers(60, 190, (64 * 32, 3), np.uint8)
    recipe = tiny(margin=0.0, mean=0.0, std=1.0, saturation_jitter=0.0, colour_jitter=0.2)
    cache = replace(cache_of(truth), photos=pixels)
    view = ValidationCrops(cache, recipe)[0].view
    plain = cut_crops(join_plans([CropPlan(view)]), recipe)[0][0]
    changed = 0
    for seed in range(10):
        colour, lift = _random_colour(recipe, np.random.default_rng(seed))
        random = np.random.default_rng(seed)
        if random.random() >= 0.8 or np.allclose(colour[0], colour[1]):
            continue
        bright, contrast = 1 + 0.2 * random.uniform(-1, 1, 2)
        expected = v2.adjust_contrast(v2.adjust_brightness(plain, bright), contrast)
        found = cut_crops(join_plans([CropPlan(view, colour=colour, lift=lift)]), recipe)[0][0]
        torch.testing.assert_close(found.contiguous(), expected.contiguous(), atol=0.01, rtol=0)
        changed += 1
    assert changed > 4


def test_the_cache_is_left_as_it_was(cache: Cache, tiny: MakeRecipe) -> None:
    before = cache.photos.copy(), cache.truths.copy()
    crops = TrainingCrops(cache, tiny())
    for index in range(len(crops)):
        _ = crop(crops, index)
    assert (cache.photos == before[0]).all() and (cache.truths == before[1]).all()


def test_half_of_the_crops_are_mirrored(tiny: MakeRecipe) -> None:
    truth = np.full((64, 32), 9, np.uint8)
    truth[:, :16] = 10
    crops = TrainingCrops(cache_of(truth), tiny(margin=0.0, **STILL))
    flipped = 0
    for place in range(100):
        photo, marked = crop(crops, 0, place)
        assert torch.equal(photo[0] > 95 / 127.5 - 1, marked == 10)
        flipped += int(marked[0, 0]) == 9
    assert 30 < flipped < 70


def sampler(cache: Cache, seed: int, processes: Processes = Processes(), step: int = 1) -> EpochSampler:  # noqa: B008
    return EpochSampler(len(cache), step, seed, processes, rarity_weights(cache, 15))


def photos_of(sampler: EpochSampler) -> list[int]:
    return [draw.photo for draw in sampler]


def test_the_sampler_repeats_an_epoch_and_no_two_are_alike(cache: Cache) -> None:
    mine = sampler(cache, 3)
    assert len(mine) == 8
    orders = []
    for epoch in (0, 1, 0):
        mine.set_epoch(epoch)
        orders.append(photos_of(mine))
        assert [(draw.epoch, draw.place) for draw in mine] == [(epoch, place) for place in range(8)]
    assert all(len(order) == 8 and set(order) <= set(range(8)) for order in orders)
    assert orders[0] == orders[2] != orders[1]
    again = sampler(cache, 3)
    again.set_epoch(1)
    assert photos_of(again) == orders[1], "whatever was drawn before"
    assert photos_of(sampler(cache, 4)) != orders[0]


def test_without_weights_each_photo_comes_once() -> None:
    assert sorted(photos_of(EpochSampler(8, 3, 0, Processes()))) != list(range(8)), "two whole steps of three"
    assert sorted(photos_of(EpochSampler(8, 4, 0, Processes()))) == list(range(8))
    assert len(EpochSampler(8, 3, 0, Processes())) == 6
    assert sorted(photos_of(EpochSampler(2, 3, 0, Processes()))) == [0, 1], "fewer than a step"


def test_processes_take_turns_in_what_the_sampler_draws(cache: Cache) -> None:
    alone = list(sampler(cache, 3))
    first, second = (list(sampler(cache, 3, Processes(rank, 2))) for rank in (0, 1))
    assert len(first) == len(second) == 4
    assert [draw for pair in zip(first, second, strict=True) for draw in pair] == alone
    assert [len(sampler(cache, 3, Processes(rank, 3), step=3)) for rank in range(3)] == [2, 2, 2]


def test_photos_weigh_by_the_rarest_class(cache: Cache) -> None:
    np.testing.assert_allclose(rarity_weights(cache, 15), [1 / 8**0.5] * 7 + [1.0])


def test_the_sampler_prefers_what_is_rare(cache: Cache) -> None:
    mine = sampler(cache, 0)
    drawn = []
    for epoch in range(200):
        mine.set_epoch(epoch)
        drawn += photos_of(mine)
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

    _, truth = crop(TrainingCrops(cache_of(plain, with_hat), recipe, [hat]), 0)
    _, untouched = crop(TrainingCrops(cache_of(plain, with_hat), recipe, []), 0)

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

    pants_seen = [np.argwhere((crop(crops, 0, place)[1] == pants).numpy()) for place in range(30)]
    unmixed = TrainingCrops(cache_of(plain, other), replace(recipe, mix=0.0))
    person = np.argwhere((crop(unmixed, 0)[1] == shirt).numpy())
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
    assert crops.donors == [] and not (crop(crops, 0)[1] == OUTFIT_15["Hat"].id).any()


# --- The person as the detector finds it ------------------------------------------------------------------------------


def half_labelled() -> Cache:
    """A photo of 120 x 60 of whose person, in columns 20 to 40, only the shoes are labelled."""
    truth = standing()
    truth[:100] = 0
    return replace(cache_of(truth), people=((Box(20, 10, 20, 100),),))


def test_a_crop_about_the_detectors_person_shows_what_is_not_labelled(tiny: MakeRecipe) -> None:
    recipe = tiny(height=100, width=20, margin=0.0, flip=False, **STILL)
    cache = half_labelled()
    shoes = OUTFIT_15["Footwear"].id
    for crops in (ValidationCrops(cache, recipe), TrainingCrops(cache, recipe)):
        truth = crop(crops, 0)[1]
        assert (truth[90:] == shoes).all() and not truth[:90].any(), "all 100 rows of the person, ten of them labelled"
    _, truth = crop(ValidationCrops(replace(cache, people=None), recipe), 0)
    assert (truth == shoes).float().mean() == pytest.approx(0.1) and (truth[45:55] == shoes).any(), "about the shoes"


def test_of_several_people_any_may_be_trained_on_and_the_nearest_judges(tiny: MakeRecipe) -> None:
    truth = np.zeros((40, 80), np.uint8)
    truth[:, :20], truth[:, 60:] = 2, 3
    cache = replace(cache_of(truth), people=((Box(0, 0, 20, 40), Box(60, 0, 20, 40)),))
    recipe = tiny(height=40, width=20, margin=0.0, **STILL)
    assert crop(ValidationCrops(cache, recipe), 0)[1].unique().tolist() == [3]
    crops = TrainingCrops(cache, recipe)
    seen = [crop(crops, 0, place)[1].unique().tolist() for place in range(40)]
    assert all(ids in ([2], [3]) for ids in seen) and 10 < seen.count([2]) < 30


def test_parts_of_the_detectors_person_stay_in_the_part_of_the_photo(tiny: MakeRecipe) -> None:
    crops = TrainingCrops(half_labelled(), tiny(framing=1.0, resize="squash", margin=0.0, **STILL))
    shares = [float((crop(crops, 0, place)[1] == UNLABELLED).float().mean()) for place in range(40)]
    assert max(shares) < 0.05, "nothing of a crop lies beyond the part"


# --- Parts of a person, and garments without one ----------------------------------------------------------------------


def test_a_part_of_the_person_is_cut_as_if_the_photo_ended_there(tiny: MakeRecipe) -> None:
    recipe = tiny(framing=1.0, resize="squash", margin=0.0, **STILL)
    crops = TrainingCrops(cache_of(standing()), recipe)
    shown = [set(crop(crops, 0, place)[1].unique().tolist()) - {0, UNLABELLED} for place in range(120)]
    assert all(len(names) < 7 for names in shown), "never the whole person"
    head, feet = OUTFIT_15["Hair"].id, OUTFIT_15["Footwear"].id
    with_head, with_feet = (sum(id_ in names for names in shown) for id_ in (head, feet))
    assert with_head > 30 and with_feet > 30 and sum(not names & {head, feet} for names in shown) > 15
    whole = TrainingCrops(cache_of(standing()), tiny(resize="squash", margin=0.0, **STILL))
    seen = [set(crop(whole, 0, place)[1].unique().tolist()) - {0, UNLABELLED} for place in range(20)]
    assert all(len(names) == 7 for names in seen), "and without framing always all"


def test_beyond_the_part_there_is_nothing_to_see(tiny: MakeRecipe) -> None:
    """What the virtual photo does not show must not be in the crop's margin either."""
    crops = TrainingCrops(cache_of(standing()), tiny(framing=1.0, resize="squash", margin=0.2, **STILL))
    for place in range(40):
        photo, truth = crop(crops, 0, place)
        near = torch.nn.functional.max_pool2d((truth != UNLABELLED).float()[None], 5, stride=1, padding=2)[0] > 0
        assert torch.allclose(photo[:, ~near], torch.tensor(127 / 127.5 - 1), atol=1e-3)


def test_a_flat_lay_is_shown_whole_and_on_its_side_now_and_then(tiny: MakeRecipe) -> None:
    lying = np.zeros((80, 80), np.uint8)
    lying[4:76, 20:60] = OUTFIT_15["Pants"].id
    changes = {**STILL, "whole_photo": 1.0, "framing": 1.0, "paste": 1.0, "mix": 1.0}
    recipe = tiny(height=64, width=64, resize="squash", margin=0.0, flip=False, **changes)
    crops = TrainingCrops(cache_of(standing(), lying), recipe, [OUTFIT_15["Hair"].id], flatlays=[1])
    tall = wide = 0
    for place in range(60):
        found = crop(crops, 1, place)[1] == OUTFIT_15["Pants"].id
        assert set(crop(crops, 1, place)[1].unique().tolist()) <= {0, OUTFIT_15["Pants"].id, UNLABELLED}, (
            "nothing pasted"
        )
        rows, columns = int(found.any(dim=1).sum()), int(found.any(dim=0).sum())
        tall, wide = tall + (rows > columns), wide + (columns > rows)
    assert wide > 8 and tall > 25


def test_flat_lays_are_no_donors(tiny: MakeRecipe) -> None:
    hat = np.full((60, 40), OUTFIT_15["Hat"].id, np.uint8)
    crops = TrainingCrops(cache_of(standing(), hat), tiny(paste=1.0, mix=1.0), [OUTFIT_15["Hat"].id], flatlays=[1])
    assert crops.donors == []
    assert all(OUTFIT_15["Hat"].id not in crop(crops, 0, place)[1] for place in range(30))


def test_flat_lays_are_drawn_by_their_share_and_each_class_equally(tiny: MakeRecipe) -> None:
    people = [standing() for _ in range(6)]
    lying = [np.full((20, 20), OUTFIT_15[name].id, np.uint8) for name in ("Shirt", "Shirt", "Shirt", "Hat")]
    for truth in lying:
        truth[:5] = 0
    weights = rarity_weights(cache_of(*people, *lying), 15, range(6, 10), 0.25)
    assert weights.sum() == pytest.approx(1) and weights[6:].sum() == pytest.approx(0.25)
    np.testing.assert_allclose(weights[6:9].sum(), weights[9])
    np.testing.assert_allclose(weights[:6], weights[0])


def test_an_epoch_of_another_number_of_samples() -> None:
    sampler = EpochSampler(5, 4, 0, Processes(), np.ones(5), samples=43)
    assert len(sampler) == len(list(sampler)) == 40
