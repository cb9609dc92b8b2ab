"""Paths on the command line, and what a command says when the system refuses."""

from __future__ import annotations

import argparse
import errno
import os
from pathlib import Path

from segmodels.sentences import first_line

__all__ = ["path_argument", "place_argument", "refusal"]

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


def place_argument(text: str) -> str:
    """A folder or a URI as it was typed, with the home folder for a `~` at its start.

    Shells leave the `~` of `--out=~/results` as it is, and make an empty text of a variable that is not set, which
    would be the current folder.

    Args:
        text: The argument.

    Raises:
        argparse.ArgumentTypeError: If it is empty.
    """
    if not text.strip():
        raise argparse.ArgumentTypeError("the path is empty; a dot is the current folder")
    return os.path.expanduser(text)  # noqa: PTH111  # Path would make s3:/ of s3://, and fails on the ~ of nobody


def path_argument(text: str) -> Path:
    """A path as it was typed, as `place_argument` reads it.

    Args:
        text: The argument.

    Raises:
        argparse.ArgumentTypeError: If it is empty.
    """
    return Path(place_argument(text))


def refusal(error: OSError | MemoryError | RuntimeError) -> str:
    """The sentence on what the system has refused to a command.

    Args:
        error: The error of the system, or a lack of memory.
    """
    reason = first_line(error) or type(error).__name__
    if not isinstance(error, OSError):
        return f"The command ended: {reason}. Close other programs, or give it less at once; what is done is kept."
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    where = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in name) or "A file"
    if error.errno in _NO_SPACE:
        return f"No space is left for {where}. Free some and run the same command again; what is done is kept."
    if error.strerror is None:
        return str(error)
    return f"{where} cannot be used: {reason}. Check the path and its permissions."
