"""Files written at one go."""

import os
import threading
from pathlib import Path

import pytest

from segmodels.files import replacing, write_whole


def test_a_reader_finds_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    texts = ["a" * 300_000, "b" * 200_000]
    write_whole(path, texts[0])
    over = threading.Event()

    def write() -> None:
        for number in range(200):
            write_whole(path, texts[number % 2])
        over.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not over.is_set():
        seen.add(path.read_text(encoding="utf-8"))
    writer.join()
    assert seen <= set(texts)
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_there_stays_if_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "scores.json"
    write_whole(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "new" * 10_000 + "\ud800")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_takes_the_place_of_another_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"old")
    with replacing(path) as part:
        part.write_bytes(b"new")
        assert path.read_bytes() == b"old" and part.parent == tmp_path
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_left_of_a_file_whose_block_fails(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), replacing(path) as part:
        part.write_bytes(b"half of the n")
        raise KeyboardInterrupt
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_block_that_writes_nothing_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    path.write_bytes(b"old")
    with pytest.raises(FileNotFoundError), replacing(path):
        pass
    assert path.read_bytes() == b"old"


def test_two_writers_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "weights.bin"
    with replacing(path) as first, replacing(path) as second:
        first.write_bytes(b"first")
        second.write_bytes(b"second")
    assert path.read_bytes() == b"first", "the outer block ends last"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_left_goes_after_an_hour(tmp_path: Path) -> None:
    path, old, new = tmp_path / "a.json", tmp_path / ".a.json.0123abcd.part", tmp_path / ".a.json.4567abcd.part"
    for part in (old, new):
        part.write_text("half")
    os.utime(old, (0, 0))
    write_whole(path, "whole")
    assert path.read_text() == "whole" and not old.exists() and new.exists(), "another process may be at work on that"
