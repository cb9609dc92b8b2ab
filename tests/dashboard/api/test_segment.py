"""`POST /segment`: what is sent, what comes back, and what is refused."""

from __future__ import annotations

import base64
import io
import struct
import threading
import time
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from starlette.testclient import TestClient

from dashboard.api import waiting
from dashboard.api.limits import Limits
from segmodels.archive.rows import photo_id
from segmodels.fetch import Fetched, FetchError
from segmodels.inference.segmentation import Segmentation
from segmodels.inference.segmenter import Segmenter

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools
Make = Callable[[int], bytes]


@pytest.fixture
def found(segmenter: Segmenter, photo: Make) -> Segmentation:
    """What the network finds in the first photo."""
    return segmenter.segment(photo(0))


def like(answer: dict[str, Any], found: Segmentation, name: str, data: bytes) -> bool:
    """Whether an answer is the command line's JSON, but for the time."""
    return answer | {"seconds": 0} == found.to_json(name, photo_id(data)) | {"seconds": 0}


def test_the_answer_is_the_command_lines(client: TestClient, photo: Make, found: Segmentation) -> None:
    options = {"model": "tiny"}
    form = client.post("/segment", files={"photo": ("a.png", photo(0))}, data=options)
    assert form.status_code == 200 and like(form.json(), found, "a.png", photo(0)) and form.json()["garments"]
    raw = client.post(
        "/segment", content=photo(0), headers={"Content-Type": "image/png"}, params=options | {"name": "street/b"}
    )
    assert raw.status_code == 200 and like(raw.json(), found, "b", photo(0))


def test_several_photos_and_one_that_is_none(client: TestClient, photo: Make, found: Segmentation) -> None:
    files = [
        ("photos", ("a.png", photo(0))),
        ("photos", ("notes.txt", b"no photo")),
        ("photos", ("../c.png", photo(1))),
    ]
    files.append(("photos", ("empty.png", b"")))
    results = client.post("/segment", files=files, data={"model": "tiny"}).json()["results"]
    assert results[3]["problem"]["detail"].startswith("empty.png is empty")
    assert like(results[0], found, "a.png", photo(0)) and results[2]["photo"] == "c.png"
    assert results[1]["photo"] == "notes.txt" and results[1]["problem"]["type"] == "/api/v1/problems/unreadable-photo"
    assert results[1]["problem"]["detail"].startswith("notes.txt is text, not a photo.")


def test_the_class_map_by_accept(client: TestClient, photo: Make, found: Segmentation) -> None:
    answer = client.post("/segment?model=tiny", files={"photo": photo(0)}, headers={"Accept": "image/png, */*;q=0.1"})
    assert answer.headers["content-type"] == "image/png"
    assert (np.asarray(Image.open(io.BytesIO(answer.content))) == found.class_map).all()
    assert client.post(
        "/segment?model=tiny", files={"photo": photo(0)}, headers={"Accept": "text/html, */*;q=0.1"}
    ).json()
    refused = client.post("/segment?model=tiny", files={"photo": photo(0)}, headers={"Accept": "text/html"})
    assert refused.status_code == 406 and "image/png" in refused.json()["detail"]


@pytest.mark.parametrize("where", ["params", "data"])
def test_masks(client: TestClient, photo: Make, found: Segmentation, where: str) -> None:
    def ask(masks: str) -> dict[str, Any]:
        options: dict[str, Any] = {where: {"masks": masks, "model": "tiny"}}
        answer: dict[str, Any] = client.post("/segment", files={"photo": photo(0)}, **options).json()
        return answer

    class_map = Image.open(io.BytesIO(base64.b64decode(ask("png")["class_map"])))
    assert (np.asarray(class_map) == found.class_map).all()
    runs, polygons = ask("rle"), ask("polygons")
    assert len(runs["garments"]) == len(found.garments) > 0
    for row, drawn, garment in zip(runs["garments"], polygons["garments"], found.garments, strict=True):
        mask = found.mask(garment)
        assert (coco_mask.decode(row["segmentation"]) == mask).all()
        outlined = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(drawn["segmentation"], *mask.shape)))
        assert outlined.sum() > 0 and (outlined != mask).mean() < 0.05
    assert not any("segmentation" in row for row in ask("none")["garments"])


def bomb() -> bytes:
    """A PNG of some hundred bytes that declares ten billion pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")


def refusal(answer: Any, status: int, kind: str) -> str:
    """The sentence of a problem, once its form is right."""
    body = answer.json()
    assert answer.status_code == status == body["status"], body
    assert answer.headers["content-type"] == "application/problem+json"
    assert body["type"] == f"/api/v1/problems/{kind}" and body["title"]
    assert "Traceback" not in answer.text and "/work" not in answer.text and ".py" not in answer.text
    return str(body["detail"])


def test_what_is_no_photo(client: TestClient, photo: Make) -> None:
    def send(content: bytes, kind: str = "image/png", **options: str) -> Any:
        return client.post(
            "/segment", content=content, headers={"Content-Type": kind}, params={"model": "tiny"} | options
        )

    assert "pixels" in refusal(send(bomb()), 422, "unreadable-photo")
    assert refusal(send(photo(0)[:900]), 422, "unreadable-photo").startswith("photo is ")
    assert refusal(send(b"PK\x03\x04" + bytes(99)), 422, "unreadable-photo").startswith("photo is a ZIP archive")
    assert "no photo" in refusal(send(b""), 422, "invalid-request")
    assert "multipart" in refusal(send(photo(0), "text/plain"), 415, "unsupported-media-type")
    assert "fpn" in refusal(send(photo(0), model="none"), 404, "unknown-model")
    assert "none, png" in refusal(
        client.post("/segment", files={"photo": photo(0)}, data={"masks": "svg"}), 422, "invalid-request"
    )
    assert refusal(send(photo(0), masks="svg"), 422, "invalid-request").startswith("masks: ")
    assert "'image'" in refusal(client.post("/segment", files={"image": photo(0)}), 422, "invalid-request")
    both = [("photo", photo(0)), ("photos", photo(0))]
    assert "or several" in refusal(client.post("/segment", files=both), 422, "invalid-request")
    torn = client.post("/segment", content=b"--x\r\n", headers={"Content-Type": "multipart/form-data"})
    assert "form" in refusal(torn, 422, "invalid-request")


def test_too_much_at_once(open_api: Callable[[Limits], TestClient], photo: Make) -> None:
    client = open_api(Limits(photos=2))
    files = [("photos", photo(number)) for number in range(3)]
    assert "2 files" in refusal(client.post("/segment", files=files), 413, "too-large")
    urls = {"urls": [f"https://example.org/{number}.jpg" for number in range(3)]}
    assert "2 photos" in refusal(client.post("/segment", json=urls), 413, "too-large")
    large = bytes(42 * 1024**2)
    kind = {"Content-Type": "image/png"}
    assert "40" in refusal(client.post("/segment", content=large, headers=kind), 413, "too-large")
    parts = (large[: 1024**2] for _ in range(42))  # without a length
    assert "40" in refusal(client.post("/segment", content=parts, headers=kind), 413, "too-large")
    body = b'{"tasks": [{"data": {"a": "' + large + b'"}}]}'
    json_kind = {"Content-Type": "application/json"}
    for content in (body, iter([body[: 30 * 1024**2], body[30 * 1024**2 :]])):
        answer = client.post("/label-studio/predict", content=content, headers=json_kind)
        assert "40" in refusal(answer, 413, "too-large")
    one = client.post("/segment?model=tiny", content=large[: 21 * 1024**2], headers=kind)
    assert "20 MB" in refusal(one, 422, "unreadable-photo")


def test_photos_by_their_address(
    client: TestClient, photo: Make, found: Segmentation, monkeypatch: pytest.MonkeyPatch
) -> None:
    for url in ("http://127.0.0.1/a.jpg", "http://[::1]/a.jpg", "http://169.254.169.254/latest", "file:///etc/passwd"):
        refusal(client.post("/segment?model=tiny", json={"url": url}), 422, "unreachable-photo")
    assert '{"url"' in refusal(client.post("/segment", json={"photo": "a"}), 422, "invalid-request")

    def fetch(url: str, seconds: float) -> Fetched:
        assert 0 < seconds <= 20
        if "missing" in url:
            raise FetchError("example.org answers with 404 Not Found.")
        return Fetched("look.png", photo(0), url)

    monkeypatch.setattr(waiting, "fetch", fetch)
    assert like(
        client.post("/segment?model=tiny", json={"url": "https://example.org/a"}).json(), found, "look.png", photo(0)
    )
    wanted = {"urls": ["https://example.org/a"], "model": "tiny", "masks": "png"}
    (several,) = client.post("/segment?model=none", json=wanted).json()["results"]
    assert several.pop("class_map") and like(several, found, "look.png", photo(0))
    for more, sentence in ({"mask": "png"}, "mask: Extra"), ({"masks": "svg"}, "masks: Input"):
        refused = client.post("/segment", json={"url": "https://example.org/a"} | more)
        assert sentence in refusal(refused, 422, "invalid-request")
    missing = client.post("/segment?model=tiny", json={"url": "https://example.org/missing"})
    assert refusal(missing, 422, "unreachable-photo") == "example.org answers with 404 Not Found."


def test_several_addresses_are_fetched_side_by_side_within_one_deadline(
    open_api: Callable[[Limits], TestClient], photo: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    together = threading.Barrier(8)

    def fetch(url: str, seconds: float) -> Fetched:
        if "slow" in url:
            time.sleep(1.5)
        elif "large" in url:
            return Fetched("look.png", bytes(20 * 1024**2), url)
        else:
            together.wait(20)
        return Fetched("look.png", photo(0), url)

    monkeypatch.setattr(waiting, "fetch", fetch)
    client = open_api(Limits(seconds=60))
    eight = {"urls": [f"https://example.org/{number}" for number in range(8)]}
    assert len(client.post("/segment?model=tiny", json=eight).json()["results"]) == 8
    large = {"urls": [f"https://example.org/large/{number}" for number in range(4)]}
    assert "64 MB together" in refusal(client.post("/segment?model=tiny", json=large), 413, "too-large")
    slow = {"urls": [f"https://example.org/slow/{number}" for number in range(16)]}
    started = time.perf_counter()
    refusal(open_api(Limits(seconds=1)).post("/segment?model=tiny", json=slow), 503, "took-too-long")
    assert time.perf_counter() - started < 1.5


def test_a_parameter_that_is_none_is_named(client: TestClient, photo: Make) -> None:
    """mask=rle was an answer without masks."""
    answer = client.post("/segment?mask=rle", content=photo(0), headers={"Content-Type": "image/jpeg"})
    assert answer.status_code == 422
    assert answer.json()["detail"] == "There is no parameter 'mask'. There are masks, model, name."
    answer = client.post("/segment", files={"photo": photo(0)}, data={"mask": "rle"})
    assert answer.json()["detail"] == "There is no field 'mask'. There are photo or photos, and model, masks."


def test_a_photo_that_is_sent_as_text_or_not_at_all(client: TestClient) -> None:
    """`curl -F photo=outfit.jpg`, without @, was told that there is no field photo."""
    for field in ("photo", "photos"):
        text = client.post("/segment", files={field: (None, "outfit.jpg")})
        assert f"-F {field}=@outfit.jpg" in refusal(text, 422, "invalid-request")
    part = b'--x\r\nContent-Disposition: form-data; name="photo"; filename=""\r\n\r\n\r\n--x--\r\n'
    nothing = client.post("/segment", content=part, headers={"Content-Type": "multipart/form-data; boundary=x"})
    assert "no photo" in refusal(nothing, 422, "invalid-request")
