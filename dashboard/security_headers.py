"""What every answer of the server carries, and what it does not answer.

- Browsers run only scripts of the server, show its pages in no frame of others, and guess no type of a file.
- A page sets a cookie without a meaning, by which a visitor who loads it anew is known (`dashboard.shared.visitor`).
- Streamlit's own measurements (`/_stcore/metrics`) are for nobody: those of the API are at `/metrics`.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import secrets
from functools import cache
from pathlib import Path

import streamlit as st
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.shared.visitor import COOKIE

__all__ = ["SecurityHeaders"]

_HIDDEN = "/_stcore/metrics"
_API = "/api/"
_SPACES = "https://huggingface.co https://*.hf.space"  # the pages of a Space show it in a frame
_YEAR = 365 * 86400


class SecurityHeaders:
    """ASGI middleware around the app.

    Args:
        app: What it stands around.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a request, or hands it on and adds to the answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path, given = scope["path"], Headers(scope=scope)

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["x-content-type-options"] = "nosniff"
                if path.startswith(_API):  # whose own are stricter
                    headers.setdefault("referrer-policy", "same-origin")
                    headers.setdefault("content-security-policy", _frames())
                else:
                    headers["referrer-policy"] = "same-origin"
                    headers["content-security-policy"] = f"{_policy()}; {_frames()}"
                is_page = headers.get("content-type", "").startswith("text/html") and not path.startswith(_API)
                if is_page and not _is_known(given):
                    headers.append("set-cookie", _cookie(given, scope))
            await send(message)

        if path.endswith(_HIDDEN):
            await add({"type": "http.response.start", "status": 404, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": b"Not found"})
            return
        await self._app(scope, receive, add)


def _frames() -> str:
    others = f" {_SPACES}" if os.environ.get("SPACE_ID") else ""
    return f"frame-ancestors 'self'{others}"


@cache
def _policy() -> str:
    """The Content-Security-Policy of pages: all is the server's own, and of scripts within a page only Streamlit's."""
    index = (Path(st.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    scripts = re.findall(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", index, flags=re.DOTALL)
    digests = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    own = " ".join(f"'sha256-{digest}'" for digest in digests)
    return (
        "default-src 'self'; "
        f"script-src 'self' blob: 'wasm-unsafe-eval' {own}; "
        "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; media-src 'self' blob: "
        "data:; connect-src 'self' ws: wss: blob: data:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
        "form-action 'self'"
    )


def _is_known(headers: Headers) -> bool:
    return COOKIE in cookie_parser(headers.get("cookie", ""))  # SimpleCookie stops at what others have set


def _cookie(headers: Headers, scope: Scope) -> str:
    secure = "; Secure" if "https" in (scope.get("scheme"), headers.get("x-forwarded-proto")) else ""
    return f"{COOKIE}={secrets.token_urlsafe(32)}; Path=/; Max-Age={_YEAR}; HttpOnly; SameSite=Lax{secure}"
