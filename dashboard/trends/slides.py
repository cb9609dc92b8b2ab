"""The sections of the Trends page as slides, each titled with what it shows."""

from __future__ import annotations

from dashboard.trends.contents import Contents
from dashboard.trends.deck import add_titled_slide, open_deck, save_deck
from dashboard.trends.methods import method
from dashboard.trends.native_charts import add_figure

__all__ = ["slides_pptx"]


def slides_pptx(contents: Contents, template: bytes | None = None, name: str = "") -> bytes:
    """A presentation with a slide for each section: its finding, its chart, and a footnote with n, filters and date.

    Bars and lines are charts of PowerPoint that can be edited, matrices tables, networks shapes. The notes of a slide
    say how its numbers are computed.

    Args:
        contents: Sections to show.
        template: A `.pptx` with the team's layouts; None for a plain presentation.
        name: Name of the template's file, for messages.

    Raises:
        TemplateError: If the template cannot be used.
    """
    deck = open_deck(template, name)
    deck.core_properties.title = f"Garmentscope: {contents.archive}"
    for section in contents.sections:
        first, _, _ = section.caption.partition(". ")  # how many outfits
        footnote = f"{section.title}. {first}. {contents.source(section)}"
        slide, box = add_titled_slide(deck, section.finding, footnote, plain=template is None)
        add_figure(slide, section.figure, box)
        slide.notes_slide.notes_text_frame.text = (
            f"{section.title}\n{section.caption}\n\n{method(section.key).replace('*', '')}"
        )
    return save_deck(deck)
