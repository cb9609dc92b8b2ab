"""The API as an application."""

from __future__ import annotations

import logging
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi_offline import FastAPIOffline
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from dashboard.api import archive_photos, archives, jobs, label_studio, segment, team
from dashboard.api.admission import Admission
from dashboard.api.archive_photos import FeedOrder
from dashboard.api.jobs import Jobs
from dashboard.api.limits import MOST_MB, Limits, read_limits
from dashboard.api.problems import PROBLEMS, Problem, ProblemError, problem_responses
from dashboard.api.requests import RequestMiddleware
from dashboard.api.routes import PREFIX, base_path
from dashboard.api.segment import Addresses, Found, Results
from dashboard.api.tokens import tokens_of_server
from dashboard.api.waiting import asked
from dashboard.shared import networks
from segmodels import __version__
from segmodels.checkpoints.catalog import DEFAULT_MODEL, list_checkpoints
from segmodels.checkpoints.listing import about_model
from segmodels.photo import MAX_BYTES

__all__ = ["Health", "create_api", "health", "models", "problem"]

_ROUTERS = (segment.router, archives.router, archive_photos.router, team.router, jobs.router, label_studio.router)
_LOGGER = logging.getLogger("garmentscope.api")
_MB = 1024**2
_SMALL = _MB  # bytes of a body of routes that take no photo
_FORM = 64 * 1024  # bytes of what a form needs beside its photos
_ABOUT = """
Finds every garment in outfit photos, and says what archives of photos hold.

All answers but pictures are JSON. Errors are `application/problem+json` (RFC 9457); the address in `type` says what
kind of problem it is. The header `X-Request-ID` names a request in the server's log; send your own to choose it.
"""


class Health(BaseModel):
    """Whether the server works."""

    status: str = Field(description="`ok`.")
    version: str = Field(description="Version of Garmentscope.")
    waiting: int = Field(description="Photos that wait for the network, of the pages, the API and ingests.")
    running: int = Field(description="Photos in work.")


def create_api(limits: Limits | None = None) -> FastAPI:
    """The API, to be mounted at `PREFIX`.

    Args:
        limits: How much it takes; as the environment says if left out.

    Raises:
        LimitsError: If the environment says it wrongly.
    """
    limits = limits or read_limits()
    tokens = tokens_of_server()
    api = FastAPIOffline(
        title="Garmentscope",
        version=__version__,
        summary="Garments in outfit photos, and trends in many of them.",
        description=_ABOUT,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        responses=problem_responses(),
        favicon_url="data:,",
        middleware=[Middleware(RequestMiddleware, limit=_BodyLimit(limits), seconds=limits.arrival, tokens=tokens)],
        exception_handlers={
            ProblemError: _known,
            RequestValidationError: _invalid,
            HTTPException: _refused,
        },
    )
    api.state.limits = limits
    api.state.admission = Admission(networks.flow, limits.waiting, limits.photos, limits.minute, limits.megapixels)
    api.state.jobs = Jobs()
    for each in _ROUTERS:
        api.include_router(each)
    api.add_api_route(
        "/models",
        models,
        summary="List models",
        operation_id="models",
        tags=["photos"],
        responses=problem_responses("took-too-long"),
    )
    api.add_api_route("/health", health, summary="Whether the server works", operation_id="health", tags=["server"])
    api.add_api_route(
        "/problems/{kind}",
        problem,
        summary="What a kind of problem is",
        operation_id="problem",
        tags=["server"],
        responses=problem_responses("not-found"),
    )
    _describe(api, with_tokens=tokens is not None)
    return api


async def models(request: Request) -> list[dict[str, Any]]:
    """The models that `POST /segment` takes: architecture, input, classes and score of each."""
    return await asked(request, _models)


async def health() -> Health:
    """Answers as long as the server works, and says how much waits."""
    waiting, running = networks.queue_load()
    return Health(status="ok", version=__version__, waiting=waiting, running=running)


async def problem(kind: str) -> Problem:
    """What a kind of problem means, and what to do."""
    if (about := PROBLEMS.get(kind)) is None:
        raise ProblemError(
            "not-found",
            "There is no such kind of problem. The addresses in `type` of answers are those that there are.",
        )
    return Problem(
        type=f"{base_path()}{PREFIX}/problems/{kind}", title=about.title, status=about.status, detail=about.meaning
    )


def _models() -> list[dict[str, Any]]:
    found = []
    for entry in list_checkpoints():
        row: dict[str, Any] = {"name": entry.name, "from": entry.source, "default": entry.name == DEFAULT_MODEL}
        try:
            row |= about_model(entry.folder)
        except Exception as error:  # one folder never hides the others; the message names folders of the server
            _LOGGER.error("The model %s cannot be read.", entry.name, exc_info=error)
            row["problem"] = "The model cannot be read. The server's log says why."
        found.append(row)
    return found


class _BodyLimit:
    """The most bytes of a body, by the path of a request."""

    def __init__(self, limits: Limits) -> None:
        self._photos = min(MOST_MB * _MB, limits.photos * MAX_BYTES) + _FORM
        self._upload = limits.upload_mb * _MB + _FORM

    def __call__(self, path: str) -> int:
        if path == "/segment" or (path.startswith("/label-studio/") and path.endswith("/predict")):
            return self._photos
        return self._upload if path.startswith("/archives/") and path.endswith("/photos") else _SMALL


async def _known(request: Request, error: Exception) -> Response:
    assert isinstance(error, ProblemError)
    return error.response()


async def _invalid(request: Request, error: Exception) -> Response:
    """A parameter that is missing or has a wrong value."""
    assert isinstance(error, RequestValidationError)
    errors = []
    for fault in error.errors():
        place = [str(part) for part in fault["loc"][1:]] or [str(fault["loc"][0])]
        errors.append(f"{'.'.join(place)}: {fault['msg']}.")
    return ProblemError("invalid-request", errors[0], errors).response()


async def _refused(request: Request, error: Exception) -> Response:
    """What the framework refuses: addresses and methods that do not exist."""
    assert isinstance(error, HTTPException)
    if isinstance(known := getattr(request.state, "problem", None), ProblemError):
        return known.response()
    kind = {404: "not-found", 405: "wrong-method"}.get(error.status_code, "invalid-request")
    if error.status_code < 400:  # a redirect
        return Response(status_code=error.status_code, headers=error.headers)
    detail = "There is nothing at this address." if kind == "not-found" else ""
    headers = dict(error.headers or {})
    if kind == "wrong-method":  # the framework names the methods of one route, and an address may have several
        routes = [each for router in _ROUTERS for each in router.routes if isinstance(each, APIRoute)]
        there = [each.methods or set() for each in routes if each.matches(request.scope)[0] is not Match.NONE]
        headers |= {"Allow": ", ".join(sorted(set().union(*there)))} if there else {}
    return ProblemError(kind, detail, (), headers).response()


def _describe(api: FastAPI, *, with_tokens: bool) -> None:
    """Lets the description hold the models that are named by reference, and nothing of the framework's own errors.

    Args:
        api: The application.
        with_tokens: Whether requests need tokens.
    """
    original = api.openapi

    def description() -> dict[str, Any]:
        if api.openapi_schema is None:
            described = original()
            schemas = described.setdefault("components", {}).setdefault("schemas", {})
            for model in (Problem, Addresses, Found, Results, FeedOrder):
                schemas[model.__name__] = model.model_json_schema(ref_template="#/components/schemas/{model}")
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            described["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            described["security"] = [{"token": []}] if with_tokens else [{}, {"token": []}]
        assert api.openapi_schema is not None
        return api.openapi_schema

    api.openapi = description  # type: ignore[method-assign]
