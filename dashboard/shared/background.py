"""Background tasks: one thread each, in one registry per server, never two for the same thing.

A task goes on when its visitor leaves the page; `running` finds it again.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from typing import Literal, TypeVar

__all__ = ["Phase", "StoppedError", "Task", "begin", "running"]

Phase = Literal["waiting", "loading", "running", "done", "stopped", "failed"]

_tasks: dict[tuple[type[Task], str], Task] = {}  # unfinished tasks by class and key
_register = threading.Lock()


class StoppedError(Exception):
    """Raised within a task that was asked to stop."""


class Task(ABC):
    """Work in a thread of its own.

    Args:
        key: Name of the thing that the task works on; a second task of the same class for it does not begin.
        phase: Phase in which the task begins.

    Attributes:
        phase: Phase in which the task is now.
        error: Sentence that says why the task failed; empty if it did not.
    """

    def __init__(self, key: str, phase: Phase = "running") -> None:
        self.key = key
        self.phase = phase
        self.error = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{type(self).__name__}-{key}", daemon=True)

    @abstractmethod
    def work(self) -> None:
        """Does the work, in the task's thread; calls `check_stop` where it can be left."""

    @abstractmethod
    def explain(self, error: Exception) -> str:
        """The sentence for the visitor when the work has failed."""

    @property
    def live(self) -> bool:
        """Whether the task is unfinished."""
        return self.phase in ("waiting", "loading", "running")

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Asks it to stop as soon as it can; what is done is kept."""
        self._stop.set()

    def check_stop(self) -> None:
        """Ends the work if somebody asked for it.

        Raises:
            StoppedError: If it was asked to stop.
        """
        if self._stop.is_set():
            raise StoppedError

    def wait(self, seconds: float) -> None:
        """Waits until the task has ended, for `seconds` at most."""
        self._thread.join(seconds)

    def _run(self) -> None:
        try:
            self.work()
            self.phase = "done"
        except StoppedError:
            self.phase = "stopped"
        except Exception as error:  # a thread has nobody else to tell
            self.error = self.explain(error)
            self.phase = "failed"


AnyTask = TypeVar("AnyTask", bound=Task)


def begin(task: AnyTask) -> AnyTask:
    """Starts a task, unless one of its class is under way for the same thing.

    Returns:
        The task that is under way: this one or the other.
    """
    with _register:
        _drop_finished()
        place = (type(task), task.key)
        other = _tasks.get(place)
        if isinstance(other, type(task)):
            return other
        _tasks[place] = task
        task._thread.start()
        return task


def running(kind: type[AnyTask]) -> list[AnyTask]:
    """The unfinished tasks of a class, the oldest first."""
    with _register:
        _drop_finished()
        return [task for task in _tasks.values() if isinstance(task, kind)]


def _drop_finished() -> None:
    for place in [place for place, task in _tasks.items() if not task.live]:
        del _tasks[place]
