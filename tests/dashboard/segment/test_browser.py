"""The running app in a real browser, with the embedded network."""

import io
import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect
from portrait import portrait
from streamlit_page import WAIT, assert_fits, drawn, settle

from segmodels.taxonomy import OUTFIT_15

APP = Path(__file__).parents[3] / "dashboard" / "app.py"


@pytest.fixture(scope="module")
def address(serve: Callable[[Path], str]) -> str:
    return serve(APP)


@pytest.fixture
def page(page: Page, address: str) -> Page:
    page.goto(address)
    expect(page.get_by_role("heading", name="Drop an outfit photo")).to_be_visible()
    return page


def uploader(page: Page) -> Locator:
    return page.locator("input[type=file]").first


def upload(page: Page, name: str, data: bytes) -> None:
    uploader(page).set_input_files({"name": name, "mimeType": "image/png", "buffer": data})


def download(page: Page, button: str) -> bytes:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=button, exact=True).click()
    return Path(waiting.value.path()).read_bytes()


def test_from_photo_to_garments_and_downloads(page: Page) -> None:
    upload(page, "look.png", portrait())
    expect(page.get_by_role("heading", name="Segment")).to_be_visible()
    listing = json.loads(download(page, "JSON"))
    names = [garment["class"] for garment in listing["garments"]]
    assert names, "no garment found"

    chip = page.locator("button[aria-pressed]:visible", has_text=names[0]).first
    expect(chip).to_have_attribute("aria-pressed", "true")
    chip.click()
    expect(chip).to_have_attribute("aria-pressed", "false")

    class_map = Image.open(io.BytesIO(download(page, "Class map (PNG)")))
    ids = set(np.unique(np.asarray(class_map)).tolist())
    assert (class_map.mode, class_map.size) == ("P", (512, 512))
    assert {OUTFIT_15[name].id for name in names} <= ids <= set(range(15))
    worn = {garment.id for garment in OUTFIT_15.worn}
    assert ids & worn == {OUTFIT_15[name].id for name in names}

    page.get_by_role("button", name="Cut out one garment").click()
    with page.expect_download() as waiting:
        page.get_by_test_id("stPopoverBody").get_by_role("button", name=names[0]).click()
    cut = Image.open(io.BytesIO(Path(waiting.value.path()).read_bytes()))
    assert (cut.mode, list(cut.size)) == ("RGBA", listing["garments"][0]["box"][2:])
    page.keyboard.press("Escape")
    assert_fits(page)


def large(path: Path, megabytes: float) -> Path:
    """A file that begins as a JPEG; a browser reads it from the disk, quicker than it is sent to it."""
    path.write_bytes(b"\xff\xd8\xff")
    os.truncate(path, int(megabytes * 1024**2))
    return path


def sentences(page: Page) -> Locator:
    """What the page says of files that could not be read; the uploader's own tiles have alerts of theirs."""
    return page.get_by_test_id("stAlertContainer")


def test_a_file_over_the_limit_alone_is_a_sentence(page: Page, tmp_path: Path) -> None:
    expect(page.get_by_role("application")).to_be_visible()
    settle(page)
    page.get_by_test_id("stFileUploaderDropzone").evaluate(
        """(zone) => {
          const files = new DataTransfer();
          files.items.add(new File([new Uint8Array(21 * 1024 ** 2)], "banner.jpg", { type: "image/jpeg" }));
          zone.dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true, cancelable: true }));
        }"""
    )
    expect(sentences(page)).to_contain_text("banner.jpg has 21.0 MB, more than the 20 MB allowed")
    uploader(page).set_input_files(large(tmp_path / "poster.jpg", 20.5))
    expect(sentences(page)).to_contain_text("poster.jpg has 20.5 MB, more than the 20 MB allowed")
    upload(page, "look.png", portrait())
    expect(page.get_by_role("heading", name="Segment")).to_be_visible()
    expect(sentences(page)).to_have_count(0)


def test_a_file_that_cannot_be_used_is_named_and_the_others_are_done(page: Page, tmp_path: Path) -> None:
    (tmp_path / "look.png").write_bytes(portrait())
    billboard, poster = large(tmp_path / "billboard.jpg", 31), large(tmp_path / "poster.jpg", 22)
    uploader(page).set_input_files([billboard, tmp_path / "look.png", poster])
    expect(page.get_by_role("button", name="Class map (PNG)")).to_be_visible()
    for text in ("billboard.jpg has 31.0 MB", "poster.jpg has 22.0 MB"):
        expect(sentences(page)).to_contain_text(text)
    expect(page.get_by_text("1 other photo is done.")).to_be_visible()

    page.get_by_role("button", name="Add photos").click()
    uploader(page).set_input_files(large(tmp_path / "hoarding.jpg", 25))
    expect(sentences(page)).to_contain_text("hoarding.jpg has 25.0 MB")
    expect(sentences(page)).not_to_contain_text("poster.jpg")
    expect(page.get_by_role("button", name="Class map (PNG)")).to_be_visible()

    upload(page, "letter.jpg", b"Dear tailor, this is no photo at all.")
    expect(sentences(page)).to_contain_text("letter.jpg is text, not a photo")
    expect(sentences(page)).not_to_contain_text("hoarding.jpg")
    expect(page.get_by_text("1 other photo is done.")).to_be_visible()
    expect(page.get_by_role("button", name="Class map (PNG)")).to_be_visible()


def test_a_pasted_photo_is_taken_and_so_is_one_dropped_beside_the_uploader(page: Page) -> None:
    settle(page)
    give = """async ([kind, colour]) => {
      const canvas = new OffscreenCanvas(60, 90), context = canvas.getContext("2d");
      context.fillStyle = colour;
      context.fillRect(0, 0, 60, 90);
      const files = new DataTransfer();
      const blob = await canvas.convertToBlob({ type: "image/png" });
      files.items.add(new File([blob], "image.png", { type: "image/png" }));
      const how = { bubbles: true, cancelable: true };
      const event = kind === "paste"
        ? new ClipboardEvent("paste", { clipboardData: files, ...how })
        : new DragEvent("drop", { dataTransfer: files, ...how });
      document.querySelector("h1").dispatchEvent(event);
      return event.defaultPrevented;
    }"""
    while not page.evaluate(give, ["paste", "#a33"]):  # nobody listens yet
        drawn(page)
    expect(page.get_by_role("heading", name="Segment")).to_be_visible()
    expect(page.get_by_role("application")).to_have_attribute("aria-label", re.compile(r"Photo pasted-[-\d]+\.png "))
    settle(page)
    assert page.evaluate(give, ["drop", "#3a3"]), "a browser would open it instead of the page"
    expect(page.get_by_role("application")).to_have_attribute("aria-label", re.compile(r"Photo image\.png "))


def test_a_reload_shows_the_same_photos_and_another_visitor_none(page: Page, browser: Browser, address: str) -> None:
    upload(page, "private.png", portrait())
    expect(page.get_by_role("heading", name="Segment")).to_be_visible()
    with browser.new_context() as context:
        context.set_default_timeout(WAIT)
        other = context.new_page()
        other.goto(address)
        expect(other.get_by_role("heading", name="Drop an outfit photo")).to_be_visible()
        assert "private.png" not in other.content()
    page.reload()
    expect(page.get_by_role("heading", name="Segment")).to_be_visible()
    expect(page.get_by_role("application")).to_have_attribute("aria-label", re.compile("Photo private.png "))
    page.get_by_role("button", name="Forget now").click()
    expect(page.get_by_role("heading", name="Drop an outfit photo")).to_be_visible()
    assert "visit=" not in page.url
