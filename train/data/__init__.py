"""Photos and ground truth for training: splits, the cache, and masks for flat-lays."""

from __future__ import annotations

__all__: list[str] = []
