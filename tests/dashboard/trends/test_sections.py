"""What each view says of sixty known outfits, and what it needs where there is too little."""

import io
import re
from datetime import date, datetime
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest

from dashboard.figures import Theme
from dashboard.shared.tables import as_parquet
from dashboard.trends.behind import Behind, read_behind
from dashboard.trends.coloured import colour_section, pair_section, palette_section
from dashboard.trends.moves import forecast_section, line_section, movement_section
from dashboard.trends.reliability import Trust
from dashboard.trends.report import report_html
from dashboard.trends.section import Builder, Question, Section, factor, factor_cell
from dashboard.trends.together import (
    MEASURES,
    companion_section,
    lift_section,
    matrix_section,
    network_section,
    rule_section,
)
from dashboard.trends.worn import area_section, days_before, other_period, other_tag, share_section
from segmodels.archive.facts import Facts, View
from segmodels.archive.intervals import Reliability, corrected, wilson
from segmodels.archive.outfits import NotEnoughError
from segmodels.archive.store import Archive, Version
from segmodels.taxonomy import OUTFIT_15

VERSION = Version("OUTFIT_15", "fake", "abc123")
ALL: list[Builder] = [
    share_section,
    area_section,
    line_section,
    movement_section,
    forecast_section,
    matrix_section,
    rule_section,
    companion_section,
    lift_section,
    network_section,
    palette_section,
    colour_section,
    pair_section,
]
DATED = [line_section, movement_section, forecast_section, lift_section]


def codes(section: Section) -> set[Behind]:
    """Whose photos the points of a figure stand for."""
    found = {
        code for trace in section.figure.data for code in (trace.customdata if trace.customdata is not None else ())
    }
    behind = {read_behind(code, OUTFIT_15) for code in found}
    assert None not in behind
    return behind  # type: ignore[return-value]


def count(question: Question, behind: Behind) -> int:
    return question.facts.count(
        question.view,
        worn=behind.classes,
        not_worn=behind.not_worn,
        coloured=behind.coloured,
        fine=behind.fine,
        period=behind.period,
        start=behind.start,
    )


@pytest.mark.parametrize("theme", get_args(Theme))
@pytest.mark.parametrize("build", ALL)
def test_every_view_has_a_figure_a_table_and_photos_behind(question: Question, build: Builder, theme: Theme) -> None:
    section = build(Question(question.facts, question.view, theme))
    assert section.title and section.words and len(section.table)
    assert "outfits" in section.caption, "on how many it rests"
    assert section.behind in codes(section) and count(question, section.behind) > 0
    assert section.figure.layout.template.layout.font.color, "the theme's"
    titles = [axis.title.text for axis in section.figure.select_xaxes()]
    assert build in (matrix_section, network_section) or all(titles), "axes say what they are"


def test_shares_are_of_outfits_with_wilson_intervals(question: Question) -> None:
    section = share_section(question)
    bars = section.figure.data[0]
    names = list(section.figure.layout.yaxis.ticktext)
    assert dict(zip(names, bars.x, strict=True)) == {
        **{"Footwear": 1, "Coat": 0.5, "Pants": 0.5, "Shirt": 0.5, "Dress": 0.5, "Hat": 1 / 6},
        **dict.fromkeys(("Glasses", "Scarf/Tie", "Romper", "Shorts", "Socks", "Bag"), 0),
    }
    place = names.index("Hat")
    low, high = wilson([10], 60)
    assert bars.x[place] + bars.error_x.array[place] == pytest.approx(high[0])
    assert bars.x[place] - bars.error_x.arrayminus[place] == pytest.approx(low[0])
    for code in bars.customdata:
        behind = read_behind(code, OUTFIT_15)
        assert behind and count(question, behind) == round(60 * dict(zip(names, bars.x, strict=True))[behind.worn[0]])


def test_two_tags_are_compared_and_the_photos_are_of_the_first(question: Question) -> None:
    against = other_tag(question.facts, question.view, "market", "North", None)
    section = share_section(question, against=against)
    table = section.table.set_index("garment")
    assert table.loc["Pants", ["share", "other_share"]].tolist() == [1, 0] and table.loc["Pants", "significant"]
    assert table.loc["Coat", "share"] == table.loc["Coat", "other_share"] and not table.loc["Coat", "significant"]
    solid, hollow = section.figure.data[1:]
    assert "any other market" in solid.name and "not significant" in hollow.name and len(solid.x) + len(hollow.x) == 12
    assert section.view == View(tags=(("market", ("North",)),))


def test_another_period_never_shares_a_day(question: Question) -> None:
    first, last = days_before(question.facts, question.view)
    against = other_period(question.facts, question.view, first, last)
    assert against.other.last and against.view.first and against.other.last < against.view.first
    sizes = [question.facts.size(view).outfits for view in (against.view, against.other)]
    assert sum(sizes) == 60 and min(sizes) > 20
    with pytest.raises(NotEnoughError, match="leaves no single period"):
        other_period(question.facts, question.view, date(2023, 3, 1), date(2023, 4, 1))


def test_a_rate_from_a_few_photos_is_given_in_photos(question: Question) -> None:
    trust = Trust("Measured on paper.", {"Hat": Reliability(0.0, 2, 0.9, 10), "Coat": Reliability(1.0, 10, 0.0, 2)})
    labels = share_section(question, trust=trust).figure.layout.yaxis.ticktext
    text = " ".join(labels)
    assert "recall 0 of 2, false alarms 10%" in text and "recall 100%, false alarms 2 of 2" in text


def test_corrected_shares_are_rogan_and_gladens(question: Question) -> None:
    known = Reliability(0.8, 100, 0.95, 300)
    trust = Trust("Measured on paper.", {"Hat": known, "Coat": Reliability(0.5, 10, 0.55, 20)})
    section = share_section(question, trust=trust, correct=True)
    table = section.table.set_index("garment")
    expected = corrected(10, 60, known)
    assert expected and table.loc["Hat", "corrected"] == pytest.approx(expected.share)
    assert np.isnan(table.loc["Coat", "corrected"]), "its errors are too large"
    assert "Pairs are not corrected" in section.caption and "Coat" in section.caption
    bars = section.figure.data[0]
    names = [text.partition("<br>")[0] for text in section.figure.layout.yaxis.ticktext]
    assert bars.x[names.index("Hat")] == pytest.approx(expected.share)
    assert len([note for note in section.figure.layout.annotations if note.text == "–"]) == 11
    assert "recall 80%, false alarms 5%" in section.figure.layout.yaxis.ticktext[names.index("Hat")]
    assert question.facts.holding(View(), {"Hat": (0.2, 0.9), "Coat": (0.3, 0), "Dress": (0, 0.95)}) == {
        "Hat": 10,
        "Coat": 0,
        "Dress": 0,
    }, "what was too small or too unsure where the errors were measured does not count"
    assert question.facts.holding(View(min_share=0.3), {"Hat": (0.2, 0.9)}) == {"Hat": 10}


@pytest.mark.parametrize("measure", MEASURES)
def test_a_cell_has_the_pairs_number_and_its_photos(question: Question, measure: str) -> None:
    section = matrix_section(question, measure=measure)  # type: ignore[arg-type]
    heat, markers = section.figure.data
    names = list(section.figure.layout.xaxis.ticktext)
    assert names == ["Hat", "Coat", "Shirt", "Dress", "Pants", "Footwear"], "only what is worn, in display order"
    row = section.table.set_index(["first", "second"]).loc[("Hat", "Coat")]
    assert row.outfits == 10 and row.lift == pytest.approx(2) and row.jaccard == pytest.approx(1 / 3)
    shade = heat.z[0][1]
    assert shade == pytest.approx({"lift": 1, "outfits": 10**0.5, "jaccard": 1 / 3, "npmi": row.npmi}[measure])
    assert np.isnan(heat.z[0][0])
    at = [i for i in range(len(markers.x)) if (markers.y[i], markers.x[i]) == (0, 1)]
    assert read_behind(markers.customdata[at[0]], OUTFIT_15) == Behind(worn=("Hat", "Coat"))
    marked = matrix_section(Question(question.facts, View(), "light", markers.customdata[at[0]]))
    assert len(marked.figure.layout.shapes) == 2, "above and below the diagonal"


def test_rules_and_companions_grey_what_chance_explains(question: Question) -> None:
    assert set(rule_section(question).table.columns) >= {"support", "confidence", "lift", "p", "significant"}
    every = rule_section(question, only_sure=False)
    sure, chance = every.figure.data
    assert len(sure.x) and len(chance.x) and sure.marker.color != chance.marker.color
    triples = rule_section(question, parts=3)
    assert (triples.table["outfits"] >= 5).all() and {"first", "second", "then"} <= set(triples.table)
    table = companion_section(question, garment="Coat").table.set_index("garment")
    assert table.loc["Hat", ["share", "other_share"]].tolist() == [pytest.approx(1 / 3), 0]
    assert table.loc["Hat", "significant"] and not table.loc["Dress", "significant"]


def test_lines_and_their_points(question: Question) -> None:
    section = line_section(question, period="month", names=("Coat", "Hat"))
    lines = {trace.name: trace for trace in section.figure.data if trace.name}
    assert set(lines) == {"Coat", "Hat"} and len(lines["Coat"].x) == 12
    for code, share in zip(lines["Coat"].customdata, lines["Coat"].y, strict=True):
        behind = read_behind(code, OUTFIT_15)
        assert behind and behind.period == "month" and count(question, behind) == round(5 * share)
    colours = line_section(question, of="Shirt")
    assert set(colours.table["name"]) == {"white"} and (colours.table["share"] == 1).all()


@pytest.mark.parametrize("theme", get_args(Theme))
def test_lines_have_the_colour_of_their_name_wherever_they_stand(grown: tuple[Path, Path], theme: Theme) -> None:
    def inks(names: tuple[str, ...], of: str = "Garments") -> dict[str, str]:
        lines = line_section(Question(facts, View(), theme), of=of, names=names).figure.data
        return {trace.name: trace.line.color for trace in lines if trace.name}

    with Archive(grown[1]).reader(VERSION) as reader:
        facts = Facts(reader, OUTFIT_15)
        colours = {"red": "#d21f26", "white": "#fcfcfc"}
        assert inks(("red", "white"), "Hat") == inks(("white", "red"), "Hat") == colours
        assert inks(("white",), "Hat") == {"white": "#fcfcfc"}
        garments = {"Coat": "#A19604", "Dress": "#D47898", "Pants": "#7692E1"}
        assert inks(("Coat", "Dress", "Pants")) == inks(("Pants", "Dress", "Coat")) == garments
        assert inks(("Pants",)) == {"Pants": "#7692E1"}


def test_a_pair_that_is_never_together_has_a_lift_of_0(question: Question) -> None:
    matrix = matrix_section(question)
    names = list(matrix.figure.layout.xaxis.ticktext)
    place = names.index("Dress"), names.index("Pants")
    texts = {(note.x, note.y): note.text for note in matrix.figure.layout.annotations}
    assert texts[place] == "0" and texts[names.index("Coat"), names.index("Hat")] == "2.0"
    markers = matrix.figure.data[1]
    hover = next(markers.text[i] for i in range(len(markers.x)) if (markers.x[i], markers.y[i]) == place)
    assert "0 of 60 outfits<br>lift 0 (0 to 0." in hover
    line = lift_section(question, first="Dress", second="Pants", period="season").figure
    drawn = next(trace for trace in line.data if trace.name)
    at = dict(zip(line.layout.yaxis.tickvals, line.layout.yaxis.ticktext, strict=True))
    assert {at[value] for value in drawn.y} == {"0"} and all("lift 0 (0 to " in text for text in drawn.text)
    edges = next(trace for trace in network_section(question).figure.data if trace.name == "edges")
    crosses = [code for code, symbol in zip(edges.customdata, edges.marker.symbol, strict=True) if symbol == "x"]
    assert {frozenset(read_behind(code, OUTFIT_15).worn) for code in crosses} == {  # type: ignore[union-attr]
        frozenset(pair) for pair in (("Dress", "Pants"), ("Dress", "Shirt"))
    }


def test_a_factor_is_0_only_if_it_is() -> None:
    assert [factor(value) for value in (0, 2e-19, 0.004, 0.126, 12, 5000, np.inf, np.nan)] == [
        *("0", "0", "<0.01", "0.13", "12.00", ">1,000", ">1,000", "–")
    ]
    assert [factor_cell(value) for value in (0, 0.04, 0.26, 12, np.nan)] == ["0", "<0.1", "0.3", "12.0", "–"]


def test_black_and_white_photos_are_left_out_of_colours_and_said(copied: Path) -> None:
    """Photos 0 to 2 are black and white; all wear Footwear and Coat in navy; 0 and 2 Pants, 1 a Dress."""
    with Archive(copied).reader() as reader:
        question = Question(Facts(reader, OUTFIT_15), View(duplicates=True))
        said = "3 black-and-white photos are left out."
        for build in (
            palette_section,
            colour_section,
            lambda question: pair_section(question, first="Pants", second="Shirt"),
            lambda question: line_section(question, of="Coat"),
        ):
            assert build(question).caption.endswith(said)
        assert said not in line_section(question).caption and said not in share_section(question).caption
        table = palette_section(question).table
        assert dict(zip(table["garment"], table["of"], strict=True)) == {
            **{"Footwear": 57, "Coat": 27, "Hat": 9, "Pants": 28, "Shirt": 28, "Dress": 29}
        }
        assert pair_section(question, first="Pants", second="Shirt").table["outfits"].tolist() == [28]
        one = question.within(View(garments=("Dress",), duplicates=True))
        assert colour_section(one).caption.endswith("1 black-and-white photo is left out.")


def test_colours_of_two_garments(question: Question) -> None:
    section = pair_section(question, first="Pants", second="Shirt", fine=True)
    assert list(section.figure.layout.yaxis.ticktext) == ["navy"] and section.behind.fine
    assert section.behind.words() == "Navy Pants with white Shirt" and count(question, section.behind) == 30
    basic = palette_section(question).table.set_index(["garment", "colour"])
    assert basic.loc[("Pants", "blue"), "share"] == 1 and basic.loc[("Hat", "white"), "outfits"] == 10


@pytest.mark.parametrize(
    ("name", "photos", "dated", "needs", "builders"),
    [
        ("one", 1, lambda n: datetime(2023, 1, 1), "there is 1", ALL),
        ("undated", 60, lambda n: None, "needs dates, and none of these 60 outfits has one", DATED),
        ("oneday", 60, lambda n: datetime(2023, 1, 1), "all dated photos are from 2023-01-01", DATED),
    ],
)
def test_too_little_is_said_and_not_drawn(write, name: str, photos: int, dated, needs: str, builders) -> None:  # type: ignore[no-untyped-def]
    place: Path = write(name, photos, dated=dated)
    with Archive(place).reader() as reader:
        question = Question(Facts(reader, OUTFIT_15), View())
        for build in builders:
            with pytest.raises(NotEnoughError, match=needs):
                build(question)


def test_every_table_is_the_same_as_parquet(question: Question) -> None:
    for build in ALL:
        table = build(question).table
        found = pd.read_parquet(io.BytesIO(as_parquet(table)))
        assert len(found) and found.drop(columns="start", errors="ignore").equals(
            table.drop(columns="start", errors="ignore").reset_index(drop=True)
        )
        assert list(found) == list(table)


def test_a_garment_that_nobody_wears(question: Question) -> None:
    for build in (
        lambda q: companion_section(q, garment="Romper"),
        lambda q: lift_section(q, first="Romper", second="Coat"),
        lambda q: colour_section(q, garment="Romper"),
        lambda q: pair_section(q, first="Romper", second="Coat"),
        lambda q: line_section(q, of="Romper"),
        lambda q: forecast_section(q, garment="Romper"),
    ):
        with pytest.raises(NotEnoughError, match="Romper"):
            build(question)


def test_the_report_needs_nothing_beside_it(question: Question) -> None:
    builders = [matrix_section, line_section, lambda q: companion_section(q, garment="Romper")]
    text = report_html(question, builders, archive="<b>", evidence="60 photos", filters=["Hat"], made_up=True).decode()
    assert "&lt;b&gt;" in text and "Filters: Hat" in text and "60 photos" in text and "made up" in text
    assert text.count("plotly-graph-div") == 2 and "This needs" not in text.partition("Not shown")[0]
    assert "outfits with Romper" in text and "Benjamini-Hochberg" in text
    assert not re.search(r"<(script|link|img)[^>]*(src|href)=", text)


def test_a_code_that_is_none() -> None:
    for code in (
        None,
        3,
        "",
        "{",
        "[]",
        '{"worn": ["Cape"]}',
        '{"period": "century"}',
        '{"start": "soon"}',
        "x" * 9999,
    ):
        assert read_behind(code, OUTFIT_15) is None
    behind = Behind(("Coat",), ("Hat",), (("Pants", "navy"),), True, "season", date(2023, 12, 1))
    assert read_behind(behind.code(), OUTFIT_15) == behind
    assert behind.words() == "Navy Pants with Coat, without Hat, winter 2023/24"
