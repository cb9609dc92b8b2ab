"""A small OpenID Connect provider over HTTP: discovery, authorisation code with PKCE, signed identity tokens, keys.

It checks what a provider checks (client, redirect address, code, secret, verifier), so that a client that leaves one
out fails. Whoever opens its page is `person` at once.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import RSAKey

CLIENT, SECRET = "garmentscope", "the client's secret"


class Provider:
    """What the provider knows; `person` is who signs in next."""

    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}"
        self.person: dict[str, object] = {"sub": "1", "email": "ann@shop.example", "email_verified": True}
        self.redirect_uri = ""
        self.codes: dict[str, dict[str, str]] = {}
        self.signed_in = 0
        self.key = RSAKey.generate_key(2048, parameters={"kid": "one", "use": "sig", "alg": "RS256"})

    def secrets_toml(self, address: str) -> str:
        """The lines of `secrets.toml` for an app at an address."""
        self.redirect_uri = f"{address}/oauth2callback"
        return (
            f'[auth]\nredirect_uri = "{self.redirect_uri}"\ncookie_secret = "{secrets.token_hex(16)}"\n'
            f'client_id = "{CLIENT}"\nclient_secret = "{SECRET}"\n'
            f'server_metadata_url = "{self.issuer}/.well-known/openid-configuration"\n'
        )

    def authorise(self, query: dict[str, str]) -> str | None:
        """Where the browser goes next; None for a request that is refused."""
        wanted = {"response_type": "code", "client_id": CLIENT, "redirect_uri": self.redirect_uri}
        if any(query.get(key) != value for key, value in wanted.items()) or "openid" not in query["scope"].split():
            return None
        if query.get("code_challenge_method") != "S256" or not query.get("state") or not query.get("nonce"):
            return None
        code = secrets.token_urlsafe(16)
        self.codes[code] = query
        return f"{self.redirect_uri}?{urlencode({'code': code, 'state': query['state']})}"

    def token(self, form: dict[str, str], authorization: str) -> dict[str, object] | None:
        """The tokens for a code; None for a request that is refused."""
        given = base64.b64decode(authorization.removeprefix("Basic ")).decode() if authorization else ""
        secret = (form.get("client_id"), form.get("client_secret"))
        if given not in (f"{CLIENT}:{SECRET}", f"{quote(CLIENT)}:{quote(SECRET)}") and secret != (CLIENT, SECRET):
            return None
        asked = self.codes.pop(form.get("code", ""), None)  # a code is good once
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if asked is None or asked["code_challenge"] != challenge or form.get("redirect_uri") != self.redirect_uri:
            return None
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": asked["nonce"]}
        self.signed_in += 1
        return {
            "access_token": secrets.token_urlsafe(16),
            "token_type": "Bearer",
            "expires_in": 300,
            "id_token": jwt.encode({"alg": "RS256", "kid": "one"}, {**claims, **self.person}, self.key),
        }

    def discovery(self) -> dict[str, object]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        }


@contextmanager
def running_provider() -> Iterator[Provider]:
    """A provider on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/authorize":
                query = {key: values[0] for key, values in parse_qs(parts.query).items()}
                where = provider.authorise(query)
                self.send_response(302 if where else 400)
                self.send_header("Location", where or "/")
                self.end_headers()
            elif parts.path == "/jwks":
                self._answer({"keys": [provider.key.as_dict(private=False)]})
            else:
                self._answer(provider.discovery() if parts.path == "/.well-known/openid-configuration" else None)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {key: values[0] for key, values in parse_qs(body).items()}
            self._answer(provider.token(form, self.headers.get("Authorization", "")) if self.path == "/token" else None)

        def _answer(self, value: dict[str, object] | None) -> None:
            content = json.dumps(value or {"error": "invalid_request"}).encode()
            self.send_response(200 if value else 400)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        provider = Provider(server.server_port)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield provider
        server.shutdown()
        thread.join()
