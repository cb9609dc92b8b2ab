"""Saved views on the Trends page: opening, saving and deleting them, and a report of several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import streamlit as st

from dashboard.shared import audit
from dashboard.shared.text import literal
from dashboard.shared.visitor import log_name, principal, without_folders
from dashboard.trends import cache
from dashboard.trends.choice import SHIPPED, Choice
from dashboard.trends.contents import Contents
from dashboard.trends.deck import TemplateError
from dashboard.trends.export_menu import EXCEL, POWERPOINT, chosen_template
from dashboard.trends.reliability import Trust, of_kinds, read_trust
from dashboard.trends.report import report_html
from dashboard.trends.section import Question, Section
from dashboard.trends.slides import slides_pptx
from dashboard.trends.state import TrendsState
from dashboard.trends.tabs import build_of
from dashboard.trends.workbook import workbook_xlsx
from segmodels.archive.filters import evidence_line, from_link, removals
from segmodels.archive.outfits import NotEnoughError
from segmodels.archive.place import ArchiveError, Place
from segmodels.archive.views import (
    MOST_NAME,
    MOST_NOTE,
    SavedView,
    delete_view,
    list_views,
    measure,
    save_view,
    since_then,
)

__all__ = ["MOST_REPORTED", "contents_of_views", "show_opened", "show_views"]

MOST_REPORTED = 20
"""Most views in one report."""


@dataclass(frozen=True)
class _Shown:
    """What the page shows.

    Args:
        choice: The archive.
        question: Question that it answers.
        link: All values of each parameter of its address.
    """

    choice: Choice
    question: Question
    link: Mapping[str, Sequence[str]]


def show_views(choice: Choice, question: Question, link: Mapping[str, Sequence[str]], state: TrendsState) -> None:
    """The menu of the saved views.

    Args:
        choice: The archive.
        question: Question that the page answers.
        link: All values of each parameter of the page's address.
        state: State of the page.
    """
    place = Place(choice.location)
    try:
        views = list_views(place)
    except ArchiveError as error:
        st.error(literal(without_folders(str(error))))
        return
    if not views and not choice.may_change:
        return
    with st.popover(f"Views ({len(views)})" if views else "Views", key="trends-views"):
        _open(views, state)
        if choice.may_change:
            _save(_Shown(choice, question, link), state, {view.name: view.note for view in views})
        if len(views) > 1:
            _report(choice, views)


def show_opened(choice: Choice, question: Question, state: TrendsState) -> None:
    """The opened view: its name, its note, and what has changed since it was saved.

    Args:
        choice: The archive.
        question: Question that the page answers.
        state: State of the page.
    """
    if not state.saved:
        return
    try:
        view = next(each for each in list_views(Place(choice.location)) if each.name == state.saved)
    except (ArchiveError, StopIteration):
        return
    now = measure(question.facts, view.link, question.share_errors)
    text = f"**{literal(view.name)}.** {literal(since_then(view, now))}"
    st.caption(f"{text} {literal(view.note)}" if view.note else text)


def contents_of_views(choice: Choice, views: Sequence[SavedView]) -> Contents:
    """The sections of saved views, each with its own filters, for the report, the workbook and the slides.

    Args:
        choice: The archive.
        views: The views, in order.
    """
    sections: list[Section] = []
    refused: list[str] = []
    for number, view in enumerate(views):
        try:
            section = _section(choice, view)
            sections.append(replace(section, key=f"{section.key}-{number}"))
        except (NotEnoughError, ArchiveError) as error:
            refused.append(f"{view.name}: {error}")
    count = f"{len(views)} saved view{'' if len(views) == 1 else 's'}"
    counted = "Each view has its own filters."
    now = datetime.now()
    return Contents(
        choice.title, count, ("those of each view",), counted, choice.made_up, tuple(sections), tuple(refused), now
    )


def _open(views: Sequence[SavedView], state: TrendsState) -> None:
    if not views:
        st.caption("A saved view keeps filters and chart under a name, for all who may see this archive.")
        return
    names = {view.name: view for view in views}
    key = f"trends-view-{state.link_number}"

    def link(name: str) -> Iterable[tuple[str, Sequence[str]]]:
        return names[name].link.items()

    def follow() -> None:
        if name := st.session_state[key]:
            archive = st.query_params.get("archive", "")
            st.query_params.from_dict({"archive": archive, **{key: list(all_of) for key, all_of in link(name)}})
            state.return_to_link()
            state.saved = name

    st.selectbox("Open a view", list(names), index=None, key=key, placeholder="Choose a view", on_change=follow)
    for view in views[:5]:
        said = f"**{literal(view.name)}**, saved on {view.day}"
        st.caption(f"{said}. {literal(view.note)}" if view.note else f"{said}.")


def _save(shown: _Shown, state: TrendsState, notes: Mapping[str, str]) -> None:
    """The form for a new view, and the button that deletes the one that is open.

    Args:
        shown: What the page shows.
        state: State of the page.
        notes: Note of each saved view, by name.
    """
    place, place_name = Place(shown.choice.location), shown.choice.name
    with st.form("trends-save", border=False, enter_to_submit=False):
        name = st.text_input("Save this view as", state.saved, max_chars=MOST_NAME, key=f"trends-save-{state.saved}")
        note = st.text_area(
            "Note", notes.get(state.saved, ""), max_chars=MOST_NOTE, height=70, key=f"trends-note-{state.saved}"
        )
        saving = st.form_submit_button("Save view", type="primary")
    if saving:
        try:
            facts, errors = shown.question.facts, shown.question.share_errors
            measured = measure(facts, shown.link, errors, shown.question.view)
            view = save_view(place, SavedView(name, shown.link, note, measured=measured), log_name())
        except ArchiveError as error:
            st.error(literal(without_folders(str(error))))
        else:
            audit.note("view saved", principal(), archive=place_name, view=view.name)
            state.saved = view.name
            st.rerun()
    if state.saved in notes and st.button(literal(f"Delete {state.saved}"), key="trends-delete-view"):
        try:
            delete_view(place, state.saved, log_name())
        except ArchiveError as error:
            st.error(literal(without_folders(str(error))))
        else:
            audit.note("view deleted", principal(), archive=place_name, view=state.saved)
            state.saved = ""
            st.rerun()


def _report(choice: Choice, views: Sequence[SavedView]) -> None:
    """The report of several views."""
    by_name = {view.name: view for view in views}
    chosen = st.multiselect(
        "Views in one report",
        list(by_name),
        list(by_name)[:MOST_REPORTED],
        max_selections=MOST_REPORTED,
        key="trends-reported",
    )
    if not chosen:
        return
    collected = partial(contents_of_views, choice, [by_name[name] for name in chosen])

    def export(make: Callable[[Contents], bytes], what: str) -> bytes:
        audit.note(what, who, archive=choice.name, views=len(chosen))
        return make(collected())

    who = principal()
    try:
        template, name = chosen_template()
    except TemplateError:  # the menu of exports says so
        template, name = None, ""
    forms: tuple[tuple[str, Callable[[Contents], bytes], str, str], ...] = (
        ("Report (HTML)", report_html, "views.html", "text/html"),
        ("Tables (Excel)", workbook_xlsx, "views.xlsx", EXCEL),
        ("Slides (PowerPoint)", partial(slides_pptx, template=template, name=name), "views.pptx", POWERPOINT),
    )
    with st.container(horizontal=True):
        for label, make, file, kind in forms:
            what = f"{label.partition(' ')[0].lower()} of views exported"
            key = f"trends-views-{file.rpartition('.')[2]}"
            st.download_button(label, partial(export, make, what), file, kind, key=key, on_click="ignore")


def _section(choice: Choice, view: SavedView) -> Section:
    """What a view shows, with its filters.

    Raises:
        NotEnoughError: If there is too little for it.
        ArchiveError: If the archive cannot be read, or holds no results of the view's model.
    """
    link = view.link
    versions = {each.label: each for each in cache.versions(choice.location)}
    label = (link.get("by") or [""])[-1]
    if label not in versions and len(versions) != 1:
        raise ArchiveError(f'Model "{label[:80]}" not found in this archive. Open the view and choose one.')
    version = versions.get(label) or next(iter(versions.values()))
    kinds = (link.get("kinds") or [""])[-1] == "yes" and cache.has_kinds(choice.location, version)
    facts = cache.facts(choice.location, version, kinds=kinds)[0].result()
    trust = Trust() if choice.made_up else read_trust(SHIPPED.parent / "reliability.json", version)
    if facts.division:
        trust = of_kinds(trust, facts.division)
    chosen, ignored = from_link(link, facts.taxonomy, facts.tags, facts.countings)
    question = Question(facts, chosen, "light", "", trust.share_errors)
    section = build_of(question, trust, link)(question)
    line = evidence_line(facts.size(chosen), version.model, version.revision, facts.near_duplicates(chosen))
    filters = "; ".join(text for text, _ in removals(chosen)) or "none"
    parts = [view.note.rstrip("."), f"Filters: {filters}", line, *(each.rstrip(".") for each in ignored)]
    parts.append(since_then(view, measure(facts, link, trust.share_errors, chosen)).rstrip("."))
    scope = "".join(f"{each}. " for each in parts if each).strip()
    return replace(section, title=f"{view.name}: {section.title}", scope=scope)
