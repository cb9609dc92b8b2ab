"""What a stopped fit goes on from, and what keeps it from going on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from segmodels.errors import GarmentscopeError

__all__ = ["FitError", "another_recipe", "read_resume"]


class FitError(GarmentscopeError, RuntimeError):
    """A fit that cannot start or go on; the message says why, and what is kept."""


def another_recipe(out: Path) -> FitError:
    """What is raised where the folder of a run belongs to a fit of another recipe."""
    return FitError(f"{out} holds a fit of another recipe. Name another folder with --out, or delete this one.")


def read_resume(path: Path, check: Callable[[dict[str, Any]], object]) -> dict[str, Any] | None:
    """The state that a fit left in its resume file; None if there is no such file.

    Args:
        path: Path of the resume file. Nothing in it is run: it is loaded with `weights_only`.
        check: Function that fails on a state that no fit left; what it returns is not used.

    Raises:
        FitError: If the file is damaged.
    """
    if not path.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        check(state)
    except Exception:  # a damaged file makes torch raise whatever it trips over
        raise FitError(f"{path} is damaged. Delete it, and the same command starts from the first epoch.") from None
    return state
