"""A small network with random weights, for scripts in which it does not matter what a model finds."""

from __future__ import annotations

from pathlib import Path

__all__ = ["save_tiny"]


def save_tiny(folder: Path, *, side: int = 32, crop: str = "none", seed: int = 0) -> None:
    """Saves the network as a checkpoint of OUTFIT_15.

    Args:
        folder: Folder of the checkpoint.
        side: Height and width of its input, in pixels.
        crop: What it sees of a photo, as in a checkpoint's config.
        seed: Seed of its weights.
    """
    import torch

    from segmodels.architectures import build
    from segmodels.checkpoints.checkpoint import save_checkpoint
    from segmodels.checkpoints.config import CheckpointConfig
    from segmodels.taxonomy import OUTFIT_15

    torch.manual_seed(seed)
    config = CheckpointConfig(
        architecture="unet_classic",
        arguments={"width": 0.05},
        taxonomy=OUTFIT_15.name,
        classes=list(OUTFIT_15.names),
        height=side,
        width=side,
        mean=0.5,
        std=0.5,
        crop=crop,
    )
    save_checkpoint(folder, config, build(config.architecture, len(config.classes), config.arguments))
