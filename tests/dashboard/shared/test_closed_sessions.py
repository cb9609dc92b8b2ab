import gc
import time
import weakref
from types import SimpleNamespace

import pytest
from streamlit.runtime.memory_session_storage import MemorySessionStorage
from streamlit.runtime.session_manager import SessionInfo

from dashboard.shared import closed_sessions


class Session:
    """Stands for Streamlit's: it has an id, and is in a cycle with what it holds."""

    def __init__(self, name: str) -> None:
        self.id = name
        self.held = {"session": self, "photos": bytes(1000)}


def test_a_session_that_is_over_is_forgotten_without_another_one_that_ends() -> None:
    storage = MemorySessionStorage(ttl_seconds=0)
    session = Session("a")
    storage.save(SessionInfo(client=None, session=session))  # type: ignore[arg-type]
    gone = weakref.ref(session)
    gc.collect()
    gc.freeze()  # as when the first visitor's network is loaded
    try:
        del session
        time.sleep(0.01)
        assert closed_sessions.forget_expired(storage) == 1
        closed_sessions._give_back()
        assert gone() is None and gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


def test_one_that_may_come_back_stays() -> None:
    storage = MemorySessionStorage(ttl_seconds=100)
    storage.save(SessionInfo(client=None, session=Session("a")))  # type: ignore[arg-type]
    assert closed_sessions.forget_expired(storage) == 0 and storage.get("a") is not None


def test_a_look_that_fails_is_not_the_last(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    naps = iter([None, None])
    monkeypatch.setattr(closed_sessions, "time", SimpleNamespace(sleep=lambda _: next(naps)))
    monkeypatch.setattr(closed_sessions.keeping, "tidy", lambda: 1 / 0)
    with pytest.raises(StopIteration):  # the third nap
        closed_sessions._look_again_and_again()
    assert len(caplog.records) == 2


def test_a_storage_of_another_make_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    assert closed_sessions.forget_expired(object()) == 0
    monkeypatch.setattr(closed_sessions.runtime, "get_instance", object)
    assert closed_sessions._forgotten() == 0
