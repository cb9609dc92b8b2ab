"""Trends: what is worn, in which colours, with what, and how that changes over time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple
from urllib.parse import urlencode

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.components.charts import page_theme, show_chart, show_downloads
from dashboard.components.history import returned
from dashboard.components.links import show_links
from dashboard.evaluation.pictures import PictureError, cards_html
from dashboard.shared.audit import note
from dashboard.shared.guide import show_guide
from dashboard.shared.page_state import page_state
from dashboard.shared.palette_menu import show_palettes
from dashboard.shared.tables import headings
from dashboard.shared.text import literal
from dashboard.shared.visitor import principal
from dashboard.trends import cache
from dashboard.trends.alert_menu import show_alerts, show_new
from dashboard.trends.choice import MADE_UP, SHIPPED, Choice, choices, make_sample
from dashboard.trends.coloured import palette_section
from dashboard.trends.contents import collect
from dashboard.trends.export_menu import show_exports
from dashboard.trends.filter_bar import choose_filters
from dashboard.trends.gallery_dialog import Source, show_gallery
from dashboard.trends.insights import Insight, insights, joints
from dashboard.trends.methods import method
from dashboard.trends.moves import movement_section
from dashboard.trends.photos import photo_cards, section_photos
from dashboard.trends.reliability import Trust, of_kinds, read_trust
from dashboard.trends.saved import show_opened, show_views
from dashboard.trends.section import Builder, Question, Section, codes_of, number, swatches_html
from dashboard.trends.state import TrendsState
from dashboard.trends.tabs import TABS
from dashboard.trends.together import matrix_section
from dashboard.trends.worn import share_section
from segmodels.archive.behind import Behind, read_behind
from segmodels.archive.facts import Facts, View
from segmodels.archive.filters import evidence_line, removals, to_link
from segmodels.archive.outfits import NotEnoughError
from segmodels.archive.palette import real_palette
from segmodels.archive.store import ArchiveError, Version
from segmodels.archive.synthetic import MADE_UP_MODEL
from segmodels.archive.thumbnails import SMALL
from segmodels.settings import read_settings

state = page_state(TrendsState)

SHOWN, MORE, MOST = 6, 12, 60  # photos in a list
NAMES = 5000  # file names in a list to export
POLL_SECONDS = 0.1
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
    choice = _choose(place.archive)
    if choice is None:
        return
    try:
        version = _version(choice)
        divided = version is not None and cache.has_kinds(choice.location, version)
        facts = _facts(choice, version, kinds=_by_kind(divided)) if version else None
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
            _choose_kinds(facts)
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
                _show(question, build, choice, line, notes)
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


# --- Which archive ----------------------------------------------------------------------------------------------------


def _choose(place: DeltaGenerator) -> Choice | None:
    """The archive to open; None where there is only the made-up one and it was not asked for."""
    found = {each.name: each for each in choices(principal())}
    if state.archive not in found:
        linked = st.query_params.get("archive", "")
        first = next(iter(found))
        named = linked if linked in found else next((name for name in found if found[name].title == linked), "")
        if linked and not named:
            state.sentences = [f'Archive "{linked[:60]}" not found; showing "{found[first].title}".']
        state.archive = named or first
        if len(found) == 1 and not linked:
            state.archive = None
    if state.archive is None:
        st.markdown("No archive yet. Make one from your photos, and start the app with its folder:")
        st.code(
            "garmentscope archive ingest PHOTOS --archive FOLDER [--metadata CSV]\n"
            "GARMENTSCOPE_ARCHIVE=FOLDER make app",
            wrap_lines=True,
        )
        st.button("Open the made-up sample", on_click=state.open_archive, args=(MADE_UP,), type="primary")
        return None
    name = place.selectbox(
        "Archive",
        list(found),
        list(found).index(state.archive),
        format_func=lambda name: f"{found[name].title}{' (synthetic)' if found[name].made_up else ''}",
        key=f"trends-archive-{state.archive}",
        label_visibility="collapsed",
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
            literal(f"{choice.title} holds no photos yet. Add some:")
            + " `garmentscope archive ingest PHOTOS --archive FOLDER`"
        )
        return None
    names = {each.label: each for each in found}
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
        ["Class", "Kind"],
        default="Kind" if facts.division else "Class",
        format_func=lambda name: f"By {name.lower()}",
        label_visibility="collapsed",
        required=True,
        key=key,
        help="Kinds are finer than classes, as jeans are a kind of Pants. Classes without kinds stay as they are.",
        on_change=lambda: state.count_kinds(st.session_state[key] == "Kind"),
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


def _filters(facts: Facts) -> View:
    """The popover, and what is chosen in it."""
    with st.popover("Filters", key="trends-filters"):
        state.view = choose_filters(facts, state.view, f"trends-{{}}-{state.generation}")
    return state.view


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


def _show(question: Question, build: Builder, choice: Choice, line: str, notes: Sequence[str]) -> None:
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
                on_select=partial(_clicked, section.key),
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
        _photos(question.within(behind.within(section.view or question.view)), behind, choice, section, line)


def _clicked(key: str) -> None:
    """Takes over what was clicked in a figure."""
    points = st.session_state[key].selection.points
    if points and (found := points[0].get("customdata")):
        state.click(key, found if isinstance(found, str) else found[0])


def _pick(section: Section, behind: Behind, question: Question) -> None:
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


def _photos(question: Question, behind: Behind, choice: Choice, section: Section, line: str) -> None:
    """How many outfits meet the conditions, some of their photos, and a list of all file names."""
    facts, view, asked = question.facts, question.view, behind.conditions
    count = facts.count(view, asked)
    expected = ""
    if question.counting == "expected":
        expected = f"About {number(facts.expected(view, asked))} expected; "
    st.subheader(literal(behind.words(question.hemispheres)))
    _pick(section, behind, question)
    shown = min(MOST, SHOWN + state.more)
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
    read = _reader(choice)
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
        if count > shown and shown < MOST:
            st.button("More photos", on_click=_more)
        if st.button("Gallery and moodboard"):
            foot = f"{choice.title}: {behind.words(question.hemispheres)}. {line}. {date.today():%Y-%m-%d}."
            looks = partial(cache.looks, choice.location, facts.version)
            show_gallery(question, behind, Source(read or _no_picture, looks, foot, choice.name), state)
        names = partial(_names, lambda: facts.photos(view, asked, limit=NAMES, likely=count > 0))
        show_downloads("File names", "trends-names", names, choice.name)


def _more() -> None:
    state.more += MORE


def _names(ask: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    return ask().drop(columns="class_map")


def _reader(choice: Choice) -> Callable[[int, str, str], bytes] | None:
    """Function that gives the picture of a side, a file name and an id; None where no pictures are to be had."""
    roots = _roots()
    if choice.made_up or not (roots or cache.has_thumbnails(choice.location)):
        return None
    return partial(cache.archive_photo, choice.location, roots)


def _no_picture(side: int, file_name: str, identity: str) -> bytes:
    raise PictureError(f"No picture of {file_name} is kept. Add the photo again with thumbnails.")


def _roots() -> tuple[Path, ...]:
    """Folders in which photos may lie."""
    settings = read_settings()
    data = (settings.data, settings.data / "photos") if settings.data else ()
    return tuple(place for place in (*settings.photos, *data) if place.is_dir())


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
    read = _reader(choice)
    show_exports(
        collected,
        exported=partial(note, who=principal(), archive=choice.name),
        standing_out=standing_out,
        notes=notes,
        photos=partial(section_photos, plain, state.clicked, partial(read, SMALL), SHOWN) if read else None,
    )


page()
