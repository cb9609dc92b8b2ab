"""What is said of a model in lists for programs: `garmentscope models --json`, and the API's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from segmodels.checkpoints.checkpoint import read_results
from segmodels.checkpoints.config import read_config

__all__ = ["about_model"]


def about_model(folder: Path) -> dict[str, Any]:
    """Architecture, input, classes and score of a checkpoint, and where the network is from if it is not ours.

    Args:
        folder: Folder of the checkpoint.

    Raises:
        CheckpointError: If it is damaged.
    """
    config, results = read_config(folder), read_results(folder)
    measured = next(iter(results.evaluations), None)
    values: dict[str, Any] = {
        "architecture": [network.architecture for network in (config, *config.ensemble)],
        "input": [config.height, config.width],
        "taxonomy": config.taxonomy,
        "classes": config.classes,
        "mean_iou": measured.scores.mean_iou if measured else None,
        "photos": str(measured.photos) if measured else None,
    }
    if foreign := config.foreign:
        values |= {"library": foreign.library, "source": foreign.source, "licence": foreign.licence}
        values["notes"] = foreign.notes
    return values
