"""How many photos may wait: a place in the app's queue for each caller, and a refusal where too many wait.

A caller is a token, or an address without one. All requests of a caller share one flow of the queue, so that callers,
visitors of the pages and ingests take turns, however many requests each of them sends at once.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ParamSpec, TypeVar

from dashboard.api.problems import ProblemError
from dashboard.shared.inference_queue import Batch, Flow

__all__ = ["Admission", "Ticket"]

P = ParamSpec("P")
T = TypeVar("T")

_MINUTE = 60.0
_MOST_CALLERS = 10_000  # whose minutes are remembered before those that are over are forgotten
_LONGEST_WAIT = 60  # seconds of `Retry-After` at most


@dataclass(eq=False)
class _Minute:
    """A caller's photos since a moment."""

    began: float
    photos: int = 0
    megapixels: float = 0.0


@dataclass(eq=False)
class _Caller:
    """A caller with photos in the queue."""

    flow: Flow
    photos: int = 0


@dataclass(eq=False)
class Ticket:
    """The photos of one request.

    Args:
        flow: Place of the caller in the queue.
        photos: Number of photos that the request may submit.
    """

    flow: Flow
    photos: int
    _futures: list[Future[Any]] = field(default_factory=list)

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Puts a photo into the queue; arguments as `Executor.submit` takes them.

        Raises:
            ProblemError: If the server stops.
        """
        return self._kept(lambda: self.flow.submit(fn, *args, **kwargs))

    def submit_to(self, batch: Batch, photo: Any) -> Future[Any]:
        """Puts a photo into the queue that goes through the network with others; arguments as `Flow.submit_to`'s.

        Raises:
            ProblemError: If the server stops.
        """
        return self._kept(lambda: self.flow.submit_to(batch, photo))

    def _kept(self, put: Callable[[], Future[T]]) -> Future[T]:
        try:
            future = put()
        except RuntimeError as error:
            raise ProblemError("unavailable", "The server is stopping. Try again in a minute.") from error
        self._futures.append(future)
        return future

    def cancel(self) -> None:
        """Drops the photos that wait; one in work is finished, and nobody asks for its result."""
        self.flow.withdraw(self._futures)


class Admission:
    """Admits photos to the queue, up to a number.

    Args:
        flow: Function that gives a new place in the queue.
        most: Most photos of all callers that are admitted at once.
        most_of_one: Most photos of one caller that are admitted at once.
        in_a_minute: Most photos of one caller that are admitted within a minute.
        megapixels: Megapixels of one caller's photos after which no more are admitted within a minute.
        now: Function that gives the time in seconds.
    """

    def __init__(
        self,
        flow: Callable[[], Flow],
        most: int,
        most_of_one: int,
        in_a_minute: int = 600,
        megapixels: float = 6000,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.most, self.most_of_one, self.in_a_minute = most, most_of_one, in_a_minute
        self._most = min(most, most_of_one, in_a_minute)  # of a request
        self._now = now
        self._megapixels = megapixels
        self._minutes: dict[str, _Minute] = {}  # by caller
        self._flow = flow
        self._callers: dict[str, _Caller] = {}
        self._lock = threading.Lock()
        self.waiting = 0
        """Number of photos that are admitted and not done."""

    @contextmanager
    def enter(self, caller: str, photos: int = 1) -> Iterator[Ticket]:
        """Admits the photos of a request until it is answered or given up.

        Args:
            caller: Name of the caller.
            photos: Number of photos.

        Raises:
            ProblemError: If too many photos wait, with the seconds after which to try again.
        """
        _check(photos, self._most)
        known = self._take(caller, photos)
        ticket = Ticket(known.flow, photos)
        try:
            yield ticket
        finally:
            ticket.cancel()
            self._give_back(caller, ticket.photos)

    def add(self, caller: str, ticket: Ticket, photos: int) -> None:
        """Admits further photos of a request.

        Raises:
            ProblemError: As `enter` does.
        """
        _check(ticket.photos + photos, self._most)
        self._take(caller, photos)
        ticket.photos += photos

    def _take(self, caller: str, photos: int) -> _Caller:
        with self._lock:
            known = self._callers.get(caller)
            mine = known.photos if known else 0
            if self.waiting + photos > self.most or mine + photos > self.most_of_one:
                left = known.flow.seconds_left() if known else None
                raise _refusal(math.ceil(left or 1), "Too many photos are waiting for the network.")
            self._count(caller, photos)
            if known is None:
                known = self._callers[caller] = _Caller(self._flow())
            known.photos += photos
            self.waiting += photos
            return known

    def _count(self, caller: str, photos: int) -> None:
        """Counts photos of a caller's minute. Called with the lock held."""
        now = self._now()
        if len(self._minutes) > _MOST_CALLERS:
            self._minutes = {name: each for name, each in self._minutes.items() if now - each.began < _MINUTE}
        minute = self._minutes.get(caller)
        if minute is None or now - minute.began >= _MINUTE:
            minute = self._minutes[caller] = _Minute(now)
        over = f"{self.in_a_minute:,} photos" if minute.photos + photos > self.in_a_minute else ""
        if not over and minute.megapixels >= self._megapixels:
            over = f"{self._megapixels:,} megapixels"
        if over:
            raise _refusal(math.ceil(minute.began + _MINUTE - now), f"This server takes {over} a minute of a caller.")
        minute.photos += photos

    def note_pixels(self, caller: str, pixels: int) -> None:
        """Counts the pixels of photos that were analysed; their number is known only then."""
        with self._lock:
            if (minute := self._minutes.get(caller)) is not None:
                minute.megapixels += pixels / 1e6

    def _give_back(self, caller: str, photos: int) -> None:
        with self._lock:
            known = self._callers[caller]
            known.photos -= photos
            self.waiting -= photos
            if not known.photos:
                del self._callers[caller]
                known.flow.leave()


def _check(photos: int, most: int) -> None:
    """Refuses a request that could never be admitted."""
    if photos > most:
        raise ProblemError(
            "too-large", f"This server takes {most} photos of a caller at once. Send fewer in a request."
        )


def _refusal(seconds: int, why: str) -> ProblemError:
    seconds = min(_LONGEST_WAIT, max(1, seconds))
    return ProblemError(
        "too-many-requests", f"{why} None was taken; try again in {seconds} s.", (), {"Retry-After": str(seconds)}
    )
