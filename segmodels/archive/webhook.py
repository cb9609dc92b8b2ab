"""Sending alerts to an address that the owner of an archive set, as signed JSON.

The requests are those of Standard Webhooks (https://www.standardwebhooks.com): the headers `webhook-id`,
`webhook-timestamp` and, with a secret, `webhook-signature`, which is `v1,` and the base64 of the HMAC-SHA256 of
`id.timestamp.body`. Only public addresses on the usual ports are opened, unless `GARMENTSCOPE_WEBHOOKS` is `private`: a
server that opens any address for anybody lends its place in the network. The name is resolved once, and the connection
goes to an address that was checked. Redirects are not followed, and proxies of the environment are not used.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from segmodels.archive.changes import WEBHOOK, changing, note, visible_parts
from segmodels.archive.log import LogEntry
from segmodels.archive.place import ArchiveError, Place
from segmodels.fetch import FetchError, addresses_of
from segmodels.files import parse_json
from segmodels.sentences import first_line
from segmodels.settings import read_settings

__all__ = ["SECONDS", "Webhook", "deliver", "forget_webhook", "read_webhook", "send_test", "set_webhook", "signature"]

SECONDS = 5.0
"""Seconds that one attempt may take."""

_PAUSES = (0.5, 2.0)  # seconds before the second and the third attempt
_PORTS = {"http": 80, "https": 443}
_MOST_URL = 2000
_MOST_SECRET = 200
_MOST_FILE = 64_000  # bytes
_TEST = {"test": True, "sentence": "This is a test of the alerts of Garmentscope."}


@dataclass(frozen=True)
class Webhook:
    """Where alerts are sent to.

    Args:
        url: Address, `https` or `http`.
        secret: Secret that signs them; empty for none. One that begins with `whsec_` is base64 after that.
    """

    url: str
    secret: str = ""

    @property
    def host(self) -> str:
        """Name of the host, which may be shown where the address, which can hold a secret, may not."""
        return urlsplit(self.url).hostname or ""


def read_webhook(place: Place) -> Webhook | None:
    """Where the alerts of an archive are sent to; None if nowhere, or that cannot be read."""
    try:
        value = parse_json(place.read(WEBHOOK, _MOST_FILE).decode("utf-8"))
        return Webhook(str(value["url"]), str(value["secret"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def set_webhook(place: Place, webhook: Webhook, by: str = "") -> None:
    """Sets where the alerts of an archive are sent to; the secret stands in a file of the archive.

    Args:
        place: Place of the archive.
        webhook: Address and secret.
        by: Who does it, for the log, which has the host alone.

    Raises:
        ArchiveError: If the address cannot be used, the archive is not there, or it cannot be written.
    """
    _parts(webhook.url)
    if len(webhook.secret) > _MOST_SECRET:
        raise ArchiveError(f"The secret has {len(webhook.secret)} characters; the most are {_MOST_SECRET}.")
    _key(webhook.secret)
    with changing(place):
        if not visible_parts(place):
            raise ArchiveError(f"{place.location} holds no archive yet. Check the path.")
        place.write(WEBHOOK, json.dumps({"url": webhook.url, "secret": webhook.secret}).encode())
        note(place, LogEntry("set webhook", by, {"host": webhook.host}))


def forget_webhook(place: Place, by: str = "") -> None:
    """Sends alerts nowhere any more.

    Raises:
        ArchiveError: If the file cannot be removed.
    """
    with changing(place):
        place.remove(WEBHOOK)
        note(place, LogEntry("delete webhook", by))


def signature(secret: str, event: str, moment: str, body: bytes) -> str:
    """What `webhook-signature` holds.

    Args:
        secret: The secret.
        event: Id of the message.
        moment: Time as in `webhook-timestamp`, seconds since 1970.
        body: Body of the request.

    Raises:
        ArchiveError: If the secret begins with `whsec_` and is not base64 after that.
    """
    digest = hmac.new(_key(secret), f"{event}.{moment}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def deliver(
    webhook: Webhook,
    event: str,
    payload: Mapping[str, Any],
    wait: Callable[[float], object] = time.sleep,
) -> str:
    """Sends a message, in up to three attempts.

    Args:
        webhook: Address that alerts are sent to, with its secret.
        event: Id of the message, by which the receiver knows one that comes again.
        payload: Content, for JSON.
        wait: Function that waits some seconds.

    Returns:
        Why it could not be sent, as a sentence; empty if it was.
    """
    body = json.dumps(payload, ensure_ascii=False).encode()
    failure = ""
    for pause in (0.0, *_PAUSES):
        if pause:
            wait(pause)
        try:
            failure, again = _post(webhook, event, body)
        except (ArchiveError, FetchError) as error:
            return str(error)
        if not (failure and again):
            break
    return failure


def send_test(webhook: Webhook) -> str:
    """Sends a test message; result as of `deliver`."""
    return deliver(webhook, secrets.token_hex(8), _TEST)


def _post(webhook: Webhook, event: str, body: bytes) -> tuple[str, bool]:
    """One attempt: why it failed, and whether it is worth another one.

    Raises:
        ArchiveError: If the address cannot be used.
        FetchError: If its host is not public, or not there.
    """
    import httpx2

    parts = _parts(webhook.url)
    host = parts.hostname or ""
    try:
        address = addresses_of(host, SECONDS, private=_may_be_private())[0]
    except TimeoutError:
        return f"The name {host} was not resolved within {SECONDS:.0f} seconds.", True
    moment = str(int(time.time()))
    name = f"[{host}]" if ":" in host else host
    headers = {
        "Host": f"{name}:{parts.port}" if parts.port else name,
        "Content-Type": "application/json",
        "User-Agent": "Garmentscope",
        "webhook-id": event,
        "webhook-timestamp": moment,
    }
    if webhook.secret:
        headers["webhook-signature"] = signature(webhook.secret, event, moment, body)
    where = f"[{address}]" if address.version == 6 else str(address)
    where += f":{parts.port}" if parts.port else ""
    url = parts._replace(netloc=where, fragment="").geturl()
    try:
        with (
            httpx2.Client(timeout=SECONDS, follow_redirects=False, trust_env=False) as client,
            client.stream("POST", url, content=body, headers=headers, extensions={"sni_hostname": host}) as answer,
        ):
            status = answer.status_code  # what it answers is not read: nobody needs it, and it may never end
    except httpx2.TimeoutException:
        return f"{host} did not answer within {SECONDS:.0f} seconds.", True
    except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
        return f"{host} could not be reached: {first_line(error) or type(error).__name__}.", True
    if 200 <= status < 300:
        return "", False
    return f"{host} answered with {status}. Check the address.", status in (408, 429) or status >= 500


def _parts(url: str) -> SplitResult:
    """An address taken apart.

    Raises:
        ArchiveError: If it is none that alerts can be sent to.
    """
    if not url or len(url) > _MOST_URL or re.search(r"[\x00-\x20\x7f\\]", url):
        raise ArchiveError("This is no address for alerts. Give one such as https://chat.example.org/hooks/looks.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ArchiveError(
            "This is no address for alerts. Give one such as https://chat.example.org/hooks/looks."
        ) from None
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ArchiveError("The address for alerts must begin with https:// or http://. Correct it.")
    if parts.username is not None or parts.password is not None:
        raise ArchiveError("The address for alerts has a user name or a password in it. Give one that needs none.")
    if port not in (None, _PORTS[parts.scheme]) and not _may_be_private():
        raise ArchiveError(
            f"The address for alerts names port {port}. Only the usual ports are opened, unless GARMENTSCOPE_WEBHOOKS "
            "is private."
        )
    return parts


def _may_be_private() -> bool:
    return read_settings().webhooks == "private"


def _key(secret: str) -> bytes:
    """Key of a secret.

    Raises:
        ArchiveError: If it begins with `whsec_` and is not base64 after that.
    """
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        raise ArchiveError("A secret that begins with whsec_ has base64 after that. Copy it again.") from None
