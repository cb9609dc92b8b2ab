"""The current view as one self-contained HTML file."""

from __future__ import annotations

import html
from collections.abc import Sequence
from datetime import datetime

import pandas as pd
import plotly.io as pio

from dashboard.trends.section import Builder, Question
from segmodels.archive.outfits import NotEnoughError

__all__ = ["report_html"]

_LARGE = 1000  # from here numbers are not rounded to four digits
_ROWS = 60  # rows of a table in the report at most
_STYLE = """
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; color: #1b1b1d; background: #fff;
       font: 16px/1.5 "Source Sans 3", "Source Sans", Arial, sans-serif; }
h1, h2 { font-family: "Source Serif 4", Georgia, serif; font-weight: 400; }
h2 { margin-top: 3rem; border-top: 1px solid #d6d5d1; padding-top: 1rem; }
p.note { color: #5f5e5a; font-size: .875rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .8125rem; }
th, td { padding: .3rem .6rem; border-bottom: 1px solid #e4e3df; text-align: right; white-space: nowrap; }
td:first-child, th:first-child { text-align: left; }
"""


def report_html(
    question: Question,
    builders: Sequence[Builder],
    *,
    archive: str,
    evidence: str,
    filters: Sequence[str],
    made_up: bool,
) -> bytes:
    """A report: what was counted, which filters, and each section with figure, method and table.

    Args:
        question: Question to ask each builder, on a light ground.
        builders: Builders of the sections, in order; one that has too little to say is named with what it needs.
        archive: Name of the archive.
        evidence: Text on the size of the archive and the model that analysed it.
        filters: Filters, in words.
        made_up: Whether the photos are synthetic.
    """
    parts = [
        f"<h1>{html.escape(archive)}</h1>",
        f"<p>{html.escape(evidence)}.</p>",
        f"<p>Filters: {html.escape('; '.join(filters)) or 'none'}.</p>",
        f'<p class="note">The unit is one person\'s outfit. {html.escape(question.counted)} '
        f"Written {datetime.now():%Y-%m-%d %H:%M}.</p>",
    ]
    if made_up:
        parts.insert(1, "<p><b>Synthetic data: the photos are made up.</b></p>")
    script: bool | str = True
    for build in builders:
        try:
            section = build(question)
        except NotEnoughError as error:
            parts.append(f'<h2>Not shown</h2><p class="note">{html.escape(str(error))}</p>')
            continue
        drawn = pio.to_html(
            section.figure, full_html=False, include_plotlyjs=script, config={"displaylogo": False, "responsive": True}
        )
        script = False
        more = f'<p class="note">The first {_ROWS} of {len(section.table):,} rows.</p>' * (len(section.table) > _ROWS)
        parts.append(
            f'<h2>{html.escape(section.title)}</h2><p class="note">{html.escape(section.caption)}</p>{drawn}'
            f'<details><summary>Table</summary><div class="scroll">{_table(section.numbers)}</div>{more}</details>'
        )
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    head += f"<title>{html.escape(archive)}</title>"
    body = "\n".join(parts)
    return f"<!doctype html><html lang=en><head>{head}<style>{_STYLE}</style></head><body>{body}</body></html>".encode()


def _table(table: pd.DataFrame) -> str:
    return str(
        table.head(_ROWS).to_html(
            index=False,
            border=0,
            na_rep="–",
            float_format=lambda value: f"{value:,.1f}" if abs(value) >= _LARGE else f"{value:.4g}",
            escape=True,
        )
    )
