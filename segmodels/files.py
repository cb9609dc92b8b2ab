"""Atomic writing of files, and reading of files that somebody else may have made."""

from __future__ import annotations

import errno
import json
import re
import stat
import struct
import time
import uuid
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from glob import escape
from io import BufferedReader
from pathlib import Path
from typing import Any

try:
    from lzma import LZMAError
except ImportError:  # a Python that was built without it opens no such member
    LZMAError = EOFError  # type: ignore[misc, assignment]

__all__ = [
    "DEVICE",
    "LFS_POINTER",
    "MOST_JSON_BYTES",
    "ZIP_ERRORS",
    "is_lfs_pointer",
    "open_regular",
    "parse_json",
    "read_json",
    "replacing",
    "writable_name",
    "write_whole",
]

MOST_JSON_BYTES = 32_000_000
"""Most bytes of a JSON file that describes something, such as a checkpoint; the largest of ours has 0.1 MB."""

LFS_POINTER = b"version https://git-lfs.github.com"
"""How a file begins that Git LFS has not fetched."""

ZIP_ERRORS = (
    *(zipfile.BadZipFile, zlib.error, LZMAError, struct.error),
    *(EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError),
)
"""What `zipfile` raises for a damaged, encrypted or unusual ZIP, besides `OSError`."""

DEVICE = re.compile(r"(con|prn|aux|nul|(?:com|lpt)[0-9¹²³]|conin\$|conout\$)(\..*)?", re.IGNORECASE)
"""Names that no file and no folder has on Windows, with any ending."""

_MOST_DEPTH = 64  # of lists and objects in each other
_MOST_DIGITS = 19  # of a whole number: those of 64 bits
_LONGEST_NAME = 200  # bytes; most disks have 255, of which an ending and a number take some
_ABANDONED = 3600.0  # seconds since it was written to after which nobody works on a part file any more


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives the path of a new file beside another, which takes the other's place once the block ends.

    Whoever reads meanwhile finds the old file or the new one, whole. Where the block fails, the old one stays, and
    nothing is left of the new. A process that is killed leaves its part file, which the next one to write removes once
    it is an hour old.

    Args:
        path: Path of the file to replace or to make, in a folder that exists.

    Raises:
        OSError: If the block has written no file, or it cannot take its place. Errors of the block that name no file,
            as those of a full disk do, or the new one, name the file to replace.
    """
    for left in path.parent.glob(f".{escape(path.name)}.*.part"):  # by a process that was killed
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > _ABANDONED:
                left.unlink()
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.part")
    try:
        yield part
        part.replace(path)
    except OSError as error:
        if error.errno is not None and error.filename in (None, str(part)):
            error.filename = str(path)
        raise
    finally:
        part.unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Writes a text file as UTF-8 atomically: readers find the old file or the new one, also after a failure.

    Args:
        path: Path of the file, in a folder that exists.
        text: Text that the file is to hold.

    Raises:
        OSError: If it cannot be written; what was there is still there.
    """
    with replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def writable_name(name: str) -> str:
    """A name of a file or a folder that every disk takes: up to 200 bytes, and no character that one forbids.

    The name of a device of Windows gets a `_`.

    Args:
        name: Name without a folder and without its ending; what cannot be written becomes `_`.
    """
    name = "".join(each if each.isprintable() else "_" for each in re.sub(r'[<>:"/\\|?*]', "_", name))
    name = name.encode("utf-8")[:_LONGEST_NAME].decode("utf-8", "ignore")
    if device := DEVICE.fullmatch(name):
        name = f"{device[1]}_{device[2] or ''}"
    return name or "_"


def is_lfs_pointer(path: Path) -> bool:
    """Whether a file is the pointer of one that Git LFS has not fetched.

    Args:
        path: Path of the file; one that cannot be read is none.
    """
    with suppress(OSError), open_regular(path) as file:
        return file.read(len(LFS_POINTER)) == LFS_POINTER
    return False


def open_regular(path: Path) -> BufferedReader:
    """Opens a file for reading, but nothing that only looks like one: a device never ends, and a pipe waits.

    Args:
        path: Path of the file, which may be a link to one.

    Raises:
        OSError: If it cannot be opened, or is no regular file.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return path.open("rb")


def read_json(path: Path, most: int = MOST_JSON_BYTES) -> Any:
    """The content of a JSON file.

    Args:
        path: Path of the file.
        most: Most bytes that are read.

    Raises:
        OSError: If it cannot be read, or is no regular file.
        ValueError: If it has more bytes, is not UTF-8, or `parse_json` refuses it.
    """
    with open_regular(path) as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it has more than {most / 1e6:.0f} MB")
    if content.startswith(LFS_POINTER):
        raise ValueError("it is a Git LFS pointer, which git lfs pull replaces by the file")
    try:
        return parse_json(content.decode("utf-8-sig"))  # editors of Windows put a mark before it
    except UnicodeDecodeError:
        raise ValueError("it is not in UTF-8") from None


def parse_json(text: str) -> Any:
    """The value of a JSON text, none of whose numbers is too large for 64 bits, and which is not nested deeply.

    Args:
        text: The text.

    Raises:
        ValueError: If it is not JSON, nested deeper than 64 lists and objects, or has a whole number of more than 19
            digits. NaN and infinity are let through.
    """
    try:
        value = json.loads(text, parse_int=_whole_number)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    level, depth = [value], 1
    while level := [each for one in level for each in _inside(one)]:
        depth += 1
        if depth > _MOST_DEPTH:
            raise ValueError("it is nested too deeply")
    return value


def _whole_number(digits: str) -> int:
    if (count := len(digits.lstrip("-"))) > _MOST_DIGITS:
        raise ValueError(f"it has a number of {count:,} digits")
    return int(digits)


def _inside(value: Any) -> list[Any]:
    """What a list or an object holds that may hold more."""
    held = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [each for each in held if isinstance(each, dict | list)]
