"""Periods into which days fall, in both hemispheres."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date, datetime
from pathlib import Path

import pandas as pd
import pytest
from archive_rows import VERSION, made

from segmodels.archive.facts import PERIODS, Facts, Period, View
from segmodels.archive.store import Archive
from segmodels.taxonomy import OUTFIT_15

SOUTH = (("market", "AU"), ("shop", "Rio's"), ("market", "nowhere"))

Open = Callable[..., Facts]
"""Takes days with their tags, and the tags of the south; gives the facts of an archive with a photo of each day."""


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    with ExitStack() as stack:

        def make(days: dict[date, dict[str, str]], southern: tuple[tuple[str, str], ...] = ()) -> Facts:
            writer = Archive(tmp_path).writer(VERSION)
            for day, tags in days.items():
                writer.append(made(str(day), tags=tags, taken=datetime(day.year, day.month, day.day, 12)))
            return Facts(stack.enter_context(Archive(tmp_path).reader()), OUTFIT_15, southern=southern)

        yield make


def starts(facts: Facts, period: Period) -> list[str]:
    return [f"{start:%Y-%m-%d}" for start in pd.to_datetime(facts.masks(View(), period)["start"])]


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        # week, month, season, fashion season, half-year, year
        (date(2024, 2, 29), "2024-02-26 2024-02-01 2023-12-01 2023-09-01 2024-01-01 2024-01-01"),
        (date(2024, 3, 1), "2024-02-26 2024-03-01 2024-03-01 2024-03-01 2024-01-01 2024-01-01"),
        (date(2024, 4, 30), "2024-04-29 2024-04-01 2024-03-01 2024-03-01 2024-01-01 2024-01-01"),
        (date(2024, 6, 30), "2024-06-24 2024-06-01 2024-06-01 2024-03-01 2024-01-01 2024-01-01"),
        (date(2024, 7, 1), "2024-07-01 2024-07-01 2024-06-01 2024-03-01 2024-07-01 2024-01-01"),
        (date(2024, 8, 31), "2024-08-26 2024-08-01 2024-06-01 2024-03-01 2024-07-01 2024-01-01"),
        (date(2024, 9, 1), "2024-08-26 2024-09-01 2024-09-01 2024-09-01 2024-07-01 2024-01-01"),
        (date(2024, 12, 31), "2024-12-30 2024-12-01 2024-12-01 2024-09-01 2024-07-01 2024-01-01"),
        (date(2025, 1, 1), "2024-12-30 2025-01-01 2024-12-01 2024-09-01 2025-01-01 2025-01-01"),
    ],
)
def test_a_day_is_in_one_period_of_each_length(opened: Open, day: date, expected: str) -> None:
    facts = opened({day: {}})
    assert [starts(facts, period)[0] for period in PERIODS] == expected.split()
    assert facts.southern == ()


@pytest.mark.parametrize(
    ("day", "season", "fashion"),
    [
        (date(2024, 3, 31), "2023-09-01", "2023-09-01"),  # autumn and AW begin there in March
        (date(2024, 6, 15), "2023-12-01", "2023-09-01"),  # winter
        (date(2024, 8, 31), "2023-12-01", "2023-09-01"),
        (date(2024, 9, 1), "2024-03-01", "2024-03-01"),  # spring, SS
        (date(2024, 12, 31), "2024-06-01", "2024-03-01"),  # summer
        (date(2025, 2, 28), "2024-06-01", "2024-03-01"),
    ],
)
@pytest.mark.parametrize("tags", [{"market": "AU"}, {"market": "x", "shop": "Rio's"}])
def test_a_southern_day_counts_in_the_season_of_the_same_name(
    opened: Open, day: date, season: str, fashion: str, tags: dict[str, str]
) -> None:
    facts = opened({day: tags}, SOUTH)
    assert (starts(facts, "season"), starts(facts, "fashion season")) == ([season], [fashion])
    assert starts(facts, "month") == [f"{day:%Y-%m-01}"] and starts(facts, "year") == [f"{day:%Y-01-01}"]
    assert starts(facts, "half-year") == [f"{day:%Y}-{'01' if day.month <= 6 else '07'}-01"]
    assert facts.southern == (SOUTH[0] if "AU" in tags.values() else SOUTH[1],), "only those that photos have"


def test_winters_of_both_hemispheres_are_one(opened: Open) -> None:
    north, south, none = date(2024, 1, 10), date(2024, 7, 10), date(2024, 7, 11)
    facts = opened({north: {"market": "FR"}, south: {"market": "AU"}, none: {}}, SOUTH)
    found = facts.masks(View(), "season").set_index("start")["outfits"]
    assert {f"{start:%Y-%m}": outfits for start, outfits in found.items()} == {"2023-12": 2, "2024-06": 1}
    winter = facts.photos(View(), period="season", start=date(2023, 12, 1))
    assert [f"{day:%Y-%m-%d}" for day in winter["day"]] == [str(south), str(north)], "with the days of the photos"
    assert facts.count(View(), period="fashion season", start=date(2023, 9, 1)) == 2
    assert facts.count(View(first=none), period="season", start=date(2024, 6, 1)) == 1, "a view has the days too"
    assert facts.masks(View(first=south), "season")["outfits"].tolist() == [1, 1]
    assert facts.count(View(), period="month", start=date(2024, 7, 1)) == 2
