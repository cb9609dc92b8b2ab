"""A shared link shows the same after the archive has grown and every default with it."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from streamlit_page import opened, state_of

from dashboard.trends.state import TrendsState

PAGE = Path(__file__).parents[3] / "dashboard" / "app_pages" / "trends.py"
BY = {"archive": ["looks"], "by": ["fake abc123 (OUTFIT_15)"], "count": ["raw"]}

Link = dict[str, list[str]]


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):  # type: ignore[no-untyped-def]
    def run(archive: Path, link: Link) -> AppTest:
        monkeypatch.setenv("GARMENTSCOPE_ARCHIVE", str(archive))
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        page = AppTest.from_file(str(PAGE), default_timeout=120)
        return opened(page, **link)  # type: ignore[arg-type]

    return run


def address(page: AppTest) -> Link:
    found = page.query_params.items()
    return {key: [value] if isinstance(value, str) else list(value) for key, value in found}


def heading(page: AppTest) -> list[str]:
    return [each.value.replace("\\", "") for each in page.subheader]


@pytest.mark.parametrize(
    ("tab", "link", "before", "after"),
    [
        ("What is worn", {}, {}, {}),
        ("What is worn", {"view": "Areas"}, {}, {}),
        (
            "What is worn",
            {"against": "Another period"},
            {"days": ["2023-01-01", "2023-02-18"]},
            {"days": ["2023-01-01", "2023-08-17"]},
        ),
        (
            "What is worn",
            {"against": "A tag"},
            {"tag": ["market"], "value": ["North"], "other": ["Any other"]},
            {"tag": ["brand"], "value": ["A"], "other": ["Any other"]},
        ),
        (
            "What is worn",
            {"against": "A tag", "tag": "market"},
            {"value": ["North"], "other": ["Any other"]},
            {"value": ["South"]},
        ),
        (
            "How it moves",
            {},
            {"period": ["week"], "of": ["Garments"], "shown": ["Footwear", "Shirt", "Dress", "Pants"]},
            {"period": ["month"], "of": ["Garments"], "shown": ["Footwear", "Coat", "Hat", "Dress"]},
        ),
        (
            "How it moves",
            {"of": "Hat"},
            {"period": ["week"], "shown": ["white"]},
            {"period": ["month"], "shown": ["red", "white"]},
        ),
        ("How it moves", {"view": "Rising and falling"}, {"period": ["week"]}, {"period": ["month"]}),
        (
            "How it moves",
            {"view": "Forecast"},
            {"period": ["week"], "garment": ["Footwear"]},
            {"period": ["month"]},
        ),
        ("With what", {}, {}, {}),
        ("With what", {"view": "Rules"}, {}, {}),
        ("With what", {"view": "Companions"}, {"garment": ["Hat"]}, {"garment": ["Coat"]}),
        ("With what", {"view": "Over time", "garment": "Hat", "with": "Shirt"}, {}, {}),
        ("With what", {"view": "Network"}, {}, {}),
        ("In which colours", {}, {}, {}),
        ("In which colours", {"view": "One garment"}, {"garment": ["Hat"]}, {"garment": ["Coat"]}),
        ("In which colours", {"view": "Two garments"}, {"garment": ["Pants"], "with": ["Shirt"]}, {}),
        (
            "In which colours",
            {"view": "Over time"},
            {"garment": ["Hat"], "period": ["week"], "shown": ["white"]},
            {"garment": ["Coat"], "period": ["month"], "shown": ["red"]},
        ),
    ],
)
def test_a_link_shows_the_same_after_the_archive_has_grown(  # type: ignore[no-untyped-def]
    open_page, grown: tuple[Path, Path], tab: str, link: dict[str, str], before: Link, after: Link
) -> None:
    page = open_page(grown[0], {"archive": ["looks"], "tab": [tab], **link})
    shared, said = address(page), heading(page)
    assert shared == {"photos": shared["photos"], "tab": [tab]} | {k: [v] for k, v in link.items()} | BY | before
    page.run()
    assert address(page) == shared, "the address stays as it is"

    page = open_page(grown[1], shared)
    assert address(page) == shared and heading(page) == said and not page.error
    page.run()
    assert address(page) == shared and heading(page) == said and not page.exception

    fresh = open_page(grown[1], {"tab": [tab], **link, "by": BY["by"]})
    assert {key: address(fresh)[key] for key in after} == after, "every default has changed"


def test_a_click_outlives_growth(open_page, grown: tuple[Path, Path]) -> None:  # type: ignore[no-untyped-def]
    page = open_page(grown[0], {"tab": ["How it moves"]})
    code = '{"worn": ["Hat"], "period": "week", "start": "2023-01-02"}'
    state_of(page, TrendsState).click("trends-lines", code)
    shared = address(page.run())
    assert shared["photos"] == [f"trends-lines:{code}"]
    page = open_page(grown[1], shared)
    assert heading(page) == ["Garments over time", "Hat, week of 2023-01-02"] and address(page) == shared


def test_filters_outlive_growth_and_those_not_set_stay_so(open_page, grown: tuple[Path, Path]) -> None:  # type: ignore[no-untyped-def]
    link = {"from": ["2023-01-02"], "to": ["2023-12-31"], "tag.market": ["South", "North"], "colours": ["white"]}
    shared = address(open_page(grown[0], link))
    assert shared | link == shared and not {"garments", "share", "confidence"} & set(shared)
    page = open_page(grown[1], shared)
    assert address(page) == shared
    assert any("from 2023-01-01 to 2024-" in each.value.replace("\\", "") for each in page.caption)


@pytest.mark.parametrize("day", ["2020-05-01", "2040-05-01"])
@pytest.mark.parametrize("end", ["from", "to"])
def test_a_day_outside_the_archive(open_page, grown: tuple[Path, Path], end: str, day: str) -> None:  # type: ignore[no-untyped-def]
    page = open_page(grown[0], {end: [day]})
    some = (end, day[:4]) in (("from", "2020"), ("to", "2040"))
    assert ("0 of 60 photos match." not in heading(page)) == some


def test_the_model_of_a_link_that_is_gone_is_said(open_page, grown: tuple[Path, Path]) -> None:  # type: ignore[no-untyped-def]
    page = open_page(grown[0], {"by": ["unet 1 (OUTFIT_15)"]})
    sentence = 'Model "unet 1 (OUTFIT_15)" not found in this archive'
    assert f'{sentence}; showing "fake abc123 (OUTFIT_15)".' in page.error[0].value.replace("\\", "")
    assert address(page)["by"] == BY["by"]
    page = open_page(grown[1], {"by": ["unet 1 (OUTFIT_15)"]})
    assert page.warning[0].value.replace("\\", "").startswith(f"{sentence}. This archive holds results of 2 models")
    assert not page.subheader


def test_an_old_short_link_still_opens(open_page, grown: tuple[Path, Path]) -> None:  # type: ignore[no-untyped-def]
    page = open_page(grown[0], {"archive": ["looks"], "tab": ["How it moves"], "view": ["Forecast"]})
    assert heading(page)[0] == "Forecast of Footwear" and not page.error


def test_nothing_shown_is_the_lines_shown_first(open_page, grown: tuple[Path, Path]) -> None:  # type: ignore[no-untyped-def]
    page = open_page(grown[0], {"tab": ["How it moves"]})
    next(each for each in page.multiselect if each.label == "Shown").set_value([]).run()
    assert address(page)["shown"] == ["Footwear", "Shirt", "Dress", "Pants"]
