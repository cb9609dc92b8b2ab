"""A browser's page, and a small data set in the layout of Clothing Co-Parsing."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page
from scipy.io import savemat
from streamlit_page import DESK, WAIT

from segmodels.checkpoints import catalog
from segmodels.taxonomy import CCP_59

PHOTOS = 16
HEIGHT, WIDTH = 72, 48


@pytest.fixture(scope="session")
def context(browser: Browser) -> Iterator[BrowserContext]:
    """One visitor's browser for all tests of this process: it has Streamlit's scripts compiled after the first page."""
    context = browser.new_context(viewport=DESK, accept_downloads=True)
    context.set_default_timeout(WAIT)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page that has gone nowhere yet, of a visitor nobody knows, on a desk; an error in its scripts fails the test.

    A module has a fixture of the same name, which asks for this one and opens what the module tests. Whoever wants
    another size marks the test with `of_size`, or resizes the page in it.
    """
    context.clear_cookies()
    page = context.new_page()
    page.set_viewport_size(getattr(request, "param", DESK))
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    yield page
    page.close()
    assert not errors


@pytest.fixture
def only_fpn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what ships, the default model alone: a page's counts and lists do not hang on which others do."""
    (tmp_path / "embedded").mkdir()
    (tmp_path / "embedded" / "fpn").symlink_to(catalog.EMBEDDED / "fpn")
    monkeypatch.setattr(catalog, "EMBEDDED", tmp_path / "embedded")


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos 0001 to 0016: all wear a red shirt and jeans, every fourth a blazer, larger from one to the next.

    Read it, do not change it.
    """
    return write_photos(tmp_path_factory.mktemp("photos"))


@pytest.fixture
def own_photo_folder(tmp_path: Path) -> Path:
    """The same, to be changed."""
    return write_photos(tmp_path / "ccp")


def write_photos(root: Path) -> Path:
    (root / "photos").mkdir(parents=True)
    (root / "annotations" / "pixel-level").mkdir(parents=True)
    (root / "annotations" / "image-level").mkdir()
    cells = np.empty((1, len(CCP_59)), object)
    cells[0] = list(CCP_59)
    savemat(root / "label_list.mat", {"label_list": cells})
    for number in range(1, PHOTOS + 1):
        photo = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
        labels = np.zeros((HEIGHT, WIDTH), np.uint8)
        _paint(photo, labels, slice(10, 36), "shirt", (220, 40, 40))
        _paint(photo, labels, slice(36, 64), "jeans", (40, 60, 200))
        _paint(photo, labels, slice(64, 68), "belt", (90, 60, 20))
        if number % 4 == 0:
            _paint(photo, labels, slice(12, 16 + number), "blazer", (20, 20, 20))
        Image.fromarray(photo).save(root / "photos" / f"{number:04}.jpg", quality=95)
        path = root / "annotations" / "pixel-level" / f"{number:04}.mat"
        savemat(path, {"groundtruth": labels}, do_compression=True)
    savemat(root / "annotations" / "image-level" / "1001.mat", {"tags": np.array([[3, 5]], np.uint8)})
    return root


def _paint(photo: np.ndarray, labels: np.ndarray, rows: slice, label: str, colour: tuple[int, int, int]) -> None:
    photo[rows, 12:36] = colour
    labels[rows, 12:36] = CCP_59.index(label)
