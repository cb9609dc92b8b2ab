"""Errors of the Hugging Face Hub, as sentences that say what to do and contain no token."""

from __future__ import annotations

import errno
import os
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
from huggingface_hub import constants, get_token
from huggingface_hub.errors import (
    FileMetadataError,
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RevisionNotFoundError,
)

from segmodels.checkpoints.errors import CheckpointError

__all__ = ["HubError", "HubUnreachableError", "explain_failures", "no_client"]

_PROXIES = ("HTTPS_PROXY", "ALL_PROXY", "HTTP_PROXY")
_SCHEMES = ("http://", "https://", "socks5://", "socks5h://")
_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


class HubError(CheckpointError):
    """A failed request to the Hub; the message says why and what to do."""


class HubUnreachableError(HubError):
    """A Hub that does not answer, or has an internal error; cached files may be used instead."""


# What the client raises; a `ValueError` is also what an answer becomes that is none of a Hub.
_FAILURES = (
    httpx2.HTTPError,
    httpx2.InvalidURL,
    OSError,
    ValueError,
    RuntimeError,
    KeyError,
    TypeError,
    AssertionError,
)


@contextmanager
def explain_failures(subject: str, revision: str = "", *, writing: bool = False) -> Iterator[None]:
    """Turns whatever the client raises inside into a `HubError` of one sentence or two, which holds no token.

    Args:
        subject: The repository, or the owner, that is asked for.
        revision: Revision that is asked for.
        writing: Whether it is written to.
    """
    try:
        yield
    except CheckpointError:
        raise
    except _FAILURES as error:
        raise _explained(error, subject, revision, writing) from None


def no_client(error: Exception) -> HubUnreachableError:
    """Error for a client that cannot be made, as the environment names what cannot be used.

    The address of a proxy is not repeated: it may hold a password.

    Args:
        error: Error of the client.
    """
    proxies = _set_variables(_PROXIES)
    if isinstance(error, ImportError):
        socks = [name for name, value in proxies.items() if value.lower().startswith("socks")]
        return HubUnreachableError(
            f"{_listed(socks or list(proxies))} names a SOCKS proxy, for which the package socksio is missing. Install "
            "it with: pip install socksio. Or unset the variable; models that are here work without."
        )
    certificates = _set_variables(_CERTIFICATES)
    if isinstance(error, OSError) and certificates:  # ssl.SSLError is one
        missing = [name for name, value in certificates.items() if not Path(value).exists()] or list(certificates)
        return HubUnreachableError(
            f"{_listed(missing)} does not name certificates that can be read. Correct it, or unset it; models that are "
            "here work without."
        )
    wrong = [name for name, value in proxies.items() if "://" in value and not value.lower().startswith(_SCHEMES)]
    return HubUnreachableError(
        f"{_listed(wrong or list(proxies)) or 'The environment'} does not name a proxy that can be used. Write "
        "http://host:port, or unset it; models that are here work without."
    )


def _set_variables(names: tuple[str, ...]) -> dict[str, str]:
    """The variables of these names, in capitals or not, that are set."""
    found = {each: os.environ.get(each, "") for name in names for each in (name, name.lower())}
    return {name: value for name, value in found.items() if value}


def _listed(names: list[str]) -> str:
    return " or ".join(names)


def _certificate_fault(error: BaseException | None) -> str:
    """Why a certificate is not trusted, in the words of OpenSSL; empty if that is not what is wrong."""
    while error:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message or "it cannot be verified"
        if match := re.search(r"CERTIFICATE_VERIFY_FAILED\] certificate verify failed: ([^(]+)", str(error)):
            return match[1].strip()
        error = error.__cause__ or error.__context__
    return ""


def _explained(error: BaseException, subject: str, revision: str, writing: bool) -> HubError:
    """Error for an exception of the client, without its message, which may quote a header and so a token."""
    while isinstance(error, LocalEntryNotFoundError | RuntimeError) and error.__cause__:
        error = error.__cause__
    host = urlsplit(os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).hostname or "HF_ENDPOINT"
    if isinstance(error, HfHubHTTPError):
        return _answered(error, subject, revision, writing)
    if isinstance(error, LocalTokenNotFoundError):
        return HubError("Nobody is logged in to the Hub. Run `hf auth login`, or set HF_TOKEN.")
    if isinstance(error, httpx2.LocalProtocolError | UnicodeError):
        return HubError("The token has characters that no token can have. Set HF_TOKEN again, or run `hf auth login`.")
    if isinstance(error, HFValidationError):
        return HubError(f"{subject!r} is not a repository name. Write owner/name in letters, digits, '-', '_', '.'.")
    if isinstance(error, OfflineModeIsEnabled):
        return HubUnreachableError(
            f"HF_HUB_OFFLINE is set, so the Hub was not queried for {subject}; only models pulled before can be used. "
            "Unset it to pull."
        )
    if isinstance(error, httpx2.TimeoutException):
        return HubUnreachableError(f"{host} did not answer in time for {subject}. Try again later.")
    if isinstance(error, httpx2.UnsupportedProtocol | httpx2.InvalidURL):
        return HubError("HF_ENDPOINT is not the address of a Hub. Unset it, or write https://...")
    if isinstance(error, httpx2.ReadError | httpx2.WriteError | httpx2.RemoteProtocolError):
        return HubUnreachableError(f"The connection to {host} was cut. No incomplete file was kept; try again.")
    if isinstance(error, httpx2.TransportError) and (fault := _certificate_fault(error)):
        return HubUnreachableError(
            f"The certificate of {host} is not trusted ({fault}). Where a proxy of your network reads along, set "
            "SSL_CERT_FILE to a file with the certificate of its authority; else something stands in between."
        )
    if isinstance(error, httpx2.ProxyError):
        return HubUnreachableError(
            f"The proxy did not pass the request to {host} on. Check {_listed(list(_set_variables(_PROXIES)))}: the "
            "address, the user name and the password."
        )
    if isinstance(error, httpx2.TransportError):
        return HubUnreachableError(f"{host} cannot be reached for {subject}. Check the network connection.")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return HubError(
            f"The disk is full: there is no space for {subject} in {constants.HF_HUB_CACHE}. Free space, or set "
            "HF_HOME to a folder on another disk."
        )
    if isinstance(error, OSError) and error.errno is not None:
        return HubError(f"{error.filename or constants.HF_HUB_CACHE} cannot be used: {error.strerror}.")
    if isinstance(error, OSError) and not isinstance(error, FileMetadataError):
        return HubError(f"A file of {subject} arrived with another size than the Hub states. Try again.")
    return HubError(f"{host} does not answer like a Hub. Check HF_ENDPOINT and the proxy, if there is one.")


def _answered(error: HfHubHTTPError, subject: str, revision: str, writing: bool) -> HubError:
    """Error for an HTTP answer of the Hub."""
    status = error.response.status_code
    logged_in = get_token() is not None
    if isinstance(error, RevisionNotFoundError):
        return HubError(f"{subject} has no revision {revision!r} on the Hub. Name a branch, a tag or a commit of it.")
    if isinstance(error, GatedRepoError):
        return HubError(f"{subject} is restricted by its owner. Request access on its page on the Hub.")
    if status == 401 and logged_in:
        return HubError("The Hub does not accept the token. Set HF_TOKEN again, or run `hf auth login`.")
    if status == 401:
        return HubError(
            f"The Hub does not show {subject} without a login: it is private, or does not exist. Check the name, run "
            "`hf auth login`, or set HF_TOKEN."
        )
    if status == 403:
        right = "write to" if writing else "read"
        return HubError(f"The token has no permission to {right} {subject}. Use another token or another owner.")
    if status == 404:
        return HubError(f"{subject} does not exist on the Hub, or the token has no access to it. Check the name.")
    if status == 429:
        wait = error.response.headers.get("retry-after", "")
        when = f"in {wait} seconds" if wait.isdigit() else "in a few minutes"
        return HubUnreachableError(f"The Hub received too many requests from this address. Try again {when}.")
    if status >= 500:
        return HubUnreachableError(f"The Hub reported an internal error (status {status}). Try again later.")
    return HubError(f"The Hub refused the request for {subject} (status {status}). Check the name and the revision.")
