"""Fetching, from servers of this machine that are made public for one test."""

import ipaddress
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from segmodels import fetch as fetching
from segmodels.fetch import FetchError, fetch

JPEG = b"\xff\xd8\xff" + bytes(1000)
Answer = Callable[[str, socket.socket], None]


def answer(head: str, body: bytes = b"", *, length: bool = True) -> bytes:
    lines = [f"HTTP/1.1 {head}", *([f"Content-Length: {len(body)}"] if length else []), "Connection: close"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Host:
    """A server that answers each path with what the test puts into `answers`, and notes what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, bytes | Answer] = {}
        self.asked: list[str] = []
        host = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                asked = b""
                while asked[:1] in b"G" and b"\r\n\r\n" not in asked and (part := self.request.recv(4096)):
                    asked += part
                if not asked.startswith(b"GET "):
                    return
                host.asked.append(asked.decode())
                found = host.answers[asked.decode().split(" ")[1]]
                if isinstance(found, bytes):
                    self.request.sendall(found)
                else:
                    found(asked.decode(), self.request)

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """A host that `photos.example` leads to, as if 127.0.0.1 and its port were those of the public internet."""
    host = Host()
    names = {"photos.example": "127.0.0.1", "inside.example": "10.0.0.7"}

    def resolve(name: str, *arguments: Any, **keywords: Any) -> list[Any]:
        if name not in names:
            raise socket.gaierror
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (names[name], 0))]

    monkeypatch.setattr(fetching, "_PORTS", {"http": host.port, "https": 443})
    monkeypatch.setattr(fetching.socket, "getaddrinfo", resolve)
    real = fetching._is_public
    monkeypatch.setattr(fetching, "_is_public", lambda address: str(address) == "127.0.0.1" or real(address))
    monkeypatch.setattr(
        fetching.socket, "create_connection", lambda place, timeout: _connect((str(place[0]), place[1]), timeout)
    )
    yield host
    host.server.shutdown()
    host.server.server_close()


def _connect(place: tuple[str, int], timeout: float) -> socket.socket:
    """Connects without resolving again."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.settimeout(timeout)
    sock.connect(place)
    return sock


def test_a_file_is_fetched_with_its_name(host: Host) -> None:
    host.answers["/looks/sp%C3%A4t%20im.jpg?w=9"] = answer("200 OK\r\nContent-Type: image/jpeg; q=1", JPEG)
    found = fetch(" http://photos.example/looks/spät%20im.jpg?w=9#top ")
    assert (found.name, found.data, found.content_type) == ("spät im.jpg", JPEG, "image/jpeg")
    assert "Host: photos.example" in host.asked[0] and "Accept: image/*" in host.asked[0]


def test_a_file_without_a_name_is_called_after_the_host(host: Host) -> None:
    host.answers["/"] = answer("200 OK\r\nContent-Type: image/webp", JPEG)
    assert fetch("http://photos.example").name == "photo-from-photos.example.webp"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("", "The address is empty."),
        ("look.jpg", "Only addresses that begin with https:// or http:// can be opened. Copy one from the browser."),
        (
            "file:///etc/passwd",
            "Only addresses that begin with https:// or http:// can be opened. Copy one from the browser.",
        ),
        (
            "ftp://example.org/a.jpg",
            "Only addresses that begin with https:// or http:// can be opened. Copy one from the browser.",
        ),
        (
            "http:///a.jpg",
            "Only addresses that begin with https:// or http:// can be opened. Copy one from the browser.",
        ),
        ("https://me:secret@example.org/a.jpg", "The address has a user name or a password in it."),
        ("https://example.org:22/a.jpg", "The address names port 22."),
        ("https://example.org:99999/a.jpg", "This is not an address."),
        ("https://[::1/a.jpg", "This is not an address."),
        ("https://example.org/\ud800.jpg", "This is not an address."),
        ("https://example.org/a.jpg\r\nX: y", "The address has a space, a line break or a backslash in it."),
        ("https://example.org\\@127.0.0.1/", "The address has a space, a line break or a backslash in it."),
        ("https://example.org/" + "a" * 3000, "The address has 3,020 characters; the most are 2,048."),
    ],
)
def test_an_address_that_is_not_opened_is_a_sentence(url: str, sentence: str) -> None:
    with pytest.raises(FetchError) as caught:
        fetch(url)
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.1", "0x7f000001", "2130706433", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1"),
        *("169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1", "localhost"),
        *(
            "[::1]",
            "[::]",
            "[fe80::1]",
            "[fc00::1]",
            "[fec0::1]",
            "[::7f00:1]",
            "[ff02::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:a00:1]",
        ),
        *("[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]", "[2002:7f00:1::]", "[2002:a00:1::1]"),
    ],
)
def test_addresses_that_are_not_public_are_never_connected_to(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching.socket, "create_connection", lambda *_, **__: pytest.fail("it was connected to"))
    with pytest.raises(FetchError, match=r"is not on the public internet|There is no host"):
        fetch(f"http://{host}/a.jpg")


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "64:ff9b::5db8:d70e"])
def test_addresses_that_are_public(address: str) -> None:
    assert fetching._is_public(ipaddress.ip_address(address))


def test_one_private_address_among_those_of_a_host_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, 0)) for each in ("93.184.215.14", "10.0.0.1")]
    monkeypatch.setattr(fetching.socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(FetchError, match=r"^two\.example is not on the public internet"):
        fetch("http://two.example/a.jpg")


def test_a_name_is_resolved_once_so_that_a_second_answer_changes_nothing(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter(["127.0.0.1", "10.0.0.7"])
    resolved = lambda *_, **__: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), 0))]  # noqa: E731
    monkeypatch.setattr(fetching.socket, "getaddrinfo", resolved)
    host.answers["/a.jpg"] = answer("200 OK", JPEG)
    assert fetch("http://photos.example/a.jpg").data == JPEG
    assert next(answers) == "10.0.0.7", "not asked for"


@pytest.mark.parametrize(
    ("to", "sentence"),
    [
        ("http://inside.example/secret", "inside.example is not on the public internet."),
        ("http://169.254.169.254/latest/meta-data", "There is no host 169.254.169.254."),
        (
            "file:///etc/passwd",
            "Only addresses that begin with https:// or http:// can be opened. Copy one from the browser.",
        ),
        ("http://photos.example:22/", "The address names port 22."),
        ("http://[::1", "photos.example redirects to http://[::1, which is not an address."),
    ],
)
def test_a_redirect_is_checked_as_the_address_was(host: Host, to: str, sentence: str) -> None:
    host.answers["/a.jpg"] = answer(f"302 Found\r\nLocation: {to}")
    with pytest.raises(FetchError) as caught:
        fetch("http://photos.example/a.jpg")
    assert str(caught.value).startswith(sentence)


def test_a_redirect_in_plain_letters_is_followed(host: Host) -> None:
    host.answers["/a.jpg"] = answer("302 Found\r\nLocation: /spät.jpg")
    host.answers["/sp%C3%A4t.jpg"] = answer("200 OK", JPEG)
    assert fetch("http://photos.example/a.jpg").name == "spät.jpg"


def test_a_feed_is_called_a_feed(host: Host) -> None:
    host.answers["/feed"] = answer("200 OK\r\nContent-Type: text/html", b"<p>")
    with pytest.raises(FetchError, match="leads to a web page, not to a feed"):
        fetch("http://photos.example/feed", what="feed")
    assert "Accept: */*" in host.asked[0]


def test_redirects_are_followed_five_times(host: Host) -> None:
    for number in range(6):
        host.answers[f"/{number}"] = answer(f"301 Moved\r\nLocation: {number + 1}")
    host.answers["/6"] = answer("200 OK", JPEG)
    assert fetch("http://photos.example/1").url == "http://photos.example/6"
    with pytest.raises(FetchError, match="redirects more than 5 times"):
        fetch("http://photos.example/0")


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        (answer("404 Not Found"), "photos.example answers with 404 Not Found."),
        (answer("200 OK\r\nContent-Type: text/html; charset=utf-8", b"<p>"), "This address leads to a web page"),
        (answer("200 OK", bytes(3 * 1024**2)), "The file has 3.0 MB, more than the 2 MB allowed."),
        (answer("200 OK", bytes(3 * 1024**2), length=False), "The file has more than the 2 MB allowed."),
        (answer("200 OK\r\nContent-Length: 5000", JPEG, length=False), "photos.example could not be reached."),
        (b"SSH-2.0-OpenSSH_9\r\n", "photos.example could not be reached."),
        (
            answer("200 OK\r\nTransfer-Encoding: chunked", b"-5\r\nabc", length=False),
            "photos.example could not be reached.",
        ),
    ],
    ids=["status", "page", "declared", "undeclared", "cut off", "not http", "negative length"],
)
def test_an_answer_without_a_photo_is_a_sentence(host: Host, sent: bytes, sentence: str) -> None:
    host.answers["/a.jpg"] = sent
    with pytest.raises(FetchError) as caught:
        fetch("http://photos.example/a.jpg", max_bytes=2 * 1024**2)
    assert str(caught.value).startswith(sentence)


def test_a_host_that_drips_is_left_at_the_deadline(host: Host) -> None:
    """Each byte comes in time, and all of them together do not; in the head of the answer as in the file."""

    def drip(asked: str, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n" if "/head" in asked else answer("200 OK", length=False))
        for _ in range(400):
            try:
                connection.sendall(b"X")
            except OSError:
                return
            time.sleep(0.02)

    host.answers |= {"/head": drip, "/body": drip}
    for path in host.answers:
        begun = time.monotonic()
        with pytest.raises(FetchError, match="photos.example took longer than 0 seconds"):
            fetch(f"http://photos.example{path}", seconds=0.3)
        assert time.monotonic() - begun < 3


def test_a_host_that_drips_its_handshake_is_left_at_the_deadline(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    class Dripping(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            try:
                self.request.sendall(b"\x16\x03\x03\x3f\xff")  # the head of a record of 16,383 bytes
                for _ in range(400):
                    self.request.sendall(b"X")
                    time.sleep(0.02)
            except OSError:
                return

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Dripping) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        monkeypatch.setattr(fetching, "_PORTS", {"http": 80, "https": server.server_address[1]})
        begun = time.monotonic()
        with pytest.raises(FetchError, match="photos.example took longer than 0 seconds"):
            fetch("https://photos.example/a.jpg", seconds=0.3)
        assert time.monotonic() - begun < 3
        server.shutdown()


def test_a_name_server_that_is_slow_is_left_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching.socket, "getaddrinfo", lambda *_, **__: time.sleep(0.6) or [])
    with pytest.raises(FetchError, match="slow.example took longer than 0 seconds"):
        fetch("http://slow.example/a.jpg", seconds=0.1)


def test_a_host_that_nobody_knows_is_a_sentence(host: Host) -> None:
    with pytest.raises(FetchError, match=r"^There is no host gone\.example\. Check the address\.$"):
        fetch("http://gone.example/a.jpg")


def test_https_goes_on_only_with_a_certificate(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "_PORTS", {"http": 80, "https": host.port})
    host.answers["/a.jpg"] = answer("200 OK", JPEG)
    with pytest.raises(FetchError, match=r"^There is no secure connection to photos\.example\."):
        fetch("https://photos.example/a.jpg")
