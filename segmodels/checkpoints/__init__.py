"""Trained networks on disk: what a checkpoint holds, and which ones there are."""

from __future__ import annotations

__all__: list[str] = []
