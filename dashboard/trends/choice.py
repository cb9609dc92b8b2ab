"""The archives that can be opened, and the made-up one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dashboard.archive.shelf import MADE_UP, SHIPPED, list_archives
from dashboard.shared.access import may_change, may_read
from dashboard.shared.principal import Principal
from segmodels.archive.sentences import duration
from segmodels.archive.store import Archive
from segmodels.archive.synthetic import make_archive
from segmodels.settings import read_settings

__all__ = ["MADE_UP", "SHIPPED", "Choice", "choices", "make_sample"]

MADE_UP_PHOTOS = 30_000
_SEED = 0


@dataclass(frozen=True)
class Choice:
    """An archive that can be opened.

    Args:
        name: Name of the archive in links.
        location: Location of the archive, as `Archive` takes it.
        title: Title of the archive on the page.
        made_up: Whether its photos are synthetic.
        may_change: Whether the visitor may change it.
    """

    name: str
    location: str
    title: str
    made_up: bool = False
    may_change: bool = False


def choices(who: Principal, environment: Mapping[str, str] = os.environ, shipped: Path = SHIPPED) -> list[Choice]:
    """The archives that a visitor may see, and the made-up one.

    Args:
        who: Who looks.
        environment: Environment variables, as `list_archives` takes them.
        shipped: Folder of archives.
    """
    found = [each for each in list_archives(environment, shipped) if may_read(who, each)]
    sample = Choice(MADE_UP, str(_sample_folder(environment)), MADE_UP, made_up=True)
    return [
        *(Choice(each.name, each.location, each.title, may_change=may_change(who, each)) for each in found),
        sample,
    ]


def make_sample(choice: Choice, progress: Callable[[float, str], object]) -> None:
    """Writes the made-up archive, if it is not there yet.

    Args:
        choice: Archive to write.
        progress: Function that is called with the share of the work done, 0..1, and a sentence.

    Raises:
        ArchiveError: If it cannot be written.
    """
    started = time.monotonic()

    def tell(done: int) -> None:
        left = (time.monotonic() - started) * (MADE_UP_PHOTOS - done) / done if done else None
        text = f"Generating the made-up photos, only once: {done:,} of {MADE_UP_PHOTOS:,}"
        progress(done / MADE_UP_PHOTOS, f"{text}." if left is None else f"{text}, {duration(left)} left.")

    tell(0)
    make_archive(Archive(choice.location), MADE_UP_PHOTOS, _SEED, tell)


def _sample_folder(environment: Mapping[str, str]) -> Path:
    return read_settings(environment).cache / f"made-up-4-{MADE_UP_PHOTOS}-{_SEED}"
