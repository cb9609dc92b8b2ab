"""Every page in both themes: axe-core finds no serious fault, and on a phone no page is longer than five screens."""

from importlib.resources import files
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from streamlit_page import DESK, PHONE, settle

APP = Path(__file__).parents[2] / "dashboard" / "app.py"
AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
PAGES = ("segment", "compare", "evaluation", "dataset", "archive", "trends", "models")
FAULTS = """async rules => (await axe.run(document, { resultTypes: ["violations"], ...rules })).violations
    .filter(fault => ["serious", "critical"].includes(fault.impact))
    .flatMap(fault => fault.nodes.map(node => `${fault.id}: ${node.target.join(" ")} ${node.html.slice(0, 160)}`))"""
HEIGHT = "document.querySelector('[data-testid=stMain]').scrollHeight"
SMALL = """() => [...document.querySelectorAll("[data-testid=stMain] :is(button, summary, input[role=combobox])")]
    .filter(each => each.checkVisibility() && !each.closest("[role=group] > button, table, .js-plotly-plot")
        && Math.max(each.offsetHeight, each.closest("[role=group]")?.offsetHeight ?? 0) < 43.5)
    .map(each => `${each.textContent || each.ariaLabel} ${each.offsetHeight}`)"""


@pytest.fixture(scope="module")
def address(serve) -> str:  # type: ignore[no-untyped-def]
    return str(serve(APP))


def test_no_page_has_a_serious_fault(page: Page, address: str) -> None:
    found = {}
    for name in PAGES:
        page.emulate_media(color_scheme="light")
        page.goto(f"{address}/{'' if name == 'segment' else name}")
        expect(page.get_by_role("heading", level=1).first).to_be_visible()
        settle(page)
        page.evaluate(AXE)
        faults = page.evaluate(FAULTS, {})
        page.emulate_media(color_scheme="dark")
        expect(page.get_by_test_id("stApp")).to_have_css("background-color", "rgb(18, 19, 20)")
        page.keyboard.press("r")  # the app learns of the theme with its next run
        settle(page)
        if name == "dataset":
            expect(page.locator(".ytick text").first).to_have_css("fill", "rgb(237, 235, 230)")
        faults += page.evaluate(FAULTS, {"runOnly": ["color-contrast", "link-in-text-block"]})  # the rest is the same
        if faults:
            found[name] = faults
        if name not in ("segment", "compare"):
            page.set_viewport_size(PHONE)
            settle(page)
            expect(page.get_by_test_id("stExpandSidebarButton")).to_be_visible()
            assert page.evaluate(HEIGHT) <= 4000, f"{name} is too long for a phone"
            assert page.evaluate("document.documentElement.scrollWidth") == 390
            assert page.evaluate(SMALL) == [], f"targets on {name}"
            if name == PAGES[-1]:
                _choose_in_the_drawer(page, "Models")
            page.set_viewport_size(DESK)
    assert not found, "\n".join(f"{name}: {fault}" for name, faults in found.items() for fault in faults)


def _choose_in_the_drawer(page: Page, name: str) -> None:
    """The drawer opens over the page, and closes once a page was chosen in it."""
    drawer = page.get_by_test_id("stSidebarCollapseButton")
    page.get_by_test_id("stExpandSidebarButton").click()
    expect(drawer).to_be_in_viewport()
    page.get_by_role("link", name=name, exact=True).click()
    expect(drawer).not_to_be_in_viewport()
