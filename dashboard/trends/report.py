"""The current view as one self-contained HTML file, which prints well."""

from __future__ import annotations

import base64
import functools
import html
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from dashboard.evaluation.pictures import Card, cards_html
from dashboard.shared.tables import heading
from dashboard.trends.contents import Contents
from dashboard.trends.section import Section, swatches_html

__all__ = ["MOST_BYTES", "report_html"]

MOST_BYTES = 1_500_000
"""Most bytes of a report; photos are left out beyond it, and then sections."""

_HEADROOM = 12_000  # bytes for the tags around, and for the names of what is left out

_LARGE = 1000  # from here numbers are not rounded to four digits
_ROWS = 60  # rows of a table in the report at most
_PLOTLY = Path(__file__).parents[1] / "data" / "plotly-cartesian.min.js.gz"  # plotly.js-cartesian-dist-min, MIT
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
.swatches, .photo-cards { display: flex; flex-wrap: wrap; gap: .5rem 1rem; font-size: .8125rem; }
.swatches .entry { display: inline-flex; align-items: center; gap: .35rem; }
.swatches i { width: .85rem; height: .85rem; border: 1px solid #8a8984; display: inline-block; }
.photo-cards figure { margin: 0; width: 9rem; overflow-wrap: anywhere; }
.photo-cards figure > div { display: inline-block; }
.photo-cards img { max-width: 100%; max-height: 12rem; display: block; }
@page { margin: 15mm; }
@media print {
  body { margin: 0; max-width: none; padding: 0; font-size: 11pt; }
  h2, h2 + p { break-after: avoid; }
  .chart, figure, tr { break-inside: avoid; }
  .scroll { overflow: visible; }
  table { font-size: 7pt; }
  th, td { padding: 1pt 3pt; white-space: normal; }
}
"""
# Printing opens the tables, and draws the charts as wide as the paper.
_SCRIPT = """
(async () => {
  const packed = Uint8Array.from(atob(document.getElementById("plotly").textContent), c => c.charCodeAt(0));
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const script = document.createElement("script");
  script.textContent = await new Response(unpacked).text();
  document.head.append(script);
  const charts = [...document.querySelectorAll(".chart")];
  for (const chart of charts) {
    const { data, layout } = JSON.parse(chart.nextElementSibling.textContent);
    await Plotly.newPlot(chart, data, layout, { displaylogo: false, responsive: true });
  }
  addEventListener("beforeprint", () => {
    for (const each of document.querySelectorAll("details")) each.open = true;
    for (const chart of charts) Plotly.relayout(chart, { width: 660 });
  });
  addEventListener("afterprint", () => {
    for (const chart of charts) Plotly.relayout(chart, { width: null, autosize: true });
  });
})();
"""


def report_html(
    contents: Contents, *, standing_out: str = "", notes: Sequence[str] = (), photos: Mapping[str, Sequence[Card]] = {}
) -> bytes:
    """A report: what was counted, which filters, and each section with figure, method and table.

    It needs nothing beside it, and a browser prints it, or saves it as PDF, with its tables open.

    Args:
        contents: Sections of the report.
        standing_out: The page's sentence on what stands out.
        notes: Sentences on the limits of the counts.
        photos: Photos behind a section, by its key; those that make the report larger than `MOST_BYTES` are left out.
    """
    parts = [
        f"<h1>{html.escape(contents.archive)}</h1>",
        f"<p>{html.escape(standing_out)}</p>" * bool(standing_out),
        f"<p>{html.escape(contents.evidence)}.</p>",
        f"<p>Filters: {html.escape(contents.filtered)}.</p>",
        f'<p class="note">The unit is one person\'s outfit. {html.escape(contents.counted)} '
        f"Written {contents.written:%Y-%m-%d %H:%M}.</p>",
        *(f'<p class="note">{html.escape(note)}</p>' for note in notes if note),
    ]
    if contents.made_up:
        parts.insert(1, "<p><b>Synthetic data: the photos are made up.</b></p>")
    plotly = f'<script id="plotly" type="text/plain">{_plotly()}</script><script>{_SCRIPT}</script>'
    left = MOST_BYTES - sum(len(each.encode()) for each in (*parts, *contents.refused, plotly, _STYLE)) - _HEADROOM
    drawn: list[tuple[Section, str]] = []
    refused = list(contents.refused)
    for section in contents.sections:
        text = _section(section)
        if (size := len(text.encode())) > left:
            refused.append(f"{section.title}: it would make the report larger than {MOST_BYTES / 1e6:.1f} MB.")
            continue
        drawn.append((section, text))
        left -= size
    for section, text in drawn:
        shown, left = _photos(photos.get(section.key, ()), left)
        parts.append(f"<section>{text}</section>{shown}")
    parts += [f'<h2>Not shown</h2><p class="note">{html.escape(sentence)}</p>' for sentence in refused]
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    head += f"<title>{html.escape(contents.archive)}</title><style>{_STYLE}</style>"
    body = "\n".join([*filter(None, parts), plotly])
    return f"<!doctype html><html lang=en><head>{head}</head><body>{body}</body></html>".encode()


def _section(section: Section) -> str:
    """Heading, finding, figure, legend of colours, caption and table."""
    more = f'<p class="note">The first {_ROWS} of {len(section.table):,} rows.</p>' * (len(section.table) > _ROWS)
    figure = str(section.figure.to_json()).replace("</", "<\\/")
    return (
        f"<h2>{html.escape(section.title)}</h2><p>{html.escape(section.finding)}.</p>"
        f"{f'<p>{html.escape(section.scope)}</p>' if section.scope else ''}"
        f'<div class="chart" role="img" aria-label="{html.escape(section.words)}"></div>'
        f'<script type="application/json">{figure}</script>'
        f"{swatches_html(section.swatches) if section.swatches else ''}"
        f'<p class="note">{html.escape(section.caption)}</p>'
        f'<details><summary>Table</summary><div class="scroll">{_table(section.numbers)}</div>{more}</details>'
    )


def _photos(cards: Sequence[Card], left: int) -> tuple[str, int]:
    """HTML of the photos that fit into the bytes that are left, and how many bytes are left after them."""
    kept: list[Card] = []
    for card in cards:
        size = len(cards_html([card]).encode())
        if size > left:
            break
        kept.append(card)
        left -= size
    if not cards:
        return "", left
    short = f'<p class="note">{len(cards) - len(kept)} more photos would make the report too large.</p>'
    return cards_html(kept) * bool(kept) + short * (len(kept) < len(cards)), left


@functools.cache
def _plotly() -> str:
    return base64.b64encode(_PLOTLY.read_bytes()).decode("ascii")


def _table(table: pd.DataFrame) -> str:
    return str(
        table.head(_ROWS)
        .rename(columns=heading)
        .to_html(
            index=False,
            border=0,
            na_rep="–",
            float_format=lambda value: f"{value:,.1f}" if abs(value) >= _LARGE else f"{value:.4g}",
            escape=True,
        )
    )
