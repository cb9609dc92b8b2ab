"""Pulls from the Hub that run beside the pages: one thread each, none twice for a name."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from segmodels.hub.client import Progress

__all__ = ["Bring", "Pull", "begin", "progress_sentence", "running"]

Bring = Callable[[str, "Progress"], object]
"""Pulls a name, and tells how many bytes of how many are there."""

_pulls: dict[str, Pull] = {}  # that are not over, by name
_register = threading.Lock()


def _bring(name: str, progress: Progress) -> object:
    from segmodels.checkpoints.catalog import pull_checkpoint

    return pull_checkpoint(name, progress)


class Pull:
    """A checkpoint on its way from the Hub.

    Args:
        name: Name of the model in the catalog.
        bring: Function that pulls the checkpoint; called in the pull's thread.

    Attributes:
        phase: Where it is.
        done: Bytes that are there.
        total: Bytes of all files; 0 until the Hub has said it.
        error: Why it failed, as a sentence.
    """

    def __init__(self, name: str, bring: Bring = _bring) -> None:
        self.name = name
        self.phase: Literal["running", "done", "failed"] = "running"
        self.done, self.total = 0, 0
        self.error = ""
        self._bring = bring
        self._thread = threading.Thread(target=self._run, name=f"pull-{name}", daemon=True)

    @property
    def live(self) -> bool:
        """Whether it is not over yet."""
        return self.phase == "running"

    @property
    def share(self) -> float:
        """Of the bytes that are there, 0 to 1."""
        return min(self.done / self.total, 1.0) if self.total else 0.0

    def wait(self, seconds: float) -> None:
        """Waits until it is over, but no longer than so many seconds."""
        self._thread.join(seconds)

    def start(self) -> None:
        """Begins; `begin` sees to it that no other pulls the same."""
        self._thread.start()

    def _run(self) -> None:
        try:
            self._bring(self.name, self._note)
            self.phase = "done"
        except Exception as error:  # a thread has nobody else to tell
            self.error = _explained(error)
            self.phase = "failed"

    def _note(self, done: int, total: int) -> None:
        self.done, self.total = done, total


def begin(name: str, bring: Bring = _bring) -> Pull:
    """Starts to pull in a thread, or joins the pull that is under way."""
    with _register:
        _drop_finished()
        if name not in _pulls:
            _pulls[name] = Pull(name, bring)
            _pulls[name].start()
        return _pulls[name]


def running() -> dict[str, Pull]:
    """The pulls of this server that are not over yet, by name."""
    with _register:
        _drop_finished()
        return dict(_pulls)


def progress_sentence(done: int, total: int) -> str:
    """How far a pull is: `41 of 98 MB`."""
    if not total:
        return "Asking the Hub for the files."
    if done >= total:
        return "Checking the files."
    unit, name = (1e6, "MB") if total >= 1e5 else (1e3, "kB")
    digits = 1 if total / unit < 10 else 0
    return f"{done / unit:.{digits}f} of {total / unit:.{digits}f} {name}"


def _explained(error: Exception) -> str:
    from segmodels.checkpoints.checkpoint import CheckpointError

    if isinstance(error, CheckpointError):
        return str(error)
    # What others say may quote a header, and so a token.
    return f"The pull broke off ({type(error).__name__}). What was pulled before is still there. Try again."


def _drop_finished() -> None:
    for name in [name for name, pull in _pulls.items() if not pull.live]:
        del _pulls[name]
