"""What a network is and how it scored, without its weights, for those that are too large to ship."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from segmodels.checkpoints.checkpoint import count_parameters, read_results, save_description
from segmodels.checkpoints.config import CheckpointConfig, read_config
from segmodels.checkpoints.errors import CheckpointError
from segmodels.datasets import Dataset
from segmodels.evaluation.evidence import EVIDENCE_FILE
from segmodels.evaluation.results import Results
from train.publishing.card import model_card
from train.recipe import Recipe, RecipeError, recipe_from
from train.segmentation.fit import checkpoint_config

__all__ = ["command_of", "describe"]


def describe(recipe: Recipe, dataset: Dataset, command: str, out: Path, checkpoint: Path | None = None) -> Path:
    """Writes `config.json`, `metrics.json`, `README.md` and, where there is one, `evidence.parquet`.

    Args:
        recipe: Recipe that trains the network.
        dataset: Data set of the recipe.
        command: Command that trains the network, for people.
        out: Folder of the description, whose name is the network's in the catalog.
        checkpoint: Folder of a checkpoint that was trained by this recipe, and whose numbers are taken; without one
            there are none yet.

    Raises:
        CheckpointError: If the checkpoint is damaged or was trained by another recipe, or the folder holds weights.
        OSError: If the folder cannot be written.
    """
    if (out / "model.safetensors").exists():
        raise CheckpointError(f"{out} is a checkpoint. Name another folder, or delete its model.safetensors first.")
    config = checkpoint_config(recipe, dataset)
    results = Results()
    if checkpoint:
        config, results = read_config(checkpoint), read_results(checkpoint)
        if _recipe_of(config) != recipe:
            raise CheckpointError(f"{checkpoint} was trained by another recipe. Describe it by its own, with --set.")
    try:
        more = {"command": command, "parameters": count_parameters(config)}
    except ValueError as error:
        raise CheckpointError(str(error)) from None
    config = replace(config, training={**config.training, **more})
    save_description(out, config, results, card=model_card(out.name, config, results))
    if checkpoint and (checkpoint / EVIDENCE_FILE).is_file():
        shutil.copyfile(checkpoint / EVIDENCE_FILE, out / EVIDENCE_FILE)
    return out


def _recipe_of(config: CheckpointConfig) -> Recipe | None:
    """The recipe that a checkpoint was trained by, with the defaults of keys that are newer than it."""
    try:
        return recipe_from(config.training["recipe"])
    except (KeyError, RecipeError):
        return None


def command_of(recipe: str, changes: Sequence[str], name: str) -> str:
    """The command that trains a network by a recipe, as it is typed."""
    changed = [part for change in changes for part in ("--set", change)]
    return shlex.join(["python", "-m", "train", "fit", recipe, *changed, "--data", "DATA", "--out", f"runs/{name}"])
