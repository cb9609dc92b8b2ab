"""Who may make, see and revoke tokens of the API in the app."""

from __future__ import annotations

from collections.abc import Iterable

from dashboard.api.tokens import Token, tokens_of_server
from dashboard.shared import sign_in
from dashboard.shared.visitor import at_machine

__all__ = ["may_make_tokens", "visible_tokens"]


def may_make_tokens() -> bool:
    """Whether the visitor may make tokens: signed in, or at the server's own machine where nobody signs in."""
    return tokens_of_server() is not None and (bool(sign_in.person()) or _keeps())


def visible_tokens(tokens: Iterable[Token]) -> list[Token]:
    """The tokens that the visitor may see and revoke: his own, or all for whoever keeps the server."""
    name = sign_in.person()
    return [each for each in tokens if _keeps() or (name and each.person == name)]


def _keeps() -> bool:
    return sign_in.is_keeper(sign_in.person()) if sign_in.is_needed() else at_machine()
