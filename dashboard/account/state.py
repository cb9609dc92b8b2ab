"""What the Account page keeps for a visitor."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["AccountState"]


@dataclass
class AccountState:
    """State of the Account page.

    Args:
        made: Token that was just made, with its secret, until the visitor has copied it.
        failure: Sentence on why no token was made or revoked; empty if one was.
    """

    made: str = ""
    failure: str = ""
