"""One archive added to another, with its saved views and its alerts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from segmodels.archive.alerts import alert_sentences, copy_rules
from segmodels.archive.care import add_rows, must_exist
from segmodels.archive.changes import changing
from segmodels.archive.log import LogEntry
from segmodels.archive.place import ArchiveError, Place
from segmodels.archive.store import Archive
from segmodels.archive.views import copy_views
from segmodels.archive.webhook import read_webhook
from segmodels.sentences import listed

__all__ = ["Merged", "merge"]

_NAMED = 3


@dataclass(frozen=True)
class Merged:
    """What a merge has done.

    Args:
        rows: Number of rows that were added.
        views: Number of saved views that were added.
        alerts: Rules of alerts that were added, in words.
        notes: Sentences on the views and alerts, and on alerts that were raised.
    """

    rows: int
    views: int = 0
    alerts: Sequence[str] = ()
    notes: Sequence[str] = ()

    def __str__(self) -> str:
        return " ".join([f"{self.rows:,} {'row was' if self.rows == 1 else 'rows were'} added.", *self.notes])


def merge(archive: Archive, other: Archive, by: str = "") -> Merged:
    """Adds the rows of another archive, which stays as it is; a photo that is there already keeps its tags and date.

    Then the alerts of the archive are checked, as after an ingest. Saved views of the other are added where their names
    are free, and its alerts where there are none such; those that are met already wait for the next time. Its webhook
    is not: who owns an archive decides where its alerts go. If the process is killed after the rows were added, merge
    again to add the rest.

    Args:
        archive: Archive that gets the rows; it need not be there yet.
        other: Archive that has them.
        by: Who does it, for the log.

    Raises:
        ArchiveError: If the other archive is empty or the same one, or one of them cannot be read or written; then
            nothing has changed.
    """
    if _same(archive, other):
        raise ArchiveError("An archive cannot be merged with itself. Choose another one.")
    must_exist(other)
    rows = add_rows(archive, other, LogEntry("merge", by, {"from": other.place.name}))
    notes = alert_sentences(archive) if rows else []
    views = 0
    alerts: list[str] = []
    try:
        with changing(archive.place):
            views = copy_views(other.place, archive.place)
        if views:
            notes.append(f"{'1 saved view' if views == 1 else f'{views:,} saved views'} came along.")
        alerts = [rule.words for rule in copy_rules(other.place, archive, by)]
        if alerts:
            notes.append(_came_along(alerts, archive.place, other.place))
    except ArchiveError as error:
        notes.append(f"The photos are merged, but not all views and alerts of {other.place.name}: {error}")
    return Merged(rows, views, alerts, notes)


def _came_along(alerts: Sequence[str], place: Place, other: Place) -> str:
    """What becomes of alerts that were copied, and where they go."""
    named = listed([f'"{words}"' for words in alerts], _NAMED)
    many = "1 alert" if len(alerts) == 1 else f"{len(alerts):,} alerts"
    own, its = read_webhook(place), read_webhook(other)
    where = f"They are sent to {own.host}, as set here." if own else "They are sent nowhere."
    lost = f" The address set for {other.name} was not copied: set one here if you want it." if its and not own else ""
    return f"{many} came along: {named}. {where}{lost}"


def _same(one: Archive, other: Archive) -> bool:
    if one.place.local and other.place.local:
        return one.place.local.resolve() == other.place.local.resolve()
    return one.place.location.rstrip("/") == other.place.location.rstrip("/")
