"""The Trends page in a real browser, from an ingest to every view, click and download."""

import io
import re
import zipfile
from datetime import date
from pathlib import Path
from urllib.parse import parse_qs, urlparse

import pandas as pd
import pytest
from playwright.sync_api import Page, expect
from pptx import Presentation
from streamlit_page import WAIT, assert_fits, chart_of, on_a_phone, settle

APP = Path(__file__).parents[3] / "dashboard" / "app.py"
VIEWS = {
    "What is worn": {"Side by side": "trends-groups", "Areas": "trends-areas"},
    "How it moves": {"Rising and falling": "trends-movements", "Forecast": "trends-forecast"},
    "With what": {"Rules": "trends-rules-pairs", "Companions": "trends-companions"},
    "In which colours": {
        "Palettes": "trends-palettes",
        "One garment": "trends-colours",
        "Two garments": "trends-colour-pairs",
        "Over time": "trends-lines",
    },
}
"""Key of the chart by tab and view, of those that no other test clicks in."""


@pytest.fixture(scope="module")
def address(serve, ingested: Path, photo_folder: Path) -> str:  # type: ignore[no-untyped-def]
    return serve(APP, {"GARMENTSCOPE_ARCHIVE": str(ingested), "GARMENTSCOPE_PHOTOS": str(photo_folder)})


@pytest.fixture
def page(page: Page, address: str) -> Page:
    page.goto(f"{address}/trends")
    expect(page.locator(".photo-cards")).to_be_visible(timeout=WAIT)
    settle(page)
    return page


def click(page: Page, key: str, x: float, y: float) -> None:
    """Clicks at a place of a chart's axes, as plotly has laid them out."""
    chart = chart_of(page, key)
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
    return float(chart_of(page, key).evaluate(script, [axis, name]))


def behind(page: Page, heading: str, outfits: int) -> None:
    """The photos of what was clicked stand there."""
    panel = page.locator(".st-key-trends-photos")
    expect(panel.get_by_role("heading", name=heading, exact=True)).to_be_visible(timeout=WAIT)
    expect(panel.get_by_text(f"{outfits} outfits")).to_be_visible()
    expect(panel.locator("figure")).to_have_count(min(6, outfits))
    image = panel.get_by_role("img", name="Photo of photo look").first
    assert image.evaluate("image => image.naturalWidth") == 40


def taken(page: Page, menu: str, form: str, name: str, *, stays: bool = False) -> bytes:
    """What a menu gives in one of its forms; the menu stays open until it is closed."""
    button = page.get_by_role("button", name=form)
    if not button.is_visible():
        page.get_by_role("button", name=menu, exact=True).click()
    with page.expect_download() as waiting:
        button.click()
    assert waiting.value.suggested_filename == name
    if stays:
        expect(button).to_be_visible()
    page.keyboard.press("Escape")
    return Path(waiting.value.path()).read_bytes()


def click_first(page: Page, key: str) -> str:
    """Clicks the first thing of a chart that has photos behind it; gives its code."""
    chart = chart_of(page, key)
    chart.scroll_into_view_if_needed()
    left, top, code = chart.evaluate(
        """chart => {
            const { xaxis, yaxis } = chart._fullLayout, box = chart.getBoundingClientRect();
            const trace = chart._fullData.find(each => each.customdata?.length);
            const point = chart.calcdata[trace.index][0], bar = trace.type === "bar";
            return [box.x + xaxis._offset + xaxis.c2p(bar ? point.b + point.s / 2 : point.x),
                    box.y + yaxis._offset + yaxis.c2p(bar ? point.p : point.y), trace.customdata[0]];
        }"""
    )
    page.mouse.move(left - 3, top)
    page.mouse.move(left, top)
    page.mouse.click(left, top)
    return str(code)


def test_from_a_filter_over_clicks_to_photos_and_report(page: Page) -> None:
    behind(page, "Footwear", 60)
    click(page, "trends-shares", 0.05, place(page, "trends-shares", "yaxis", "Hat"))
    behind(page, "Hat", 10)

    page.get_by_role("button", name="Filters").click()
    page.get_by_role("combobox", name="Must include all of").fill("Footw")  # of a long list only a part is drawn
    page.get_by_role("option", name="Footwear", exact=True).click()
    page.wait_for_url("**garments=Footwear*")
    settle(page)
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(page.get_by_text("Filters: Footwear.")).to_be_visible()

    page.get_by_role("tab", name="With what").click()
    expect(page.locator(".st-key-trends-matrix")).to_be_visible(timeout=WAIT)
    assert "garments=Footwear" in page.url
    hat, coat = (place(page, "trends-matrix", axis, name) for axis, name in (("xaxis", "Hat"), ("yaxis", "Coat")))
    click(page, "trends-matrix", hat, coat)
    behind(page, "Hat with Coat", 10)
    assert_fits(page)

    rows = pd.read_csv(io.BytesIO(taken(page, "Download", "Data (CSV)", "trends-matrix.csv")))
    assert len(rows) == 66 and {"lift", "jaccard", "npmi", "p"} <= set(rows)
    names = pd.read_parquet(io.BytesIO(taken(page, "File names", "Data (Parquet)", "trends-names.parquet")))
    assert sorted(names["file_name"]) == [f"look{number:02d}.jpg" for number in range(0, 30, 3)]

    page.get_by_role("button", name="Export", exact=True).click()
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


def saved(page: Page, button: str) -> bytes:
    """What a button gives."""
    with page.expect_download() as waiting:
        page.get_by_role("button", name=button, exact=True).last.click()
    return Path(waiting.value.path()).read_bytes()


def test_tables_slides_and_a_moodboard(page: Page) -> None:
    page.get_by_role("button", name="Export", exact=True).click()
    with zipfile.ZipFile(io.BytesIO(saved(page, "Tables (Excel)"))) as book:
        assert b'name="What is worn"' in book.read("xl/workbook.xml")
    deck = Presentation(io.BytesIO(saved(page, "Slides (PowerPoint)")))
    assert deck.slides[0].shapes.title.text_frame.text == "Most worn: Footwear in 100% and Coat in 50% of outfits"
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Gallery and moodboard").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("Footwear: 60 outfits.")).to_be_visible(timeout=WAIT)
    dialog.get_by_text("Newest", exact=True).click()
    for name in ("look59.jpg, 2023-12-05", "look47.jpg, 2023-12-04"):
        dialog.get_by_text(name).click()
    expect(dialog.get_by_text("2 chosen.")).to_be_visible()
    dialog.get_by_role("button", name="Arrange").click()
    expect(dialog.get_by_role("button", name="PDF")).to_be_visible(timeout=WAIT)
    assert saved(page, "PDF").startswith(b"%PDF")
    (slide,) = Presentation(io.BytesIO(saved(page, "Slide (PowerPoint)"))).slides
    assert "look59.jpg, 2023-12-05" in [each.text_frame.text for each in slide.shapes if each.has_text_frame]


@on_a_phone
def test_a_point_of_a_line_and_an_edge_of_the_network(page: Page) -> None:
    page.get_by_role("tab", name="How it moves").click()
    x, y = chart_of(page, "trends-lines").evaluate(
        """chart => {
            const line = chart._fullData.find(trace => trace.name === "Coat");
            return [chart._fullLayout.xaxis.d2l(line.x[4]), line.y[4]];
        }"""
    )
    click(page, "trends-lines", x, y)
    behind(page, "Coat, May 2023", 3)

    page.get_by_role("tab", name="With what").click()
    page.get_by_role("radio", name="Network").click()
    x, y = chart_of(page, "trends-network").evaluate(
        """chart => {
            const edges = chart._fullData.find(trace => trace.name === "edges");
            const place = edges.customdata.findIndex(code => code.includes("Hat") && code.includes("Coat"));
            return [edges.x[place], edges.y[place]];
        }"""
    )
    click(page, "trends-network", x, y)
    behind(page, "Hat with Coat", 10)


def test_every_view_shows_the_photos_of_a_click_and_a_link_opens_it_again(page: Page) -> None:
    for tab, views in VIEWS.items():
        page.get_by_role("tab", name=tab).click()
        for view, key in views.items():
            page.get_by_role("radio", name=view, exact=True).click()
            code = click_first(page, key)
            page.wait_for_url(lambda url, shown=f"{key}:{code}": parse_qs(urlparse(url).query).get("photos") == [shown])
            settle(page)
            expect(page.get_by_role("alert")).to_have_count(0)
    heading = page.locator(".st-key-trends-photos h3").inner_text()
    png = taken(page, "Download", "Picture (PNG)", f"{key}.png")
    drawn = taken(page, "Download", "Picture (SVG)", f"{key}.svg", stays=True).decode()
    assert png.startswith(b"\x89PNG") and "</svg>" in drawn
    title, tspans = page.locator("h3").first.inner_text(), "".join(re.findall(r">([^<]+)<", drawn))
    for part in (
        title,
        "Filters: none.",
        "60 photos, 60 outfits, 2023-01-01 to 2023-12-05, analysed by fake abc123",
        f"Garmentscope, {date.today():%Y-%m-%d}",
    ):
        assert part.replace(" ", "") in tspans.replace(" ", ""), "a picture says what it shows"
    page.goto(page.url)
    chart_of(page, key)
    expect(page.locator(".st-key-trends-photos h3")).to_have_text(heading)


def test_back_goes_to_the_view_and_then_the_page_before(page: Page) -> None:
    """Also: the sentence and the chart stand in the first 400 pixels, and a part of the sentence opens its chart."""
    top = page.locator(".st-key-trends-shares").bounding_box()
    assert top and top["y"] < 400
    page.get_by_role("link", name="Hat with Coat 2.0 times as often as expected by chance").click()
    page.wait_for_url("**tab=With+what*")
    behind(page, "Hat with Coat", 10)
    page.go_back()
    page.wait_for_url("**tab=What+is+worn*")
    behind(page, "Footwear", 60)
    page.go_forward()
    behind(page, "Hat with Coat", 10)

    page.get_by_role("link", name="Evaluation").click()
    expect(page.get_by_role("heading", name="Evaluation", level=1)).to_be_visible()
    page.wait_for_url("**/evaluation?models=*&on=*")  # both at once: Evaluation is one entry to which Back leads
    settle(page)
    page.get_by_role("link", name="Trends").click()
    expect(page.locator(".photo-cards")).to_be_visible(timeout=WAIT)
    settle(page)
    page.go_back()
    expect(page.get_by_role("heading", name="Evaluation", level=1)).to_be_visible()
    page.go_back()
    behind(page, "Hat with Coat", 10)
