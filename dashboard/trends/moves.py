"""Views over time: lines, rising and falling shares, and forecasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import pandas as pd

from dashboard.figures import series
from dashboard.figures.trends import forecast_figure, interval_figure, line_figure
from dashboard.trends.behind import Behind, period_name
from dashboard.trends.coloured import hexes
from dashboard.trends.section import Question, Section, class_inks, factor, percent, records, rows
from segmodels.archive.facts import Period
from segmodels.archive.movements import LEAST_PERIODS, forecast, movements
from segmodels.archive.outfits import (
    SIGNIFICANT,
    NotEnoughError,
    by_period,
    colours_by_period,
)

__all__ = ["GARMENTS", "forecast_section", "line_section", "movement_section", "shown_first", "things"]

GARMENTS = "Garments"
"""Choice of all garments; any other choice is the name of the garment whose colours are shown."""

_FIRST = 4  # number of lines shown at first
_ENDS = 8  # number of rises, and of falls, in the figure


def things(question: Question, of: str) -> list[str]:
    """Names of the possible lines: garments, or the colours of one, the most frequent first."""
    if of == GARMENTS:
        worn = question.facts.masks(question.view)
        taxonomy = question.facts.taxonomy
        counts = {g.name: int(worn.loc[worn["mask"] & (1 << g.id) > 0, "outfits"].sum()) for g in taxonomy.worn}
    else:
        found = question.facts.colours(question.view)
        part = found[found["class"] == question.facts.taxonomy[of].id]
        counts = dict(zip(part["colour"], part["garments"], strict=True))
    return [name for name in sorted(counts, key=lambda name: -counts[name]) if counts[name]]


def shown_first(names: Sequence[str]) -> list[str]:
    """The lines that are shown before any was chosen."""
    return list(names[:_FIRST])


def line_section(
    question: Question, *, period: Period = "month", of: str = GARMENTS, names: Sequence[str] = ()
) -> Section:
    """Shares over time.

    Args:
        question: Question that the section answers.
        period: Length of the periods into which time is divided.
        of: `GARMENTS`, or a garment whose colours are shown.
        names: Names of the lines; the most frequent if there are none.

    Raises:
        NotEnoughError: If there are no two periods with dates.
    """
    size = question.periods(period, 2, "A line over time")
    names = list(names) or shown_first(things(question, of))
    if not names:
        raise NotEnoughError(f"None of these outfits has {of}, so there are no colours. Choose another garment.")
    rows = _series(question, period, of)
    table = rows[rows["name"].isin(names)].reset_index(drop=True)
    shown = _pointed(table, period, of).rename(columns={"share": "value"})
    whole = "outfits" if of == GARMENTS else f"{of}, by main colour"
    caption = (
        f"{size.dated:,} dated outfits, by {period}. Bands: 95 % intervals (Wilson); the first and the last {period} "
        "may be incomplete, which widens their intervals."
    )
    if of != GARMENTS:
        caption += question.left_out()
    figure = line_figure(shown, _looks(question, of, names), question.theme, axis=f"Share of {whole}")
    words = "; ".join(
        f"{name} {part['share'].iloc[0]:.0%} to {part['share'].iloc[-1]:.0%}"
        for name, part in table.groupby("name", sort=False)
    )
    last = table.loc[(table["name"] == names[0]) & (table["outfits"] > 0), "start"].max().date()
    behind = _behind(names[0], of, period, last)
    return Section(
        "trends-lines",
        f"{GARMENTS if of == GARMENTS else f'Colours of {of}'} over time",
        caption,
        figure,
        table,
        words,
        behind,
    )


def movement_section(question: Question, *, period: Period = "month", of: str = GARMENTS) -> Section:
    """The strongest rises and falls.

    Args:
        question: Question that the section answers.
        period: Length of the periods into which time is divided.
        of: `GARMENTS`, or anything else for the colours of all garments.

    Raises:
        NotEnoughError: If there are too few periods.
    """
    size = question.periods(period, LEAST_PERIODS, "A trend")
    facts = question.facts
    if of == GARMENTS:
        found = by_period(facts.masks(question.view, period), facts.taxonomy)
        by = ["garment"]
    else:
        found = colours_by_period(facts.colours(question.view, period=period), facts.taxonomy)
        by = ["garment", "colour"]
    table = movements(found, period, by)
    if table.empty:
        raise NotEnoughError("Nothing is worn often enough here to test for a trend. Remove a filter.")
    behind = [
        Behind(worn=(row["garment"],)) if of == GARMENTS else Behind(coloured=((row["garment"], row["colour"]),))
        for row in records(table)
    ]
    shown = _strongest(table, behind)
    sure = int(table["significant"].sum())
    less = f" Shown: the {_ENDS} strongest in each direction." if len(table) > len(shown) else ""
    caption = (
        f"{size.dated:,} dated outfits, by {period}. Odds ratio per year with 95 % interval, from binomial regression "
        f"that includes the season where two years are covered. {sure} of {len(table)} are significant "
        f"(Benjamini-Hochberg, {SIGNIFICANT:.0%}); the others are grey.{less}"
    )
    if of != GARMENTS:
        caption += question.left_out()
    figure = interval_figure(shown, question.theme, axis="Odds ratio per year")
    words = "; ".join(f"{row.name} odds ratio {row.value:.2f}" for row in rows(shown[shown["significant"]]))
    strongest = int(table["p"].to_numpy().argmin())
    return Section(
        "trends-movements",
        "Rising and falling",
        caption,
        figure,
        table,
        words or "No trend is significant.",
        behind[strongest],
    )


def forecast_section(question: Question, *, period: Period = "month", garment: str = "") -> Section:
    """Forecast of a garment's share.

    Args:
        question: Question that the section answers.
        period: Length of the periods into which time is divided.
        garment: Name of the garment; the most worn if left out.

    Raises:
        NotEnoughError: If there are too few periods.
    """
    size = question.periods(period, 2, "A forecast")
    garment = garment or (things(question, GARMENTS) or [""])[0]
    rows = _series(question, period, GARMENTS)
    past = rows[rows["name"] == garment].reset_index(drop=True)
    if past.empty or not past["outfits"].sum():
        raise NotEnoughError(f"None of these outfits has {garment or 'a garment'}. Choose another garment.")
    ahead = forecast(past, period)
    shown = _pointed(past, period, GARMENTS)
    repeated = "the same period of the year before" if ahead.seasonal else f"the last {period}"
    warning = "" if ahead.error < ahead.naive_error else ", so do not rely on this forecast"
    caption = (
        f"{garment}, {size.dated:,} dated outfits by {period}. Local-level model"
        f"{' with yearly seasonality' if ahead.seasonal else ''} (statsmodels); shaded: 95 % interval. Back-test on "
        f"the last {ahead.tested} {period}s: {100 * ahead.error:.1f} points off on average; repeating {repeated} "
        f"would be {100 * ahead.naive_error:.1f}{warning}."
    )
    table = pd.concat([past.assign(what="seen"), ahead.table.assign(name=garment, what="forecast")], ignore_index=True)
    figure = forecast_figure(shown, ahead.table, class_inks(question.facts)[garment], question.theme)
    end = ahead.table.iloc[-1]
    latest = f"{past['share'].iloc[-1]:.0%} in the last {period}"
    words = f"{garment}: {latest}, {percent(end.share, end.low, end.high)} at the end of the forecast"
    behind = Behind(worn=(garment,), period=period, start=past.loc[past["outfits"] > 0, "start"].max().date())
    return Section("trends-forecast", f"Forecast of {garment}", caption, figure, table, words, behind)


def _strongest(table: pd.DataFrame, behind: Sequence[Behind]) -> pd.DataFrame:
    """The movements at both ends of the table, with what a point says and whose photos stand behind it."""
    shown = table.rename(columns={"growth": "value"}).assign(
        name=[each.words() for each in behind], code=[each.code() for each in behind]
    )
    if len(shown) > 2 * _ENDS:
        shown = pd.concat([shown.head(_ENDS), shown.tail(_ENDS)])
    shown["hover"] = [
        f"{row.name_}<br>odds ratio per year {factor(row.value)} ({factor(row.low)} to {factor(row.high)})<br>"
        f"{row.first_share:.1%} to {row.last_share:.1%} (fitted)<br>{row.outfits:,} outfits, p {row.p:.2g}"
        + ("" if row.significant else "<br>not significant")
        + "<br>Click for the photos"
        for row in rows(shown.rename(columns={"name": "name_"}))
    ]
    return shown


def _series(question: Question, period: Period, of: str) -> pd.DataFrame:
    """Shares over time: `name`, `start`, `outfits`, `of`, `share`, `low`, `high`."""
    facts = question.facts
    if of == GARMENTS:
        found = by_period(facts.masks(question.view, period), facts.taxonomy).rename(columns={"garment": "name"})
    else:
        rows = colours_by_period(facts.colours(question.view, period=period), facts.taxonomy)
        found = rows[rows["garment"] == of].drop(columns="garment").rename(columns={"colour": "name"})
    return found.assign(start=pd.to_datetime(found["start"]))


def _pointed(table: pd.DataFrame, period: Period, of: str) -> pd.DataFrame:
    """Adds the tooltip of each point and the code of the photos behind it."""
    rows = records(table)
    return table.assign(
        hover=[
            f"{row['name']}, {period_name(row['start'], period)}<br>{percent(row['share'], row['low'], row['high'])}"
            f"<br>{row['outfits']:,} of {row['of']:,}<br>Click for the photos"
            for row in rows
        ],
        code=[_behind(row["name"], of, period, row["start"].date()).code() for row in rows],
    )


def _behind(name: str, of: str, period: Period, start: date) -> Behind:
    if of == GARMENTS:
        return Behind(worn=(name,), period=period, start=start)
    return Behind(coloured=((of, name),), period=period, start=start)


def _looks(question: Question, of: str, names: Sequence[str]) -> Mapping[str, tuple[str, str]]:
    """Ink of the garment or colour, and a dash, for each line."""
    inks = class_inks(question.facts) if of == GARMENTS else hexes(fine=False)
    return {name: (inks[name], series(place, question.theme).dash) for place, name in enumerate(names)}
