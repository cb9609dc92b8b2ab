"""32 callers of the API and five browsers on the pages at once, for a minute: nobody may fail.

`make together` runs it, and `--seconds`, `--callers` and `--browsers` change it. The app is served in a process of its
own with the limits that it has by default, apart from those of one caller, as all callers are one here. Each caller
sends one photo after another, every one another file, and waits as long as `Retry-After` says where it is refused. Each
browser is a Chromium's own context: every other one drops photos on Segment and takes the list of its garments, the
others go through the charts of Trends.

A failure is a status other than 200 and 429, a 429 without `Retry-After`, a photo without an answer, an answer that
holds no person, an error on a page or in its console, and a page that shows nothing within two minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import statistics
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
from bench_api import REPOSITORY, photo_of
from bench_pages import AT_REST, QUIET
from chromium import ARGUMENTS, candidates
from playwright.async_api import Browser, BrowserType, Page, async_playwright
from playwright.async_api import Error as PlaywrightError
from visitors import memory, served

PATIENCE = 120.0
LIMITS = "photos=64,minute=1000000,megapixels=1000000"
SCRIPT = "dashboard/server.py"
CHART = ".js-plotly-plot .main-svg:visible"
TABS = ("What is worn", "How it moves", "With what", "In which colours")


@dataclass
class Seen:
    """What callers, or browsers, saw."""

    seconds: list[float] = field(default_factory=list)
    refused: int = 0
    failures: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        ordered = sorted(self.seconds) or [float("nan")]
        late = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
        faults = "".join(f"\n  {each}" for each in self.failures[:10])
        return (
            f"{len(self.seconds)} done, p50 {statistics.median(ordered):.2f} s, p95 {late:.2f} s, "
            f"{self.refused} refused and repeated, {len(self.failures)} failures{faults}"
        )


def main() -> int:
    """Prints what both saw; 1 if anybody failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="(default: %(default)g)")
    parser.add_argument("--callers", type=int, default=32)
    parser.add_argument("--browsers", type=int, default=5)
    arguments = parser.parse_args()
    with served(REPOSITORY, {"GARMENTSCOPE_API": LIMITS}, SCRIPT) as (port, pid):
        before = memory(pid)
        callers, browsers = asyncio.run(_both(port, arguments.callers, arguments.browsers, arguments.seconds))
        print(f"{arguments.callers} callers: {callers}")
        print(f"{arguments.browsers} browsers: {browsers}")
        print(f"memory of the server: {before:,.0f} to {memory(pid):,.0f} MB")
    fine = callers.seconds and browsers.seconds and not callers.failures and not browsers.failures
    return 0 if fine else 1


async def _both(port: int, callers: int, browsers: int, seconds: float) -> tuple[Seen, Seen]:
    calls, views = Seen(), Seen()
    async with async_playwright() as playwright:
        chromium = await _launch(playwright.chromium)
        limits = httpx2.Limits(max_connections=callers, max_keepalive_connections=callers)
        async with httpx2.AsyncClient(timeout=PATIENCE, limits=limits, trust_env=False) as client:
            await _call(client, port, photo_of(0), calls)  # the first loads the network
            deadline = time.perf_counter() + seconds
            asking = [_caller(client, port, deadline, number, calls) for number in range(callers)]
            looking = [_visit(chromium, port, deadline, number, views) for number in range(browsers)]
            await asyncio.gather(*asking, *looking)
        await chromium.close()
    return calls, views


async def _launch(chromium: BrowserType) -> Browser:
    for _, path in candidates():
        try:
            return await chromium.launch(executable_path=path, args=ARGUMENTS)
        except PlaywrightError:
            continue
    raise SystemExit("No Chromium starts: PYTHONPATH=. python tests/chromium.py installs one.")


async def _caller(client: httpx2.AsyncClient, port: int, deadline: float, number: int, seen: Seen) -> None:
    sent = 0
    while time.perf_counter() < deadline:
        sent += 1
        await _call(client, port, photo_of(number * 100 + sent), seen)


async def _call(client: httpx2.AsyncClient, port: int, photo: bytes, seen: Seen) -> None:
    """Sends a photo until it is taken."""
    started = time.perf_counter()
    for _ in range(100):
        try:
            answer = await client.post(
                f"http://127.0.0.1:{port}/api/v1/segment", files={"photo": ("look.jpg", photo, "image/jpeg")}
            )
        except httpx2.HTTPError as error:
            seen.failures.append(f"a caller: {type(error).__name__}")
            return
        if answer.status_code != 429 or "retry-after" not in answer.headers:
            break
        seen.refused += 1
        await asyncio.sleep(float(answer.headers["retry-after"]))
    if answer.status_code != 200 or not answer.json()["garments"]:
        seen.failures.append(f"a caller: {answer.status_code} {answer.text[:200]}")
        return
    seen.seconds.append(time.perf_counter() - started)


async def _visit(chromium: Browser, port: int, deadline: float, number: int, seen: Seen) -> None:
    """A visitor with a browser of his own."""
    context = await chromium.new_context(accept_downloads=True)
    context.set_default_timeout(PATIENCE * 1000)
    page = await context.new_page()
    page.on("pageerror", lambda error: seen.failures.append(f"browser {number}: {error}"))
    turn = 0
    try:
        while time.perf_counter() < deadline:
            started, turn = time.perf_counter(), turn + 1
            if number % 2:
                await _read_trends(page, port)
            else:
                await _segment(page, port, f"look-{number}-{turn}.jpg", photo_of(5000 + number * 100 + turn))
            seen.seconds.append(time.perf_counter() - started)
    except (PlaywrightError, AssertionError) as error:
        seen.failures.append(f"browser {number}: {str(error)[:500]}")
    await context.close()


async def _segment(page: Page, port: int, name: str, photo: bytes) -> None:
    """Drops a photo, and takes the list of its garments."""
    await page.goto(f"http://127.0.0.1:{port}/")
    dropped = {"name": name, "mimeType": "image/jpeg", "buffer": photo}
    await page.locator("input[type=file]").first.set_input_files(dropped)  # type: ignore[arg-type]
    await page.wait_for_url(re.compile(r"visit="))  # the page has taken it; nobody takes a list before
    listing, until = {"photo": ""}, time.perf_counter() + PATIENCE
    while listing["photo"] != name:  # until then the page has the list of its example
        await asyncio.sleep(1)
        await _rest(page, until, f"{name} was not shown")
        async with page.expect_download() as waiting:
            await page.get_by_role("button", name="JSON", exact=True).click()
        listing = json.loads(Path(await (await waiting.value).path()).read_bytes())
    assert listing["garments"], f"{name} came back without garments"


async def _read_trends(page: Page, port: int) -> None:
    """Opens each tab, and waits until its chart is there."""
    await page.goto(f"http://127.0.0.1:{port}/trends?archive=Made-up+sample")  # the one that has dates
    for tab in TABS:
        await page.get_by_role("tab", name=tab, exact=True).click()
        until = time.perf_counter() + PATIENCE
        while not await page.locator(CHART).count():
            await _rest(page, until, f"{tab} shows no chart")
        await _rest(page, until, f"{tab} does not come to rest")
        assert not await page.get_by_test_id("stException").count(), f"{tab} shows an error"


async def _rest(page: Page, until: float, fault: str) -> None:
    """Waits until no script of a page has run for a moment."""
    await page.evaluate("window.lastBusy = undefined")
    while not await page.evaluate(AT_REST, QUIET):
        assert time.perf_counter() < until, fault
        await asyncio.sleep(0.1)
    assert time.perf_counter() < until, fault


if __name__ == "__main__":
    sys.exit(main())
