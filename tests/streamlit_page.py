"""What the tests of all pages need: how long they wait, when a page is still, and a page that a link opens."""

from typing import TypeVar

import pytest
from playwright.sync_api import Locator, Page, ViewportSize, expect
from streamlit.testing.v1 import AppTest

State = TypeVar("State")

WAIT = 30_000
"""Milliseconds until a test gives up: the machine may do much else, and what comes sooner costs no more."""

QUIET = 400
"""Milliseconds without a change after which none is expected any more."""

DESK: ViewportSize = {"width": 1440, "height": 1000}
PHONE: ViewportSize = {"width": 390, "height": 844}

on_a_phone = pytest.mark.parametrize("page", [PHONE], ids=["390"], indirect=True)
"""For a test whose page is to open on a phone."""


def assert_fits(page: Page) -> None:
    """Nothing is wider than the window, neither as it is nor on a phone; the page is as large as before afterwards."""
    before = page.viewport_size
    assert before
    assert page.evaluate(FITS)
    page.set_viewport_size(PHONE)
    drawn(page)
    assert page.evaluate(FITS)
    page.set_viewport_size(before)


FITS = """[document.documentElement, document.querySelector("[data-testid=stHeader]")].every(
    each => each.scrollWidth <= window.innerWidth
)"""


def settle(page: Page) -> None:
    """Waits until the app has run no script for a while: a click or a file between two runs can be lost."""
    page.evaluate("window.lastChange = performance.now()")
    page.wait_for_function(
        """quiet => {
            const app = document.querySelector("[data-testid=stApp]"), now = performance.now();
            if (app?.dataset.testScriptState !== "notRunning") window.lastChange = now;
            return now - window.lastChange > quiet;
        }""",
        arg=QUIET,
    )


def chart_of(page: Page, key: str) -> Locator:
    """The chart of this key once the page is still: during a run the chart before it may stand beside the new one."""
    chart = page.locator(f".st-key-{key} .js-plotly-plot")
    expect(chart.first).to_be_visible(timeout=WAIT)
    settle(page)
    expect(chart).to_have_count(1, timeout=WAIT)
    return chart


def drawn(page: Page) -> None:
    """Waits until what was asked of the page is on the screen: two frames."""
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def state_of(page: AppTest, kind: type[State]) -> State:
    """A page's state of this kind, as `page_state` makes it: before the first run too, to be changed for it."""
    if kind.__name__ not in page.session_state:
        page.session_state[kind.__name__] = kind()
    found = page.session_state[kind.__name__]
    assert isinstance(found, kind)
    return found


def opened(page: AppTest, **link: str) -> AppTest:
    """The page as it is with these parameters in its address."""
    for key, value in link.items():
        page.query_params[key] = value
    page.run()
    assert not page.exception
    return page


def uploader(page: AppTest):  # type: ignore[no-untyped-def]
    """The uploader of outfit photos."""
    return next(each for each in page.file_uploader if each.label.startswith("Outfit photos"))
