"""What containers and services are started with."""

from __future__ import annotations

import configparser
import re
import shlex
import subprocess
import sys
import threading
from fnmatch import fnmatch
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import yaml

from dashboard import __main__ as commands

ROOT = Path(__file__).parents[2]


def test_the_compose_file_gives_the_container_little() -> None:
    services = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))["services"]
    assert set(services) == {"garmentscope", "garmentscope-gpu"} and services["garmentscope-gpu"]["profiles"] == ["gpu"]
    for each in services.values():
        assert each["read_only"] is True and each["user"] == "1000:1000" and each["cap_drop"] == ["ALL"]
        assert each["ports"] == ["127.0.0.1:8501:8501"] and each["healthcheck"]["test"][0] == "CMD"
        compile(each["healthcheck"]["test"][3], "healthcheck", "exec")
        writable = [volume for volume in each["volumes"] if not volume.endswith(":ro")]
        assert writable == ["data:/data"] and each["environment"]["GARMENTSCOPE_CACHE"] == "/data"
    for ignored in (".dockerignore", ".gitignore"):
        assert "secrets" in (ROOT / ignored).read_text("utf-8"), "no image and no commit has the client's secret"


def test_the_image_finds_all_that_it_copies_and_runs_as_nobody_special() -> None:
    lines = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ").splitlines()
    ignored = [each for each in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if each]
    copied = [each.split()[2:-1] for each in lines if each.startswith("COPY --chown=user ")]
    assert [*copied[0], "."] == ["pyproject.toml", "requirements-app.lock", "README.md", "LICENSE", *copied[1]]
    for name in copied[0]:
        assert (ROOT / name).is_file() and not any(fnmatch(name, pattern) for pattern in ignored)
    for name in ("segmodels", "dashboard", "train", ".streamlit", "segmodels/embedded", "dashboard/data"):
        assert (ROOT / name).is_dir()
        assert not any(fnmatch(name, pattern) for pattern in ignored), "the app needs it"
    users = [each for each in lines if each.startswith(("USER ", "CMD "))]
    assert users[-2] == "USER user" and users[-1].startswith("CMD "), "what is served is not run as root"


@pytest.mark.parametrize("base", ["", "/garments"])
def test_the_health_checks_tell_a_server_that_works_from_one_that_does_not(
    base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the image and of Compose, run as they stand, against addresses that the app has."""
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    checks = [(compose["services"]["garmentscope"]["healthcheck"]["test"][3], f"{base}/api/v1/health")]
    if not base:
        (image,) = re.findall(r'HEALTHCHECK .*?"(.+?)"', (ROOT / "Dockerfile").read_text("utf-8"), re.DOTALL)
        checks.append((image, "/_stcore/health"))
    asked: list[str] = []
    answers: list[int] = []  # status of the next ones

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(answers.pop())
            self.end_headers()

        def log_message(self, format: str, *arguments: object) -> None: ...

    monkeypatch.setenv("GARMENTSCOPE_BASE_PATH", base)
    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for code, address in checks:
            here = code.replace("127.0.0.1:8501", f"127.0.0.1:{server.server_port}")
            assert here != code
            for status, fails in ((200, False), (503, True)):
                answers.append(status)
                done = subprocess.run([sys.executable, "-I", "-c", here], check=False, timeout=30, capture_output=True)
                assert bool(done.returncode) == fails and asked[-1] == address
        server.shutdown()


def test_compose_names_what_it_uses() -> None:
    """What `docker compose config` would refuse first: unknown keys, and volumes that nobody declares."""
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))
    known = {
        "build",
        "restart",
        "ports",
        "env_file",
        "environment",
        "volumes",
        "user",
        "read_only",
        "tmpfs",
        "cap_drop",
    }
    known |= {"security_opt", "stop_grace_period", "healthcheck", "profiles", "deploy"}
    assert {key for key in compose if not key.startswith("x-")} == {"services", "volumes"}
    for each in compose["services"].values():
        assert set(each) <= known
        named = {volume.split(":")[0] for volume in each["volumes"] if not volume.startswith((".", "/"))}
        assert named <= set(compose["volumes"])
        assert set(each["healthcheck"]) <= {"test", "interval", "timeout", "start_period"}
        grace, stop = int(each["stop_grace_period"].removesuffix("s")), commands._STOP_SECONDS
        assert grace > stop, "Docker would kill it while photos are finished"


@pytest.mark.parametrize("file", ["Dockerfile", "garmentscope.service"])
def test_what_is_started_is_a_command(file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from streamlit.web import cli

    ran: list[list[str]] = []
    monkeypatch.setattr(cli, "main", lambda arguments, **_: ran.append(arguments))
    if file == "Dockerfile":
        (line,) = (each for each in (ROOT / file).read_text("utf-8").splitlines() if each.startswith("CMD "))
        command = yaml.safe_load(line.removeprefix("CMD "))
        assert command[:3] == ["python", "-m", "dashboard"]
        arguments, host = command[3:], "0.0.0.0"
    else:
        unit = configparser.RawConfigParser(strict=False)
        unit.read(ROOT / "dashboard" / file)
        command = shlex.split(unit["Service"]["ExecStart"])
        assert command[1] == "app" and unit["Service"]["User"] == "garmentscope"
        assert int(unit["Service"]["TimeoutStopSec"]) > commands._STOP_SECONDS
        arguments, host = command[2:], "127.0.0.1"
    assert commands.main(arguments) == 0
    assert f"--server.address={host}" in ran[0] and "--server.port=8501" in ran[0]
