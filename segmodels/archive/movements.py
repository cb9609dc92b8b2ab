"""Trends of shares over time, and their forecast.

The functions take tables of `outfits` with a time. All tests of a call are corrected together.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.stats import norm, t

from segmodels.archive.facts import Period
from segmodels.archive.intervals import adjusted
from segmodels.archive.outfits import SIGNIFICANT, NotEnoughError

__all__ = ["LEAST_PERIODS", "Forecast", "forecast", "forecast_lacks", "movements"]

LEAST_PERIODS = 6
"""Fewest periods for a trend."""

_PERIODS_A_YEAR: Mapping[Period, int] = {
    "week": 52,
    "month": 12,
    "season": 4,
    "collection": 4,
    "fashion season": 2,
    "half-year": 2,
    "year": 1,
}
_NEWTON_STEPS, _RIDGE = 25, 1e-9
_LEAST_EACH = 5  # fewest outfits for a trend
_ROUNDING = 1e-6  # expected counts are sums of fractions
_LEAST_FOR_SEASON = 1.9  # fewest years from the first start to the last for seasonality in a trend
_LEAST_BEFORE_TEST = 1.5  # fewest years before the back-test for seasonality in a forecast


def movements(series: pd.DataFrame, period: Period, by: list[str]) -> pd.DataFrame:
    """Trend of each share: its growth over a year, with all shares tested together.

    A binomial regression of the share's odds on time; overdispersed counts widen the interval (quasi-likelihood). If
    two years or more are covered, it includes yearly seasonality: a wave where three or more parts of the year have
    photos, a step between two where only two have (half-years, or an archive of shows in March and September).

    Args:
        series: Rows with `start`, `outfits`, `of` and the columns `by`, such as from `by_period`; counts may be
            expected ones, which are no integers.
        period: Period that divides the series.
        by: Columns that name the garment, and its colour if any.

    Returns:
        A row for each share, the strongest rise first: the columns `by`, `outfits`, `first_share` and `last_share`
        (fitted, without seasonality), `growth` (odds ratio per year), `low`, `high` (95 %), `p` (corrected) and
        `significant`.

    Raises:
        NotEnoughError: If there are fewer than six periods.
    """
    starts = np.sort(series["start"].unique())
    if len(starts) < LEAST_PERIODS:
        raise NotEnoughError(
            f"A trend needs at least {LEAST_PERIODS} periods with dated photos; there are {len(starts)}."
        )
    counts = series.pivot_table(index=by, columns="start", values="outfits", aggfunc="sum").fillna(0)
    sizes = series.pivot_table(index=by, columns="start", values="of", aggfunc="sum").fillna(0)
    total = counts.sum(axis=1)
    whole = sizes.sum(axis=1)
    kept = ((sizes > 0).sum(axis=1) >= LEAST_PERIODS) & (total >= _LEAST_EACH - _ROUNDING)
    kept &= total < whole * (1 - _ROUNDING)
    counts, sizes = counts[kept], sizes[kept]
    years = (pd.to_datetime(counts.columns) - pd.Timestamp(starts[0])).days.to_numpy() / 365.25
    growth = _growth(counts.to_numpy(float), sizes.to_numpy(float), years, _PERIODS_A_YEAR[period])
    table = pd.DataFrame(counts.index.to_list(), columns=by)
    table["outfits"] = total[kept].astype(series["outfits"].dtype).to_numpy()
    table = table.join(growth)
    table["p"] = adjusted(table["p"].to_numpy())
    table["significant"] = table["p"] < SIGNIFICANT
    return table.sort_values("growth", ascending=False, kind="stable", ignore_index=True)


@dataclass(frozen=True)
class Forecast:
    """Forecast of a share, and its error in a back-test with the same model.

    Args:
        table: Columns `start`, `share`, `low`, `high` (95 %) of the periods ahead.
        error: Mean absolute error of a back-test on the last periods, as a share.
        naive_error: Mean absolute error of the naive forecast on the same periods, as a share.
        naive: What the naive forecast repeats: the `year` before the tested periods, or the last `period` before them
            where there is no whole year, or a year has one period.
        tested: Number of periods in the back-test, and of periods ahead.
        seasonal: Whether the model, here and in the back-test, has yearly seasonality.
    """

    table: pd.DataFrame
    error: float
    naive_error: float
    naive: Literal["year", "period"]
    tested: int
    seasonal: bool


def forecast(series: pd.DataFrame, period: Period) -> Forecast:
    """Local-level model with yearly seasonality, on the log odds, and its back-test.

    statsmodels' `UnobservedComponents`; on made-up archives it had a smaller error than exponential smoothing, whose
    twelve months each need years of data. Seasonality is two harmonics, one for seasons, and an alternation of two
    steps for half-years and fashion seasons.

    - Length: 12 periods in a row, or 6 of half a year or longer.
    - Reach: as far as the back-test, which leaves out the last 6 periods (of half a year or longer: 2 to 4, so that 4
      are left to learn from).
    - Seasonality: if the periods before the back-test cover one and a half years, and are 4 or more: from 24 months, 84
      weeks, 12 seasons or 6 half-years in all. Below that the forecast would rest on a season that was seen once, and
      no back-test could tell whether it returns.
    - Interval: Student's t, as the variances are estimated from few periods, and never narrower than the sampling error
      of a share. In simulations of 6 to 12 half-years 91 to 98 % of shares fell inside; with neither, 83 to 93 %. It is
      an interval of the counted share, without the error of a calibration, which is the same in all periods.

    Args:
        series: Rows of one share with `start`, `outfits` and `of`; counts may be expected ones, which are no integers.
        period: Period that divides the series.

    Raises:
        NotEnoughError: If `forecast_lacks` something.
    """
    part = series.sort_values("start")
    starts = pd.DatetimeIndex(part["start"])
    if lack := forecast_lacks(starts, period):
        raise NotEnoughError(lack)
    count, of = part["outfits"].to_numpy(float), part["of"].to_numpy(float)
    yes, no = count + 0.5, np.maximum(of - count, 0) + 0.5
    odds, sampling, share = np.log(yes / no), 1 / yes + 1 / no, count / of
    year = _PERIODS_A_YEAR[period]
    tested = 6 if year > 2 else min(4, len(part) - 4)
    before = len(part) - tested
    seasonal = year >= 2 and before >= max(4, _LEAST_BEFORE_TEST * year)
    yearly = year >= 2 and before >= year
    naive = np.resize(share[before - year : before], tested) if yearly else share[before - 1]
    past = _continued(odds[:before], year if seasonal else 0, tested)[0]
    middle, spread, states = _continued(odds, year if seasonal else 0, tested)
    reach = t.ppf(0.975, len(part) - states) * np.sqrt(np.maximum(spread**2, sampling.mean()))
    return Forecast(
        table=pd.DataFrame(
            {
                "start": _ahead(starts[-1], period, tested),
                "share": _logistic(middle),
                "low": _logistic(middle - reach),
                "high": _logistic(middle + reach),
            }
        ),
        error=float(np.abs(_logistic(past) - share[before:]).mean()),
        naive_error=float(np.abs(naive - share[before:]).mean()),
        naive="year" if yearly else "period",
        tested=tested,
        seasonal=seasonal,
    )


def forecast_lacks(starts: pd.DatetimeIndex, period: Period) -> str:
    """What a forecast by a period lacks, as a sentence; empty if it can be made.

    Args:
        starts: First days of the periods with dated photos, in order.
        period: Period to forecast by.
    """
    least = 12 if _PERIODS_A_YEAR[period] > 2 else 6
    every = _every(starts[0], starts[-1], period) if len(starts) else 0
    if len(starts) < least:
        gaps = ", with gaps between" if every > len(starts) else ""
        is_are = "is" if len(starts) == 1 else "are"
        return f"A forecast needs at least {least} {period}s in a row; there {is_are} {len(starts)}{gaps}."
    if every > len(starts):
        return (
            f"A forecast needs dated photos in every {period}; {every - len(starts)} of the {every} {period}s from "
            f"first to last have none."
        )
    return ""


def _continued(values: np.ndarray, year: int, ahead: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Forecast and standard deviation of each step ahead, and the number of states of the model.

    Args:
        values: Log odds, `(periods,)`.
        year: Number of periods in a year; 0 for a model without seasonality.
        ahead: Number of steps.
    """
    from statsmodels.tsa.statespace.structural import UnobservedComponents  # of the extra `app`

    wave: dict[str, Any] = {}
    if year == 2:
        wave = {"seasonal": 2, "stochastic_seasonal": False}
    elif year:
        harmonics = min(2, year // 2 - 1)
        wave = {"freq_seasonal": [{"period": year, "harmonics": harmonics}], "stochastic_freq_seasonal": [False]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the optimiser may stop early; the back-test shows the quality
        model = UnobservedComponents(values, level="local level", **wave)
        found = model.fit(disp=False).get_forecast(ahead)
    variance = np.maximum(np.asarray(found.var_pred_mean), 0)  # that of a constant series is rounded, to below 0 too
    return np.asarray(found.predicted_mean), np.sqrt(variance), model.k_states


def _growth(counts: np.ndarray, sizes: np.ndarray, years: np.ndarray, year: int) -> pd.DataFrame:
    """Binomial regressions of many shares on time, by Newton's method, all at once.

    statsmodels' GLM gives the same numbers one by one, which takes seconds for the colours of all garments.

    Args:
        counts: Counts, float `(n, periods)`.
        sizes: Sizes, float `(n, periods)`, 0 without observations.
        years: Years since the first period, `(periods,)`.
        year: Number of periods in a year.

    Returns:
        `first_share`, `last_share`, `growth`, `low`, `high`, `p` (not corrected).
    """
    design = np.stack([np.ones_like(years), years, *_wave(years, year)], axis=1)  # (periods, k)
    beta = np.zeros((len(counts), design.shape[1]))
    share = np.clip(counts.sum(axis=1) / np.maximum(sizes.sum(axis=1), 1), 1e-9, 1 - 1e-9)
    beta[:, 0] = np.log(share / (1 - share))
    for _ in range(_NEWTON_STEPS):
        fitted = _logistic(beta @ design.T)
        weight = sizes * fitted * (1 - fitted)
        information = np.einsum("pk,np,pl->nkl", design, weight, design) + _RIDGE * np.eye(design.shape[1])
        step = np.linalg.solve(information, ((counts - sizes * fitted) @ design)[..., None])[..., 0]
        beta += np.clip(step, -2, 2)
    fitted = _logistic(beta @ design.T)
    weight = sizes * fitted * (1 - fitted)
    covariance = np.linalg.inv(np.einsum("pk,np,pl->nkl", design, weight, design) + _RIDGE * np.eye(design.shape[1]))
    chi = (np.where(weight > 0, (counts - sizes * fitted) ** 2, 0) / np.where(weight > 0, weight, 1)).sum(axis=1)
    scale = np.maximum(1, chi / np.maximum(1, (sizes > 0).sum(axis=1) - design.shape[1]))
    slope, error = beta[:, 1], np.sqrt(covariance[:, 1, 1] * scale)
    z = norm.ppf(0.975)
    with np.errstate(over="ignore"):
        return pd.DataFrame(
            {
                "first_share": _logistic(beta[:, 0]),
                "last_share": _logistic(beta[:, 0] + slope * years[-1]),
                "growth": np.exp(slope),
                "low": np.exp(slope - z * error),
                "high": np.exp(slope + z * error),
                "p": 2 * norm.sf(np.abs(slope) / error),
            }
        )


def _wave(years: np.ndarray, year: int) -> list[np.ndarray]:
    """Columns of seasonality: as many as the parts of the year with photos can tell apart from growth."""
    parts = np.round(years * year).astype(int) % year
    known = np.unique(parts)
    if years[-1] < _LEAST_FOR_SEASON or len(known) < 2:
        return []
    if len(known) == 2:
        return [np.where(parts == known[0], 1.0, -1.0)]
    return [np.cos(2 * np.pi * years), np.sin(2 * np.pi * years)]


def _ahead(start: pd.Timestamp, period: Period, count: int) -> pd.DatetimeIndex:
    """First days of the next periods."""
    if period == "week":
        return pd.DatetimeIndex([start + pd.DateOffset(weeks=n) for n in range(1, count + 1)])
    months = 12 // _PERIODS_A_YEAR[period]
    return pd.DatetimeIndex([start + pd.DateOffset(months=months * n) for n in range(1, count + 1)])


def _every(first: pd.Timestamp, last: pd.Timestamp, period: Period) -> int:
    """Number of periods from one that begins on `first` to one that begins on `last`, both included."""
    if period == "week":
        return int((last - first).days // 7 + 1)
    months = 12 * (last.year - first.year) + last.month - first.month
    return int(months * _PERIODS_A_YEAR[period] // 12 + 1)


def _logistic(values: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-values)))
