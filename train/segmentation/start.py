"""The weights that a recipe starts from."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from segmodels.checkpoints.checkpoint import Checkpoint, CheckpointError, load_checkpoint
from train.distributed import say
from train.provenance import trained_on
from train.recipe import Recipe
from train.resume import FitError
from train.segmentation.pretrained import Start, load_pretrained
from train.segmentation.pruning import prune_segmentation_blocks

__all__ = ["load_start"]


def load_start(network: nn.Module, recipe: Recipe) -> Start:
    """Loads the weights that the recipe starts from, in place.

    Args:
        network: Network of the recipe.
        recipe: Recipe of the fit.

    Raises:
        FitError: If it starts from a checkpoint that cannot be used for this network.
    """
    start = Start("random", "The network starts from random weights, as the recipe asks for.")
    if recipe.start:
        try:
            checkpoint = load_checkpoint(Path(recipe.start))
        except CheckpointError as error:
            raise FitError(f"The recipe starts from {recipe.start}: {error}") from None
        start = _start_from(checkpoint, network, recipe)
    elif recipe.imagenet:
        start = load_pretrained(network, recipe.architecture, recipe.arguments)
    if recipe.start or recipe.imagenet:
        say(start.sentence)
    return start


def _start_from(checkpoint: Checkpoint, network: nn.Module, recipe: Recipe) -> Start:
    """Loads a checkpoint's weights in place: all of them, pruned, or the encoder's where the decoder is another.

    Raises:
        FitError: If not even the encoder is the same.
    """
    config, where = checkpoint.config, f"{recipe.start}, revision {checkpoint.revision}"
    behind = trained_on(config.training)
    trained = checkpoint.network[0] if isinstance(checkpoint.network, nn.ModuleList) else checkpoint.network
    if (config.architecture, config.arguments) == (recipe.architecture, dict(recipe.arguments)):
        try:
            network.load_state_dict(trained.state_dict())
        except RuntimeError:
            raise FitError(f"The recipe starts from {recipe.start}, which has other classes.") from None
        return Start("checkpoint", f"The network starts from {where}.", trained_on=behind)
    if config.architecture == recipe.architecture and prune_segmentation_blocks(trained.state_dict(), network):
        return Start(
            "checkpoint",
            f"The network starts from {where}, pruned to its narrower segmentation blocks.",
            trained_on=behind,
        )
    try:
        encoder = network.get_submodule("network.encoder")
        encoder.load_state_dict(trained.get_submodule("network.encoder").state_dict())
    except (AttributeError, RuntimeError):
        raise FitError(
            f"The recipe starts from {recipe.start}, which is another architecture or has other arguments, and not the "
            "same encoder either."
        ) from None
    return Start("checkpoint", f"The encoder starts from {where}, the rest from random weights.", trained_on=behind)
