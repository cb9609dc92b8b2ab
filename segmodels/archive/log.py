"""Entries of the log of an archive: what was done, when and by whom."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

__all__ = ["LOG", "LogEntry"]

LOG = "log"
"""Folder of the log in an archive; each entry is a file."""

_TIME, _ENTRY_ID = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), re.compile(r"[0-9a-zA-Z]*")


@dataclass(frozen=True)
class LogEntry:
    """An entry of the log.

    Args:
        what: What was done, in one word, such as `delete`.
        by: Who did it; empty if that is not known.
        details: Numbers and names that belong to it.
        at: Time, UTC.
        id: Id of the entry.
    """

    what: str
    by: str = ""
    details: Mapping[str, Any] | None = None
    at: str = ""
    id: str = ""

    @property
    def file(self) -> str:
        """Name of its file in the archive."""
        return f"{LOG}/{self.at.replace(':', '').replace('-', '')}-{self.id}.json"

    def __str__(self) -> str:
        details = self.details or {}
        text = ", ".join(
            f"{key.replace('_', ' ')} {f'{value:,}' if isinstance(value, int) else value}"
            for key, value in details.items()
            if isinstance(value, str | int) and not isinstance(value, bool) and value != ""
        )
        what = f"{self.what} for good" if details.get("for_good") else self.what
        who = f" by {self.by}" if self.by else ""
        return f"{self.at[:16].replace('T', ' ')} UTC: {what}{who}{f' ({text})' if text else ''}"

    def to_json(self) -> dict[str, Any]:
        """The content of its file."""
        return {"at": self.at, "what": self.what, "by": self.by, "id": self.id, **(self.details or {})}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> LogEntry:
        """The entry of a file.

        Raises:
            ValueError: If it is none.
        """
        own = {key: value.get(key, "") for key in ("what", "by", "at", "id")}
        if not all(isinstance(each, str) for each in own.values()) or not own["what"] or not own["at"]:
            raise ValueError("it is no entry of a log")
        if not _TIME.fullmatch(own["at"]) or not _ENTRY_ID.fullmatch(own["id"]):  # the name of its file
            raise ValueError("the time or the id of its entry is none")
        return cls(**own, details={key: each for key, each in value.items() if key not in own})

    def dated(self) -> LogEntry:
        """The entry with the time and an id."""
        return replace(self, at=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}", id=secrets.token_hex(4))
