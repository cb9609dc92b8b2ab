"""Signing in with OpenID Connect: off until Streamlit's `secrets.toml` has a section `[auth]`.

Streamlit speaks the protocol (`st.login`); here is who may enter, and under which name.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit import config
from streamlit.auth_util import get_cookie_with_chunks, get_secrets_auth_section
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import decode_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from segmodels.sentences import first_line
from segmodels.settings import read_settings

__all__ = ["is_keeper", "is_needed", "may_enter", "name_in_cookies", "name_of", "person", "problem", "providers"]

_known: list[bool] = []  # whether a section was found
_NEEDED = ("redirect_uri", "cookie_secret")
_OF_A_PROVIDER = ("client_id", "client_secret", "server_metadata_url")


def is_needed() -> bool:
    """Whether visitors must sign in: once it is so it stays so until the server ends, whatever becomes of the file."""
    if not _known and get_secrets_auth_section():
        _known.append(True)
    return bool(_known)


def providers() -> list[str]:
    """Names of the providers, as `st.login` takes them; an empty name is the one of `[auth]` itself."""
    section = dict(get_secrets_auth_section())
    named = [name for name, value in section.items() if isinstance(value, Mapping) and "client_id" in value]
    return ["", *named] if "client_id" in section else named


def problem() -> str:
    """What is wrong with the section `[auth]`, as a sentence for whoever starts the server; empty if nothing is."""
    for file in map(Path, config.get_option("secrets.files")):
        try:
            if file.is_file():
                tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:  # Streamlit would go on as if there were none
            return f"{file} cannot be read: {first_line(error)}."
    if not (section := dict(get_secrets_auth_section())):
        return ""
    missing = [key for key in _NEEDED if not section.get(key)]
    for name in providers() or [""]:
        own = section[name] if name else section
        missing += [f"{name}.{key}".lstrip(".") for key in _OF_A_PROVIDER if not own.get(key)]
    return f"The section [auth] of secrets.toml lacks {', '.join(missing)}." if missing else ""


def name_of(claims: Mapping[str, Any]) -> str:
    """The name of whom an identity token is about: the e-mail address, in lower case.

    An address that the provider does not call verified is nobody's: whoever signs in could have typed it. Of a provider
    that says nothing of it, an address counts where `GARMENTSCOPE_TRUST_EMAIL` is set. Otherwise the name is issuer and
    subject with a space between, which no address has.

    Args:
        claims: Claims of the token, or what `st.user` holds.
    """
    address = str(claims.get("email") or "").strip().lower()
    if len(address.split()) == 1 and claims.get("email_verified", read_settings().trust_email) in (True, "true"):
        return address
    issuer, subject = str(claims.get("iss") or ""), str(claims.get("sub") or "")
    return f"{issuer} {subject}" if issuer and subject else ""


def may_enter(name: str) -> bool:
    """Whether somebody who is signed in may use the app: all may unless `GARMENTSCOPE_PEOPLE` names who."""
    settings = read_settings()
    allowed = (*settings.people, *settings.keepers)
    domain = "" if " " in name else f"@{name.rpartition('@')[2]}"  # issuer and subject have no domain
    return bool(name) and (not settings.people or name in allowed or domain in allowed)


def is_keeper(name: str) -> bool:
    """Whether somebody who is signed in keeps the server."""
    return bool(name) and name in read_settings().keepers


def person() -> str:
    """Name of the visitor who is signed in and may enter; empty for anybody else, and where nobody signs in."""
    if not is_needed() or not st.user.get("is_logged_in"):
        return ""
    name = name_of(st.user.to_dict())
    return name if may_enter(name) else ""


def name_in_cookies(cookies: Mapping[str, str]) -> str:
    """Name of who sends a request of the pages, by the signed cookie that Streamlit sets; empty for nobody.

    Args:
        cookies: Cookies of the request.
    """
    secret = get_cookie_secret()

    def read(name: str) -> bytes | None:
        value = cookies.get(name)
        return decode_signed_value(secret, name, value.encode("latin-1")) if value else None

    try:
        found = get_cookie_with_chunks(read, USER_COOKIE_NAME)
        claims = json.loads(found) if found else {}
    except (ValueError, UnicodeError):
        return ""
    name = name_of(claims) if isinstance(claims, dict) else ""
    return name if may_enter(name) else ""
