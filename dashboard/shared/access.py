"""Who may see and change an archive.

Without sign-in everybody who reaches the server may see all archives. With sign-in an archive is its maker's alone,
until its maker shares it with some people or with all who sign in. What ships with the app, and what whoever keeps the
server names in `GARMENTSCOPE_ARCHIVE`, is for all who sign in.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass

from dashboard.archive.shelf import Shelved, list_archives, owner_of
from dashboard.shared import sign_in
from dashboard.shared.principal import Principal
from segmodels.archive.store import Archive, ArchiveError

__all__ = ["MOST_PEOPLE", "Sharing", "may_change", "may_read", "readable_archives", "share", "sharing_of"]

_FILE = ".sharing.json"
_MOST = 64 * 1024  # bytes of the file
MOST_PEOPLE = 200
"""Most people with whom an archive is shared by name."""


@dataclass(frozen=True)
class Sharing:
    """The people that an archive is shared with.

    Args:
        people: Names of people, as they sign in.
        everybody: Whether it is shared with all who sign in.
    """

    people: tuple[str, ...] = ()
    everybody: bool = False


def sharing_of(location: str) -> Sharing:
    """The people that an archive is shared with; nobody if it was not shared, or that cannot be read."""
    try:
        found = json.loads(Archive(location).place.read(_FILE, _MOST))
        return Sharing(tuple(map(str, found["people"])), found["everybody"] is True)
    except (ArchiveError, OSError, ValueError, KeyError, TypeError):
        return Sharing()


def share(location: str, people: Collection[str], *, everybody: bool = False) -> None:
    """Shares an archive, in place of how it was shared before.

    Args:
        location: Location of the archive.
        people: Names of people, as they sign in.
        everybody: Whether it is shared with all who sign in.

    Raises:
        ArchiveError: If there are too many names, or it cannot be written.
    """
    named = sorted({name.strip().lower() for name in people if name.strip()})
    if len(named) > MOST_PEOPLE:
        raise ArchiveError(f"An archive is shared with {MOST_PEOPLE} people at most by name. Share it with everybody.")
    place = Archive(location).place
    with place.lock():
        place.write(_FILE, json.dumps({"people": named, "everybody": everybody}).encode())


def may_read(who: Principal, archive: Shelved) -> bool:
    """Whether somebody may see an archive."""
    if not sign_in.is_needed() or who.is_keeper or archive.origin != "own":
        return True
    if who.owns(owner_of(archive.location)):
        return True
    sharing = sharing_of(archive.location)
    return bool(who.person) and (sharing.everybody or who.person in sharing.people)


def may_change(who: Principal, archive: Shelved) -> bool:
    """Whether somebody may add to an archive, remove from it and share it."""
    return archive.origin != "shipped" and who.controls(owner_of(archive.location))


def readable_archives(who: Principal) -> list[Shelved]:
    """The archives of `list_archives` that somebody may see."""
    return [each for each in list_archives() if may_read(who, each)]
