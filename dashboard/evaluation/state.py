"""What the Evaluation page keeps for a visitor."""

from __future__ import annotations

from dataclasses import dataclass, field

from dashboard.evaluation.confusion import Cell

__all__ = ["EvaluationState"]


@dataclass
class EvaluationState:
    """State of the Evaluation page.

    Args:
        link_read: Whether the models of the page's address have been taken over.
        models: Catalog names of the models in the charts.
        photo_set: Label of the photos on which scores are shown; None until the address was read.
        others_chosen: Whether other photos were chosen and are shown now for the first time.
        cell: Cell of the confusion matrix that was clicked or picked.
        sentences: Sentences on what was wrong in the address.
    """

    link_read: bool = False
    models: list[str] = field(default_factory=list)
    photo_set: str | None = None
    others_chosen: bool = False
    cell: Cell | None = None
    sentences: list[str] = field(default_factory=list)
