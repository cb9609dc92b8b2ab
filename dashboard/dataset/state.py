"""What the Dataset page keeps for a visitor."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["DatasetState"]


@dataclass
class DatasetState:
    """State of the Dataset page.

    Args:
        source: Name of the data set that is shown; empty for Clothing Co-Parsing.
        photo: Id of the photo that is open over the page; empty before one was opened.
    """

    source: str = ""
    photo: str = ""
