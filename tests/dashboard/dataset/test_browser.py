"""The Dataset page in a real browser, with a small made-up folder of photos."""

import csv
import io
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from streamlit_page import PHONE, assert_fits

APP = Path(__file__).parents[3] / "dashboard" / "app.py"


@pytest.fixture(scope="module")
def address(serve, photo_folder: Path) -> str:  # type: ignore[no-untyped-def]
    return serve(APP, {"GARMENTSCOPE_DATA": str(photo_folder)})


@pytest.fixture
def page(page: Page, address: str) -> Page:
    page.goto(f"{address}/dataset")
    expect(page.get_by_role("heading", name="Dataset")).to_be_visible()
    return page


def test_from_pixels_to_photos_and_from_classes_to_labels(page: Page) -> None:
    expect(page.locator(".st-key-ccp-classes-pixels .bartext").first).to_have_text("20.0%")
    page.get_by_role("radio", name="Photos").click()
    expect(page.locator(".st-key-ccp-classes-photos .bartext").first).to_have_text("899")
    page.get_by_role("radio", name="59 labels").click()
    chart = page.locator(".st-key-ccp-labels-photos .js-plotly-plot")
    expect(chart.locator(".bartext")).to_have_count(54)
    expect(chart.locator(".ytick", has_text="sunglasses")).to_be_visible()
    page.locator(".st-key-ccp-labels-photos-menu button").click()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Data (CSV)").click()
    rows = {row["label"]: row for row in csv.DictReader(io.StringIO(Path(waiting.value.path()).read_text()))}
    assert len(rows) == 59 and rows["jeans"]["photos"] == "141"
    assert_fits(page)


def test_the_flow_is_a_picture_and_on_a_phone_a_table(page: Page) -> None:
    picture, table = page.locator(".st-key-dataset-flow-picture"), page.locator(".st-key-dataset-flow-table")
    page.get_by_text("From labels to classes").click()
    expect(picture.locator(".sankey-link")).to_have_count(54)
    expect(picture.locator(".annotation-text", has_text="Scarf/Tie 1.1%")).to_be_visible()
    expect(table).to_be_hidden()
    page.set_viewport_size(PHONE)
    expect(table.locator("tr", has_text="blazer")).to_contain_text("2,517,903")
    expect(table).to_be_visible()
    expect(picture).to_be_hidden()


def test_photos_are_browsed_by_page_by_class_and_one_by_one(page: Page) -> None:
    grid = page.locator(".st-key-dataset-grid")
    expect(grid.get_by_role("img")).to_have_count(12)
    expect(page.locator(".js-plotly-plot .main-svg").last).to_be_attached()
    page.get_by_role("link", name="Browse photos").click()
    expect(page.get_by_role("heading", name="Photos", exact=True)).to_be_in_viewport()
    page.get_by_role("button", name="Page 2", exact=True).click()
    expect(grid.get_by_role("img")).to_have_count(4)
    expect(grid.get_by_role("button", name="0015")).to_be_visible()

    page.get_by_role("combobox").click()
    page.keyboard.type("blazer")
    page.get_by_role("option", name="Coat: blazer").click()
    expect(grid.get_by_role("button", name="0004")).to_be_visible()
    expect(grid.get_by_role("img")).to_have_count(4)
    grid.get_by_role("button", name="0016").click()

    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("1 of 4")).to_be_visible()
    expect(dialog.get_by_role("button", name="Previous")).to_be_disabled()
    stage = dialog.get_by_role("application")
    expect(stage).to_be_visible()
    expect(dialog.get_by_role("slider", name="Opacity")).to_be_visible()
    expect(dialog.get_by_role("slider", name="Confidence")).to_have_count(0)
    stage.press("ArrowRight")
    expect(dialog.locator(".unseen[role=status]")).to_have_text("Pants")
    for place in (2, 3, 4):
        dialog.get_by_role("button", name="Next").click()
        expect(dialog.get_by_text(f"{place} of 4")).to_be_visible()
    expect(dialog.get_by_role("button", name="Next")).to_be_disabled()
    expect(dialog.get_by_text("Photo 0004, 48 x 72 pixels.").first).to_be_attached()
    dialog.get_by_role("button", name="Close").click()
    expect(dialog).to_have_count(0)
    assert_fits(page)
