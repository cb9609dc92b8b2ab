"""A small web server of this machine, whose paths behave as hosts of photos do: busy, slow, cut off, missing."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class PhotoServer:
    """Answers each path with a file, or with what a function does with the request; notes what was asked.

    Attributes:
        files: File, or function, by path.
        asked: Number of requests by path.
        agents: User agents that asked.
        most_at_once: Most requests that were answered at once.
    """

    def __init__(self, port: int) -> None:
        self.address = f"http://127.0.0.1:{port}"
        self.files: dict[str, bytes | Callable[[BaseHTTPRequestHandler], None]] = {}
        self.asked: Counter[str] = Counter()
        self.agents: set[str] = set()
        self.most_at_once = 0
        self.now = 0
        self.lock = threading.Lock()


@contextmanager
def running_photos() -> Iterator[PhotoServer]:
    """Serves photos until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            with host.lock:
                host.asked[self.path] += 1
                host.agents.add(self.headers.get("User-Agent", ""))
                host.now += 1
                host.most_at_once = max(host.most_at_once, host.now)
            try:
                found = host.files.get(self.path)
                if callable(found):
                    found(self)
                elif found is None:
                    status(self, 404)
                else:
                    answer(self, found)
            except OSError:  # the client went away
                pass
            finally:
                with host.lock:
                    host.now -= 1

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    host = PhotoServer(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def answer(request: BaseHTTPRequestHandler, data: bytes, kind: str = "image/jpeg", length: int | None = None) -> None:
    request.send_response(200)
    request.send_header("Content-Type", kind)
    request.send_header("Content-Length", str(len(data) if length is None else length))
    request.end_headers()
    request.wfile.write(data)


def status(request: BaseHTTPRequestHandler, number: int, **headers: str) -> None:
    request.send_response(number)
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    request.send_header("Content-Length", "0")
    request.end_headers()


def slow(seconds: float, data: bytes) -> Callable[[BaseHTTPRequestHandler], None]:
    def run(request: BaseHTTPRequestHandler) -> None:
        time.sleep(seconds)
        answer(request, data)

    return run


def busy(times: int, data: bytes, number: int = 429, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    """Refuses the first requests, then gives the file."""
    left = [times]

    def run(request: BaseHTTPRequestHandler) -> None:
        if left[0]:
            left[0] -= 1
            status(request, number, **headers)
        else:
            answer(request, data)

    return run
