"""Trends and forecasts of shares that are known."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from statsmodels.tsa.statespace import structural

from segmodels.archive.facts import Period
from segmodels.archive.movements import forecast, forecast_lacks, movements
from segmodels.archive.outfits import NotEnoughError

FREQUENCIES: dict[Period, str] = {"week": "W-MON", "month": "MS", "season": "3MS", "year": "YS"}


def starts_of(period: Period, count: int) -> pd.DatetimeIndex:
    first = pd.Timestamp(
        {"week": "2020-01-06", "half-year": "2020-01-01", "year": "2010-01-01"}.get(period, "2020-03-01")
    )
    return pd.date_range(first, periods=count, freq=FREQUENCIES.get(period, "6MS"))


def series_of(period: Period, shares: Any, of: float = 1000) -> pd.DataFrame:
    shares = np.asarray(shares, float)
    return pd.DataFrame(
        {"start": starts_of(period, len(shares)), "garment": "Hat", "outfits": shares * of, "of": float(of)}
    )


@pytest.mark.parametrize(
    ("period", "periods", "tested", "seasonal"),
    [
        ("month", 12, 6, False),
        ("month", 18, 6, False),
        ("month", 23, 6, False),
        ("month", 24, 6, True),
        ("week", 83, 6, False),
        ("week", 84, 6, True),
        ("season", 12, 6, True),
        ("fashion season", 6, 2, True),
        ("half-year", 7, 3, True),
        ("half-year", 12, 4, True),
        ("year", 6, 2, False),
    ],
)
def test_the_back_test_is_of_the_model_that_is_shown(
    monkeypatch: pytest.MonkeyPatch, period: Period, periods: int, tested: int, seasonal: bool
) -> None:
    fitted: list[tuple[int, dict[str, Any]]] = []
    model = structural.UnobservedComponents

    def spy(values: np.ndarray, **options: Any) -> Any:
        fitted.append((len(values), options))
        return model(values, **options)

    monkeypatch.setattr(structural, "UnobservedComponents", spy)
    random = np.random.default_rng(0)
    found = forecast(series_of(period, random.uniform(0.2, 0.4, periods)), period)
    assert [length for length, _ in fitted] == [periods - tested, periods]
    assert fitted[0][1] == fitted[1][1]
    options = fitted[0][1]
    assert bool(options.get("freq_seasonal") or options.get("seasonal")) == found.seasonal == seasonal
    assert found.tested == len(found.table) == tested, "a forecast reaches as far as it was tested"


@pytest.mark.parametrize(
    ("period", "periods", "raised", "naive"),
    [
        ("week", 60, range(2, 8), "year"),  # 54 weeks before the test; the same weeks are 2 to 7
        ("week", 57, [50], "period"),  # 51 weeks before the test
        ("month", 18, range(6), "year"),
        ("month", 17, [10], "period"),
        ("season", 12, range(2, 6), "year"),  # the last year before the test, and its first two again
        ("fashion season", 6, [2, 3], "year"),
        ("year", 6, [3], "period"),
    ],
)
def test_the_naive_forecast_is_the_one_that_is_named(period: Period, periods: int, raised: Any, naive: str) -> None:
    shares = np.full(periods, 0.2)
    shares[list(raised)] = 0.5
    found = forecast(series_of(period, shares), period)
    assert (found.naive, found.naive_error) == (naive, pytest.approx(0.3))


@pytest.mark.parametrize("period", ["fashion season", "half-year"])
def test_two_steps_a_year_alternate(period: Period) -> None:
    """0.2, 0.6, 0.2, ...: the next is 0.2 again, and repeating the last would be 40 points off."""
    found = forecast(series_of(period, [0.2, 0.6] * 3), period)
    assert found.table["share"].tolist() == pytest.approx([0.2, 0.6], abs=0.01)
    assert found.error == pytest.approx(0, abs=0.01) and found.seasonal
    after = {"fashion season": ["2023-03-01", "2023-09-01"], "half-year": ["2023-01-01", "2023-07-01"]}[period]
    assert [f"{start:%Y-%m-%d}" for start in found.table["start"]] == after


def test_an_interval_is_never_narrower_than_chance() -> None:
    """Six equal shares of 40 outfits: 10.5 yes and 30.5 no; Student's t of 4 degrees of freedom is 2.776."""
    found = forecast(series_of("half-year", [0.25] * 6, of=40), "half-year").table.iloc[0]
    middle, spread = np.log(10.5 / 30.5), (1 / 10.5 + 1 / 30.5) ** 0.5
    assert found["share"] == pytest.approx(1 / (1 + np.exp(-middle)), abs=1e-3)
    assert found["low"] == pytest.approx(1 / (1 + np.exp(-(middle - 2.776 * spread))), abs=2e-3)
    assert found["high"] == pytest.approx(1 / (1 + np.exp(-(middle + 2.776 * spread))), abs=2e-3)


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("months", [24, 25, 26, 30])
def test_a_constant_share_goes_on_with_an_interval(months: int, share: float) -> None:
    """The variance of its forecast is 0, or a rounding error below; the sampling error remains."""
    table = forecast(series_of("month", [share] * months, of=100), "month").table
    yes, no = 100 * share + 0.5, 100 * (1 - share) + 0.5
    assert table["share"].to_numpy() == pytest.approx(yes / 101, abs=1e-3)
    error = np.sqrt(1 / yes + 1 / no)
    width = np.log(table["high"] / (1 - table["high"])) - np.log(table["low"] / (1 - table["low"]))
    assert (width >= 2 * 1.96 * error).all() and (width < 2 * 2.3 * error).all()


@pytest.mark.parametrize(
    ("period", "kept", "sentence"),
    [
        ("month", range(12), ""),
        ("month", range(11), "A forecast needs at least 12 months in a row; there are 11."),
        ("month", [0], "A forecast needs at least 12 months in a row; there is 1."),
        (
            "month",
            range(0, 42, 6),
            "A forecast needs at least 12 months in a row; there are 7, with gaps between.",
        ),
        (
            "month",
            [*range(10), *range(12, 20)],
            "A forecast needs dated photos in every month; 2 of the 20 months from first to last have none.",
        ),
        (
            "week",
            [*range(60), 61],
            "A forecast needs dated photos in every week; 1 of the 62 weeks from first to last have none.",
        ),
        ("season", range(10), "A forecast needs at least 12 seasons in a row; there are 10."),
        ("fashion season", range(6), ""),
        ("fashion season", range(5), "A forecast needs at least 6 fashion seasons in a row; there are 5."),
        ("half-year", range(6), ""),
        (
            "year",
            [0, 1, 2, 3, 4, 6],
            "A forecast needs dated photos in every year; 1 of the 7 years from first to last",
        ),
        ("year", [], "A forecast needs at least 6 years in a row; there are 0."),
    ],
)
def test_what_a_forecast_lacks(period: Period, kept: Any, sentence: str) -> None:
    starts = starts_of(period, 70)[list(kept)]
    found = forecast_lacks(starts, period)
    assert found.startswith(sentence) and bool(found) == bool(sentence)
    if sentence:
        with pytest.raises(NotEnoughError) as caught:
            forecast(pd.DataFrame({"start": starts, "outfits": 1.5, "of": 9.5}), period)
        assert str(caught.value) == found


@pytest.mark.parametrize(
    ("period", "step", "count"),
    [
        ("fashion season", 1, 8),
        ("half-year", 1, 6),
        ("month", 6, 6),  # an archive of shows
        ("season", 2, 6),
    ],
)
def test_growth_where_a_year_has_two_parts_is_exact(period: Period, step: int, count: int) -> None:
    """Odds that grow 1.5 times a year from 0.3, and double in every other period, as expected counts."""
    starts = starts_of(period, step * count)[::step]
    years = (starts - starts[0]).days.to_numpy() / 365.25
    odds = 0.3 * 1.5**years * 2.0 ** np.where(np.arange(count) % 2, 0.5, -0.5)
    series = pd.DataFrame({"start": starts, "garment": "Hat", "outfits": 1000 * odds / (1 + odds), "of": 1000.0})
    found = movements(series, period, ["garment"]).iloc[0]
    assert found["growth"] == pytest.approx(1.5, rel=1e-4)
    assert found["first_share"] == pytest.approx(0.3 / 1.3, rel=1e-4), "without the season"
    assert 1.3 < found["low"] < found["high"] < 1.7 and found["significant"]
    assert found["outfits"] == pytest.approx((1000 * odds / (1 + odds)).sum())


def test_growth_where_a_year_has_one_part_is_exact() -> None:
    """Shows each September: a wave would be nearly the same as growth, as a year has no whole number of days."""
    starts = pd.date_range("2020-09-01", periods=6, freq="12MS")
    odds = 0.3 * 1.5 ** ((starts - starts[0]).days.to_numpy() / 365.25)
    series = pd.DataFrame({"start": starts, "garment": "Hat", "outfits": 1000 * odds / (1 + odds), "of": 1000.0})
    found = movements(series, "month", ["garment"]).iloc[0]
    assert found["growth"] == pytest.approx(1.5, rel=1e-4) and 1.4 < found["low"] < found["high"] < 1.6


def test_expected_counts_need_no_integers() -> None:
    starts = pd.date_range("2023-01-01", periods=50, freq="MS")
    parts = {
        "Hat": np.full(50, 0.1),  # sums to 5, but 4.999999999999998 as floats
        "Romper": np.full(50, 0.0999),
        "Footwear": np.full(50, np.nextafter(3, 0)),  # everyone, but for the rounding
        "Coat": np.linspace(0.5, 2.5, 50),
    }
    assert sum(parts["Hat"].tolist()) < 5
    series = pd.concat(
        [pd.DataFrame({"start": starts, "garment": name, "outfits": held, "of": 3.0}) for name, held in parts.items()]
    )
    found = movements(series, "month", ["garment"]).set_index("garment")
    assert set(found.index) == {"Hat", "Coat"}, "one worn too seldom, one by all"
    assert found["outfits"].to_dict() == {"Hat": pytest.approx(5), "Coat": pytest.approx(75)}
    assert found.loc["Hat", "growth"] == pytest.approx(1)
    whole = pd.DataFrame({"start": starts, "garment": "Hat", "outfits": 2, "of": 3})
    assert movements(whole, "month", ["garment"])["outfits"].tolist() == [100]
    assert movements(whole, "month", ["garment"])["outfits"].dtype.kind == "i", "raw counts stay whole"
