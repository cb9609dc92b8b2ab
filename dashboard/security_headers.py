"""What every answer of the server carries, and what it does not answer.

- Where visitors sign in, files are taken from and given to those only who have.
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
from starlette.middleware import Middleware
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from dashboard.api.routes import base_path
from dashboard.shared import sign_in
from dashboard.shared.visitor import COOKIE
from segmodels.settings import read_settings

__all__ = ["SecurityHeaders", "proxies"]

_HIDDEN = "/_stcore/metrics"
_FILES = ("/_stcore/upload_file/", "/media/")
_API = "/api/"
_HOST = re.compile(r"([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(:\d+)?")
_SPACES = "https://huggingface.co https://*.hf.space"  # the pages of a Space show it in a frame
_YEAR = 365 * 86400


def proxies() -> Middleware:
    """Middleware that believes the forwarded headers of the proxies that `GARMENTSCOPE_PROXIES` names.

    Those of proxies on the server's own machine uvicorn believes by itself.
    """
    return Middleware(ProxyHeadersMiddleware, trusted_hosts=list(read_settings().proxies))


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
        path, given = scope["path"].removeprefix(base_path()), Headers(scope=scope)

        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["x-content-type-options"] = "nosniff"
                if path.startswith(_API):  # whose own are stricter
                    headers.setdefault("referrer-policy", "same-origin")
                    headers.setdefault("content-security-policy", _frames())
                else:
                    headers["referrer-policy"] = "same-origin"
                    headers["content-security-policy"] = f"{_policy()}; {_connections(given)}; {_frames()}"
                is_page = headers.get("content-type", "").startswith("text/html") and not path.startswith(_API)
                if is_page and COOKIE not in _cookies(given):
                    headers.append("set-cookie", _cookie(scope))
                if scope.get("scheme") == "https":  # those of Streamlit too
                    message["headers"] = [
                        (key, _secured(value.decode("latin-1")).encode("latin-1") if key == b"set-cookie" else value)
                        for key, value in message["headers"]
                    ]
                    headers = MutableHeaders(scope=message)
                    headers["strict-transport-security"] = f"max-age={_YEAR}"
            await send(message)

        async def refuse(status: int, text: bytes) -> None:
            await add({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
            await send({"type": "http.response.body", "body": text})

        if path.endswith(_HIDDEN):
            await refuse(404, b"Not found")
            return
        if path.startswith(_FILES) and sign_in.is_needed() and not sign_in.name_in_cookies(_cookies(given)):
            await refuse(403, b"Sign in first")
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
        "data:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
        "form-action 'self'"
    )


def _connections(headers: Headers) -> str:
    """The directive for connections: the page's own host, whose web sockets not every browser takes for `'self'`."""
    host = headers.get("host", "")
    sockets = f" ws://{host} wss://{host}" if _HOST.fullmatch(host) else ""
    return f"connect-src 'self'{sockets} blob: data:"


def _cookies(headers: Headers) -> dict[str, str]:
    return cookie_parser(headers.get("cookie", ""))  # SimpleCookie stops at what others have set


def _cookie(scope: Scope) -> str:
    secure = "; Secure" if scope.get("scheme") == "https" else ""
    path = base_path() or "/"
    return f"{COOKIE}={secrets.token_urlsafe(32)}; Path={path}; Max-Age={_YEAR}; HttpOnly; SameSite=Lax{secure}"


def _secured(cookie: str) -> str:
    """A cookie that goes over encrypted connections only."""
    return cookie if re.search(r";\s*secure\b", cookie, re.IGNORECASE) else f"{cookie}; Secure"
