"""The Archive page in a real browser, with a tiny checkpoint."""

import io
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from archive_rows import rows_of
from PIL import Image
from playwright.sync_api import Page, expect
from streamlit_page import assert_fits, settle

from segmodels.archive.store import Archive

APP = Path(__file__).parents[3] / "dashboard" / "app.py"
TABLE = b"file_name,taken_at,market\nlook0.jpg,2024-03-05,Paris\nlook1.jpg,2024-04-01,Milan\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def address(serve: Callable[..., str], folder: Path, more_models: Path) -> str:
    return serve(APP, {"GARMENTSCOPE_CACHE": str(folder), "GARMENTSCOPE_MODELS": str(more_models)})


@pytest.fixture
def cache(folder: Path) -> Path:
    """The folder of the app's own archives, which holds none yet."""
    shutil.rmtree(folder / "archives", ignore_errors=True)
    return folder


@pytest.fixture
def page(page: Page, address: str, cache: Path) -> Page:
    page.goto(f"{address}/archive")
    expect(page.get_by_role("button", name="Add photos")).to_be_visible()
    return page


def jpeg(seed: int) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 4, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).resize((40, 60)).save(out, "JPEG")
    return out.getvalue()


def add(page: Page, files: dict[str, bytes], into: str = "") -> None:
    """Uploads, chooses the tiny model and perhaps an archive, presses the button.

    In this order: files that are chosen while the page is drawn anew never arrive. The browser reads them from the
    disk, quicker than they are sent to it.
    """
    settle(page)
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / name for name in files]
        for path, data in zip(paths, files.values(), strict=True):
            path.write_bytes(data)
        page.locator("input[type=file]").set_input_files(paths)
        expect(page.get_by_text("uploaded.")).to_contain_text(f"{len(files)} file")
    model = page.get_by_role("combobox", name="Model")
    if model.input_value() != "tiny":
        model.fill("tiny")
        model.press("Enter")
    if into:
        name = page.get_by_role("combobox", name="Archive (choose one")
        name.fill(into)
        name.press("Enter")
    page.get_by_role("button", name="Add photos").click()


def test_photos_go_in_and_the_same_again_adds_nothing(page: Page, cache: Path) -> None:
    photos = {f"look{number}.jpg": jpeg(number) for number in range(3)}

    add(page, {**photos, "looks.csv": TABLE}, "Spring 2024")
    expect(page.get_by_text("3 photos added to Spring 2024.")).to_be_visible()
    entry = page.locator("article.archive").filter(has_text="Spring 2024")  # below stands the one that ships
    expect(entry.get_by_role("heading", name="Spring 2024")).to_be_visible()
    expect(entry.locator("dd").first).to_have_text("3")
    expect(entry).to_contain_text("2024-03-05 to 2024-04-01, 1 without date")
    expect(entry).to_contain_text("Milan 1, Paris 1")
    assert_fits(page)

    add(page, photos)
    expect(page.get_by_text("Nothing new in Spring 2024. 3 photos were there already.")).to_be_visible()
    expect(entry.locator("dd").first).to_have_text("3")
    assert len(rows_of(Archive(cache / "archives" / "Spring 2024"))) == 3

    add(page, {"letter.jpg": b"Dear tailor, this is no photo at all."})
    expect(page.get_by_text("1 of 1 photo rejected (see rejected.csv). Nothing was added.")).to_be_visible()
    with page.expect_download() as waiting:
        page.get_by_role("button", name="rejected.csv").first.click()
    assert "letter.jpg is text, not a photo" in Path(waiting.value.path()).read_text(encoding="utf-8")


def test_a_file_over_the_limit_of_the_segment_page_goes_in(page: Page, cache: Path) -> None:
    add(page, {"large.jpg": jpeg(1) + bytes(21 * 1024**2)})
    expect(page.get_by_text("1 photo added to My photos.")).to_be_visible()
    assert len(rows_of(Archive(cache / "archives" / "My photos"))) == 1
