"""axe-core finds no serious fault on any page, in either theme."""

from importlib.resources import files
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from streamlit_page import WAIT, settle

APP = Path(__file__).parents[2] / "dashboard" / "app.py"
AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
PAGES = ("segment", "compare", "evaluation", "dataset", "archive", "trends", "models")
FAULTS = """async () => (await axe.run(document, { resultTypes: ["violations"] })).violations
    .filter(fault => ["serious", "critical"].includes(fault.impact))
    .flatMap(fault => fault.nodes.map(node => `${fault.id}: ${node.target.join(" ")} ${node.html.slice(0, 160)}`))"""


@pytest.fixture(scope="module")
def address(serve) -> str:  # type: ignore[no-untyped-def]
    return str(serve(APP))


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_has_a_serious_fault(browser: Browser, address: str, theme: str) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme=theme)  # type: ignore[arg-type]
    context.set_default_timeout(WAIT)
    page = context.new_page()
    found = {}
    for name in PAGES:
        page.goto(f"{address}/{'' if name == 'segment' else name}")
        expect(page.get_by_role("heading", level=1).first).to_be_visible()
        settle(page)
        page.evaluate(AXE)
        if faults := page.evaluate(FAULTS):
            found[name] = faults
    context.close()
    assert not found, "\n".join(f"{name}: {fault}" for name, faults in found.items() for fault in faults)
