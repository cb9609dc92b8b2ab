"""Kills changes of an archive (SIGKILL) at moments drawn at random, on a disk and on a bucket: `make kills`.

One process changes an archive of made rows again and again: deletes, retags, undoes, merges, joins parts. Another adds
photos at the same time. The first is killed, and the archive must be as before or as after the change that it was in.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection

from archive_rows import VERSION, made
from s3_server import running_s3, s3_client

from segmodels.archive import care
from segmodels.archive import place as places
from segmodels.archive.changes import visible_parts
from segmodels.archive.merging import merge
from segmodels.archive.parts import read_columns
from segmodels.archive.place import ArchiveError
from segmodels.archive.selection import Selection
from segmodels.archive.store import Archive
from segmodels.archive.tagging import retag

PHOTOS = 24
_LEASE = 3.0  # seconds, so that nobody waits a minute for a process that was killed
State = dict[str, str]


def kill_changes(location: str, port: int, kills: int, seed: int = 0) -> int:
    """Kills a process that changes an archive, again and again.

    Args:
        location: An empty place to work in.
        port: Port of an S3 server whose bucket the place is in; 0 for a disk.
        kills: Number of kills.
        seed: Seed of the moments and of the changes.

    Returns:
        Number of changes that were made in all.

    Raises:
        AssertionError: If the archive is neither as before nor as after the change, or has lost a photo of another.
    """
    moments = random.Random(seed)
    places.LEASE = _LEASE
    archive = _open(location, port)
    other = _open(f"{location} other", port)
    known: State = {f"photo{number}": "North" for number in range(PHOTOS)}
    for first in range(0, PHOTOS, 6):
        archive.writer(VERSION).append(made(*list(known)[first : first + 6], tags={"market": "North"}))
    other.writer(VERSION).append(made("photo0", "extra0", "extra1", tags={"market": "East"}))
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload(["segmodels.archive.care", "segmodels.archive.tagging"])
    changes, added = 0, 0
    states = [known]
    with _adding(forks, location, port) as heard:
        for kill in range(kills):
            here, there = forks.Pipe(duplex=False)
            process = forks.Process(target=_change, args=(there, location, port, moments.random(), states[0]))
            process.start()
            there.close()
            changes += _listen(here, states, process.kill, moments.uniform(0, 4 if port else 0.6))
            process.join()
            while heard.poll():
                added = heard.recv()
            found = _read(archive)
            ours = {key: tag for key, tag in found.items() if not key.startswith("new")}
            assert ours in states, f"kill {kill}: {ours} is none of {states}"
            assert len(found) - len(ours) >= added, f"kill {kill}: {added} photos of another process were added"
            states = [ours]
    archive.writer(VERSION)
    ours = {key: tag for key, tag in _read(archive).items() if not key.startswith("new")}
    assert ours in states, "and so it is when all is settled"
    return changes


def _listen(here: Connection, states: list[State], kill: Callable[[], None], seconds: float) -> int:
    """Follows a process until it is killed: `states` becomes those in which the archive may be; gives its changes."""
    changes = 0
    until: float | None = None
    with suppress(EOFError, OSError):
        while True:
            if until is not None and time.monotonic() > until:
                kill()
                until = float("inf")
            if not here.poll(0.005):
                continue
            word, state = here.recv()
            if word == "to":
                states.append(state)
                if until is None and not changes:
                    until = time.monotonic() + seconds
            else:
                states[:] = [state]
                changes += 1
    return changes


def _change(said: Connection, location: str, port: int, seed: float, state: State) -> None:
    """The process that is killed: says which state each change leads to, and when it is done."""
    places.LEASE, places._BEAT = _LEASE, 0.3
    draw = random.Random(seed)
    archive, other = _open(location, port), _open(f"{location} other", port)
    before: State | None = None  # where an undo leads
    while True:
        what = draw.choice(["delete", "for good", "retag", "merge", "compact", "undo"])
        act: Callable[[], object]
        chosen = draw.sample(sorted(state), min(3, len(state)))
        if what in ("delete", "for good") and len(state) > 3:
            after = {key: tag for key, tag in state.items() if key not in chosen}
            act = partial(care.delete_photos, archive, Selection(ids=chosen), for_good=what == "for good")
            undoable = what == "delete"
        elif what == "retag" and chosen:
            value = f"Market {draw.randrange(1000)}"
            after = state | dict.fromkeys(chosen, value)
            table = "file_name,market\n" + "".join(f"{key}.jpg,{value}\n" for key in chosen)
            act, undoable = partial(retag, archive, table.encode(), "looks.csv"), True
        elif what == "merge":
            after = dict.fromkeys(("photo0", "extra0", "extra1"), "East") | state
            act, undoable = partial(merge, archive, other), True
        elif what == "undo" and before is not None:
            after, undoable = before, False
            act = partial(care.undo, archive)
        else:
            after, undoable = state, False
            act = partial(care.compact, archive)
        said.send(("to", after))
        act()
        if what != "merge" or after != state:  # a merge of nothing ends no undo
            before = state if undoable else None
        state = after
        said.send(("done", after))


@contextmanager
def _adding(forks: multiprocessing.context.ForkServerContext, location: str, port: int) -> Iterator[Connection]:
    """A process that adds photos meanwhile, and says how many."""
    here, there = forks.Pipe(duplex=False)
    process = forks.Process(target=_add, args=(there, location, port))
    process.start()
    there.close()
    try:
        yield here
    finally:
        process.kill()
        process.join()


def _add(said: Connection, location: str, port: int) -> None:
    places.LEASE, places._BEAT = _LEASE, 0.3
    number = 0
    writer = _open(location, port).writer(VERSION)
    while True:
        writer.append(made(f"new{number}", tags={"market": "new"}))
        number += 1
        said.send(number)
        time.sleep(0.3)


def _open(location: str, port: int) -> Archive:
    return Archive(location, s3_client(port) if port else None)


def _read(archive: Archive) -> State:
    """Tag by photo of what counts now, while others may write."""
    for _ in range(20):
        found: State = {}
        try:
            for part in visible_parts(archive.place):
                for row in read_columns(archive.place, part, ["photo_id", "tags"]).to_pylist():
                    assert row["photo_id"] not in found, f"{row['photo_id']} counts twice"
                    found[row["photo_id"]] = dict(row["tags"])["market"]
            return found
        except ArchiveError:  # a part was replaced meanwhile
            time.sleep(0.1)
    raise AssertionError("the archive cannot be read")


def main() -> None:
    """Kills as often as was asked for, on a disk and on a bucket."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        changes = kill_changes(f"{folder}/archive", 0, arguments.kills, arguments.seed)
    print(f"Disk: {arguments.kills} kills in {changes} changes. Each was done as a whole or not at all.", flush=True)
    with running_s3() as port:
        changes = kill_changes("bucket/archive", port, arguments.kills, arguments.seed)
    print(f"Bucket: {arguments.kills} kills in {changes} changes. Each was done as a whole or not at all.")


if __name__ == "__main__":
    main()
