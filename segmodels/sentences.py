"""Parts of the sentences that say to people what was found."""

from __future__ import annotations

import re
from collections.abc import Sequence

__all__ = ["counted", "first_line", "listed", "visible"]

_UNSEEN = re.compile(  # control, direction, halves of characters
    "[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_DETAIL = re.compile(r"^.* Detail: \[errno \d+\] ", re.DOTALL)  # with which pyarrow repeats number and path
_NO_MEMORY = re.compile("can(?:no|')t allocate memory", re.IGNORECASE)  # of PyTorch and of the system


def counted(number: int, noun: str) -> str:
    """A number with its noun: `1 photo`, `1,234 photos`.

    Args:
        number: Number of things.
        noun: What they are, in the singular, with a plural in s.
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first names, and how many more there are: `a, b and 3 more`. A name that comes again counts once.

    Args:
        names: Names to list.
        most: Largest number of names that are written out.
    """
    unique = list(dict.fromkeys(map(visible, names)))
    more = len(unique) - most
    return ", ".join(unique[:most]) + (f" and {more:,} more" if more > 0 else "")


def visible(text: str) -> str:
    """A text on one line, without what would move the cursor or turn the direction of a terminal or a page.

    Args:
        text: Text, such as a file's name, that anybody may have written.
    """
    return _UNSEEN.sub("\N{REPLACEMENT CHARACTER}", text)


def first_line(error: BaseException) -> str:
    """The first line of an error's message, without the full stop at its end, to go on with in a sentence.

    Args:
        error: The error. Of one of the system, what the system says, without its number and path; of a lack of memory,
            that there is too little, however it is worded; of bytes that are no text, that they are none.
    """
    if isinstance(error, UnicodeDecodeError):
        return "it is not text in UTF-8"
    if isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)):
        return "there is not enough memory"
    text = (error.strerror if isinstance(error, OSError) else None) or str(error)
    text = _DETAIL.sub("", text)
    return text.partition("\n")[0].rstrip(". ")
