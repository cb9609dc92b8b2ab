"""What containers and services are started with."""

from __future__ import annotations

import configparser
import shlex
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
