"""Presentations on the team's template, or plain ones: slides with a title, a place to draw in, and a footnote."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

from lxml import etree
from pptx import Presentation
from pptx.enum.text import MSO_AUTO_SIZE, PP_ALIGN
from pptx.exc import PythonPptxError
from pptx.presentation import Presentation as Deck
from pptx.slide import Slide, SlideLayout
from pptx.util import Emu, Inches, Pt

from dashboard.trends.native_charts import Box
from segmodels.errors import GarmentscopeError
from segmodels.files import ZIP_ERRORS

__all__ = [
    "MARGIN",
    "MOST_TEMPLATE_BYTES",
    "TemplateError",
    "add_titled_slide",
    "open_deck",
    "read_template",
    "save_deck",
]

MOST_TEMPLATE_BYTES = 50 * 1024 * 1024
"""Most bytes that a template may have."""

MARGIN = Inches(0.45)
"""Margin at the sides of a slide."""

_MOST_UNPACKED = 500 * 1024 * 1024  # bytes of the files in a template together
_DAMAGED = (*ZIP_ERRORS, OSError, PythonPptxError, LookupError, AttributeError, TypeError, etree.LxmlError)
_FOOT = Inches(0.75)
_TITLE_TYPES = (1, 3)  # placeholders for a title, and for a centred one
_SMALL_TYPES = (13, 15, 16)  # slide number, footer, date: they leave the space to the chart


class TemplateError(GarmentscopeError, ValueError):
    """A template that cannot be used; the message is for a person."""


def read_template(file: Path) -> bytes:
    """The bytes of a template.

    Raises:
        TemplateError: If it cannot be read or is too large.
    """
    try:
        if file.stat().st_size > MOST_TEMPLATE_BYTES:
            raise TemplateError(_too_large(file.name))
        return file.read_bytes()
    except OSError as error:
        raise TemplateError(f"The template {file} cannot be read ({error.strerror}). Check its path.") from None


def open_deck(template: bytes | None, name: str = "") -> Deck:
    """A presentation without slides.

    Args:
        template: A `.pptx` whose slides are left out; None for a plain presentation in 16:9.
        name: Name of the template's file, for messages.

    Raises:
        TemplateError: If the template is not a presentation, or has no layout with a title.
    """
    if template is None:
        deck = Presentation()
        deck.slide_width, deck.slide_height = Inches(13.333), Inches(7.5)
        return deck
    if len(template) > MOST_TEMPLATE_BYTES:
        raise TemplateError(_too_large(name))
    try:
        with zipfile.ZipFile(io.BytesIO(template)) as archive:
            if sum(each.file_size for each in archive.infolist()) > _MOST_UNPACKED:
                raise TemplateError(_too_large(name))
        deck = Presentation(io.BytesIO(template))
        slides: Any = deck.slides
        for each in list(slides._sldIdLst):  # python-pptx has no call for this
            deck.part.drop_rel(each.rId)
            slides._sldIdLst.remove(each)
    except _DAMAGED as error:
        if isinstance(error, TemplateError):
            raise
        raise TemplateError(
            f"{name or 'The template'} is not a PowerPoint presentation. Save it as .pptx, and choose it again."
        ) from None
    if _layout(deck) is None:
        raise TemplateError(f"{name or 'The template'} has no layout with a title. Add one, such as Title Only.")
    return deck


def add_titled_slide(deck: Deck, title: str, footnote: str, *, plain: bool) -> tuple[Slide, Box]:
    """Adds a slide with a title and a footnote.

    Args:
        deck: Presentation that `open_deck` gave.
        title: Text of the title.
        footnote: Text at the foot.
        plain: Whether the presentation is plain, so that the slide's own title is laid out here.

    Returns:
        The slide, and the place between title and footnote.
    """
    layout = _layout(deck)
    assert layout is not None
    slide = deck.slides.add_slide(layout)
    width, height = Emu(deck.slide_width or 0), Emu(deck.slide_height or 0)
    for shape in list(slide.placeholders):
        if shape.placeholder_format.type not in _TITLE_TYPES:
            shape._element.getparent().remove(shape._element)
    head = slide.shapes.title
    across = Emu(width - 2 * MARGIN)
    if plain:
        head.left, head.top, head.width, head.height = MARGIN, Inches(0.3), across, Inches(0.95)
    head.text_frame.text = title
    head.text_frame.word_wrap = True
    head.text_frame.auto_size = MSO_AUTO_SIZE.TEXT_TO_FIT_SHAPE
    if plain:
        head.text_frame.paragraphs[0].alignment = PP_ALIGN.LEFT
        run = head.text_frame.paragraphs[0].runs[0]
        run.font.size, run.font.name = Pt(28), "Georgia"
    top = Emu(head.top + head.height + Inches(0.1))
    if top > height // 2:  # a layout whose title is not at the top
        top = Inches(1.2)
    foot = Emu(_free_bottom(layout, height) - _FOOT)
    frame = slide.shapes.add_textbox(MARGIN, foot, across, _FOOT).text_frame
    frame.word_wrap = True
    frame.text = footnote
    for run in frame.paragraphs[0].runs:
        run.font.size = Pt(10)
    return slide, Box(MARGIN, top, across, Emu(foot - top))


def save_deck(deck: Deck) -> bytes:
    """The file of a presentation."""
    out = io.BytesIO()
    deck.save(out)
    return out.getvalue()


def _layout(deck: Deck) -> SlideLayout | None:
    """The layout with a title and the fewest other placeholders; that of a title slide only if there is no other."""
    found = []
    for place, layout in enumerate(deck.slide_layouts):
        types = [each.placeholder_format.type for each in layout.placeholders]
        if any(each in _TITLE_TYPES for each in types):
            others = [each for each in types if each not in (*_TITLE_TYPES, *_SMALL_TYPES)]
            found.append((3 in types, len(others), place, layout))
    return min(found, key=lambda each: each[:3])[3] if found else None


def _free_bottom(layout: SlideLayout, height: int) -> Emu:
    """Where the footer of a layout begins, or the bottom of its slides."""
    tops = [
        each.top
        for each in layout.placeholders
        if each.placeholder_format.type in _SMALL_TYPES and each.top and each.top > height * 0.8
    ]
    return Emu(min([*tops, height - Inches(0.1)]))


def _too_large(name: str) -> str:
    return (
        f"{name or 'The template'} is too large: a template may have {MOST_TEMPLATE_BYTES // 1024**2} MB. "
        "Remove the pictures on its slides, which are not needed."
    )
