"""The widgets of each tab: which of its views is open, and with what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import streamlit as st

from dashboard.archive.facts import PERIODS, Period
from dashboard.archive.trends import NotEnough
from dashboard.trends.coloured import colour_section, pair_section, palette_section
from dashboard.trends.moves import GARMENTS, forecast_section, line_section, movement_section, shown_first, things
from dashboard.trends.reliability import Trust
from dashboard.trends.section import Builder, Question
from dashboard.trends.together import (
    MEASURES,
    companion_section,
    lift_section,
    matrix_section,
    network_section,
    rule_section,
    seen,
)
from dashboard.trends.worn import Against, area_section, days_before, other_period, other_tag, share_section
from dashboard.uploads import literal

__all__ = ["TABS", "Tab"]

_COLOURS = "Colours of garments"
_REST = "Any other"


@dataclass(frozen=True)
class Tab:
    """A tab: its name, and what draws its widgets and gives the view that they choose."""

    name: str
    choose: Callable[[Question, Trust], Builder]


def _worn(question: Question, trust: Trust) -> Builder:
    view = _which("worn", ["Shares", "Areas"])
    if view == "Areas":
        return area_section
    against = None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        tags = [key for key, values in question.facts.tags.items() if 1 < len(values) <= 1000]
        ways = ["Nothing", "Another period", *(["A tag"] if tags else [])]
        way = st.segmented_control("Against", ways, default=ways[0], required=True, key="trends-against")
        if way == "Another period":
            against = _period_against(question)
        elif way == "A tag":
            against = _tag_against(question, tags)
        correct = bool(trust.garments) and st.toggle("Corrected for recognition errors", key="trends-correct")
    if correct and against:
        st.caption("Corrected shares stand alone; the comparison is of shares as counted.")
    if trust.sentence:
        st.caption(literal(trust.sentence))
    elif trust.how:
        st.caption(
            literal(f"Found: of those who wear it, how many are recognised; wrongly: of those who do not. {trust.how}")
        )
    return partial(share_section, against=None if correct else against, trust=trust, correct=correct)


def _period_against(question: Question) -> Against | None:
    first, last = days_before(question.facts, question.view)
    days = st.date_input("Against these days", (first, last), key=f"trends-before-{first}-{last}", format="YYYY-MM-DD")
    if not isinstance(days, tuple) or len(days) != 2:
        return None
    return other_period(question.facts, question.view, *days)


def _tag_against(question: Question, tags: Sequence[str]) -> Against:
    key = st.selectbox("Tag", tags, key="trends-tag", width=160)
    values = question.facts.tags[key]
    value = st.selectbox("Photos with", values, key=f"trends-tag-{key}", width=160)
    others = [_REST, *(each for each in values if each != value)]
    other = st.selectbox("Against", others, key=f"trends-tag-{key}-{value}", width=160)
    return other_tag(question.facts, question.view, key, value, None if other == _REST else other)


def _moves(question: Question, trust: Trust) -> Builder:
    view = _which("moves", ["Lines", "Rising and falling", "Forecast"])
    with st.container(horizontal=True, vertical_alignment="bottom"):
        period = _period(question)
        if view == "Rising and falling":
            of = st.segmented_control("Of", [GARMENTS, _COLOURS], default=GARMENTS, required=True, key="trends-moving")
            return partial(movement_section, period=period, of=of or GARMENTS)
        worn = things(question, GARMENTS)
        if view == "Forecast":
            garment = _one("Garment", worn, "forecast")
            return partial(forecast_section, period=period, garment=garment)
        of = st.selectbox(
            "Lines of",
            [GARMENTS, *worn],
            format_func=lambda name: name if name == GARMENTS else f"Colours of {name}",
            key=f"trends-lines-of-{'-'.join(worn)}",
            width=200,
        )
        names = things(question, of)
        chosen = st.multiselect(
            "Shown", names, shown_first(names), key=f"trends-lines-{of}-{'-'.join(sorted(names))}", max_selections=9
        )
    return partial(line_section, period=period, of=of, names=tuple(chosen))


def _together(question: Question, trust: Trust) -> Builder:
    view = _which("together", ["Matrix", "Rules", "Companions", "Over time", "Network"])
    if view == "Network":
        return network_section
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if view == "Matrix":
            measure = st.segmented_control(
                "Measure",
                list(MEASURES),
                default="lift",
                required=True,
                format_func=MEASURES.__getitem__,
                key="trends-measure",
            )
            return partial(matrix_section, measure=measure or "lift")
        if view == "Rules":
            kind = st.segmented_control("Of", ["Pairs", "Triples"], default="Pairs", required=True, key="trends-rules")
            every = st.toggle("Also those that chance explains", key="trends-every-rule")
            return partial(rule_section, parts=3 if kind == "Triples" else 2, only_sure=not every)
        worn = [garment.name for garment in question.facts.taxonomy.worn]
        if view == "Companions":
            held = seen(question)
            usual = "Coat" if "Coat" in held else (held or worn)[0]
            garment = _one("With and without", worn, "companions", usual)
            return partial(companion_section, garment=garment)
        period = _period(question, "season")
        first = _one("Garment", worn, "lift-first", *(["Socks"] if "Socks" in worn else []))
        others = [name for name in worn if name != first]
        second = _one("With", others, "lift-second", *(["Shorts"] if "Shorts" in others else []))
    return partial(lift_section, first=first, second=second, period=period)


def _coloured(question: Question, trust: Trust) -> Builder:
    view = _which("coloured", ["Palettes", "One garment", "Two garments", "Over time"])
    worn = seen(question)
    if not worn:
        raise NotEnough("Nobody wears a garment that can be counted here. Take a filter away.")
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if view == "Over time":
            garment = _one("Garment", worn, "colours-over", "Coat")
            period = _period(question)
            names = things(question, garment)
            chosen = st.multiselect(
                "Shown",
                names,
                shown_first(names),
                key=f"trends-colours-shown-{garment}-{'-'.join(sorted(names))}",
                max_selections=9,
            )
            return partial(line_section, period=period, of=garment, names=tuple(chosen))
        fine = st.toggle("Finer names", key="trends-fine")
        if view == "Palettes":
            return partial(palette_section, fine=fine)
        if view == "One garment":
            return partial(colour_section, garment=_one("Garment", worn, "colours-of", "Coat"), fine=fine)
        all_of = [garment.name for garment in question.facts.taxonomy.worn]
        first = _one("Garment", all_of, "colours-first", "Pants")
        others = [name for name in all_of if name != first]
        second = _one("With", others, "colours-second", "Shirt")
    return partial(pair_section, first=first, second=second, fine=fine)


def _which(tab: str, names: Sequence[str]) -> str:
    """Which of a tab's views is open."""
    chosen = st.segmented_control(
        "View",
        names,
        default=names[0],
        required=True,
        key=f"trends-view-{tab}",
        label_visibility="collapsed",
        wrap=True,
    )
    return chosen or names[0]


def _period(question: Question, usual: Period | None = None) -> Period:
    """By which time is divided; at first as fits the days that there are."""
    size = question.facts.size(question.view)
    days = (size.last - size.first).days if size.first and size.last else 0
    fitting: Period = usual or ("week" if days < 120 else "month" if days < 5 * 365 else "season")
    chosen = st.segmented_control(
        "By", PERIODS, default=fitting, required=True, key=f"trends-period-{fitting}", format_func=str.capitalize
    )
    return chosen or fitting


def _one(label: str, names: Sequence[str], key: str, usual: str = "") -> str:
    """One of some garments."""
    place = list(names).index(usual) if usual in names else 0
    return str(st.selectbox(label, names, place, key=f"trends-{key}-{'-'.join(names)}", width=160) or "")


TABS: tuple[Tab, ...] = (
    Tab("What is worn", _worn),
    Tab("How it moves", _moves),
    Tab("With what", _together),
    Tab("In which colours", _coloured),
)
