"""What the Hub has, asked beside the pages: a slow Hub keeps nobody waiting, and what it said last stays on show."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segmodels.hub.client import HubCheckpoint

__all__ = ["Ask", "Listing"]

Ask = Callable[[], tuple[Sequence["HubCheckpoint"], str]]
"""Asks the Hub; gives what it has, and why it could not be asked."""


def _ask() -> tuple[Sequence[HubCheckpoint], str]:
    from segmodels.checkpoints.catalog import ask_hub

    return ask_hub()


class Listing:
    """The checkpoints of one owner on the Hub, as they were heard of last.

    Args:
        owner: Owner of the checkpoints.
        ask: Function that asks the Hub; called in a thread of its own.

    Attributes:
        checkpoints: What the Hub has; of the last answer, if the Hub gives none now.
        parameters: Of the network of each that could be described, by name.
        problem: Why the Hub could not be asked, as a sentence; empty if it could.
        answered: Whether the Hub ever was asked to the end, be it in vain.
    """

    def __init__(self, owner: str, ask: Ask = _ask) -> None:
        self.owner = owner
        self.checkpoints: Sequence[HubCheckpoint] = ()
        self.parameters: Mapping[str, int] = {}
        self.problem = ""
        self.answered = False
        self._ask = ask
        self._register = threading.Lock()
        self._thread: threading.Thread | None = None
        self._changed = time.monotonic()  # when it began to ask or was told

    @property
    def asking(self) -> bool:
        """Whether the Hub is being asked."""
        return self._thread is not None

    @property
    def seconds(self) -> float:
        """Since the Hub is being asked, or since it answered."""
        return time.monotonic() - self._changed

    def ask(self) -> None:
        """Asks the Hub, unless it is being asked; returns at once."""
        with self._register:
            if self._thread is None:
                self._changed = time.monotonic()
                self._thread = threading.Thread(target=self._run, name="list-hub", daemon=True)
                self._thread.start()

    def keep_fresh(self, seconds: float) -> None:
        """Asks the Hub if it never was, or its answer is older than so many seconds."""
        if not self.answered or (not self.asking and self.seconds > seconds):
            self.ask()

    def wait(self, seconds: float) -> None:
        """Waits for the answer, but no longer than so many seconds."""
        if thread := self._thread:
            thread.join(seconds)

    def _run(self) -> None:
        try:
            found, problem = self._ask()
            if not problem:
                self.parameters, self.checkpoints = _count_parameters(found), found
        except Exception as error:  # a thread has nobody else to tell; the error's own words may quote a token
            problem = f"The Hub could not be queried ({type(error).__name__}). Try again later."
        self.problem = problem
        self.answered = True
        self._changed = time.monotonic()
        self._thread = None


def _count_parameters(found: Iterable[HubCheckpoint]) -> dict[str, int]:
    """Of what is not pulled, the config alone is here: its network is built, without values, and counted."""
    from segmodels.checkpoints.checkpoint import count_parameters, read_config

    counts = {}
    for checkpoint in found:
        if checkpoint.folder:
            try:
                counts[checkpoint.name] = count_parameters(read_config(checkpoint.folder))
            except ValueError:
                continue  # pulling it will say why
    return counts
