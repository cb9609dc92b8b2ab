from collections.abc import Callable
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from streamlit_page import state_of

from dashboard.dataset.state import DatasetState

PAGE = Path(__file__).parents[3] / "dashboard" / "app_pages" / "dataset.py"

Open = Callable[..., AppTest]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Open:
    """Opens the page with a folder in `GARMENTSCOPE_DATA`, or without one."""

    def run(folder: Path | None = None) -> AppTest:
        if folder is None:
            monkeypatch.delenv("GARMENTSCOPE_DATA", raising=False)
        else:
            monkeypatch.setenv("GARMENTSCOPE_DATA", str(folder))
        page = AppTest.from_file(str(PAGE), default_timeout=120).run()
        assert not page.exception
        return page

    return run


def said(page: AppTest) -> str:
    texts = [each.value for each in [*page.error, *page.info, *page.caption]]
    return "\n".join(texts).replace("\\", "")


def tables(page: AppTest) -> str:
    return "\n".join(each.body for each in page.get("html"))


def open_buttons(page: AppTest) -> list[str]:
    return [each.label for each in page.button if each.label.isdigit()]


def test_the_numbers_are_there_without_any_folder(opened: Open) -> None:
    page = opened()
    assert [(each.label, each.value) for each in page.metric] == [
        ("Photos", "1,800"),
        ("Labelled pixels", "410 M"),
        ("Classes", "15"),
        ("Garments per photo", "4.6"),
    ]
    assert "900 with a mask, 900 with tags" in said(page)
    assert [each.value for each in page.subheader][-1] == "Photos"
    assert "The numbers ship with the app; the photos do not. To browse photos, set GARMENTSCOPE_DATA" in said(page)
    assert "Clothing Co-Parsing" in page.markdown[1].value
    assert len(page.get("plotly_chart")) == 5 and not open_buttons(page)
    assert '<th scope="row">Test</th><td class="number">101</td>' in tables(page)
    assert '>coat</td><td class="number">9,965,271</td>' in tables(page)


def test_photos_and_labels_can_be_counted_instead(opened: Open) -> None:
    page = opened()
    assert "masks, Background excluded." in said(page)
    page.segmented_control(key="dataset-measure").set_value("photos").run()
    assert "Share of the 900 photos with a mask that show it." in said(page)
    assert '>coat</td><td class="number">206</td>' in tables(page)
    page.segmented_control(key="dataset-level").set_value("labels").run()
    assert "No pixel is labelled clogs, intimate, panties or swimwear." in said(page)
    assert "Number of different labels of garment" in said(page)
    page.segmented_control(key="dataset-measure").set_value("pixels").run()
    page.toggle(key="dataset-background").set_value(True).run()
    assert "Share of all labelled pixels in the 900 masks." in said(page)
    assert not page.exception


def test_a_wrong_folder_is_a_sentence_and_the_numbers_stay(opened: Open, tmp_path: Path) -> None:
    page = opened(tmp_path / "nowhere")
    assert "which is not a folder" in said(page) and page.metric[0].value == "1,800"
    page = opened(tmp_path)
    assert "which has no photos/" in said(page)


def test_photos_are_paged_and_chosen_by_class(opened: Open, photo_folder: Path) -> None:
    page = opened(photo_folder)
    assert open_buttons(page) == [f"{number:04}" for number in range(1, 15)]
    assert "16 photos with a mask, sorted by number. Shown: 1 to 14." in said(page)
    page.selectbox(key="dataset-choice").select("Coat: blazer").run()
    assert open_buttons(page) == ["0016", "0012", "0008", "0004"]
    assert "4 photos with a mask show Coat: blazer, largest share of the photo first. Shown: 1 to 4." in said(page)
    page.selectbox(key="dataset-choice").select("Romper").run()
    assert not open_buttons(page) and "No photo in this folder shows Romper." in said(page)
    assert not page.exception


def test_a_damaged_photo_and_mask_are_sentences_beside_the_others(opened: Open, own_photo_folder: Path) -> None:
    (own_photo_folder / "photos" / "0002.jpg").write_bytes(b"no photo")
    mask = own_photo_folder / "annotations" / "pixel-level" / "0005.mat"
    mask.write_bytes(mask.read_bytes()[:100])
    page = opened(own_photo_folder)
    assert len(page.error) == 2 and "0002.jpg" in said(page) and "0005.mat" in said(page)
    assert len(open_buttons(page)) == 12
    page.selectbox(key="dataset-choice").select("Coat").run()
    assert "2 cannot be read. The first: " in said(page) and len(open_buttons(page)) == 4


def test_a_photo_opens_with_its_mask(opened: Open, photo_folder: Path) -> None:
    page = opened(photo_folder)
    next(each for each in page.button if each.label == "0001").click().run()
    assert not page.exception
    assert state_of(page, DatasetState).photo == "0001" and "1 of 16" in said(page)


def test_damaged_numbers_are_a_sentence_and_the_photos_stay(
    opened: Open, photo_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import dashboard.dataset.shipped as statistics

    def broken() -> None:
        raise statistics.StatisticsError("ccp.json is damaged (made up). Count it again.")

    monkeypatch.setattr(statistics, "read_statistics", broken)
    page = opened(photo_folder)
    assert "ccp.json is damaged" in said(page) and not page.metric and len(open_buttons(page)) == 14
