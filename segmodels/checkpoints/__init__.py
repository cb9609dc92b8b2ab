"""Trained networks on disk: the contents of a checkpoint, and the catalog of checkpoints."""

from __future__ import annotations

__all__: list[str] = []
