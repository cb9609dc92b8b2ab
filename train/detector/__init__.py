"""Training and judging the person detector."""

from __future__ import annotations

__all__: list[str] = []
