"""SIGTERM, which systemd, Docker and schedulers send, stops a command as Ctrl-C does."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from segmodels.__main__ import main
from segmodels.archive import ingest as ingesting
from segmodels.archive.store import Archive
from segmodels.checkpoints import catalog
from segmodels.inference.segmenter import Segmenter
from segmodels.streams import heed_sigterm, stopped_status

Jpeg = Callable[..., bytes]

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM that a process can heed")


@pytest.fixture(autouse=True)
def _unheeded() -> Iterator[None]:
    """SIGTERM as a process begins with it; Ray, which other tests start, leaves a handler of its own."""
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def photos(tmp_path: Path, jpeg: Jpeg, models: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(catalog, "EMBEDDED", tmp_path / "embedded")
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.jpg").write_bytes(jpeg(60, 40, seed=number))
    return folder


def test_it_is_an_interrupt_and_its_status_is_that_of_sigterm() -> None:
    with pytest.raises(KeyboardInterrupt), heed_sigterm():
        signal.raise_signal(signal.SIGTERM)
    assert stopped_status() == 143 and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    with pytest.raises(KeyboardInterrupt), heed_sigterm():
        signal.raise_signal(signal.SIGINT)
    assert stopped_status() == 130


def test_whoever_heeds_it_already_goes_on_to_and_a_thread_is_left_alone() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: seen.append(number))
    try:
        with heed_sigterm():
            signal.raise_signal(signal.SIGTERM)
        assert seen == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)

    def work() -> None:
        with heed_sigterm():
            seen.append(0)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen[-1] == 0


def test_a_second_one_kills() -> None:
    child = os.fork()
    if not child:
        try:
            with heed_sigterm():
                signal.raise_signal(signal.SIGTERM)
        except KeyboardInterrupt:
            signal.raise_signal(signal.SIGTERM)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM


def test_photos_that_were_done_stay_and_the_run_goes_on(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole, done = Segmenter.segment, []

    def stopped_after_two(self: Segmenter, photo: object) -> object:
        if len(done) == 2:
            signal.raise_signal(signal.SIGTERM)
        done.append(photo)
        return whole(self, photo)  # type: ignore[arg-type]

    monkeypatch.setattr(Segmenter, "segment", stopped_after_two)
    command = ["segment", str(photos), "--out", str(tmp_path / "out"), "--model", "tiny"]
    assert main(command) == 143
    assert "Stopped. Results written so far are complete" in capsys.readouterr().err
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == ["0.json", "0.png", "1.json", "1.png"]
    monkeypatch.setattr(Segmenter, "segment", whole)
    assert main(command) == 0 and len(list((tmp_path / "out").iterdir())) == 6


def test_an_ingest_keeps_the_rows_that_it_has(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = ingesting.analyse_here

    def stopped(*arguments: object) -> object:
        for number, outcome in enumerate(whole(*arguments)):  # type: ignore[arg-type]
            yield outcome
            if number == 1:
                signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr("segmodels.archive.__main__.analyse_here", stopped)
    archive = tmp_path / "archive"
    assert main(["archive", "ingest", str(photos), "--archive", str(archive), "--model", "tiny"]) == 143
    assert "Stopped. What is done so far is in the archive" in capsys.readouterr().err
    with Archive(archive).reader() as reader:
        assert int(reader.query("SELECT count(*) n FROM photos")["n"].iloc[0]) == 2
