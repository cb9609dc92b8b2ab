"""Signing in: who needs to, under which name, and what a broken `secrets.toml` says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit import config
from streamlit.auth_util import set_cookie_with_chunks
from streamlit.runtime.secrets import secrets_singleton
from streamlit.web.server.server_util import get_cookie_secret
from streamlit.web.server.starlette.starlette_app_utils import create_signed_value
from streamlit.web.server.starlette.starlette_server_config import USER_COOKIE_NAME

from dashboard.__main__ import openness
from dashboard.shared import sign_in

AUTH = """[auth]
redirect_uri = "http://localhost:8501/oauth2callback"
cookie_secret = "0123456789abcdef"
client_id = "garmentscope"
client_secret = "secret"
server_metadata_url = "http://127.0.0.1:1/.well-known/openid-configuration"
"""


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of secrets, not there yet."""
    file = tmp_path / "secrets.toml"
    before = config.get_option("secrets.files")
    config.set_option("secrets.files", [str(file)])
    secrets_singleton._reset()
    monkeypatch.setattr(sign_in, "_known", [])
    yield file
    config.set_option("secrets.files", before)
    secrets_singleton._reset()


def test_nobody_signs_in_until_the_secrets_say_so(secrets: Path) -> None:
    assert not sign_in.is_needed() and sign_in.problem() == "" and sign_in.person() == ""
    secrets.write_text(AUTH)
    secrets_singleton._reset()
    assert sign_in.is_needed() and sign_in.problem() == "" and sign_in.providers() == [""]
    secrets.write_text("[auth")
    secrets_singleton._reset()
    assert sign_in.is_needed(), "a file that is damaged later opens nothing"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[auth", "secrets.toml cannot be read: "),
        ("\xff", "secrets.toml cannot be read: "),
        (AUTH.replace("cookie_secret", "cookie"), "lacks cookie_secret."),
        ('[auth]\nredirect_uri = "a"\ncookie_secret = "b"\n', "lacks client_id, client_secret, server_metadata_url."),
        (AUTH + '[auth.google]\nclient_id = "a"\n', "lacks google.client_secret, google.server_metadata_url."),
        ("[other]\na = 1\n", ""),
    ],
)
def test_broken_secrets_are_a_sentence(secrets: Path, text: str, said: str) -> None:
    secrets.write_text(text, encoding="latin-1")
    assert said in sign_in.problem() and bool(sign_in.problem()) == bool(said)


def test_a_name_is_an_address_that_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sign_in.name_of({"email": "Ann@Shop.example", "email_verified": True}) == "ann@shop.example"
    assert sign_in.name_of({"email": "ann@shop.example", "email_verified": "true"}) == "ann@shop.example"
    for verified in (False, "false", None):
        claims = {"email": "ann@shop.example", "email_verified": verified, "iss": "https://a", "sub": "7"}
        assert sign_in.name_of(claims) == "https://a 7", "whoever signs in could have typed the address"
    assert sign_in.name_of({}) == "" and sign_in.name_of({"email": " ", "sub": ""}) == ""
    silent = {"email": "ann@shop.example", "iss": "https://a", "sub": "7"}
    assert sign_in.name_of(silent) == "https://a 7" and sign_in.name_of({"sub": "ann@shop.example"}) == ""
    assert sign_in.name_of({**silent, "email": "a b@shop.example", "email_verified": True}) == "https://a 7"
    monkeypatch.setenv("GARMENTSCOPE_TRUST_EMAIL", "yes")
    assert sign_in.name_of(silent) == "ann@shop.example"
    assert sign_in.name_of({**silent, "email_verified": False}) == "https://a 7"


def test_who_may_enter(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sign_in.may_enter("anybody@else.example") and not sign_in.may_enter("")
    monkeypatch.setenv("GARMENTSCOPE_PEOPLE", "@shop.example, Ben@Studio.example")
    monkeypatch.setenv("GARMENTSCOPE_KEEPERS", "root@far.example")
    inside = ("ann@shop.example", "ben@studio.example", "root@far.example")
    assert all(map(sign_in.may_enter, inside))
    assert not any(map(sign_in.may_enter, ("carl@studio.example", "ann@shop.example.evil", "evilshop.example", "")))
    assert not sign_in.may_enter("https://a eve@shop.example"), "the subject is no address"
    assert sign_in.is_keeper("root@far.example") and not sign_in.is_keeper("ann@shop.example")


def test_a_cookie_is_believed_only_with_the_servers_signature(secrets: Path) -> None:
    secrets.write_text(AUTH)
    secrets_singleton._reset()

    def made(secret: str) -> dict[str, str]:
        cookies: dict[str, str] = {}
        claims = {
            "email": "ann@shop.example",
            "email_verified": True,
            "padding": "x" * 5000,
        }  # longer than a cookie may be
        set_cookie_with_chunks(
            lambda name, value: cookies.update({name: create_signed_value(secret, name, value).decode()}),
            lambda name, value: create_signed_value(secret, name, value),
            USER_COOKIE_NAME,
            claims,
            cookie_attr_size=100,
        )
        return cookies

    assert sign_in.name_in_cookies(made(get_cookie_secret())) == "ann@shop.example"
    assert sign_in.name_in_cookies(made("another secret")) == ""
    assert (
        sign_in.name_in_cookies({USER_COOKIE_NAME: json.dumps({"email": "ann@shop.example", "email_verified": True})})
        == ""
    )
    assert sign_in.name_in_cookies({}) == "" and sign_in.name_in_cookies({USER_COOKIE_NAME: "\x00é"}) == ""


@pytest.mark.parametrize(
    ("host", "pages", "tokens", "signs_in", "said"),
    [
        ("", True, False, False, "may use the app and its API"),
        ("0.0.0.0", True, True, False, "may use the app."),
        ("0.0.0.0", False, False, False, "may use the API"),
        ("0.0.0.0", False, True, False, ""),
        ("", True, False, True, ""),
        ("127.0.0.1", True, False, False, ""),
        ("localhost", False, False, False, ""),
    ],
)
def test_a_server_says_when_it_is_open(
    monkeypatch: pytest.MonkeyPatch, host: str, pages: bool, tokens: bool, signs_in: bool, said: str
) -> None:
    monkeypatch.setattr(sign_in, "is_needed", lambda: signs_in)
    if tokens:
        monkeypatch.setenv("GARMENTSCOPE_TOKENS", "tokens.json")
    sentence = openness(host, with_pages=pages)
    assert said in sentence and bool(sentence) == bool(said)
