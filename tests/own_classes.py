"""A taxonomy of five classes of one's own, and a checkpoint that names them."""

from __future__ import annotations

from pathlib import Path

import torch

from segmodels.architectures import build
from segmodels.checkpoints.checkpoint import save_checkpoint
from segmodels.checkpoints.config import CheckpointConfig
from segmodels.taxonomy import Taxonomy, make_taxonomy, taxonomy_entries

KIMONO = make_taxonomy("kimono shop", ["Backdrop", "Kimono", "Obi <sash>", "Left hand", "Tote bag"])


def save_own(folder: Path, taxonomy: Taxonomy = KIMONO, seed: int = 3) -> Path:
    """A checkpoint of random weights, which guesses at a taxonomy's classes."""
    torch.manual_seed(seed)
    config = CheckpointConfig(
        architecture="unet_classic",
        arguments={"width": 0.05},
        **taxonomy_entries(taxonomy),
        height=64,
        width=64,
        mean=0.5,
        std=0.5,
        crop="none",
    )
    save_checkpoint(folder, config, build(config.architecture, len(taxonomy), config.arguments))
    return folder
