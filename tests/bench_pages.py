"""How long a visitor waits on each page: for the first picture or chart, and until the page is at rest.

`PYTHONPATH=. python tests/bench_pages.py` measures the working tree; `--baseline X`, a commit or a folder that holds
the project, is measured before it on the same machine. A browser opens each page as somebody does who has only the
link:

- cold: the server has just started, and this is the first page that anybody opens;
- new: another visitor opens the page on that server, in a browser that has nothing cached;
- again: the same visitor comes back to the page from another one.

Printed are seconds from the click, or the address, to the first picture or chart (where a version shows none until an
example is asked for, the click on it included), and to rest: no script runs, and nothing is marked as busy.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from bench_visitors import REPOSITORY, _project
from chromium import launch
from playwright.sync_api import Browser, Page, sync_playwright
from playwright.sync_api import Error as PlaywrightError
from visitors import served

PAGES = ("Segment", "Compare", "Evaluation", "Dataset", "Archive", "Trends", "Models")
PATIENCE = 120.0
QUIET = 400  # ms without a run after which a page is at rest; taken off again

# The first thing to look at: a picture in the viewer, a chart, a table of models, an archive, a model's card.
SHOWN = """() => {
  const within = (each) => [each, ...(each.shadowRoot ? all(each.shadowRoot) : [])];
  const all = (root) => [...root.querySelectorAll("*")].flatMap(within);
  const wanted = ".surface canvas, .js-plotly-plot .main-svg, table.leaderboard, article.archive, article.model";
  return all(document).some((each) => each.matches(wanted) && each.getBoundingClientRect().height > 20);
}"""
AT_REST = """quiet => {
  const app = document.querySelector("[data-testid=stApp]"), now = performance.now();
  const begun = document.querySelector("h1"); // before the first run there is none, and nothing runs either
  const runs = app?.dataset.testScriptState !== "notRunning" || document.querySelector("[data-testid=stSpinner]");
  const busy = !begun || runs;
  if (busy || window.lastBusy === undefined) window.lastBusy = now;
  return now - window.lastBusy > quiet;
}"""


def main() -> None:
    """Measures and prints a line for each page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--baseline", help="commit or folder to compare with")
    parser.add_argument(
        "--rounds", type=int, default=1, help="times that each version is measured; medians are printed"
    )
    parser.add_argument("--pages", nargs="*", choices=PAGES, default=list(PAGES))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        versions = {"this tree": REPOSITORY}
        if arguments.baseline:
            versions = {"baseline": _project(arguments.baseline, Path(folder)), **versions}
        browser = launch(playwright.chromium)
        for name, project in versions.items():
            print(f"{name}: seconds to the first picture or chart / to rest", flush=True)
            for page in arguments.pages:
                rounds = [_visits(browser, project, page) for _ in range(arguments.rounds)]
                parts = []
                for visit in rounds[0]:
                    shown, rest = (statistics.median(found[visit][part] for found in rounds) for part in (0, 1))
                    parts.append(f"{visit} {shown:5.1f} / {rest:5.1f}")
                print(f"  {page:<11} {'   '.join(parts)}", flush=True)
        browser.close()


def _visits(browser: Browser, project: Path, name: str) -> dict[str, tuple[float, float]]:
    """Seconds to the first picture and to rest, by kind of visit."""
    found = {}
    with served(project) as (port, _):
        address = f"http://127.0.0.1:{port}/{'' if name == 'Segment' else name.lower()}"
        for visit in ("cold", "new"):
            context = browser.new_context(viewport={"width": 1440, "height": 900})
            page = context.new_page()
            begun = time.monotonic()
            page.goto(address)
            found[visit] = _wait(page, begun)
            if visit == "new":
                other = "Models" if name != "Models" else "Segment"
                page.get_by_role("link", name=other, exact=True).first.click()
                _wait(page, time.monotonic())
                begun = time.monotonic()
                page.get_by_role("link", name=name, exact=True).first.click()
                page.wait_for_timeout(50)  # until the browser has told the server
                found["again"] = _wait(page, begun)
            context.close()
    return found


def _wait(page: Page, begun: float) -> tuple[float, float]:
    """Seconds from the beginning to the first picture and to rest."""
    shown = None
    page.evaluate("window.lastBusy = undefined")
    while time.monotonic() - begun < PATIENCE:
        if shown is None and page.evaluate(SHOWN):
            shown = time.monotonic() - begun
        if page.evaluate(AT_REST, QUIET):
            example = page.get_by_role("button", name="Try an example")
            if shown is not None or not example.count():
                rest = time.monotonic() - begun - QUIET / 1000
                return shown if shown is not None else rest, rest
            try:
                example.click(timeout=1000)
            except PlaywrightError:
                continue
            page.evaluate("window.lastBusy = undefined")
        page.wait_for_timeout(20)
    raise SystemExit(f"{page.url} did not come to rest.")


if __name__ == "__main__":
    main()
