"""What runs in threads: the list of what the Hub has, and pulls. Both without a Hub."""

import threading
from collections.abc import Iterator

import pytest

from dashboard.models import pulls
from dashboard.models.listing import Listing
from dashboard.models.pulls import begin, progress_sentence, running
from segmodels.checkpoints.catalog import EMBEDDED
from segmodels.hub.client import HubCheckpoint, Progress
from segmodels.hub.errors import HubError

WAIT = 60.0
FOUND = HubCheckpoint("fpn", "atelier/garmentscope-fpn", "a" * 40, 9, EMBEDDED / "fpn")
TOKEN = "hf_aTokenOfTheTests"


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What keeps a thread of the test waiting; opened at the end at the latest."""
    event = threading.Event()
    yield event
    event.set()


def test_a_slow_hub_keeps_nobody_waiting(gate: threading.Event) -> None:
    asked = []

    def ask() -> tuple[list[HubCheckpoint], str]:
        asked.append(1)
        gate.wait(WAIT)
        return [FOUND], ""

    listing = Listing("atelier", ask)
    for _ in range(3):
        listing.keep_fresh(0.0)
    assert listing.asking and not listing.answered and not listing.checkpoints
    gate.set()
    listing.wait(WAIT)
    assert not listing.asking and listing.answered and listing.checkpoints == [FOUND] and len(asked) == 1
    assert listing.parameters == {"fpn": 4_835_471}
    listing.keep_fresh(3600.0)
    assert not listing.asking, "the answer is fresh"
    listing.keep_fresh(-1.0)
    listing.wait(WAIT)
    assert len(asked) == 2


def test_what_the_hub_said_last_stays_when_it_fails() -> None:
    answers = iter([([FOUND], ""), ([], "It cannot be reached.")])
    listing = Listing("atelier", lambda: next(answers))
    for problem in ("", "It cannot be reached.", "The Hub could not be queried (StopIteration). Try again later."):
        listing.ask()
        listing.wait(WAIT)
        assert listing.problem == problem and listing.checkpoints == [FOUND]


def test_a_failure_that_nobody_foresaw_shows_no_token() -> None:
    def ask() -> tuple[list[HubCheckpoint], str]:
        raise RuntimeError(f"Authorization: Bearer {TOKEN}")

    listing = Listing("atelier", ask)
    listing.ask()
    listing.wait(WAIT)
    assert listing.problem == "The Hub could not be queried (RuntimeError). Try again later." and listing.answered


def test_a_pull_runs_beside_the_page_and_once(gate: threading.Event) -> None:
    told = threading.Event()

    def bring(name: str, progress: Progress) -> None:
        progress(41_000_000, 98_000_000)
        told.set()
        gate.wait(WAIT)

    pull = begin("slow", bring)
    assert told.wait(WAIT) and pull.live and running() == {"slow": pull}
    assert begin("slow", bring) is pull
    assert progress_sentence(pull.done, pull.total) == "41 of 98 MB" and pull.share == pytest.approx(41 / 98)
    gate.set()
    pull.wait(WAIT)
    assert pull.phase == "done" and not pull.error and running() == {}


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (HubError("The disk is full."), "The disk is full."),
        (
            RuntimeError(f"Authorization: Bearer {TOKEN}"),
            "The pull failed (RuntimeError). A revision pulled before is kept. Try again.",
        ),
    ],
)
def test_a_pull_that_fails_is_a_sentence(error: Exception, sentence: str) -> None:
    def bring(name: str, progress: Progress) -> None:
        raise error

    pull = pulls.begin("bad", bring)
    pull.wait(WAIT)
    assert pull.phase == "failed" and pull.error == sentence and running() == {}


@pytest.mark.parametrize(
    ("done", "total", "text"),
    [
        (0, 0, "Requesting the files from the Hub."),
        (0, 98_000_000, "0 of 98 MB"),
        (1_240_000, 9_540_000, "1.2 of 9.5 MB"),
        (60_000, 123_000, "0.1 of 0.1 MB"),
        (12_000, 80_400, "12 of 80 kB"),
        (98_000_000, 98_000_000, "Checking the files."),
    ],
)
def test_how_far_a_pull_is(done: int, total: int, text: str) -> None:
    assert progress_sentence(done, total) == text
