"""`garmentscope app` and `garmentscope serve`."""

import socket
from pathlib import Path

import pytest
import streamlit.web.cli
import uvicorn

from dashboard.__main__ import main, serve

ROOT = Path(__file__).parents[2]


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The arguments with which Streamlit was started."""
    started: list[list[str]] = []
    monkeypatch.setattr(streamlit.web.cli, "main", lambda arguments, **_: started.append(arguments))
    return started


def test_streamlit_serves_the_app(ran: list[list[str]]) -> None:
    assert main([]) == 0 and main(["--port", "8600"]) == 0
    app = str(ROOT / "dashboard" / "server.py")
    assert ran == [["run", app], ["run", app, "--server.port=8600"]]


@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_no_port(port: str, ran: list[list[str]], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--port", port])
    assert stopped.value.code == 2 and not ran
    assert "usage: garmentscope app" in capsys.readouterr().err


def test_the_api_alone(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    served: list[dict[str, object]] = []
    monkeypatch.setattr(uvicorn, "run", lambda app, **options: served.append(options))
    monkeypatch.setattr("dashboard.__main__._cannot_listen", lambda host, port: "")  # whoever has the port now
    assert serve([]) == 0 and serve(["--host", "0.0.0.0", "--port", "8600"]) == 0
    assert [(each["host"], each["port"]) for each in served] == [("127.0.0.1", 8501), ("0.0.0.0", 8600)]
    first, second = capsys.readouterr().out.split("everybody who reaches this machine may use the API.")
    assert "http://127.0.0.1:8501/api/v1" in first and "http://0.0.0.0:8600/api/v1" in second
    with pytest.raises(SystemExit):
        serve(["--port", "0"])


def test_limits_that_cannot_be_are_a_sentence(
    ran: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GARMENTSCOPE_API", "photos=0")
    assert main([]) == serve([]) == 2 and not ran
    assert capsys.readouterr().err.count("photos is a whole number from 1 to 256.\n") == 2


def test_the_settings_of_streamlit_go_with_the_app() -> None:
    """Streamlit reads them beside the script, so that they are also found where the package is installed."""
    beside = ROOT / "dashboard" / ".streamlit" / "config.toml"
    assert beside.resolve() == ROOT / ".streamlit" / "config.toml"


def test_where_nothing_can_listen_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert serve(["--port", str(port)]) == 2
    assert serve(["--host", "no such host"]) == 2
    taken, unknown = capsys.readouterr().err.splitlines()
    assert (
        taken
        == f"Nothing can listen at 127.0.0.1, port {port}: Address already in use. Choose another --host or --port."
    )
    assert unknown.startswith("Nothing can listen at no such host, port 8501: ") and "rrno" not in unknown
