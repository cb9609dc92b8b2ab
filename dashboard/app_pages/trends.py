"""Trends: what is worn, in which colours, with what, and how that moves."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import streamlit as st

from dashboard import resources
from dashboard.archive.facts import Facts, View
from dashboard.archive.made_up import MADE_UP_MODEL
from dashboard.archive.store import ArchiveError, Version
from dashboard.archive.trends import NotEnough
from dashboard.charts import page_theme, show_chart
from dashboard.evaluation.pictures import cards_html
from dashboard.trends.behind import Behind, read_behind
from dashboard.trends.choice import MADE_UP, MADE_UP_PHOTOS, SHIPPED, Choice, choices, make_sample
from dashboard.trends.coloured import palette_section
from dashboard.trends.filters import evidence_line, from_link, removals, to_link
from dashboard.trends.moves import movement_section
from dashboard.trends.photos import photo_cards
from dashboard.trends.reliability import Trust, read_trust
from dashboard.trends.report import as_csv, report_html
from dashboard.trends.section import Builder, Question
from dashboard.trends.tabs import TABS
from dashboard.trends.together import matrix_section
from dashboard.trends.worn import share_section
from dashboard.uploads import literal
from segmodels.colour import BASIC_COLOURS

state = st.session_state
state.setdefault("trends_archive", None)  # name of the archive that is open
state.setdefault("trends_version", None)  # of its rows, where there are several
state.setdefault("trends_view", None)  # the filters; None until the link was read
state.setdefault("trends_generation", 0)  # of the filters' widgets: a new one begins with the view's values
state.setdefault("trends_clicked", ("", ""))  # key of a section and code of what was clicked in it
state.setdefault("trends_sentences", [])  # about the link
state.setdefault("trends_more", 0)  # photos listed beyond the first

SHOWN, MORE, MOST = 6, 12, 60  # photos in a list
NAMES = 5000  # file names in a list to take away
MANY_TAGS = 8  # keys in the filter
POLL_SECONDS = 0.1
DEFAULTS: dict[str, Builder] = {
    TABS[0].name: share_section,
    TABS[1].name: movement_section,
    TABS[2].name: matrix_section,
    TABS[3].name: palette_section,
}


def page() -> None:
    """The whole page: the empty state, or evidence, filters, and the open tab with the photos behind it."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title("Trends", width="stretch")
        away = st.container(width="content")
    choice = _choose()
    if choice is None:
        return
    try:
        version = _version(choice)
        facts = _facts(choice, version) if version else None
    except ArchiveError as error:
        st.error(literal(str(error)))
        return
    if version is None or facts is None:
        return
    if state.trends_view is None:
        link = {key: st.query_params.get_all(key) for key in st.query_params}
        state.trends_view, sentences = from_link(link, facts.taxonomy, facts.tags)
        state.trends_sentences = [*state.trends_sentences, *sentences]
    if version.model == MADE_UP_MODEL:
        choice = replace(choice, made_up=True)
        st.info("Made up: no camera and no model saw these photos. Known trends are planted in them.")
    evidence = st.container()
    view = _filters(facts)
    size = facts.size(view)
    line = evidence_line(size, version.model, version.revision)
    evidence.markdown(f"**{literal(line)}**")
    if state.trends_sentences:
        st.error("\n\n".join(map(literal, state.trends_sentences)))
    _write_link(choice, version, view)
    if not size.outfits:
        _nothing(facts, view)
        return
    trust = Trust() if choice.made_up else read_trust(SHIPPED / "reliability.json", version)
    question = Question(facts, view, page_theme(), state.trends_clicked[1])
    current: list[tuple[str, Builder]] = []
    tabs = st.tabs([tab.name for tab in TABS], default=_linked_tab(), key="trends-tab", on_change="rerun")
    for tab, container in zip(TABS, tabs, strict=True):
        if container.open:
            st.query_params["tab"] = tab.name
            with container:
                try:
                    build = tab.choose(question, trust)
                except NotEnough as error:
                    st.info(literal(str(error)))
                    continue
                current.append((tab.name, build))
                _show(question, build, choice)
    with away, st.popover("Take it away", type="primary"):
        _take_away(question, current, choice, line)


# --- Which archive ----------------------------------------------------------------------------------------------------


def _choose() -> Choice | None:
    """The archive to open; None where there is only the made-up one and it was not asked for."""
    found = {each.name: each for each in choices()}
    if state.trends_archive not in found:
        linked = st.query_params.get("archive", "")
        if linked and linked not in found:
            state.trends_sentences = [f"There is no archive {linked[:60]} here; this is another one."]
        state.trends_archive = linked if linked in found else next(iter(found))
        if len(found) == 1 and not linked:
            state.trends_archive = None
    if state.trends_archive is None:
        st.markdown("There is no archive here yet. Make one of your photos, and name its folder to the app:")
        st.code(
            "python -m dashboard.archive ingest PHOTOS --archive FOLDER [--metadata CSV]\n"
            "GARMENTSCOPE_ARCHIVE=FOLDER make app",
            wrap_lines=True,
        )
        st.button("Open the made-up sample", on_click=_open, args=(MADE_UP,), type="primary")
        return None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox(
            "Archive",
            list(found),
            list(found).index(state.trends_archive),
            format_func=lambda name: f"{name} (synthetic)" if found[name].made_up else name,
            key=f"trends-archive-{state.trends_archive}",
            width=280,
        )
    if name != state.trends_archive:
        _open(name)
        st.rerun()
    return found[name]


def _open(name: str) -> None:
    """Opens another archive, without filters."""
    state.trends_archive, state.trends_version, state.trends_view = name, None, View()
    state.trends_clicked, state.trends_sentences, state.trends_more = ("", ""), [], 0
    state.trends_generation += 1


def _version(choice: Choice) -> Version | None:
    """Whose rows are counted; None until one of several is chosen."""
    if choice.made_up and not resources.versions(choice.location):
        with st.spinner(f"Making {MADE_UP_PHOTOS:,} photos up, once. This takes about 10 seconds."):
            make_sample(choice)
    found = resources.versions(choice.location)
    if not found:
        st.info(
            literal(f"{choice.name} holds no photo yet. Ingest some:")
            + " `python -m dashboard.archive ingest PHOTOS --archive FOLDER`"
        )
        return None
    if len(found) == 1:
        return found[0]
    names = {f"{each.model} {each.revision[:12]} ({each.taxonomy})": each for each in found}
    linked = st.query_params.get("by", "")
    if state.trends_version not in names:
        state.trends_version = linked if linked in names else None
    st.warning(f"{len(found)} models in this archive. Choose one; they are never added.")
    chosen = st.selectbox(
        "Found by",
        list(names),
        list(names).index(state.trends_version) if state.trends_version else None,
        key=f"trends-version-{choice.name}",
        placeholder="Choose a model",
        width=380,
    )
    if chosen != state.trends_version:
        state.trends_version, state.trends_clicked = chosen, ("", "")
    return names[chosen] if chosen else None


def _facts(choice: Choice, version: Version) -> Facts:
    """The outfits, with a bar while they are read.

    Raises:
        ArchiveError: If the archive cannot be read.
    """
    future, steps = resources.facts(choice.location, version)
    if not future.done():
        bar = st.progress(0.0, "Opening the archive.")
        while not future.done():
            bar.progress(min(0.9, (1 + len(steps)) / 3), (steps or ["Opening the archive."])[-1])
            time.sleep(POLL_SECONDS)
        bar.empty()
    return future.result()


# --- Filters ----------------------------------------------------------------------------------------------------------


def _filters(facts: Facts) -> View:
    """The popovers, and what is chosen in them."""
    view: View = state.trends_view
    worn = [garment.name for garment in facts.taxonomy.worn]
    known = set(worn)
    if not set(view.garments) <= known:  # of another version's taxonomy
        view = replace(view, garments=tuple(name for name in view.garments if name in known))
    key = f"trends-{{}}-{state.trends_generation}"
    whole = facts.size(View())
    with st.container(horizontal=True):
        with st.popover("Dates"):
            view = _dates(view, whole.first, whole.last, key.format("dates"))
        with st.popover("Tags"):
            view = replace(view, tags=_tags(facts, view, key))
        with st.popover("Garments"):
            garments = st.multiselect(
                "Outfits with all of", worn, list(view.garments), key=key.format("garments"), placeholder="Any garment"
            )
            view = replace(view, garments=tuple(garments))
        with st.popover("Colours"):
            colours = st.multiselect(
                "With one of these as main colour, of a garment chosen if there is one",
                BASIC_COLOURS,
                list(view.colours),
                key=key.format("colours"),
                placeholder="Any colour",
            )
            view = replace(view, colours=tuple(colours))
        with st.popover("Share and confidence"):
            share = st.slider(
                "Least share of the outfit (%)", 0, 50, round(100 * view.min_share), key=key.format("share")
            )
            sure = st.slider("Least confidence (%)", 0, 99, round(100 * view.min_confidence), key=key.format("sure"))
            st.caption("Garments below either do not count.")
            view = replace(view, min_share=share / 100, min_confidence=sure / 100)
    state.trends_view = view
    if active := removals(view):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(literal("Only: " + "; ".join(text for text, _ in active)), width="content")
            st.button("Clear filters", type="tertiary", on_click=_take, args=(View(),))
    return view


def _dates(view: View, first: object, last: object, key: str) -> View:
    if first is None or last is None:
        st.caption("No photo here has a date.")
        return replace(view, first=None, last=None)
    low, high = min(filter(None, (view.first, first))), max(filter(None, (view.last, last)))  # type: ignore[type-var]
    given = (view.first or first, view.last or last) if view.first or view.last else ()
    days = st.date_input("From and to", given, min_value=low, max_value=high, key=key, format="YYYY-MM-DD")  # type: ignore[call-overload]
    st.caption(f"Photos without a date are left out then. There are dates from {first} to {last}.")
    if len(days) == 2:
        return replace(view, first=days[0], last=days[1])
    return replace(view, first=None, last=None) if not days else view


def _tags(facts: Facts, view: View, key: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    if not facts.tags:
        st.caption("No photo here has a tag. Give them in a CSV at ingest (--metadata).")
    chosen, found = dict(view.tags), []
    shown = [*chosen, *(name for name in facts.tags if name not in chosen)][: max(MANY_TAGS, len(chosen))]
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


def _take(view: View) -> None:
    """Sets other filters, in the widgets too."""
    state.trends_view, state.trends_sentences = view, []
    state.trends_generation += 1


def _nothing(facts: Facts, view: View) -> None:
    """What to do where no photo fits."""
    whole = facts.size(View())
    st.subheader(f"0 of {whole.photos:,} photos match.")
    with st.container(horizontal=True):
        for number, (text, without) in enumerate(removals(view)):
            st.button(literal(f"Remove {text}"), key=f"trends-remove-{number}", on_click=_take, args=(without,))


def _write_link(choice: Choice, version: Version, view: View) -> None:
    link: dict[str, str | list[str]] = {"archive": choice.name, "tab": _linked_tab(), **to_link(view)}
    if state.trends_version:
        link["by"] = state.trends_version
    st.query_params.from_dict(link)


def _linked_tab() -> str:
    """The tab that is open, or that the link names."""
    names = [tab.name for tab in TABS]
    tab = state.get("trends-tab") or st.query_params.get("tab", "")
    return tab if tab in names else names[0]


# --- The view and the photos behind it --------------------------------------------------------------------------------


def _show(question: Question, build: Builder, choice: Choice) -> None:
    """Chart and numbers, and beside them the photos behind what was clicked."""
    try:
        with st.spinner("Counting.", show_time=False):
            section = build(question)
    except NotEnough as error:
        st.info(literal(str(error)))
        return
    left, right = st.columns([60, 40], gap="large")
    with left:
        st.subheader(literal(section.title))
        st.caption(literal(section.caption))
        with st.container(key=f"{section.key}-box"):
            show_chart(
                section.figure,
                section.key,
                section.words,
                data=partial(as_csv, section.table),
                on_select=partial(_clicked, section.key),
            )
        with st.expander("Numbers"):
            st.dataframe(section.table, hide_index=True)
    key, code = state.trends_clicked
    behind = read_behind(code, question.facts.taxonomy) if key == section.key else None
    with right, st.container(key="trends-photos"):
        _photos(question.within(section.view or question.view), behind or section.behind, choice)


def _clicked(key: str) -> None:
    """Takes over what was clicked in a figure."""
    points = state[key].selection.points
    if points and (found := points[0].get("customdata")):
        state.trends_clicked = (key, found if isinstance(found, str) else found[0])
        state.trends_more = 0


def _photos(question: Question, behind: Behind, choice: Choice) -> None:
    facts, view = question.facts, question.view
    asked = {
        "worn": behind.classes,
        "not_worn": behind.not_worn,
        "coloured": behind.coloured,
        "fine": behind.fine,
        "period": behind.period,
        "start": behind.start,
    }
    count = facts.count(view, **asked)  # type: ignore[arg-type]
    st.subheader(literal(behind.words()))
    if not count:
        st.caption("No photo. Click another bar, cell, line or point.")
        return
    shown = min(MOST, SHOWN + state.trends_more)
    found = facts.photos(view, **asked, limit=shown)  # type: ignore[arg-type]
    which = f"; the newest {len(found)}" if count > len(found) else ""
    st.caption(f"{count:,} outfit{'' if count == 1 else 's'}{which}. Click in the chart for others.")
    roots = () if choice.made_up else _roots()
    cards, remark = photo_cards(
        found, facts.taxonomy, behind, partial(resources.archive_photo, roots) if roots else None
    )
    st.html(cards_html(cards))
    if not choice.made_up and not roots:
        remark = "Set GARMENTSCOPE_PHOTOS to the folder that was ingested to see the photos beside their class maps."
    if choice.made_up:
        remark = "Made-up photos share one drawing."
    if remark:
        st.caption(literal(remark))
    with st.container(horizontal=True):
        if count > shown and shown < MOST:
            st.button("More photos", on_click=_more)
        names = partial(_names_csv, lambda: facts.photos(view, **asked, limit=NAMES))  # type: ignore[arg-type]
        st.download_button("File names (CSV)", names, "photos.csv", "text/csv", key="trends-names", on_click="ignore")


def _more() -> None:
    state.trends_more += MORE


def _names_csv(ask: Callable[[], object]) -> bytes:
    found = ask()
    return as_csv(found.drop(columns="class_map"))  # type: ignore[attr-defined]


def _roots() -> tuple[Path, ...]:
    """Folders in which photos may lie."""
    named = [Path(place) for place in os.environ.get("GARMENTSCOPE_PHOTOS", "").split(os.pathsep) if place]
    if data := os.environ.get("GARMENTSCOPE_DATA", ""):
        named += [Path(data), Path(data) / "photos"]
    return tuple(place for place in named if place.is_dir())


def _take_away(question: Question, current: Sequence[tuple[str, Builder]], choice: Choice, line: str) -> None:
    """The report; tables and pictures are taken at their charts."""
    others = [build for name, build in DEFAULTS.items() if name not in dict(current)]
    report = partial(
        report_html,
        replace(question, theme="light", marked=""),
        [build for _, build in current] + others,
        archive=choice.name,
        evidence=line,
        filters=[text for text, _ in removals(question.view)],
        made_up=choice.made_up,
    )
    st.download_button(
        "Report (HTML)", report, "trends.html", "text/html", key="trends-report", on_click="ignore", type="primary"
    )
    st.caption(
        "One file: this view first, then the first of each other tab, with filters, sample sizes, method and tables. "
        "Each chart has its data (CSV) below it, and a button in its corner for the picture (PNG)."
    )


page()
