from dataclasses import replace
from itertools import pairwise
from typing import get_args

import pandas as pd
import pytest

from dashboard.dataset.shipped import Count, Share, Sizes, read_statistics, shares
from dashboard.figures.dataset import (
    flow_figure,
    flow_order,
    garments_figure,
    pairs_figure,
    shares_figure,
    sizes_figure,
)
from dashboard.figures.theme import Theme, colours
from segmodels.taxonomy import OUTFIT_15

BLAZER, CAPE = Count("blazer", "Coat", 4, 300), Count("cape", "Coat", 2, 100)
HAT, BELT, NONE, UNSEEN = (
    Count("hat", "Hat", 3, 600),
    Count("belt", "Background", 9, 1),
    Count("panties", None, 0, 0),
    Count("suit", "Coat", 0, 0),
)
LABELS = (BLAZER, CAPE, HAT, BELT, NONE, UNSEEN)


@pytest.mark.parametrize("theme", get_args(Theme))
def test_pixels_stand_as_shares_in_the_colours_of_their_classes(theme: Theme) -> None:
    figure = shares_figure([Share(HAT, 600, 0.6), Share(CAPE, 1, 0.0001)], "pixels", OUTFIT_15, theme)
    (bars,) = figure.data
    assert list(bars.y) == ["hat", "cape"] and list(bars.x) == [0.6, 0.0001]
    assert list(bars.text) == ["60.0%", "<0.1%"]
    assert list(bars.marker.color) == [OUTFIT_15["Hat"].colour, OUTFIT_15["Coat"].colour]
    assert list(bars.customdata[1]) == [" (Coat)", 2, 100, 0.0001]
    assert figure.layout.xaxis.title.text == "Share of pixels" and figure.layout.xaxis.range[0] == 0
    assert figure.layout.template.layout.paper_bgcolor == colours(theme)["ground"]


def test_photos_stand_as_numbers_with_room_beside_the_longest_bar() -> None:
    figure = shares_figure([Share(Count("Coat", "Coat", 463, 9), 463, 463 / 900)], "photos", OUTFIT_15, "light")
    (bars,) = figure.data
    assert list(bars.x) == [463] and list(bars.text) == ["463"] and bars.customdata[0][0] == ""
    assert figure.layout.xaxis.title.text == "Number of photos" and figure.layout.xaxis.range[1] > 463 * 1.2


def test_every_label_has_a_row_of_its_own() -> None:
    bars = shares(read_statistics(), "labels", "pixels", background=False)
    figure = shares_figure(bars, "pixels", OUTFIT_15, "light")
    assert len(figure.layout.yaxis.tickvals) == len(bars) and figure.layout.height >= 20 * len(bars)


def test_numbers_of_garments_that_no_photo_has_are_there() -> None:
    figure = garments_figure({0: 1, 3: 1200}, "dark")
    (bars,) = figure.data
    assert list(bars.x) == [0, 1, 2, 3] and list(bars.y) == [1, 0, 0, 1200]
    assert list(bars.text) == ["1", "", "", "1,200"]
    assert figure.layout.xaxis.title.text == "Garments and accessories in a photo"
    assert figure.layout.yaxis.title.text == "Photos"


def test_sizes_stand_in_the_middle_of_their_bins() -> None:
    sizes = Sizes(801, 827.0, 808, (801, 805, 809), (3, 4))
    (bars,) = sizes_figure("Height", sizes, "light").data
    assert list(bars.x) == [802.5, 806.5] and list(bars.y) == [3, 4]
    assert list(bars.customdata) == ["801 to 804", "805 to 808"]
    assert sizes_figure("Height", sizes, "light").layout.xaxis.title.text == "Height, pixels"


def test_photos_that_are_all_alike_are_one_bar_with_room_around() -> None:
    figure = sizes_figure("Width", Sizes(550, 550.0, 550, (550, 551), (9,)), "light")
    assert list(figure.data[0].x) == [550] and list(figure.data[0].customdata) == ["550"]
    low, high = figure.layout.xaxis.range
    assert low < 541 and high > 559


def test_labels_stand_with_their_class_the_largest_first() -> None:
    assert flow_order(LABELS, OUTFIT_15) == [("Hat", [HAT]), ("Coat", [BLAZER, CAPE]), ("Background", [BELT])]


@pytest.mark.parametrize("theme", get_args(Theme))
def test_labels_flow_into_their_classes(theme: Theme) -> None:
    figure = flow_figure(LABELS, "pixels", OUTFIT_15, theme)
    (flow,) = figure.data
    names, link = list(flow.node.label), flow.link
    flows = [
        (names[source], names[target], value)
        for source, target, value in zip(link.source, link.target, link.value, strict=True)
    ]
    assert flows == [
        ("hat", "Hat", 600),
        ("blazer", "Coat", 300),
        ("cape", "Coat", 100),
        ("belt", "Background", 1),
    ]
    assert list(link.customdata[1]) == ["blazer", "Coat", 300 / 1001, 4, 300]
    assert flow.node.color[0] == OUTFIT_15["Hat"].colour
    texts = [each.text for each in figure.layout.annotations]
    assert texts == [
        "hat 59.9%",
        "blazer 30.0%",
        "cape 10.0%",
        "belt 0.1%",
        "Hat 59.9%",
        "Coat 40.0%",
        "Background 0.1%",
    ]


def test_photos_can_flow_instead() -> None:
    figure = flow_figure(LABELS, "photos", OUTFIT_15, "light")
    assert list(figure.data[0].link.value) == [3, 4, 2, 9]
    assert "of appearances" in figure.data[0].link.hovertemplate


def test_names_do_not_meet() -> None:
    labels = read_statistics().counts["labels"][1:]
    figure = flow_figure(labels, "pixels", OUTFIT_15, "light")
    drawn = figure.layout.height - figure.layout.margin.t - figure.layout.margin.b
    for side in (0, 1):
        places = sorted(each.y * drawn for each in figure.layout.annotations if each.x == side)
        assert min(high - low for low, high in pairwise(places)) >= 16
    left = [each for each in figure.layout.annotations if each.x == 0]
    assert len(left) == 54 and max(len(each.text) for each in left) * 7 < figure.layout.margin.l


def test_the_ends_of_a_class_touch_and_stand_in_the_middle_of_its_labels() -> None:
    (flow,) = flow_figure((BLAZER, replace(CAPE, pixels=300)), "pixels", OUTFIT_15, "light").data
    first, second, top, bottom = flow.node.y
    assert (first + second) / 2 == pytest.approx((top + bottom) / 2) == pytest.approx(0.5)
    assert second - first > bottom - top > 0


def test_long_names_are_cut_beside_their_bars_and_whole_in_the_words() -> None:
    names = [f"A very long name of a garment {place}" for place in (1, 2)]
    both = [Share(Count(name, "Hat", 1, 1), 1, 0.5) for name in names]
    figure = shares_figure(both, "photos", OUTFIT_15, "light")
    assert list(figure.data[0].y) == list(figure.layout.yaxis.tickvals) == names
    assert list(figure.layout.yaxis.ticktext) == ["A very long name of a g…"] * 2


def test_pairs_stand_as_numbers_of_photos() -> None:
    rows = pd.DataFrame(
        [("hat", "hat", 1200), ("hat", "bag", 3), ("bag", "hat", 3), ("bag", "bag", 3)],
        columns=["first", "second", "photos"],
    )
    figure = pairs_figure(rows, ["hat", "bag"], "light")
    assert [note.text for note in figure.layout.annotations] == ["1,200", "3", "3", "3"]
    assert list(figure.data[1].text)[:2] == ["hat<br>1,200 photos", "hat and bag<br>3 photos"]
    assert list(figure.layout.yaxis.ticktext) == list(figure.layout.xaxis.ticktext) == ["hat", "bag"]
    assert float(figure.data[0].zmax) == figure.data[0].z.max() > 0
