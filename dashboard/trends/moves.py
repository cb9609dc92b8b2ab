"""Views over time: lines, rising and falling shares, and forecasts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import pandas as pd

from dashboard.figures import series
from dashboard.figures.trends import forecast_figure, interval_figure, line_figure
from dashboard.trends.coloured import hexes
from dashboard.trends.findings import line_finding, movement_finding
from dashboard.trends.section import (
    Question,
    Section,
    class_inks,
    factor,
    number,
    outfits_in_words,
    percent,
    records,
    rows,
)
from segmodels.archive.behind import Behind
from segmodels.archive.facts import PERIODS, Facts, Period
from segmodels.archive.movements import LEAST_PERIODS, forecast, forecast_lacks, movements
from segmodels.archive.outfits import (
    SIGNIFICANT,
    NotEnoughError,
    by_period,
    colours_by_period,
)

__all__ = [
    "GARMENTS",
    "KINDS",
    "forecast_section",
    "kinds_of",
    "line_section",
    "movement_section",
    "shown_first",
    "things",
]

GARMENTS = "Garments"
"""Choice of all garments; any other choice is a garment whose colours are shown, or a class whose kinds are."""

KINDS = "Kinds within their class"
"""Choice of the movements of kinds, each as a share of its class."""

_KINDS_OF = "Kinds of "

_FIRST = 4  # number of lines shown at first
_ENDS = 8  # number of rises, and of falls, in the figure


def kinds_of(facts: Facts) -> dict[str, tuple[str, ...]]:
    """The parts of each class with kinds, by the choice of their lines; empty where classes are counted."""
    if not facts.division:
        return {}
    return {f"{_KINDS_OF}{name}": parts for name, parts in facts.division.parts.items() if len(parts) > 1}


def things(question: Question, of: str) -> list[str]:
    """Names of the possible lines: garments, kinds of a class, or the colours of a garment, the most frequent first."""
    if parts := kinds_of(question.facts).get(of):
        return [name for name in things(question, GARMENTS) if name in parts]
    if of == GARMENTS:
        worn = question.facts.counts(question.view)
        counts = dict(zip(worn.names, worn.each.tolist(), strict=True))
    else:
        found = question.facts.colours(question.view)
        part = found[found["class"] == question.facts.taxonomy[of].id]
        counts = dict(zip(part["colour"], part["garments"], strict=True))
    return [name for name in sorted(counts, key=lambda name: -counts[name]) if counts[name] >= 0.5]


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
        of: `GARMENTS`, a key of `kinds_of`, or a garment whose colours are shown.
        names: Names of the lines; the most frequent if there are none.

    Raises:
        NotEnoughError: If there are no two periods with dates.
    """
    size = question.periods(period, 2, "A line over time")
    names = list(names) or shown_first(things(question, of))
    if not names:
        raise NotEnoughError(f"None of these outfits has {_class(of)}, so there are no lines. Choose another garment.")
    kinds = of in kinds_of(question.facts)
    rows = _series(question, period, of)
    table = rows[rows["name"].isin(names)].reset_index(drop=True)
    shown = _pointed(question, table, period, of).rename(columns={"share": "value"})
    whole = "outfits" if of == GARMENTS else f"outfits with {_class(of)}" if kinds else f"{of}, by main colour"
    allowing = "" if kinds else question.allowing
    caption = (
        f"{outfits_in_words(size.dated, 'dated').capitalize()}, by {period}. Bands: 95% intervals (Wilson)"
        f"{allowing}; the first and the last "
        f"{period} may be incomplete, which widens their intervals.{question.southern(period)} {question.counted}"
    )
    if of != GARMENTS and not kinds:
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
        f"{of if of == GARMENTS or kinds else f'Colours of {of}'} over time",
        caption,
        figure,
        table,
        words,
        line_finding(table, *_ends(question, table, period), "" if of == GARMENTS or kinds else of),
        behind,
    )


def movement_section(question: Question, *, period: Period = "month", of: str = GARMENTS) -> Section:
    """The strongest rises and falls.

    Args:
        question: Question that the section answers.
        period: Length of the periods into which time is divided.
        of: `GARMENTS`, `KINDS`, or anything else for the colours of all garments.

    Raises:
        NotEnoughError: If there are too few periods.
    """
    size = question.periods(period, LEAST_PERIODS, "A trend")
    facts = question.facts
    if of == GARMENTS:
        found = by_period(facts.counts_by_period(question.view, period), question.errors)
        by = ["garment"]
    elif of == KINDS:
        found = _within_classes(facts, facts.counts_by_period(question.view, period))
        by = ["garment"]
    else:
        found = colours_by_period(facts.colours(question.view, period=period), facts.taxonomy)
        by = ["garment", "colour"]
    table = movements(found, period, by)
    if table.empty:
        raise NotEnoughError("Nothing is worn often enough here to test for a trend. Remove a filter.")
    behind = [
        Behind(worn=(row["garment"],)) if "colour" not in row else Behind(coloured=((row["garment"], row["colour"]),))
        for row in records(table)
    ]
    shown = _strongest(table, behind)
    sure = int(table["significant"].sum())
    less = f" Shown: the {_ENDS} strongest in each direction." if len(table) > len(shown) else ""
    season = "" if period == "year" else " that includes the season where two years are covered"
    caption = (
        f"{outfits_in_words(size.dated, 'dated').capitalize()}, "
        f"by {period}. Odds ratio per year with 95% interval, from binomial "
        f"regression{season}. Significant: {sure} of {len(table)} (Benjamini-Hochberg, {SIGNIFICANT:.0%}); the "
        f"others are hollow.{less}{question.southern(period)} {question.counted}"
    )
    if of == KINDS:
        caption += " Shares are of the outfits with the class of the kind."
    elif of != GARMENTS:
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
        movement_finding(table),
        behind[strongest],
    )


def forecast_section(question: Question, *, period: Period = "month", garment: str = "") -> Section:
    """Forecast of a garment's share.

    Args:
        question: Question that the section answers.
        period: Length of the periods into which time is divided.
        garment: Name of the garment; the most worn if left out.

    Raises:
        NotEnoughError: If there are too few periods, or gaps between them; it names a period that has enough, if any.
    """
    size = question.periods(period, 1, "A forecast")
    if lack := forecast_lacks(question.starts(period), period):
        raise NotEnoughError(lack + _possible(question, period))
    garment = garment or (things(question, GARMENTS) or [""])[0]
    found = _series(question, period, GARMENTS)
    past = found[found["name"] == garment].reset_index(drop=True)
    if past.empty or not past["outfits"].sum():
        raise NotEnoughError(f"None of these outfits has {garment or 'a garment'}. Choose another garment.")
    ahead = forecast(past, period)
    shown = _pointed(question, past, period, GARMENTS)
    same, last = f"the same {period}s of the year before", f"the last {period} before them"
    repeated = same if ahead.naive == "year" else last
    warning = "" if ahead.error < ahead.naive_error else ", so do not rely on this forecast"
    caption = (
        f"{garment}, {outfits_in_words(size.dated, 'dated')} by {period}. Local-level model"
        f"{' with yearly seasonality' if ahead.seasonal else ''} (statsmodels); shaded: 95% interval. Back-test "
        f"of the same model on the last {ahead.tested} {period}s: {100 * ahead.error:.1f} points off on average; "
        f"repeating {repeated} would be {100 * ahead.naive_error:.1f}{warning}.{question.southern(period)} "
        f"{question.counted}"
    )
    table = pd.concat(
        [past.assign(what="observed"), ahead.table.assign(name=garment, what="forecast")], ignore_index=True
    )
    named = [question.named(start, period) for start in table["start"]]
    coming = ahead.table.assign(
        hover=[
            f"{garment}, {name}<br>forecast {percent(row.share, row.low, row.high)}"
            for name, row in zip(named[len(past) :], rows(ahead.table), strict=True)
        ]
    )
    figure = forecast_figure(shown, coming, class_inks(question.facts)[garment], question.theme)
    end = ahead.table.iloc[-1]
    latest = f"{past['share'].iloc[-1]:.0%} ({named[len(past) - 1]})"
    words = f"{garment}: {latest}; forecast for {named[-1]}: {percent(end.share, end.low, end.high)}"
    behind = Behind(worn=(garment,), period=period, start=past.loc[past["outfits"] > 0, "start"].max().date())
    finding = f"{garment}: {latest}, forecast {percent(end.share, end.low, end.high)} for {named[-1]}"
    if warning:
        finding += ", which is not reliable"
    return Section("trends-forecast", f"Forecast of {garment}", caption, figure, table, words, finding, behind)


def _ends(question: Question, table: pd.DataFrame, period: Period) -> tuple[str, str]:
    """Names of the first and the last period of a table."""
    return question.named(table["start"].min(), period), question.named(table["start"].max(), period)


def _possible(question: Question, period: Period) -> str:
    """Sentence on a period by which a forecast is possible, after a space: the next shorter one, else a longer one."""
    place = PERIODS.index(period)
    for other in (*reversed(PERIODS[:place]), *PERIODS[place + 1 :]):
        if not forecast_lacks(question.starts(other), other):
            return f" A forecast by {other} is possible."
    return ""


def _strongest(table: pd.DataFrame, behind: Sequence[Behind]) -> pd.DataFrame:
    """The movements at both ends of the table, with what a point says and whose photos stand behind it."""
    shown = table.rename(columns={"growth": "value"}).assign(
        name=[each.words() for each in behind], code=[each.code() for each in behind]
    )
    if len(shown) > 2 * _ENDS:
        shown = pd.concat([shown.head(_ENDS), shown.tail(_ENDS)])
    shown["hover"] = [
        f"{row.name_}<br>odds ratio per year {factor(row.value)} ({factor(row.low)} to {factor(row.high)})<br>"
        f"{row.first_share:.1%} to {row.last_share:.1%} (fitted)<br>{number(row.outfits)} outfits, p {row.p:.2g}"
        + ("" if row.significant else "<br>not significant")
        + "<br>Click for the photos"
        for row in rows(shown.rename(columns={"name": "name_"}))
    ]
    return shown


def _series(question: Question, period: Period, of: str) -> pd.DataFrame:
    """Shares over time: `name`, `start`, `outfits`, `of`, `share`, `low`, `high`."""
    facts = question.facts
    if of == GARMENTS:
        found = by_period(facts.counts_by_period(question.view, period), question.errors)
        found = found.rename(columns={"garment": "name"})
    elif parts := kinds_of(facts).get(of):
        found = by_period(_within_classes(facts, facts.counts_by_period(question.view, period)))
        found = found[found["garment"].isin(parts) & (found["of"] > 0)].rename(columns={"garment": "name"})
    else:
        rows = colours_by_period(facts.colours(question.view, period=period), facts.taxonomy)
        found = rows[rows["garment"] == of].drop(columns="garment").rename(columns={"colour": "name"})
    return found.assign(start=pd.to_datetime(found["start"]))


def _within_classes(facts: Facts, found: pd.DataFrame) -> pd.DataFrame:
    """Counts of kinds by period, `of` those of their class."""
    kinds = [part for parts in kinds_of(facts).values() for part in parts]
    found = found[found["garment"].isin(kinds)]
    classes = found["garment"].map(facts.class_of)
    return found.assign(of=found.groupby(["start", classes])["outfits"].transform("sum"))


def _class(of: str) -> str:
    """Class, or garment, of a choice of lines."""
    return of.removeprefix(_KINDS_OF)


def _pointed(question: Question, table: pd.DataFrame, period: Period, of: str) -> pd.DataFrame:
    """Adds the tooltip of each point and the code of the photos behind it."""
    rows = records(table)
    return table.assign(
        hover=[
            f"{row['name']}, {question.named(row['start'], period)}<br>"
            f"{percent(row['share'], row['low'], row['high'])}<br>"
            f"{number(row['outfits'])} of {number(row['of'])}<br>Click for the photos"
            for row in rows
        ],
        code=[_behind(row["name"], of, period, row["start"].date()).code() for row in rows],
    )


def _behind(name: str, of: str, period: Period, start: date) -> Behind:
    if of == GARMENTS or of.startswith(_KINDS_OF):
        return Behind(worn=(name,), period=period, start=start)
    return Behind(coloured=((of, name),), period=period, start=start)


def _looks(question: Question, of: str, names: Sequence[str]) -> Mapping[str, tuple[str, str]]:
    """Ink of the garment or colour, and a dash, for each line."""
    garments = of == GARMENTS or of in kinds_of(question.facts)
    inks = class_inks(question.facts) if garments else hexes(fine=False)
    return {name: (inks[name], series(place, question.theme).dash) for place, name in enumerate(names)}
