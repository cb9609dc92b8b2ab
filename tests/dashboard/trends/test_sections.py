"""What each view says of sixty known outfits, and what it needs where there is too little."""

import io
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import get_args

import numpy as np
import pandas as pd
import pytest
from trend_sections import EVERY_RULE, SECTIONS

from dashboard.figures import Theme
from dashboard.shared.tables import as_parquet
from dashboard.trends.coloured import colour_section, pair_section, palette_section
from dashboard.trends.moves import forecast_section, line_section, movement_section
from dashboard.trends.reliability import Trust
from dashboard.trends.section import Builder, Question, Section, factor, factor_cell
from dashboard.trends.together import (
    MEASURES,
    companion_section,
    lift_section,
    matrix_section,
    network_section,
    rule_section,
)
from dashboard.trends.worn import days_before, other_period, other_tag, share_section
from segmodels.archive.behind import Behind, read_behind
from segmodels.archive.facts import Facts, Period, View
from segmodels.archive.intervals import Reliability, wilson
from segmodels.archive.outfits import NotEnoughError
from segmodels.archive.store import Archive, Version
from segmodels.taxonomy import OUTFIT_15

VERSION = Version("OUTFIT_15", "fake", "abc123")
DATED = [line_section, movement_section, forecast_section, lift_section]
Write = Callable[..., Path]


def codes(section: Section) -> set[Behind]:
    """Whose photos the points of a figure stand for."""
    found = {
        code for trace in section.figure.data for code in (trace.customdata if trace.customdata is not None else ())
    }
    behind = {read_behind(code, OUTFIT_15) for code in found}
    assert None not in behind
    return behind  # type: ignore[return-value]


def count(question: Question, behind: Behind) -> int:
    return question.facts.count(question.view, behind.conditions)


@pytest.mark.parametrize("theme", get_args(Theme))
@pytest.mark.parametrize("build", SECTIONS)
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
    filled, hollow = section.figure.data[:2]
    places = section.figure.layout.yaxis.ticktext.index
    for name, pale in (("Pants", 1), ("Coat", 0.3)):
        assert filled.marker.opacity[places(name)] == hollow.marker.opacity[places(name)] == pale
    assert hollow.error_x.array[places("Pants")] == pytest.approx(0.1135, abs=1e-4), "Wilson: 0 of 30"
    assert [each.name for each in section.figure.data if each.showlegend is not False] == [
        "market North",
        "any other market",
        "pale: difference not significant",
    ]
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


def test_rates_of_raw_counts_do_not_stand_beside_expected_ones(expected: Question) -> None:
    trust = Trust("Measured on paper.", {"Hat": Reliability(0.5, 20, 0.9, 20)})
    raw = share_section(expected.within(View(counting="raw")), trust=trust)
    assert "recall 50%, false alarms 10%" in " ".join(raw.figure.layout.yaxis.ticktext)
    assert raw.table.set_index("garment").loc["Hat", "specificity"] == 0.9
    section = share_section(expected, trust=trust)
    assert "recall" not in " ".join(section.figure.layout.yaxis.ticktext) and "specificity" not in section.table


@pytest.mark.parametrize("view", [View(), View(garments=("Coat",)), View(colours=("blue",)), View(counting="raw")])
@pytest.mark.parametrize(
    "build", [*[each for each in SECTIONS if each not in (network_section, rule_section)], EVERY_RULE]
)
def test_every_view_says_what_it_counts(expected: Question, build: Builder, view: View) -> None:
    section = build(expected.within(view))
    raw, weighted = view.counting == "raw", bool(view.garments or view.colours)
    assert ("Raw counts: every garment that was outlined." in section.caption) is raw
    assert ("Expected counts: sums of the probability that a garment is worn." in section.caption) is not raw
    assert ("An outfit counts with the probability that it meets the filter." in section.caption) is weighted
    assert section.behind in codes(section) and section.words and section.caption[0].upper() == section.caption[0]
    counts = section.numbers.filter(["outfits", "of", "garments"]).dropna()
    assert counts.equals(counts.round(0 if raw else 1))


def test_shares_of_expected_counts(expected: Question) -> None:
    # ten of sixty wear a hat with probability 0.9, the others with 0.1
    section = share_section(expected)
    hat = section.table.set_index("garment").loc["Hat"]
    assert (hat["outfits"], hat["share"]) == (pytest.approx(14), pytest.approx(14 / 60))
    low, high = wilson([14.0], 60.0)
    assert (hat["low"], hat["high"]) == (pytest.approx(low[0]), pytest.approx(high[0]))
    assert section.caption.startswith("60 outfits in 60 photos.") and "calibration" not in section.caption
    told = replace(expected, share_errors={"Hat": 0.05})
    section = share_section(told)
    hat = section.table.set_index("garment").loc["Hat"]
    low, high = wilson([14.0], 60.0, 0.05)
    assert (hat["low"], hat["high"]) == (pytest.approx(low[0]), pytest.approx(high[0]))
    assert "95% intervals (Wilson) that allow for the error of the calibration." in section.caption
    lines = line_section(told, names=("Hat",)).table
    low, high = wilson(lines["outfits"], lines["of"], 0.05)
    assert lines["low"].tolist() == pytest.approx(low.tolist()) and lines["high"].tolist() == pytest.approx(
        high.tolist()
    )
    raw = share_section(told.within(View(counting="raw"))).table.set_index("garment").loc["Hat"]
    low, high = wilson([10], 60)
    assert (raw["outfits"], raw["low"], raw["high"]) == (10, pytest.approx(low[0]), pytest.approx(high[0]))


def test_shares_under_a_filter_are_of_those_who_probably_meet_it(expected: Question) -> None:
    # half wear a coat: 30 * 0.9 + 30 * 0.1 are expected. With a hat: 10 * 0.81 + 20 * 0.09 + 30 * 0.01
    section = share_section(expected.within(View(garments=("Coat",))))
    table = section.table.set_index("garment")
    assert section.caption.startswith("About 30 outfits in 30 photos.")
    assert table.loc["Coat", "share"] == pytest.approx(1), "of the outfits with a coat, all have one"
    assert table.loc["Hat", "outfits"] == pytest.approx(10.2, rel=1e-6)
    assert table.loc["Hat", "share"] == pytest.approx(0.34, rel=1e-6)


def test_pairs_and_companions_of_expected_counts(expected: Question) -> None:
    pair = matrix_section(expected).table.set_index(["first", "second"]).loc[("Hat", "Coat")]
    assert pair["outfits"] == pytest.approx(10.2) and pair["lift"] == pytest.approx(10.2 * 60 / (14 * 30))
    assert pair["confidence"] == pytest.approx(10.2 / 14) and pair["reverse"] == pytest.approx(10.2 / 30)
    table = companion_section(expected, garment="Coat").table.set_index("garment")
    assert table.loc["Hat", "share"] == pytest.approx(10.2 / 30)
    assert table.loc["Hat", "other_share"] == pytest.approx((14 - 10.2) / 30)


def test_a_rule_is_listed_once_in_the_direction_that_says_more(question: Question, expected: Question) -> None:
    for asked in (question, expected):
        section = rule_section(asked, only_sure=False)
        table = section.table
        listed = [frozenset(pair) for pair in table[["first", "second"]].to_numpy()]
        assert len(listed) == len(set(listed)) and (table["confidence"] >= table["reverse"]).all()
        hat = table.set_index(["first", "second"]).loc[("Hat", "Coat")]
        assert hat["confidence"] > hat["reverse"], "a third of those in coats wear a hat, all hats are on coats"
        assert "Hat → Coat" in section.figure.layout.yaxis.ticktext
        assert "Each pair is listed once" in section.caption


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


def shows(number: int) -> datetime:
    """Shows of four years: coats (the first 30) in September, others in March."""
    return datetime(2021 + number % 4, 9 if number < 30 else 3, 1 + number // 4)


def asked(place: Path, stack: ExitStack, southern: tuple[tuple[str, str], ...] = ()) -> Question:
    return Question(Facts(stack.enter_context(Archive(place).reader()), OUTFIT_15, southern=southern), View())


def test_an_archive_of_shows_is_forecast_by_fashion_season(write: Write) -> None:
    with ExitStack() as stack:
        question = asked(write("shows", dated=shows), stack)
        with pytest.raises(NotEnoughError) as caught:
            forecast_section(question, period="month", garment="Coat")
        assert str(caught.value) == (
            "A forecast needs at least 12 months in a row; there are 8, with gaps between. "
            "A forecast by fashion season is possible."
        )
        section = forecast_section(question, period="fashion season", garment="Coat")
        ahead = section.table[section.table["what"] == "forecast"]
        assert [f"{start:%Y-%m}" for start in ahead["start"]] == ["2025-03", "2025-09", "2026-03", "2026-09"]
        assert ahead["share"].round().tolist() == [0, 1, 0, 1]
        assert "with yearly seasonality" in section.caption
        assert "Back-test of the same model on the last 4 fashion seasons: " in section.caption
        assert "repeating the same fashion seasons of the year before would be 0.0, so do not" in section.caption
        assert section.words.startswith("Coat: 100% (FW 2024/25); forecast for FW 2026/27: ")
        assert section.behind.words() == "Coat, FW 2024/25" and count(question, section.behind) == 7
        told = [text for trace in section.figure.data for text in trace.text or ()]
        assert told[0].startswith("Coat, SS 2021<br>0.0%") and told[-1].startswith("Coat, FW 2026/27<br>forecast ")
        lines = line_section(question, period="half-year", names=("Coat",)).table
        assert lines["share"].tolist() == [0, 1] * 4
        moves = movement_section(question, period="fashion season").table.set_index("garment")
        assert moves.loc["Hat", "outfits"] == 10 and not moves["significant"].any(), "what alternates does not grow"


@pytest.mark.parametrize(
    ("weeks", "repeated"),
    [(60, "the same weeks of the year before would be 100.0"), (57, "the last week before them would be 0.0")],
)
def test_the_naive_forecast_is_named(write: Write, weeks: int, repeated: str) -> None:
    """Coats in the first 30 weeks only; those of the last 6 are compared with weeks 3 to 8, or with the one before."""
    place = write(f"weeks{weeks}", weeks, dated=lambda number: datetime(2022, 1, 3) + timedelta(weeks=number))
    with ExitStack() as stack:
        caption = forecast_section(asked(place, stack), period="week", garment="Coat").caption
    assert "Local-level model (statsmodels)" in caption and f"repeating {repeated}" in caption


def every_month(months: int) -> Callable[[int], datetime]:
    return lambda number: datetime(2022 + number % months // 12, 1 + number % months % 12, 1)


@pytest.mark.parametrize(
    ("months", "period", "sentence"),
    [
        (30, "season", "at least 12 seasons in a row; there are 11. A forecast by month is possible."),
        (30, "year", "at least 6 years in a row; there are 3. A forecast by fashion season is possible."),
        (36, "year", "at least 6 years in a row; there are 3. A forecast by half-year is possible."),
        (10, "season", "at least 12 seasons in a row; there are 4."),
        (10, "week", "at least 12 weeks in a row; there are 10, with gaps between."),
        (
            30,
            "week",
            "dated photos in every week; 97 of the 127 weeks from first to last have none. A forecast by month",
        ),
    ],
)
def test_a_refused_forecast_names_a_period_that_works(write: Write, months: int, period: Period, sentence: str) -> None:
    place = write(f"months{months}{period}", dated=every_month(months))
    with ExitStack() as stack, pytest.raises(NotEnoughError) as caught:
        forecast_section(asked(place, stack), period=period)
    said = str(caught.value).removeprefix("A forecast needs ")
    assert said == sentence or (sentence.endswith("month") and said == f"{sentence} is possible.")


@pytest.mark.parametrize(
    ("build", "months", "period", "sentence"),
    [
        (movement_section, 36, "year", "at least 6 years; there are 3. A trend by half-year is possible."),
        (
            movement_section,
            30,
            "half-year",
            "at least 6 half-years; there are 5. A trend by fashion season is possible.",
        ),
        (movement_section, 5, "season", "at least 6 seasons; there are 2."),
        (line_section, 10, "year", "at least 2 years; there is 1. A line over time by half-year is possible."),
    ],
)
def test_a_refused_trend_names_a_shorter_period_that_works(
    write: Write, build: Builder, months: int, period: Period, sentence: str
) -> None:
    place = write(f"trend{months}{period}", dated=every_month(months))
    with ExitStack() as stack, pytest.raises(NotEnoughError) as caught:
        build(asked(place, stack), period=period)  # type: ignore[call-arg]
    assert str(caught.value).endswith(f" needs photos of {sentence}")


def test_seasons_of_the_south_are_named_and_explained(question: Question, sixty: Path) -> None:
    """Odd photos are of the South, in even months; dresses are worn there alone."""
    with ExitStack() as stack:
        both = asked(sixty, stack, (("market", "South"),))
        south = both.within(View(tags=(("market", ("South",)),)))
        north = both.within(View(tags=(("market", ("North",)),)))
        for build in (line_section, lift_section):
            assert "Photos with market South are of the southern hemisphere, where seasons are" in (
                build(both, period="season").caption
            )
            quiet = [(question, "season"), (north, "season"), (both, "month")]
            assert not any("hemisphere" in build(each, period=period).caption for each, period in quiet)
        section = line_section(south, period="fashion season", names=("Dress",))
        sentence = (
            "All photos are of the southern hemisphere (market South), and fashion seasons have their names there."
        )
        assert sentence in section.caption
        names = {"2022-09": "SS 2022/23", "2023-03": "FW 2023", "2023-09": "SS 2023/24"}
        held = {f"{start:%Y-%m}": outfits for start, outfits in section.table[["start", "outfits"]].to_numpy()}
        assert held == {"2022-09": 5, "2023-03": 15, "2023-09": 10}, "February; April, June, August; October, December"
        told = [text for trace in section.figure.data for text in trace.text or ()]
        assert [text.partition("<br>")[0] for text in told] == [f"Dress, {name}" for name in names.values()]
        told = line_section(both, period="season", names=("Dress",)).figure.data[-1].text
        assert told[2].startswith("Dress, summer 2023 (south: winter)<br>66.7%"), "10 of June and August, 5 of July"


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
        ("one", 1, lambda n: datetime(2023, 1, 1), "there is 1", SECTIONS),
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
    for build in SECTIONS:
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
