"""Trends: what is worn, in which colours, with what, and how that changes over time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Literal, NamedTuple
from urllib.parse import urlencode

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.components.charts import page_theme
from dashboard.components.history import returned
from dashboard.components.links import show_links
from dashboard.shared.audit import note
from dashboard.shared.guide import show_guide
from dashboard.shared.page_state import page_state
from dashboard.shared.text import literal
from dashboard.shared.visitor import principal
from dashboard.trends import cache
from dashboard.trends.alert_menu import show_alerts, show_new
from dashboard.trends.chart_and_photos import SHOWN, picture_reader, show_section
from dashboard.trends.choice import MADE_UP, SHIPPED, Choice
from dashboard.trends.coloured import palette_section
from dashboard.trends.contents import collect
from dashboard.trends.export_menu import show_exports
from dashboard.trends.filter_bar import choose_filters
from dashboard.trends.insights import Insight, insights, joints
from dashboard.trends.moves import movement_section
from dashboard.trends.opening import choose_archive, choose_kinds, choose_version, counts_kinds, read_facts
from dashboard.trends.photos import section_photos
from dashboard.trends.reliability import Trust, of_kinds, read_trust
from dashboard.trends.saved import show_opened, show_views
from dashboard.trends.section import Builder, Question
from dashboard.trends.state import TrendsState
from dashboard.trends.tabs import TABS
from dashboard.trends.together import matrix_section
from dashboard.trends.worn import share_section
from segmodels.archive.facts import Facts, View
from segmodels.archive.filters import evidence_line, removals, to_link
from segmodels.archive.outfits import NotEnoughError
from segmodels.archive.store import ArchiveError, Version
from segmodels.archive.synthetic import MADE_UP_MODEL
from segmodels.archive.thumbnails import SMALL
from segmodels.settings import read_settings

state = page_state(TrendsState)

LEAST_SHOWN = 0.5  # outfits; below, the filter leaves none
GUIDE = (
    "Follow a link in the sentence at the top: it opens the chart behind it.",
    "*How it moves* shows which garments rise and fall, and a forecast.",
    "*With what* shows which garments are worn together more, or less, often than by chance.",
    "Click a bar, cell or point, or choose it in the list, to see the photos behind the number.",
    "*Filters* narrows everything to dates, tags, garments or colours; the address of the page keeps what you chose.",
    "*Views* keeps filters and chart under a name for your team; *Alerts* tells when a share passes a threshold.",
    "*Export* gives a report, tables for Excel and slides; *Download* below a chart gives its picture and its data.",
)


WIDTHS: tuple[int | Literal["content"], ...] = (220, "content", "content", "content", "content")


class Places(NamedTuple):
    """Where the parts of the page's first row stand."""

    archive: DeltaGenerator
    filters: DeltaGenerator
    team: DeltaGenerator
    help: DeltaGenerator
    export: DeltaGenerator


DEFAULTS: dict[str, Builder] = {
    TABS[0].name: share_section,
    TABS[1].name: movement_section,
    TABS[2].name: matrix_section,
    TABS[3].name: palette_section,
}


def page() -> None:
    """The whole page: the empty state, or what stands out, and the open tab with the photos behind it."""
    if returned():
        state.return_to_link()
    with st.container(horizontal=True, vertical_alignment="center", key="trends-head"):
        st.title("Trends", width="content")
        place = Places(*(st.container(width=width) for width in WIDTHS))
    with place.help:
        show_guide(GUIDE)
    choice = choose_archive(place.archive, state)
    if choice is None:
        return
    try:
        version = choose_version(choice, state)
        divided = version is not None and cache.has_kinds(choice.location, version)
        facts = read_facts(choice, version, kinds=counts_kinds(state, there=divided)) if version else None
    except ArchiveError as error:
        st.error(literal(str(error)))
        return
    if version is None or facts is None:
        return
    state.read_link(_link(), facts.taxonomy, facts.tags, facts.countings)
    if version.model == MADE_UP_MODEL:
        choice = replace(choice, made_up=True)
    if wrong := [tag or value for tag, value in read_settings().southern if not (tag and value)]:
        names = ", ".join(f'"{each}"' for each in wrong)
        st.warning(
            literal(f"GARMENTSCOPE_SOUTHERN has {names}, not written as tag=value: ignored. Correct the setting.")
        )
    with place.filters, st.container(horizontal=True, vertical_alignment="center"):
        if divided:
            choose_kinds(facts, state)
        view = _filters(facts)
    size = facts.size(view)
    line = evidence_line(size, version.model, version.revision, facts.near_duplicates(view))
    _what_is_set(view, line, made_up=choice.made_up)
    remarks = st.empty()
    if size.outfits >= LEAST_SHOWN:
        trust = Trust() if choice.made_up else read_trust(SHIPPED.parent / "reliability.json", version)
        if facts.division:
            trust = of_kinds(trust, facts.division)
        question = Question(facts, view, page_theme(), state.clicked[1], trust.share_errors)
        show_new(choice)
        show_opened(choice, question, state)
        standing_out = _insights(question, choice, version)
        notes = [
            *facts.left_out,
            _lacking(facts),
            trust.lacking if question.counting == "expected" else "",
        ]
        current = _tabs(question, trust, choice, line, notes)
        with place.export, st.popover("Export", type="primary"):
            _export(question, current, choice, line, standing_out, notes)
    else:
        _nothing(facts, view)
    if state.sentences:
        remarks.error("\n\n".join(map(literal, state.sentences)))
    _write_link(choice, version, replace(view, counting=facts.counting_of(view)))
    if size.outfits >= LEAST_SHOWN:
        with place.team, st.container(horizontal=True):
            show_views(choice, question, _link(), state)
            show_alerts(choice, question)


def _what_is_set(view: View, line: str, *, made_up: bool) -> None:
    """What the page rests on, and the filters in words."""
    text = f"Made-up data with known trends: {line}." if made_up else f"{line}."
    active = removals(view)
    if active:
        text = f"Filters: {'; '.join(each for each, _ in active)}. {text}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(literal(text), width="stretch")
        if active:
            st.button("Clear filters", type="tertiary", on_click=state.filter_by, args=(View(counting=view.counting),))


def _insights(question: Question, choice: Choice, version: Version) -> str:
    """The sentence on what stands out, which is returned too; each part opens the chart that shows it."""
    found = insights(question)
    if not question.facts.size(question.view).dated and not choice.made_up:
        found.append(Insight("no photo has a date, so rises and falls are unknown"))
        found.append(Insight("see the made-up sample for them", MADE_UP))
    parts: list[tuple[str, str]] = []
    places: dict[int, Insight] = {}
    for each, joint in zip(found, joints(found), strict=True):
        parts.append((joint, ""))
        places[len(parts)] = each
        text = each.text if parts[0][0] or len(parts) > 1 else each.text[:1].upper() + each.text[1:]
        parts.append((text, _address(choice, version, each, question.view) if each.tab else ""))
    if not found:
        return ""

    def follow(place: int) -> None:
        each = places[place]
        if each.tab == MADE_UP:
            state.open_archive(MADE_UP)
        else:
            state.follow(each.tab, each.link)

    show_links([*parts, (".", "")], "trends-insights", follow)
    return "".join(text for text, _ in parts) + "."


def _address(choice: Choice, version: Version, part: Insight, view: View) -> str:
    """Address of the chart that shows a part of the sentence."""
    if part.tab == MADE_UP:
        return "?" + urlencode({"archive": MADE_UP})
    link = {"archive": choice.name, "by": version.label, "tab": part.tab, **to_link(view), **part.link}
    link |= {"kinds": "yes"} if state.kinds else {}
    return "?" + urlencode(link, doseq=True)


def _tabs(
    question: Question, trust: Trust, choice: Choice, line: str, notes: Sequence[str]
) -> list[tuple[str, Builder]]:
    """The open tab; its name and what builds its view, if there is enough for it."""
    current: list[tuple[str, Builder]] = []
    tabs = st.tabs([tab.name for tab in TABS], default=_open_tab(), key=_tab_key(), on_change="rerun")
    for tab, container in zip(TABS, tabs, strict=True):
        if container.open:
            state.chosen.enter(tab.name)
            with container:
                try:
                    build = tab.choose(question, trust, state.chosen)
                except NotEnoughError as error:
                    st.info(literal(str(error)))
                    if tab.name == "How it moves" and not choice.made_up:
                        st.button("Open the made-up sample", on_click=state.open_archive, args=(MADE_UP,))
                    continue
                finally:
                    state.sentences += state.chosen.settle()
                current.append((tab.name, build))
                show_section(question, build, choice, line, notes, state)
    return current


# --- The link ---------------------------------------------------------------------------------------------------------


def _link() -> dict[str, list[str]]:
    """All values of each parameter of the page's address."""
    return {key: st.query_params.get_all(key) for key in st.query_params}


def _write_link(choice: Choice, version: Version, view: View) -> None:
    """Puts into the link what brings this view back, after the archive has grown too."""
    link: dict[str, str | list[str]] = {
        "archive": choice.name,
        "by": version.label,
        "tab": _open_tab(),
        **({"kinds": "yes"} if state.kinds else {}),
        **to_link(view),
        **state.chosen.link,
    }
    st.query_params.from_dict(link)


def _open_tab() -> str:
    """The tab that is open, or that the link names."""
    names = [tab.name for tab in TABS]
    tab = st.session_state.get(_tab_key()) or state.tab or st.query_params.get("tab", "")
    return tab if tab in names else names[0]


def _tab_key() -> str:
    return f"trends-tab-{state.link_number}"


# --- Filters ----------------------------------------------------------------------------------------------------------


def _filters(facts: Facts) -> View:
    """The popover, and what is chosen in it."""
    with st.popover("Filters", key="trends-filters"):
        state.view = choose_filters(facts, state.view, f"trends-{{}}-{state.generation}")
    return state.view


def _lacking(facts: Facts) -> str:
    """Why the counts are raw, and how to get expected ones; empty if the archive has them for all outfits."""
    again = "For expected counts, ingest the photos again with a model that has a calibration."
    if not facts.has_presence:
        return f"This archive holds raw counts: every garment that was outlined. {again}"
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


# --- Export -----------------------------------------------------------------------------------------------------------


def _export(
    question: Question,
    current: Sequence[tuple[str, Builder]],
    choice: Choice,
    line: str,
    standing_out: str,
    notes: Sequence[str],
) -> None:
    """Report, workbook and slides; data and picture of a chart are exported at the chart."""
    others = [build for name, build in DEFAULTS.items() if name not in dict(current)]
    plain = replace(question, theme="light", marked="")
    collected = partial(
        collect,
        plain,
        [build for _, build in current] + others,
        archive=choice.title,
        evidence=line,
        filters=[text for text, _ in removals(question.view)],
        made_up=choice.made_up,
    )
    read = picture_reader(choice)
    show_exports(
        collected,
        exported=partial(note, who=principal(), archive=choice.name),
        standing_out=standing_out,
        notes=notes,
        photos=partial(section_photos, plain, state.clicked, partial(read, SMALL), SHOWN) if read else None,
    )


page()
