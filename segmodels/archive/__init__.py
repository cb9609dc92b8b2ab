"""Thousands of photos as rows: Parquet parts in a folder, how they get there, how they are read, and what they say."""

from __future__ import annotations

__all__: list[str] = []
