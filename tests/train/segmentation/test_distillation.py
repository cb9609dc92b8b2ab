import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from made_cache import STILL, cache_of, standing

from segmodels.checkpoints.checkpoint import load_checkpoint
from segmodels.checkpoints.config import read_config
from segmodels.datasets import DatasetError
from segmodels.inference.boxes import Box
from segmodels.inference.segmenter import Segmenter
from segmodels.taxonomy import OUTFIT_15, UNLABELLED
from train.analysis.evaluate import check_fold
from train.data.cache import Cache
from train.provenance import trained_on
from train.recipe import Recipe
from train.resume import FitError
from train.segmentation.crops import TrainingCrops
from train.segmentation.cutting import cut_crops, join_plans, soft_targets
from train.segmentation.distillation import SoftTarget, distillation_loss, open_soft_labels
from train.segmentation.fit import _sources, fit
from train.segmentation.sampling import Draw

MakeRecipe = Callable[..., Recipe]


class KnowsTheTruth:
    """Stands for a teacher: gives a photo's own class, whose 10 times is the red of its pixels, a probability of 1."""

    taxonomy = OUTFIT_15
    device = torch.device("cpu")
    asked = 0

    class checkpoint:
        revision = "abc"

    def probabilities(self, photos: list[np.ndarray]) -> list[tuple[torch.Tensor, Box]]:
        self.asked += 1
        (photo,) = photos
        ids = torch.from_numpy(photo[..., 0].astype(np.int64) // 10)
        one_hot = torch.nn.functional.one_hot(ids, 15).permute(2, 0, 1).float()
        return [(one_hot, Box(0, 0, photo.shape[1], photo.shape[0]))]


def teacher() -> Segmenter:
    return cast(Segmenter, KnowsTheTruth())


@pytest.fixture
def cache() -> Cache:
    return cache_of(standing(), np.ascontiguousarray(standing()[:101, :57]))


def test_they_are_kept_and_the_teacher_is_asked_once(cache: Cache, tmp_path: Path) -> None:
    one = KnowsTheTruth()
    labels = open_soft_labels(cache, [1], cast(Segmenter, one), folder=tmp_path)
    assert one.asked == 1 and labels.of_photo(0) is None
    found = labels.of_photo(1)
    assert found is not None and found.shape == (15, 26, 15) and found.dtype == np.uint8
    assert found[:, 10, 7].tolist() == [255 * (id_ == OUTFIT_15["Shirt"].id) for id_ in range(15)]
    again = open_soft_labels(cache, [1], cast(Segmenter, one), folder=tmp_path).of_photo(1)
    assert one.asked == 1 and np.array_equal(again, found)
    open_soft_labels(cache, [0, 1], cast(Segmenter, one), folder=tmp_path)
    assert one.asked == 3, "other photos are other labels"


@pytest.mark.parametrize("changes", [{}, {"framing": 1.0}, {"rotation": 20.0, "jitter": 0.2}, {"resize": "squash"}])
def test_the_probabilities_are_cut_and_turned_with_the_crop(
    cache: Cache, tiny: MakeRecipe, tmp_path: Path, changes: dict[str, object]
) -> None:
    recipe = tiny(height=128, width=64, margin=0.1, **{**STILL, **changes})
    crops = TrainingCrops(cache, recipe, soft=open_soft_labels(cache, [0, 1], teacher(), folder=tmp_path))
    for place in range(12):
        batch = join_plans([crops[Draw(place % 2, 0, place)]])
        truth = cut_crops(batch, recipe)[1][0, 2::4, 2::4]
        target = soft_targets(batch, recipe)
        assert target is not None and target.probability.shape == (1, 15, 32, 16)
        seen = (target.weight[0] > 0) & (truth != UNLABELLED)
        right = target.probability[0].argmax(dim=0) == truth
        assert right[seen].float().mean() > 0.8, "all but the borders of stripes of ten rows"
        assert (seen == (truth != UNLABELLED)).float().mean() > (0.9 if not recipe.framing else 0.0)


def test_what_comes_from_another_photo_has_no_weight(tiny: MakeRecipe, tmp_path: Path) -> None:
    hat = standing()
    hat[10:20] = np.where(hat[10:20] > 0, OUTFIT_15["Hat"].id, 0)
    cache = cache_of(standing(), hat)
    recipe = tiny(height=128, width=64, margin=0.0, paste=1.0, mix=1.0, flip=False, **STILL)
    soft = open_soft_labels(cache, [0, 1], teacher(), folder=tmp_path)
    crops = TrainingCrops(cache, recipe, [OUTFIT_15["Hat"].id], soft=soft)
    for place in range(8):
        batch = join_plans([crops[Draw(0, 0, place)]])
        target = soft_targets(batch, recipe)
        assert target is not None
        truth = cut_crops(batch, recipe)[1][0, 2::4, 2::4]
        assert not target.weight[0][truth == OUTFIT_15["Hat"].id].any()
        ((_, _, top, bottom, left, right),) = batch.mixed
        assert not target.weight[0, top // 4 : bottom // 4, left // 4 : right // 4].any()
        assert target.weight.mean() > 0.2


def test_a_photo_that_the_teacher_was_not_asked_about(cache: Cache, tiny: MakeRecipe, tmp_path: Path) -> None:
    soft = open_soft_labels(cache, [0], teacher(), folder=tmp_path)
    crops = TrainingCrops(cache, tiny(**STILL), soft=soft)
    target = soft_targets(join_plans([crops[Draw(0, 0, 0)], crops[Draw(1, 0, 1)]]), crops.recipe)
    assert target is not None and target.weight[0].any() and not target.weight[1].any()
    assert soft_targets(join_plans([crops[Draw(1, 0, 1)]]), crops.recipe) is None


def test_the_loss_by_hand() -> None:
    logits = torch.tensor([0.0, 0.0, np.log(3.0)]).view(1, 3, 1, 1).expand(1, 3, 8, 8)
    probability = torch.tensor([0.5, 0.0, 0.5]).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    weight = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    expected = -0.5 * np.log(1 / 5) - 0.5 * np.log(3 / 5)
    assert distillation_loss(logits, SoftTarget(probability, weight)).item() == pytest.approx(expected)
    assert distillation_loss(logits, SoftTarget(probability, weight * 0)).item() == 0


def test_a_fit_learns_from_a_teacher(tiny: MakeRecipe, root: Path, tmp_path: Path, folds: None) -> None:
    first = fit(tiny(epochs=1), root, tmp_path / "first", workers=0)
    folder = fit(tiny(epochs=1, teacher=str(first), learning_rate=1e-9), root, tmp_path / "second", workers=0)
    training = load_checkpoint(folder).config.training
    assert training["recipe"]["teacher"] == str(first)
    assert training["teacher"] == {"trained_on": [{"dataset": "ccp", "fold": 0, "folds": 5}]}
    losses = [
        load_checkpoint(fit(tiny(**changes), root, tmp_path / name, workers=0)).results.learning_curve[0]["loss"]
        for name, changes in {
            "none": {"epochs": 1, "learning_rate": 1e-9},
            "all": {"epochs": 1, "learning_rate": 1e-9, "teacher": str(first), "teacher_share": 1.0},
        }.items()
    ]
    assert abs(losses[0] - losses[1]) > 1e-3
    with pytest.raises(FitError, match="learns from nowhere: There is no model 'nowhere'"):
        fit(tiny(epochs=1, teacher="nowhere"), root, tmp_path / "third", workers=0)


def test_a_share_is_between_0_and_1(tiny: MakeRecipe) -> None:
    with pytest.raises(ValueError, match="teacher_share must be a number between 0 and 1, not 1.5"):
        replace(tiny(), teacher_share=1.5)


def test_a_fit_records_which_folds_its_start_saw_also_when_it_goes_on(
    tiny: MakeRecipe, root: Path, tmp_path: Path, folds: None
) -> None:
    first = fit(tiny(epochs=1, fold=2), root, tmp_path / "first", workers=0)
    recipe = tiny(epochs=1, fold=0, start=str(first))
    folder = fit(recipe, root, tmp_path / "second", workers=0)
    seen = [{"dataset": "ccp", "fold": 2, "folds": 5}]
    assert read_config(folder).training["start"]["trained_on"] == seen
    shutil.rmtree(first)
    config = read_config(fit(replace(recipe, epochs=2), root, tmp_path / "second", workers=0))
    assert config.training["start"]["trained_on"] == seen
    assert trained_on(config.training) == [{"dataset": "ccp", "fold": 0, "folds": 5}, *seen]
    with pytest.raises(DatasetError, match="^The checkpoint that the network started from was trained on fold 0"):
        check_fold(config, "ccp", 0)


def test_a_fit_records_what_made_its_pseudo_labels(tiny: MakeRecipe, tmp_path: Path) -> None:
    seen = [{"dataset": "ccp", "fold": -1, "folds": 5}]
    (tmp_path / "labels.json").write_text(json.dumps({"trained_on": seen}))
    assert _sources(tiny(pseudo=str(tmp_path)), None) == {"pseudo": {"trained_on": seen}}
    assert _sources(tiny(), None) == {}
