"""Which archives can be opened, and the made-up one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dashboard.archive.made_up import make_archive
from dashboard.archive.shelf import SHIPPED, list_archives
from dashboard.archive.store import Archive

__all__ = ["MADE_UP", "MADE_UP_PHOTOS", "SHIPPED", "Choice", "choices", "make_sample", "shipped_name"]

MADE_UP = "Made-up sample"
MADE_UP_PHOTOS = 30_000
_SEED = 0
_NAMES = {"ccp": "Clothing Co-Parsing"}


@dataclass(frozen=True)
class Choice:
    """An archive that can be opened.

    Args:
        name: In lists and links.
        location: As `Archive` takes it.
        made_up: Whether its photos are no photos.
    """

    name: str
    location: str
    made_up: bool = False


def choices(environment: Mapping[str, str] = os.environ, shipped: Path = SHIPPED) -> list[Choice]:
    """All archives of the Archive page, and the made-up one.

    Args:
        environment: As `list_archives` takes it.
        shipped: Folder of archives.
    """
    found = [
        Choice(shipped_name(each.name) if each.origin == "shipped" else each.name, each.location)
        for each in list_archives(environment, shipped)
    ]
    return [*found, Choice(MADE_UP, str(_sample_folder(environment)), made_up=True)]


def shipped_name(folder: str) -> str:
    """How an archive that comes with the app is called."""
    return _NAMES.get(folder, folder)


def make_sample(choice: Choice) -> None:
    """Writes the made-up archive, if it is not there yet.

    Raises:
        ArchiveError: If it cannot be written.
    """
    make_archive(Archive(choice.location), MADE_UP_PHOTOS, _SEED)


def _sample_folder(environment: Mapping[str, str]) -> Path:
    cache = environment.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "garmentscope" / f"made-up-{MADE_UP_PHOTOS}-{_SEED}"
