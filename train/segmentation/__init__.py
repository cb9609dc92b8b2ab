"""Training a segmentation network: crops, losses, the loop, pseudo-labels and distillation."""

from __future__ import annotations

__all__: list[str] = []
