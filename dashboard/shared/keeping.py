"""Photos and results that outlive a reload: kept in the server's memory, and found again by the page's link.

Streamlit forgets a session when its page is loaded again, or a phone has slept for some minutes. So a page with photos
puts its state into a store of the server under an id that nobody can guess, and writes the id into its address. The
same visitor gets the same state at that address. Another one gets a copy of his own, or nothing where visitors sign
in, so that neither sees or forgets what the other does next. A state leaves the store `kept_minutes` after the last
look at it, when the store is full and it is the one not looked at for longest, when the server ends, or when the
visitor says so. A page that is open keeps its own.
"""

from __future__ import annotations

import copy
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol, TypeVar

import streamlit as st

from dashboard.shared import sign_in
from dashboard.shared.background import Task
from dashboard.shared.visitor import visitor
from segmodels.errors import GarmentscopeError
from segmodels.settings import read_settings

__all__ = [
    "LINK",
    "Keepable",
    "KeepingError",
    "SessionStore",
    "forget",
    "keep",
    "kept",
    "kept_for",
    "kept_minutes",
    "privacy_text",
    "show_privacy",
    "tidy",
]

MOST_BYTES = 2 * 1024**3
"""Most bytes of all states together."""

LINK = "visit"
"""Name of the id in the address of a page."""

_ID = "garmentscope-visit"  # place of the id in the session
_MINUTES, _MOST_MINUTES = 120, 7 * 24 * 60


class KeepingError(GarmentscopeError, ValueError):
    """A `GARMENTSCOPE_KEEP` that cannot be used; the message is for whoever starts the server."""


class Keepable(Protocol):
    """A state that can be kept."""

    @property
    def size(self) -> int:
        """Size of the photos and results, in bytes; 0 if there is nothing worth keeping."""

    def start_over(self) -> None:
        """Forgets the photos and results."""


State = TypeVar("State")


@dataclass
class _Visit:
    owner: str
    states: dict[str, Keepable] = field(default_factory=dict)  # by name of the class
    seen: float = 0.0

    @property
    def size(self) -> int:
        return sum(state.size for state in list(self.states.values()))


def kept_minutes() -> int:
    """Minutes after the last look at which a state goes.

    Raises:
        KeepingError: If the environment's number cannot be used.
    """
    text = read_settings().keep
    if not text:
        return _MINUTES
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= _MOST_MINUTES):
        raise KeepingError(
            f'GARMENTSCOPE_KEEP is "{text[:20]}". Give the minutes for which photos are kept, a whole number from 1 to '
            f"{_MOST_MINUTES}, or leave it out for {_MINUTES}."
        )
    return int(text)


def kept_for() -> str:
    """How long a state is kept, such as `2 hours` or `1 minute`."""
    minutes = kept_minutes()
    number, unit = (minutes, "minute") if minutes % 60 else (minutes // 60, "hour")
    return f"{number} {unit}{'s' * (number > 1)}"


class SessionStore:
    """States by id of the visit.

    Args:
        seconds: Seconds after the last look at which a visit goes.
        most_bytes: Most bytes of all visits together; the newest stays even if it is larger.
        clock: Function that gives the time in seconds.
    """

    def __init__(
        self,
        seconds: float = _MINUTES * 60.0,
        most_bytes: int = MOST_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds, self._most_bytes, self._clock = seconds, most_bytes, clock
        self._visits: dict[str, _Visit] = {}  # the one not looked at for longest first
        self._lock = threading.Lock()

    def put(self, visit: str, state: Keepable, owner: str = "") -> None:
        """Puts a state into the store, or notes that it was looked at.

        Args:
            visit: Id of the visit.
            state: The state.
            owner: Identifier of the visitor; a visit that is there already stays whose it is.
        """
        with self._lock:
            found = self._visits.pop(visit, None) or _Visit(owner)
            found.states[type(state).__name__] = state
            found.seen = self._clock()
            self._visits[visit] = found
            self._tidy()

    def find(self, visit: str, kind: type[State]) -> State | None:
        """The state of a class; None if there is none, or none any more."""
        with self._lock:
            self._tidy()
            found = self._visits.get(visit)
            state = found.states.get(kind.__name__) if found else None
            return state if isinstance(state, kind) else None

    def is_of(self, visit: str, owner: str) -> bool:
        """Whether a visit is that of a visitor."""
        with self._lock:
            return visit in self._visits and self._visits[visit].owner == owner

    def holds(self, visit: str) -> bool:
        """Whether there are photos of a visit, on whichever page."""
        with self._lock:
            self._tidy()
            return visit in self._visits and self._visits[visit].size > 0

    def drop(self, visit: str) -> None:
        """Forgets a visit."""
        with self._lock:
            found = self._visits.pop(visit, None)
        for state in found.states.values() if found else ():
            state.start_over()

    def tidy(self) -> None:
        """Forgets what is too old."""
        with self._lock:
            self._tidy()

    def _tidy(self) -> None:
        """Forgets what is too old, and the oldest while there is too much. Called with the lock held."""
        oldest = self._clock() - self._seconds
        for visit in [visit for visit, found in self._visits.items() if found.seen < oldest]:
            del self._visits[visit]
        sizes = {visit: found.size for visit, found in self._visits.items()}
        total = sum(sizes.values())
        for visit in list(self._visits)[:-1]:
            if total <= self._most_bytes:
                break
            total -= sizes[visit]
            del self._visits[visit]


@cache  # not Streamlit's: visitors may clear that
def _store() -> SessionStore:
    return SessionStore(kept_minutes() * 60.0)


def kept(kind: type[State]) -> State | None:
    """The state of a class that this visitor's session or address leads to; None if there is none.

    Args:
        kind: Class of the state.

    Returns:
        The state; of another visitor's, a copy, which `keep` puts under an id of its own, or nothing where visitors
        sign in.
    """
    visit = st.session_state.get(_ID) or st.query_params.get(LINK)
    found = _store().find(visit, kind) if visit else None
    if visit is None or found is None:
        return None
    if not _store().is_of(visit, visitor()):
        return None if sign_in.is_needed() else _copied(found)
    st.session_state[_ID] = visit
    return found


def tidy() -> None:
    """Forgets all states whose time is over."""
    _store().tidy()


def _copied(state: State) -> State:
    """A copy without the run and with lists and mappings of its own; the photos and results in them are the same."""
    own = copy.copy(state)
    for name, value in vars(own).items():
        if isinstance(value, Task):
            setattr(own, name, None)
        elif isinstance(value, dict | list):
            setattr(own, name, copy.copy(value))
    return own


def keep(state: Keepable) -> None:
    """Keeps a page's state, and puts the id into the page's address; without photos on any page there is neither.

    Args:
        state: State of the page.
    """
    visit = st.session_state.get(_ID)
    if state.size:
        visit = st.session_state.setdefault(_ID, secrets.token_urlsafe(24))
        _store().put(visit, state, visitor())
    elif not (visit and _store().holds(visit)):
        if LINK in st.query_params:
            del st.query_params[LINK]
        return
    if st.query_params.get(LINK) != visit:
        st.query_params[LINK] = visit


def forget(state: Keepable) -> None:
    """Forgets all that this visitor's pages hold, at once.

    Args:
        state: State of the page on which the visitor says so.
    """
    if visit := st.session_state.pop(_ID, None):
        _store().drop(visit)
    state.start_over()
    if LINK in st.query_params:
        del st.query_params[LINK]


def privacy_text() -> str:
    """Where a visitor's photos are, for how long, and who can see them."""
    return (
        "Your photos and results are in this server's memory, and a ZIP that you ask for is in a temporary file. They "
        f"are forgotten {kept_for()} after your last click or when you close this page, whichever "
        "is later. Until then, the address of this page opens them again"
        + (", for you alone." if sign_in.is_needed() else "; anyone else who has it gets a copy.")
    )


def show_privacy(state: Keepable) -> None:
    """Says where a visitor's photos are, beside a button that ends it.

    Args:
        state: State of the page.
    """
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(privacy_text(), width="stretch")
        st.button("Forget now", on_click=forget, args=(state,))
