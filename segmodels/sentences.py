"""Parts of the sentences that say to people what was found."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["first_line", "listed"]

_NO_MEMORY = re.compile("can(?:no|')t allocate memory", re.IGNORECASE)  # of PyTorch and of the system


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many more there are: `a, b and 3 more`. A name that comes again counts once.

    Args:
        names: Names to list.
        most: Largest number of names that are written out.
    """
    unique = list(dict.fromkeys(names))
    more = len(unique) - most
    return ", ".join(unique[:most]) + (f" and {more:,} more" if more > 0 else "")


def first_line(error: BaseException) -> str:
    """The first line of an error's message, without the full stop at its end, to go on with in a sentence.

    Args:
        error: The error. Of one of the system, what the system says, without its number and path; of a lack of memory,
            that there is too little, however it is worded.
    """
    if isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)):
        return "there is not enough memory"
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return text.partition("\n")[0].rstrip(". ")
