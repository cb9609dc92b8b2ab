"""Scores: confusion matrices, the photos behind them, intervals, and what the papers print. Imports no network."""

from __future__ import annotations

__all__: list[str] = []
