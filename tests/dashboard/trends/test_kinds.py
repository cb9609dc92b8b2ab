"""Trends by kind."""

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest
from streamlit_page import opened, state_of

from dashboard.trends.moves import KINDS as WITHIN
from dashboard.trends.moves import kinds_of, line_section, movement_section, things
from dashboard.trends.reliability import Trust, of_kinds
from dashboard.trends.section import Question
from dashboard.trends.state import TrendsState
from dashboard.trends.worn import share_section
from segmodels.archive.division import divide
from segmodels.archive.facts import Facts, View
from segmodels.archive.intervals import Reliability
from segmodels.archive.store import Archive
from segmodels.archive.synthetic import KINDS, make_archive
from segmodels.taxonomy import OUTFIT_15

PAGE = Path(__file__).parents[3] / "dashboard" / "app_pages" / "trends.py"
JEANS = "Jeans"


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("planted")
    make_archive(Archive(place), 12_000, seed=3)
    return place


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, planted: Path) -> AppTest:
    monkeypatch.setenv("GARMENTSCOPE_ARCHIVE", str(planted))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return AppTest.from_file(str(PAGE), default_timeout=120)


def said(page: AppTest) -> str:
    return "\n".join(each.value for each in [*page.error, *page.markdown, *page.caption, *page.subheader])


def garments(page: AppTest):  # type: ignore[no-untyped-def]
    return next(each for each in page.multiselect if each.label == "Must include all of")


def test_are_jeans_rising_against_trousers_and_skirts_against_dresses(planted: Path) -> None:
    with Archive(planted).reader() as reader:
        section = movement_section(Question(Facts(reader, OUTFIT_15, kinds=True), View()), of=WITHIN)
    table = section.table.set_index("garment")
    years = 1095 / 365.25
    for name, kind, garment in ((JEANS, "jeans", "Pants"), ("Skirt", "skirt", "Dress")):
        begin, end = KINDS[garment][kind]
        planted = (end / (1 - end) / (begin / (1 - begin))) ** (1 / years)  # odds ratio per year
        row = table.loc[name]
        assert row["significant"] and 1 < row["low"] < planted < row["high"], name
    assert table.loc["Trousers", "high"] < 1 and table.loc["Dress", "high"] < 1
    for constant in ("Leggings", "Boots", "Sweater", "Stockings"):
        assert not table.loc[constant, "significant"]


def test_lines_of_the_kinds_of_a_class_are_shares_of_it(planted: Path) -> None:
    with Archive(planted).reader() as reader:
        question = Question(Facts(reader, OUTFIT_15, kinds=True), View())
        assert things(question, "Kinds of Pants") == ["Trousers", JEANS, "Leggings"]
        assert "Kinds of Hat" not in kinds_of(question.facts)
        table = line_section(question, period="year", of="Kinds of Pants").table
        shares = share_section(question).table.set_index("garment")
    first = table[table["start"].dt.year == 2022].set_index("name")
    assert first["share"].sum() == pytest.approx(1) and first["of"].nunique() == 1
    third = 0.2 / 3  # of the rise of 0.2 in three years, half a year has passed on average
    assert first.loc[JEANS, "low"] < 0.3 + third / 2 < first.loc[JEANS, "high"]
    assert "Pants (kind not certain)" not in shares.index and shares.loc["Coat (kind not certain)", "outfits"] > 0


def test_the_page_counts_by_class_until_kinds_are_asked_for(page: AppTest) -> None:
    opened(page)
    assert "Pants" in garments(page).options and JEANS not in garments(page).options
    assert "kinds" not in page.query_params
    next(each for each in page.button_group if each.label == "Garments by").set_value("Kind").run()
    assert state_of(page, TrendsState).kinds and page.query_params["kinds"] == "yes"
    assert JEANS in garments(page).options and "Pants" not in garments(page).options
    assert "Intervals leave out the errors of kinds" in said(page)
    garments(page).set_value([JEANS]).run()
    assert page.query_params["garments"] == JEANS and not page.error
    next(each for each in page.button_group if each.label == "Garments by").set_value("Class").run()
    assert "garments" not in page.query_params and "kinds" not in page.query_params and not page.error


def test_a_link_brings_kinds_back(page: AppTest) -> None:
    opened(page, kinds="yes", garments=JEANS, tab="How it moves", of="Kinds of Pants")
    assert not page.error and page.query_params["kinds"] == "yes"
    assert garments(page).value == [JEANS] and "Kinds of Pants over time" in said(page)


def test_a_link_of_kinds_to_an_archive_without_any_is_a_sentence(
    page: AppTest, monkeypatch: pytest.MonkeyPatch, sixty: Path
) -> None:
    monkeypatch.setenv("GARMENTSCOPE_ARCHIVE", str(sixty))
    opened(page, kinds="yes")
    assert "This archive has no kinds of garments; showing classes" in page.error[0].value
    assert not any(each.label == "Garments by" for each in page.button_group)
    assert "60 outfits" in said(page)


def test_a_kind_has_the_error_of_its_class() -> None:
    trust = Trust(garments={"Hat": Reliability(0.9, 10, 0.8, 20), "Pants": Reliability(0.9, 10, 0.8, 20)})
    found = of_kinds(trust, divide(OUTFIT_15, KINDS))
    assert set(found.garments) == {"Hat"} and not found.share_errors
    errors = of_kinds(Trust(share_errors={"Pants": 0.02, "Hat": 0.01}), divide(OUTFIT_15, KINDS)).share_errors
    assert errors[JEANS] == errors["Pants (kind not certain)"] == 0.02 and errors["Hat"] == 0.01
    assert errors["Boots"] == 0
