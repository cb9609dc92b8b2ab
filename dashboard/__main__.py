"""`garmentscope app` or `python -m dashboard`: serves the app and the API; `garmentscope serve`: the API alone.

`garmentscope token` makes, lists and revokes the tokens of the API.
"""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path

from segmodels.extras import missing_extra
from segmodels.settings import read_settings

_SERVER = Path(__file__).parent / "server.py"  # Streamlit reads `.streamlit/config.toml` beside it
_PORTS = range(1, 65536)
_MODULES = ("streamlit", "plotly", "statsmodels", "fastapi", "fastapi_offline", "prometheus_client")
_STOP_SECONDS = 30  # for the photos that are in work when the server is stopped


def main(arguments: list[str] | None = None) -> int:
    """Serves the app until it is stopped: 0 if all went well, 1 if something failed, 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="garmentscope app", description="Serves the app and the API.")
    parser.add_argument("--port", type=int, metavar="N", help="port of the server (default: 8501)")
    port = _port(parser, arguments).port
    if problem := _problem():
        print(problem, file=sys.stderr)
        return 2
    from streamlit.web import cli

    _log_requests()
    options = [f"--server.port={port}"] if port is not None else []
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
    if problem := _problem():
        print(problem, file=sys.stderr)
        return 2
    import uvicorn
    from starlette.applications import Starlette
    from streamlit.logger import set_log_level

    from dashboard.api.routes import routes

    set_log_level("ERROR")  # it would say that its pages are not served
    _log_requests()
    if parsed.host not in ("127.0.0.1", "::1", "localhost") and not read_settings().tokens:
        print(
            "Everybody who reaches this machine may use the API. Set GARMENTSCOPE_TOKENS to require tokens.", flush=True
        )
    print(f"The API is at http://{parsed.host}:{parsed.port}/api/v1; its pages at /api/v1/docs.", flush=True)
    uvicorn.run(
        Starlette(routes=routes()),
        host=parsed.host,
        port=parsed.port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=_STOP_SECONDS,
    )
    return 0


def token(arguments: list[str] | None = None) -> int:
    """Makes, lists or revokes tokens; statuses as those of `main`."""
    from dashboard.api.tokens import MAX_DAYS, SCOPES, TokenError, tokens_of_server

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
        elif parsed.command == "revoke":
            tokens.revoke(parsed.name)
        else:
            for each in tokens.all():
                state = "expired" if each.is_expired() else "until"
                print(f"{each.name}: {', '.join(each.scopes)}; {state} {each.expires[:10]}; {each.id}")
    except TokenError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


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

    try:
        read_limits()
    except LimitsError as error:
        return str(error)
    return ""


def _log_requests() -> None:
    """Lets the API write a line of JSON for each request to stderr."""
    logger = logging.getLogger("garmentscope.api")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


if __name__ == "__main__":
    sys.exit(main())
