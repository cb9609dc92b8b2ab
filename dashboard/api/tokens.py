"""Tokens of the API, in the file that `GARMENTSCOPE_TOKENS` names.

Without a file, and where nobody signs in, the API is open to all.

A token is `gs_`, an id of 8 and a secret of 64 hexadecimal digits. The file has the SHA-256 of the secret only; as a
secret has 256 random bits, a slow hash would add nothing. It is read again whenever it changes, so that a token that is
revoked ends at once.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
import threading
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal, get_args

from filelock import FileLock

from dashboard.shared import sign_in
from dashboard.shared.principal import Principal
from dashboard.shared.visitor import identifier
from segmodels.errors import GarmentscopeError
from segmodels.files import replacing
from segmodels.sentences import first_line
from segmodels.settings import read_settings

__all__ = [
    "MAX_DAYS",
    "SCOPES",
    "Scope",
    "Token",
    "TokenError",
    "Tokens",
    "needed_scope",
    "presented",
    "principal_of_token",
    "token_of_request",
    "tokens_of_server",
]

Scope = Literal["read", "segment", "write"]
SCOPES: tuple[Scope, ...] = get_args(Scope)
"""What a token may: read archives, segment photos, change archives."""

MAX_DAYS = 3650
"""Most days until a token expires."""

_TOKEN = re.compile(r"gs_([0-9a-f]{8})([0-9a-f]{64})")
_NAME = re.compile(r"\w[\w .@+-]{0,59}")
_NOBODY = "0" * 64  # compared with where no token has the id, so that both take the same time
_OPEN = ("/health", "/docs", "/openapi.json")
_OPEN_BELOW = ("/problems/", "/static-offline-docs/")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


class TokenError(GarmentscopeError, ValueError):
    """A token or a file of tokens that cannot be used; the message is for whoever keeps the server."""


@dataclass(frozen=True)
class Token:
    """A token, without its secret.

    Args:
        id: Id, 8 hexadecimal digits.
        name: Name that whoever made it gave.
        scopes: What it may.
        digest: SHA-256 of its secret, in hexadecimal digits.
        made: When it was made, in ISO 8601.
        expires: When it expires, in ISO 8601.
        person: E-mail address of the signed-in person for whom it acts; empty if it acts for whoever keeps the server.
    """

    id: str
    name: str
    scopes: tuple[Scope, ...]
    digest: str
    made: str
    expires: str
    person: str = ""

    def is_expired(self, now: datetime | None = None) -> bool:
        """Whether it has expired."""
        return (now or datetime.now(UTC)) >= datetime.fromisoformat(self.expires)


class Tokens:
    """The tokens of a file.

    Args:
        file: The file, which need not exist.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._stamp: tuple[int, int] | None = None
        self._found: dict[str, Token] = {}

    def all(self) -> Collection[Token]:
        """All tokens, expired ones too.

        Raises:
            TokenError: If the file cannot be read.
        """
        return self._read().values()

    def find(self, text: str, now: datetime | None = None) -> Token | None:
        """The token that is presented; None if it is unknown, revoked or expired.

        Args:
            text: The token with its secret.
            now: Present time.

        Raises:
            TokenError: If the file cannot be read.
        """
        match = _TOKEN.fullmatch(text)
        if match is None:
            return None
        known = self._read().get(match[1])
        digest = hashlib.sha256(match[2].encode()).hexdigest()
        same = hmac.compare_digest(digest, known.digest if known else _NOBODY)
        return known if known and same and not known.is_expired(now) else None

    def make(
        self, name: str, scopes: Collection[Scope], days: int, now: datetime | None = None, *, person: str = ""
    ) -> str:
        """Makes a token.

        Args:
            name: Name of the token.
            scopes: What it may.
            days: Days until it expires.
            now: Present time.
            person: E-mail address of the signed-in person for whom it is to act.

        Returns:
            The token with its secret, which is kept nowhere.

        Raises:
            TokenError: If the name is taken or none, a scope is missing, or the file cannot be read or written.
        """
        now = now or datetime.now(UTC)
        if not _NAME.fullmatch(name):
            raise TokenError("A token's name has up to 60 letters, digits, spaces and . @ + - _.")
        if not scopes or not set(scopes) <= set(SCOPES):
            raise TokenError(f"A token has one or more of {', '.join(SCOPES)}. Name what it may.")
        if not 1 <= days <= MAX_DAYS:
            raise TokenError(f"A token expires after 1 to {MAX_DAYS:,} days. Name a number of them.")
        token_id, secret = secrets.token_hex(4), secrets.token_hex(32)
        digest = hashlib.sha256(secret.encode()).hexdigest()
        ordered = tuple(each for each in SCOPES if each in scopes)
        ends = now + timedelta(days)
        with self._alone():
            tokens = dict(self._read())
            if any(each.name == name for each in tokens.values()):
                raise TokenError(f"There is a token {name} already. Revoke it, or choose another name.")
            tokens[token_id] = Token(token_id, name, ordered, digest, now.isoformat(), ends.isoformat(), person)
            self._write(tokens)
        return f"gs_{token_id}{secret}"

    def revoke(self, name: str, token_id: str = "") -> None:
        """Ends a token.

        Args:
            name: Name of the token.
            token_id: Id of the token, where another one may have got the name since.

        Raises:
            TokenError: If there is none of this name, or the file cannot be read or written.
        """
        with self._alone():
            known = self._read()
            tokens = {key: each for key, each in known.items() if each.name != name or token_id not in ("", key)}
            if len(tokens) == len(known):
                raise TokenError(f"There is no token {name}. `garmentscope token list` lists them.")
            self._write(tokens)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keeps other threads and processes from changing the file meanwhile."""
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(self._file.with_name(f"{self._file.name}.lock"), mode=0o600):
                yield
        except OSError as error:
            raise TokenError(f"{self._file} cannot be written: {error.strerror}.") from error

    def _read(self) -> Mapping[str, Token]:
        with self._lock:
            try:
                found = self._file.stat()
                stamp = found.st_mtime_ns, found.st_size
                if stamp != self._stamp:
                    rows = json.loads(self._file.read_text("utf-8"))["tokens"]
                    tokens = [Token(**{**row, "scopes": tuple(row["scopes"])}) for row in rows]
                    for each in tokens:
                        each.is_expired()  # fails where a date is none
                    self._found, self._stamp = {each.id: each for each in tokens}, stamp
            except FileNotFoundError:
                self._found, self._stamp = {}, None
            except OSError as error:
                raise TokenError(f"{self._file} cannot be read as a file of tokens: {first_line(error)}.") from error
            except (ValueError, KeyError, TypeError) as error:
                raise TokenError(
                    f"{self._file} cannot be read as a file of tokens: it is not as `garmentscope token make` writes "
                    "it. Restore it from a backup, or remove it and make the tokens again."
                ) from error
            return self._found

    def _write(self, tokens: Mapping[str, Token]) -> None:
        rows = {"tokens": [asdict(each) for each in tokens.values()]}
        try:
            with replacing(self._file) as part:
                part.touch(mode=0o600)
                part.write_text(json.dumps(rows, indent=1), encoding="utf-8")
        except OSError as error:
            raise TokenError(f"{self._file} cannot be written: {error.strerror}.") from error


def tokens_of_server() -> Tokens | None:
    """The tokens of the environment, or those of the cache where visitors sign in; None where the API is open."""
    settings = read_settings()
    file = settings.tokens or (settings.cache / "tokens.json" if sign_in.is_needed() else None)
    return Tokens(file) if file else None


def token_of_request(tokens: Tokens, header: str) -> Token | None:
    """The token of a request, if it is valid, and that of nobody who may not enter any more.

    Args:
        tokens: The tokens of the server.
        header: Header `Authorization`.
    """
    token = tokens.find(presented(header))
    if token and token.person and sign_in.is_needed() and not sign_in.may_enter(token.person):
        return None
    return token


def principal_of_token(token: Token) -> Principal:
    """The person for whom a token was made in the app, or whoever keeps the server."""
    if token.person:
        return Principal(identifier("person", token.person), token.person, sign_in.is_keeper(token.person))
    return Principal(identifier("caller", f"token {token.name}"), is_keeper=True)


def needed_scope(method: str, path: str) -> Scope | None:
    """What a request needs; None where everybody may.

    Args:
        method: HTTP method.
        path: Path below the API.
    """
    if path in _OPEN or path.startswith(_OPEN_BELOW) or (path.startswith("/label-studio") and path.endswith("/health")):
        return None
    if path == "/segment" or path.startswith("/label-studio/"):
        return "segment"
    return "read" if method in _SAFE else "write"


def presented(header: str) -> str:
    """The token in the header `Authorization`: after `Bearer`, or as the password of `Basic`; empty without one."""
    kind, _, rest = header.partition(" ")
    if kind.lower() == "basic":
        try:
            return base64.b64decode(rest.strip(), validate=True).decode("ascii").partition(":")[2]
        except ValueError:  # not base64, or not ASCII before or after it
            return ""
    return rest.strip() if kind.lower() == "bearer" else ""
