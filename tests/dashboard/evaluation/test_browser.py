"""The Evaluation page in a real browser: choose models, sort, click a cell of the matrix, read the photos listed."""

import csv
import io
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from streamlit_page import PHONE, assert_fits, chart_of, settle

APP = Path(__file__).parents[3] / "dashboard" / "app.py"


@pytest.fixture(scope="module")
def address(serve, scored_models: Path, photo_folder: Path) -> str:  # type: ignore[no-untyped-def]
    return serve(APP, {"GARMENTSCOPE_MODELS": str(scored_models), "GARMENTSCOPE_DATA": str(photo_folder)})


@pytest.fixture
def page(page: Page, address: str) -> Page:
    page.goto(f"{address}/evaluation?models=sharp,old")
    expect(page.locator(".photo-cards")).to_have_count(2)
    expect(page.locator("table.leaderboard")).to_be_visible()
    settle(page)
    for section in ("Confusion matrix, and the photos behind each cell", "Best and worst photos"):
        page.get_by_text(section).click()
    chart_of(page, "evaluation-matrix")
    return page


def click_cell(page: Page, truth: str, predicted: str) -> None:
    """Clicks where the matrix has a cell, as plotly has laid it out."""
    chart = chart_of(page, "evaluation-matrix")
    chart.scroll_into_view_if_needed()
    x, y = chart.evaluate(
        """(chart, [truth, predicted]) => {
            const { xaxis, yaxis } = chart._fullLayout, box = chart.getBoundingClientRect();
            const at = (axis, name) => axis._offset + axis.l2p(axis.ticktext.indexOf(name));
            return [box.x + at(xaxis, predicted), box.y + at(yaxis, truth)];
        }""",
        [truth, predicted],
    )
    page.mouse.click(x, y)


def test_from_the_models_chosen_to_the_photos_of_a_cell(page: Page) -> None:
    page.get_by_role("button", name="Choose models").click()
    page.get_by_role("button", name="Remove old").click()
    page.get_by_role("combobox", name="In the charts").click()
    page.get_by_role("option", name="blunt", exact=True).click()
    page.keyboard.press("Escape")
    page.wait_for_url("**models=sharp*blunt*")
    settle(page)
    page.keyboard.press("Escape")

    click_cell(page, "Pants", "Pants")
    expect(page.get_by_text("Pants recognised in 8 photos")).to_be_visible()
    click_cell(page, "Coat", "Shirt")
    expect(page.get_by_text("Coat predicted as Shirt in 8 photos; the 6 that add most to it")).to_be_visible()
    listed = page.locator(".photo-cards").first.locator("figcaption")
    expect(listed.first).to_have_text("0008 160 pixels, 22% of the cell")
    assert [text[:4] for text in listed.all_inner_texts()] == ["0008", "0007", "0006", "0005", "0004", "0003"]
    for picture in ("Photo", "Truth", "Prediction"):
        image = page.get_by_role("img", name=f"{picture} of photo 0008").first
        expect(image).to_be_visible()
        assert image.evaluate("image => image.naturalWidth") == 40
    chart = chart_of(page, "evaluation-matrix")
    places = (
        "chart => [chart._fullLayout.yaxis, chart._fullLayout.xaxis].map((axis, i) => axis.ticktext["
        "chart._fullLayout.shapes[0][i ? 'x0' : 'y0'] + 0.5])"
    )
    assert chart.evaluate(places) == ["Coat", "Shirt"], "the frame is around it"
    page.get_by_role("radio", name="Pixels").click()
    expect(page.get_by_role("combobox", name="Cell (or click in the matrix)")).to_have_value(
        "Coat predicted as Shirt: 720 pixels"
    )
    assert_fits(page)


def test_the_leaderboard_sorts_and_says_where_a_number_comes_from(page: Page) -> None:
    expect(page.locator("table.leaderboard tbody th")).to_have_text(["sharp", "old", "blunt"])
    cells = page.locator("table.leaderboard tbody tr").first.locator("td:visible")
    expect(cells).to_have_count(11)
    page.get_by_role("button", name="Parameters").click()
    expect(page.locator("table.leaderboard tbody th").last).to_have_text("sharp")
    head = page.locator("table.leaderboard th[aria-sort=ascending]")
    expect(head).to_contain_text("Parameters")
    head.get_by_role("button").click()
    expect(page.locator("table.leaderboard tbody th").first).to_have_text("sharp")
    cells.first.click()
    expect(page.locator(".leaderboard-note")).to_contain_text("sharp, Mean IoU")
    expect(page.locator(".leaderboard-note")).to_contain_text("Measured on Clothing Co-Parsing, eight.txt (8 photos)")

    page.set_viewport_size(PHONE)
    expect(cells).to_have_count(2)
    page.get_by_label("Sort by").select_option(index=0)
    page.get_by_label("Sort by").select_option("parameters")
    expect(page.locator("table.leaderboard tbody th").last).to_have_text("sharp")


def test_charts_are_to_be_had_as_data_and_picture(page: Page) -> None:
    page.locator(".st-key-evaluation-matrix-menu button").click()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Data (CSV)").click()
    rows = list(csv.DictReader(io.StringIO(Path(waiting.value.path()).read_text())))
    assert len(rows) == 15 * 15 and {"truth", "prediction", "share_of_truth"} <= set(rows[0])
    assert waiting.value.suggested_filename == "evaluation-matrix.csv"
    page.keyboard.press("Escape")
    page.locator(".st-key-evaluation-classes-menu button").click()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Picture (PNG)").click()
    assert Path(waiting.value.path()).read_bytes().startswith(b"\x89PNG")
