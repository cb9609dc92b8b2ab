import threading
from collections.abc import Iterator

import pytest

from dashboard.shared.background import Task, begin, running

WAIT = 60.0


class Waiting(Task):
    """Begins, and goes on when its gate is open."""

    def __init__(self, key: str, gate: threading.Event) -> None:
        super().__init__(key, "waiting")
        self.gate, self.begun = gate, threading.Event()

    def work(self) -> None:
        self.phase = "running"
        self.begun.set()
        assert self.gate.wait(WAIT)
        self.check_stop()
        if self.key == "bad":
            raise KeyError("lost")

    def explain(self, error: Exception) -> str:
        return f"It failed: {type(error).__name__}."


class Other(Waiting):
    """Of another kind."""


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_a_task_is_found_until_it_is_over(gate: threading.Event) -> None:
    task = begin(Waiting("a", gate))
    assert task.begun.wait(WAIT) and task.live and task.phase == "running" and running(Waiting) == [task]
    gate.set()
    task.wait(WAIT)
    assert task.phase == "done" and not task.live and running(Waiting) == []


def test_one_of_a_kind_works_on_a_thing_at_a_time(gate: threading.Event) -> None:
    first = begin(Waiting("a", gate))
    second = Waiting("a", gate)
    assert begin(second) is first and not second.begun.is_set() and second.phase == "waiting"
    elsewhere, other = begin(Waiting("b", gate)), begin(Other("a", gate))
    assert elsewhere.key == "b" and running(Other) == [other]
    assert [task for task in running(Waiting) if type(task) is Waiting] == [first, elsewhere]
    gate.set()
    for task in (first, elsewhere, other):
        task.wait(WAIT)
    assert begin(second) is second, "the first is over"
    second.wait(WAIT)
    assert second.phase == "done"


def test_a_task_that_is_stopped_or_fails_says_so(gate: threading.Event) -> None:
    stopped, failed = begin(Waiting("a", gate)), begin(Waiting("bad", gate))
    stopped.stop()
    assert stopped.stopping and stopped.live
    gate.set()
    stopped.wait(WAIT)
    failed.wait(WAIT)
    assert (stopped.phase, stopped.error) == ("stopped", "")
    assert (failed.phase, failed.error) == ("failed", "It failed: KeyError.")
