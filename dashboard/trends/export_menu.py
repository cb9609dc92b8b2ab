"""The menu of what the Trends page exports: report, workbook and slides, all of the same sections."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import streamlit as st

from dashboard.evaluation.pictures import Card
from dashboard.shared.text import literal
from dashboard.trends.cache import template_fault
from dashboard.trends.contents import Contents
from dashboard.trends.deck import MOST_TEMPLATE_BYTES, TemplateError, read_template
from dashboard.trends.report import report_html
from dashboard.trends.slides import slides_pptx
from dashboard.trends.workbook import workbook_xlsx
from segmodels.settings import read_settings

__all__ = ["EXCEL", "POWERPOINT", "chosen_template", "show_exports"]

_UPLOADED = "trends-template"
EXCEL = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
"""Media type of a workbook."""

POWERPOINT = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
"""Media type of a presentation."""


def show_exports(
    collected: Callable[[], Contents],
    *,
    exported: Callable[..., object],
    standing_out: str,
    notes: Sequence[str],
    photos: Callable[[Contents], Mapping[str, Sequence[Card]]] | None,
) -> None:
    """Buttons for the report, the workbook and the slides; each is made when it is asked for.

    Args:
        collected: Function that builds the sections.
        exported: Function that writes into the audit log what is exported, with facts by name.
        standing_out: The page's sentence on what stands out.
        notes: Sentences on the limits of the counts.
        photos: Function that reads the photos behind the sections, by key; None where there are none.
    """
    with_photos = photos is not None and st.toggle("Photos in the report", key="trends-report-photos")

    def report() -> bytes:
        exported("report exported", photos=with_photos)
        contents = collected()
        cards = photos(contents) if photos and with_photos else {}
        return report_html(contents, standing_out=standing_out, notes=notes, photos=cards)

    def workbook() -> bytes:
        exported("tables exported")
        return workbook_xlsx(collected())

    def slides() -> bytes:
        exported("slides exported")
        return slides_pptx(collected(), template, name)

    row = st.container(horizontal=True)
    template, name = _choose_template()
    with row:
        buttons = (
            ("Report (HTML)", report, "trends.html", "text/html"),
            ("Tables (Excel)", workbook, "trends.xlsx", EXCEL),
            ("Slides (PowerPoint)", slides, "trends.pptx", POWERPOINT),
        )
        for label, make, file, kind in buttons:
            key = f"trends-export-{file.rpartition('.')[2]}"
            look: Literal["primary", "secondary"] = "primary" if make is report else "secondary"
            st.download_button(label, make, file, kind, key=key, on_click="ignore", type=look)
    st.caption(
        "This view, then the first view of each other tab, with filters, sample sizes and method. For a PDF, print "
        "the report in the browser: its tables open. Data (CSV, Parquet) and picture (PNG, SVG) of a single chart are "
        "below the chart."
    )


def chosen_template() -> tuple[bytes | None, str]:
    """The template that the visitor uploaded, else that of the setting, with its name; None where there is neither.

    Raises:
        TemplateError: If it cannot be used.
    """
    file = st.session_state.get(_UPLOADED)
    if file is not None:
        template, name = file.getvalue(), file.name
    elif set_file := read_settings().slides:
        template, name = read_template(set_file), set_file.name
    else:
        return None, ""
    if fault := template_fault(hashlib.sha256(template).hexdigest(), name, template):
        raise TemplateError(fault)
    return template, name


def _choose_template() -> tuple[bytes | None, str]:
    """The uploader of a template, and the chosen one; a sentence where that cannot be used."""
    st.file_uploader(
        "Your template for the slides (.pptx)",
        type=["pptx"],
        max_upload_size=MOST_TEMPLATE_BYTES // 1024**2,
        key=_UPLOADED,
        help="Its layouts and colours are used; its slides are left out. It stays in this session.",
    )
    try:
        return chosen_template()
    except TemplateError as error:
        st.error(literal(f"{error} Slides use the plain layout."))
        return None, ""
