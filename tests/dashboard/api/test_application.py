"""The description, the problems, and what every request and answer has."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator, validate
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from dashboard.api import application
from dashboard.api.application import create_api
from dashboard.api.limits import Limits, LimitsError, read_limits
from dashboard.api.problems import PROBLEMS
from dashboard.api.routes import PREFIX, routes
from segmodels.checkpoints.errors import CheckpointError


def test_the_description_is_valid(client: TestClient) -> None:
    described = client.get("/openapi.json").json()
    assert described["openapi"].startswith("3.1") and described["servers"] == [{"url": "/api/v1"}]
    validate(described, cls=OpenAPIV31SpecValidator)
    operations = [each for path in described["paths"].values() for each in path.values()]
    assert len({each["operationId"] for each in operations}) == len(operations) >= 17
    for each in operations:
        assert each["summary"] and each["description"]
        for status, answer in each["responses"].items():
            assert int(status) < 400 or list(answer["content"]) == ["application/problem+json"]
    assert {"photo", "model", "people", "garments"} <= set(described["components"]["schemas"]["Found"]["properties"])


def test_the_interactive_page_asks_nobody_else(client: TestClient) -> None:
    page = client.get("/docs").text
    assert "https://" not in page and "http://" not in page
    for name in ("swagger-ui-bundle.js", "swagger-ui.css"):
        assert f'"/api/v1/static-offline-docs/{name}"' in page
        assert client.get(f"/static-offline-docs/{name}").status_code == 200


def test_each_problem_is_explained(client: TestClient) -> None:
    for kind, about in PROBLEMS.items():
        explained = client.get(f"/problems/{kind}").json()
        assert explained["type"] == f"/api/v1/problems/{kind}" and explained["status"] == about.status
        assert about.meaning.endswith(".") and not about.title.endswith(".")
    assert client.get("/problems/none").status_code == 404


@pytest.mark.parametrize("path", ["/health", "/models", "/problems/not-found", "/docs", "/nothing"])
def test_head_answers_as_get_without_a_body(client: TestClient, path: str) -> None:
    """What load balancers ask before they send anybody."""
    got, head = client.get(path), client.head(path)
    assert (head.status_code, head.content) == (got.status_code, b"")
    assert head.headers["content-type"] == got.headers["content-type"]
    assert client.head("/segment").status_code == 405


def test_every_answer_has_an_id_and_plain_headers(client: TestClient) -> None:
    for answer in (client.get("/health"), client.get("/nothing"), client.put("/segment")):
        assert len(answer.headers["x-request-id"]) == 32
        assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert answer.headers["x-content-type-options"] == "nosniff" and answer.headers["cache-control"] == "no-store"
    assert client.get("/health", headers={"X-Request-ID": "shop-7.a"}).headers["x-request-id"] == "shop-7.a"
    assert client.get("/health", headers={"X-Request-ID": "a b"}).headers["x-request-id"] != "a b"
    assert client.get("/nothing").json()["type"] == "/api/v1/problems/not-found"
    assert client.put("/segment").headers["allow"] == "POST"
    assert client.options("/archives/ccp/photos").headers["allow"] == "GET, POST", "both routes at the address"
    assert client.put("/jobs/1").headers["allow"] == "DELETE, GET"


def test_a_page_of_another_site_changes_nothing(client: TestClient) -> None:
    for method in ("POST", "DELETE"):
        refused = client.request(method, "/segment", headers={"Sec-Fetch-Site": "cross-site"})
        assert refused.status_code == 403 and refused.json()["type"] == "/api/v1/problems/cross-site"
    assert client.get("/health", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 200


def test_only_this_machine_changes_archives_without_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    app = Starlette(routes=[Mount("/api/v1", create_api(Limits()))])
    ways: list[tuple[str, dict[str, str]]] = [
        ("10.0.0.7", {"Host": "localhost:8501"}),
        ("127.0.0.1", {"Host": "attacker.example"}),
        ("127.0.0.1", {"Host": "127.0.0.1.example"}),
        ("127.0.0.1", {"Host": "localhost", "X-Forwarded-For": "10.0.0.7"}),
    ]
    for host, headers in ways:
        with TestClient(app, client=(host, 50_000)) as other:
            for method, path in (
                ("DELETE", f"archives/none/photos/{'a' * 64}"),
                ("DELETE", "jobs/none"),
                ("POST", "archives/a/photos"),
            ):
                refused = other.request(method, f"/api/v1/{path}", headers=headers)
                assert refused.status_code == 403 and "tokens" in refused.json()["detail"]
            assert other.get("/api/v1/jobs/none", headers=headers).status_code == 404
    with TestClient(app, client=("::1", 50_000)) as own:
        assert own.delete("/api/v1/jobs/none", headers={"Host": "[::1]:8501"}).status_code == 404
    monkeypatch.setenv("GARMENTSCOPE_SHARED", "yes")
    with TestClient(app, client=("10.0.0.7", 50_000)) as shared:
        assert shared.delete("/api/v1/jobs/none").status_code == 404


def test_a_line_of_json_for_each_request(
    client: TestClient, photo: Callable[[int], bytes], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="garmentscope.api"):
        client.post("/segment?model=tiny", files={"photo": ("holiday.png", photo(0))}, headers={"X-Request-ID": "mine"})
        client.get("/secret-name")
    first, second = (json.loads(record.getMessage()) for record in caplog.records)
    assert (first["request"], first["method"], first["route"], first["status"]) == ("mine", "POST", "/segment", 200)
    assert first["photos"] == 1 and first["received"] > len(photo(0)) and first["sent"] > 100 and first["seconds"] > 0
    assert (second["route"], second["status"]) == ("unknown", 404)
    assert "holiday" not in caplog.text and "secret" not in caplog.text


def test_a_mistake_of_ours_says_no_more_than_that(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> tuple[int, int]:
        raise RuntimeError("/home/someone/secret")

    monkeypatch.setattr(application.networks, "queue_load", broken)
    answer = client.get("/health")
    assert answer.status_code == 500 and answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-request-id"] in answer.json()["detail"] and "secret" not in answer.text
    assert "/home/someone/secret" in caplog.text


def test_models_name_no_folder(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    found = {each["name"]: each for each in client.get("/models").json()}
    assert found["fpn"]["default"] and found["fpn"]["from"] == "embedded" and found["tiny"]["input"] == [64, 64]
    assert found["torn"]["name"] and "folder" not in found["fpn"]

    for kind in (CheckpointError, OSError, RecursionError):

        def damaged(folder: object, kind: type[Exception] = kind) -> None:
            raise kind(f"{folder} is damaged.")

        caplog.clear()
        monkeypatch.setattr(application, "about_model", damaged)
        answer = client.get("/models")
        assert "log says why" in answer.json()[0]["problem"]
        assert "embedded/" not in answer.text and "damaged" in caplog.text


def test_a_model_that_cannot_be_loaded(client: TestClient, photo: Callable[[int], bytes]) -> None:
    answer = client.post("/segment?model=torn", files={"photo": photo(0)})
    assert (
        answer.status_code in (404, 503)
        and "model.safetensors" not in answer.text
        and "/" not in answer.json()["detail"]
    )


def test_metrics(client: TestClient) -> None:
    client.get("/health")
    with TestClient(Starlette(routes=routes())) as whole:
        text = whole.get("/metrics").text
    assert 'garmentscope_requests_total{method="GET",route="/health",status="200"}' in text
    assert "garmentscope_queue_waiting 0.0" in text and "# TYPE garmentscope_request_seconds histogram" in text


def test_the_api_is_made_at_the_first_request(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    monkeypatch.setattr(application, "create_api", lambda: made.append(create_api()) or made[-1])
    with TestClient(Starlette(routes=routes())) as whole:
        assert not made
        assert whole.get("/api/v1/health").json()["status"] == whole.get("/api/v1/health").json()["status"] == "ok"
    assert len(made) == 1


@pytest.mark.parametrize("path", ["/jobs/a%0Ab", "/jobs/%0A", "/problems/%0A%C2%85", "/%0A"])
def test_an_address_with_a_line_break_is_the_apis(path: str) -> None:
    with TestClient(Starlette(routes=routes())) as outside:
        answer = outside.get(PREFIX + path)
        assert answer.status_code == 404 and answer.headers["content-type"] == "application/problem+json"


def test_limits() -> None:
    assert read_limits("") == Limits() == Limits(16, 64, 600, 6000, 120, 60, 200, 100_000)
    assert read_limits(" photos=2, seconds = 5 ,") == Limits(photos=2, seconds=5)
    for text, said in (
        ("photo=2", 'has "photo=2". Its names are photos, waiting, minute, megapixels, seconds, arrival'),
        ("photos=0", "photos is a whole number from 1 to 256"),
        ("photos=257", "from 1 to 256"),
        ("seconds=ten", "seconds is a whole number from 1 to 3,600"),
        ("seconds", "seconds is a whole number"),
    ):
        with pytest.raises(LimitsError) as refused:
            read_limits(text)
        assert said in str(refused.value)


def test_the_size_of_a_body(open_api: Callable[..., TestClient]) -> None:
    limit = application._BodyLimit(Limits(photos=2, upload_mb=3))
    assert limit("/segment") == 40 * 1024**2 + 65536 and limit("/archives/a/photos") == 3 * 1024**2 + 65536
    assert limit("/label-studio/setup") == limit("/nothing") == 1024**2
    assert application._BodyLimit(Limits())("/segment") == 64 * 1024**2 + 65536
