"""Packages that only some commands need: the extras of `pyproject.toml`."""

from __future__ import annotations

import importlib.util

__all__ = ["missing_extra"]


def missing_extra(extra: str, *modules: str) -> str:
    """A sentence that says which extra to install; empty if all of the modules are installed.

    Args:
        extra: Name of the extra.
        *modules: Modules that the command imports and that only the extra brings.
    """
    for module in modules:
        if importlib.util.find_spec(module) is None:
            return f'This command needs {module}, which is not installed: pip install "garmentscope[{extra}]"'
    return ""
