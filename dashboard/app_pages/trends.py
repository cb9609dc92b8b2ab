"""Trends: what is worn, in which colours, with what, and how that changes over time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard.components.charts import page_theme, show_chart, show_downloads
from dashboard.evaluation.pictures import cards_html
from dashboard.shared.page_state import page_state
from dashboard.shared.text import literal
from dashboard.trends import cache
from dashboard.trends.behind import Behind, read_behind
from dashboard.trends.choice import MADE_UP, SHIPPED, Choice, choices, make_sample
from dashboard.trends.coloured import palette_section
from dashboard.trends.filter_bar import choose_filters
from dashboard.trends.filters import evidence_line, removals, to_link
from dashboard.trends.moves import movement_section
from dashboard.trends.photos import photo_cards
from dashboard.trends.reliability import Trust, of_kinds, read_trust
from dashboard.trends.report import report_html
from dashboard.trends.section import Builder, Question, number
from dashboard.trends.state import TrendsState
from dashboard.trends.tabs import TABS
from dashboard.trends.together import matrix_section
from dashboard.trends.worn import share_section
from segmodels.archive.facts import Facts, View
from segmodels.archive.outfits import NotEnoughError
from segmodels.archive.store import ArchiveError, Version
from segmodels.archive.synthetic import MADE_UP_MODEL
from segmodels.settings import read_settings

state = page_state(TrendsState)

SHOWN, MORE, MOST = 6, 12, 60  # photos in a list
NAMES = 5000  # file names in a list to export
POLL_SECONDS = 0.1
LEAST_SHOWN = 0.5  # outfits; below, the filter leaves none
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
        divided = bool(version) and cache.has_kinds(choice.location, version)
        facts = _facts(choice, version, kinds=_by_kind(divided)) if version else None
    except ArchiveError as error:
        st.error(literal(str(error)))
        return
    if version is None or facts is None:
        return
    state.read_link(_link(), facts.taxonomy, facts.tags, facts.countings)
    if version.model == MADE_UP_MODEL:
        choice = replace(choice, made_up=True)
        st.info("Made-up data, not from photos or a model. Known trends are built in.")
    evidence = st.container()
    if wrong := [tag or value for tag, value in read_settings().southern if not (tag and value)]:
        names = ", ".join(f'"{each}"' for each in wrong)
        st.warning(
            literal(f"GARMENTSCOPE_SOUTHERN has {names}, not written as tag=value: ignored. Correct the setting.")
        )
    view = _filters(facts, partial(_choose_kinds, facts) if divided else None)
    size = facts.size(view)
    line = evidence_line(size, version.model, version.revision, facts.near_duplicates(view))
    evidence.markdown(f"**{literal(line)}**")
    if sentence := _lacking(facts):
        evidence.caption(sentence)
    remarks = st.empty()
    if size.outfits >= LEAST_SHOWN:
        trust = Trust() if choice.made_up else read_trust(SHIPPED.parent / "reliability.json", version)
        if facts.division:
            trust = of_kinds(trust, facts.division)
        question = Question(facts, view, page_theme(), state.clicked[1], trust.share_errors)
        if trust.lacking and question.counting == "expected":
            evidence.caption(literal(trust.lacking))
        current = _tabs(question, trust, choice)
        with away, st.popover("Export", type="primary"):
            _export(question, current, choice, line)
    else:
        _nothing(facts, view)
    if state.sentences:
        remarks.error("\n\n".join(map(literal, state.sentences)))
    _write_link(choice, version, replace(view, counting=facts.counting_of(view)))


def _tabs(question: Question, trust: Trust, choice: Choice) -> list[tuple[str, Builder]]:
    """The open tab; its name and what builds its view, if there is enough for it."""
    current: list[tuple[str, Builder]] = []
    tabs = st.tabs([tab.name for tab in TABS], default=_open_tab(), key="trends-tab", on_change="rerun")
    for tab, container in zip(TABS, tabs, strict=True):
        if container.open:
            state.chosen.enter(tab.name)
            with container:
                try:
                    build = tab.choose(question, trust, state.chosen)
                except NotEnoughError as error:
                    st.info(literal(str(error)))
                    continue
                finally:
                    state.sentences += state.chosen.settle()
                current.append((tab.name, build))
                _show(question, build, choice)
    return current


# --- The link ---------------------------------------------------------------------------------------------------------


def _link() -> dict[str, list[str]]:
    """All values of each parameter of the page's address."""
    return {key: st.query_params.get_all(key) for key in st.query_params}


def _write_link(choice: Choice, version: Version, view: View) -> None:
    """Puts into the link what brings this view back, after the archive has grown too."""
    link: dict[str, str | list[str]] = {
        "archive": choice.name,
        "by": _label(version),
        "tab": _open_tab(),
        **({"kinds": "yes"} if state.kinds else {}),
        **to_link(view),
        **state.chosen.link,
    }
    st.query_params.from_dict(link)


def _open_tab() -> str:
    """The tab that is open, or that the link names."""
    names = [tab.name for tab in TABS]
    tab = st.session_state.get("trends-tab") or st.query_params.get("tab", "")
    return tab if tab in names else names[0]


# --- Which archive ----------------------------------------------------------------------------------------------------


def _choose() -> Choice | None:
    """The archive to open; None where there is only the made-up one and it was not asked for."""
    found = {each.name: each for each in choices()}
    if state.archive not in found:
        linked = st.query_params.get("archive", "")
        if linked and linked not in found:
            state.sentences = [f'Archive "{linked[:60]}" not found; showing "{next(iter(found))}".']
        state.archive = linked if linked in found else next(iter(found))
        if len(found) == 1 and not linked:
            state.archive = None
    if state.archive is None:
        st.markdown("No archive yet. Make one from your photos, and start the app with its folder:")
        st.code(
            "python -m segmodels.archive ingest PHOTOS --archive FOLDER [--metadata CSV]\n"
            "GARMENTSCOPE_ARCHIVE=FOLDER make app",
            wrap_lines=True,
        )
        st.button("Open the made-up sample", on_click=state.open_archive, args=(MADE_UP,), type="primary")
        return None
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox(
            "Archive",
            list(found),
            list(found).index(state.archive),
            format_func=lambda name: f"{name} (synthetic)" if found[name].made_up else name,
            key=f"trends-archive-{state.archive}",
            width=280,
        )
    if name != state.archive:
        state.open_archive(name)
        st.rerun()
    return found[name]


def _version(choice: Choice) -> Version | None:
    """Whose rows are counted; None until one of several is chosen."""
    if choice.made_up and not cache.versions(choice.location):
        bar = st.empty()
        try:
            make_sample(choice, bar.progress)
        finally:
            bar.empty()
    found = cache.versions(choice.location)
    if not found:
        st.info(
            literal(f"{choice.name} holds no photos yet. Add some:")
            + " `python -m segmodels.archive ingest PHOTOS --archive FOLDER`"
        )
        return None
    names = {_label(each): each for each in found}
    linked = "" if state.link_read else st.query_params.get("by", "")
    missing = f'Model "{linked[:80]}" not found in this archive' if linked and linked not in names else ""
    if len(found) == 1:
        if missing and not state.version:
            state.sentences = [*state.sentences, f'{missing}; showing "{next(iter(names))}".']
        state.version = next(iter(names))
        return found[0]
    if state.version not in names:
        state.version = linked if linked in names else None
    sentence = f"This archive holds results of {len(found)} models, which are kept separate. Choose a model."
    st.warning(literal(f"{missing}. {sentence}" if missing else sentence))
    chosen = st.selectbox(
        "Model",
        list(names),
        list(names).index(state.version) if state.version else None,
        key=f"trends-version-{choice.name}",
        placeholder="Choose a model",
        width=380,
    )
    if chosen != state.version:
        state.version, state.clicked = chosen, ("", "")
    return names[chosen] if chosen else None


def _label(version: Version) -> str:
    """Name of a version in the list of models and in links."""
    return f"{version.model} {version.revision[:12]} ({version.taxonomy})"


def _by_kind(there: bool) -> bool:
    """Whether kinds are counted; the address says so first.

    Args:
        there: Whether the archive has kinds.
    """
    if state.kinds is None:
        linked = "" if state.link_read else st.query_params.get("kinds", "")
        if linked not in ("", "yes", "no"):
            state.sentences = [
                *state.sentences,
                f'The value "{linked[:20]}" for kinds in the link is not yes or no; it is ignored.',
            ]
        elif linked == "yes" and not there:
            state.sentences = [*state.sentences, "This archive has no kinds of garments; showing classes."]
        state.kinds = linked == "yes"
    return state.kinds and there


def _choose_kinds(facts: Facts) -> None:
    """Choice between classes and kinds."""
    key = f"trends-kinds-{state.generation}"
    st.segmented_control(
        "Garments by",
        [False, True],
        default=facts.division is not None,
        required=True,
        key=key,
        format_func=lambda kinds: "By kind" if kinds else "By class",
        label_visibility="collapsed",
        help="Kinds are finer than classes, as jeans are a kind of Pants. Classes without kinds stay as they are.",
        on_change=lambda: state.count_kinds(bool(st.session_state[key])),
    )


def _facts(choice: Choice, version: Version, *, kinds: bool = False) -> Facts:
    """The outfits, with a bar while they are read.

    Raises:
        ArchiveError: If the archive cannot be read.
    """
    future, steps = cache.facts(choice.location, version, kinds=kinds)
    if not future.done():
        bar = st.progress(0.0, "Opening the archive.")
        while not future.done():
            bar.progress(min(0.9, (1 + len(steps)) / 3), (steps or ["Opening the archive."])[-1])
            time.sleep(POLL_SECONDS)
        bar.empty()
    return future.result()


# --- Filters ----------------------------------------------------------------------------------------------------------


def _filters(facts: Facts, before: Callable[[], object] | None) -> View:
    """The popovers, and what is chosen in them."""
    view = state.view = choose_filters(facts, state.view, f"trends-{{}}-{state.generation}", before or (lambda: None))
    if active := removals(view):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(literal("Filters: " + "; ".join(text for text, _ in active)), width="content")
            st.button("Clear filters", type="tertiary", on_click=state.filter_by, args=(View(counting=view.counting),))
    return view


def _lacking(facts: Facts) -> str:
    """Why the counts are raw, and how to get expected ones; empty if the archive has them for all outfits."""
    again = "For expected counts, ingest the photos again with a model that has a calibration."
    if not facts.has_presence:
        return f"This archive holds raw counts: every garment the network found. {again}"
    if facts.lacking:
        return f"{facts.lacking:,} outfits of this archive have raw counts only. {again}"
    return ""


def _nothing(facts: Facts, view: View) -> None:
    """What to do where no photo fits."""
    whole = facts.size(View())
    st.subheader(f"0 of {whole.photos:,} photos match.")
    with st.container(horizontal=True):
        for number, (text, without) in enumerate(removals(view)):
            st.button(
                literal(f"Remove {text}"), key=f"trends-remove-{number}", on_click=state.filter_by, args=(without,)
            )


# --- The view and the photos behind it --------------------------------------------------------------------------------


def _show(question: Question, build: Builder, choice: Choice) -> None:
    """Chart and numbers, and beside them the photos behind what was clicked."""
    try:
        with st.spinner("Counting.", show_time=False):
            section = build(question)
    except NotEnoughError as error:
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
                data=lambda: section.numbers,
                on_select=partial(_clicked, section.key),
            )
        with st.expander("Numbers"):
            st.dataframe(section.numbers, hide_index=True)
    key, code = state.clicked
    behind = (read_behind(code, question.facts.taxonomy) if key == section.key else None) or section.behind
    state.chosen.link["photos"] = [f"{section.key}:{behind.code()}"]
    with right, st.container(key="trends-photos"):
        _photos(question.within(section.view or question.view), behind, choice)


def _clicked(key: str) -> None:
    """Takes over what was clicked in a figure."""
    points = st.session_state[key].selection.points
    if points and (found := points[0].get("customdata")):
        state.click(key, found if isinstance(found, str) else found[0])


def _photos(question: Question, behind: Behind, choice: Choice) -> None:
    """How many outfits meet the conditions, some of their photos, and a list of all file names."""
    facts, view, asked = question.facts, question.view, behind.conditions
    count = facts.count(view, asked)
    expected = ""
    if question.counting == "expected":
        expected = f"About {number(facts.expected(view, asked))} expected; "
    st.subheader(literal(behind.words(question.hemispheres)))
    shown = min(MOST, SHOWN + state.more)
    found = facts.photos(view, asked, limit=shown, likely=count > 0)
    if found.empty:
        st.caption("No photos. Click another bar, cell, line or point.")
        return
    dated = found["day"].notna().any()
    which = f"; {'the newest ' if dated else ''}{len(found)} are shown" if count > len(found) else ""
    likely = " at 50 % or more" if expected else ""
    outfits = f"{count:,} outfit{'' if count == 1 else 's'}{likely}{which}"
    if not count:
        outfits = "no outfit at 50 % or more; the likeliest are shown"
    st.caption(f"{expected}{outfits}. Click in the chart for others.")
    roots = () if choice.made_up else _roots()
    classes = [facts.class_of(name) for name in behind.classes]
    cards, remark = photo_cards(found, facts.whole, classes, partial(cache.archive_photo, roots) if roots else None)
    st.html(cards_html(cards))
    if not choice.made_up and not roots:
        remark = (
            "To see the photos beside their class maps, set GARMENTSCOPE_PHOTOS to the folder they were added from."
        )
    if choice.made_up:
        remark = "Made-up photos all show the same drawing."
    if remark:
        st.caption(literal(remark))
    with st.container(horizontal=True):
        if count > shown and shown < MOST:
            st.button("More photos", on_click=_more)
        names = partial(_names, lambda: facts.photos(view, asked, limit=NAMES, likely=count > 0))
        show_downloads("File names", "trends-names", names)


def _more() -> None:
    state.more += MORE


def _names(ask: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    return ask().drop(columns="class_map")


def _roots() -> tuple[Path, ...]:
    """Folders in which photos may lie."""
    settings = read_settings()
    data = (settings.data, settings.data / "photos") if settings.data else ()
    return tuple(place for place in (*settings.photos, *data) if place.is_dir())


def _export(question: Question, current: Sequence[tuple[str, Builder]], choice: Choice, line: str) -> None:
    """The report; tables and pictures are exported at their charts."""
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
        "One file: this view, then the first view of each other tab, with filters, sample sizes, method and tables. "
        "Data (CSV, Parquet) and picture (PNG, SVG) of a single chart are below the chart."
    )


page()
