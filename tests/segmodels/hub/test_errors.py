"""A network that stands in between: proxies and certificates, by the real client."""

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import huggingface_hub
import pytest
from hub_server import HubServer

from segmodels.__main__ import main

VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture(autouse=True)
def _own_environment(hub: HubServer, models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.setenv("GARMENTSCOPE_HUB", "atelier")
    huggingface_hub.close_session()
    yield
    huggingface_hub.close_session()


def listing(capsys: pytest.CaptureFixture[str]) -> str:
    """What `models` complains of; the models that are here must be listed all the same."""
    assert main(["models"]) == 0
    captured = capsys.readouterr()
    assert "tiny" in [line.split()[0] for line in captured.out.splitlines()]
    (sentence,) = captured.err.strip().splitlines()
    return sentence


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        (
            "ALL_PROXY",
            "socks5://ann:secret@127.0.0.1:9",
            "ALL_PROXY names a SOCKS proxy, for which the package socksio",
        ),
        ("https_proxy", "socks4://127.0.0.1:9", "https_proxy does not name a proxy that can be used"),
        (
            "HTTP_PROXY",
            "ftp://ann:secret@x",
            "HTTP_PROXY does not name a proxy that can be used. Write http://host:port",
        ),
        ("http_proxy", "http://x:port", "http_proxy does not name a proxy that can be used"),
        ("SSL_CERT_FILE", "/nowhere/ca.pem", "SSL_CERT_FILE does not name certificates that can be read"),
    ],
)
def test_a_variable_that_names_nothing_usable(
    name: str, value: str, sentence: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    said = listing(capsys)
    assert said.startswith(sentence) and "secret" not in said and "unset" in said


def test_certificates_that_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert listing(capsys).startswith("SSL_CERT_FILE does not name certificates that can be read.")


@pytest.fixture
def reading_along(tmp_path: Path) -> Iterator[str]:
    """Address of a server whose certificate nobody has signed, as that of a proxy that intercepts TLS."""
    if not (openssl := shutil.which("openssl")):
        pytest.skip("there is no openssl to make a certificate")
    files = [str(tmp_path / "key.pem"), str(tmp_path / "cert.pem")]
    make = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    subprocess.run(
        [*make, "-addext", "subjectAltName=DNS:localhost", "-keyout", files[0], "-out", files[1]],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files[1], files[0])
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                with suppress(OSError), context.wrap_socket(connection, server_side=True) as stream:
                    stream.recv(1000)

    threading.Thread(target=serve, daemon=True).start()
    yield f"https://localhost:{server.getsockname()[1]}"
    server.close()


def test_a_proxy_that_reads_along(
    reading_along: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", reading_along)
    said = listing(capsys)
    assert said.startswith("The certificate of localhost is not trusted (self-signed certificate)")
    assert "SSL_CERT_FILE" in said


def test_a_proxy_that_wants_a_password(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection:
                    connection.recv(1000)
                    connection.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")

    threading.Thread(target=serve, daemon=True).start()
    monkeypatch.setenv("HTTPS_PROXY", f"http://ann:secret@127.0.0.1:{server.getsockname()[1]}")
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.example")
    said = listing(capsys)
    server.close()
    assert (
        said.startswith("The proxy did not pass the request to hub.example on. Check HTTPS_PROXY")
        and "secret" not in said
    )
