"""Who asks: a visitor of the pages or a caller of the API."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

__all__ = ["Principal"]


@dataclass(frozen=True)
class Principal:
    """Who asks.

    Args:
        id: Identifier, 64 hex digits.
        person: Name under which somebody is signed in; empty for anybody else.
        is_keeper: Whether all may be seen and changed: at the server's own machine, or by whom it is kept.
    """

    id: str
    person: str = ""
    is_keeper: bool = False

    def owns(self, owner: str) -> bool:
        """Whether something is this principal's.

        Args:
            owner: Identifier of its owner; empty if that is not known.
        """
        return bool(owner) and secrets.compare_digest(owner, self.id)

    def controls(self, owner: str) -> bool:
        """Whether this principal may stop or change something.

        Args:
            owner: Identifier of its owner; empty if that is not known.
        """
        return self.is_keeper or self.owns(owner)
