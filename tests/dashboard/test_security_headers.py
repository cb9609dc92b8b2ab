"""What every answer of the server carries."""

import base64
import hashlib
import re
from pathlib import Path

import pytest
import streamlit as st
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from dashboard.api.problems import ProblemError
from dashboard.api.routes import routes
from dashboard.security_headers import SecurityHeaders, proxies
from dashboard.shared.visitor import COOKIE


@pytest.fixture
def client() -> TestClient:
    async def page(request: Request) -> Response:
        return HTMLResponse("<p>page</p>")

    async def data(request: Request) -> Response:
        return JSONResponse({})

    async def metrics(request: Request) -> Response:
        return PlainTextResponse("sessions 5")

    routes = [Route("/", page), Route("/trends", page), Route("/api/v1/docs", page), Route("/api/v1/models", data)]
    routes += [Route("/_stcore/metrics", metrics), Route("/media/a.csv", data), Route("/team/_stcore/metrics", metrics)]
    return TestClient(SecurityHeaders(Starlette(routes=routes)), follow_redirects=False)


@pytest.mark.parametrize("path", ["/", "/trends", "/api/v1/docs", "/api/v1/models", "/media/a.csv", "/nowhere"])
def test_every_answer_is_guarded(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    assert "frame-ancestors 'self'" in headers["content-security-policy"]


def test_a_page_runs_the_scripts_of_the_server_only(client: TestClient) -> None:
    policy = dict(
        part.strip().split(" ", 1) for part in client.get("/").headers["content-security-policy"].split(";") if part
    )
    assert policy["default-src"] == "'self'" and policy["object-src"] == "'none'" and policy["base-uri"] == "'self'"
    allowed = policy["script-src"].split()
    assert "'unsafe-inline'" not in allowed and "'unsafe-eval'" not in allowed and not any("http" in a for a in allowed)
    index = (Path(st.__file__).parent / "static" / "index.html").read_text(encoding="utf-8")
    for script in re.findall(r"<script>(.*?)</script>", index, flags=re.DOTALL):
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in allowed, "Streamlit's own script within its page runs"


@pytest.mark.parametrize("path", ["/_stcore/metrics", "/team/_stcore/metrics"])
def test_streamlits_measurements_are_for_nobody(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404 and "sessions" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_page_marks_a_browser_once(client: TestClient) -> None:
    first = client.get("/").headers["set-cookie"]
    assert first.startswith(f"{COOKIE}=") and "HttpOnly" in first and "SameSite=Lax" in first and "Secure" not in first
    assert len(client.cookies[COOKIE]) >= 32
    assert "set-cookie" not in client.get("/trends").headers, "it is known"
    beside = {"cookie": f'a={{"x":1}}; {COOKIE}={client.cookies[COOKIE]}'}
    assert "set-cookie" not in client.get("/trends", headers=beside).headers, "beside a cookie of others"
    client.cookies.clear()
    assert client.get("/").headers["set-cookie"].split(";")[0] != first.split(";")[0], "another browser, another mark"
    client.cookies.clear()
    assert "Secure" not in client.get("/", headers={"X-Forwarded-Proto": "https"}).headers["set-cookie"]
    client.cookies.clear()
    for path in ("/api/v1/docs", "/api/v1/models", "/media/a.csv"):
        assert "set-cookie" not in client.get(path).headers


def test_a_space_may_show_it_in_its_frame(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPACE_ID", "atelier/garmentscope")
    assert (
        "frame-ancestors 'self' https://huggingface.co https://*.hf.space"
        in client.get("/").headers["content-security-policy"]
    )


def test_the_server_is_guarded() -> None:
    from dashboard.server import app

    assert [each.cls for each in app._user_middleware] == [ProxyHeadersMiddleware, SecurityHeaders]


@pytest.mark.parametrize(
    ("client", "address", "scheme"),
    [("10.0.0.5", "203.0.113.9", "https"), ("10.0.1.5", "10.0.1.5", "http"), ("203.0.113.9", "203.0.113.9", "http")],
)
def test_forwarded_headers_are_those_of_named_proxies(
    monkeypatch: pytest.MonkeyPatch, client: str, address: str, scheme: str
) -> None:
    monkeypatch.setenv("GARMENTSCOPE_PROXIES", "10.0.0.0/24")

    async def page(request: Request) -> Response:
        assert request.client
        return HTMLResponse(f"{request.client.host} {request.url.scheme}", headers={"set-cookie": "a=b; Path=/"})

    app = Starlette(routes=[Route("/", page)], middleware=[proxies(), Middleware(SecurityHeaders)])
    given = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
    answer = TestClient(app, client=(client, 1)).get("/", headers=given)
    assert answer.text == f"{address} {scheme}"
    cookies = answer.headers.get_list("set-cookie")
    assert len(cookies) == 2 and all(("Secure" in each) == (scheme == "https") for each in cookies)
    assert ("strict-transport-security" in answer.headers) == (scheme == "https")


def test_a_page_connects_to_its_own_host_only(client: TestClient) -> None:
    for host, said in (("shop.example:8501", " ws://shop.example:8501 wss://shop.example:8501"), ("a b;*", "")):
        policy = client.get("/", headers={"Host": host}).headers["content-security-policy"]
        (connect,) = (each.strip() for each in policy.split(";") if "connect-src" in each)
        assert connect == f"connect-src 'self'{said} blob: data:"


def test_below_a_base_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GARMENTSCOPE_BASE_PATH", "garments")
    assert [getattr(each, "path", "") for each in routes()] == ["/garments/api/v1", "/garments/metrics"]

    async def page(request: Request) -> Response:
        return HTMLResponse("page")

    found = [Route("/garments/", page), Route("/garments/api/v1/docs", page)]
    below = TestClient(SecurityHeaders(Starlette(routes=found)))
    assert "Path=/garments;" in below.get("/garments/").headers["set-cookie"]
    assert "set-cookie" not in below.get("/garments/api/v1/docs").headers
    assert ProblemError("not-found").to_json()["type"] == "/garments/api/v1/problems/not-found"
