"""The Compare page in a real browser: the embedded network beside a small one with random weights."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect
from portrait import portrait
from streamlit_page import assert_fits, on_a_phone, settle

from segmodels.taxonomy import OUTFIT_15

APP = Path(__file__).parents[3] / "dashboard" / "app.py"


@pytest.fixture(scope="module")
def address(serve, more_models: Path) -> str:  # type: ignore[no-untyped-def]
    return serve(APP, {"GARMENTSCOPE_MODELS": str(more_models)})


@pytest.fixture
def page(page: Page, address: str) -> Page:
    page.goto(f"{address}/compare?models=blank,tiny")
    expect(page.get_by_role("heading", name="Compare", exact=True)).to_be_visible()
    return page


def upload(page: Page, name: str, data: bytes) -> None:
    """Uploads when no run is under way: Streamlit loses a file that arrives between two runs."""
    settle(page)
    page.locator("input[type=file]").first.set_input_files({"name": name, "mimeType": "image/png", "buffer": data})


def download(page: Page, button: str) -> bytes:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=button, exact=True).click()
    return Path(waiting.value.path()).read_bytes()


def compare(page: Page) -> None:
    """Chooses fpn instead of blank, uploads a photo and waits for the result."""
    page.get_by_role("button", name="Remove blank").click()
    expect(page.get_by_role("button", name="Remove blank")).to_have_count(0)
    box = page.get_by_role("combobox").first
    box.click()
    page.get_by_role("option", name="fpn", exact=True).click()
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Remove fpn")).to_be_visible()
    page.get_by_role("button", name="Add photos").click()
    upload(page, "look.png", portrait())
    expect(page.get_by_test_id("stPopoverBody")).to_have_count(0)
    expect(page.get_by_role("heading", name="Compare", exact=True)).to_be_visible()
    settle(page)  # while it runs, the buttons of the example are there too
    expect(page.get_by_role("button", name="Comparison (PNG)")).to_be_visible()
    expect(page.get_by_role("application").first).to_be_visible()


def test_from_models_and_photo_to_wipe_table_and_downloads(page: Page) -> None:
    compare(page)
    assert "models=tiny,fpn" in page.url.replace("%2C", ",")
    wipe, button = page.get_by_role("slider", name="Wipe"), page.get_by_role("button", name="Wipe", exact=True)
    expect(page.get_by_role("application")).to_have_count(2)
    button.click()
    expect(page.get_by_role("application")).to_have_count(1)
    expect(wipe).to_have_attribute("aria-label", "Wipe: tiny left, fpn right")
    wipe.press("End")
    expect(wipe).to_have_attribute("aria-valuenow", "100")
    wipe.press("ArrowLeft")
    expect(wipe).to_have_attribute("aria-valuenow", "98")
    page.get_by_label("Left side of the wipe").select_option("fpn")
    expect(wipe).to_have_attribute("aria-label", "Wipe: fpn left, tiny right")
    button.click()
    expect(page.get_by_role("application")).to_have_count(2)

    document = json.loads(download(page, "JSON"))
    found = {model["model"]: model["garments"] for model in document["photos"][0]["models"]}
    assert list(found) == ["tiny", "fpn"] and found["fpn"]
    chip = page.locator(".strip .chip", has_text=found["fpn"][0]["class"])
    expect(chip).to_have_attribute("aria-pressed", "true")
    chip.click()
    expect(chip).to_have_attribute("aria-pressed", "false")

    row = page.locator("table.models tbody tr", has_text="fpn")
    expect(row).to_contain_text(found["fpn"][0]["class"])
    expect(row).to_contain_text("4.8 M")
    expect(page.get_by_role("img", name="predict different classes")).to_be_visible()

    rows = list(csv.DictReader(io.StringIO(download(page, "Table (CSV)").decode())))
    assert {row["model"] for row in rows} == {"tiny", "fpn"}
    picture = Image.open(io.BytesIO(download(page, "Comparison (PNG)")))
    assert picture.format == "PNG" and picture.width > 3 * 500
    assert_fits(page)


@on_a_phone
def test_on_a_phone_the_example_opens_with_a_wipe(page: Page, address: str) -> None:
    page.goto(f"{address}/compare?models=fpn,unet")
    expect(page.get_by_role("slider", name="Wipe: fpn left, unet right")).to_be_visible()
    expect(page.get_by_role("application")).to_have_count(1)
    assert_fits(page)


def test_a_mask_turns_disagreement_into_error(page: Page) -> None:
    compare(page)
    out = io.BytesIO()
    Image.fromarray(np.full((512, 512), OUTFIT_15["Coat"].id, np.uint8)).save(out, "PNG")
    page.get_by_role("button", name="Ground truth").click()
    expect(page.get_by_test_id("stPopoverBody")).to_contain_text("named like the photo")
    upload(page, "other.png", b"Dear tailor, this is no mask.")
    expect(page.get_by_test_id("stAlertContainer")).to_contain_text("other.png is not a mask")
    upload(page, "truth.png", out.getvalue())
    expect(page.get_by_role("heading", name="Error map")).to_be_visible()
    expect(page.get_by_role("button", name="Error map (PNG)")).to_be_visible()
    expect(page.locator("table.models tbody tr", has_text="fpn")).to_contain_text("0.", use_inner_text=True)
    scores = json.loads(download(page, "JSON"))["photos"][0]["models"][1]["scores"]
    assert scores["classes"]["Coat"]["pixels"] == 512 * 512
    assert_fits(page)


def test_a_model_that_cannot_be_loaded_is_a_card(page: Page, address: str) -> None:
    page.goto(f"{address}/compare?models=tiny,torn,blank")
    page.get_by_role("button", name="Compare", exact=True).click()
    expect(page.get_by_text("torn not loaded: ")).to_be_visible()
    expect(page.locator("table.models tbody tr")).to_have_count(2)
