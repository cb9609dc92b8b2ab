"""Two filters compared, and a season compared with the one a year before."""

from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from dashboard.trends.chosen import Chosen
from dashboard.trends.comparison import colour_comparison_section, other_filters, pair_comparison_section
from dashboard.trends.reliability import Trust
from dashboard.trends.seasons import season_section
from dashboard.trends.section import Question
from dashboard.trends.tabs import build_of
from segmodels.archive.facts import Facts, View
from segmodels.archive.intervals import difference
from segmodels.archive.outfits import NotEnoughError
from segmodels.archive.store import Archive
from segmodels.taxonomy import OUTFIT_15

NORTH, SOUTH = (View(tags=(("market", (name,)),)) for name in ("North", "South"))


def row_of(table: Any, **values: str) -> dict[str, Any]:
    for name, value in values.items():
        table = table[table[name] == value]
    (found,) = table.to_dict("records")
    return dict(found)


def test_pairs_of_two_filters(question: Question) -> None:
    against = other_filters(question.facts, NORTH, SOUTH)
    section = pair_comparison_section(question, against=against)
    row = row_of(section.table, first="Coat", second="Dress")  # a dress in the south alone
    assert (row["outfits"], row["other_outfits"], row["share"], row["other_share"]) == (0, 15, 0, 0.5)
    moved = difference(0, 30, 15, 30)
    assert (row["change"], row["change_low"], row["change_high"]) == (moved.value, moved.low, moved.high)
    assert row["significant"] and section.view == NORTH and "hollow" in section.caption
    assert "in both groups" not in section.caption and "market: South" in section.caption
    both = other_filters(question.facts, NORTH, View(first=date(2023, 1, 1), last=date(2023, 6, 30)))
    assert both.note == " 15 outfits are in both groups, which makes the tests cautious."
    with pytest.raises(NotEnoughError, match="Both groups are the same"):
        other_filters(question.facts, NORTH, NORTH)


def test_expected_counts_of_pairs_and_colours(expected: Question) -> None:
    against = other_filters(expected.facts, View(garments=("Coat",)), View())
    table = pair_comparison_section(expected, against=against).table
    counts = expected.facts.counts(View(garments=("Coat",)))
    hat, coat = counts.names.index("Hat"), counts.names.index("Coat")
    row = row_of(table, first="Hat", second="Coat")
    assert row["outfits"] == pytest.approx(counts.together[hat, coat]) and row["share"] < 1
    assert against.note.startswith(" About "), "some are in both"


def test_colours_of_two_filters(question: Question) -> None:
    against = other_filters(question.facts, View(), View(garments=("Coat",)))
    section = colour_comparison_section(question, against=against, garment="Footwear")
    row = row_of(section.table, colour="blue")
    assert (row["share"], row["other_share"], row["outfits"], row["other_outfits"]) == (1, 1, 60, 30)
    assert not row["significant"] and "30 outfits are in both groups" in section.caption
    with pytest.raises(NotEnoughError, match="at least 10 outfits with Romper"):
        colour_comparison_section(question, against=against, garment="Romper")


def test_a_link_is_a_view_without_widgets(question: Question) -> None:
    def built(**link: str) -> str:
        return build_of(question, Trust(), {name.replace("__", "."): [value] for name, value in link.items()})(
            question
        ).title

    assert built() == "What is worn"
    assert built(tab="With what", view="Rules") == "Rules of pairs"
    assert built(tab="With what", against="Other filters", other__garments="Coat") == "Pairs, compared"
    assert built(tab="In which colours", view="One garment", garment="Hat") == "Colours of Hat"
    chosen = Chosen({"other.garments": ["Cape"], "other.from": ["2023-01-01"]}, is_drawn=False)
    chosen.enter("With what")
    assert chosen.group("other.") == {"garments": ["Cape"], "from": ["2023-01-01"]}
    chosen.keep_group("other.", {"to": ["2023-02-01"]})
    assert chosen.group("other.") == {"to": ["2023-02-01"]} and chosen.link == {"other.to": ["2023-02-01"]}


@pytest.fixture(scope="module")
def two_springs(write) -> Iterator[Question]:  # type: ignore[no-untyped-def]
    """The first thirty of the sixty, who wear coats, in spring 2024, and the others a year before."""
    place: Path = write("springs", dated=lambda number: datetime(2024 if number < 30 else 2023, 4, 1 + number % 28))
    with Archive(place).reader() as reader:
        yield Question(Facts(reader, OUTFIT_15), View())


def test_risers_and_fallers_from_a_season_to_the_same_a_year_later(two_springs: Question) -> None:
    section = season_section(two_springs)
    assert section.title == "SS 2024 compared with SS 2023"
    first = section.table.iloc[0]
    assert (first["garment"], first["share"], first["other_share"], first["significant"]) == ("Coat", 1, 0, True)
    assert section.finding == "Coat +100 points, Hat +33 points from SS 2023 to SS 2024".replace(", Hat +33 points", "")
    assert section.behind.worn == ("Coat",) and section.behind.start == date(2024, 3, 1)
    assert two_springs.facts.count(View(), section.behind.conditions) == 30, "its photos are of the later season"
    colours = season_section(two_springs, period="collection", colours=True)
    assert colours.title == "SS 2024 compared with SS 2023" and set(colours.table["colour"]) >= {"blue", "white"}
    with pytest.raises(NotEnoughError, match="the year before needs"):
        season_section(two_springs.within(View(first=date(2024, 1, 1))))
