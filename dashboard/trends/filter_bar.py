"""The widgets of the filters: a popover for each kind."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import streamlit as st

from dashboard.shared.text import literal
from segmodels.archive.facts import Facts, View
from segmodels.colour import BASIC_COLOURS

__all__ = ["choose_filters"]

_MANY_TAGS = 8  # tags in the filter at most


def choose_filters(facts: Facts, view: View, key: str) -> View:
    """Draws the popovers.

    Args:
        facts: Facts of the archive.
        view: View that the popovers begin with.
        key: Streamlit key of each widget, with `{}` where its name is; the widgets of another key begin anew.

    Returns:
        View with the chosen filters.
    """
    worn = [garment.name for garment in facts.taxonomy.worn]
    known = set(worn)
    if not set(view.garments) <= known:  # of another version's taxonomy
        view = replace(view, garments=tuple(name for name in view.garments if name in known))
    whole = facts.size(View())
    with st.container(horizontal=True):
        with st.popover("Dates"):
            view = _dates(view, whole.first, whole.last, key.format("dates"))
        with st.popover("Tags"):
            view = replace(view, tags=_tags(facts, view, key))
        with st.popover("Garments"):
            garments = st.multiselect(
                "Must include all of", worn, list(view.garments), key=key.format("garments"), placeholder="Any garment"
            )
            view = replace(view, garments=tuple(garments))
        with st.popover("Colours"):
            colours = st.multiselect(
                "Main colour is one of these (of the garments chosen, if any)",
                BASIC_COLOURS,
                list(view.colours),
                key=key.format("colours"),
                placeholder="Any colour",
            )
            view = replace(view, colours=tuple(colours))
        with st.popover("Share and confidence"):
            share = st.slider(
                "Minimum share of the outfit (%)", 0, 50, round(100 * view.min_share), key=key.format("share")
            )
            sure = st.slider("Minimum confidence (%)", 0, 99, round(100 * view.min_confidence), key=key.format("sure"))
            st.caption("Garments below either minimum are not counted.")
            view = replace(view, min_share=share / 100, min_confidence=sure / 100)
        if facts.duplicates or view.duplicates:
            view = replace(
                view,
                duplicates=st.toggle(
                    "Count near-duplicates",
                    view.duplicates,
                    key=key.format("duplicates"),
                    help="Count each file of a photo that is there several times: recompressed, resized or made "
                    "brighter. Otherwise the largest counts, with its date and tags.",
                ),
            )
    return view


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


def _tags(facts: Facts, view: View, key: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if not facts.tags:
        st.caption("No photo in this archive has tags. Add them with a CSV at ingest (--metadata).")
    chosen, found = dict(view.tags), []
    shown = [*chosen, *(name for name in facts.tags if name not in chosen)][: max(_MANY_TAGS, len(chosen))]
    for name in sorted(shown):
        options = facts.tags.get(name, [])
        values = st.multiselect(
            literal(name),
            options,
            [value for value in chosen.get(name, ()) if value in options],
            key=key.format(f"tag-{name}"),
            placeholder="Any",
        )
        if values:
            found.append((name, tuple(values)))
    return tuple(found)
