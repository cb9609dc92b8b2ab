"""Signing in with a provider that speaks the real protocol, and a token made in the app."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from oidc_provider import Provider, running_provider
from playwright.sync_api import Browser, Page, expect
from streamlit_page import WAIT

SERVER = Path(__file__).parents[3] / "dashboard" / "server.py"


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with running_provider() as running:
        yield running


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("audit") / "audit.jsonl"


@pytest.fixture(scope="module")
def address(serve: Callable[..., str], provider: Provider, log: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    home = tmp_path_factory.mktemp("home")
    (home / ".streamlit").mkdir()
    (home / ".streamlit" / "secrets.toml").write_text(provider.secrets_toml("http://127.0.0.1:{port}"))
    settings = {"HOME": str(home), "GARMENTSCOPE_PEOPLE": "@shop.example", "GARMENTSCOPE_AUDIT": str(log)}
    address = serve(SERVER, settings)
    provider.redirect_uri = f"{address}/oauth2callback"
    return address


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    context.set_default_timeout(WAIT)
    yield context.new_page()
    context.close()


def status(url: str, method: str = "GET", **headers: str) -> int:
    try:
        request = urllib.request.Request(url, method=method, headers=headers, data=b"" if method != "GET" else None)
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_sign_in_make_a_token_and_sign_out(page: Page, address: str, provider: Provider, log: Path) -> None:
    page.goto(f"{address}/trends")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    expect(page.get_by_role("link", name="Archive")).to_have_count(0)
    for path in ("/_stcore/upload_file/session/file", "/media/0123.jpg"):
        assert status(address + path, "PUT" if "upload" in path else "GET") == 403
    assert status(f"{address}/api/v1/archives") == 401 and status(f"{address}/api/v1/health") == 200

    page.get_by_role("button", name="Sign in").click()
    page.get_by_role("link", name="Account").click()
    expect(page.get_by_text("Signed in as ann@shop.example.")).to_be_visible()
    assert provider.signed_in == 1
    names = {each["name"]: each for each in page.context.cookies()}
    assert names["_streamlit_user"]["httpOnly"]

    page.get_by_label("Name").fill("shop back end")
    page.get_by_role("button", name="Make token").click()
    expect(page.get_by_text("It is not shown again.")).to_be_visible()
    token = page.locator("code", has_text="gs_").inner_text().strip()
    assert status(f"{address}/api/v1/archives", Authorization=f"Bearer {token}") == 403, "it may segment only"
    assert status(f"{address}/api/v1/segment", "POST", Authorization=f"Bearer {token}") == 415
    page.get_by_role("button", name="Revoke").click()
    expect(page.get_by_text("No token yet")).to_be_visible()
    assert status(f"{address}/api/v1/segment", "POST", Authorization=f"Bearer {token}") == 401
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    assert [(each["audit"], each["who"], each["token"]) for each in lines] == [
        ("token made", "ann@shop.example", "shop back end"),
        ("token revoked", "ann@shop.example", "shop back end"),
    ]

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    provider.person = {"sub": "2", "email": "ann@shop.example", "email_verified": False}
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("may not use this server")).to_be_visible()
    expect(page.get_by_role("link", name="Archive")).to_have_count(0)
