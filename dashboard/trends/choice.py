"""Which archives can be opened, and the made-up one."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dashboard.archive.made_up import make_archive
from dashboard.archive.store import Archive

__all__ = ["MADE_UP", "MADE_UP_PHOTOS", "SHIPPED", "Choice", "choices", "make_sample", "shipped_name"]

SHIPPED = Path(__file__).parents[1] / "archives"
"""Each of its folders is an archive that comes with the app."""

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
    """Archives that `GARMENTSCOPE_ARCHIVE` names, those that come with the app, and the made-up one.

    Args:
        environment: With the folders or URIs, separated as in PATH.
        shipped: Folder of archives.
    """
    named = re.split(rf"{re.escape(os.pathsep)}(?!//)", environment.get("GARMENTSCOPE_ARCHIVE", ""))
    found = [Choice(Path(place).name or place, place) for place in named if place]
    folders = sorted(shipped.iterdir()) if shipped.is_dir() else []
    found += [Choice(shipped_name(each.name), str(each)) for each in folders if any(each.glob("*/*@*/*.parquet"))]
    found.append(Choice(MADE_UP, str(_sample_folder(environment)), made_up=True))
    seen: dict[str, int] = {}
    result = []
    for each in found:
        seen[each.name] = seen.get(each.name, 0) + 1
        name = each.name if seen[each.name] == 1 else f"{each.name} ({seen[each.name]})"
        result.append(Choice(name, each.location, each.made_up))
    return result


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
