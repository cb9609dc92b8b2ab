"""The error of a checkpoint that cannot be used; apart from the others, so that it is raised without PyTorch."""

from __future__ import annotations

from segmodels.errors import GarmentscopeError

__all__ = ["AGAIN", "CheckpointError"]

AGAIN = "Get the checkpoint again."
"""What to do about a file of a checkpoint that is missing or damaged, for the end of a message."""


class CheckpointError(GarmentscopeError, ValueError):
    """A checkpoint that cannot be used; the message names the folder, the file and what is wrong with it."""
