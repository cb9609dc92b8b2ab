"""Back pressure, the time limit, and callers who leave: a queue whose photos wait at a gate that the test opens."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.testclient import TestClient

from dashboard.api import application, archives, together
from dashboard.api.admission import Admission
from dashboard.api.application import create_api
from dashboard.api.limits import Limits
from dashboard.api.problems import ProblemError
from dashboard.shared.inference_queue import InferenceQueue

Make = Callable[[int], bytes]
WAIT = 60.0


class Gate:
    """A queue of one slot whose photos wait until the gate opens."""

    def __init__(self) -> None:
        self.queue = InferenceQueue(1)
        self.began = threading.Semaphore(0)
        self.photos: list[str] = []
        self._open = threading.Event()

    def found(self, segmenter: object, photo: Any, result: object) -> dict[str, str]:
        self.photos.append(photo.name)
        self.began.release()
        assert self._open.wait(WAIT)
        return {"photo": photo.name}

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch, open_api: object) -> Iterator[Gate]:
    made = Gate()
    monkeypatch.setattr(together, "_found", made.found)
    monkeypatch.setattr(application.networks, "flow", made.queue.flow)
    yield made
    made.open()
    made.queue.close()


def in_background(work: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(work()))
    thread.start()
    return thread, answers


def run(work: Coroutine[Any, Any, object]) -> None:
    """Runs it in a thread of its own: a browser that is open has an event loop in that of the tests."""
    with ThreadPoolExecutor(1) as executor:
        executor.submit(asyncio.run, work).result()


def test_too_much_waits(gate: Gate, open_api: Callable[[Limits], TestClient], photo: Make) -> None:
    client = open_api(Limits(photos=2, waiting=2))
    files = [("photos", ("a.png", photo(0))), ("photos", ("b.png", photo(1)))]
    thread, answers = in_background(lambda: client.post("/segment?model=tiny", files=files))
    assert gate.began.acquire(timeout=WAIT)
    refused = client.post("/segment?model=tiny", files=files[:1])
    body = refused.json()
    assert refused.status_code == 429 and body["type"] == "/api/v1/problems/too-many-requests"
    assert 1 <= int(refused.headers["retry-after"]) <= 60 and refused.headers["retry-after"] in body["detail"]
    gate.open()
    thread.join(WAIT)
    assert answers[0].json() == {"results": [{"photo": "a.png"}, {"photo": "b.png"}]}
    assert client.post("/segment?model=tiny", files=files).status_code == 200


def test_slow_questions_to_archives_stop_no_photo(
    open_api: Callable[[], TestClient], photo: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, slow, began = open_api(), threading.Event(), threading.Semaphore(0)

    def wait() -> list[object]:
        began.release()
        assert slow.wait(WAIT)
        return []

    monkeypatch.setattr(archives, "readable_archives", lambda who: wait())
    asking = [in_background(lambda: client.get("/archives")) for _ in range(8)]
    assert began.acquire(timeout=WAIT) and began.acquire(timeout=WAIT)
    assert client.post("/segment?model=tiny", files={"photo": photo(0)}).status_code == 200
    assert client.get("/models").status_code == 200 and not any(answers for _, answers in asking)
    slow.set()
    for thread, answers in asking:
        thread.join(WAIT)
        assert answers[0].json() == []


def test_an_answer_has_its_time(gate: Gate, open_api: Callable[[Limits], TestClient], photo: Make) -> None:
    client = open_api(Limits(seconds=1))
    late = client.post("/segment?model=tiny", files={"photo": photo(0)})
    assert late.status_code == 503 and late.json()["type"] == "/api/v1/problems/took-too-long"
    assert "1 s" in late.json()["detail"] and late.headers["retry-after"] == "10"
    assert client.get("/health").json()["status"] == "ok"


def test_the_photos_of_a_caller_who_leaves_are_dropped(gate: Gate, photo: Make) -> None:
    """The first is in work and is finished; the second waits and is never begun."""
    api = create_api(Limits())
    left = asyncio.Event()
    body = b"".join(
        b'--x\r\nContent-Disposition: form-data; name="photos"; filename="%s"\r\n\r\n' % name + photo(0) + b"\r\n"
        for name in (b"a.png", b"b.png")
    )
    messages: list[dict[str, Any]] = [{"type": "http.request", "body": body + b"--x--\r\n", "more_body": False}]
    sent: list[Any] = []

    async def receive() -> Any:
        if messages:
            return messages.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    async def visit() -> None:
        headers = [(b"content-type", b"multipart/form-data; boundary=x")]
        scope = {
            "type": "http",
            "method": "POST",
            "path": "/segment",
            "query_string": b"model=tiny",
            "headers": headers,
        }
        asking = asyncio.create_task(api(scope | {"client": ("caller", 1), "root_path": ""}, receive, send))
        assert await asyncio.to_thread(gate.began.acquire, timeout=WAIT)
        assert api.state.admission.waiting == 2 and gate.queue.load() == (1, 1)
        left.set()
        await asyncio.wait_for(asking, WAIT)

    run(visit())
    assert gate.queue.load() == (0, 1) and api.state.admission.waiting == 0 and not sent
    gate.open()
    gate.queue.close(WAIT)
    assert gate.photos == ["a.png"]


@pytest.mark.parametrize("path", ["/segment", "/archives/spring/photos", "/label-studio/predict"])
def test_a_request_has_its_time_to_arrive(path: str) -> None:
    api = create_api(Limits(arrival=1))
    parts = iter([{"type": "http.request", "body": b"--x", "more_body": True}])
    sent: list[Any] = []

    async def receive() -> Any:
        for part in parts:
            return part
        await asyncio.sleep(WAIT)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    kind = b"application/json" if "label" in path else b"multipart/form-data; boundary=x"
    headers = [(b"content-type", kind), (b"host", b"localhost")]
    scope = {"type": "http", "method": "POST", "path": path, "query_string": b"", "headers": headers, "root_path": ""}
    run(asyncio.wait_for(api(scope | {"client": ("127.0.0.1", 1)}, receive, send), WAIT / 2))
    assert sent[0]["status"] == 408 and b"too-slow" in sent[1]["body"] and b"within 1 s" in sent[1]["body"]
    assert api.state.admission.waiting == 0


def test_callers_take_turns() -> None:
    queue, order, gate = InferenceQueue(1), list[str](), threading.Event()
    admission = Admission(queue.flow, most=10, most_of_one=5)
    with admission.enter("first", 3) as one, admission.enter("first", 1) as again, admission.enter("second") as other:
        waits = one.submit(gate.wait, WAIT)
        futures = [one.submit(order.append, name) for name in ("1a", "1b")]
        futures += [again.submit(order.append, "1c"), other.submit(order.append, "2a")]
        gate.set()
        for future in (waits, *futures):
            future.result(WAIT)
    assert order in (["2a", "1a", "1b", "1c"], ["1a", "2a", "1b", "1c"])
    assert admission.waiting == 0
    queue.close()


def test_a_caller_has_a_share() -> None:
    admission = Admission(InferenceQueue(1).flow, most=4, most_of_one=2)
    with admission.enter("first", 2) as ticket:
        with pytest.raises(ProblemError) as larger:
            admission.add("first", ticket, 1)
        with pytest.raises(ProblemError) as more, admission.enter("first"):
            pass
        assert (larger.value.kind, more.value.kind, admission.waiting) == ("too-large", "too-many-requests", 2)
        with admission.enter("second", 2), pytest.raises(ProblemError), admission.enter("third"):
            pass
        with pytest.raises(ProblemError) as never, admission.enter("third", 3):
            pass
        assert never.value.kind == "too-large" and "2 photos" in never.value.detail
    with admission.enter("first", 2):
        pass


def test_a_caller_has_a_minute() -> None:
    times = [0.0]
    admission = Admission(InferenceQueue(1).flow, 9, 9, in_a_minute=3, now=lambda: times[0])
    with admission.enter("first", 3):
        pass
    times[0] = 18.5
    with pytest.raises(ProblemError, match="3 photos a minute") as refused, admission.enter("first"):
        pass
    assert refused.value.headers == {"Retry-After": "42"} and admission.waiting == 0
    with admission.enter("second"):
        pass
    times[0] = 60.0
    with admission.enter("first", 3):
        pass


def test_a_caller_has_megapixels() -> None:
    times = [0.0]
    admission = Admission(InferenceQueue(1).flow, 9, 9, megapixels=20, now=lambda: times[0])
    for pixels in (12_000_000, 12_000_000):
        with admission.enter("first"):
            admission.note_pixels("first", pixels)
    admission.note_pixels("nobody", 1)
    with pytest.raises(ProblemError, match="20 megapixels a minute") as refused, admission.enter("first"):
        pass
    assert refused.value.headers == {"Retry-After": "60"}
    with admission.enter("second"):
        pass
    times[0] = 60.0
    with admission.enter("first"):
        pass


def test_a_server_that_stops_says_so() -> None:
    queue = InferenceQueue(1)
    admission = Admission(queue.flow, most=1, most_of_one=1)
    queue.close()
    with admission.enter("first") as ticket, pytest.raises(ProblemError, match="stopping"):
        ticket.submit(print)
