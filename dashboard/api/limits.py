"""How much the API takes: `GARMENTSCOPE_API`, such as `photos=8,seconds=60`."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from segmodels.errors import GarmentscopeError
from segmodels.settings import read_settings

__all__ = ["MOST_MB", "Limits", "LimitsError", "read_limits"]


MOST_MB = 64
"""Most MB of the photos of one request that are segmented."""


def _limit(default: int, least: int, most: int, meaning: str) -> int:
    """A field of `Limits` with its bounds."""
    return field(default=default, metadata={"least": least, "most": most, "meaning": meaning})


class LimitsError(GarmentscopeError, ValueError):
    """A `GARMENTSCOPE_API` that cannot be used; the message is for whoever starts the server."""


@dataclass(frozen=True)
class Limits:
    """How much the API takes; the bounds of each number are in its metadata."""

    photos: int = _limit(16, 1, 256, "photos of one caller at once, in one request or several")
    waiting: int = _limit(64, 1, 4096, "photos of all callers at once")
    minute: int = _limit(600, 1, 1_000_000, "photos of one caller in a minute")
    megapixels: int = _limit(6000, 1, 1_000_000, "megapixels of one caller's photos in a minute")
    seconds: int = _limit(120, 1, 3600, "seconds until a request is answered")
    arrival: int = _limit(60, 1, 3600, "seconds until a request has arrived")
    upload_mb: int = _limit(200, 1, 1000, "MB of a request that adds photos to an archive")
    archive: int = _limit(100_000, 1, 100_000_000, "photos in an archive, after which no more are added")


def read_limits(text: str | None = None) -> Limits:
    """The limits of the environment.

    Args:
        text: Content of `GARMENTSCOPE_API`; that of the environment if left out.

    Raises:
        LimitsError: If it cannot be used; the message says what can.
    """
    text = read_settings().api if text is None else text
    known = {each.name: each for each in fields(Limits)}
    found: dict[str, int] = {}
    for entry in filter(None, (part.strip() for part in text.split(","))):
        name, _, value = (part.strip() for part in entry.partition("="))
        if name not in known:
            raise LimitsError(f'GARMENTSCOPE_API has "{entry}". Its names are {", ".join(known)}, as in photos=8.')
        least, most = known[name].metadata["least"], known[name].metadata["most"]
        if not (value.isascii() and value.isdigit() and least <= int(value) <= most):
            raise LimitsError(f'GARMENTSCOPE_API has "{entry}". {name} is a whole number from {least} to {most:,}.')
        found[name] = int(value)
    return Limits(**found)
