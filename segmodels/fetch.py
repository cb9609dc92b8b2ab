"""Fetching one file from an address that a stranger gave, without letting it reach what only this machine can reach.

A server that opens any address for anybody lends its place in the network (OWASP, "Server-Side Request Forgery"). So
only `http` and `https` on their usual ports are opened, and only at public addresses. The name is resolved once, all
its addresses are checked, and the connection goes to one of those: a second answer of the name server is never asked
for. Each redirect is a new address, checked in the same way. Size, time and number of redirects are limited. Proxies of
the environment are not used, as they would resolve the name again.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as WaitedTooLongError
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Literal, NamedTuple
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

from segmodels import __version__
from segmodels.errors import GarmentscopeError
from segmodels.photo import MAX_BYTES

__all__ = ["FETCH_SECONDS", "MAX_REDIRECTS", "FetchError", "Fetched", "addresses_of", "fetch"]

FETCH_SECONDS = 20.0
"""Seconds that a fetch may take in all, redirects included."""

MAX_REDIRECTS = 5
"""Most redirects that are followed."""

What = Literal["photo", "feed"]

_ACCEPT = {"photo": "image/*", "feed": "*/*"}
_EXAMPLES = {"photo": "https://example.org/look.jpg", "feed": "https://example.org/products.json"}
_PORTS = {"http": 80, "https": 443}
_TEMPORARY = frozenset({408, 429, 500, 502, 503, 504})
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BLOCK = 64 * 1024  # bytes of a read
_MAX_URL = 2048
_LONGEST_WAIT = 10_000_000.0  # seconds; a host that asks for more may mean anything
_COMPATIBLE = IPv6Network("::/96")  # RFC 4291, 2.5.5.1: deprecated, with an IPv4 address in the last 32 bits
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last 32 bits
_RESOLVERS = 4  # name servers can be slow, and a lookup cannot be interrupted: no more threads than these ever wait
_resolvers = ThreadPoolExecutor(_RESOLVERS, thread_name_prefix="resolve")

Address = IPv4Address | IPv6Address


class FetchError(GarmentscopeError, ValueError):
    """An address that is not opened, or a file that cannot be had from it; the message says why and what to do.

    Args:
        message: What went wrong, and what to do.
        is_temporary: Whether the same address may be opened a moment later: the host was not reached, was too slow, or
            answered with 408, 429, 500, 502, 503 or 504.
        retry_after: Seconds that the host asks to wait before the next try; None if it does not say.
    """

    def __init__(self, message: str, *, is_temporary: bool = False, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.is_temporary = is_temporary
        self.retry_after = retry_after


@dataclass(frozen=True)
class Fetched:
    """A file that was fetched.

    Args:
        name: File name: the last part of the address, or one made of the host's name.
        data: The file.
        url: Address that it came from in the end.
        content_type: Media type as the host names it, in lower case, without parameters; empty if it names none.
    """

    name: str
    data: bytes
    url: str
    content_type: str = ""


class _Place(NamedTuple):
    """An address taken apart and checked for all that can be seen without resolving its name."""

    url: str
    scheme: str
    host: str
    port: int
    target: str
    anywhere: bool
    what: What


def fetch(
    url: str,
    *,
    max_bytes: int = MAX_BYTES,
    seconds: float = FETCH_SECONDS,
    anywhere: bool = False,
    what: What = "photo",
) -> Fetched:
    """Fetches a file from the public internet.

    Args:
        url: Address, `http` or `https`, on the usual port, without user name and password.
        max_bytes: Most bytes that the file may have.
        seconds: Most seconds that all of it may take.
        anywhere: Whether private addresses and other ports are opened as well. Only for addresses that the owner of
            this machine gives, or has allowed.
        what: Kind of file that is wanted, for the header `Accept` and for messages.

    Raises:
        FetchError: If the address is not one of these or not public, the host refuses or does not answer in time, it
            answers with a web page, or the file is larger; the message is for the person who gave the address.
    """
    deadline = time.monotonic() + seconds
    place = _place(url, anywhere, what)
    for _ in range(MAX_REDIRECTS + 1):
        found = _ask(place, max_bytes, deadline, seconds)
        if isinstance(found, Fetched):
            return found
        place = found
    raise FetchError(f"{place.host} redirects more than {MAX_REDIRECTS} times. Give the address of the {what} itself.")


def _place(url: str, anywhere: bool, what: What) -> _Place:
    """Takes an address apart.

    Raises:
        FetchError: If it is no address that may be opened.
    """
    url = url.strip()
    if not url:
        raise FetchError(f"The address is empty. Give the address of a {what}, such as {_EXAMPLES[what]}.")
    if len(url) > _MAX_URL:
        raise FetchError(f"The address has {len(url):,} characters; the most are {_MAX_URL:,}.")
    if re.search(r"[\x00-\x20\x7f\\]", url):
        raise FetchError("The address has a space, a line break or a backslash in it. Copy it again.")
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
        target = _target(parts)
    except ValueError:
        raise FetchError(f"This is not an address. Give one such as {_EXAMPLES[what]}.") from None
    if parts.scheme not in _PORTS or not host:
        raise FetchError("Only addresses that begin with https:// or http:// can be opened. Copy one from the browser.")
    if parts.username is not None or parts.password is not None:
        raise FetchError("The address has a user name or a password in it. Give one that needs none.")
    if port not in (None, _PORTS[parts.scheme]) and not anywhere:
        raise FetchError(f"The address names port {port}. Only the usual ports of http and https are opened.")
    plain = parts._replace(fragment="").geturl()
    return _Place(plain, parts.scheme, host, port or _PORTS[parts.scheme], target, anywhere, what)


def _target(parts: SplitResult) -> str:
    """Path and query as they are sent, in ASCII."""
    kept = "%/:=&?~#+!$,;'@()*[]|"
    path = quote(parts.path or "/", safe=kept)
    return f"{path}?{quote(parts.query, safe=kept)}" if parts.query else path


def _ask(place: _Place, max_bytes: int, deadline: float, seconds: float) -> Fetched | _Place:
    """The file at a place, or the place that it redirects to."""
    try:
        with _connected(place, deadline) as connection:
            headers = {"Accept": _ACCEPT[place.what], "Accept-Encoding": "identity"}
            headers["User-Agent"] = f"Garmentscope/{__version__}"
            connection.request("GET", place.target, headers=headers)
            with closing(connection.getresponse()) as response:
                where = response.getheader("Location")
                if response.status in _REDIRECTS and where:
                    return _redirected(place, where)
                found = _read(place, response, max_bytes)
            if time.monotonic() >= deadline:  # a connection that was cut looks like the end of the file
                raise TimeoutError
            return found
    except FetchError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:  # ValueError: sizes that are no sizes
        if time.monotonic() >= deadline or isinstance(error, TimeoutError):
            raise FetchError(
                f"{place.host} took longer than {seconds:.0f} seconds. Save the {place.what} and add the file.",
                is_temporary=True,
            ) from None
        if isinstance(error, ssl.SSLError):
            raise FetchError(
                f"There is no secure connection to {place.host}. Save the {place.what} and add the file."
            ) from None
        raise FetchError(
            f"{place.host} could not be reached. Check the address, or save the {place.what} and add the file.",
            is_temporary=True,
        ) from None


def _redirected(place: _Place, where: str) -> _Place:
    """The place that a redirect leads to; addresses in UTF-8, as many hosts send them, are read as such."""
    with suppress(UnicodeError):
        where = where.encode("latin-1").decode()
    try:
        url = urljoin(place.url, where)
    except ValueError:
        raise FetchError(f"{place.host} redirects to {where[:200]}, which is not an address.") from None
    return _place(url, place.anywhere, place.what)


def _read(place: _Place, response: http.client.HTTPResponse, max_bytes: int) -> Fetched:
    if response.status != http.HTTPStatus.OK:
        reason = f"{response.status} {http.client.responses.get(response.status, '')}".rstrip()
        raise FetchError(
            f"{place.host} answers with {reason}. Check that the address opens without a login.",
            is_temporary=response.status in _TEMPORARY,
            retry_after=_retry_after(response.getheader("Retry-After", "")),
        )
    kind = response.getheader("Content-Type", "").partition(";")[0].strip().lower()
    if kind in ("text/html", "application/xhtml+xml"):
        raise FetchError(
            f"This address leads to a web page, not to a {place.what}. Open the {place.what} by itself and copy its "
            "address."
        )
    limit = f"more than the {max_bytes / 1024**2:.0f} MB allowed. Save a smaller copy and add the file."
    length = response.length or 0
    if length > max_bytes:
        raise FetchError(f"The file has {length / 1024**2:,.1f} MB, {limit}")
    blocks, size = [], 0
    while block := response.read(_BLOCK):
        blocks.append(block)
        size += len(block)
        if size > max_bytes:
            raise FetchError(f"The file has {limit}")
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)
    return Fetched(_name(place, kind), b"".join(blocks), place.url, kind)


def _retry_after(value: str) -> float | None:
    """Seconds of the header `Retry-After`: a number of them, or a date (RFC 9110, 10.2.3)."""
    if value.strip().isascii() and value.strip().isdigit():
        return min(float(value), _LONGEST_WAIT)
    with suppress(ValueError, TypeError, OverflowError):
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    return None


def _name(place: _Place, kind: str) -> str:
    """A plain file name for what a place gives."""
    last = unquote(urlsplit(place.url).path.rpartition("/")[2])
    plain = re.sub(r'[\x00-\x1f\x7f<>:"/\\|?*]+', "-", last).strip(" .-")[-100:]
    if plain:
        return plain
    subtype = kind.removeprefix("image/")
    return f"photo-from-{place.host}" + (f".{subtype}" if subtype.isalnum() and subtype != kind else "")


@contextmanager
def _connected(place: _Place, deadline: float) -> Iterator[http.client.HTTPConnection]:
    """A connection to one of the checked addresses, which is cut at the deadline, whatever it is doing."""
    addresses = _public_addresses(place, deadline)
    connection = http.client.HTTPConnection(place.host, place.port)
    with closing(connection), closing(_open_socket(addresses, place.port, deadline)) as plain:
        used: list[socket.socket] = [plain]  # the connection forgets its socket before the answer is read
        cut = threading.Timer(max(0.0, deadline - time.monotonic()), _cut, [used])
        cut.daemon = True
        cut.start()
        try:
            if place.scheme == "https":
                connection.default_port = _PORTS["https"]  # else the Host header names it
                context = ssl.create_default_context()
                secure = context.wrap_socket(plain, server_hostname=place.host, do_handshake_on_connect=False)
                used[0] = secure  # in place of the plain one, before the handshake, which can last as well
                with closing(secure):
                    if time.monotonic() >= deadline:
                        raise TimeoutError
                    secure.do_handshake()
                    connection.sock = secure
                    yield connection
            else:
                connection.sock = plain
                yield connection
        finally:
            cut.cancel()


def _cut(used: list[socket.socket]) -> None:
    with suppress(OSError):
        socket.socket.shutdown(used[0], socket.SHUT_RDWR)  # an encrypted one's own would go on in clear


def _open_socket(addresses: list[Address], port: int, deadline: float) -> socket.socket:
    """Connects to the first address that answers."""
    error: OSError = TimeoutError()
    for address in addresses:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            return socket.create_connection((str(address), port), timeout=left)
        except OSError as failed:
            error = failed
    raise error


def _public_addresses(place: _Place, deadline: float) -> list[Address]:
    """The addresses of a host, if all of them are public or any will do.

    Raises:
        FetchError: If one is not, or there is none.
    """
    lookup = _resolvers.submit(socket.getaddrinfo, place.host, None, type=socket.SOCK_STREAM)
    try:
        found = lookup.result(max(0.0, deadline - time.monotonic()))
    except WaitedTooLongError:
        lookup.cancel()
        raise TimeoutError from None
    except (OSError, UnicodeError):
        raise FetchError(f"There is no host {place.host}. Check the address.") from None
    addresses = list(dict.fromkeys(ip_address(str(each[4][0]).partition("%")[0]) for each in found))
    if not addresses or not (place.anywhere or all(map(_is_public, addresses))):
        raise FetchError(
            f"{place.host} is not on the public internet. Give the address of a {place.what} that anybody can open."
        )
    return addresses


def _is_public(address: Address) -> bool:
    """Whether an address, and the IPv4 address that it may carry inside, is one of the public internet."""
    inside: list[IPv4Address | None] = []
    if isinstance(address, IPv6Address):
        if address.is_site_local or address in _COMPATIBLE:
            return False
        inside = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
        if address in _NAT64:
            inside.append(IPv4Address(int(address) & 0xFFFFFFFF))
        if address.ipv4_mapped:
            return _is_public(address.ipv4_mapped)
    own = address.is_global and not (address.is_multicast or (address.version == 4 and address.is_reserved))
    return own and all(each is None or _is_public(each) for each in inside)


def addresses_of(host: str, seconds: float, *, private: bool = False) -> list[Address]:
    """The addresses of a host, for whoever connects by himself: to one of these, and without another lookup.

    Args:
        host: Name of the host, or an address.
        seconds: Most seconds that the lookup may take.
        private: Whether addresses may be private ones.

    Raises:
        FetchError: If there is no such host, or one of its addresses is not public.
        TimeoutError: If the lookup takes longer.
    """
    lookup = _resolvers.submit(socket.getaddrinfo, host, None, type=socket.SOCK_STREAM)
    try:
        found = lookup.result(seconds)
    except WaitedTooLongError:
        lookup.cancel()
        raise TimeoutError from None
    except (OSError, UnicodeError):
        raise FetchError(f"There is no host {host}. Check the address.") from None
    addresses = list(dict.fromkeys(ip_address(str(each[4][0]).partition("%")[0]) for each in found))
    if not addresses or not (private or all(map(_is_public, addresses))):
        raise FetchError(f"{host} is not on the public internet. Give a public address.")
    return addresses
