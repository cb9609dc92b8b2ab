"""Every shipped recipe, for two steps of its own loss, optimiser, schedule and augmentation, on made-up photos."""

import functools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import pytest
import torch
from torch import nn

from segmodels.architectures import build, check_batch
from segmodels.taxonomy import CFPD_23, IMATERIALIST_47, OUTFIT_15
from train.data.cache import Cache
from train.distributed import Processes
from train.recipe import RECIPES, Recipe, load_recipe
from train.segmentation.lightning_module import SegmentationModule
from train.segmentation.loaders import choice_loader, class_shares, training_loader

SHIPPED = sorted(path.relative_to(RECIPES).with_suffix("").as_posix() for path in RECIPES.rglob("*.toml"))
TAXONOMIES = {"ccp": OUTFIT_15, "ccp_cfpd": OUTFIT_15, "cfpd": CFPD_23, "imaterialist": IMATERIALIST_47}
SMALL = {"segnet": {"width": 0.1}, "unet_classic": {"width": 0.1}}


def photos(count: int, classes: int) -> Cache:
    """Blocks of random classes, each of its own colour."""
    generator = np.random.default_rng(0)
    truths = generator.integers(0, classes, (count, 8, 6), np.uint8).repeat(8, axis=1).repeat(8, axis=2)
    colours = generator.integers(0, 255, (classes, 3), np.uint8)
    return Cache(
        ids=tuple(map(str, range(count))),
        shapes=((64, 48),) * count,
        photos=colours[truths].reshape(-1, 3),
        truths=truths.ravel(),
        rejected={},
        background_only=(),
    )


@functools.cache
def shapes(architecture: str, *arguments: tuple[str, Any]) -> nn.Module:
    """A whole network without the values of its weights: a dry run needs none."""
    with torch.device("meta"):
        return build(architecture, 15, dict(arguments))


def small(recipe: Recipe) -> Recipe:
    """The same at 64 x 64 from random weights, on a thin network where the paper's has no smaller encoder."""
    return replace(
        recipe,
        arguments=SMALL.get(recipe.architecture, {}),
        height=64,
        width=64,
        epochs=1,
        batch_size=min(recipe.batch_size, 2),
        samples=0,
        teacher="",
    )


@pytest.mark.filterwarnings("ignore:.*does not have many workers", "ignore:.*isinstance.treespec, LeafSpec")
@pytest.mark.filterwarnings("ignore:.*have no `val_dataloader`")
@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_recipe_runs(name: str, tmp_path: Path) -> None:
    whole = load_recipe(name)
    check_batch(shapes(whole.architecture, *whole.arguments.items()), whole.batch_size, whole.height, whole.width)
    recipe = small(whole)
    taxonomy, alone = TAXONOMIES[recipe.dataset], Processes()
    cache = photos(2 * recipe.batch_size, len(taxonomy))
    torch.manual_seed(0)
    network = build(recipe.architecture, len(taxonomy), recipe.arguments)
    before = {key: value.clone() for key, value in network.named_parameters()}
    module = SegmentationModule(network, recipe, taxonomy.names, class_shares(cache, len(taxonomy)))
    trainer = lightning.Trainer(
        default_root_dir=tmp_path,
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        gradient_clip_val=recipe.clip or None,
        log_every_n_steps=1,
    )
    trainer.fit(
        module,
        training_loader(cache, recipe, 0, taxonomy, alone),
        None if recipe.fold == -1 else choice_loader(cache, recipe, 0, alone),
    )
    assert trainer.global_step == 2
    moved = [key for key, value in network.named_parameters() if not torch.equal(value, before[key])]
    learning = [key for key in before if not (recipe.frozen and ".encoder." in key)]  # the one epoch is a frozen one
    assert len(moved) > len(learning) / 2
    assert all(bool(value.isfinite().all()) for value in network.parameters())
    if recipe.fold != -1:
        assert math.isfinite(module.curve[0]["validation_loss"]) and module.curve[0]["mean_iou"] >= 0


def test_the_papers_recipes_ship() -> None:
    table3 = [f"castro/table3_{n}_lr_{r}" for n in ("unet", "segnet", "atrous") for r in ("1e-2", "1e-3", "1e-2_decay")]
    table4 = [f"castro/table4_{name}" for name in ("segnet", "atrous", "densenet")]
    inacio = [f"inacio/{name}" for name in ("fpn", "linknet", "pspnet", "unet")]
    assert {*table3, *table4, "castro/table5_segnet", "castro/table5_atrous", *inacio} <= set(SHIPPED)


@pytest.mark.parametrize("name", [name for name in SHIPPED if name.startswith("castro/")])
def test_what_castro_and_ramirez_say_of_every_training(name: str) -> None:
    recipe = load_recipe(name)
    assert (recipe.height, recipe.width, recipe.dataset) == (256, 256, "imaterialist")
    assert recipe.optimiser == ("adam" if "table3" in name else "sgd")
    assert recipe.folds == (10 if "table5" in name else 5)


@pytest.mark.parametrize("name", [name for name in SHIPPED if name.startswith("inacio/")])
def test_what_inacio_and_others_say_of_every_training(name: str) -> None:
    recipe = load_recipe(name)
    assert (recipe.height, recipe.width, recipe.mean, recipe.std) == (320, 320, 0, 1)
    assert (recipe.dataset, recipe.optimiser, recipe.learning_rate) == ("ccp_cfpd", "adam", 0.001)
    assert (recipe.schedule, recipe.epochs, recipe.patience, recipe.stop_by) == ("plateau", 100, 10, "pixel_accuracy")
    assert recipe.flip and recipe.rotation and recipe.jitter and recipe.noise and recipe.colour_jitter
