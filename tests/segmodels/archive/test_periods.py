"""Periods into which days fall, in both hemispheres."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import date, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from archive_rows import VERSION, made

from segmodels.archive.facts import PERIODS, Conditions, Facts, Period, View
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
    return list(map(str, facts.periods(View(), period)))


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        # week, month, season, collection, fashion season, half-year, year
        (date(2024, 2, 29), "2024-02-26 2024-02-01 2023-12-01 2024-02-01 2023-09-01 2024-01-01 2024-01-01"),
        (date(2024, 3, 1), "2024-02-26 2024-03-01 2024-03-01 2024-02-01 2024-03-01 2024-01-01 2024-01-01"),
        (date(2024, 4, 30), "2024-04-29 2024-04-01 2024-03-01 2024-02-01 2024-03-01 2024-01-01 2024-01-01"),
        (date(2024, 6, 30), "2024-06-24 2024-06-01 2024-06-01 2024-05-01 2024-03-01 2024-01-01 2024-01-01"),
        (date(2024, 7, 1), "2024-07-01 2024-07-01 2024-06-01 2024-05-01 2024-03-01 2024-07-01 2024-01-01"),
        (date(2024, 8, 31), "2024-08-26 2024-08-01 2024-06-01 2024-08-01 2024-03-01 2024-07-01 2024-01-01"),
        (date(2024, 9, 1), "2024-08-26 2024-09-01 2024-09-01 2024-08-01 2024-09-01 2024-07-01 2024-01-01"),
        (date(2024, 12, 31), "2024-12-30 2024-12-01 2024-12-01 2024-11-01 2024-09-01 2024-07-01 2024-01-01"),
        (date(2025, 1, 1), "2024-12-30 2025-01-01 2024-12-01 2024-11-01 2024-09-01 2025-01-01 2025-01-01"),
    ],
)
def test_a_day_is_in_one_period_of_each_length(opened: Open, day: date, expected: str) -> None:
    facts = opened({day: {}})
    assert [starts(facts, period)[0] for period in PERIODS] == expected.split()
    assert facts.southern == ()


def test_a_view_knows_its_hemispheres(opened: Open) -> None:
    days = {
        date(2024, 1, 10): {"market": "FR"},
        date(2024, 7, 10): {"market": "AU"},
        date(2024, 7, 11): {},
        date(2024, 7, 12): {"market": "FR", "shop": "Rio's"},
    }
    facts = opened(days, SOUTH)
    assert facts.southern == SOUTH[:2], "only those that photos have"
    assert facts.hemispheres(View()) == "both"
    assert facts.hemispheres(View(tags=(("market", ("AU",)),))) == "south"
    assert facts.hemispheres(View(first=date(2024, 7, 12))) == "south", "by any of the tags"
    assert facts.hemispheres(View(last=date(2024, 7, 9))) == facts.hemispheres(View(last=date(2023, 1, 1))) == "north"
    assert starts(facts, "season") == ["2023-12-01", "2024-06-01"], "by the real day"
    assert facts.count(View(), Conditions(period="fashion season", start=date(2024, 3, 1))) == 3
    assert opened({}).hemispheres(View()) == "north", "without the setting"


def test_a_date_counts_in_the_periods_that_it_names(tmp_path: Path) -> None:
    writer = Archive(tmp_path).writer(VERSION)
    named = {
        "day": (datetime(2024, 3, 31, 9), None),
        "week": (datetime(2024, 3, 25), "week"),
        "month": (datetime(2024, 3, 1), "month"),
        "quarter": (datetime(2024, 1, 1), "quarter"),
        "SS24": (datetime(2024, 3, 1), "fashion season"),
        "half": (datetime(2024, 1, 1), "half-year"),
        "year": (datetime(2024, 1, 1), "year"),
        "never": (None, None),
    }
    for name, (taken, precision) in named.items():
        writer.append(made(name, taken=taken, precision=precision))
    counted = {"week": 2, "month": 3, "season": 3, "collection": 3, "fashion season": 4, "half-year": 5, "year": 7}
    with Archive(tmp_path).reader() as reader:
        facts = Facts(reader, OUTFIT_15)
        for period in PERIODS:
            table = facts.counts_by_period(View(), period)
            assert table.groupby("start")["of"].first().sum() == counted[period], period
        assert starts(facts, "month") == ["2024-03-01"]
        assert starts(facts, "fashion season") == ["2024-03-01"]
        behind = facts.photos(View(), Conditions(period="month", start=date(2024, 3, 1)))
        assert set(behind["photo_id"]) == {"day", "week", "month"}
        assert facts.size(View()).dated == 7


def test_an_archive_of_before_there_was_a_precision_has_days(tmp_path: Path) -> None:
    Archive(tmp_path).writer(VERSION).append(made("a", taken=datetime(2024, 3, 31)))
    (part,) = tmp_path.rglob("*.parquet")
    pq.write_table(pq.read_table(part).drop_columns(["date_precision"]), part)
    with Archive(tmp_path).reader() as reader:
        assert starts(Facts(reader, OUTFIT_15), "week") == ["2024-03-25"]
