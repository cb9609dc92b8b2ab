"""The table of the Compare page: what each model found, what it costs, and its scores."""

from __future__ import annotations

import html
from collections.abc import Iterable

from dashboard.compare.agreement import Comparison, Finding

__all__ = ["score_text", "table_html"]


def table_html(comparison: Comparison) -> str:
    """The table of a comparison, as HTML: one row per model, which the style sheet makes one card per model on a phone.

    Args:
        comparison: Comparison to show; it has columns of scores if it has a ground truth.
    """
    scores = comparison.scores
    heads = ["Model", "Garments, share of photo"]
    heads += ["Mean IoU", "Mean F1", "Accuracy"] if scores else []
    heads += ["Time", "Parameters", "Size"]
    rows = []
    for finding in comparison.findings:
        ordered = sorted(finding.shares.items(), key=lambda item: -item[1])
        cells = [_entries(comparison, finding, ordered) or "No garment found"]
        if scores:
            cells += [score_text(scores[finding.model][name]) for name in ("mean_iou", "mean_f1", "pixel_accuracy")]
        cells += [f"{finding.seconds:.2f} s", f"{finding.parameters / 1e6:.1f} M", f"{finding.size / 1e6:.1f} MB"]
        body = "".join(
            f'<td class="{"found" if place == 0 else "number"}" data-label="{head}">{cell}</td>'
            for place, (head, cell) in enumerate(zip(heads[1:], cells, strict=True))
        )
        rows.append(f'<tr><th scope="row">{html.escape(finding.model)}</th>{body}</tr>')
    head = "".join(
        f'<th scope="col" class="{"found" if place < 2 else "number"}">{each}</th>' for place, each in enumerate(heads)
    )
    return f'<table class="models"><thead><tr>{head}</tr></thead><tbody>{"".join(rows)}</tbody></table>'


def score_text(value: float | None) -> str:
    """A score with three decimals; a dash if there is none."""
    return "–" if value is None else f"{value:.3f}"


def _entries(comparison: Comparison, finding: Finding, shares: Iterable[tuple[str, float]]) -> str:
    return "".join(
        f'<span class="entry"><i style="background:{comparison.colour_of(finding, name)}"></i>{html.escape(name)} '
        f"{_per_cent(share)}</span>"
        for name, share in shares
    )


def _per_cent(share: float) -> str:
    return "&lt;1%" if 0 < share < 0.005 else f"{share:.0%}"
