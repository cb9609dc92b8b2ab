"""A watched folder: files that are written slowly, moved in, written again, or there before."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from segmodels.archive.__main__ import main
from segmodels.archive.ingest import Report
from segmodels.archive.place import ArchiveError
from segmodels.archive.sources import Found
from segmodels.archive.watch import watch

Photo = Callable[..., bytes]
WAIT = 20.0


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < end, "it never came to pass"
        time.sleep(0.02)


@contextmanager
def watched(folder: Path, take: Callable[[Found], object], poll: float | None = None) -> Iterator[list[str]]:
    """Watches in a thread; gives the sentences that were said."""
    stopped, said = threading.Event(), list[str]()
    options = {"poll": poll, "settled": 0.8, "say": said.append, "stopped": stopped}
    thread = threading.Thread(target=watch, args=(folder, take), kwargs=options)
    thread.start()
    try:
        yield said
    finally:
        stopped.set()
        thread.join(WAIT)
        assert not thread.is_alive()


@pytest.mark.parametrize("poll", [None, 0.3])
def test_files_are_taken_once_they_are_whole(tmp_path: Path, photo: Photo, poll: float | None) -> None:
    folder, given = tmp_path / "drop", list[tuple[str, int]]()
    folder.mkdir()
    (folder / "before.jpg").write_bytes(photo(0))
    (folder / "notes.txt").write_text("no photo")

    def take(found: Found) -> None:
        given.extend((source.name, len(source.read())) for source in found.sources)

    with watched(folder, take, poll):
        until(lambda: given == [("before.jpg", len(photo(0)))])
        whole = photo(1)
        with (folder / "slow.jpg").open("wb") as file:
            for part in range(6):
                file.write(whole[part * len(whole) // 6 : (part + 1) * len(whole) // 6])
                file.flush()
                time.sleep(0.25)
        (tmp_path / "spring").mkdir()
        (tmp_path / "spring" / "moved.jpg").write_bytes(photo(2))
        (tmp_path / "spring").rename(folder / "spring")
        until(lambda: len(given) == 3)
        assert sorted(given[1:]) == [("slow.jpg", len(whole)), ("spring/moved.jpg", len(photo(2)))]
        (folder / "before.jpg").write_bytes(photo(3) + bytes(7))
        until(lambda: len(given) == 4)
        assert given[3] == ("before.jpg", len(photo(3)) + 7)


def test_an_archive_that_cannot_be_written_keeps_the_photos_for_later(
    tmp_path: Path, photo: Photo, take: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segmodels.archive.watch._AGAIN", 0.1)
    (tmp_path / "drop").mkdir()
    (tmp_path / "drop" / "a.jpg").write_bytes(photo(0))
    reports, tries = list[Report](), list[int]()

    def full(found: Found) -> None:
        tries.append(len(found.sources))
        if len(tries) == 1:
            raise ArchiveError("No space is left.")
        reports.append(take(found))

    with watched(tmp_path / "drop", full) as said:
        until(lambda: bool(reports))
    assert said == ["No space is left. The photos are tried again in 0 seconds."] and reports[0].added == 1


def test_what_cannot_be_watched_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ArchiveError, match="is no folder of this machine"):
        watch(tmp_path / "gone", lambda found: None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ArchiveError, match=r'Watching a folder needs watchdog.*"garmentscope\[watch\]"'):
        watch(tmp_path, lambda found: None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--watch", "--poll", "inf"], "--poll is a number of seconds above 0 and up to 86400"),
        (["--watch", "--poll", "1e300"], "--poll is a number of seconds above 0"),
        (["--poll", "3"], "and goes with --watch"),
        (["--videos", "--every", "inf"], "--every is a number of seconds above 0 and up to 86400"),
    ],
)
def test_seconds_that_no_clock_has_are_refused(
    tmp_path: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An endless --poll ended the thread that looks, and no photo was ever seen."""
    with pytest.raises(SystemExit):
        main(["ingest", str(tmp_path), "--archive", str(tmp_path / "archive"), *words])
    assert said in capsys.readouterr().err
