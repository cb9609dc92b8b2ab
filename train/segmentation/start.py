"""The weights that a recipe starts from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from segmodels.architectures import build
from segmodels.checkpoints.catalog import open_checkpoint
from segmodels.checkpoints.checkpoint import Checkpoint
from segmodels.checkpoints.config import NetworkConfig
from segmodels.checkpoints.errors import CheckpointError
from segmodels.hub.errors import HubError
from segmodels.sentences import listed
from segmodels.taxonomy import Taxonomy
from train.distributed import say
from train.provenance import trained_on
from train.recipe import Recipe
from train.resume import FitError
from train.segmentation.pretrained import Start, load_pretrained
from train.segmentation.pruning import prune_segmentation_blocks

__all__ = ["load_start", "open_start"]

_ENCODER = "network.encoder."


def load_start(network: nn.Module, recipe: Recipe, taxonomy: Taxonomy) -> Start:
    """Loads the weights that the recipe starts from, in place, and says which.

    Args:
        network: Network of the recipe.
        recipe: Recipe of the fit.
        taxonomy: Classes of the network.

    Raises:
        FitError: If it starts from a checkpoint that cannot be used for this network.
    """
    start = Start("random", "The network starts from random weights, as the recipe asks for.")
    if recipe.start:
        checkpoint, config, trained = open_start(recipe.start)
        start = _start_from(checkpoint, config, trained, network, recipe, taxonomy)
    elif recipe.imagenet:
        start = load_pretrained(network, recipe.architecture, recipe.arguments)
    if recipe.start or recipe.imagenet:
        say(start.sentence)
    return start


def open_start(name: str) -> tuple[Checkpoint, NetworkConfig, nn.Module]:
    """The checkpoint that a recipe names, and the configuration and the network of it that are meant.

    Args:
        name: A catalog name, a folder, or `hf://owner/repo@revision`; of an ensemble with `#` and the number of a
            member, the first of which is 0.

    Raises:
        FitError: If there is no such checkpoint, it is damaged or a network from elsewhere, or no member of an ensemble
            is named.
    """
    source, mark, number = name.rpartition("#")
    named = bool(mark) and number.isdigit() and not Path(name).exists()
    source = source if named else name
    try:
        checkpoint = open_checkpoint(source)
    except (CheckpointError, HubError) as error:
        raise FitError(f"The recipe starts from {name}: {error}") from None
    if foreign := checkpoint.config.foreign:
        raise FitError(
            f"The recipe starts from {name}, a network of {foreign.library}, which runs here and is not trained here. "
            "Start from a checkpoint of Garmentscope, or train it with its own library."
        )
    configs = (checkpoint.config, *checkpoint.config.ensemble)
    networks = list(checkpoint.network) if isinstance(checkpoint.network, nn.ModuleList) else [checkpoint.network]
    if not named and len(networks) == 1:
        return checkpoint, configs[0], networks[0]
    if not named or int(number) >= len(networks):
        members = ", ".join(
            f"{source}#{place} ({config.architecture}, {config.height} x {config.width})"
            for place, config in enumerate(configs)
        )
        raise FitError(f"{source} has members {members}; name one: start={source}#0.")
    return checkpoint, configs[int(number)], networks[int(number)]


def _start_from(
    checkpoint: Checkpoint,
    config: NetworkConfig,
    trained: nn.Module,
    network: nn.Module,
    recipe: Recipe,
    taxonomy: Taxonomy,
) -> Start:
    """Loads in place what fits of a checkpoint's network.

    Raises:
        FitError: If neither the network nor its encoder is the same.
    """
    where = f"{recipe.start}, revision {checkpoint.revision}"
    same = config.architecture == recipe.architecture
    state, pruned = trained.state_dict(), False
    if same and config.arguments != dict(recipe.arguments):
        narrower = build(recipe.architecture, len(checkpoint.taxonomy), recipe.arguments)
        pruned = prune_segmentation_blocks(state, narrower)
        state = narrower.state_dict() if pruned else state
    mine, head = network.state_dict(), _head(recipe, len(taxonomy))
    body = [name for name in mine if name not in head]
    if same and all(_fits(state, mine, name) for name in body):
        chosen = body
    elif _has_encoder(state, mine):
        chosen = [name for name in body if (same or name.startswith(_ENCODER)) and _fits(state, mine, name)]
        head = frozenset()
    else:
        raise FitError(
            f"The recipe starts from {recipe.start}, which is {_described(config.architecture, config.arguments)}; the "
            f"recipe trains {_described(recipe.architecture, recipe.arguments)}, and the encoder is not the same "
            f"either. Set architecture={config.architecture} and arguments={_toml(config.arguments)}."
        )
    for name in chosen:
        mine[name].copy_(state[name])
    copied = _copy_rows(state, mine, head, checkpoint.taxonomy, taxonomy)
    behind = trained_on(checkpoint.config.training)
    whole = set(body) == set(chosen) and len(copied) == len(taxonomy)
    if whole:
        ending = ", pruned to its narrower segmentation blocks." if pruned else "."
        return Start("checkpoint", f"The network starts from {where}{ending}", trained_on=behind, loaded=len(mine))
    fresh = [name for name in mine if name not in chosen and not (name in head and len(copied) == len(taxonomy))]
    what = "network" if head else "encoder"
    sentence = f"The {what} starts from {where} ({len(chosen)} tensors loaded)"
    if head:
        new = [name for name in taxonomy.names if name not in copied]
        kept = f"{listed(copied)} copied; " if copied else ""
        sentence += f"; last layer: {kept}{listed(new)} new."
    else:
        sentence += f", the rest from random weights ({len(fresh)} tensors)."
    return Start("checkpoint", sentence, trained_on=behind, loaded=len(chosen), copied=copied, new=fresh)


def _head(recipe: Recipe, classes: int) -> frozenset[str]:
    """Names of the tensors that have a row for each class."""
    with torch.device("meta"):
        one, other = (
            build(recipe.architecture, count, recipe.arguments).state_dict() for count in (classes, classes + 1)
        )
    return frozenset(name for name, tensor in one.items() if tensor.shape != other[name].shape)


def _fits(state: Mapping[str, Tensor], mine: Mapping[str, Tensor], name: str) -> bool:
    return name in state and state[name].shape == mine[name].shape


def _has_encoder(state: Mapping[str, Tensor], mine: Mapping[str, Tensor]) -> bool:
    """Whether both have an encoder, and the same: ResNet-18's tensors are all in ResNet-34, too."""
    theirs, own = ({name for name in names if name.startswith(_ENCODER)} for names in (state, mine))
    return bool(own) and theirs == own and all(_fits(state, mine, name) for name in own)


def _copy_rows(
    state: Mapping[str, Tensor], mine: Mapping[str, Tensor], head: frozenset[str], theirs: Taxonomy, own: Taxonomy
) -> list[str]:
    """Copies the rows of the classes that both have into the last layer; gives their names."""
    if not head or any(name not in state or state[name].shape[1:] != mine[name].shape[1:] for name in head):
        return []
    both = [name for name in own.names if name in theirs.names]
    for tensor in head:
        for name in both:
            mine[tensor][own[name].id] = state[tensor][theirs[name].id]
    return both


def _described(architecture: str, arguments: Mapping[str, object]) -> str:
    return f"{architecture} with arguments {_toml(arguments)}" if arguments else f"{architecture} without arguments"


def _toml(arguments: Mapping[str, object]) -> str:
    """Arguments as `--set` takes them."""
    values = (
        f"{key}={str(value).lower() if isinstance(value, bool) else repr(value)}" for key, value in arguments.items()
    )
    return "{" + ", ".join(values).replace("'", '"') + "}"
