"""`garmentscope app` or `python -m dashboard`: serves the app and the API; `garmentscope serve`: the API alone.

`garmentscope token` makes, lists and revokes the tokens of the API.
"""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
from pathlib import Path

from segmodels.extras import missing_extra
from segmodels.sentences import first_line
from segmodels.settings import read_settings

_SERVER = Path(__file__).parent / "server.py"  # Streamlit reads `.streamlit/config.toml` beside it
_PORTS = range(1, 65536)
_MODULES = ("streamlit", "plotly", "statsmodels", "fastapi", "fastapi_offline", "prometheus_client")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_TEAM = "dashboard/TEAM.md"
_STOP_SECONDS = 30  # for the photos that are in work when the server is stopped


def main(arguments: list[str] | None = None) -> int:
    """Serves the app and the API until stopped: 0 if all went well, 1 if something failed, 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="garmentscope app", description="Serves the app and the API.")
    parser.add_argument("--port", type=int, metavar="N", help="port of the server (default: 8501)")
    parser.add_argument("--host", metavar="ADDRESS", help="address that it listens at (default: all of this machine)")
    parsed = _port(parser, arguments)
    if problem := _problem():
        print(problem, file=sys.stderr)
        return 2
    from streamlit.web import cli

    _log_requests()
    host = parsed.host or os.environ.get("STREAMLIT_SERVER_ADDRESS", "")
    if sentence := openness(host, with_pages=True):
        print(sentence, flush=True)
    options = [f"--server.port={parsed.port}"] if parsed.port is not None else []
    options += [f"--server.address={host}"] if host else []
    cli.main(["run", str(_SERVER), *options], prog_name="streamlit", standalone_mode=False)
    return 0


def serve(arguments: list[str] | None = None) -> int:
    """Serves the API alone until it is stopped; statuses as those of `main`."""
    parser = argparse.ArgumentParser(prog="garmentscope serve", description="Serves the HTTP API without the app.")
    parser.add_argument("--port", type=int, default=8501, metavar="N", help="port of the server (default: 8501)")
    parser.add_argument(
        "--host", default="127.0.0.1", metavar="ADDRESS", help="address that it listens at (default: %(default)s)"
    )
    parsed = _port(parser, arguments)
    if problem := _problem() or _cannot_listen(parsed.host, parsed.port):
        print(problem, file=sys.stderr)
        return 2
    import uvicorn
    from starlette.applications import Starlette
    from streamlit.logger import set_log_level

    from dashboard.api.routes import PREFIX, base_path, routes
    from dashboard.lifespan import lifespan
    from dashboard.security_headers import proxies

    set_log_level("ERROR")  # it would say that its pages are not served
    _log_requests()
    if sentence := openness(parsed.host, with_pages=False):
        print(sentence, flush=True)
    place = f"{base_path()}{PREFIX}"
    print(f"The API is at http://{parsed.host}:{parsed.port}{place}; its pages at {place}/docs.", flush=True)
    uvicorn.run(
        Starlette(routes=routes(), lifespan=lifespan, middleware=[proxies()]),
        host=parsed.host,
        port=parsed.port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    return 0


def token(arguments: list[str] | None = None) -> int:
    """Makes, lists or revokes tokens of the API; statuses as those of `main`."""
    from dashboard.api.tokens import MAX_DAYS, SCOPES, TokenError, tokens_of_server
    from dashboard.shared import audit

    parser = argparse.ArgumentParser(
        prog="garmentscope token", description="Tokens of the API, in the file that GARMENTSCOPE_TOKENS names."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    made = commands.add_parser("make", help="make a token and print it, once")
    made.add_argument("name", metavar="NAME")
    made.add_argument("--scope", nargs="+", choices=SCOPES, default=["segment"], help="what it may (default: segment)")
    made.add_argument("--days", type=int, default=90, help=f"days until it expires, up to {MAX_DAYS:,} (default: 90)")
    commands.add_parser("list", help="list the tokens")
    commands.add_parser("revoke", help="end a token at once").add_argument("name", metavar="NAME")
    parsed = parser.parse_args(arguments)
    tokens = tokens_of_server()
    if tokens is None:
        print("Set GARMENTSCOPE_TOKENS to the file for the tokens, here and for the server.", file=sys.stderr)
        return 2
    try:
        if parsed.command == "make":
            print(tokens.make(parsed.name, parsed.scope, parsed.days))
            audit.note("token made", None, token=parsed.name, scopes=" ".join(parsed.scope), days=parsed.days)
        elif parsed.command == "revoke":
            tokens.revoke(parsed.name)
            audit.note("token revoked", None, token=parsed.name)
        else:
            for each in tokens.all():
                state = "expired" if each.is_expired() else "until"
                of = f"; of {each.person}" if each.person else ""
                print(f"{each.name}: {', '.join(each.scopes)}; {state} {each.expires[:10]}; {each.id}{of}")
    except TokenError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def openness(host: str, *, with_pages: bool) -> str:
    """What everybody who reaches the machine may do, as a sentence; empty if only some may do anything.

    Args:
        host: Address that the server listens at; empty for all of the machine's.
        with_pages: Whether the pages are served beside the API.
    """
    from dashboard.shared import sign_in

    tokens = bool(read_settings().tokens)
    if host in _LOOPBACK or sign_in.is_needed() or (tokens and not with_pages):
        return ""
    what = "the app and its API" if with_pages and not tokens else "the app" if with_pages else "the API"
    how = "Set up sign-in" if with_pages else "Set GARMENTSCOPE_TOKENS to require tokens"
    return (
        f"This server listens to the network: everybody who reaches this machine may use {what}. {how}, or start it "
        f"with --host 127.0.0.1 for this machine alone. {_TEAM} says how."
    )


def _port(parser: argparse.ArgumentParser, arguments: list[str] | None) -> argparse.Namespace:
    parsed = parser.parse_args(arguments)
    if parsed.port is not None and parsed.port not in _PORTS:
        parser.error(f"N must be from {_PORTS[0]} to {_PORTS[-1]}")
    return parsed


def _problem() -> str:
    """Why nothing can be served, as a sentence; empty if it can."""
    if problem := missing_extra("app", *_MODULES):
        return problem
    from dashboard.api.limits import LimitsError, read_limits
    from dashboard.shared import sign_in, start
    from dashboard.shared.keeping import KeepingError, kept_minutes

    try:
        read_limits()
        kept_minutes()
    except (LimitsError, KeepingError) as error:
        return str(error)
    return start.problem() or sign_in.problem()


def _cannot_listen(host: str, port: int) -> str:
    """Why a server cannot listen at an address, as a sentence; empty if it can."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            if os.name != "nt":  # where it would let two listen at one port
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return f"Nothing can listen at {host}, port {port}: {first_line(error)}. Choose another --host or --port."
    return ""


def _log_requests() -> None:
    """Lets the API write a line of JSON for each request to stderr, and each line of the audit log."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    for name in ("garmentscope.api", "garmentscope.audit"):
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False


if __name__ == "__main__":
    sys.exit(main())
