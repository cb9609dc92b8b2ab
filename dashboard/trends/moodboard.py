"""Chosen photos as a moodboard: a grid with captions, as PNG, PDF or a slide."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw
from pptx.util import Emu, Pt

from dashboard.shared.fonts import write_line
from dashboard.trends.deck import MARGIN, add_titled_slide, open_deck, save_deck

__all__ = ["MOST_PICTURES", "Board", "Tile", "board_pdf", "board_png", "board_pptx"]

MOST_PICTURES = 24
"""Most pictures of a moodboard."""

_WIDTH, _EDGE, _GAP = 2000, 60, 24  # pixels of the picture, of its edge and between tiles
_INK, _MUTE, _GROUND = "#1B1B1D", "#5F5E5A", "#FFFFFF"
_TITLE, _CAPTION = 44, 22  # sizes of letters in pixels
_SHAPE = 1.35  # height of a tile's picture, in its widths


@dataclass(frozen=True)
class Board:
    """A moodboard that is ready to be taken.

    Args:
        key: What it was made of.
        png: The board as a picture.
        pdf: The board as a page.
        pptx: The board as a slide.
        lacking: Letters that the picture and the page show as boxes, as no font has them.
    """

    key: tuple[object, ...]
    png: bytes
    pdf: bytes
    pptx: bytes
    lacking: Sequence[str] = ()


@dataclass(frozen=True)
class Tile:
    """A picture of a moodboard.

    Args:
        picture: JPEG, PNG or WebP.
        caption: Text below it.
    """

    picture: bytes
    caption: str


def board_png(tiles: Sequence[Tile], title: str, note: str) -> bytes:
    """A moodboard as one picture of 2,000 pixels width; PNG.

    Args:
        tiles: Pictures in their order, at least one.
        title: Title of the board.
        note: Text at its foot.
    """
    out = io.BytesIO()
    _board(tiles, title, note).save(out, "PNG")
    return out.getvalue()


def board_pdf(tiles: Sequence[Tile], title: str, note: str) -> bytes:
    """A moodboard as a PDF of one page; arguments as in `board_png`."""
    out = io.BytesIO()
    _board(tiles, title, note).save(out, "PDF", resolution=170.0, title=title)
    return out.getvalue()


def board_pptx(tiles: Sequence[Tile], title: str, note: str, template: bytes | None = None, name: str = "") -> bytes:
    """A moodboard as a slide, with each picture and caption by itself.

    Args:
        tiles: Pictures in their order, at least one.
        title: Title of the slide.
        note: Text at its foot.
        template: A `.pptx` with the team's layouts; None for a plain slide.
        name: Name of the template's file, for messages.

    Raises:
        TemplateError: If the template cannot be used.
    """
    deck = open_deck(template, name)
    slide, box = add_titled_slide(deck, title, note, plain=template is None)
    rows, across = _grid(len(tiles), box.width / box.height)
    width, height = box.width / across, box.height / rows
    line = Pt(14)
    for place, tile in enumerate(tiles):
        left, top = box.left + place % across * width, box.top + place // across * height
        with Image.open(io.BytesIO(tile.picture)) as image:
            scale = min((width - MARGIN / 4) / image.width, (height - line - MARGIN / 8) / image.height)
            size = Emu(int(image.width * scale)), Emu(int(image.height * scale))
            picture = io.BytesIO()
            image.convert("RGB").save(picture, "JPEG", quality=90)  # PowerPoint reads no WebP
        shown = slide.shapes.add_picture(picture, Emu(int(left)), Emu(int(top)), *size)
        caption = "".join(each if each.isprintable() else " " for each in tile.caption)  # XML has no control letters
        shown.name = caption
        frame = slide.shapes.add_textbox(Emu(int(left)), Emu(int(top + size[1])), Emu(int(width)), line).text_frame
        frame.margin_top = frame.margin_bottom = frame.margin_left = 0
        frame.word_wrap = True
        frame.text = caption
        frame.paragraphs[0].runs[0].font.size = Pt(8)
    return save_deck(deck)


def _board(tiles: Sequence[Tile], title: str, note: str) -> Image.Image:
    rows, across = _grid(len(tiles), 1.5)
    width = (_WIDTH - 2 * _EDGE - (across - 1) * _GAP) // across
    height = int(width * _SHAPE)
    top = _EDGE + 2 * _TITLE
    step = height + 2 * _CAPTION + _GAP
    image = Image.new("RGB", (_WIDTH, top + rows * step + 2 * _CAPTION + _EDGE), _GROUND)
    draw = ImageDraw.Draw(image)
    write_line(draw, (_EDGE, _EDGE), title, _TITLE, _INK, _WIDTH - 2 * _EDGE)
    for place, tile in enumerate(tiles):
        left, above = _EDGE + place % across * (width + _GAP), top + place // across * step
        with Image.open(io.BytesIO(tile.picture)) as opened:
            picture = opened.convert("RGB")
        scale = min(width / picture.width, height / picture.height)
        size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
        image.paste(picture.resize(size, Image.Resampling.LANCZOS), (left, above + height - size[1]))
        write_line(draw, (left, above + height + 8), tile.caption, _CAPTION, _INK, width)
    write_line(draw, (_EDGE, image.height - _EDGE - _CAPTION), note, _CAPTION, _MUTE, _WIDTH - 2 * _EDGE)
    return image


def _grid(count: int, shape: float) -> tuple[int, int]:
    """Rows and columns of a board whose tiles are the largest on a place of a shape, width by height."""

    def size(across: int) -> float:
        return min(shape / across, 1 / -(-count // across) / _SHAPE)

    across = max(range(1, count + 1), key=size)
    return -(-count // across), across
