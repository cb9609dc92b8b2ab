"""The Trends page in a real browser: filter, click bar, cell and point, read the photos, take it away."""

import csv
import io
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from streamlit_page import WAIT, settle

APP = Path(__file__).parents[3] / "dashboard" / "app.py"


@pytest.fixture(scope="module")
def address(serve, sixty: Path, photo_folder: Path) -> str:  # type: ignore[no-untyped-def]
    return serve(APP, {"GARMENTSCOPE_ARCHIVE": str(sixty), "GARMENTSCOPE_PHOTOS": str(photo_folder)})


@pytest.fixture
def page(page: Page, address: str) -> Page:
    page.goto(f"{address}/trends")
    expect(page.locator(".photo-cards")).to_be_visible(timeout=WAIT)
    settle(page)
    return page


def click(page: Page, key: str, x: float, y: float) -> None:
    """Clicks at a place of a chart's axes, as plotly has laid them out."""
    settle(page)
    chart = page.locator(f".st-key-{key} .js-plotly-plot")
    chart.scroll_into_view_if_needed()
    left, top = chart.evaluate(
        """(chart, [x, y]) => {
            const { xaxis, yaxis } = chart._fullLayout, box = chart.getBoundingClientRect();
            return [box.x + xaxis._offset + xaxis.l2p(x), box.y + yaxis._offset + yaxis.l2p(y)];
        }""",
        [x, y],
    )
    page.mouse.move(left - 3, top)
    page.mouse.move(left, top)
    page.mouse.click(left, top)


def place(page: Page, key: str, axis: str, name: str) -> float:
    script = "(chart, [axis, name]) => chart._fullLayout[axis].ticktext.indexOf(name)"
    return float(page.locator(f".st-key-{key} .js-plotly-plot").evaluate(script, [axis, name]))


def behind(page: Page, heading: str, outfits: int) -> None:
    """The photos of what was clicked stand there."""
    panel = page.locator(".st-key-trends-photos")
    expect(panel.get_by_role("heading", name=heading, exact=True)).to_be_visible(timeout=WAIT)
    expect(panel.get_by_text(f"{outfits} outfits")).to_be_visible()
    expect(panel.locator("figure")).to_have_count(min(6, outfits))
    image = panel.get_by_role("img", name="Photo of photo look").first
    assert image.evaluate("image => image.naturalWidth") == 40


def test_from_a_filter_over_clicks_to_photos_and_report(page: Page) -> None:
    behind(page, "Footwear", 60)
    click(page, "trends-shares", 0.05, place(page, "trends-shares", "yaxis", "Hat"))
    behind(page, "Hat", 10)

    page.get_by_role("button", name="Garments").click()
    page.get_by_role("combobox", name="Outfits with all of").fill("Footw")  # of a long list only a part is drawn
    page.get_by_role("option", name="Footwear", exact=True).click()
    page.wait_for_url("**garments=Footwear*")
    settle(page)
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(page.get_by_text("Only: Footwear")).to_be_visible()

    page.get_by_role("tab", name="With what").click()
    expect(page.locator(".st-key-trends-matrix")).to_be_visible(timeout=WAIT)
    assert "garments=Footwear" in page.url
    hat, coat = (place(page, "trends-matrix", axis, name) for axis, name in (("xaxis", "Hat"), ("yaxis", "Coat")))
    click(page, "trends-matrix", hat, coat)
    behind(page, "Hat with Coat", 10)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")

    with page.expect_download() as waiting:
        page.locator(".st-key-trends-matrix-csv button").click()
    rows = list(csv.DictReader(io.StringIO(Path(waiting.value.path()).read_text())))
    assert len(rows) == 66 and {"lift", "jaccard", "npmi", "p"} <= set(rows[0])
    with page.expect_download() as waiting:
        page.locator(".st-key-trends-names button").click()
    names = [row["file_name"] for row in csv.DictReader(io.StringIO(Path(waiting.value.path()).read_text()))]
    assert sorted(names) == [f"look{number:02d}.jpg" for number in range(0, 30, 3)]

    page.get_by_role("button", name="Take it away").click()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Report (HTML)").click()
    report = page.context.new_page()
    asked: list[str] = []
    report.on("request", lambda request: asked.append(request.url))
    saved = Path(waiting.value.path()).with_suffix(".html")
    saved.write_bytes(Path(waiting.value.path()).read_bytes())
    report.goto(saved.as_uri())
    expect(report.locator(".js-plotly-plot")).to_have_count(4)
    expect(report.get_by_role("heading", level=2).first).to_have_text("What is worn together")
    expect(report.get_by_text("Filters: Footwear")).to_be_visible()
    expect(report.get_by_text("60 photos, 60 outfits")).to_be_visible()
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == [], "nothing is fetched"
    report.close()


def test_a_point_of_a_line_and_an_edge_of_the_network(page: Page) -> None:
    page.get_by_role("tab", name="How it moves").click()
    chart = page.locator(".st-key-trends-lines .js-plotly-plot")
    expect(chart).to_be_visible(timeout=WAIT)
    settle(page)
    x, y = chart.evaluate(
        """chart => {
            const line = chart._fullData.find(trace => trace.name === "Coat");
            return [chart._fullLayout.xaxis.d2l(line.x[4]), line.y[4]];
        }"""
    )
    click(page, "trends-lines", x, y)
    behind(page, "Coat, May 2023", 3)

    page.get_by_role("tab", name="With what").click()
    page.get_by_role("radio", name="Network").click()
    chart = page.locator(".st-key-trends-network .js-plotly-plot")
    expect(chart).to_be_visible(timeout=WAIT)
    settle(page)
    x, y = chart.evaluate(
        """chart => {
            const edges = chart._fullData.find(trace => trace.name === "edges");
            const place = edges.customdata.findIndex(code => code.includes("Hat") && code.includes("Coat"));
            return [edges.x[place], edges.y[place]];
        }"""
    )
    click(page, "trends-network", x, y)
    behind(page, "Hat with Coat", 10)


def test_a_chart_is_to_be_had_as_a_picture(page: Page) -> None:
    chart = page.locator(".st-key-trends-shares .js-plotly-plot")
    chart.scroll_into_view_if_needed()
    chart.hover()
    with page.expect_download() as waiting:
        chart.locator(".modebar-btn").click()
    assert Path(waiting.value.path()).read_bytes().startswith(b"\x89PNG")
