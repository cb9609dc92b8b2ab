"""A team's week in the app, from a product feed over a moodboard and slides to an alert that the next feed raises."""

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from photo_server import PhotoServer, running_photos
from PIL import Image
from playwright.sync_api import Page, expect
from pptx import Presentation
from streamlit_page import settle

from segmodels.archive.changes import read_log
from segmodels.archive.store import Archive

APP = Path(__file__).parent / "week_app.py"
EXAMPLES = Path(__file__).parents[2] / "dashboard" / "data" / "examples"
COATS = (0, 1, 3, 5, 7, 8)
"""Coats among the eight photos of each month."""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def address(serve: Callable[..., str], cache: Path, more_models: Path) -> str:
    own = {"GARMENTSCOPE_CACHE": str(cache), "GARMENTSCOPE_MODELS": str(more_models)}
    return serve(APP, own | {"GARMENTSCOPE_PRIVATE_FEEDS": "yes"})  # the shop is on this machine


@pytest.fixture
def shop() -> Iterator[PhotoServer]:
    with running_photos() as found:
        yield found


def picture(number: int) -> bytes:
    """A small photo of those that ship (CC0), each tinted in its own way, so that no two are near-duplicates."""
    photos = sorted(EXAMPLES.glob("*.jpg"))
    photo = Image.open(photos[number % len(photos)]).convert("RGB").resize((96, 144))
    spots = np.random.default_rng(number).integers(0, 256, (6, 4, 3), np.uint8)
    out = io.BytesIO()
    Image.blend(photo, Image.fromarray(spots).resize((96, 144)), 0.6).save(out, "JPEG")
    return out.getvalue()


def publish(shop: PhotoServer, photos: dict[str, tuple[str, str]]) -> None:
    """Lets a shop have these photos, with day and market by name, in its products.json."""
    products = []
    for name, (day, market) in photos.items():
        shop.files.setdefault(f"/looks/{name}", picture(len(shop.files)))
        products.append(
            {
                "handle": name.partition(".")[0],
                "published_at": f"{day}T08:00:00+02:00",
                "tags": [f"market:{market}"],
                "images": [{"src": f"{shop.address}/looks/{name}"}],
            }
        )
    shop.files["/products.json?limit=250&page=1"] = json.dumps({"products": products}).encode()


def spring() -> dict[str, tuple[str, str]]:
    """Eight photos a month, of which more and more show a coat; one has a market that is spelt wrongly."""
    found = {}
    for month, coats in enumerate(COATS, 1):
        for number in range(8):
            name = f"{'coat' if number < coats else 'shirt'}{month}{number}.jpg"
            found[name] = (f"2026-{month:02}-{2 + 3 * number:02}", "South" if number % 2 else "North")
    return found | {"shirt10.jpg": ("2026-01-02", "Nroth")}


def upload(page: Page, label: str, name: str, data: bytes) -> None:
    settle(page)
    file = {"name": name, "mimeType": "application/octet-stream", "buffer": data}
    uploader = page.get_by_test_id("stFileUploader").filter(has_text=label)
    uploader.locator("input[type=file]").set_input_files(file)  # type: ignore[arg-type]
    settle(page)


def choose(page: Page, label: str, value: str) -> None:
    """Chooses or types a value in a list that can be searched."""
    settle(page)
    box = page.get_by_role("combobox", name=label)
    if box.input_value() != value:
        box.fill(value)
        box.press("Enter")
        settle(page)
        expect(box).to_have_value(value)


def add(page: Page, shop: PhotoServer, into: str = "") -> None:
    """Adds the photos of a shop's feed on the Archive page."""
    box = page.get_by_label("Or the address of a product feed")
    box.fill(f"{shop.address}/products.json")
    box.press("Enter")
    expect(page.get_by_text("Shopify products.json")).to_be_visible()
    if into:
        choose(page, "Archive (choose one", into)
    settle(page)
    page.get_by_role("button", name="Add photos").click()


def care(page: Page, action: str) -> None:
    """Unfolds the care of the archive at an action."""
    settle(page)
    box = page.get_by_role("combobox", name="Action")
    if not box.is_visible():
        page.get_by_text("Care: delete photos").first.click()
        expect(box).to_be_visible()
    choose(page, "Action", action)


def taken(page: Page, button: str) -> bytes:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=button, exact=True).last.click()
    return Path(waiting.value.path()).read_bytes()


def test_a_week_of_a_team(page: Page, address: str, cache: Path, shop: PhotoServer) -> None:
    archive = Archive(cache / "archives" / "Spring")
    page.goto(f"{address}/archive")
    publish(shop, spring())
    add(page, shop, "Spring")
    expect(page.get_by_text("48 photos added to Spring.")).to_be_visible()

    care(page, "Set tags from a CSV")
    upload(page, "CSV with file_name", "fix.csv", b"file_name,market\nshirt10.jpg,North\n")
    page.get_by_role("button", name="Apply tags").click()
    expect(page.get_by_text("1 photo has new tags or dates")).to_be_visible()

    page.goto(f"{address}/trends?archive=Spring")
    page.get_by_role("link", name="Coat up").click()  # the riser
    expect(page.locator(".st-key-trends-lines .js-plotly-plot")).to_be_visible()
    settle(page)
    page.get_by_role("button", name="Views", exact=True).click()
    page.get_by_label("Save this view as").fill("Coats")
    page.get_by_role("button", name="Save view").click()
    expect(page.get_by_text("nothing has changed since.")).to_be_visible()
    page.keyboard.press("Escape")
    settle(page)

    page.get_by_role("button", name="Gallery and moodboard").click()
    dialog = page.get_by_role("dialog")
    for name in ("coat67.jpg, 2026-06-23", "coat66.jpg, 2026-06-20"):
        dialog.get_by_text(name).click()
    expect(dialog.get_by_text("2 chosen.")).to_be_visible()
    dialog.get_by_role("button", name="Arrange").click()
    board = Presentation(io.BytesIO(taken(page, "Slide (PowerPoint)")))
    assert "coat67.jpg, 2026-06-23" in [each.text_frame.text for each in board.slides[0].shapes if each.has_text_frame]
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Export", exact=True).click()
    slides = Presentation(io.BytesIO(taken(page, "Slides (PowerPoint)"))).slides
    assert slides[0].shapes.title.text_frame.text.startswith("Coat: 0% in January 2026, 100% in June 2026")
    page.keyboard.press("Escape")
    settle(page)

    page.get_by_role("button", name="Alerts", exact=True).click()
    choose(page, "Tell me when", "Coat")
    share = page.get_by_label("% of outfits")
    share.fill("55")
    share.press("Enter")
    settle(page)
    page.get_by_role("button", name="Set alert").click()
    expect(page.get_by_text("Coat above 55%")).to_be_visible()

    page.goto(f"{address}/archive")
    settle(page)
    care(page, "Delete photos")
    page.get_by_label("File names, one per line").fill("coat30.jpg")
    page.get_by_text("Privacy request").click()
    settle(page)
    page.get_by_label("Type DELETE to confirm").fill("DELETE")
    page.get_by_label("Type DELETE to confirm").press("Enter")
    settle(page)
    page.get_by_role("button", name="Delete 1 photo").click()
    expect(page.get_by_text("1 photo deleted, for good.")).to_be_visible()
    assert len(json.loads(taken(page, "receipt.json"))["sha256"]) == 1

    page.goto(f"{address}/archive")
    july = {f"coat7{number:02}.jpg": (f"2026-07-{number + 1:02}", "North") for number in range(30)}
    left = {name: row for name, row in spring().items() if name not in ("coat30.jpg", "shirt10.jpg")}
    publish(shop, left | july)
    add(page, shop)
    expect(page.get_by_text("30 photos added to Spring. 46 photos were there already.")).to_be_visible()
    assert {count for path, count in shop.asked.items() if "/looks/" in path} == {1}, "no photo is fetched twice"
    entry = page.get_by_text("Alert").filter(has_text="Coat above 55%. Coat: 68.8%")
    expect(entry.first).to_be_visible()

    page.goto(f"{address}/trends?archive=Spring")
    expect(page.get_by_text("Coat above 55%. Coat: 68.8%").first).to_be_visible()
    page.get_by_role("button", name="Views (1)").click()
    opened = page.get_by_role("combobox", name="Open a view")
    opened.fill("Coats")
    opened.press("Enter")
    expect(page.get_by_text("with 48 outfits").first).to_contain_text("; now 77 outfits")
    done = [entry.what for entry in read_log(archive.place)][::-1]
    assert done == ["ingest", "retag", "save view", "set alert", "delete", "ingest", "alert"]
