"""What the Models page keeps for a visitor."""

from __future__ import annotations

from dataclasses import dataclass, field

from dashboard.models.pulls import Pull

__all__ = ["ModelsState"]


@dataclass
class ModelsState:
    """State of the Models page; which model Segment uses is part of `SegmentState`.

    Args:
        pulls: Pulls that this visitor began or met, by catalog name.
    """

    pulls: dict[str, Pull] = field(default_factory=dict)
