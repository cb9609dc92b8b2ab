"""Finds a Chromium for the tests; run as a script, it installs one where there is none.

Looked for in this order: `GARMENTSCOPE_CHROMIUM`, an installed Chromium or Chrome, Playwright's own download. As a
script it then tries Playwright's download and, where it may, Debian's package.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

from playwright.sync_api import Browser, BrowserType, sync_playwright
from playwright.sync_api import Error as PlaywrightError

COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Without a network the browser's own chatter fails many times a second; none of it matters to a test.
ARGUMENTS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update", "--disable-sync"]


class NoChromiumError(RuntimeError):
    """No Chromium starts; the message says what was tried."""


def launch(chromium: BrowserType) -> Browser:
    """Starts the first Chromium that does, headless.

    Raises:
        NoChromiumError: If none starts.
    """
    tried = []
    for place, path in candidates():
        try:
            return chromium.launch(executable_path=path, args=ARGUMENTS)
        except PlaywrightError as error:
            tried.append(f"{place} ({error.message.strip().splitlines()[0]})")
    raise NoChromiumError(
        "No Chromium starts. Install one (apt-get install chromium, or python -m playwright install chromium), or name "
        f"it in GARMENTSCOPE_CHROMIUM. Tried: {'; '.join(tried)}. Looked on the PATH for {', '.join(COMMANDS)}."
    )


def candidates() -> list[tuple[str, str | None]]:
    """What each place is called, and its path; None is Playwright's own download."""
    candidates: list[tuple[str, str | None]] = []
    if chosen := os.environ.get("GARMENTSCOPE_CHROMIUM"):
        candidates.append((f"GARMENTSCOPE_CHROMIUM={chosen}", chosen))
    candidates += [(command, path) for command in COMMANDS if (path := shutil.which(command))]
    return [*candidates, ("Playwright's own download", None)]


def _starts() -> str | None:
    """None if a Chromium starts, else why not."""
    with sync_playwright() as playwright:
        try:
            launch(playwright.chromium).close()
        except NoChromiumError as error:
            return str(error)
    return None


def install() -> int:
    """Sees to it that a Chromium starts: 0 if one does, 1 with what was tried if not."""
    if _starts() is None:
        return 0
    ways = [[sys.executable, "-m", "playwright", "install", "chromium"]]
    if shutil.which("apt-get") and os.geteuid() == 0:
        ways += [
            ["apt-get", "update", "-qq"],
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"],
        ]
    outcomes = []
    for way in ways:
        print(f"No Chromium yet. Trying: {' '.join(way)}", flush=True)
        try:
            done = subprocess.run(way, capture_output=True, text=True, timeout=600)
            outcomes.append(f"{' '.join(way)}: exit {done.returncode}, {(done.stderr or done.stdout).strip()[-300:]}")
        except subprocess.TimeoutExpired:
            outcomes.append(f"{' '.join(way)}: no end within 10 minutes")
        if way[-1].endswith("chromium") and _starts() is None:
            return 0
    print("\n".join([*outcomes, _starts() or ""]), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(install())
