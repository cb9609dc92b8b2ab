"""What each request passes first: its id, its size, its log line, and the last guard against a mistake of ours.

A plain ASGI middleware, which neither holds a body back nor hides that a caller has left.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import time
import uuid
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.api.metrics import REFUSED, count_request
from dashboard.api.problems import ProblemError
from dashboard.api.tokens import Scope as TokenScope
from dashboard.api.tokens import Tokens, needed_scope, principal_of_token, token_of_request, tokens_of_server
from dashboard.api.waiting import LeftError
from dashboard.shared.origin import is_at_machine
from dashboard.shared.principal import Principal
from dashboard.shared.visitor import identifier
from segmodels.settings import read_settings

__all__ = ["RequestMiddleware", "check_parameters"]

_LOGGER = logging.getLogger("garmentscope.api")
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"cache-control", b"no-store"),
)
_NOTHING = b"default-src 'none'; frame-ancestors 'none'"
_PAGE = (  # of Swagger UI, which has its settings in a script of the page
    b"default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    b"connect-src 'self'; frame-ancestors 'none'"
)
_UNKNOWN = "unknown"  # route of an address that is none


class RequestMiddleware:
    """Gives each request an id, limits its body, logs and counts it, and answers for whatever fails unexpectedly.

    Args:
        app: The application inside.
        limit: Function that gives the most bytes of a body by the path of a request below the application.
        seconds: Seconds until a body must have arrived.
        tokens: Tokens of which a request must have one; None where everybody may ask, until the server has some.
    """

    def __init__(self, app: ASGIApp, limit: Callable[[str], int], seconds: float, tokens: Tokens | None) -> None:
        self._app, self._limit, self._seconds, self._tokens = app, limit, seconds, tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if scope["method"] == "HEAD":  # answered as GET, without the body (RFC 9110, 9.3.2)
            scope, send = {**scope, "method": "GET"}, _without_body(send)
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        policy = _PAGE if path == "/docs" else _NOTHING
        exchange = _Exchange(scope, receive, send, self._limit(path), self._seconds, policy)
        try:
            exchange.check()
            wanted = needed_scope(scope["method"], path)
            self._tokens = self._tokens or tokens_of_server()
            if self._tokens and wanted:
                exchange.admit(self._tokens, wanted)
            else:
                exchange.admit_anybody(wanted)
            await self._app(scope, exchange.receive, exchange.send)
        except ProblemError as problem:
            await exchange.fail(problem)
        except (LeftError, ClientDisconnect):  # nobody is there to be answered
            pass
        except Exception:
            _LOGGER.exception("request %s failed", exchange.id)
            await exchange.fail(
                ProblemError("internal", f"The server made a mistake in request {exchange.id}. Its log says more.")
            )
        finally:
            exchange.note()


def check_parameters(request: Request, more: Sequence[str] = (), also: str = "") -> None:
    """Refuses parameters of the address that a route does not have.

    Args:
        request: The request.
        more: Names that it has besides those of the route's function.
        also: Beginning of further names, such as `tag.`.

    Raises:
        ProblemError: If there is one.
    """
    known = sorted({*more, *(each.alias for each in request.scope["route"].dependant.query_params)})
    unknown = [key for key in request.query_params if key not in known and not (also and key.startswith(also))]
    if unknown:
        names = f"{', '.join(known)} and {also}NAME" if also else ", ".join(known)
        raise ProblemError("invalid-request", f"There is no parameter {unknown[0][:40]!r}. There are {names}.")


def _without_body(send: Send) -> Send:
    async def sent(message: Message) -> None:
        await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

    return sent


class _Exchange:
    """A request and its answer."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limit: int, seconds: float, policy: bytes) -> None:
        self._scope, self._receive, self._send = scope, receive, send
        self._limit, self._seconds, self._policy = limit, seconds, policy
        self._arrived = False
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

    def admit_anybody(self, wanted: TokenScope | None) -> None:
        """Lets a request pass where there are no tokens: only this machine changes archives, or all if it is shared.

        Raises:
            ProblemError: If somebody else wants to.
        """
        client = self._scope.get("client") or ("", 0)
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in self._headers.items()}
        here = is_at_machine(client[0], headers) or read_settings().shared
        self._state["principal"] = Principal(identifier("caller", client[0] or "unknown"), is_keeper=here)
        if wanted == "write" and not here:
            raise ProblemError(
                "not-allowed",
                "Only the server's own machine may change archives here. Ask whoever keeps the server for tokens.",
            )

    def admit(self, tokens: Tokens, wanted: TokenScope) -> None:
        """Lets a request with a token pass.

        Raises:
            ProblemError: If it has no valid one, or one that does not allow what is wanted.
        """
        token = token_of_request(tokens, self._headers.get(b"authorization", b"").decode("latin-1"))
        if token is None:
            raise ProblemError("no-token", headers={"WWW-Authenticate": 'Bearer realm="Garmentscope"'})
        if wanted not in token.scopes:
            raise ProblemError(
                "not-allowed", f"The token {token.name} does not have the scope {wanted}. Ask for one that has."
            )
        self._state["caller"] = f"token {token.name}"
        self._state["principal"] = principal_of_token(token)

    async def receive(self) -> Message:
        """The next part of the body.

        Raises:
            ProblemError: If there are more bytes than allowed, or they come too slowly.
        """
        if self._arrived:  # what comes now says that the caller has left
            return await self._receive()
        try:
            async with asyncio.timeout(max(0.0, self._started + self._seconds - time.perf_counter())):
                message = await self._receive()
        except TimeoutError:
            problem = ProblemError(
                "too-slow", f"The request did not arrive within {self._seconds:g} s. Send less at once."
            )
            self._state["problem"] = problem  # the framework makes a mistake in the body of all that is raised here
            raise problem from None
        self._bytes += len(message.get("body", b""))
        self._arrived = not message.get("more_body", False)
        if self._bytes > self._limit:
            self._state["problem"] = self._too_large()
            raise self._state["problem"]
        return message

    async def send(self, message: Message) -> None:
        """Sends a part of the answer."""
        if message["type"] == "http.response.start":
            self._status = int(message["status"])
            own = ((b"x-request-id", self.id.encode()), (b"content-security-policy", self._policy))
            added = (*_HEADERS, *own)
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
