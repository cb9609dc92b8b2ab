"""Trends of shares over time, and their forecast.

The functions take tables of `outfits` with a time. All tests of a call are corrected together.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import norm

from segmodels.archive.facts import Period
from segmodels.archive.intervals import adjusted
from segmodels.archive.outfits import SIGNIFICANT, NotEnoughError

__all__ = ["LEAST_PERIODS", "Forecast", "forecast", "movements"]

LEAST_PERIODS = 6
"""Fewest periods for a trend."""

_PERIODS_A_YEAR: Mapping[Period, int] = {"week": 52, "month": 12, "season": 4, "year": 1}
_NEWTON_STEPS, _RIDGE = 25, 1e-9
_LEAST_TO_FORECAST = 12  # periods
_ALL = 1 - 1e-9  # share from which everybody has it; sums of probabilities are rounded
_LEAST_EACH = 5  # fewest outfits for a trend


def movements(series: pd.DataFrame, period: Period, by: list[str]) -> pd.DataFrame:
    """Trend of each share: its growth over a year, with all shares tested together.

    A binomial regression of the share's odds on time, with yearly seasonality if two years or more are covered and a
    year has at least four periods; overdispersed counts widen the interval (quasi-likelihood).

    Args:
        series: Rows with `start`, `outfits`, `of` and the columns `by`, such as from `by_period`.
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
    kept = ((sizes > 0).sum(axis=1) >= LEAST_PERIODS) & (total >= _LEAST_EACH) & (total < sizes.sum(axis=1) * _ALL)
    counts, sizes = counts[kept], sizes[kept]
    years = (pd.to_datetime(counts.columns) - pd.Timestamp(starts[0])).days.to_numpy() / 365.25
    growth = _growth(counts.to_numpy(float), sizes.to_numpy(float), years, wave=_PERIODS_A_YEAR[period] >= 4)
    table = pd.DataFrame(counts.index.to_list(), columns=by)
    table["outfits"] = counts.sum(axis=1).to_numpy().astype(series["outfits"].to_numpy().dtype)
    table = table.join(growth)
    table["p"] = adjusted(table["p"].to_numpy())
    table["significant"] = table["p"] < SIGNIFICANT
    return table.sort_values("growth", ascending=False, kind="stable", ignore_index=True)


@dataclass(frozen=True)
class Forecast:
    """Forecast of a share.

    Args:
        table: Columns `start`, `share`, `low`, `high` (95 %) of the periods ahead.
        error: Mean absolute error of a back-test on the last periods, as a share.
        naive_error: The same error of repeating the period a year before, or the last one with less than a year.
        tested: Number of periods in the back-test.
        seasonal: Whether the model has yearly seasonality.
    """

    table: pd.DataFrame
    error: float
    naive_error: float
    tested: int
    seasonal: bool


def forecast(series: pd.DataFrame, period: Period, ahead: int = 6) -> Forecast:
    """Local-level model with yearly seasonality of two harmonics, on the log odds, and its back-test.

    statsmodels' `UnobservedComponents`; on made-up archives it had a smaller error than exponential smoothing, whose
    twelve months each need years of data. Seasonality needs one and a half years.

    Args:
        series: Rows of one share with `start`, `outfits` and `of`.
        period: Period that divides the series.
        ahead: Number of periods to look ahead.

    Raises:
        NotEnoughError: If there are fewer than 12 periods, or one in between is missing.
    """
    part = series.sort_values("start")
    if len(part) < _LEAST_TO_FORECAST:
        raise NotEnoughError(f"A forecast needs at least {_LEAST_TO_FORECAST} periods in a row; there are {len(part)}.")
    starts = pd.DatetimeIndex(part["start"])
    if not (starts[1:] == _ahead(starts[0], period, len(part) - 1)).all():
        raise NotEnoughError("A forecast needs dated photos in every period; some have none.")
    count, of = part["outfits"].to_numpy(), part["of"].to_numpy()
    odds, share = np.log((count + 0.5) / (of - count + 0.5)), count / of
    year = _PERIODS_A_YEAR[period]
    tested = min(ahead, len(part) - _LEAST_TO_FORECAST // 2)
    past = _continued(odds[:-tested], year, tested)[0]
    before = len(part) - tested - year
    naive = np.resize(share[before : before + year], tested) if before >= 0 else share[-tested - 1]
    middle, spread = _continued(odds, year, ahead)
    z = norm.ppf(0.975)
    return Forecast(
        table=pd.DataFrame(
            {
                "start": _ahead(starts[-1], period, ahead),
                "share": _logistic(middle),
                "low": _logistic(middle - z * spread),
                "high": _logistic(middle + z * spread),
            }
        ),
        error=float(np.abs(_logistic(past) - share[-tested:]).mean()),
        naive_error=float(np.abs(naive - share[-tested:]).mean()),
        tested=tested,
        seasonal=_has_wave(len(odds), year),
    )


def _has_wave(periods: int, year: int) -> bool:
    return year >= 4 and periods >= 1.5 * year


def _continued(values: np.ndarray, year: int, ahead: int) -> tuple[np.ndarray, np.ndarray]:
    """Forecast and standard deviation of each step ahead."""
    from statsmodels.tsa.statespace.structural import UnobservedComponents  # of the extra `app`

    wave = [{"period": year, "harmonics": min(2, year // 2 - 1)}] if _has_wave(len(values), year) else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the optimiser may stop early; the back-test shows the quality
        model = UnobservedComponents(
            values, level="local level", freq_seasonal=wave, stochastic_freq_seasonal=[False] if wave else None
        )
        found = model.fit(disp=False).get_forecast(ahead)
    return np.asarray(found.predicted_mean), np.asarray(found.se_mean)


def _growth(counts: np.ndarray, sizes: np.ndarray, years: np.ndarray, *, wave: bool) -> pd.DataFrame:
    """Binomial regressions of many shares on time, by Newton's method, all at once.

    statsmodels' GLM gives the same numbers one by one, which takes seconds for the colours of all garments.

    Args:
        counts: Counts, float `(n, periods)`.
        sizes: Sizes, float `(n, periods)`, 0 without observations.
        years: Years since the first period, `(periods,)`.
        wave: Whether to include seasonality, if two years are covered.

    Returns:
        `first_share`, `last_share`, `growth`, `low`, `high`, `p` (not corrected).
    """
    columns = [np.ones_like(years), years]
    if wave and years[-1] >= 1.9:
        columns += [np.cos(2 * np.pi * years), np.sin(2 * np.pi * years)]
    design = np.stack(columns, axis=1)  # (periods, k)
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


def _ahead(start: pd.Timestamp, period: Period, count: int) -> pd.DatetimeIndex:
    """First days of the next periods."""
    weeks, months = {"week": (1, 0), "month": (0, 1), "season": (0, 3), "year": (0, 12)}[period]
    return pd.DatetimeIndex([start + pd.DateOffset(weeks=weeks * n, months=months * n) for n in range(1, count + 1)])


def _logistic(values: np.ndarray) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-values)))
