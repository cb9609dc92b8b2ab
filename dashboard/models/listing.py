"""Checkpoints on the Hub, queried in the background: pages never wait, and show the last answer meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from segmodels.hub.client import HubCheckpoint

__all__ = ["Ask", "Listing"]

Ask = Callable[[], tuple[Sequence["HubCheckpoint"], str]]
"""Function that queries the Hub; returns its checkpoints, and a sentence if it could not be queried."""


def _ask() -> tuple[Sequence[HubCheckpoint], str]:
    from segmodels.checkpoints.catalog import ask_hub

    return ask_hub()


class Listing:
    """The checkpoints of one owner on the Hub, from the last answer.

    Args:
        owner: Owner of the checkpoints.
        ask: Function that asks the Hub; called in a thread of its own.

    Attributes:
        checkpoints: Checkpoints on the Hub, from the last successful answer.
        parameters: Number of parameters by name, for each network whose config can be read.
        problem: Sentence on why the Hub could not be queried; empty if it could.
        answered: Whether a query has ended, successfully or not.
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
        self._changed = time.monotonic()  # when the query began or ended

    @property
    def asking(self) -> bool:
        """Whether a query is running."""
        return self._thread is not None

    @property
    def seconds(self) -> float:
        """Seconds since the running query began, or since the last one ended."""
        return time.monotonic() - self._changed

    def ask(self) -> None:
        """Starts a query unless one is running; returns at once."""
        with self._register:
            if self._thread is None:
                self._changed = time.monotonic()
                self._thread = threading.Thread(target=self._run, name="list-hub", daemon=True)
                self._thread.start()

    def keep_fresh(self, seconds: float) -> None:
        """Starts a query if there is no answer yet, or the answer is older than `seconds`."""
        if not self.answered or (not self.asking and self.seconds > seconds):
            self.ask()

    def wait(self, seconds: float) -> None:
        """Waits for the answer, for `seconds` at most."""
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
    """Number of parameters by name, counted from the configs alone, as the weights are not pulled."""
    from segmodels.checkpoints.checkpoint import count_parameters
    from segmodels.checkpoints.config import read_config

    counts = {}
    for checkpoint in found:
        if checkpoint.folder:
            try:
                counts[checkpoint.name] = count_parameters(read_config(checkpoint.folder))
            except ValueError:
                continue  # pulling it will say why
    return counts
