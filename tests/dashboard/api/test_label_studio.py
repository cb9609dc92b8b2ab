"""Label Studio's protocol; `make annotation-tools` lets its own SDK read the same answers."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from annotated import HEIGHT, WIDTH, a_look
from starlette.testclient import TestClient

from dashboard.api.label_studio import predictions, read_interface
from dashboard.api.problems import ProblemError
from segmodels.annotations.label_studio import brush_runs
from segmodels.annotations.regions import regions_of

Make = Callable[[int], bytes]


def interface(tool: str, *labels: str) -> str:
    named = "".join(f'<Label value="{each}"/>' for each in labels)
    return f'<View><Image name="look" value="$photo"/><{tool} name="garments" toName="look">{named}</{tool}></View>'


def test_brush_strokes_of_the_labels_that_the_project_has() -> None:
    look = a_look()
    found = predictions(look, read_interface(interface("BrushLabels", "coat", "Bag", "Unicorn")))
    wanted = [each for each in regions_of(look) if each.category.name in ("Coat", "Bag")]
    assert len(found["result"]) == len(wanted) == 3 and found["model_version"] == "fake abc123"
    for row, region in zip(found["result"], wanted, strict=True):
        assert (row["type"], row["from_name"], row["to_name"]) == ("brushlabels", "garments", "look")
        assert row["value"]["brushlabels"] == ["coat" if region.category.name == "Coat" else "Bag"]
        assert row["value"]["rle"] == brush_runs(region.whole_mask(HEIGHT, WIDTH))
    assert found["score"] == pytest.approx(np.mean([each.confidence for each in wanted]), abs=1e-3)


def test_polygons_and_rectangles() -> None:
    look = a_look()
    drawn = predictions(look, read_interface(interface("PolygonLabels", "Coat")))["result"]
    assert {row["type"] for row in drawn} == {"polygonlabels"} and len(drawn) == 2  # two parts of one coat
    assert all(0 <= number <= 100 for row in drawn for point in row["value"]["points"] for number in point)
    (box,) = predictions(look, read_interface(interface("RectangleLabels", "Pants")))["result"]
    x, y, width, height = next(each.box for each in regions_of(look) if each.category.name == "Pants")
    place = {"x": 100 * x / WIDTH, "y": 100 * y / HEIGHT, "width": 100 * width / WIDTH, "height": 100 * height / HEIGHT}
    value = box["value"]
    assert {key: value[key] for key in place} == pytest.approx(place, abs=1e-3)
    assert value["rectanglelabels"] == ["Pants"] and value["rotation"] == 0


def test_an_alias_names_the_class() -> None:
    text = (
        '<View><Image name="i" value="$u"/><RectangleLabels name="r" toName="i"><Label value="Trousers" alias="Pants"/>'
        "</RectangleLabels></View>"
    )
    (row,) = predictions(a_look(), read_interface(text))["result"]
    assert row["value"]["rectanglelabels"] == ["Trousers"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<View>", "not XML"),
        ("", "not XML"),
        ("<View><Text name='t' value='$t'/></View>", "no BrushLabels, PolygonLabels, RectangleLabels"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><View>&b;</View>', "document type"),
    ],
)
def test_an_interface_that_cannot_be_filled(text: str, said: str) -> None:
    with pytest.raises(ProblemError, match=said):
        read_interface(text)


def test_the_protocol(client: TestClient, photo: Make) -> None:
    address = "data:image/png;base64," + base64.b64encode(photo(0)).decode()
    config = interface(
        "BrushLabels", "Coat", "Dress", "Shirt", "Pants", "Hat", "Bag", "Skin", "Hair", "Footwear", "Socks"
    )
    assert client.get("/label-studio/health").json()["status"] == "UP"
    assert client.get("/label-studio/tiny/health").json()["status"] == "UP"
    setup = {"project": "1.123", "schema": config, "hostname": "http://localhost:8080", "access_token": "", "extra": 1}
    version = client.post("/label-studio/tiny/setup", json=setup).json()["model_version"]
    assert version.startswith("tiny ")
    wanted = {
        "tasks": [{"id": 7, "data": {"photo": address}}] * 2,
        "label_config": config,
        "project": "1.1",
        "params": {},
    }
    answer = client.post("/label-studio/tiny/predict", json=wanted)
    assert answer.status_code == 200 and answer.json()["model_version"] == version
    first, second = answer.json()["results"]
    assert first == second and first["model_version"] == version and first["result"] and 0 < first["score"] <= 1


def refused(client: TestClient, address: Any, status: int, **more: Any) -> str:
    config = interface("BrushLabels", "Coat")
    wanted = {"tasks": [{"id": 7, "data": {"photo": address}}], "label_config": config} | more
    answer = client.post("/label-studio/tiny/predict", json=wanted)
    assert answer.status_code == status, answer.text
    return str(answer.json()["detail"])


def test_tasks_that_cannot_be_labelled(client: TestClient) -> None:
    assert refused(client, None, 422).startswith("Task 7 has no address of a photo under 'photo'")
    assert "not in base64" in refused(client, "data:image/png;base64,!", 422)
    assert refused(client, "data:image/png;base64,AAAA", 422).startswith("Task 7 ")
    assert "GARMENTSCOPE_LABEL_STUDIO" in refused(client, "/data/upload/1/a.jpg", 422)
    assert "not on the public internet" in refused(client, "http://127.0.0.1/a.jpg", 422)
    assert "tasks: " in refused(client, "", 422, tasks=[])
    assert "not XML" in refused(client, "", 422, label_config="<")
    answer = client.post("/label-studio/none/setup", json={})
    assert answer.status_code == 404 and "tiny" in answer.json()["detail"]


@pytest.fixture
def label_studio(photo: Make, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """A server that gives a photo to whoever has its key; the requests that it got."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(f"{self.path} {self.headers.get('Authorization')}")
            if self.path == "/data/elsewhere":
                self.send_response(302)
                self.send_header("Location", "http://127.0.0.1:1/")
                self.end_headers()
                return
            there = self.path != "/data/missing"
            self.send_response(200 if there else 404)
            self.end_headers()
            if there:
                self.wfile.write(photo(0))

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("GARMENTSCOPE_LABEL_STUDIO", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("GARMENTSCOPE_LABEL_STUDIO_KEY", "key")
        yield asked
        server.shutdown()
        thread.join()


def test_photos_of_the_label_studio_that_is_named(client: TestClient, label_studio: list[str]) -> None:
    wanted = {
        "tasks": [{"id": 7, "data": {"photo": "/data/upload/1/a.png"}}],
        "label_config": interface("BrushLabels", "Coat"),
    }
    assert client.post("/label-studio/tiny/predict", json=wanted).status_code == 200
    assert label_studio == ["/data/upload/1/a.png Token key"]
    assert "answered 404" in refused(client, "/data/missing", 503)
    assert "answered 302" in refused(client, "/data/elsewhere", 503)
    assert "port 1" in refused(client, "http://127.0.0.1:1/a.png", 422)
    for other in ("/api/users", "/data/../api/users", "/data/%2e%2e/api/users"):
        assert "not one of a photo in Label Studio" in refused(client, other, 422)
    assert "The address of the photo of task 7 is none" in refused(client, "http://[", 422)
