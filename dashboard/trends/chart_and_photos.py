"""The chart of a view with its numbers and its method, and beside it the photos behind what was clicked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard.components.charts import show_chart, show_downloads
from dashboard.evaluation.pictures import cards_html
from dashboard.shared.palette_menu import show_palettes
from dashboard.shared.tables import headings
from dashboard.shared.text import literal
from dashboard.trends import cache
from dashboard.trends.choice import Choice
from dashboard.trends.gallery_dialog import Source, show_gallery
from dashboard.trends.methods import method
from dashboard.trends.photos import photo_cards
from dashboard.trends.section import Builder, Question, Section, codes_of, number, swatches_html
from dashboard.trends.state import TrendsState
from segmodels.archive.behind import Behind, read_behind
from segmodels.archive.filters import removals
from segmodels.archive.outfits import NotEnoughError
from segmodels.archive.palette import real_palette
from segmodels.archive.thumbnails import SMALL
from segmodels.settings import read_settings

__all__ = ["SHOWN", "picture_reader", "show_section"]

SHOWN = 6
"""Number of photos that are shown beside a chart at first."""

_MORE, _MOST = 12, 60
_NAMES = 5000  # file names in a list to export


def show_section(
    question: Question, build: Builder, choice: Choice, line: str, notes: Sequence[str], state: TrendsState
) -> None:
    """Chart and numbers, and beside them the photos behind what was clicked."""
    try:
        with st.spinner("Counting.", show_time=False):
            section = build(question)
    except NotEnoughError as error:
        st.info(literal(str(error)))
        for note in filter(None, notes):
            st.caption(literal(note))
        return
    left, right = st.columns([60, 40], gap="large")
    with left:
        st.subheader(literal(section.title))
        filters = "; ".join(text for text, _ in removals(question.view)) or "none"
        with st.container(key=f"{section.key}-box"):
            show_chart(
                section.figure,
                section.key,
                section.words,
                title=section.title,
                notes=[
                    f"Archive: {choice.title}{' (made-up data)' if choice.made_up else ''}. {line}.",
                    f"Filters: {filters}.",
                    section.caption,
                ],
                data=lambda: section.numbers,
                archive=choice.name,
                on_select=partial(_clicked, state, section.key),
            )
        if section.swatches:
            st.html(swatches_html(section.swatches))
        if section.key in ("trends-palettes", "trends-colours"):
            garments = list(dict.fromkeys(map(question.facts.class_of, section.table["garment"])))
            show_palettes(
                "Palette",
                "trends-palette",
                f"{section.title}, {choice.title}",
                partial(real_palette, question.facts, question.view, garments),
                "Each colour is the mean of the garments' own main colours of that name, not the colour of the name. "
                "Lab is CIELAB (D65)." + " Made-up garments have the colours of the names." * choice.made_up,
                choice.name,
            )
        st.caption(literal(section.caption))
        for note in filter(None, notes):
            st.caption(literal(note))
        with st.expander("How this is computed"):
            st.markdown(method(section.key))
        with st.expander("Numbers"):
            st.dataframe(section.numbers, hide_index=True, column_config=headings(section.numbers))
    key, code = state.clicked
    behind = (read_behind(code, question.facts.taxonomy) if key == section.key else None) or section.behind
    state.chosen.link["photos"] = [f"{section.key}:{behind.code()}"]
    with right, st.container(key="trends-photos"):
        _photos(question.within(behind.within(section.view or question.view)), behind, choice, section, line, state)


def _clicked(state: TrendsState, key: str) -> None:
    """Takes over what was clicked in a figure."""
    points = st.session_state[key].selection.points
    if points and (found := points[0].get("customdata")):
        state.click(key, found if isinstance(found, str) else found[0])


def _pick(section: Section, behind: Behind, question: Question, state: TrendsState) -> None:
    """A list of all that can be clicked in the chart, for the keyboard."""
    codes = list(dict.fromkeys([behind.code(), *codes_of(section.figure)]))
    words = {
        code: read.words(question.hemispheres) for code in codes if (read := read_behind(code, question.facts.taxonomy))
    }
    options = (
        sorted(words, key=list(codes_of(section.figure)).index) if behind.code() in codes_of(section.figure) else codes
    )
    key = f"trends-pick-{section.key}-{abs(hash(tuple(options)))}"
    st.session_state[key] = behind.code()
    st.selectbox(
        "Photos of (or click in the chart)",
        options,
        format_func=lambda code: words.get(code, code),
        key=key,
        on_change=lambda: state.click(section.key, st.session_state[key]),
    )


def _photos(
    question: Question, behind: Behind, choice: Choice, section: Section, line: str, state: TrendsState
) -> None:
    """How many outfits meet the conditions, some of their photos, and a list of all file names."""
    facts, view, asked = question.facts, question.view, behind.conditions
    count = facts.count(view, asked)
    expected = ""
    if question.counting == "expected":
        expected = f"About {number(facts.expected(view, asked))} expected; "
    st.subheader(literal(behind.words(question.hemispheres)))
    _pick(section, behind, question, state)
    shown = min(_MOST, SHOWN + state.more)
    found = facts.photos(view, asked, limit=shown, likely=count > 0)
    if found.empty:
        st.caption("No photos. Choose something else in the chart or in the list.")
        return
    dated = found["day"].notna().any()
    which = f"; {'the newest ' if dated else ''}{len(found)} are shown" if count > len(found) else ""
    likely = " at 50% or more" if expected else ""
    outfits = f"{count:,} outfit{'' if count == 1 else 's'}{likely}{which}"
    if not count:
        outfits = "no outfit at 50% or more; the likeliest are shown"
    st.caption(f"{expected}{outfits}.")
    read = picture_reader(choice)
    classes = [facts.class_of(name) for name in behind.classes]
    cards, remark = photo_cards(found, facts.whole, classes, partial(read, SMALL) if read else None)
    st.html(cards_html(cards))
    if choice.made_up:
        remark = "Made-up photos are drawings of what is worn."
    elif not read:
        remark = (
            "To see the photos beside their class maps, add them with thumbnails, or set GARMENTSCOPE_PHOTOS to the "
            "folder they were added from."
        )
    if remark:
        st.caption(literal(remark))
    with st.container(horizontal=True):
        if count > shown and shown < _MOST:
            st.button("More photos", on_click=_more, args=(state,))
        if st.button("Gallery and moodboard"):
            foot = f"{choice.title}: {behind.words(question.hemispheres)}. {line}. {date.today():%Y-%m-%d}."
            looks = partial(cache.looks, choice.location, facts.version)
            show_gallery(question, behind, Source(read, looks, foot, choice.name, remark), state)
        names = partial(_names, lambda: facts.photos(view, asked, limit=_NAMES, likely=count > 0))
        show_downloads("File names", "trends-names", names, choice.name)


def _more(state: TrendsState) -> None:
    state.more += _MORE


def _names(ask: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    return ask().drop(columns="class_map")


def picture_reader(choice: Choice) -> Callable[[int, str, str], bytes] | None:
    """Function that gives the picture of a side, a file name and an id; None where no pictures are to be had."""
    roots = _roots()
    if choice.made_up or not (roots or cache.has_thumbnails(choice.location)):
        return None
    return partial(cache.archive_photo, choice.location, roots)


def _roots() -> tuple[Path, ...]:
    """Folders in which photos may lie."""
    settings = read_settings()
    data = (settings.data, settings.data / "photos") if settings.data else ()
    return tuple(place for place in (*settings.photos, *data) if place.is_dir())
