"""The gallery behind a number: pictures to sort and choose, and the moodboard of those chosen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from dashboard.evaluation.pictures import PictureError
from dashboard.shared import audit
from dashboard.shared.fonts import letters_without_font
from dashboard.shared.text import literal
from dashboard.shared.visitor import principal
from dashboard.trends import cache
from dashboard.trends.deck import TemplateError
from dashboard.trends.export_menu import chosen_template
from dashboard.trends.gallery import ORDERS, Order, Shown, ordered, pictures_of
from dashboard.trends.moodboard import MOST_PICTURES, Board, Tile, board_pdf, board_png, board_pptx
from dashboard.trends.section import Question
from dashboard.trends.state import TrendsState
from segmodels.archive.behind import Behind
from segmodels.archive.place import ArchiveError
from segmodels.archive.thumbnails import LARGE
from segmodels.sentences import listed

if TYPE_CHECKING:
    from segmodels.archive.similar import Looks

__all__ = ["Source", "show_gallery"]

_ON_PAGE = 24
_MOST = 2000  # outfits of a gallery
_SHOWN = 560  # pixels of the longer side of a picture on the page, for screens of two pixels to one
_POWERPOINT = "application/vnd.openxmlformats-officedocument.presentationml.presentation"


@dataclass(frozen=True)
class Source:
    """Where the pictures of a gallery come from.

    Args:
        read: Function that gives the picture of a side, a file name and an id, or raises `PictureError`; None where
            there are no photos, so that class maps are shown.
        looks: Function that gives what is compared of the outfits of the archive, or raises `ArchiveError`.
        note: Archive, filters and date, for the foot of a moodboard.
        archive: Name of the archive, for the audit log.
        remark: Sentence on why class maps are shown, if `read` is None.
    """

    read: Callable[[int, str, str], bytes] | None
    looks: Callable[[], Looks]
    note: str
    archive: str
    remark: str = ""


@st.dialog("Gallery", width="large")
def show_gallery(question: Question, behind: Behind, source: Source, state: TrendsState) -> None:
    """The outfits behind a number as pictures.

    Args:
        question: Question about the outfits.
        behind: Conditions on them.
        source: Pictures of the archive, and the note below a moodboard.
        state: State of the page, which keeps what is chosen.
    """
    words = behind.words(question.hemispheres)
    alike = state.alike if state.alike and state.alike[2] == words else None
    found = _alike(source, alike[0], alike[1]) if alike else _behind(question, behind, words)
    if alike:
        st.button(literal(f"Back to {words}"), on_click=state.look_like, args=(None,))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        order = ORDERS[0] if alike else _order(found)
        outlines = source.read is not None and st.toggle("Outlines", True, key="trends-gallery-outlines")
        pages = max(1, -(-len(found) // _ON_PAGE))
        page = 1
        if pages > 1:
            page = int(st.number_input(f"Page (of {pages:,})", 1, pages, key="trends-gallery-page", width=140))
    found = found if alike else ordered(found, order)
    classes = tuple(dict.fromkeys(question.facts.class_of(name) for name in (() if alike else behind.classes)))
    draw = partial(_drawn, question, classes, source, outlines)
    rows = found.iloc[(page - 1) * _ON_PAGE : page * _ON_PAGE].drop_duplicates("photo_id")
    lacking = 0
    with st.container(horizontal=True, key="trends-gallery"):
        for shown, person in zip(draw(rows, _SHOWN), rows["person"], strict=True):
            lacking += not shown.is_photo
            with st.container(gap="xxsmall"):
                if shown.picture:
                    st.image(shown.picture, width="stretch")
                st.checkbox(
                    literal(shown.caption),
                    shown.photo_id in state.picked,
                    key=f"trends-pick-{shown.photo_id}",
                    on_change=state.pick,
                    args=(shown.photo_id,),
                )
                st.button(
                    "Looks like this one",
                    type="tertiary",
                    key=f"trends-alike-{shown.photo_id}",
                    on_click=state.look_like,
                    args=((shown.photo_id, int(person), words),),
                )
    if source.read is None and source.remark:
        st.caption(literal(source.remark))
    elif lacking:
        st.caption(
            f"{lacking:,} of these have no thumbnail; their class map is shown. Add the photos again with "
            "thumbnails, or set GARMENTSCOPE_PHOTOS to their folder."
        )
    _moodboard(found, draw, words, source, state)


def _behind(question: Question, behind: Behind, words: str) -> pd.DataFrame:
    """The outfits behind a number, the most probable first."""
    facts, view, asked = question.facts, question.view, behind.conditions
    likely = facts.count(view, asked) > 0
    found = facts.matches(view, asked, limit=_MOST, likely=likely)
    more = f"; the first {_MOST:,} by presence are here" if len(found) == _MOST else ""
    outfits = f"{len(found):,} outfit{'' if len(found) == 1 else 's'}{more}"
    st.caption(literal(f"{words}: {outfits if likely else 'no outfit at 50% or more; the likeliest come first'}."))
    return found


def _alike(source: Source, photo_id: str, person: int) -> pd.DataFrame:
    """An outfit, and those nearest to it."""
    try:
        with st.spinner("Comparing outfits."):
            looks = source.looks()
            asked = looks.find(photo_id, person)
            found = looks.nearest(asked, _ON_PAGE - 1)
    except ArchiveError as error:
        st.error(literal(str(error)))
        return pd.DataFrame({"photo_id": [], "person": []})
    own = looks.outfits.iloc[[asked]]
    name = PurePosixPath(str(own["file_name"].iloc[0])).name
    st.caption(
        literal(
            f"{name}, and the {len(found):,} outfits of the whole archive nearest to it by {looks.likeness(asked)}. "
            f"Filters do not apply. {looks.caution(asked)}"
        )
    )
    return pd.concat([own, found], ignore_index=True)


def _order(found: pd.DataFrame) -> Order:
    """The order that is chosen, of those that the outfits have."""
    orders = [each for each in ORDERS if each != "Colour" or found["hex"].notna().any()]
    if not found["day"].notna().any():
        orders = [each for each in orders if each not in ("Newest", "Oldest")]
    chosen: Order = st.segmented_control(
        "Sort by", orders, default=orders[0], required=True, key="trends-gallery-order"
    )
    return chosen or orders[0]


def _drawn(
    question: Question, classes: tuple[str, ...], source: Source, outlines: bool, rows: pd.DataFrame, side: int
) -> Sequence[Shown]:
    facts = question.facts
    maps = facts.class_maps(rows["photo_id"].tolist())

    def draw(picture: bytes, class_map: bytes | None) -> bytes:
        return cache.drawn_picture(picture, class_map, str(facts.version), classes, outlines, side, facts.whole)

    return pictures_of(rows, maps, facts.whole, partial(source.read, LARGE) if source.read else _no_picture, draw)


def _no_picture(file_name: str, identity: str) -> bytes:
    raise PictureError(f"No picture of {file_name} is kept: it is drawn from its class map.")


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
        lacking = letters_without_font([title, note, *(tile.caption for tile in tiles)])
        state.board = Board(key, *files, board_pptx(tiles, title, note, template, name), lacking)
    board = state.board
    if board is None or board.key != key:
        return
    st.image(board.png)
    if board.lacking:
        st.caption(
            literal(
                f"No font on this server has {listed(board.lacking)}, so picture and PDF show boxes. The slide has all "
                "letters. Install fonts of that script on the server, such as Noto Sans CJK."
            )
        )
    with st.container(horizontal=True):
        for label, data, ending, kind in (
            ("Picture (PNG)", board.png, "png", "image/png"),
            ("PDF", board.pdf, "pdf", "application/pdf"),
            ("Slide (PowerPoint)", board.pptx, "pptx", _POWERPOINT),
        ):
            file = f"moodboard.{ending}"
            st.download_button(label, data, file, kind, key=f"trends-board-{ending}", on_click="ignore")
