"""Tokens, what each may, and every route as nobody and as the holder of each scope."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from dashboard.__main__ import token as command
from dashboard.api.application import create_api
from dashboard.api.limits import Limits
from dashboard.api.routes import PREFIX, routes
from dashboard.api.tokens import SCOPES, Scope, TokenError, Tokens, needed_scope, presented, token_of_request
from dashboard.shared import sign_in

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OPEN = {"/health", "/label-studio/health", "/problems/{kind}"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "tokens.json"


def test_a_token_is_found_until_it_ends(file: Path) -> None:
    tokens = Tokens(file)
    made = tokens.make("shop", ["segment", "read"], 30, NOW)
    assert made.startswith("gs_") and len(made) == 3 + 8 + 64
    found = Tokens(file).find(made, NOW)
    assert found and (found.name, found.scopes) == ("shop", ("read", "segment"))
    assert found.digest == hashlib.sha256(made[11:].encode()).hexdigest() and made[11:] not in file.read_text()
    assert tokens.find(made, NOW + timedelta(days=29, hours=23)) and tokens.find(made, NOW + timedelta(30)) is None
    wrong = made[:-1] + ("0" if made[-1] != "0" else "1")
    for text in ("", "gs_", made[:-1], made + "0", wrong, "gs_00000000" + made[11:], made.upper()):
        assert tokens.find(text, NOW) is None
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 or os.name == "nt"


def test_a_revoked_token_ends_at_once_in_a_server_that_runs(file: Path) -> None:
    server = Tokens(file)
    shop, other = (Tokens(file).make(name, ["read"], 30) for name in ("shop", "other"))
    assert server.find(shop) and server.find(other)
    Tokens(file).revoke("shop")
    assert server.find(shop) is None and server.find(other)
    with pytest.raises(TokenError, match="no token shop"):
        Tokens(file).revoke("shop")


def test_two_who_make_tokens_at_once_lose_none(file: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: Tokens(file).make(f"shop {number}", ["read"], 1), range(24)))
    assert {each.name for each in Tokens(file).all()} == {f"shop {number}" for number in range(24)}


def test_what_makes_no_token(file: Path) -> None:
    tokens = Tokens(file)
    tokens.make("shop", ["read"], 1)
    cases: list[tuple[str, list[Scope], int, str]] = [
        ("shop", ["read"], 1, "already"),
        ("", ["read"], 1, "name"),
        ("a\nb", ["read"], 1, "name"),
        ("b", [], 1, "one or more of read, segment, write"),
        ("b", ["read"], 0, "1 to 3,650 days"),
    ]
    for name, scopes, days, said in cases:
        with pytest.raises(TokenError, match=said):
            tokens.make(name, scopes, days)
    for content in ('{"tokens": [{}]}', "[]", "{", '{"tokens": 3}'):
        file.write_text(content)
        with pytest.raises(
            TokenError, match="cannot be read as a file of tokens: it is not as `garmentscope token make`"
        ):
            tokens.all()


def test_how_a_token_is_presented() -> None:
    assert presented("Bearer gs_1") == presented("bearer  gs_1") == "gs_1"
    assert presented("Basic " + base64.b64encode(b"any:gs_1").decode()) == "gs_1"  # as Label Studio can
    for none in ("", "gs_1", "Basic !", "Basic é", "Token gs_1"):
        assert presented(none) == ""


def test_each_route_as_nobody_and_as_each_scope(file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GARMENTSCOPE_TOKENS", str(file))
    monkeypatch.setenv("GARMENTSCOPE_CACHE", str(tmp_path))
    held = {scope: Tokens(file).make(scope, [scope], 1) for scope in SCOPES}
    api = create_api(Limits())
    with TestClient(Starlette(routes=[Mount(PREFIX, api)]), base_url=f"http://localhost{PREFIX}") as client:
        described = client.get("/openapi.json").json()
        walked = 0
        for path, operations in described["paths"].items():
            for method in operations:
                address = path.replace("{photo_id}", "0" * 64).replace("{name}", "none").replace("{model}", "none")
                wanted = needed_scope(method.upper(), path)
                assert (wanted is None) == (path in OPEN)
                nobody = client.request(method, address)
                assert (nobody.status_code == 401) == (wanted is not None), path
                assert wanted is None or nobody.headers["www-authenticate"].startswith("Bearer")
                for scope, secret in held.items():
                    answer = client.request(method, address, headers={"Authorization": f"Bearer {secret}"})
                    refused = answer.status_code == 403
                    assert refused == (wanted not in (None, scope)) and answer.status_code != 401, (path, scope)
                walked += 1
        assert walked >= 17 and described["security"] == [{"token": []}]
        unknown = client.get("/nothing")
        assert unknown.status_code == 401  # an address that is none says nothing about itself
    with TestClient(Starlette(routes=routes())) as whole:
        assert whole.get("/metrics").status_code == 401
        assert whole.get("/metrics", headers={"Authorization": f"Bearer {held['segment']}"}).status_code == 401
        assert whole.get("/metrics", headers={"Authorization": f"Bearer {held['read']}"}).status_code == 200


def test_a_token_is_revoked_by_its_id(file: Path) -> None:
    tokens = Tokens(file)
    first = tokens.make("shop", ["read"], 1)
    tokens.revoke("shop", first[3:11])
    second = tokens.make("shop", ["read"], 1)
    with pytest.raises(TokenError, match="no token shop"):
        tokens.revoke("shop", first[3:11])  # of a page that still shows the first
    assert tokens.find(second) is not None


def test_who_may_not_enter_has_no_token(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = Tokens(file)
    header = f"Bearer {tokens.make('eves', ['read'], 1, person='eve@else.example')}"
    monkeypatch.setattr(sign_in, "is_needed", lambda: True)
    assert token_of_request(tokens, header) is not None
    monkeypatch.setenv("GARMENTSCOPE_PEOPLE", "@shop.example")
    assert token_of_request(tokens, header) is None


def test_tokens_that_come_later_count(
    file: Path, monkeypatch: pytest.MonkeyPatch, open_api: Callable[..., TestClient]
) -> None:
    client = open_api()
    assert client.get("/models").status_code == 200
    monkeypatch.setenv("GARMENTSCOPE_TOKENS", str(file))
    assert client.get("/models").status_code == 401


def test_on_the_command_line(file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["list"]) == 2 and "GARMENTSCOPE_TOKENS" in capsys.readouterr().err
    monkeypatch.setenv("GARMENTSCOPE_TOKENS", str(file))
    assert command(["make", "shop", "--scope", "segment", "read", "--days", "7"]) == 0
    made = capsys.readouterr().out.strip()
    assert Tokens(file).find(made)
    assert command(["list"]) == 0
    listed = capsys.readouterr().out
    assert listed.startswith("shop: read, segment; until 20") and made[11:] not in listed
    assert command(["revoke", "shop"]) == 0 and Tokens(file).find(made) is None
    assert command(["revoke", "shop"]) == 1 and "no token shop" in capsys.readouterr().err


def test_the_log_names_the_token(
    file: Path, monkeypatch: pytest.MonkeyPatch, open_api: Callable[..., TestClient], caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("GARMENTSCOPE_TOKENS", str(file))
    made = Tokens(file).make("shop", ["read"], 1)
    with caplog.at_level("INFO", logger="garmentscope.api"):
        assert open_api().get("/models", headers={"Authorization": f"Bearer {made}"}).status_code == 200
    assert '"caller": "token shop"' in caplog.text and made[11:] not in caplog.text
