from dataclasses import dataclass

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from dashboard.segment.state import SegmentState
from dashboard.shared.page_state import page_state

SCRIPT = """
import streamlit as st

from dashboard.segment.state import SegmentState
from dashboard.shared.page_state import page_state

state = page_state(SegmentState)
state.intake += 1
st.text(str(state.intake))
st.button("Start over", on_click=state.start_over)
"""


def test_all_runs_of_a_session_have_the_same_object_and_other_sessions_have_their_own() -> None:
    page, other = (AppTest.from_string(SCRIPT).run() for _ in range(2))
    assert page.run().text[0].value == "2"
    assert page.button[0].click().run().text[0].value == "4", "the callback's object too"
    assert other.run().text[0].value == "2" and not page.exception


def test_an_object_of_a_class_that_was_imported_anew_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass
    class Older:
        photo: str = "0001"

    Older.__name__ = SegmentState.__name__
    session: dict[str, object] = {SegmentState.__name__: Older()}
    monkeypatch.setattr(st, "session_state", session)
    state = page_state(SegmentState)
    assert isinstance(state, SegmentState) and session == {SegmentState.__name__: state}
    assert page_state(SegmentState) is state
