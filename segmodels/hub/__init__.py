"""Checkpoints on the Hugging Face Hub: the client, its cache, and what goes wrong there."""

from __future__ import annotations

__all__: list[str] = []
