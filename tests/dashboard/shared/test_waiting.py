"""Waiting beside the script: it says how long it has been, and lets Streamlit stop the script."""

from concurrent.futures import Future
from typing import Any

import pytest

from dashboard.shared import waiting


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which goes on by a second with each wait."""
    now = [0.0]
    monkeypatch.setattr(waiting.time, "monotonic", lambda: now[0])

    def wait(futures: Any, *arguments: Any) -> None:
        now[0] += 1.0
        if now[0] == 4.0:
            futures[0].set_result("done")

    monkeypatch.setattr(waiting, "wait", wait)
    return now


def test_the_seconds_are_said_until_it_is_done(clock: list[float]) -> None:
    said: list[float] = []
    future: Future[str] = Future()
    waiting.finished(future, said.append)
    assert future.result() == "done" and said == [1.0, 2.0, 3.0, 4.0]


def test_the_script_may_be_stopped_meanwhile(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    class Stopped(BaseException):
        pass

    def stop() -> None:
        if clock[0] == 2.0:
            raise Stopped

    monkeypatch.setattr(waiting, "_stop_if_asked", stop)
    with pytest.raises(Stopped):
        waiting.finished(Future(), lambda seconds: None)
    assert clock == [2.0]
