"""Saved views of an archive: a name, a note, and the choices of a link of Trends, for all who may see the archive.

    DIR/views/<id>.json    one file for each view

A view keeps filters, chart and what was clicked, and what was counted when it was saved, so that it can say what has
changed since. The name of the archive is no part of it, so that it stays valid when the archive is renamed.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from segmodels.archive.behind import read_behind
from segmodels.archive.changes import VIEWS, changing, note, visible_parts
from segmodels.archive.facts import Conditions, Facts, View
from segmodels.archive.filters import from_link
from segmodels.archive.intervals import wilson
from segmodels.archive.log import LogEntry
from segmodels.archive.place import ArchiveError, Place
from segmodels.files import MOST_JSON_BYTES, parse_json

__all__ = [
    "MOST_NAME",
    "MOST_NOTE",
    "Measured",
    "SavedView",
    "copy_views",
    "delete_view",
    "find_view",
    "link_of",
    "list_views",
    "measure",
    "save_view",
    "since_then",
]

MOST_NAME = 80
"""Most characters of the name of a view."""

MOST_NOTE = 1000
"""Most characters of a note."""

_MOST_VIEWS = 200
_MOST_LINK = 8000  # characters
_LEFT_OUT = ("archive", "saved")  # parameters that are no part of a view


@dataclass(frozen=True)
class Measured:
    """What a view shows in numbers.

    Args:
        outfits: Number of outfits that the filters leave.
        subject: What the photos beside the chart show, such as `Coat`; empty if nothing was chosen.
        share: Share of the outfits with that, 0 to 1; None without any outfit.
        low: Lower end of its 95 % interval.
        high: Upper end of that interval.
    """

    outfits: float
    subject: str = ""
    share: float | None = None
    low: float = 0.0
    high: float = 1.0

    def to_json(self) -> dict[str, Any]:
        """The numbers for a file."""
        return {
            "outfits": self.outfits,
            "subject": self.subject,
            "share": self.share,
            "low": self.low,
            "high": self.high,
        }

    def __str__(self) -> str:
        return _numbers(self)


@dataclass(frozen=True)
class SavedView:
    """A saved view.

    Args:
        name: Name of the view.
        link: All values of each parameter of its link, without the archive.
        note: Text on what the view is for.
        by: Who saved it; empty if that is not known.
        at: Time at which it was saved, UTC.
        measured: What was counted then; None if nothing was.
    """

    name: str
    link: Mapping[str, Sequence[str]]
    note: str = ""
    by: str = ""
    at: str = ""
    measured: Measured | None = None

    @property
    def query(self) -> str:
        """The link as the part of an address after `?`, without the archive."""
        return urlencode(self.link, doseq=True)

    @property
    def day(self) -> str:
        """Day on which it was saved, such as `3 May 2026`."""
        try:
            moment = datetime.fromisoformat(self.at)
        except ValueError:
            return self.at[:10]
        return f"{moment.day} {moment:%B %Y}"

    def to_json(self) -> dict[str, Any]:
        """The content of its file."""
        return {
            "name": self.name,
            "note": self.note,
            "by": self.by,
            "at": self.at,
            "link": {key: list(values) for key, values in self.link.items()},
            "measured": self.measured.to_json() if self.measured else None,
        }

    @classmethod
    def from_json(cls, value: Any) -> SavedView:
        """The view of a file.

        Raises:
            ValueError: If it is none.
        """
        try:
            texts = {key: value[key] for key in ("name", "note", "by", "at")}
            link = {str(key): list(map(str, values)) for key, values in value["link"].items()}
            counted = Measured(**value["measured"]) if value["measured"] else None
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("it is no saved view") from error
        if not all(isinstance(each, str) for each in texts.values()) or not texts["name"]:
            raise ValueError("it is no saved view")
        return cls(link=link, measured=counted, **texts)


def list_views(place: Place) -> list[SavedView]:
    """The saved views of an archive, by name; damaged ones are left out.

    Raises:
        ArchiveError: If they cannot be listed.
    """
    found = []
    for name in place.files(VIEWS):
        with suppress(OSError, ValueError):
            found.append(SavedView.from_json(parse_json(place.read(name, MOST_JSON_BYTES).decode("utf-8"))))
    return sorted(found, key=lambda view: (view.name.casefold(), view.name))


def find_view(place: Place, name: str) -> SavedView:
    """The saved view of a name, whose upper and lower case are the same.

    Raises:
        ArchiveError: If there is none.
    """
    views = list_views(place)
    found = next((view for view in views if _id(view.name) == _id(name)), None)
    if found is None:
        there = ", ".join(f'"{view.name}"' for view in views[:5]) or "none"
        raise ArchiveError(f'{place.name} has no saved view "{name[:MOST_NAME]}". There is {there}.')
    return found


def save_view(place: Place, view: SavedView, by: str = "") -> SavedView:
    """Saves a view, in place of one of the same name.

    Args:
        place: Place of the archive.
        view: The view; time and author are set here.
        by: Who does it, also for the log.

    Returns:
        The view as it was saved.

    Raises:
        ArchiveError: If the name or the note cannot be used, there are too many views, the archive is not there, or
            it cannot be written.
    """
    name = " ".join(unicodedata.normalize("NFC", view.name).split())
    if not name or len(name) > MOST_NAME or not name.isprintable():
        raise ArchiveError(f"A view needs a name of 1 to {MOST_NAME} characters. Nothing was saved.")
    if len(view.note) > MOST_NOTE:
        raise ArchiveError(f"The note has {len(view.note):,} characters; the most are {MOST_NOTE:,}. Shorten it.")
    link = {key: list(values) for key, values in view.link.items() if key not in _LEFT_OUT}
    if len(urlencode(link, doseq=True)) > _MOST_LINK:
        raise ArchiveError("The view has too many choices to be saved. Remove some values of its filters.")
    saved = replace(view, name=name, note=view.note.strip(), link=link, by=by, at=_now())
    with changing(place):
        if not visible_parts(place):
            raise ArchiveError(f"{place.location} holds no archive yet. Check the path.")
        file = _file(name)
        there = place.files(VIEWS)
        if file not in there and len(there) >= _MOST_VIEWS:
            raise ArchiveError(f"{place.name} has {_MOST_VIEWS} saved views, the most there can be. Delete one first.")
        place.write(file, _as_bytes(saved))
        note(place, LogEntry("save view", by, {"view": name}))
    return saved


def delete_view(place: Place, name: str, by: str = "") -> SavedView:
    """Deletes a saved view.

    Args:
        place: Place of the archive.
        name: Name of the view.
        by: Who does it, for the log.

    Raises:
        ArchiveError: If there is none of this name, or it cannot be removed.
    """
    find_view(place, name)
    with changing(place):
        view = find_view(place, name)
        place.remove(_file(view.name))
        note(place, LogEntry("delete view", by, {"view": view.name}))
    return view


def copy_views(source: Place, target: Place) -> int:
    """Copies the saved views of an archive to another, whose own stay; the lock of the other is held.

    Returns:
        Number of views that were copied.

    Raises:
        ArchiveError: If they cannot be read or written.
    """
    there = set(target.files(VIEWS))
    missing = [view for view in list_views(source) if _file(view.name) not in there]
    missing = missing[: max(0, _MOST_VIEWS - len(there))]
    for view in missing:
        target.write(_file(view.name), _as_bytes(view))
    return len(missing)


def link_of(address: str) -> dict[str, list[str]]:
    """All values of each parameter of an address of Trends, without the archive.

    Args:
        address: The whole address, or the part after `?`.

    Raises:
        ArchiveError: If it has no parameters.
    """
    try:
        query = urlsplit(address).query or address.partition("?")[2] or address
        found = parse_qs(query, strict_parsing=True, max_num_fields=500)
    except ValueError:
        raise ArchiveError(
            "This is no address of a view. Open the view on the Trends page and copy the address from the browser."
        ) from None
    return {key: values for key, values in found.items() if key not in _LEFT_OUT}


def measure(
    facts: Facts, link: Mapping[str, Sequence[str]], errors: Mapping[str, float], view: View | None = None
) -> Measured:
    """What a link of Trends shows in numbers: how many outfits, and the share of what was clicked.

    Args:
        facts: Facts of the archive.
        link: All values of each parameter.
        errors: Standard errors of a share that stem from the calibration, by class.
        view: View of the filters, if it is known already.
    """
    if view is None:
        view, _ = from_link(link, facts.taxonomy, facts.tags, facts.countings)
    outfits = facts.size(view).outfits
    code = (link.get("photos") or [""])[-1].partition(":")[2]
    behind = read_behind(code, facts.taxonomy)
    if behind is None:
        return Measured(outfits)
    view = behind.within(view)
    asked = behind.conditions
    whole = facts.expected(view, Conditions(period=asked.period, start=asked.start))
    if not whole:
        return Measured(outfits, behind.words())
    count = min(facts.expected(view, asked), whole)
    alone = behind.worn[0] if len(behind.worn) == 1 and not (behind.coloured or behind.not_worn) else ""
    error = errors.get(alone, 0.0) if facts.counting_of(view) == "expected" else 0.0
    low, high = wilson([count], [whole], error)
    words = behind.words(facts.hemispheres(view))
    return Measured(outfits, words, count / whole, float(low[0]), float(high[0]))


def since_then(view: SavedView, now: Measured) -> str:
    """What a view counted when it was saved, and what it counts now, as a sentence.

    Args:
        view: The view.
        now: What it counts now.
    """
    who = f" by {view.by}" if view.by else ""
    if view.measured is None:
        return f"Saved on {view.day}{who}; now {_numbers(now)}."
    if view.measured == now:
        return f"Saved on {view.day}{who} with {_numbers(now)}; nothing has changed since."
    return f"Saved on {view.day}{who} with {_numbers(view.measured)}; now {_numbers(now, view.measured.subject)}."


def _numbers(measured: Measured, known: str = "") -> str:
    """Numbers in words; the subject is left out if it is the known one."""
    text = f"{measured.outfits:,.0f} outfit{'' if round(measured.outfits) == 1 else 's'}"
    if measured.subject and measured.share is not None:
        named = "" if measured.subject == known else f"{measured.subject} "
        text += f", {named}{measured.share:.1%}"
        if not known:
            text += f" ({measured.low:.1%} to {measured.high:.1%})"
    return text


def _now() -> str:
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"


def _id(name: str) -> str:
    plain = " ".join(unicodedata.normalize("NFC", name).split()).casefold()
    return hashlib.sha256(plain.encode()).hexdigest()[:16]


def _file(name: str) -> str:
    return f"{VIEWS}/{_id(name)}.json"


def _as_bytes(view: SavedView) -> bytes:
    return (json.dumps(view.to_json(), indent=1, ensure_ascii=False) + "\n").encode()
