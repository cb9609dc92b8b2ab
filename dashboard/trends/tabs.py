"""The widgets of each tab: the choice of its view, and the settings of the view."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import streamlit as st

from dashboard.trends.chosen import Chosen
from dashboard.trends.coloured import colour_section, pair_section, palette_section
from dashboard.trends.comparison import colour_comparison_section, other_filters, pair_comparison_section
from dashboard.trends.filter_bar import choose_filters
from dashboard.trends.insights import movers, strongest_pair, usual_period
from dashboard.trends.moves import (
    GARMENTS,
    KINDS,
    forecast_section,
    kinds_of,
    line_section,
    movement_section,
    shown_first,
    things,
)
from dashboard.trends.reliability import Trust
from dashboard.trends.seasons import YEARLY, season_section
from dashboard.trends.section import Builder, Question
from dashboard.trends.together import (
    MEASURES,
    Measure,
    companion_section,
    lift_section,
    matrix_section,
    network_section,
    rule_section,
    seen,
)
from dashboard.trends.worn import (
    SEASON,
    Against,
    area_section,
    days_before,
    groups_section,
    other_period,
    other_tag,
    share_section,
)
from segmodels.archive.facts import PERIODS, Period
from segmodels.archive.filters import from_link, to_link
from segmodels.archive.outfits import NotEnoughError

__all__ = ["TABS", "Tab", "build_of"]

_COLOURS = "Colours of garments"
_REST = "Any other"
_MOST_LINES = 9
_OTHER = "other."  # start of the parameters of the filters to compare with


@dataclass(frozen=True)
class Tab:
    """A tab: its name, and the function that draws its widgets and returns the chosen view."""

    name: str
    choose: Callable[[Question, Trust, Chosen], Builder]


def _worn(question: Question, trust: Trust, chosen: Chosen) -> Builder:
    with _row(chosen):
        view = _view(chosen, ["Shares", "Side by side", "Areas"])
        if view == "Areas":
            return area_section
        tags = [key for key, values in question.facts.tags.items() if 1 < len(values) <= 1000]
        if view == "Side by side":
            dated = [SEASON] if question.facts.size(question.view).dated else []
            if not dated and not tags:
                raise NotEnoughError("Side by side needs dates or tags. Add them with a CSV on the Archive page.")
            return partial(groups_section, by=_one(chosen, "by", "By", [*dated, *tags]))
        against = _against(question, chosen)
    return partial(share_section, against=against, trust=trust)


def _against(question: Question, chosen: Chosen) -> Against | None:
    """Choice of a group to compare with."""
    tags = [key for key, values in question.facts.tags.items() if 1 < len(values) <= 1000]
    ways = ["Nothing", "Another period", *(["A tag"] if tags else []), "Other filters"]
    way = _segment(chosen, "against", "Compare with", ways, constant=True, wrap=True)
    if way == "Another period":
        return _period_against(question, chosen)
    if way == "A tag":
        return _tag_against(question, tags, chosen)
    return _filters_against(question, chosen) if way == "Other filters" else None


def _filters_against(question: Question, chosen: Chosen) -> Against:
    """Choice of other filters, in a menu of their own."""
    facts = question.facts
    other, sentences = from_link(chosen.group(_OTHER), facts.taxonomy, facts.tags, facts.countings)
    chosen.complain(sentences)
    if chosen.is_drawn:
        with st.popover("Compare with these filters"):
            other = choose_filters(facts, other, f"{chosen.key('other')}-{{}}", counts=False)
        link = to_link(replace(other, counting=None))
        chosen.keep_group(_OTHER, {key: [value] if isinstance(value, str) else value for key, value in link.items()})
    return other_filters(facts, question.view, other)


def _period_against(question: Question, chosen: Chosen) -> Against | None:
    usual = days_before(question.facts, question.view)
    begin = chosen.days("days", usual)
    if not chosen.is_drawn:
        return other_period(question.facts, question.view, *begin)
    key = chosen.key("days", *map(str, usual))
    days = st.date_input("Compare with these days", begin, key=key, format="YYYY-MM-DD")
    if not isinstance(days, tuple) or len(days) != 2:
        return None
    chosen.keep("days", [str(day) for day in days], [str(day) for day in usual])
    return other_period(question.facts, question.view, *days)


def _tag_against(question: Question, tags: Sequence[str], chosen: Chosen) -> Against:
    key = _one(chosen, "tag", "Tag", tags)
    values = question.facts.tags[key]
    value = _one(chosen, "value", "Photos with", values)
    other = _one(chosen, "other", "Compare with", [_REST, *(each for each in values if each != value)])
    return other_tag(question.facts, question.view, key, value, None if other == _REST else other)


def _moves(question: Question, trust: Trust, chosen: Chosen) -> Builder:
    with _row(chosen):
        view = _view(chosen, ["Lines", "Rising and falling", "Season over season", "Forecast"])
        if view == "Season over season":
            period = cast(Period, _one(chosen, "period", "By", YEARLY, "fashion season", str.capitalize, constant=True))
            of = _segment(chosen, "of", "Changes of", [GARMENTS, _COLOURS], constant=True)
            return partial(season_section, period=period, colours=of == _COLOURS)
        period = _period(question, chosen)
        if view == "Rising and falling":
            kinds = [KINDS] if question.facts.division else []
            of = _segment(chosen, "of", "Trends of", [GARMENTS, *kinds, _COLOURS], constant=True)
            return partial(movement_section, period=period, of=of)
        worn, moving = things(question, GARMENTS), list(movers(question, period)["garment"])
        if view == "Forecast":
            usual = moving[0] if moving else ""
            return partial(forecast_section, period=period, garment=_one(chosen, "garment", "Garment", worn, usual))
        kinds = list(kinds_of(question.facts))
        of = _one(chosen, "of", "Lines of", [GARMENTS, *kinds, *worn], said=partial(_lines_of, kinds), width=200)
        usual_lines = moving if of == GARMENTS else ()
        names = _some(chosen, "shown", "Shown", things(question, of), of, usual_lines)
    return partial(line_section, period=period, of=of, names=names)


def _together(question: Question, trust: Trust, chosen: Chosen) -> Builder:
    with _row(chosen):
        view = _view(chosen, ["Matrix", "Rules", "Companions", "Over time", "Network"])
        if view == "Network":
            return network_section
        if view == "Matrix":
            if against := _against(question, chosen):
                return partial(pair_comparison_section, against=against)
            measure = _segment(chosen, "measure", "Measure", list(MEASURES), said=MEASURES.__getitem__, constant=True)  # type: ignore[arg-type]
            return partial(matrix_section, measure=cast(Measure, measure))
        if view == "Rules":
            kind = _segment(chosen, "of", "Rules of", ["Pairs", "Triples"], constant=True)
            every = _toggle(chosen, "every", "Include rules that are not significant")
            return partial(rule_section, parts=3 if kind == "Triples" else 2, only_sure=not every)
        worn = [garment.name for garment in question.facts.taxonomy.worn]
        if view == "Companions":
            held = seen(question)
            usual = "Coat" if "Coat" in held else (held or worn)[0]
            return partial(companion_section, garment=_one(chosen, "garment", "With and without", worn, usual))
        period = _period(question, chosen, "season")
        pair = strongest_pair(question) or {"first": "Coat", "second": "Pants"}
        first = _one(chosen, "garment", "Garment", worn, str(pair["first"]))
        second = _one(chosen, "with", "With", _beside(question, first), str(pair["second"]))
    return partial(lift_section, first=first, second=second, period=period)


def _coloured(question: Question, trust: Trust, chosen: Chosen) -> Builder:
    worn = seen(question)
    if not worn:
        raise NotEnoughError("None of these outfits has a garment that can be counted. Remove a filter.")
    with _row(chosen):
        view = _view(chosen, ["Palettes", "One garment", "Two garments", "Over time"])
        if view == "Over time":
            garment = _one(chosen, "garment", "Garment", worn, "Coat")
            period = _period(question, chosen)
            names = _some(chosen, "shown", "Shown", things(question, garment), garment)
            return partial(line_section, period=period, of=garment, names=names)
        fine = _toggle(chosen, "fine", "Finer names")
        if view == "Palettes":
            return partial(palette_section, fine=fine)
        if view == "One garment":
            garment = _one(chosen, "garment", "Garment", worn, "Coat")
            if against := _against(question, chosen):
                return partial(colour_comparison_section, against=against, garment=garment, fine=fine)
            return partial(colour_section, garment=garment, fine=fine)
        all_of = [garment.name for garment in question.facts.taxonomy.worn]
        first = _one(chosen, "garment", "Garment", all_of, "Pants")
        second = _one(chosen, "with", "With", _beside(question, first), "Shirt")
    return partial(pair_section, first=first, second=second, fine=fine)


def _beside(question: Question, name: str) -> list[str]:
    """Garments that can be worn with one: those of other classes."""
    facts = question.facts
    return [each.name for each in facts.taxonomy.worn if facts.class_of(each.name) != facts.class_of(name)]


def build_of(question: Question, trust: Trust, link: Mapping[str, Sequence[str]]) -> Builder:
    """The view that a link names, without widgets.

    Args:
        question: Question about the view of the link's filters.
        trust: Reliability of the garments.
        link: All values of each parameter.

    Raises:
        NotEnoughError: If there is too little for the view.
    """
    tab = next((tab for tab in TABS if [tab.name] == list(link.get("tab", ()))), TABS[0])
    chosen = Chosen(link, is_drawn=False)
    chosen.enter(tab.name)
    return tab.choose(question, trust, chosen)


# --- Widgets that begin with what the link has ------------------------------------------------------------------------


def _row(chosen: Chosen) -> AbstractContextManager[object]:
    """The row of the tab's choices."""
    if not chosen.is_drawn:
        return nullcontext()
    return st.container(horizontal=True, vertical_alignment="bottom", key="trends-choices")


def _view(chosen: Chosen, names: Sequence[str]) -> str:
    """Choice of the tab's view."""
    view = _segment(chosen, "view", "View", names, constant=True, label_visibility="collapsed", wrap=True)
    chosen.enter_view(view)
    return view


def _period(question: Question, chosen: Chosen, usual: Period | None = None) -> Period:
    """Choice of the period; without `usual` the default is that which divides the view best."""
    fitting = usual or usual_period(question)
    constant = usual is not None
    return cast(Period, _one(chosen, "period", "By", PERIODS, fitting, str.capitalize, constant=constant))


def _segment(
    chosen: Chosen,
    name: str,
    label: str,
    options: Sequence[str],
    usual: str = "",
    said: Callable[[str], str] = str,
    *,
    constant: bool = False,
    **looks: Any,
) -> str:
    """Choice of one of a few options, side by side; `constant` as in `Chosen.keep`."""
    usual = usual or options[0]
    begin = chosen.one(name, options, usual)
    if not chosen.is_drawn:
        return begin
    key = chosen.key(name, usual, *options)
    found = st.segmented_control(label, options, default=begin, required=True, key=key, format_func=said, **looks)
    chosen.keep(name, [found or begin], [usual], constant=constant)
    return found or begin


def _one(
    chosen: Chosen,
    name: str,
    label: str,
    options: Sequence[str],
    usual: str = "",
    said: Callable[[str], str] = str,
    width: int = 160,
    *,
    constant: bool = False,
) -> str:
    """Choice of one of many options; empty if there are none; `constant` as in `Chosen.keep`."""
    usual = usual if usual in options else next(iter(options), "")
    begin = chosen.one(name, options, usual) if options else ""
    if not chosen.is_drawn:
        return begin
    place = list(options).index(begin) if options else 0
    key = chosen.key(name, usual, *options)
    found = str(st.selectbox(label, options, place, key=key, format_func=said, width=width) or "")
    chosen.keep(name, [found], [usual], constant=constant)
    return found


def _some(
    chosen: Chosen, name: str, label: str, options: Sequence[str], of: str, first: Sequence[str] = ()
) -> tuple[str, ...]:
    """Choice of the lines: garments, or colours of one garment; `first` are shown before any is chosen."""
    usual = shown_first([each for each in first if each in options] or options)
    begin = chosen.some(name, options, usual)
    if not chosen.is_drawn:
        return tuple(begin)
    key = chosen.key(name, of, *usual, "of", *sorted(options))
    found = st.multiselect(label, options, begin, key=key, max_selections=_MOST_LINES, width=480)
    chosen.keep(name, found, usual)
    return tuple(found)


def _toggle(chosen: Chosen, name: str, label: str) -> bool:
    begin = chosen.one(name, ["no", "yes"], "no") == "yes"
    if not chosen.is_drawn:
        return begin
    found = st.toggle(label, begin, key=chosen.key(name))
    chosen.keep(name, ["yes" if found else "no"], ["no"], constant=True)
    return found


def _lines_of(kinds: Sequence[str], name: str) -> str:
    return name if name == GARMENTS or name in kinds else f"Colours of {name}"


TABS: tuple[Tab, ...] = (
    Tab("What is worn", _worn),
    Tab("How it moves", _moves),
    Tab("With what", _together),
    Tab("In which colours", _coloured),
)
