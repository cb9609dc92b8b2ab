"""What the Dataset page keeps for a visitor."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DatasetState"]


@dataclass
class DatasetState:
    """State of the Dataset page.

    Args:
        photo: Id of the photo that is open over the page; empty before one was opened.
    """

    photo: str = ""
