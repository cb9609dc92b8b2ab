"""A folder that holds an archive or photos: on a disk, or in any file system of pyarrow."""

from __future__ import annotations

import errno
import os
import posixpath
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pyarrow as pa
from pyarrow import fs

from segmodels.errors import GarmentscopeError
from segmodels.sentences import first_line

try:
    import fcntl
except ImportError:  # Windows: without locks, the reader drops duplicates of two ingests
    fcntl = None  # type: ignore[assignment]

__all__ = ["ArchiveError", "Place"]

_UNFINISHED = ".unfinished"
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class ArchiveError(GarmentscopeError, ValueError):
    """An archive that cannot be read or written. The message is one sentence or two for a person."""


class Place:
    """A folder and the files under it, by their paths relative to it, with forward slashes.

    Args:
        location: A path, or a URI such as `s3://bucket/folder`.
        filesystem: File system of `location`; by default the disk, or that of the URI.

    Raises:
        ArchiveError: If no file system is known for the URI, or it cannot be reached.
    """

    def __init__(self, location: str | Path, filesystem: fs.FileSystem | None = None) -> None:
        self.location = str(location)
        self.local: Path | None = None
        if filesystem is None and "://" not in self.location:
            self.local = Path(location).absolute()
            filesystem, path = fs.LocalFileSystem(), self.local.as_posix()
        elif filesystem is None:
            try:
                filesystem, path = fs.FileSystem.from_uri(self.location)
            except (pa.ArrowException, OSError, ValueError) as error:
                raise ArchiveError(f"{self.location} cannot be reached: {first_line(error)}.") from error
            if isinstance(filesystem, fs.LocalFileSystem):
                self.local = Path(path)
        else:
            path = self.location
        self.filesystem = filesystem
        self._root = path.rstrip("/")

    def path(self, name: str) -> str:
        """The path of a file within the file system."""
        return f"{self._root}/{name}"

    def files(self, folder: str = "", *, without: str = "") -> list[str]:
        """All files under a folder at any depth, sorted; none if the folder is not there.

        Args:
            folder: Path of the folder; all of the place if it is empty.
            without: Name of a folder directly in it that is left out, and not even listed.

        Raises:
            ArchiveError: If it cannot be listed.
        """
        root = self.path(folder) if folder else self._root
        try:
            selector = fs.FileSelector(root, recursive=not without, allow_not_found=True)
            found = self.filesystem.get_file_info(selector)
            if without:
                for each in [
                    each for each in found if each.type == fs.FileType.Directory and each.base_name != without
                ]:
                    found += self.filesystem.get_file_info(fs.FileSelector(each.path, recursive=True))
        except OSError as error:
            raise ArchiveError(f"{self.location} cannot be listed: {_reason(error)}.") from error
        start = len(self._root) + 1
        return sorted(info.path[start:] for info in found if info.type == fs.FileType.File)

    def read(self, name: str, limit: int | None = None) -> bytes:
        """A file's content, up to `limit` bytes.

        Raises:
            OSError: If it cannot be read.
        """
        with self.filesystem.open_input_file(self.path(name)) as stream:
            return bytes(stream.read(limit))

    def write(self, name: str, content: bytes | pa.Buffer) -> None:
        """Writes a file atomically: readers see the old file or the whole new one.

        On a disk it is written beside under another ending and renamed; elsewhere it is one PUT.

        Raises:
            ArchiveError: If it cannot be written, for example because the disk is full.
        """
        try:
            if self.local is not None:
                self._write_local(self.local / name, content)
            else:
                self._put(name, content)
        except OSError as error:
            if error.errno in _NO_SPACE:
                raise ArchiveError(
                    f"No space is left in {self.location}. The archive is intact: free some space and run the same "
                    "command again to continue."
                ) from error
            raise ArchiveError(f"{self.location}/{name} cannot be written: {_reason(error)}.") from error

    def remove(self, name: str) -> None:
        """Removes a file that may be gone already.

        Raises:
            ArchiveError: If it is there and cannot be removed.
        """
        try:
            self.filesystem.delete_file(self.path(name))
        except FileNotFoundError:
            return
        except OSError as error:
            raise ArchiveError(f"{self.location}/{name} cannot be removed: {_reason(error)}.") from error

    @contextmanager
    def lock(self, name: str = ".lock", *, wait: bool = True) -> Iterator[bool]:
        """Locks a name against others; the system releases the lock when this process ends in any way.

        Only disks have locks. Elsewhere, and on shared disks without locks, nobody is kept out.

        Args:
            name: Name of the lock's file, which stays.
            wait: Whether to wait until the lock is free.

        Yields:
            False if somebody else holds it and `wait` is false.

        Raises:
            ArchiveError: If the folder cannot be made or written to.
        """
        if self.local is None or fcntl is None:
            yield True
            return
        try:
            self.local.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.local / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ArchiveError(f"{self.location} cannot be written to: {_reason(error)}.") from error
        try:
            held = True
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                held = False
            except OSError as error:
                if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS):
                    raise ArchiveError(f"{self.location} cannot be locked: {_reason(error)}.") from error
            yield held
        finally:
            os.close(handle)

    def sweep(self) -> None:
        """Removes unfinished files of killed writers; call it while holding the lock of all writers."""
        for name in self.files() if self.local is not None else ():
            if name.endswith(_UNFINISHED):
                self.remove(name)

    def _write_local(self, target: Path, content: bytes | pa.Buffer) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f"{target.name}.{secrets.token_hex(4)}{_UNFINISHED}")
        try:
            with unfinished.open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            unfinished.replace(target)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise

    def _put(self, name: str, content: bytes | pa.Buffer) -> None:
        self.filesystem.create_dir(posixpath.dirname(self.path(name)), recursive=True)
        try:
            with self.filesystem.open_output_stream(self.path(name), compression=None) as stream:
                stream.write(content)
        except OSError:
            with suppress(OSError):
                self.filesystem.delete_file(self.path(name))
            raise


def _reason(error: OSError) -> str:
    return error.strerror or first_line(error)
