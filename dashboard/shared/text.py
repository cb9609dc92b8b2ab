"""Text for pages: escaped text of visitors, and names as part of a sentence."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dashboard.shared.visitor import without_folders

__all__ = ["join_names", "literal"]


def literal(text: str) -> str:
    """Text on one line with all Markdown characters escaped; `without_folders`, as an error may name a file."""
    return re.sub(r"([\\`*_{}\[\]()#+.!|<>~$:&=@^-])", r"\\\1", " ".join(without_folders(text).split()))


def join_names(names: Sequence[str], last: str = "or") -> str:
    """Names as part of a sentence: hat, belt or scarf.

    Args:
        names: Names, at least one.
        last: Word before the last of several.
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"
