"""Judging networks and data sets: scores, other conditions, cross-validation, probes, reports."""

from __future__ import annotations

__all__: list[str] = []
