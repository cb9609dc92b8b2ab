"""Memory maps of whole files that another process opens for itself.

Processes that load photos are sent the data set as a pickle where they are spawned (Windows, macOS, and Linux from
Python 3.14 on). A memory map is pickled with its content, which may be tens of gigabytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

__all__ = ["as_files", "as_maps"]


class _File(NamedTuple):
    path: Path
    shape: tuple[int, ...]


def as_files(state: Mapping[str, Any]) -> dict[str, Any]:
    """An object's state for `__getstate__`, each memory map of a whole file as that file.

    Args:
        state: Values by name of the attribute.
    """
    return {
        name: _File(Path(value.filename), value.shape) if _is_whole(value) else value for name, value in state.items()
    }


def as_maps(state: Mapping[str, Any]) -> dict[str, Any]:
    """The state that `as_files` was given, for `__setstate__`; the files are opened for reading.

    Args:
        state: What `as_files` gave.
    """
    return {
        name: np.memmap(value.path, np.uint8, "r").reshape(value.shape) if isinstance(value, _File) else value
        for name, value in state.items()
    }


def _is_whole(value: object) -> bool:
    if not isinstance(value, np.memmap) or value.dtype != np.uint8 or value.filename is None:
        return False
    return bool(value.nbytes == Path(value.filename).stat().st_size)
