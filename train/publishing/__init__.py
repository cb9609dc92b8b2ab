"""Making a checkpoint ready for others: model cards, descriptions, ensembles, the Hub."""

from __future__ import annotations

__all__: list[str] = []
