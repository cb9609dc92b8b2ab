"""Joins trained networks into one checkpoint whose probabilities are averaged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from torch import nn

from segmodels.checkpoint import Checkpoint, CheckpointError, Member, load_checkpoint, save_checkpoint
from train.card import model_card

__all__ = ["join"]


def join(folders: Sequence[Path], shares: Sequence[float], out: Path) -> Path:
    """Writes an ensemble as one checkpoint. How it looks at a photo is as the first one does.

    Args:
        folders: Of the checkpoints; the first one finds the garments, and all look closer.
        shares: Of each further one in the average with those before it, between 0 and 1.
        out: Folder of the ensemble.

    Raises:
        CheckpointError: If a checkpoint cannot be used, is an ensemble itself, or is of another taxonomy, or there is
            not one share for each further one.
        OSError: If the folder cannot be written.
    """
    if len(folders) < 2 or len(shares) != len(folders) - 1 or not all(0 < share < 1 for share in shares):
        raise CheckpointError("Name two checkpoints or more, and for each but the first its share, between 0 and 1.")
    first, *others = checkpoints = [load_checkpoint(folder) for folder in folders]
    for folder, checkpoint in zip(folders, checkpoints, strict=True):
        if checkpoint.config.ensemble:
            raise CheckpointError(f"{folder} is an ensemble itself. Name the checkpoints that it was joined from.")
        if checkpoint.config.taxonomy != first.config.taxonomy:
            raise CheckpointError(
                f"{folder} names the classes of {checkpoint.config.taxonomy}, and {folders[0]} those of "
                f"{first.config.taxonomy}. Join checkpoints of one taxonomy."
            )
    training = {**first.config.training, "members": [_origin(other) for other in others]}
    members = [_member(other, float(share)) for other, share in zip(others, shares, strict=True)]
    config = replace(first.config, ensemble=members, training=training)
    card = model_card(out.name, config, {})
    networks = nn.ModuleList([checkpoint.network for checkpoint in checkpoints])
    save_checkpoint(out, config, networks, metrics={"evaluations": []}, card=card)
    return out


def _member(checkpoint: Checkpoint, share: float) -> Member:
    config = asdict(checkpoint.config)
    taken = ("architecture", "arguments", "height", "width", "mean", "std", "resize")
    return Member(**{name: config[name] for name in taken}, share=share)


def _origin(checkpoint: Checkpoint) -> dict[str, object]:
    """Where a member came from."""
    return {"name": checkpoint.name, "revision": checkpoint.revision, **checkpoint.config.training}
