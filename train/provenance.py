"""Which folds the networks behind a checkpoint were trained on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from train.data.split import FOLDS

__all__ = ["SOURCES", "fits_behind", "trained_on"]

SOURCES: Mapping[str, str] = {
    "recipe": "The network",
    "start": "The checkpoint that the network started from",
    "teacher": "The teacher that the network learned from",
    "pseudo": "A network that made its pseudo-labels",
}
"""Key under which a checkpoint's `training` tells of a fit, and whose fit it was, as the subject of a sentence."""


def fits_behind(training: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every fit whose photos a checkpoint may have learned from, as far as it is recorded.

    These are its own, those of the members of its ensemble, and of each the fits of the checkpoint that it started
    from, of its teacher and of the networks that made its pseudo-labels, with all that stands behind those in turn.
    Checkpoints of earlier versions record their own fit only.

    Args:
        training: What the checkpoint's configuration says of its training.

    Yields:
        A key in `SOURCES`, and `dataset` (its name), `fold` (the one that was left out; -1 for none) and `folds` (in
        how many the photos were split).
    """
    for part in (training, *training.get("members", [])):
        recipe = part.get("recipe", {})
        if {"dataset", "fold"} <= recipe.keys():
            yield "recipe", {"dataset": recipe["dataset"], "fold": recipe["fold"], "folds": recipe.get("folds", FOLDS)}
        for source in ("start", "teacher", "pseudo"):
            for fit in part.get(source, {}).get("trained_on", []):
                yield source, fit


def trained_on(training: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The fits of `fits_behind`, each once, as the next fit records them of its start, teacher or pseudo-labels.

    Args:
        training: What the checkpoint's configuration says of its training.
    """
    found: list[dict[str, Any]] = []
    for _, fit in fits_behind(training):
        if fit not in found:
            found.append(fit)
    return found
