"""Checkpoints on the Hugging Face Hub: the client, its cache, and its errors."""

from __future__ import annotations

__all__: list[str] = []
