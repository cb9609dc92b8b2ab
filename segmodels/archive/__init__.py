"""Archives of photos as rows in Parquet parts: ingesting, reading and evaluating them."""

from __future__ import annotations

__all__: list[str] = []
