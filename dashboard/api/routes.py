"""The routes of the API beside the app's pages; nothing of it is imported before somebody asks for it.

The API needs PyTorch, which takes seconds to import, while the first page is to be there at once.
"""

from __future__ import annotations

import asyncio
import re

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from segmodels.settings import read_settings

__all__ = ["PREFIX", "base_path", "routes"]

PREFIX = "/api/v1"
"""Path under which all routes of this version lie, below `base_path()`."""


def base_path() -> str:
    """Path below which a proxy serves everything, such as `/garments`; empty for the root."""
    path = read_settings().base_path
    return f"/{path}" if path else ""


def routes() -> list[BaseRoute]:
    """The routes of the API and of its metrics, for `streamlit.App` or an application of their own."""
    return [_Mount(base_path() + PREFIX, _Api()), Route(f"{base_path()}/metrics", _metrics)]


class _Mount(Mount):
    """One that is also for addresses with line breaks, which would else be answered by whatever is outside."""

    def __init__(self, path: str, app: ASGIApp) -> None:
        super().__init__(path, app)
        self.path_regex = re.compile(self.path_regex.pattern, re.DOTALL)


class _Api:
    """The API, made at the first request."""

    def __init__(self) -> None:
        self._made: ASGIApp | None = None
        self._making = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request."""
        async with self._making:
            if self._made is None:
                self._made = await asyncio.to_thread(_make)
        await self._made(scope, receive, send)


def _make() -> ASGIApp:
    from dashboard.api.application import create_api

    return create_api()


def _metrics(request: Request) -> Response:
    from dashboard.api.metrics import metrics

    return metrics(request)
