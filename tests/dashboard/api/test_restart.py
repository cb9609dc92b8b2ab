"""A job of the API outlives its server, whether that is stopped or killed."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from archive_rows import rows_of

from segmodels.archive.store import Archive

ROOT = Path(__file__).parents[3]
SERVE = "import sys; from dashboard.__main__ import serve; sys.exit(serve(['--port', '{port}']))"
PHOTOS = 60
WAIT = 120.0


@contextmanager
def served(environment: dict[str, str]) -> Iterator[tuple[httpx2.Client, subprocess.Popen[bytes]]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", SERVE.replace("{port}", str(port))]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    server = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **environment}, **quiet)
    try:
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=WAIT, trust_env=False) as client:
            until(lambda: answers(client))
            yield client, server
    finally:
        server.kill()
        server.wait(WAIT)


def answers(client: httpx2.Client) -> bool:
    try:
        return client.get("/health").status_code == 200
    except httpx2.HTTPError:
        return False


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(0.1)


def test_a_job_goes_on_after_a_stop_and_after_a_kill(
    tmp_path: Path, more_models: Path, photo: Callable[[int], bytes]
) -> None:
    settings = {"GARMENTSCOPE_MODELS": str(more_models), "GARMENTSCOPE_CACHE": str(tmp_path / "cache")}
    files = [("files", (f"look{number}.png", photo(number))) for number in range(PHOTOS)]
    waiting = tmp_path / "cache" / "jobs"
    with served(settings) as (client, server):
        begun = client.post("/archives/spring/photos", files=files, data={"model": "tiny"})
        assert begun.status_code == 202
        job = begun.json()["id"]
        assert (waiting / job / "job.json").is_file()
        server.terminate()
        assert server.wait(WAIT) in (0, -15), "it stops by itself"
    assert (waiting / job / "job.json").is_file(), "the job is there for the next run"
    with served(settings) as (client, server):
        until(lambda: client.get(f"/jobs/{job}").status_code == 200)
        server.kill()
    with served(settings) as (client, _):
        until(lambda: client.get(f"/jobs/{job}").json().get("phase") == "done")
        found = client.get(f"/jobs/{job}").json()
        assert found["added"] + found["known"] == PHOTOS and found["rejected"] == []
    assert not list(waiting.glob("*/photos"))
    names = rows_of(Archive(tmp_path / "cache" / "archives" / "spring"))["file_name"]
    assert sorted(names) == sorted(name for _, (name, _) in files)
