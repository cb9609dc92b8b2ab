from datetime import datetime
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from own_classes import save_own
from streamlit.testing.v1 import AppTest
from streamlit_page import opened, state_of

from dashboard.trends.choice import MADE_UP, Choice, make_sample
from dashboard.trends.state import TrendsState
from segmodels.archive.ingest import analyse_here, ingest, version_of
from segmodels.archive.metadata import parse_metadata
from segmodels.archive.sources import find_sources
from segmodels.archive.store import Archive, Version
from segmodels.checkpoints.catalog import load_segmenter

PAGE = Path(__file__).parents[3] / "dashboard" / "app_pages" / "trends.py"


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sixty: Path, photo_folder: Path) -> AppTest:
    monkeypatch.setenv("GARMENTSCOPE_ARCHIVE", str(sixty))
    monkeypatch.setenv("GARMENTSCOPE_PHOTOS", str(photo_folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return AppTest.from_file(str(PAGE), default_timeout=120)


def said(page: AppTest) -> str:
    kinds = [*page.error, *page.warning, *page.info, *page.markdown, *page.caption, *page.subheader]
    return "\n".join(each.value for each in kinds).replace("\\", "")


def widget(kind, label: str):  # type: ignore[no-untyped-def]
    return next(each for each in kind if each.label == label)


def headings(page: AppTest) -> list[str]:
    return [each.value for each in page.subheader]


def click(page: AppTest, key: str, code: str) -> AppTest:
    """What a click in a figure leaves behind."""
    state_of(page, TrendsState).click(key, code)
    return page.run()


def test_the_page_says_what_it_rests_on_and_shows_photos(page: AppTest) -> None:
    opened(page)
    assert "60 photos, 60 outfits, 2023-01-01 to 2023-12-05, analysed by fake abc123" in said(page)
    assert headings(page) == ["What is worn", "Footwear"] and "60 outfits; the newest 6" in said(page)
    cards = next(each.body for each in page.get("html") if "photo-cards" in each.body)
    assert cards.count("<figure>") == 6 and cards.count("data:image/jpeg") == 6 and "look59.jpg" in cards
    assert not page.error


def test_report_tables_and_slides_can_be_taken(page: AppTest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "team.pptx").write_bytes(b"no presentation")
    monkeypatch.setenv("GARMENTSCOPE_SLIDES", str(tmp_path / "team.pptx"))
    opened(page)
    labels = [each.label for each in page.get("download_button")]
    assert {"Report (HTML)", "Tables (Excel)", "Slides (PowerPoint)"} <= set(labels)
    assert "team.pptx is not a PowerPoint presentation" in said(page) and "Slides use the plain layout." in said(page)
    assert widget(page.toggle, "Photos in the report").value is False


def test_photos_of_the_gallery_become_a_moodboard(page: AppTest) -> None:
    opened(page, photos='trends-shares:{"worn": ["Hat"]}')
    widget(page.button, "Gallery and moodboard").click().run()
    assert "Hat: 10 outfits." in said(page) and "Choose photos above" in said(page)
    assert page.checkbox[-1].label.replace("\\", "") == "look00.jpg, 2023-01-01"
    page.checkbox[-1].check().run()
    widget(page.button, "Gallery and moodboard").click().run()
    assert len(state_of(page, TrendsState).picked) == 1 and "1 chosen." in said(page) and not page.exception
    widget(page.button, "Looks like this one").click().run()
    widget(page.button, "Gallery and moodboard").click().run()
    labels = [each.label.replace("\\", "") for each in page.checkbox if each.label.startswith("look")]
    assert len(labels) == 24 and not page.exception
    assert (
        f"{labels[0].partition(',')[0]}, and the 23 outfits of the whole archive nearest to it by garments, kinds"
        in said(page)
    )
    widget(page.button, "Back to Hat").click().run()
    widget(page.button, "Gallery and moodboard").click().run()
    assert "Hat: 10 outfits." in said(page)


def test_a_gallery_without_photos_shows_class_maps_and_says_why(page: AppTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GARMENTSCOPE_PHOTOS", raising=False)
    opened(page, archive="ccp", photos='trends-shares:{"worn": ["Romper"]}')
    widget(page.button, "Gallery and moodboard").click().run()
    assert "Romper: no outfit at 50% or more; the likeliest come first." in said(page)
    assert "Outlines" not in [each.label for each in page.toggle]
    assert said(page).count("set GARMENTSCOPE_PHOTOS to the folder") == 2, "beside the chart and in the gallery"


@pytest.mark.parametrize(
    ("tab", "title"),
    [
        ("How it moves", "Garments over time"),
        ("With what", "What is worn together"),
        ("In which colours", "Palette of each garment"),
    ],
)
def test_a_link_opens_a_tab_with_its_filters(page: AppTest, tab: str, title: str) -> None:
    opened(page, tab=tab, garments="Footwear", **{"from": "2023-02-01"})
    assert headings(page)[0] == title and "55 photos, 55 outfits" in said(page)
    assert page.query_params["tab"] == tab and page.query_params["garments"] == "Footwear"


@pytest.mark.parametrize(
    ("tab", "link", "title", "label", "value"),
    [
        ("What is worn", {"against": "A tag", "value": "South"}, "What is worn", "Photos with", "South"),
        ("How it moves", {"of": "Coat", "period": "season"}, "Colours of Coat over time", "Lines of", "Coat"),
        ("With what", {"view": "Rules", "of": "Triples", "every": "yes"}, "Rules of triples", "Rules of", "Triples"),
        ("In which colours", {"view": "Two garments", "fine": "yes"}, "Pants and Shirt", "Finer names", True),
    ],
)
def test_a_link_opens_a_view_as_it_was_left(  # type: ignore[no-untyped-def]
    page: AppTest, tab: str, link: dict[str, str], title: str, label: str, value
) -> None:
    opened(page, tab=tab, **link)
    assert headings(page)[0] == title and not page.error
    assert widget([*page.selectbox, *page.button_group, *page.toggle], label).value == value
    assert {key: page.query_params[key] for key in link} == link


def test_an_archive_of_shows_opens_by_fashion_season(
    page: AppTest,
    write,  # type: ignore[no-untyped-def]
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = write("page-shows", dated=lambda number: datetime(2021 + number // 2 % 4, 9 if number < 30 else 3, 1))
    monkeypatch.setenv("GARMENTSCOPE_ARCHIVE", str(place))
    monkeypatch.setenv("GARMENTSCOPE_SOUTHERN", "market=South, Chile")
    opened(page, tab="How it moves", view="Forecast", garment="Coat")
    by = widget(page.selectbox, "By")
    assert by.value == page.query_params["period"] == "fashion season"
    assert by.options == ["Week", "Month", "Season", "Collection", "Fashion season", "Half-year", "Year"]
    assert [each.replace("\\", "") for each in headings(page)] == ["Forecast of Coat", "Coat, FW 2024/25 (south: SS)"]
    assert 'GARMENTSCOPE_SOUTHERN has "Chile", not written as tag=value: ignored.' in said(page)
    assert "Photos with market South are of the southern hemisphere" in said(page)
    by.set_value("half-year").run()
    assert page.query_params["period"] == "half-year" and headings(page)[1] == "Coat, second half of 2024"
    widget(page.selectbox, "By").set_value("month").run()
    assert "A forecast by fashion season is possible." in said(page) and not page.exception


def test_what_is_chosen_goes_into_the_link_and_outlives_its_tab(page: AppTest) -> None:
    opened(page, tab="With what", view="Companions", photos='trends-companions:{"worn": ["Hat", "Coat"]}')
    assert headings(page) == ["Worn with Coat, compared with outfits without", "Hat with Coat"]
    widget(page.selectbox, "With and without").set_value("Hat").run()
    assert headings(page)[0] == "Worn with Hat, compared with outfits without" and page.query_params["garment"] == "Hat"
    page.session_state["trends-tab-0"] = "In which colours"
    page.run()
    assert "garment" not in page.query_params and "view" not in page.query_params
    page.session_state["trends-tab-0"] = "With what"
    page.run()
    assert (
        headings(page)[0] == "Worn with Hat, compared with outfits without"
        and page.query_params["view"] == "Companions"
    )
    widget(page.button_group, "View").set_value("Over time").run()
    assert widget(page.selectbox, "Garment").value == "Hat", "each view has its own: the strongest pair"
    assert not page.exception and not page.error


def test_a_view_that_there_is_none_of(page: AppTest) -> None:
    opened(page, tab="With what", view="Tower", measure="weight")
    assert headings(page)[0] == "What is worn together"
    assert 'The value "Tower" for view in the link is not available here; it is ignored.' in said(page)
    assert '"weight" for measure' in said(page) and "view" not in page.query_params


def test_a_link_with_the_title_of_an_archive_opens_it(page: AppTest) -> None:
    """Links had titles before they had names."""
    opened(page, archive="Clothing Co-Parsing")
    assert page.query_params["archive"] == "ccp" and not state_of(page, TrendsState).sentences and not page.exception


def test_a_link_that_is_wrong_in_every_part(page: AppTest) -> None:
    opened(page, archive="gone", tab="Nothing", garments="Cape", **{"from": "soon", "tag.market": "West"})
    text = said(page)
    for part in ('Archive "gone" not found; showing', '"Cape"', "not a date", "market"):
        assert part in text
    assert headings(page)[0] == "What is worn" and "60 photos" in text


def test_a_filter_applies_to_all_and_one_that_leaves_nothing_can_be_taken_away(page: AppTest) -> None:
    opened(page)
    widget(page.multiselect, "Must include all of").set_value(["Hat", "Coat"]).run()
    assert "10 photos, 10 outfits" in said(page) and page.query_params["garments"] == "Hat,Coat"
    widget(page.multiselect, "Must include all of").set_value(["Hat", "Romper"]).run()
    assert "0 of 60 photos match." in headings(page) and not page.exception
    widget(page.button, "Remove Romper").click().run()
    assert "10 photos" in said(page) and widget(page.multiselect, "Must include all of").value == ["Hat"]
    widget(page.button, "Clear filters").click().run()
    assert "60 photos, 60 outfits" in said(page)


def test_near_duplicates_count_once_unless_told_otherwise(
    page: AppTest, copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GARMENTSCOPE_ARCHIVE", str(copied))
    opened(page)
    assert "59 photos, 59 outfits, 1 near-duplicate not counted, 2023-01-01" in said(page)
    widget(page.toggle, "Count near-duplicates").set_value(True).run()
    assert "60 photos, 60 outfits, 2023-01-01" in said(page) and page.query_params["duplicates"] == "yes"
    widget(page.button, "Clear filters").click().run()
    assert "59 photos" in said(page) and "duplicates" not in page.query_params
    assert not widget(page.toggle, "Count near-duplicates").value and not page.exception


def test_a_link_counts_near_duplicates(page: AppTest, copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GARMENTSCOPE_ARCHIVE", str(copied))
    opened(page, duplicates="yes")
    assert "60 photos" in said(page) and widget(page.toggle, "Count near-duplicates").value


def test_an_archive_without_near_duplicates_has_no_toggle_for_them(page: AppTest) -> None:
    opened(page)
    assert "near-duplicate" not in said(page) and "Count near-duplicates" not in [each.label for each in page.toggle]


def test_what_was_clicked_lists_its_photos(page: AppTest) -> None:
    opened(page, tab="With what")
    click(page, "trends-matrix", '{"worn": ["Hat", "Coat"]}')
    assert headings(page)[1] == "Hat with Coat" and "10 outfits" in said(page)
    widget(page.button, "More photos").click().run()
    cards = next(each.body for each in page.get("html") if "photo-cards" in each.body)
    assert cards.count("<figure>") == 10 and not page.exception


@pytest.mark.parametrize(
    ("tab", "label", "choice", "title"),
    [
        ("With what", "View", "Rules", "Rules of pairs"),
        ("With what", "View", "Companions", "Worn with Coat, compared with outfits without"),
        ("With what", "View", "Network", "Network"),
        ("With what", "Measure", "npmi", "What is worn together"),
        ("How it moves", "View", "Rising and falling", "Rising and falling"),
        ("How it moves", "View", "Forecast", "Forecast of Footwear"),
        ("What is worn", "View", "Areas", "Share of the outfit's pixels"),
        ("What is worn", "Compare with", "Another period", "What is worn"),
        ("What is worn", "Compare with", "A tag", "What is worn"),
        ("In which colours", "View", "One garment", "Colours of Coat"),
        ("In which colours", "View", "Two garments", "Pants and Shirt"),
        ("In which colours", "View", "Over time", "Colours of Coat over time"),
    ],
)
def test_every_view_of_every_tab_opens(page: AppTest, tab: str, label: str, choice: str, title: str) -> None:
    opened(page, tab=tab)
    widget(page.button_group, label).set_value(choice).run()
    assert not page.exception and not page.error
    assert headings(page)[0].replace("\\", "") == title and len(headings(page)) == 2


def test_a_pair_that_nobody_wears(page: AppTest) -> None:
    opened(page, tab="With what")
    widget(page.button_group, "View").set_value("Over time").run()
    widget(page.selectbox, "Garment").set_value("Socks").run()
    assert "None of these outfits has Socks. Choose another garment." in said(page) and not page.exception


def test_two_models_are_never_added(page: AppTest, write, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[no-untyped-def]
    place = write("two", 12)
    write("two", 24, Version("OUTFIT_15", "other", "xyz"))
    monkeypatch.setenv("GARMENTSCOPE_ARCHIVE", str(place))
    opened(page)
    assert "This archive holds results of 2 models, which are kept separate. Choose a model." in said(
        page
    ) and "photos," not in said(page)
    widget(page.selectbox, "Model").select_index(1).run()
    assert "24 photos, 24 outfits" in said(page) and "analysed by other xyz" in said(page)
    assert page.query_params["by"] == "other xyz (OUTFIT_15)"


@pytest.mark.parametrize("tab", ["What is worn", "How it moves", "With what", "In which colours"])
@pytest.mark.parametrize("kind", ["empty", "one", "undated", "oneday"])
def test_an_archive_that_holds_too_little(
    page: AppTest,
    write,  # type: ignore[no-untyped-def]
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    kind: str,
    tab: str,
) -> None:
    day = datetime(2023, 1, 1)
    place = {
        "empty": lambda: tmp_path / "nothing",
        "one": lambda: write("page-one", 1),
        "undated": lambda: write("page-undated", 60, dated=lambda number: None),
        "oneday": lambda: write("page-oneday", 60, dated=lambda number: day),
    }[kind]()
    monkeypatch.setenv("GARMENTSCOPE_ARCHIVE", str(place))
    opened(page, tab=tab)
    text = said(page)
    if kind == "empty":
        assert "holds no photos yet" in text
    elif kind == "one":
        assert "there is 1" in text and "1 photo, 1 outfit" in text
    elif tab == "How it moves":
        assert ("needs dates" if kind == "undated" else "all dated photos are from 2023-01-01") in text
    else:
        assert len(headings(page)) == 2


def test_the_made_up_sample_is_made_once_and_says_what_it_is(
    page: AppTest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("dashboard.trends.choice.MADE_UP_PHOTOS", 800)
    monkeypatch.delenv("GARMENTSCOPE_ARCHIVE")
    monkeypatch.setattr("dashboard.trends.choice.SHIPPED", tmp_path / "none")
    opened(page, archive="Made-up sample")
    assert "Made-up data with known trends: 800 photos" in said(page)
    made = list(tmp_path.rglob("*.parquet"))
    assert len(made) == 1
    opened(page)
    assert list(tmp_path.rglob("*.parquet")) == made


def test_making_the_sample_says_how_far_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("dashboard.trends.choice.MADE_UP_PHOTOS", 800)
    monkeypatch.setattr("segmodels.archive.synthetic._PIECE", 300)
    told: list[tuple[float, str]] = []
    make_sample(Choice(MADE_UP, str(tmp_path), MADE_UP, made_up=True), lambda share, text: told.append((share, text)))
    assert [share for share, _ in told] == [0, 0.375, 0.75, 1]
    assert told[0][1] == "Generating the made-up photos, only once: 0 of 800."
    assert told[1][1].startswith("Generating the made-up photos, only once: 300 of 800, ") and told[1][1].endswith(
        " s left."
    )
    assert len(list(tmp_path.rglob("*.parquet"))) == 1, "it is there whole or not at all"


def test_expected_counts_are_the_default_and_raw_ones_a_choice(
    page: AppTest, likely: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GARMENTSCOPE_ARCHIVE", str(likely))
    opened(page, garments="Coat", share="0.1", photos='trends-shares:{"worn": ["Hat", "Coat"]}')
    text = said(page)
    assert "About 30 photos, about 30 outfits" in text and "Expected counts: sums of the probability" in text
    assert "Minimum shares and confidences apply to raw counts only" in text and "holds raw counts" not in text
    # a hat and a coat: ten outfits with 0.81, twenty with 0.09, thirty with 0.01
    assert "About 10 expected; 10 outfits at 50% or more; the newest 6 are shown" in text
    assert not page.slider and page.query_params["count"] == "expected"
    widget(page.button_group, "Count").set_value("raw").run()
    assert "30 photos, 30 outfits" in said(page) and "Raw counts: every garment that was outlined." in said(page)
    assert page.query_params["count"] == "raw" and len(page.slider) == 2 and "10 expected" not in said(page)
    widget(page.button, "Clear filters").click().run()
    assert "60 photos, 60 outfits" in said(page) and widget(page.button_group, "Count").value == "raw"
    assert not page.exception


def test_a_link_opens_raw_counts(page: AppTest, likely: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GARMENTSCOPE_ARCHIVE", str(likely))
    opened(page, count="raw", share="0.1")
    assert "Raw counts: every garment" in said(page) and not page.error
    assert page.query_params["count"] == "raw" and page.query_params["share"] == "0.1"


def test_nothing_probable_is_said(page: AppTest, likely: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GARMENTSCOPE_ARCHIVE", str(likely))
    opened(page, photos='trends-shares:{"worn": ["Romper"]}')
    assert "About 6.0 expected; no outfit at 50% or more; the likeliest are shown." in said(page)


def test_a_calibration_that_is_not_installed_is_said_in_every_tab_with_expected_counts(
    page: AppTest, likely: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GARMENTSCOPE_ARCHIVE", str(likely))
    opened(page, tab="With what")
    assert "The calibration of this model is not installed here" in said(page) and not page.exception
    widget(page.button_group, "Count").set_value("raw").run()
    assert "not installed" not in said(page)


def test_an_archive_without_probabilities_says_how_to_get_them(
    page: AppTest,
    write,  # type: ignore[no-untyped-def]
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened(page, corrected="yes")
    assert (
        "This archive holds raw counts: every garment that was outlined. For expected counts, ingest the photos again "
        "with a model that has a calibration." in said(page)
    )
    assert "no longer corrected for recognition errors" in said(page)
    assert not [each for each in page.button_group if each.label == "Count"]
    half = write("half", chances=lambda number: [[0.5] * 12] if number % 2 else None)
    monkeypatch.setenv("GARMENTSCOPE_ARCHIVE", str(half))
    page = AppTest.from_file(str(PAGE), default_timeout=120)
    opened(page)
    assert "30 outfits of this archive have raw counts only." in said(page)
    assert "Raw counts: every garment" in said(page)
    widget(page.button_group, "Count").set_value("expected").run()
    assert "30 outfits without a probability count as found." in said(page) and not page.exception


def test_an_archive_of_other_classes(
    tmp_path_factory: pytest.TempPathFactory, photo_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path_factory.mktemp("own")
    segmenter = load_segmenter(str(save_own(place / "models" / "own")))
    archive, version = Archive(place / "archive"), version_of(segmenter)
    found = find_sources(photo_folder)
    engine = partial(analyse_here, segmenter)
    lines = ["file,date", *(f"look{n:02d}.jpg,2023-{1 + n // 5:02d}-01" for n in range(60))]
    metadata = parse_metadata("\n".join(lines).encode(), "looks.csv")
    ingest(found, archive, version, engine, metadata, taxonomy=segmenter.taxonomy)
    monkeypatch.setenv("GARMENTSCOPE_ARCHIVE", str(place / "archive"))
    monkeypatch.setenv("GARMENTSCOPE_PHOTOS", str(photo_folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(place))
    page = AppTest.from_file(str(PAGE), default_timeout=120)
    opened(page)
    assert not page.error and "photos" in said(page)
    assert widget(page.multiselect, "Must include all of").options == ["Kimono", "Obi <sash>", "Tote bag"]
    for tab in ("How it moves", "With what", "In which colours", "What is worn"):
        assert not opened(page, tab=tab).error, tab
    (place / "archive" / version.folder / "taxonomy.json").unlink()
    page = opened(AppTest.from_file(str(PAGE), default_timeout=120))
    assert "has classes that this app does not know. Update the app." in said(page)


def test_back_reads_the_address_again_and_a_part_of_the_sentence_opens_its_chart(
    page: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened(page)
    before = dict(page.query_params)
    state = state_of(page, TrendsState)
    behind = 'trends-matrix:{"worn": ["Hat", "Coat"]}'
    state.follow("With what", {"view": ["Matrix"], "photos": [behind]})
    page.run()
    assert headings(page) == ["What is worn together", "Hat with Coat"] and page.query_params["tab"] == "With what"
    widget(page.multiselect, "Must include all of").set_value(["Dress"]).run()
    assert page.query_params["garments"] == "Dress"
    for key in list(page.query_params):
        del page.query_params[key]
    monkeypatch.setattr(
        "dashboard.components.history.get_script_run_ctx", lambda: SimpleNamespace(is_history_navigation=True)
    )
    opened(page, **before)  # as the browser's Back does
    assert dict(page.query_params) == before and headings(page) == ["What is worn", "Footwear"]
    assert widget(page.multiselect, "Must include all of").value == []


def test_what_can_be_clicked_can_be_chosen_in_a_list(page: AppTest) -> None:
    opened(page)
    chosen = widget(page.selectbox, "Photos of (or click in the chart)")
    assert chosen.options[:2] == ["Footwear", "Coat"] and len(chosen.options) == 12
    chosen.set_value('{"worn": ["Hat"]}').run()
    assert (
        headings(page) == ["What is worn", "Hat"] and page.query_params["photos"] == 'trends-shares:{"worn": ["Hat"]}'
    )


def test_groups_stand_side_by_side_and_the_photos_are_of_their_group(page: AppTest) -> None:
    opened(page, view="Side by side", by="market")
    assert headings(page) == ["What is worn, by market", "Footwear, market South"]
    assert "Outfits: North 30, South 30." in said(page)
    click(page, "trends-groups", '{"worn": ["Coat"], "tag": ["market", "North"]}')
    assert headings(page)[1] == "Coat, market North" and "15 outfits" in said(page)
