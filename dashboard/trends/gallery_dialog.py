"""The gallery behind a number: pictures to sort and choose, and the moodboard of those chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import pandas as pd
import streamlit as st

from dashboard.shared import audit
from dashboard.shared.text import literal
from dashboard.shared.visitor import principal
from dashboard.trends import cache
from dashboard.trends.deck import TemplateError
from dashboard.trends.export_menu import chosen_template
from dashboard.trends.gallery import ORDERS, Shown, ordered, pictures_of
from dashboard.trends.moodboard import MOST_PICTURES, Board, Tile, board_pdf, board_png, board_pptx
from dashboard.trends.section import Question
from dashboard.trends.state import TrendsState
from segmodels.archive.behind import Behind
from segmodels.archive.thumbnails import LARGE

__all__ = ["Source", "show_gallery"]

_ON_PAGE = 24
_MOST = 2000  # outfits of a gallery
_SHOWN = 560  # pixels of the longer side of a picture on the page, for screens of two pixels to one
_POWERPOINT = "application/vnd.openxmlformats-officedocument.presentationml.presentation"


@dataclass(frozen=True)
class Source:
    """Where the pictures of a gallery come from.

    Args:
        read: Function that gives the picture of a side, a file name and an id, or raises `PictureError`.
        note: Archive, filters and date, for the foot of a moodboard.
        archive: Name of the archive, for the audit log.
    """

    read: Callable[[int, str, str], bytes]
    note: str
    archive: str


@st.dialog("Gallery", width="large")
def show_gallery(question: Question, behind: Behind, source: Source, state: TrendsState) -> None:
    """The outfits behind a number as pictures.

    Args:
        question: Question about the outfits.
        behind: Conditions on them.
        source: Pictures of the archive, and the note below a moodboard.
        state: State of the page, which keeps what is chosen.
    """
    facts, view, asked = question.facts, question.view, behind.conditions
    likely = facts.count(view, asked) > 0
    found = facts.matches(view, asked, limit=_MOST, likely=likely)
    words = behind.words(question.hemispheres)
    more = f"; the first {_MOST:,} by presence are here" if len(found) == _MOST else ""
    st.caption(literal(f"{words}: {len(found):,} outfit{'' if len(found) == 1 else 's'}{more}."))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        orders = [each for each in ORDERS if each != "Colour" or found["hex"].notna().any()]
        if not found["day"].notna().any():
            orders = [each for each in orders if each not in ("Newest", "Oldest")]
        order = st.segmented_control("Sort by", orders, default=orders[0], required=True, key="trends-gallery-order")
        outlines = st.toggle("Outlines", True, key="trends-gallery-outlines")
        pages = max(1, -(-len(found) // _ON_PAGE))
        page = 1
        if pages > 1:
            page = int(st.number_input(f"Page (of {pages:,})", 1, pages, key="trends-gallery-page", width=140))
    found = ordered(found, order or orders[0])
    draw = partial(_drawn, question, behind, source, outlines)
    rows = found.iloc[(page - 1) * _ON_PAGE : page * _ON_PAGE].drop_duplicates("photo_id")
    lacking = 0
    with st.container(horizontal=True, key="trends-gallery"):
        for shown in draw(rows, _SHOWN):
            lacking += not shown.is_photo
            with st.container():
                if shown.picture:
                    st.image(shown.picture, width="stretch")
                st.checkbox(
                    literal(shown.caption),
                    shown.photo_id in state.picked,
                    key=f"trends-pick-{shown.photo_id}",
                    on_change=state.pick,
                    args=(shown.photo_id,),
                )
    if lacking:
        st.caption(
            f"{lacking:,} of these have no thumbnail; their class map is shown. Add the photos again with "
            "thumbnails, or set GARMENTSCOPE_PHOTOS to their folder."
        )
    _moodboard(found, draw, words, source, state)


def _drawn(
    question: Question, behind: Behind, source: Source, outlines: bool, rows: pd.DataFrame, side: int
) -> Sequence[Shown]:
    facts = question.facts
    maps = facts.class_maps(rows["photo_id"].tolist())
    classes = tuple(dict.fromkeys(facts.class_of(name) for name in behind.classes))

    def draw(picture: bytes, class_map: bytes | None) -> bytes:
        return cache.drawn_picture(picture, class_map, str(facts.version), classes, outlines, side, facts.whole)

    return pictures_of(rows, maps, facts.whole, partial(source.read, LARGE), draw)


def _moodboard(
    found: pd.DataFrame,
    draw: Callable[[pd.DataFrame, int], Sequence[Shown]],
    words: str,
    source: Source,
    state: TrendsState,
) -> None:
    """Title and files of the moodboard of the chosen photos."""
    here = found.drop_duplicates("photo_id").set_index("photo_id", drop=False)
    picked = [each for each in state.picked if each in here.index]
    st.subheader("Moodboard")
    if not picked:
        st.caption("Choose photos above to arrange them with captions.")
        return
    kept = here.loc[picked[:MOST_PICTURES]]
    title = st.text_input("Title", words, key=f"trends-board-{words}", max_chars=120) or words
    left_out = f"; the first {MOST_PICTURES} are on the board" if len(picked) > MOST_PICTURES else ""
    st.caption(f"{len(picked):,} chosen{left_out}.")

    with st.container(horizontal=True):
        asked = st.button("Arrange", type="primary")
        st.button("Clear the choice", type="tertiary", on_click=state.picked.clear)
    note = source.note
    key = (title, note, tuple(kept.index))
    if asked:
        audit.note("moodboard made", principal(), archive=source.archive, photos=len(kept))
        tiles = [Tile(each.picture, each.caption) for each in draw(kept, LARGE) if each.picture]
        try:
            template, name = chosen_template()
        except TemplateError:  # the menu of exports says so
            template, name = None, ""
        files = board_png(tiles, title, note), board_pdf(tiles, title, note)
        state.board = Board(key, *files, board_pptx(tiles, title, note, template, name))
    board = state.board
    if board is None or board.key != key:
        return
    st.image(board.png)
    with st.container(horizontal=True):
        for label, data, ending, kind in (
            ("Picture (PNG)", board.png, "png", "image/png"),
            ("PDF", board.pdf, "pdf", "application/pdf"),
            ("Slide (PowerPoint)", board.pptx, "pptx", _POWERPOINT),
        ):
            file = f"moodboard.{ending}"
            st.download_button(label, data, file, kind, key=f"trends-board-{ending}", on_click="ignore")
