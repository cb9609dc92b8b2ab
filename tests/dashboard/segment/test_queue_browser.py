"""Two visitors of the running app, whose photos wait until the test lets one after the other be done."""

import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect
from streamlit_page import PHONE, WAIT

SCRIPT = Path(__file__).with_name("gated_app.py")


class Gate:
    """How many photos may be done."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.open(0)

    def open(self, count: int) -> None:
        (self.folder / "next").write_text(str(count))
        (self.folder / "next").replace(self.folder / "open")

    @property
    def begun(self) -> list[str]:
        file = self.folder / "begun"
        return file.read_text().splitlines() if file.exists() else []

    def wait_for(self, name: str) -> None:
        """Waits until a photo has begun."""
        pause = threading.Event()
        for _ in range(WAIT // 20):
            if name in self.begun:
                return
            pause.wait(0.02)
        pytest.fail(f"{name} has not begun, but {self.begun}.")


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    gate = Gate(tmp_path)
    yield gate
    gate.open(10_000)


@pytest.fixture
def address(serve: Callable[..., str], gate: Gate, more_models: Path) -> str:
    """A server of this test with one worker."""
    own = {"GATE": str(gate.folder), "OMP_NUM_THREADS": "1", "GARMENTSCOPE_MODELS": str(more_models)}
    return serve(SCRIPT, own, fresh=True)


@pytest.fixture
def visitor(browser: Browser, address: str) -> Iterator[Callable[[], Page]]:
    """Opens a page of another visitor each time."""
    contexts = []

    def visit() -> Page:
        contexts.append(browser.new_context(viewport=PHONE))
        contexts[-1].set_default_timeout(WAIT)
        page = contexts[-1].new_page()
        page.goto(address)
        expect(page.get_by_role("heading", name="Drop an outfit photo")).to_be_visible()
        return page

    yield visit
    for context in contexts:
        context.close()


def upload(page: Page, *names: str) -> None:
    files = []
    for name in names:
        out = io.BytesIO()
        pixels = np.random.default_rng(list(name.encode())).integers(0, 256, (48, 32, 3), np.uint8)
        Image.fromarray(pixels).save(out, "PNG")
        files.append({"name": name, "mimeType": "image/png", "buffer": out.getvalue()})
    page.locator("input[type=file]").first.set_input_files(files)  # type: ignore[arg-type]


def test_fifty_photos_of_one_visitor_do_not_block_the_one_of_another(
    page: Page, address: str, gate: Gate, visitor: Callable[[], Page]
) -> None:
    page.goto(address)
    upload(page, *(f"one{number:02}.png" for number in range(50)))
    gate.wait_for("one00.png")
    expect(page.get_by_text("1 of 50, one00.png.")).to_be_visible()

    other = visitor()
    upload(other, "two.png")
    expect(other.get_by_text("1 of 1, two.png. 2 photos before yours.")).to_be_visible()
    gate.open(1)
    expect(other.get_by_text("1 photo before yours.")).to_be_visible()
    gate.open(3)
    expect(other.get_by_role("button", name="Class map (PNG)").first).to_be_visible()
    expect(page.get_by_text("3 of 50, one02.png.")).to_be_visible()

    gone = visitor()
    upload(gone, "gone.png")
    last = visitor()
    upload(last, "last.png")
    expect(last.get_by_text("3 photos before yours.")).to_be_visible()
    gone.context.close()
    expect(last.get_by_text("2 photos before yours.")).to_be_visible()

    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("heading", name="Segment")).to_be_visible()
    expect(page.get_by_role("button", name="All 2 (ZIP)")).to_be_visible()
    expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
    gate.open(5)
    gate.wait_for("last.png")
    expect(last.get_by_text("photos before yours.")).to_have_count(0)
    expect(last.get_by_role("button", name="Class map (PNG)").first).to_be_visible()
    assert gate.begun == ["one00.png", "one01.png", "two.png", "one02.png", "last.png"]
