"""`garmentscope app`, or `python -m dashboard`: serves the app."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from segmodels.extras import missing_extra

_APP = Path(__file__).parent / "app.py"  # Streamlit reads `.streamlit/config.toml` beside it
_PORTS = range(1, 65536)


def main(arguments: list[str] | None = None) -> int:
    """Serves the app until it is stopped: 0 if all went well, 1 if something failed, 2 for wrong usage."""
    parser = argparse.ArgumentParser(prog="garmentscope app", description="Serves the app to a browser.")
    parser.add_argument("--port", type=int, metavar="N", help="port of the server (default: 8501)")
    port = parser.parse_args(arguments).port
    if port is not None and port not in _PORTS:
        parser.error(f"N must be from {_PORTS[0]} to {_PORTS[-1]}")
    if problem := missing_extra("app", "streamlit", "plotly", "statsmodels"):
        print(problem, file=sys.stderr)
        return 2
    from streamlit.web import cli

    options = [f"--server.port={port}"] if port is not None else []
    cli.main(["run", str(_APP), *options], prog_name="streamlit", standalone_mode=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
