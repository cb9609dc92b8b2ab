"""What can go wrong with a request, as `application/problem+json` (RFC 9457).

`type` is the address of the problem's description, `detail` one sentence that says what was wrong and what to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from dashboard.api.routes import PREFIX, base_path
from segmodels.errors import GarmentscopeError

__all__ = ["PROBLEMS", "Kind", "Problem", "ProblemError", "problem_responses"]

MEDIA_TYPE = "application/problem+json"


@dataclass(frozen=True)
class Kind:
    """A kind of problem.

    Args:
        status: HTTP status of the answer.
        title: What the problem is, the same for each occurrence.
        meaning: Sentences on when it occurs and what to do.
    """

    status: HTTPStatus
    title: str
    meaning: str


PROBLEMS: Mapping[str, Kind] = {
    "invalid-request": Kind(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The request cannot be understood",
        "A parameter or a field has a value that it cannot have; `detail` and `errors` say which.",
    ),
    "unreadable-photo": Kind(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The photo cannot be read",
        "The file is no photo of a known format, is damaged, or has too many or too few pixels.",
    ),
    "unreachable-photo": Kind(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The photo cannot be fetched",
        "Only addresses of photos that anybody on the internet can open are fetched.",
    ),
    "unreachable-feed": Kind(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The feed cannot be fetched",
        "Only addresses that anybody on the internet can open are fetched, and no feed that is larger or slower than a "
        "request may be. Send such a feed as a file.",
    ),
    "not-enough": Kind(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "Too few outfits",
        "The archive, or what the filters leave of it, has too few outfits for this question. Remove a filter.",
    ),
    "unknown-model": Kind(
        HTTPStatus.NOT_FOUND, "There is no such model", "`GET /models` lists the models of this server."
    ),
    "not-found": Kind(
        HTTPStatus.NOT_FOUND, "There is no such thing", "The address, the archive, the photo or the job does not exist."
    ),
    "wrong-method": Kind(
        HTTPStatus.METHOD_NOT_ALLOWED,
        "The address does not take this method",
        "The header `Allow` names those it takes.",
    ),
    "not-acceptable": Kind(
        HTTPStatus.NOT_ACCEPTABLE,
        "The answer cannot have this form",
        "Ask for `application/json`, or for `image/png` with a single photo.",
    ),
    "conflict": Kind(
        HTTPStatus.CONFLICT,
        "The request does not fit the present state",
        "Photos are being added to the archive already, or it cannot be changed.",
    ),
    "too-large": Kind(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "The request is too large", "Send fewer or smaller photos at once."
    ),
    "unsupported-media-type": Kind(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "The body has an unknown type",
        "Send the bytes of a photo as `image/*` or `application/octet-stream`, or a form as `multipart/form-data`.",
    ),
    "too-many-requests": Kind(
        HTTPStatus.TOO_MANY_REQUESTS,
        "Too many photos are waiting",
        "The header `Retry-After` says after how many seconds to try again.",
    ),
    "too-slow": Kind(
        HTTPStatus.REQUEST_TIMEOUT,
        "The request arrived too slowly",
        "Send it again on a faster connection, or less at once.",
    ),
    "took-too-long": Kind(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The answer took too long",
        "The server is busy. The header `Retry-After` says after how many seconds to try again.",
    ),
    "unavailable": Kind(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The server cannot do this now",
        "A model or an archive cannot be read, or the server is stopping. Its log says why.",
    ),
    "no-token": Kind(
        HTTPStatus.UNAUTHORIZED,
        "A token is needed",
        "Send a token that is valid in the header `Authorization: Bearer gs_...`; whoever keeps the server makes them.",
    ),
    "not-allowed": Kind(
        HTTPStatus.FORBIDDEN,
        "The token does not allow this",
        "Ask whoever keeps the server for a token with the scope.",
    ),
    "cross-site": Kind(
        HTTPStatus.FORBIDDEN,
        "The request comes from another site",
        "Pages of other sites cannot change anything here. Call the API from a program, or from a page of this server.",
    ),
    "internal": Kind(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "The server made a mistake",
        "Its log has more under the id of the request, which is in the header `X-Request-ID`.",
    ),
}
"""Kinds of problems by the last part of their `type`."""


_OF_ALL = ("invalid-request", "no-token", "not-allowed", "cross-site", "too-large", "too-slow", "internal")


class Problem(BaseModel):
    """What was wrong with a request (RFC 9457)."""

    type: str = Field(description="Address of the description of this kind of problem.")
    title: str = Field(description="What kind of problem it is.")
    status: int = Field(description="HTTP status.")
    detail: str = Field(description="What was wrong with this request, and what to do, in one sentence or a few.")
    errors: list[str] = Field(default=[], description="Each single fault, where there are several.")


class ProblemError(GarmentscopeError, ValueError):
    """A request that cannot be answered; its message is for the caller.

    Args:
        kind: Key in `PROBLEMS`.
        detail: What was wrong, and what to do; what the kind means if left out.
        errors: Each single fault, where there are several.
        headers: Headers of the answer.
    """

    def __init__(
        self, kind: str, detail: str = "", errors: Sequence[str] = (), headers: Mapping[str, str] | None = None
    ) -> None:
        self.kind = kind
        self.detail = detail or PROBLEMS[kind].meaning
        self.errors = list(errors)
        self.headers = dict(headers or {})
        super().__init__(self.detail)

    def to_json(self) -> dict[str, Any]:
        """The body of the answer."""
        about = PROBLEMS[self.kind]
        return Problem(
            type=f"{base_path()}{PREFIX}/problems/{self.kind}",
            title=about.title,
            status=about.status,
            detail=self.detail,
            errors=self.errors,
        ).model_dump(exclude_defaults=True)

    def response(self) -> JSONResponse:
        """The answer."""
        return JSONResponse(self.to_json(), PROBLEMS[self.kind].status, self.headers, MEDIA_TYPE)


def problem_responses(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """The description of answers for OpenAPI.

    Args:
        *kinds: Keys in `PROBLEMS`, beside those that every route has.
    """
    found: dict[int | str, dict[str, Any]] = {}
    for kind in dict.fromkeys((*kinds, *_OF_ALL)):
        about = PROBLEMS[kind]
        text = found[about.status]["description"] + ", or: " if about.status in found else ""
        content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        found[int(about.status)] = {"description": text + about.title, "content": content}
    return found
