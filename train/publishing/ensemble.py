"""Joins trained networks into one checkpoint whose probabilities are averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from torch import nn

from segmodels.checkpoints.catalog import find_model, open_checkpoint
from segmodels.checkpoints.checkpoint import Checkpoint, save_checkpoint
from segmodels.checkpoints.config import Member, check_config
from segmodels.checkpoints.errors import CheckpointError
from segmodels.evaluation.results import Results
from train.publishing.card import model_card

__all__ = ["join"]


def join(
    names: Sequence[Path | str],
    shares: Sequence[float],
    out: Path,
    *,
    scales: Sequence[float] | None = None,
    margin: float | None = None,
) -> Path:
    """Writes an ensemble as one checkpoint, which takes its regions of interest from the first member.

    Args:
        names: Checkpoints, as `find_model` takes them; the first runs the coarse pass, all of them the refine pass.
        shares: Share of each further checkpoint in the average with those before it, between 0 and 1.
        out: Folder of the ensemble.
        scales: Factors on the input's size of the first one in the refine pass; its own if left out. The others run
            at their own size only.
        margin: Border of each crop, as a share of the longer side of what was found; the first one's if left out.

    Raises:
        CheckpointError: If a checkpoint cannot be used, is an ensemble itself, or is of another taxonomy, there is
            not one share for each further one, a factor is not between 0.25 and 4, or the margin not between 0 and 1.
        OSError: If the folder cannot be written.
    """
    if len(names) < 2 or len(shares) != len(names) - 1 or not all(0 < share < 1 for share in shares):
        raise CheckpointError("Name two checkpoints or more, and for each but the first its share, between 0 and 1.")
    if margin is not None and not 0 <= margin <= 1:
        raise CheckpointError(f"The margin must be between 0 and 1, not {margin}.")
    if taken := [name for name in names if find_model(name).folder.resolve() == out.resolve()]:
        raise CheckpointError(
            f"{out} is {taken[0]}, which the ensemble is joined from. Name another folder with --out."
        )
    first, *others = checkpoints = [open_checkpoint(name) for name in names]
    for name, checkpoint in zip(names, checkpoints, strict=True):
        if checkpoint.config.foreign:
            raise CheckpointError(
                f"{name} is a network of {checkpoint.config.foreign.library}. Only checkpoints of Garmentscope can be "
                "joined."
            )
        if checkpoint.config.ensemble:
            raise CheckpointError(f"{name} is an ensemble itself. Name the checkpoints that it was joined from.")
        if not checkpoint.taxonomy.matches(first.taxonomy):
            raise CheckpointError(
                f"{name} names the classes of {checkpoint.config.taxonomy}, and {names[0]} those of "
                f"{first.taxonomy.name_beside(checkpoint.taxonomy)}. Join checkpoints of one taxonomy."
            )
    training = {**first.config.training, "members": [_origin(other) for other in others]}
    members = [_member(other, float(share)) for other, share in zip(others, shares, strict=True)]
    config = replace(
        first.config,
        ensemble=members,
        training=training,
        scales=list(scales or first.config.scales),
        margin=first.config.margin if margin is None else margin,
    )
    check_config(config, out / "config.json")
    results = Results()
    networks = nn.ModuleList([checkpoint.network for checkpoint in checkpoints])
    save_checkpoint(out, config, networks, results=results, card=model_card(out.name, config, results))
    return out


def _member(checkpoint: Checkpoint, share: float) -> Member:
    config = asdict(checkpoint.config)
    taken = ("architecture", "arguments", "height", "width", "mean", "std", "resize")
    return Member(**{name: config[name] for name in taken}, share=share)


def _origin(checkpoint: Checkpoint) -> dict[str, object]:
    """Where a member came from."""
    return {"name": checkpoint.name, "revision": checkpoint.revision, **checkpoint.config.training}
