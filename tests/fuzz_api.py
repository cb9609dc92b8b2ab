"""Lets schemathesis try the HTTP API by its own description: `make fuzz-api SECONDS=120`.

Schemathesis needs other versions of libraries than Garmentscope has, so pip installs it into a folder that is removed
afterwards; `--python` names an interpreter that has it already. The API is served here with an empty cache. It must
answer whatever is sent as described: no 5xx, known statuses, types and shapes. Beside that no answer may hold a
traceback or a folder of this machine.
"""

from __future__ import annotations

import argparse
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOOL = "schemathesis>=4.32"
CHECKS = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,"
    "response_schema_conformance,unsupported_method,allow_header_conformance"
)
SERVE = "import sys; from dashboard.__main__ import serve; sys.exit(serve(['--port', '{port}']))"


def main() -> int:
    """0 if all answers are as described, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=120, help="for the whole run (default: %(default)d)")
    parser.add_argument("--python", type=Path, help="interpreter of an environment that has schemathesis")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        python = arguments.python or install(Path(folder, "environment"))
        cache = Path(folder, "cache")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        address = f"http://127.0.0.1:{port}/api/v1"
        report = Path(folder, "report.har")
        environment = {**os.environ, "GARMENTSCOPE_CACHE": str(cache), "GARMENTSCOPE_API": "minute=1000000"}
        with (Path(folder) / "server.log").open("w") as log:
            server = subprocess.Popen(
                [sys.executable, "-c", SERVE.replace("{port}", str(port))], env=environment, cwd=ROOT, stderr=log
            )
        try:
            wait(f"{address}/health", server)
            command = [str(python.parent / "schemathesis"), "run", f"{address}/openapi.json", "--url", address]
            command += ["--checks", CHECKS, "--max-time", str(arguments.seconds), "--continue-on-failure"]
            command += ["--request-timeout", "150", "--report", "har", "--report-har-path", str(report)]
            done = subprocess.run(command, check=False)
        finally:
            server.terminate()
            server.wait(60)
        leaks = leaked(report.read_text(errors="replace"), cache)
        print(f"{leaks} answers with a traceback or a folder of this machine")
        return 1 if done.returncode or leaks else 0


def install(folder: Path) -> Path:
    """A new environment with schemathesis; its interpreter is returned."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    subprocess.run([python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", TOOL], check=True)
    return python


def wait(address: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(address, timeout=60).close()
            return
        except OSError:
            if server.poll() is not None:
                sys.exit("The server ended.")
            time.sleep(0.2)


def leaked(report: str, cache: Path) -> int:
    """Number of answers with what no caller should see."""
    import json

    entries = json.loads(report)["log"]["entries"]
    words = ("Traceback (most recent", str(cache), str(ROOT), sys.prefix)
    bodies = [entry["response"].get("content", {}).get("text") or "" for entry in entries]
    found = [body for body in bodies if any(word in body for word in words)]
    print(f"{len(entries):,} requests", *(body[:300] for body in found[:5]), sep="\n")
    return len(found)


if __name__ == "__main__":
    sys.exit(main())
