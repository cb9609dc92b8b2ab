"""Files written at one go."""

import errno
import os
import threading
from pathlib import Path

import pytest

from segmodels.files import is_lfs_pointer, open_regular, parse_json, read_json, replacing, write_whole


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


@pytest.mark.parametrize("named", ["", "the part file", "another"])
def test_an_error_of_the_disk_names_the_file_that_was_to_be(tmp_path: Path, named: str) -> None:
    """A write to a full disk names no file, and one that may not be made is a name that nobody knows."""
    path = tmp_path / "weights.bin"
    with pytest.raises(OSError) as found, replacing(path) as part:
        names = {"": None, "the part file": str(part), "another": "/photos/a.jpg"}
        raise OSError(errno.ENOSPC, "No space left on device", names[named])
    assert found.value.filename == ("/photos/a.jpg" if named == "another" else str(path))


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


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ('{"a":' * 65 + "1" + "}" * 65, "nested too deeply"),
        ("[" * 900 + "]" * 900, "nested too deeply"),
        ("9" * 5000, "a number of 5,000 digits"),
        ('{"mean": -1' + "0" * 400 + "}", "a number of 401 digits"),
        ("[1, ", "Expecting value"),
    ],
    ids=["deep", "deep objects", "as deep as Python goes", "digits", "a negative one", "cut off"],
)
def test_json_that_nobody_writes_is_refused_in_a_sentence(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError, match=reason) as caught:
        read_json(tmp_path / "config.json")
    assert "\n" not in str(caught.value)


def test_json_that_people_write_is_read() -> None:
    assert parse_json('{"a": [1, -2.5, null, true, "é", {}], "b": 9223372036854775807}') == {
        "a": [1, -2.5, None, True, "é", {}],
        "b": 2**63 - 1,
    }
    assert parse_json("[" * 64 + "]" * 64)
    assert repr(parse_json("[NaN, Infinity]")) == "[nan, inf]", "the loss of a fit that diverged is one"


def test_a_large_file_is_not_read_to_its_end(tmp_path: Path) -> None:
    with (tmp_path / "config.json").open("wb") as file:
        file.truncate(500_000_000)
    with pytest.raises(ValueError, match="it has more than 32 MB"):
        read_json(tmp_path / "config.json")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes")
@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "loop"])
def test_what_is_no_regular_file_is_not_opened(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "config.json"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if kind == "device" else path)
    for read in (open_regular, read_json):
        with pytest.raises(OSError, match=r"not a regular file|symbolic links"):
            read(path)


def test_json_of_an_editor_of_windows_is_read_and_other_encodings_are_named(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text('{"a": "é"}', "utf-8-sig")
    assert read_json(file) == {"a": "é"}
    for content in ('{"a": 1}'.encode("utf-16"), '{"a": "é"}'.encode("cp1252")):
        file.write_bytes(content)
        with pytest.raises(ValueError, match="^it is not in UTF-8$"):
            read_json(file)


def test_the_pointer_of_git_lfs_is_no_file(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    assert is_lfs_pointer(file) and not is_lfs_pointer(tmp_path / "nothing") and not is_lfs_pointer(tmp_path)
    with pytest.raises(ValueError, match="Git LFS pointer, which git lfs pull"):
        read_json(file)
