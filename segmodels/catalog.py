"""Which checkpoints there are, and where each comes from.

A name is looked up in the folders of `GARMENTSCOPE_MODELS` (separated as in PATH), then among the embedded ones. What
runs a network takes seconds to import, so it is imported when one is loaded: a list of names needs none of it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from segmodels.segmenter import Segmenter

__all__ = ["EMBEDDED", "CatalogEntry", "list_checkpoints", "load_segmenter"]

EMBEDDED = Path(__file__).parent / "embedded"
"""Folder of the checkpoints that ship with the package."""


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A checkpoint that can be had: its name, where it comes from and its folder."""

    name: str
    source: Literal["folder", "embedded"]
    folder: Path


def list_checkpoints() -> list[CatalogEntry]:
    """All segmentation networks by name; of two with one name, the one that `load_segmenter` would take."""
    places: list[tuple[Literal["folder", "embedded"], Path]] = [
        ("folder", Path(folder)) for folder in os.environ.get("GARMENTSCOPE_MODELS", "").split(os.pathsep) if folder
    ]
    places.append(("embedded", EMBEDDED))
    found: dict[str, CatalogEntry] = {}
    for source, place in places:
        for config in sorted(place.glob("[!.]*/config.json")):  # what is hidden is a save that was cut off
            if config.parent.resolve() == (EMBEDDED / "person").resolve():
                continue
            found.setdefault(config.parent.name, CatalogEntry(config.parent.name, source, config.parent))
    return sorted(found.values(), key=lambda entry: entry.name)


def load_segmenter(name: str = "fpn") -> Segmenter:
    """A segmenter, ready to run.

    Args:
        name: A catalog name, or the folder of a checkpoint.

    Raises:
        CheckpointError: If there is no such checkpoint, or it is damaged.
    """
    from segmodels.checkpoint import CheckpointError, load_checkpoint
    from segmodels.segmenter import Segmenter

    for entry in list_checkpoints():
        if entry.name == name:
            return Segmenter(load_checkpoint(entry.folder, entry.name))
    if Path(name).is_dir():
        return Segmenter(load_checkpoint(Path(name)))
    known = ", ".join(entry.name for entry in list_checkpoints()) or "none"
    raise CheckpointError(
        f"There is no model {name!r}. Installed: {known}. Name one of them, or the folder of a checkpoint."
    )
