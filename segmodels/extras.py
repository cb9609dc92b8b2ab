"""Packages that only some commands and functions need: the extras of `pyproject.toml`."""

from __future__ import annotations

import importlib.util

__all__ = ["missing_extra"]


def missing_extra(extra: str, *modules: str, what: str = "This command") -> str:
    """A sentence that says which extra to install; empty if all of the modules are installed.

    Args:
        extra: Name of the extra.
        *modules: Modules that are imported and that only the extra brings.
        what: Subject of the sentence: what imports the modules.
    """
    for module in modules:
        if importlib.util.find_spec(module) is None:
            return f'{what} needs {module}, which is not installed: pip install "garmentscope[{extra}]"'
    return ""
