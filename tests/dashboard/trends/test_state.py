from datetime import date

from dashboard.trends.state import TrendsState
from segmodels.archive.facts import View
from segmodels.taxonomy import OUTFIT_15

LINK = {"from": ["2023-02-01"], "garments": ["Hat"], "photos": ['trends-matrix:{"worn": ["Hat", "Coat"]}'], "to": ["x"]}


def test_a_link_is_read_once() -> None:
    state = TrendsState(sentences=["first"])
    state.read_link(LINK, OUTFIT_15, {})
    assert state.view == View(first=date(2023, 2, 1), garments=("Hat",))
    assert state.clicked == ("trends-matrix", '{"worn": ["Hat", "Coat"]}')
    assert state.sentences[0] == "first" and len(state.sentences) == 2
    state.read_link({"garments": ["Coat"]}, OUTFIT_15, {})
    assert state.view.garments == ("Hat",)


def test_another_archive_opens_without_filters_and_without_the_link() -> None:
    state = TrendsState(archive="a", version="fpn", view=View(garments=("Hat",)), sentences=["x"])
    state.click("trends-share", "code")
    state.open_archive("b")
    state.read_link(LINK, OUTFIT_15, {})
    assert state == TrendsState(archive="b", link_read=True, generation=1, chosen=state.chosen)


def test_a_click_begins_the_list_of_photos_anew() -> None:
    state = TrendsState(more=24)
    state.click("trends-share", "code")
    assert state.clicked == ("trends-share", "code") and state.more == 0


def test_filters_set_by_a_button_make_new_widgets() -> None:
    state = TrendsState(sentences=["x"])
    state.filter_by(View(garments=("Hat",)))
    assert state.view.garments == ("Hat",) and state.generation == 1 and not state.sentences
