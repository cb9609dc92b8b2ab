"""What an export of the Trends page holds: the same sections in every form, so that their numbers are the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from dashboard.trends.section import Builder, Question, Section
from segmodels.archive.outfits import NotEnoughError

__all__ = ["Contents", "collect"]


@dataclass(frozen=True)
class Contents:
    """What an export holds.

    Args:
        archive: Name of the archive.
        evidence: Text on the size of the view and the model that analysed it.
        filters: Filters, in words.
        counted: Sentences on what is counted.
        made_up: Whether the photos are synthetic.
        sections: Sections, on a light ground.
        refused: Sentence on each section that has too little to say.
        written: Time of the export.
    """

    archive: str
    evidence: str
    filters: tuple[str, ...]
    counted: str
    made_up: bool
    sections: tuple[Section, ...]
    refused: tuple[str, ...]
    written: datetime

    @property
    def filtered(self) -> str:
        """The filters as one text; `none` if there are none."""
        return "; ".join(self.filters) or "none"

    def source(self, section: Section) -> str:
        """Archive, size, model, filters and date of a section in one line."""
        synthetic = " (synthetic data)" if self.made_up else ""
        scope = section.scope or f"{self.evidence}. Filters: {self.filtered}."
        return f"{self.archive}{synthetic}: {scope} {self.written:%Y-%m-%d}."


def collect(
    question: Question,
    builders: Sequence[Builder],
    *,
    archive: str,
    evidence: str,
    filters: Sequence[str],
    made_up: bool,
) -> Contents:
    """Builds the sections of an export.

    Args:
        question: Question to ask each builder, on a light ground.
        builders: Builders of the sections, in order; one that has too little to say is named with what it needs.
        archive: Name of the archive.
        evidence: Text on the size of the view and the model that analysed it.
        filters: Filters, in words.
        made_up: Whether the photos are synthetic.
    """
    sections, refused = [], []
    for build in builders:
        try:
            sections.append(build(question))
        except NotEnoughError as error:
            refused.append(str(error))
    return Contents(
        archive,
        evidence,
        tuple(filters),
        question.counted,
        made_up,
        tuple(sections),
        tuple(refused),
        datetime.now(),
    )
