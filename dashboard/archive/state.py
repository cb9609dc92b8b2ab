"""What the Archive page keeps for a visitor."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from dashboard.archive.care import CareOutcome
from dashboard.archive.intake import Intake
from dashboard.archive.jobs import Job
from segmodels.archive.tagging import Retagged
from segmodels.checkpoints.catalog import DEFAULT_MODEL

__all__ = ["ArchiveState"]


@dataclass
class ArchiveState:
    """State of the Archive page.

    Args:
        job: Job that this visitor began, or found running.
        retagged: Archive whose photos got the tags and dates of a CSV alone, and what became of its rows; None before,
            and once photos are added.
        target: Name of the archive that was added to last; kept here, as the form is not drawn while a job runs.
        model: Catalog name of the model chosen in the form.
        proposed_for: Name of the archive for which a model was proposed last; empty for a new one.
        intake: Number of times that the uploader was emptied; part of its key, as a new key is an empty uploader.
        address: Address of a product feed that was read last; empty for none.
        fetched: Name and content of that feed; None if it could not be read.
        unread: Sentence on why it could not be read; empty if it could.
        arrived: Ids of the files in the uploader.
        arrivals: Number of times that files arrived in the uploader.
        refused: Sentences about the last files that are too large to be sent.
        failure: Sentence on why no job was begun; empty if one was.
        found: Photos and tables in the uploader, with the ids of their files; None before any arrived.
        encoding: Encoding that the visitor chose for the table; None for the likeliest.
        day_first: Order of day and month that the visitor chose for the table; None before a choice.
        outcomes: What became of the last action of the section Care, by the location of its archive.
    """

    job: Job | None = None
    retagged: tuple[str, Retagged] | None = None
    target: str = ""
    model: str = DEFAULT_MODEL
    proposed_for: str = ""
    intake: int = 0
    address: str = ""
    fetched: tuple[str, bytes] | None = None
    unread: str = ""
    arrived: list[str] = field(default_factory=list)
    arrivals: int = 0
    refused: Sequence[str] = ()
    failure: str = ""
    found: Intake | None = None
    encoding: str | None = None
    day_first: bool | None = None
    outcomes: dict[str, CareOutcome] = field(default_factory=dict)
