"""Names of periods, in both hemispheres."""

from datetime import date

import pandas as pd
import pytest

from segmodels.archive.behind import Behind, period_name, read_behind
from segmodels.archive.facts import PERIODS, Period
from segmodels.taxonomy import OUTFIT_15


@pytest.mark.parametrize(
    ("period", "start", "north", "south", "both"),
    [
        ("week", date(2024, 3, 4), "week of 2024-03-04", "", ""),
        ("month", date(2024, 3, 1), "March 2024", "", ""),
        ("half-year", date(2024, 1, 1), "first half of 2024", "", ""),
        ("half-year", date(2024, 7, 1), "second half of 2024", "", ""),
        ("year", date(2024, 1, 1), "2024", "", ""),
        ("season", date(2023, 12, 1), "winter 2023/24", "summer 2023/24", "winter 2023/24 (south: summer)"),
        ("season", date(2024, 3, 1), "spring 2024", "autumn 2024", "spring 2024 (south: autumn)"),
        ("season", date(2024, 6, 1), "summer 2024", "winter 2024", "summer 2024 (south: winter)"),
        ("season", date(2024, 9, 1), "autumn 2024", "spring 2024", "autumn 2024 (south: spring)"),
        ("fashion season", date(2024, 3, 1), "SS 2024", "FW 2024", "SS 2024 (south: FW)"),
        ("fashion season", date(2024, 9, 1), "FW 2024/25", "SS 2024/25", "FW 2024/25 (south: SS)"),
        ("collection", date(2024, 11, 1), "Resort 2025", "Pre-Fall 2025", "Resort 2025 (south: Pre-Fall)"),
        ("collection", date(2024, 2, 1), "SS 2024", "FW 2024", "SS 2024 (south: FW)"),
        ("fashion season", date(1999, 9, 1), "FW 1999/00", "SS 1999/00", "FW 1999/00 (south: SS)"),
    ],
)
def test_a_period_has_a_name(period: Period, start: date, north: str, south: str, both: str) -> None:
    assert period_name(start, period) == period_name(pd.Timestamp(start), period) == north
    assert [period_name(start, period, where) for where in ("south", "both")] == [south or north, both or north]
    behind = Behind(("Coat",), period=period, start=start)
    assert behind.words() == f"Coat, {north}" and behind.words("south") == f"Coat, {south or north}"
    assert read_behind(behind.code(), OUTFIT_15) == behind


@pytest.mark.parametrize("period", PERIODS)
def test_a_day_of_a_link_that_begins_no_period_has_a_name_too(period: Period) -> None:
    assert "2024" in period_name(date(2024, 5, 17), period)
    assert period_name(date(2024, 5, 17), "fashion season") == "fashion season from May 2024"
