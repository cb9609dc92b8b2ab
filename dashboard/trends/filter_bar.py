"""The widgets of the filters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

import streamlit as st

from dashboard.shared.text import literal
from segmodels.archive.counts import Counting
from segmodels.archive.facts import Facts, View
from segmodels.colour import BASIC_COLOURS

__all__ = ["choose_filters", "values_with"]

_COUNTINGS: Mapping[Counting, str] = {"expected": "Expected counts", "raw": "Raw counts"}
_MANY_TAGS = 8  # tags that are shown without being chosen
_MANY_VALUES = 200  # values of a tag above which they are searched and not listed
_FOUND = 50  # values that a search shows


def choose_filters(facts: Facts, view: View, key: str, *, counts: bool = True) -> View:
    """Draws the widgets.

    Args:
        facts: Facts of the archive.
        view: View that the widgets begin with.
        key: Streamlit key of each widget, with `{}` where its name is; the widgets of another key begin anew.
        counts: Whether there are widgets for how outfits are counted.

    Returns:
        View with the chosen filters.
    """
    worn = [garment.name for garment in facts.taxonomy.worn]
    known = set(worn)
    if not set(view.garments) <= known:  # of another version's taxonomy
        view = replace(view, garments=tuple(name for name in view.garments if name in known))
    whole = facts.size(View(duplicates=True))
    if counts:
        view = _counting(facts, view, key.format("count"))
    view = _dates(view, whole.first, whole.last, key.format("dates"))
    garments = st.multiselect(
        "Must include all of", worn, list(view.garments), key=key.format("garments"), placeholder="Any garment"
    )
    colours = st.multiselect(
        "Main colour is one of these (of the garments chosen, if any)",
        BASIC_COLOURS,
        list(view.colours),
        key=key.format("colours"),
        placeholder="Any colour",
    )
    view = replace(view, garments=tuple(garments), colours=tuple(colours))
    view = replace(view, tags=_tags(facts, view, key))
    if not counts:
        return view
    view = _least(view, key) if facts.counting_of(view) == "raw" else replace(view, min_share=0, min_confidence=0)
    return _near_duplicates(facts, view, key.format("duplicates"))


def _counting(facts: Facts, view: View, key: str) -> View:
    """Choice of the way of counting, where there is one."""
    options = facts.countings
    if len(options) == 1:
        return view
    chosen = st.segmented_control(
        "Count",
        options,
        default=facts.counting_of(view),
        required=True,
        key=key,
        format_func=_COUNTINGS.__getitem__,
        help="Expected counts add up the probability that a garment is worn. Raw counts are of every garment found.",
    )
    return replace(view, counting=None if chosen in (None, options[0]) else chosen)


def _least(view: View, key: str) -> View:
    """Choice of the minimums."""
    share = st.slider("Minimum share of the outfit (%)", 0, 50, round(100 * view.min_share), key=key.format("share"))
    sure = st.slider("Minimum confidence (%)", 0, 99, round(100 * view.min_confidence), key=key.format("sure"))
    st.caption("Garments below either minimum are not counted.")
    return replace(view, min_share=share / 100, min_confidence=sure / 100)


def _near_duplicates(facts: Facts, view: View, key: str) -> View:
    """Choice of how near-duplicates count, where there are any."""
    if not (facts.duplicates or view.duplicates):
        return view
    chosen = st.toggle(
        "Count near-duplicates",
        view.duplicates,
        key=key,
        help="Count every file of a photo that is in the archive several times: recompressed, resized, brighter. "
        "Otherwise the largest of them counts, with its date and tags.",
    )
    return replace(view, duplicates=chosen)


def _dates(view: View, first: date | None, last: date | None, key: str) -> View:
    if first is None or last is None:
        st.caption("No photo in this archive has a date.")
        return replace(view, first=None, last=None)
    ends = [day for day in (view.first, view.last, first, last) if day]
    low, high = min(ends), max(ends)
    start = view.first or min(first, view.last or first)
    end = view.last or max(last, start)
    given = (start, end) if view.first or view.last else ()
    days = st.date_input("From and to", given, min_value=low, max_value=high, key=key, format="YYYY-MM-DD")  # type: ignore[arg-type]
    st.caption(f"A date range leaves out photos without a date. Dates run from {first} to {last}.")
    if len(days) == 2:
        return replace(view, first=days[0], last=days[1])
    return replace(view, first=None, last=None) if not days else view


def values_with(values: Sequence[str], part: str) -> list[str]:
    """The first values that hold a text, in upper or lower case, at their beginning before others.

    Args:
        values: Values of a tag, the most frequent first.
        part: Text to look for; empty for the first values of all.
    """
    part = part.strip().casefold()
    holding = [value for value in values if part in value.casefold()]
    return sorted(holding, key=lambda value: not value.casefold().startswith(part))[:_FOUND]


def _tags(facts: Facts, view: View, key: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if not facts.tags:
        st.caption("No photo in this archive has tags. Add them with a CSV on the Archive page.")
    chosen, found = dict(view.tags), []
    shown = [*chosen, *(name for name in facts.tags if name not in chosen)][: max(_MANY_TAGS, len(chosen))]
    if len(facts.tags) > _MANY_TAGS:
        shown = st.multiselect(
            f"Tags to filter by ({len(facts.tags)} in this archive)",
            sorted({*facts.tags, *chosen}),
            sorted(shown),
            key=key.format("tags"),
            placeholder="Choose tags",
        )
    for name in sorted(shown):
        options = facts.tags.get(name, [])
        begin = [value for value in chosen.get(name, ()) if value in options]
        if len(options) > _MANY_VALUES:
            part = st.text_input(
                literal(f"Search {name}"),
                key=key.format(f"search-{name}"),
                placeholder=f"A part of one of {len(options):,} values",
            )
            kept = [*begin, *st.session_state.get(key.format(f"tag-{name}"), [])]
            options = list(dict.fromkeys([*kept, *values_with(options, part)]))
        values = st.multiselect(
            literal(name),
            options,
            begin,
            key=key.format(f"tag-{name}"),
            placeholder="Any",
        )
        if values:
            found.append((name, tuple(values)))
    return tuple(found)
