"""Who looks at a page, and what he may change.

What a visitor starts is his: on a server that several people use nobody else stops it, adds to it, or reads the names
of its files. Visitors at the server's own machine, and all where `GARMENTSCOPE_SHARED` is set, may do everything. Where
visitors sign in, neither counts, and those whom `GARMENTSCOPE_KEEPERS` names may.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

import streamlit as st
from streamlit import runtime

from dashboard.shared import sign_in
from dashboard.shared.origin import is_at_machine
from dashboard.shared.principal import Principal
from segmodels.settings import read_settings

__all__ = [
    "COOKIE",
    "at_machine",
    "identifier",
    "is_trusted",
    "log_name",
    "principal",
    "visitor",
    "without_folders",
]

COOKIE = "garmentscope_visitor"
"""Name of the cookie by which a visitor who loads a page anew is known again; `dashboard.security_headers` sets it."""

_KEY = "visitor"


def visitor() -> str:
    """Identifier of who looks, 64 hex digits, of no use to anybody else.

    It is the same in all tabs of a browser; of somebody who is signed in, in all browsers.
    """
    if name := sign_in.person():
        return identifier("person", name)
    cookie = _cookies().get(COOKIE)
    if isinstance(cookie, str) and cookie:
        return identifier("visitor", cookie)
    if _KEY not in st.session_state:
        st.session_state[_KEY] = secrets.token_hex(32)
    return str(st.session_state[_KEY])


def identifier(kind: str, name: str) -> str:
    """Identifier of somebody, 64 hex digits.

    Args:
        kind: `person` who is signed in, `visitor` of the pages, or `caller` of the API: none can be taken for another,
            whatever the name is.
        name: Name that the server knows, such as the cookie.
    """
    return hashlib.sha256(f"{kind} {name}".encode()).hexdigest()


def log_name() -> str:
    """Name of who looks for the log of an archive: nobody can take it for another's, nor act with it."""
    at_home = is_trusted() and not (read_settings().shared or sign_in.is_needed())
    return "this machine" if at_home else f"visitor {visitor()[:8]}"


def is_trusted() -> bool:
    """Whether the visitor may change what others began, and see where it lies on the server.

    Where visitors sign in, only for those who keep the server. Elsewhere at the server's own machine, unless a proxy
    stands between, and for all where `GARMENTSCOPE_SHARED` is set.
    """
    if sign_in.is_needed():
        return sign_in.is_keeper(sign_in.person())
    return read_settings().shared or at_machine()


def at_machine() -> bool:
    """Whether the visitor is at the server's own machine, without a proxy between."""
    headers = {name.lower(): value for name, value in _headers().items()}
    address = st.context.ip_address  # None at the machine itself
    if not headers:  # a script or a test, or a connection that has ended: nobody knows whose it was
        return not _is_served() and not isinstance(address, str)
    return is_at_machine(address if isinstance(address, str) else "127.0.0.1", headers)


def principal() -> Principal:
    """Who looks, as `dashboard.shared.access` takes it."""
    return Principal(visitor(), sign_in.person(), is_trusted())


def _is_served() -> bool:
    """Whether a server shows the page, and not a script or a test."""
    return runtime.exists() and type(runtime.get_instance()) is runtime.Runtime  # of a test a stand-in


def without_folders(text: str) -> str:
    """A sentence without the folders of the server, for visitors who are not trusted.

    Args:
        text: Sentence that may name files by their path.
    """
    return text if is_trusted() else _hidden(text)


def _hidden(text: str) -> str:
    """Each path keeps its last folder: `shop/OUTFIT_15/part.parquet` of `/srv/archives/shop/OUTFIT_15/part.parquet`."""
    settings = read_settings()
    known = [*settings.models, *map(Path, settings.archive), *settings.photos, settings.cache / "archives"]
    known += [settings.cache, *([settings.data] if settings.data else []), Path(__file__).parents[2]]
    for name, data in settings.datasets:
        path = Path(name.partition(":")[2])
        known += [*([data] if data else []), *([path, *list(path.parents)[:2]] if path.name else [])]
    for folder in sorted({str(each) for each in known} | {str(each.absolute()) for each in known}, key=len)[::-1]:
        if len(folder) > 1:
            text = re.sub(rf"{re.escape(folder)}(?=[/\\\s:,;.]|$)", Path(folder).name or "...", text)
    home = os.path.expanduser("~")  # noqa: PTH111  # Path.home fails for a user without one
    return text.replace(f"{home}{os.sep}", "") if len(home) > 1 else text


def _headers() -> Mapping[str, str]:
    return st.context.headers


def _cookies() -> Mapping[str, str]:
    return st.context.cookies
