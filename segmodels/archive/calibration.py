"""The calibration behind the presence in the rows of an archive."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

from segmodels.archive.facts import Facts
from segmodels.archive.shows import read_shows
from segmodels.archive.store import Archive, Version
from segmodels.checkpoints.catalog import list_checkpoints
from segmodels.files import open_regular, read_json
from segmodels.inference.presence import Calibration, read_calibration
from segmodels.settings import read_settings
from segmodels.taxonomy import taxonomy_of

__all__ = ["installed_calibration", "opened_facts"]


def installed_calibration(version: Version) -> Calibration | None:
    """The calibration of the installed checkpoint of the same model and revision; None if there is none.

    Args:
        version: Version of the rows.
    """
    for entry in list_checkpoints():
        if entry.name == version.model and version.revision == (entry.revision or _revision(entry.folder)):
            try:
                config = dict(read_json(entry.folder / "config.json"))
                return read_calibration(entry.folder, taxonomy_of(config))
            except (OSError, TypeError, ValueError):
                return None
    return None


def _revision(folder: Path) -> str:
    """Revision of a checkpoint that is not from the Hub; empty if its weights cannot be read."""
    file = folder / "model.safetensors"
    try:
        found = file.stat()
        return _digest(file, found.st_mtime_ns, found.st_size)
    except OSError:
        return ""


@lru_cache(maxsize=64)
def _digest(file: Path, changed: int, size: int) -> str:
    with open_regular(file) as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()[:12]


@contextmanager
def opened_facts(
    archive: Archive, version: Version, *, kinds: bool = False
) -> Iterator[tuple[Facts, dict[str, float]]]:
    """The facts of an archive as Trends counts them, and the standard errors of shares from the calibration.

    Args:
        archive: The archive.
        version: Version of the rows.
        kinds: Whether kinds are counted where classes have some.

    Raises:
        ArchiveError: If it cannot be read.
    """
    calibration = installed_calibration(version)
    correlations = calibration.correlations if calibration else ()
    errors = dict(calibration.share_errors) if calibration else {}
    with archive.reader(version) as reader:
        southern = read_settings().southern
        facts = Facts(
            reader,
            archive.taxonomy(version),
            southern=southern,
            correlations=correlations,
            kinds=kinds,
            shows=read_shows(archive.place),
        )
        if errors and facts.division:  # a kind has the error of its class
            errors = {part: errors.get(name, 0.0) for part, name in facts.division.class_of.items()}
        yield facts, errors
