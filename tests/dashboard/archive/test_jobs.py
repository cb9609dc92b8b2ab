import asyncio
import gc
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import pytest
import torch
from archive_rows import rows_of

from dashboard.archive import jobs, spool
from dashboard.archive.jobs import Job, begin, running
from dashboard.archive.shelf import Shelved
from dashboard.lifespan import lifespan
from dashboard.shared.inference_queue import InferenceQueue
from segmodels.archive.fetching import Fetcher, photo_at
from segmodels.archive.metadata import parse_metadata
from segmodels.archive.place import Place
from segmodels.archive.sources import Found, Source, from_uploads
from segmodels.archive.store import Archive, ArchiveError
from segmodels.archive.thumbnails import thumbnails_of
from segmodels.checkpoints.errors import CheckpointError
from segmodels.inference.segmenter import Segmenter

Photo = Callable[..., bytes]
WAIT = 120.0


@pytest.fixture
def target(tmp_path: Path) -> Shelved:
    return Shelved("spring", str(tmp_path / "spring"), "own")


@pytest.fixture
def gate(photo: Photo) -> Iterator[tuple[Found, threading.Event]]:
    """Forty photos, of which those after the first twelve wait until somebody opens."""
    opened = threading.Event()

    def late(data: bytes) -> bytes:
        opened.wait(WAIT)
        return data

    sources = [
        Source(f"look{number:02}.jpg", lambda number=number: photo(number) if number < 12 else late(photo(number)))
        for number in range(40)
    ]
    yield Found(sources, []), opened
    opened.set()


def until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(int(WAIT / 0.02)):
        if condition():
            return
        pause.wait(0.02)
    pytest.fail("it never came to pass")


def done(job: Job) -> Job:
    begin(job)
    job.wait(WAIT)
    assert not job.live
    return job


def test_photos_go_in_once(target: Shelved, photo: Photo, segmenter: Segmenter) -> None:
    found = from_uploads([(f"look{number}.jpg", photo(number)) for number in range(3)])
    metadata = parse_metadata(b"file_name,market\nlook0.jpg,Paris\n", "looks.csv")
    job = done(Job(target, found, metadata, lambda: segmenter))
    assert job.phase == "done" and job.report and (job.report.added, job.report.known) == (3, 0)
    assert job.progress and (job.progress.done, job.progress.total) == (3, 3)
    again = done(Job(target, found, None, lambda: segmenter))
    assert again.report and (again.report.added, again.report.known) == (0, 3)
    assert len(rows_of(Archive(target.location))) == 3


def test_a_stopped_job_keeps_what_is_done_and_goes_on(
    target: Shelved, gate: tuple[Found, threading.Event], segmenter: Segmenter
) -> None:
    found, opened = gate
    job = Job(target, found, None, lambda: segmenter)
    begin(job)
    until(lambda: bool(job.progress and job.progress.done >= 2))
    assert job.phase == "running" and running() == [job]
    with pytest.raises(ArchiveError, match="being added to spring already"):
        begin(job.again())
    job.stop()
    opened.set()
    job.wait(WAIT)
    assert job.phase == "stopped" and job.report is None and running() == []
    kept = len(rows_of(Archive(target.location)))
    assert 2 <= kept < 40
    rest = done(job.again())
    assert rest.report and (rest.report.added, rest.report.known) == (40 - kept, kept)
    assert len(rows_of(Archive(target.location))) == 40


def test_another_archive_waits_and_can_be_stopped_meanwhile(
    target: Shelved, tmp_path: Path, gate: tuple[Found, threading.Event], photo: Photo, segmenter: Segmenter
) -> None:
    found, opened = gate
    first = Job(target, found, None, lambda: segmenter)
    begin(first)
    until(lambda: first.phase == "running")
    few = from_uploads([("a.jpg", photo(1))])
    second, third = (
        Job(Shelved(name, str(tmp_path / name), "own"), few, None, lambda: segmenter) for name in ("autumn", "winter")
    )
    begin(second)
    begin(third)
    assert second.phase == third.phase == "waiting"
    third.stop()
    third.wait(WAIT)
    assert third.phase == "stopped" and first.live and second.phase == "waiting"
    opened.set()
    for job in (first, second):
        job.wait(WAIT)
    assert first.phase == second.phase == "done"


def test_what_fails_is_a_sentence_and_can_be_tried_again(
    target: Shelved, photo: Photo, segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = from_uploads([("a.jpg", photo(1))])

    def damaged() -> Segmenter:
        raise CheckpointError("tiny has no weights. Pull it again.")

    assert (job := done(Job(target, found, None, damaged))).phase == "failed"
    assert job.error == "tiny has no weights. Pull it again."

    def surprise(*_: object) -> None:
        raise RuntimeError("out of luck\nand more")

    with monkeypatch.context() as patch:
        patch.setattr(jobs, "ingest", surprise)
        job = done(Job(target, found, None, lambda: segmenter))
        assert job.phase == "failed"
        assert job.error == "The ingest failed: out of luck. What was written before is kept."
    assert done(job.again()).phase == "done"
    once = done(Job(target, found, None, damaged, is_repeatable=False))
    assert once.phase == "failed" and not once._found.sources, "nothing holds photos that nobody can add again"


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path: Path, photo: Photo, segmenter: Segmenter) -> None:
    (tmp_path / "file").write_text("in the way")
    place = Shelved("x", str(tmp_path / "file" / "x"), "named")
    job = done(Job(place, from_uploads([("a.jpg", photo(1))]), None, lambda: segmenter))
    assert job.phase == "failed" and "cannot be" in job.error and "\n" not in job.error


def test_a_paused_job_waits_on_disk_and_another_run_goes_on(
    target: Shelved, photo: Photo, segmenter: Segmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GARMENTSCOPE_CACHE", str(tmp_path))
    monkeypatch.setattr(jobs.networks, "segmenter", lambda model: segmenter)
    table = parse_metadata(b"file_name,taken_at,market\n0.jpg,2024-03-01,North\n", "a.csv")
    found = from_uploads([(f"{number}.jpg", photo(number)) for number in range(3)])
    opened = threading.Event()

    def load() -> Segmenter:
        opened.wait(WAIT)
        return segmenter

    job = Job(target, found, table, load, owner="ann", model="tiny")
    begin(job)
    assert list(jobs.spool.left_over()) == [], "a server that runs has it"
    threading.Timer(0.2, opened.set).start()
    jobs.pause(WAIT)
    assert job.phase == "stopped"
    jobs.resume()
    resumed = jobs.remembered[job.id]
    resumed.wait(WAIT)
    assert not resumed.is_repeatable
    assert resumed.phase == "done" and resumed.owner == "ann" and not (tmp_path / "jobs" / job.id).exists()
    rows = rows_of(Archive(target.location))
    assert sorted(rows["file_name"]) == ["0.jpg", "1.jpg", "2.jpg"]
    assert [dict(tags) for tags in rows.sort_values("file_name")["tags"]] == [{"market": "North"}, {}, {}]


def test_what_was_uploaded_is_read_from_disk_until_nobody_can_go_on(
    target: Shelved, photo: Photo, segmenter: Segmenter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GARMENTSCOPE_CACHE", str(tmp_path))
    reads: list[int] = []

    def uploaded(number: int) -> bytes:
        reads.append(number)
        return photo(number)

    def damaged() -> Segmenter:
        raise CheckpointError("tiny has no weights. Pull it again.")

    found = Found([Source(f"{number}.jpg", partial(uploaded, number)) for number in range(3)], [])
    job = done(Job(target, found, None, damaged, model="tiny"))
    folder = tmp_path / "jobs" / job.id
    assert job.phase == "failed" and (folder / "ended").exists(), "no other server goes on with it"
    rest = job.again()
    rest._load = lambda: segmenter
    assert done(rest).phase == "done" and len(rows_of(Archive(target.location))) == 3
    assert reads == [0, 1, 2] and not folder.exists(), "each upload is read once"
    left = done(Job(target, found, None, damaged, model="tiny"))
    folder = tmp_path / "jobs" / left.id
    assert folder.exists() and running() == []
    del left
    gc.collect()
    assert not folder.exists(), "nobody can go on with it"


def test_an_ended_job_goes_when_another_server_starts(
    photo: Photo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GARMENTSCOPE_CACHE", str(tmp_path))
    about = {"archive": "spring", "location": str(tmp_path), "origin": "own", "model": "tiny", "owner": ""}
    kept = spool.save("b" * 32, from_uploads([("a.jpg", photo(1))]), None, **about)
    kept.end()
    kept.leave()
    assert list(spool.left_over()) == [] and not any((tmp_path / "jobs").iterdir())


def test_the_oldest_jobs_that_ended_are_forgotten(target: Shelved, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "remembered", {})
    monkeypatch.setattr(jobs, "_MOST_REMEMBERED", 3)
    made = [Job(target, from_uploads([]), None, lambda: pytest.fail("no network is needed")) for _ in range(5)]
    for number, job in enumerate(made):
        job.phase = "running" if number == 0 else "done"
        jobs.remember(job)
    assert list(jobs.remembered.values()) == [made[0], *made[3:]], "the first is not done yet"


def test_a_job_that_ends_the_server_again_and_again_is_given_up(
    target: Shelved, photo: Photo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GARMENTSCOPE_CACHE", str(tmp_path))
    found = from_uploads([("a.jpg", photo(1))])
    about = {"archive": "spring", "location": target.location, "origin": "own", "model": "tiny", "owner": ""}
    jobs.spool.save("once", found, None, **about).leave()
    for _ in range(3):
        (left,) = jobs.spool.left_over()
        assert [each.read() for each in left.kept.found.sources] == [photo(1)]
        left.kept.leave()
    assert list(jobs.spool.left_over()) == [] and not (tmp_path / "jobs" / "once").exists()
    jobs.spool.save("torn", found, None, **about).leave()
    (tmp_path / "jobs" / "torn" / "photos").write_bytes(b"")
    assert list(jobs.spool.left_over()) == []


def test_what_is_left_of_a_job_goes_when_the_server_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GARMENTSCOPE_CACHE", str(tmp_path))
    (tmp_path / "jobs" / "torn").mkdir(parents=True)  # the server ended before job.json was written
    (tmp_path / "jobs" / "torn" / "photos").write_bytes(b"photo")

    async def start() -> None:
        async with lifespan(None):
            await asyncio.to_thread(until, lambda: not (tmp_path / "jobs" / "torn").exists())

    with ThreadPoolExecutor(1) as executor:  # a browser that is open has an event loop in this thread
        executor.submit(asyncio.run, start()).result()


def test_an_ingest_takes_turns_with_the_visitors(target: Shelved, photo: Photo, segmenter: Segmenter) -> None:
    queue, gate, order = InferenceQueue(1), threading.Event(), []

    def read(number: int) -> bytes:
        assert gate.wait(WAIT)
        order.append(f"look{number}")
        return photo(number)

    found = Found([Source(f"look{number}.jpg", lambda number=number: read(number)) for number in range(12)], [])
    threads = torch.get_num_threads(), cv2.getNumThreads()
    job = Job(target, found, None, lambda: segmenter, queue.flow)
    with queue.flow() as first, queue.flow() as second:
        begin(job)
        until(lambda: first.before() == 0 and bool(queue._state.running))
        visitors = [first.submit(order.append, "first"), second.submit(order.append, "second")]
        assert first.before() <= 2 and second.before() <= 3, "an ingest counts as one visitor"
        assert (torch.get_num_threads(), cv2.getNumThreads()) == threads, "nobody else's threads are taken"
        gate.set()
        for visitor in visitors:
            visitor.result(WAIT)
    job.wait(WAIT)
    assert job.phase == "done" and len(rows_of(Archive(target.location))) == 12
    assert {"first", "second"} <= set(order[:5]) and len(order) == 14


def test_an_ingest_in_the_queue_that_is_stopped_leaves_it(
    target: Shelved, gate: tuple[Found, threading.Event], segmenter: Segmenter
) -> None:
    queue, (found, opened) = InferenceQueue(1), gate
    job = Job(target, found, None, lambda: segmenter, queue.flow)
    begin(job)
    until(lambda: bool(job.progress and job.progress.done >= 2))
    job.stop()
    opened.set()
    job.wait(WAIT)
    assert job.phase == "stopped" and not queue._state.turns
    assert 2 <= len(rows_of(Archive(target.location))) < 40


@pytest.mark.parametrize("wanted", [True, False])
def test_thumbnails_are_kept_where_they_are_wanted(
    target: Shelved, photo: Photo, segmenter: Segmenter, wanted: bool
) -> None:
    found = from_uploads([("a.jpg", photo(1)), ("b.jpg", photo(2))])
    job = done(Job(target, found, None, lambda: segmenter, thumbnails=wanted).again())
    assert job.report and job.report.added == 2
    ids = set(rows_of(Archive(target.location))["photo_id"])
    assert thumbnails_of(Place(target.location)) == (ids if wanted else set())


def test_photos_to_be_fetched_wait_on_disk_as_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GARMENTSCOPE_CACHE", str(tmp_path))
    sources = [photo_at("https://c.example/1.jpg", Fetcher(), "dress"), Source("a.jpg", lambda: b"file")]
    about = {"archive": "spring", "location": str(tmp_path), "origin": "own", "model": "tiny", "owner": ""}
    spool.save("a" * 32, Found(sources, []), None, **about).leave()  # as if the server had ended
    (left,) = spool.left_over()
    address, file = left.kept.found.sources
    assert (address.name, address.product, bool(address.fetcher)) == ("https://c.example/1.jpg", "dress", True)
    assert (file.read(), file.fetcher) == (b"file", None)
    left.kept.remove()
    assert list(spool.left_over()) == [] and not any((tmp_path / "jobs").iterdir())
