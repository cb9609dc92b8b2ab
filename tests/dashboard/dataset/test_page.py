from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
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
    assert "Number of the 900 photos with a mask that show it." in said(page)
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
    assert open_buttons(page) == [f"{number:04}" for number in range(1, 13)]
    assert "16 photos with a mask, sorted by number. Shown: 1 to 12." in said(page)
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
    assert len(open_buttons(page)) == 10
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
    assert "ccp.json is damaged" in said(page) and not page.metric and len(open_buttons(page)) == 12


def choose(page: AppTest, name: str) -> AppTest:
    page.selectbox(key="dataset-source").select(name).run()
    assert not page.exception
    return page


def test_without_the_setting_there_is_nothing_to_choose(opened: Open) -> None:
    assert "dataset-source" not in {each.key for each in opened().selectbox}


def test_another_data_set_is_shown_in_its_own_classes(
    opened: Open, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GARMENTSCOPE_DATASETS", f"coco:{shop}")
    page = opened()
    assert page.metric[0].value == "1,800" and page.selectbox(key="dataset-source").options == [
        "Clothing Co-Parsing",
        "coco:shop.json",
    ]
    choose(page, "coco:shop.json")
    assert [(each.label, each.value) for each in page.metric] == [
        ("Photos", "3"),
        ("Labelled pixels", "3,000"),
        ("Classes", "4"),
        ("Garments per photo", "1.0"),
    ]
    words = said(page)
    assert "Share of the labelled pixels in the 3 masks, Background excluded. No pixel is labelled boots." in words
    assert "given to the smaller region: 16 pixels in 1 photo." in words and "Not counted: Background." in words
    assert [each.label for each in page.expander] == [
        "Garments per photo",
        "Classes in one photo",
        "Widths and heights",
        "What is wrong (1)",
    ]
    everything = f"{words} {tables(page)} {' '.join(each.value for each in page.markdown)}"
    assert "Clothing Co-Parsing" not in everything and "59" not in everything and "train" not in everything
    assert [each.label for each in page.button if each.label in "abcd"] == ["a", "b", "c"]
    page.selectbox(key=next(each.key for each in page.selectbox if each.label == "Photos that show")).select(
        "belt"
    ).run()
    assert [each.label for each in page.button if each.label in "abcd"] == ["a"]
    next(each for each in page.button if each.label == "a").click().run()
    assert not page.exception and "1 of 1" in said(page)
    choose(page, "")
    assert page.metric[0].value == "1,800"


def test_a_data_set_is_read_once_and_again_when_it_has_changed(
    opened: Open, shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dashboard.dataset import reading

    opens: list[str] = []
    true = reading.open_dataset
    monkeypatch.setattr(reading, "open_dataset", lambda name, data: opens.append(name) or true(name, data))
    monkeypatch.setenv("GARMENTSCOPE_DATASETS", f"coco:{shop}")
    choose(opened(), "coco:shop.json")
    choose(opened(), "coco:shop.json").segmented_control(key="dataset-measure").set_value("photos").run()
    assert len(opens) == 1
    content = shop.read_text()
    shop.write_text("{")
    page = choose(opened(), "coco:shop.json")
    assert (
        len(page.error) == 1
        and "shop.json, which GARMENTSCOPE_DATASETS names, cannot be shown." in said(page)
        and "is not JSON" in said(page)
        and not page.metric
    )
    shop.write_text(content.replace("skirt", "kilt"))
    page = choose(opened(), "coco:shop.json")
    assert not page.error and page.metric[0].value == "3" and len(opens) == 3


@pytest.mark.parametrize(
    ("setting", "name", "sentence"),
    [
        ("cfpd", "cfpd", "Write the folder of cfpd behind it: cfpd=FOLDER."),
        ("shoes", "shoes", "The data set 'shoes' starts with none of coco:"),
        ("coco:/nowhere/a.json", "coco:a.json", "a.json. Write the path of what was exported after coco:"),
    ],
)
def test_a_wrong_setting_is_a_sentence(
    opened: Open, monkeypatch: pytest.MonkeyPatch, setting: str, name: str, sentence: str
) -> None:
    monkeypatch.setenv("GARMENTSCOPE_DATASETS", setting)
    page = choose(opened(), name)
    assert len(page.error) == 1 and sentence in said(page)


@pytest.mark.parametrize("count", [2, 255])
def test_two_to_255_classes_with_long_names(
    opened: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    names = [
        "background",
        *(f"Garment number {place} of a shop with names of many many letters" for place in range(1, count)),
    ]
    for folder in ("masks", "photos"):
        (tmp_path / folder).mkdir()
    mask = (np.arange(60 * 50) % count).astype(np.uint8).reshape(60, 50)
    for photo in ("a_b*", "look 2"):
        Image.fromarray(np.full((60, 50, 3), 99, np.uint8)).save(tmp_path / "photos" / f"{photo}.jpg")
        Image.fromarray(mask).save(tmp_path / "masks" / f"{photo}.png")
    (tmp_path / "classes.txt").write_text("\n".join(names))
    monkeypatch.setenv("GARMENTSCOPE_DATASETS", f"masks:{tmp_path}")
    page = choose(opened(), f"masks:{tmp_path.name}")
    assert [each.value for each in page.metric][2:] == [str(count), f"{count - 1:.1f}"]
    assert ("The 16 classes that most photos show, of 254; the table has all." in said(page)) == (count == 255)
    assert ("Two classes beside the background are needed" in said(page)) == (count == 2)
    assert {r"a\_b\*", "look 2"} <= {each.label for each in page.button}
