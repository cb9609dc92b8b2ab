"""Where a request comes from: whether whoever asks is at the server's own machine.

The address alone does not say it. Through a proxy everybody comes from the proxy's machine, and a page of another site
can give its own name this machine's address, so the headers are looked at too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["is_at_machine"]

_ADDRESSES = ("127.0.0.1", "::1", "::ffff:127.0.0.1")
_HOST = re.compile(r"(localhost|127\.0\.0\.1|\[::1\])(:\d+)?", re.IGNORECASE)
_FORWARDED = re.compile(r"x-forwarded-.*|forwarded|x-real-ip|via")


def is_at_machine(address: str, headers: Mapping[str, str]) -> bool:
    """Whether a request comes from the server's own machine, without a proxy between.

    Args:
        address: Address of the client; empty if it is not known.
        headers: Headers of the request, with names in lower case.
    """
    here = address in _ADDRESSES and _HOST.fullmatch(headers.get("host", "")) is not None
    return here and not any(map(_FORWARDED.fullmatch, headers))
