"""All the ways in which photos come in."""

from __future__ import annotations

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest


def _script() -> None:
    from dashboard.shared.uploads import more_ways

    more_ways("photos")


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://192.168.1.20:8501/", False),  # a phone on the same network
        ("http://studio.lan:8501/segment", False),
        ("http://localhost.shop.example/", False),
        ("https://shop.example/", True),
        ("http://localhost:8501/", True),
        ("http://127.0.0.7:8501/", True),
        ("http://[::1]:8501/", True),
        ("http://looks.localhost:8501/", True),
        ("", True),
    ],
)
def test_a_page_where_browsers_withhold_the_camera_says_why(
    url: str, allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(st.context), "url", property(lambda _: url))
    page = AppTest.from_function(_script).run()
    said = [each.value for each in page.caption]
    assert [each.label for each in page.toggle] == (["Use the camera"] if allowed else [])
    assert any("only on pages opened by https://" in each for each in said) is not allowed and not page.exception
