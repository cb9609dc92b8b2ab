"""What each request passes first: its id, its size, its log line, and the last guard against a mistake of ours.

A plain ASGI middleware, which neither holds a body back nor hides that a caller has left.
"""

from __future__ import annotations

import json
import logging
import re
import time
import uuid
from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.api.metrics import REFUSED, count_request
from dashboard.api.problems import ProblemError

__all__ = ["Guard"]

_LOGGER = logging.getLogger("garmentscope.api")
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)
_UNKNOWN = "unknown"  # route of an address that is none


class Guard:
    """Gives each request an id, limits its body, logs and counts it, and answers for whatever fails unexpectedly.

    Args:
        app: The application inside.
        limit: Function that gives the most bytes of a body by the path of a request below the application.
    """

    def __init__(self, app: ASGIApp, limit: Any) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send, self._limit(scope["path"].removeprefix(scope.get("root_path", ""))))
        try:
            exchange.check()
            await self._app(scope, exchange.receive, exchange.send)
        except ProblemError as problem:
            await exchange.fail(problem)
        except Exception:
            _LOGGER.exception("request %s failed", exchange.id)
            await exchange.fail(ProblemError("internal", f"The server made a mistake in request {exchange.id}."))
        finally:
            exchange.note()


class _Exchange:
    """A request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limit: int) -> None:
        self._scope, self._receive, self._send, self._limit = scope, receive, send, limit
        self._headers = {key.lower(): value for key, value in scope["headers"]}
        given = self._headers.get(b"x-request-id", b"").decode("latin-1")
        self.id = given if _ID.fullmatch(given) else uuid.uuid4().hex
        self._state: MutableMapping[str, Any] = scope.setdefault("state", {})
        self._state["request_id"] = self.id
        scope.pop("route", None)  # of whatever this application is mounted in
        self._started = time.perf_counter()
        self._status, self._bytes, self._sent = 0, 0, 0

    def check(self) -> None:
        """Refuses what can be refused by its headers.

        Raises:
            ProblemError: If it comes from a page of another site, or is too large.
        """
        if self._scope["method"] not in _SAFE and self._headers.get(b"sec-fetch-site") == b"cross-site":
            raise ProblemError("cross-site")
        length = self._headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self._limit:
            raise self._too_large()

    async def receive(self) -> Message:
        """The next part of the body.

        Raises:
            ProblemError: If there are more bytes than allowed.
        """
        message = await self._receive()
        self._bytes += len(message.get("body", b""))
        if self._bytes > self._limit:
            raise self._too_large()
        return message

    async def send(self, message: Message) -> None:
        """Sends a part of the answer."""
        if message["type"] == "http.response.start":
            self._status = int(message["status"])
            added = (*_HEADERS, (b"x-request-id", self.id.encode()), (b"cache-control", b"no-store"))
            there = {key.lower() for key, _ in message.get("headers", ())}
            message["headers"] = [*message.get("headers", ()), *(pair for pair in added if pair[0] not in there)]
        self._sent += len(message.get("body", b""))
        await self._send(message)

    async def fail(self, problem: ProblemError) -> None:
        """Answers with a problem, unless the answer has begun."""
        if not self._status:
            await problem.response()(self._scope, self._receive, self.send)

    def note(self) -> None:
        """Logs and counts the request; neither the names nor the contents of photos."""
        seconds = time.perf_counter() - self._started
        route = getattr(self._scope.get("route"), "path", "") or _UNKNOWN
        method = self._scope["method"] if self._scope["method"] in _METHODS else "OTHER"
        status = self._status or 499  # the caller left before an answer
        count_request(route, method, status, seconds)
        if status == 429:
            REFUSED.inc()
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "request": self.id,
            "method": method,
            "route": route,
            "status": status,
            "seconds": round(seconds, 4),
            "received": self._bytes,
            "sent": self._sent,
            "caller": self._state.get("caller", ""),
            "photos": self._state.get("photos", 0),
        }
        _LOGGER.info("%s", json.dumps(line))

    def _too_large(self) -> ProblemError:
        return ProblemError(
            "too-large", f"The request has more than the {self._limit / 1024**2:,.4g} MB allowed. Send less at once."
        )
