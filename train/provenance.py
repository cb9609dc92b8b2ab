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
    members = training.get("members")
    for part in (training, *(members if isinstance(members, list) else [])):
        for fit in filter(None, [_recorded(_table(part, "recipe"))]):
            yield "recipe", fit
        for source in ("start", "teacher", "pseudo"):
            fits = _table(part, source).get("trained_on")
            for fit in filter(None, map(_recorded, fits if isinstance(fits, list) else [])):
                yield source, fit


def _table(values: object, key: str) -> dict[str, Any]:
    """The table under a key; empty where there is none: what a checkpoint says of its training was not validated."""
    found = values.get(key) if isinstance(values, Mapping) else None
    return found if isinstance(found, dict) else {}


def _recorded(fit: object) -> dict[str, Any] | None:
    """Data set, fold and number of folds of a recipe or of a recorded fit; None if they are not there."""
    if not isinstance(fit, dict):
        return None
    dataset, fold, folds = fit.get("dataset"), fit.get("fold"), fit.get("folds", FOLDS)
    if not (isinstance(dataset, str) and type(fold) is int and type(folds) is int):
        return None
    return {"dataset": dataset, "fold": fold, "folds": folds}


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
