"""Models: every available checkpoint, to be pulled from the Hub, kept up to date and used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace

import streamlit as st

from dashboard.evaluation import cache as evaluation_cache
from dashboard.models import cache
from dashboard.models.listing import Listing
from dashboard.models.pulls import Pull, begin, progress_sentence, running
from dashboard.models.sheets import Sheet, describe, megabytes, read_card, scores_to_show, sheet_html
from dashboard.models.state import ModelsState
from dashboard.segment.state import SegmentState
from dashboard.shared import networks
from dashboard.shared.guide import show_guide
from dashboard.shared.page_state import page_state
from dashboard.shared.text import literal
from dashboard.shared.visitor import without_folders
from segmodels.checkpoints.catalog import DEFAULT_MODEL, Offer, match_offers

state = page_state(ModelsState)
segment = page_state(SegmentState)

GUIDE = (
    "**Use** makes a model the one that Segment runs.",
    "**Pull** fetches a model from the Hugging Face Hub; it is then on this machine and works offline.",
    "**Model card** says what a model was trained on, how it was judged, and what it is not for.",
    "*Evaluation* ranks the models, *Compare* puts them side by side on a photo.",
)
ACROSS = 3
FRESH_SECONDS = 120.0  # for which the Hub's answer is taken as it is
LOOK_SECONDS = 1.0  # from one look at what runs beside the page to the next


def page() -> None:
    """The whole page: what the Hub says, and the cards."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title("Models", width="stretch")
        show_guide(GUIDE)
    listing = cache.hub_listing()
    if listing:
        listing.keep_fresh(FRESH_SECONDS)
    pulls = state.pulls = state.pulls | running()
    live = {name for name, pull in pulls.items() if pull.live}  # before the sheets: one that ends now is still watched
    sheets = _sheets(listing)
    with st.container():  # one place, whatever stands in it: the cards below stay where they are
        _hub_line(listing, sheets)
    first_answer_awaited = listing is not None and not listing.answered
    offered = [sheet for sheet in sheets if not sheet.described]
    described = [sheet for sheet in sheets if sheet.described]
    _cards(offered, pulls, live, _filled(sheets), awaited=first_answer_awaited)
    if described:
        count = f"{len(described)} model{'' if len(described) == 1 else 's'}"
        with st.expander(f"{count} without weights: described, with scores and the command that trains them"):
            _cards(described, pulls, live, "")


def _cards(
    sheets: Sequence[Sheet], pulls: Mapping[str, Pull], live: Set[str], filled: str, *, awaited: bool = False
) -> None:
    """The cards, and a skeleton while the Hub's first answer is awaited."""
    slots = len(sheets) + awaited
    for start in range(0, slots, ACROSS):
        columns = st.columns(ACROSS)
        for number, column in enumerate(columns, start=start):
            with column:
                if number < len(sheets):
                    name = sheets[number].name
                    _card(sheets[number], pulls.get(name), watched=name in live, filled=filled)
                elif number < slots:
                    st.skeleton(height=360)


def _sheets(listing: Listing | None) -> list[Sheet]:
    """What each card says, by name: the default model first, those that are only described last."""
    offers = match_offers(listing.checkpoints if listing else ())
    offers.sort(key=lambda offer: (offer.place == "described", offer.name != DEFAULT_MODEL))
    models = {offer.name: evaluation_cache.scored_model(offer.name, offer.folder) for offer in offers if offer.folder}
    scores = scores_to_show(list(models.values()))
    parameters = listing.parameters if listing else {}
    return [
        describe(
            offer,
            models.get(offer.name),
            scores.get(offer.name),
            revision=networks.revision(offer.name) if _is_local(offer) else "",
            parameters=parameters.get(offer.name),
        )
        for offer in offers
    ]


def _is_local(offer: Offer) -> bool:
    return offer.here is not None and offer.here.source != "hub"


def _filled(sheets: Sequence[Sheet]) -> str:
    """Whose button is the filled one: what this visitor pulled last, else what Segment uses."""
    usable = [sheet.name for sheet in sheets if sheet.usable]
    pulled = [name for name, pull in state.pulls.items() if pull.phase == "done" and name in usable]
    return pulled[-1] if pulled else segment.model if segment.model in usable else next(iter(usable), "")


def _hub_line(listing: Listing | None, sheets: Sequence[Sheet]) -> None:
    """What the Hub has, why it says nothing, or how to name one."""
    here = sum(sheet.usable for sheet in sheets)
    count = "1 model is installed and works offline." if here == 1 else f"{here} models are installed and work offline."
    if listing is None:
        st.markdown(
            f"{count} To pull more here, set `GARMENTSCOPE_HUB` to an owner on the Hugging Face Hub and restart the "
            "app."
        )
        return
    if listing.asking:
        _wait(listing, count)
        return
    owner, there = literal(listing.owner), len(listing.checkpoints)
    if listing.problem:
        text = f"{literal(listing.problem)} `GARMENTSCOPE_HUB` is set to {owner}."
    elif there:
        text = f"{owner} has {there} model{'' if there == 1 else 's'} on the Hub."
    else:
        text = (
            f"{owner}, set by `GARMENTSCOPE_HUB`, has no models on the Hub yet; `python -m train push` publishes one."
        )
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"{count} {text}")
        st.button("Ask the Hub again", on_click=listing.ask)


@st.fragment(run_every=LOOK_SECONDS)
def _wait(listing: Listing, count: str) -> None:
    """A sign of life while the Hub is asked; the rest of the page can be used meanwhile."""
    if not listing.asking:
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"{count} Asking the Hub for the models of {literal(listing.owner)}, {listing.seconds:.0f} s.")
        st.button("Ask the Hub again", key="models-asking", disabled=True)


def _card(sheet: Sheet, pull: Pull | None, watched: bool, filled: str) -> None:
    """One checkpoint, what became of a pull, and its buttons."""
    with st.container(border=True, key=f"models-card-{sheet.name}", height="stretch"):
        shown = replace(sheet, address=without_folders(sheet.address), note=without_folders(sheet.note))
        st.html(sheet_html(shown, sheet.here and sheet.name == segment.model))
        if sheet.obstacle:
            st.error(literal(sheet.obstacle))
        if pull and watched:
            _watch(pull)
            return
        if pull and pull.error:
            st.error(literal(pull.error))
        st.space("stretch")
        with st.container(horizontal=True):
            kind = "primary" if sheet.name == filled else "secondary"
            if sheet.here:
                _use(sheet, kind)
            if sheet.pull:
                _pull(sheet)
            card = read_card(sheet.folder)
            if card and st.button("Model card", type="tertiary", key=f"models-read-{sheet.name}"):
                _read(sheet.name, card)


def _use(sheet: Sheet, kind: str) -> None:
    clicked = st.button("Use", type=kind, key=f"models-use-{sheet.name}", disabled=not sheet.usable)  # type: ignore[arg-type]
    if clicked:
        segment.model = sheet.name
        state.pulls = {name: pull for name, pull in state.pulls.items() if pull.live}
        networks.warm_up(sheet.name)
        st.switch_page("app_pages/segment.py")


def _pull(sheet: Sheet) -> None:
    label = f"{sheet.pull} {megabytes(sheet.bytes_to_pull)}"
    if st.button(label, key=f"models-pull-{sheet.name}"):
        state.pulls.pop(sheet.name, None)
        state.pulls[sheet.name] = begin(sheet.name)
        st.rerun()


@st.fragment(run_every=LOOK_SECONDS)
def _watch(pull: Pull) -> None:
    """How far a pull is."""
    if not pull.live:
        st.rerun()
    st.progress(pull.share, text=progress_sentence(pull.done, pull.total))
    st.caption("You can leave this page; the pull continues.")


def _read(name: str, card: str) -> None:
    @st.dialog(f"Model card of {literal(name)}", width="large")
    def show() -> None:
        with st.container(key="models-reading"):
            st.markdown(card)

    show()


page()
