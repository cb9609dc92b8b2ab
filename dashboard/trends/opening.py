"""Which archive the page Trends shows, whose results, and by class or by kind; and the outfits as they are read."""

from __future__ import annotations

import time

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from dashboard.shared.text import literal
from dashboard.shared.visitor import principal
from dashboard.trends import cache
from dashboard.trends.choice import MADE_UP, Choice, choices, make_sample
from dashboard.trends.state import TrendsState
from segmodels.archive.facts import Facts
from segmodels.archive.store import Version

__all__ = ["choose_archive", "choose_kinds", "choose_version", "counts_kinds", "read_facts"]

_POLL_SECONDS = 0.1


def choose_archive(place: DeltaGenerator, state: TrendsState) -> Choice | None:
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


def choose_version(choice: Choice, state: TrendsState) -> Version | None:
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


def counts_kinds(state: TrendsState, *, there: bool) -> bool:
    """Whether kinds are counted; the address says so first.

    Args:
        state: State of the page.
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


def choose_kinds(facts: Facts, state: TrendsState) -> None:
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


def read_facts(choice: Choice, version: Version, *, kinds: bool = False) -> Facts:
    """The outfits, with a bar while they are read.

    Raises:
        ArchiveError: If the archive cannot be read.
    """
    future, steps = cache.facts(choice.location, version, kinds=kinds)
    if not future.done():
        bar = st.progress(0.0, "Opening the archive.")
        while not future.done():
            bar.progress(min(0.9, (1 + len(steps)) / 3), (steps or ["Opening the archive."])[-1])
            time.sleep(_POLL_SECONDS)
        bar.empty()
    return future.result()
