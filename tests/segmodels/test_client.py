"""What the client sends and how it takes answers; `tests/dashboard/api/test_server.py` has it with a real server."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from segmodels import client as module
from segmodels.client import ApiError, Client

Answer = Callable[[httpx2.Request], httpx2.Response]


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds for which the client has waited."""
    found: list[float] = []
    own = SimpleNamespace(sleep=found.append, monotonic=time.monotonic)  # threads of other tests sleep too
    monkeypatch.setattr(module, "time", own)
    return found


def answered(answer: Answer, token: str = "") -> Client:
    """A client whose server is a function."""
    client = Client("http://server/", token)
    headers, base = client._http.headers, client._http.base_url
    client._http = httpx2.Client(transport=httpx2.MockTransport(answer), headers=headers, base_url=base)
    return client


def test_a_refused_request_is_sent_again_when_the_server_says(slept: list[float]) -> None:
    asked: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        if len(asked) < 3:
            return httpx2.Response(429, headers={"Retry-After": "7"}, json={"detail": "Too many photos are waiting."})
        return httpx2.Response(200, json={"garments": []})

    with answered(answer, "gs_1") as client:
        assert client.segment(b"photo", "tiny", "rle") == {"garments": []}
    assert slept == [7.0, 7.0]
    assert str(asked[2].url) == "http://server/api/v1/segment" and asked[2].headers["authorization"] == "Bearer gs_1"
    body = asked[2].read()
    assert b"photo" in body and b'name="model"\r\n\r\ntiny' in body and b'name="masks"\r\n\r\nrle' in body


def test_it_gives_up_at_last(slept: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE", -1.0)
    with (
        answered(lambda request: httpx2.Response(429, json={"detail": "Too many photos are waiting."})) as client,
        pytest.raises(ApiError, match="waiting"),
    ):
        client.models()
    assert not slept


def test_problems_and_answers_that_are_none() -> None:
    problem = {"type": "/api/v1/problems/unknown-model", "detail": 'There is no model "x".', "status": 404}
    with answered(lambda request: httpx2.Response(404, json=problem)) as client, pytest.raises(ApiError) as known:
        client.segment(b"photo", "x")
    assert str(known.value) == 'There is no model "x".' and known.value.problem == problem
    with answered(lambda request: httpx2.Response(502, text="<html>")) as client, pytest.raises(ApiError, match="502"):
        client.models()


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (httpx2.ConnectError("Connection refused"), "http://server/api/v1/ does not answer: Connection refused."),
        (httpx2.ReadTimeout("timed out"), "did not answer in time"),
        (httpx2.UnsupportedProtocol("no protocol"), "Give one such as http://localhost:8501."),
    ],
)
def test_a_server_that_does_not_answer(error: httpx2.TransportError, sentence: str) -> None:
    """httpx's own errors came out, which `except GarmentscopeError` does not catch."""

    def answer(request: httpx2.Request) -> httpx2.Response:
        raise error

    with answered(answer) as client, pytest.raises(ApiError, match=re.escape(sentence)):
        client.segment(b"photo")


def test_another_server(slept: list[float]) -> None:
    with answered(lambda request: httpx2.Response(200, text="<html>")) as client, pytest.raises(ApiError, match="not"):
        client.models()
    with answered(lambda request: httpx2.Response(500, json=["no"])) as client, pytest.raises(ApiError, match="500"):
        client.models()
    codes = iter([429, 200])
    dated = {"Retry-After": "Wed, 21 Oct 2026 07:28:00 GMT"}
    with answered(lambda request: httpx2.Response(next(codes), headers=dated, json=[])) as client:
        assert client.models() == [] and slept == [1.0]


def test_names_and_tokens_of_any_letters() -> None:
    """`#` ended the path, so that a table of `a#b` was what archive `a` holds."""
    asked: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(200, json={"id": "7", "phase": "done"})

    with answered(answer, "gs_\u00e4\n") as client:
        client.table("a#b?c/d", "shares")
        client.add_photos("a#b", [("look.jpg", b"photo"), ("tags.csv", b"file_name")])
    assert [each.url.raw_path for each in asked] == [
        b"/api/v1/archives/a%23b%3Fc%2Fd/shares",
        b"/api/v1/archives/a%23b/photos",
    ]
    assert dict(asked[0].headers.raw)[b"Authorization"].decode() == "Bearer gs_\u00e4"
    assert b'filename="look.jpg"' in asked[1].read() and b'filename="tags.csv"' in asked[1].read()
    assert b"masks" not in asked[1].read()


def test_nothing_to_send() -> None:
    with answered(lambda request: httpx2.Response(500)) as client:
        assert client.segment_all([]) == []
        with pytest.raises(ApiError, match="no photo to add"):
            client.add_photos("spring", [])


def test_it_waits_for_a_job(slept: list[float]) -> None:
    phases = iter(["waiting", "running", "done"])
    asked: list[dict[str, Any]] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        assert request.url.path in ("/api/v1/archives/my spring/photos", "/api/v1/jobs/7")
        if request.headers.get("content-type") == "application/json":
            asked.append(json.loads(request.content))
        return httpx2.Response(200, json={"id": "7", "phase": next(phases)})

    with answered(answer) as client:
        assert client.add_photos("my spring", [b"photo"])["phase"] == "done"
        assert slept == [0.5, 0.5]
        phases = iter(["done"])
        assert client.add_feed("my spring", "https://shop.example/products.json")["phase"] == "done"
    assert asked[-1] == {"feed": "https://shop.example/products.json", "one_row_a_product": False}


def test_it_needs_no_torch() -> None:
    code = "import sys, segmodels.client; sys.exit('torch' in sys.modules or 'PIL' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0
