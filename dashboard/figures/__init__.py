"""Pure functions: data in, plotly figure out, one file per page. Titles are Streamlit headings outside the figure."""

from __future__ import annotations

from dashboard.figures.comparison import agreement_figure, scores_figure
from dashboard.figures.confusion import confusion_figure
from dashboard.figures.dataset import flow_figure, flow_order, garments_figure, shares_figure, sizes_figure
from dashboard.figures.evaluation import (
    class_figure,
    condition_figure,
    cost_figure,
    curve_figure,
    reliability_figure,
)
from dashboard.figures.theme import Series, Theme, colours, series, template

__all__ = [
    "Series",
    "Theme",
    "agreement_figure",
    "class_figure",
    "colours",
    "condition_figure",
    "confusion_figure",
    "cost_figure",
    "curve_figure",
    "flow_figure",
    "flow_order",
    "garments_figure",
    "reliability_figure",
    "scores_figure",
    "series",
    "shares_figure",
    "sizes_figure",
    "template",
]
