"""Pulls from the Hub that run in the background, one at a time per name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dashboard.shared import background

if TYPE_CHECKING:
    from segmodels.hub.client import Progress

__all__ = ["Bring", "Pull", "begin", "progress_sentence", "running"]

Bring = Callable[[str, "Progress"], object]
"""Function that pulls a checkpoint by name and reports the bytes received and in total."""


def _bring(name: str, progress: Progress) -> object:
    from segmodels.checkpoints.catalog import pull_checkpoint

    return pull_checkpoint(name, progress)


class Pull(background.Task):
    """A checkpoint on its way from the Hub.

    Args:
        name: Name of the model in the catalog.
        bring: Function that pulls the checkpoint; called in the pull's thread.

    Attributes:
        done: Bytes received.
        total: Bytes of all files; 0 until known.
    """

    def __init__(self, name: str, bring: Bring = _bring) -> None:
        super().__init__(name)
        self.name = name
        self.done, self.total = 0, 0
        self._bring = bring

    @property
    def share(self) -> float:
        """Share of the bytes received, 0 to 1."""
        return min(self.done / self.total, 1.0) if self.total else 0.0

    def work(self) -> None:
        """Pulls the checkpoint."""
        self._bring(self.name, self._note)

    def explain(self, error: Exception) -> str:
        """Message for the visitor: the error's own message if it is meant for visitors."""
        from segmodels.checkpoints.errors import CheckpointError

        if isinstance(error, CheckpointError):
            return str(error)
        # Messages of other libraries may quote a header, and so a token.
        return f"The pull failed ({type(error).__name__}). A revision pulled before is kept. Try again."

    def _note(self, done: int, total: int) -> None:
        self.done, self.total = done, total


def begin(name: str, bring: Bring = _bring) -> Pull:
    """Starts a pull in a thread, or returns the one that is running."""
    return background.begin(Pull(name, bring))


def running() -> dict[str, Pull]:
    """The unfinished pulls of this server, by name."""
    return {pull.name: pull for pull in background.running(Pull)}


def progress_sentence(done: int, total: int) -> str:
    """Progress of a pull: `41 of 98 MB`."""
    if not total:
        return "Requesting the files from the Hub."
    if done >= total:
        return "Checking the files."
    unit, name = (1e6, "MB") if total >= 1e5 else (1e3, "kB")
    digits = 1 if total / unit < 10 else 0
    return f"{done / unit:.{digits}f} of {total / unit:.{digits}f} {name}"
