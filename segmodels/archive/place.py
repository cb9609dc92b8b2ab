"""A folder that holds an archive or photos: on a disk, or in any file system of pyarrow."""

from __future__ import annotations

import errno
import os
import posixpath
import random
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

import pyarrow as pa
from pyarrow import fs

from segmodels.errors import GarmentscopeError
from segmodels.sentences import first_line

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["LEASE", "UNFINISHED", "ArchiveError", "NoSpaceError", "Place"]

UNFINISHED = ".unfinished"
"""Ending of a file that is being written."""

LEASE = 60.0
"""Seconds after which a lock on an object store is taken for that of a process that was killed."""

_BEAT = 15.0  # seconds after which a lock on an object store is written again
_LOCKS = ".locks"
_SHARED = "-shared"  # ending of the file of one who shares a lock
_LONGEST_WAIT = 600.0  # seconds
_PATIENCE = 10  # seconds
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)


class ArchiveError(GarmentscopeError, ValueError):
    """An archive that cannot be read or written. The message is one sentence or two for a person."""


class NoSpaceError(ArchiveError):
    """An archive that cannot be written because its disk is full."""


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
                filesystem, path = fs.FileSystem.from_uri(_with_patience(self.location))
            except (pa.ArrowException, OSError, ValueError) as error:
                raise ArchiveError(f"{self.location} cannot be reached: {first_line(error)}.") from error
            if isinstance(filesystem, fs.LocalFileSystem):
                self.local = Path(path)
            elif not path.strip("/"):
                scheme = self.location.partition(":")[0]
                raise ArchiveError(f"{self.location} names no bucket. Write it as {scheme}://bucket/folder.")
        else:
            path = self.location
        self.filesystem = filesystem
        self._root = path.rstrip("/")
        self._flags: list[str] = []

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.local.name if self.local else self._root.rpartition("/")[2]

    def beside(self, name: str) -> str:
        """Location of another folder in the same one.

        Raises:
            ArchiveError: If the name is none of a folder, such as `..`.
        """
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            raise ArchiveError(f"{name!r} is not a name of a folder. Choose another one.")
        if self.local:
            return str(self.local.with_name(name))
        return f"{self.location.rstrip('/').rpartition('/')[0]}/{name}"

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
                    each
                    for each in found
                    if each.type == fs.FileType.Directory and _path_of(each) and each.base_name != without
                ]:
                    inside = fs.FileSelector(each.path, recursive=True, allow_not_found=True)
                    found += self.filesystem.get_file_info(inside)
        except OSError as error:
            raise ArchiveError(f"{self.location} cannot be listed: {_reason(error)}.") from error
        start = len(self._root) + 1
        return sorted(path[start:] for info in found if info.type == fs.FileType.File and (path := _path_of(info)))

    def type_of(self, name: str) -> fs.FileType:
        """Whether a name is that of a file, a folder or nothing.

        Raises:
            ArchiveError: If that cannot be told.
        """
        try:
            return self.filesystem.get_file_info(self.path(name)).type
        except OSError as error:
            raise ArchiveError(f"{self.location}/{name} cannot be reached: {_reason(error)}.") from error

    def read(self, name: str, limit: int | None = None) -> bytes:
        """A file's content, up to `limit` bytes.

        Raises:
            OSError: If it cannot be read.
        """
        with self.filesystem.open_input_file(self.path(name)) as stream:
            return bytes(stream.read(limit))

    def write(self, name: str, content: bytes | pa.Buffer) -> None:
        """Writes a file as a whole or not at all, as `writing` does.

        Raises:
            ArchiveError: If it cannot be written, for example because the disk is full.
        """
        with self.writing(name) as stream:
            stream.write(content)

    @contextmanager
    def writing(self, name: str) -> Iterator[IO[bytes] | pa.NativeFile]:
        """Writes a file atomically, piece by piece: readers see the old file or the whole new one.

        On a disk it is written beside under another ending and renamed; on an object store it appears when its upload
        is complete. If the caller fails meanwhile, a new file is not there. An old one stays on a disk; on an object
        store it is lost, so that what may fail is written under a new name.

        Yields:
            Stream that takes its bytes.

        Raises:
            ArchiveError: If it cannot be written, for example because the disk is full.
        """
        try:
            with self._writing_local(self.local / name) if self.local is not None else self._putting(name) as stream:
                yield stream
        except OSError as error:
            if error.errno in _NO_SPACE:
                raise NoSpaceError(
                    f"No space is left in {self.location}. The archive is intact: free some space, then do the same "
                    "again to continue."
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

    def move(self, name: str, to: str) -> None:
        """Moves a file to another name, in place of what is there; on an object store it is copied, then removed.

        Raises:
            ArchiveError: If it is there and cannot be moved.
        """
        try:
            self.filesystem.create_dir(posixpath.dirname(self.path(to)), recursive=True)
            self.filesystem.move(self.path(name), self.path(to))
        except FileNotFoundError:
            return
        except OSError as error:
            raise ArchiveError(f"{self.location}/{name} cannot be moved: {_reason(error)}.") from error

    def remove_folder(self) -> None:
        """Removes the folder itself; one that is gone, or has a file in it again, stays as it is."""
        with suppress(OSError):
            if self.local is not None:
                for folder in sorted((each for each in self.local.rglob("*") if each.is_dir()), reverse=True):
                    with suppress(OSError):  # one that is not empty, or a link
                        folder.rmdir()
                self.local.rmdir()
            elif not self.files():
                self.filesystem.delete_dir(self._root)

    def is_linked(self, name: str) -> bool:
        """Whether a file lies behind a link to a folder, on a disk."""
        if self.local is None:
            return False
        folders = name.split("/")[:-1]
        return any(self.local.joinpath(*folders[: end + 1]).is_symlink() for end in range(len(folders)))

    @contextmanager
    def lock(self, name: str = ".lock", *, wait: bool = True, shared: bool = False) -> Iterator[bool]:
        """Locks a name against others.

        On a disk the system does it, and releases the lock when this process ends in any way. Elsewhere, and on shared
        disks without locks, whoever wants the lock writes a file, and holds the lock if there is no other such file. It
        is written again and again meanwhile; one that is older than a minute is of a process that was killed.

        Args:
            name: Name of the lock, which begins with a dot.
            wait: Whether to wait until the lock is free.
            shared: Whether others may share the lock. It is waited for until nobody has it for himself.

        Yields:
            False if somebody else holds it: without `wait` it is not held then, and with `shared` both hold it.

        Raises:
            ArchiveError: If the folder cannot be made or written to, or the lock is not free within ten minutes on an
                object store.
        """
        if self.local is not None and fcntl is not None:
            with self._lock_of_disk(self.local / name, wait, shared) as held:
                if held is not None:
                    yield held
                    return
        with self._flag(f"{_LOCKS}/{name.strip('.')}", wait, shared) as held:
            yield held

    def confirm(self) -> None:
        """Makes sure that the locks of this process are still its own; to be called before what cannot be undone.

        Raises:
            ArchiveError: If this process slept so long that others took it for dead.
        """
        if any(self.type_of(flag) != fs.FileType.File for flag in self._flags):
            raise ArchiveError(f"{self.location} was taken over by another program meanwhile. Try again.")

    @contextmanager
    def _lock_of_disk(self, path: Path, wait: bool, shared: bool) -> Iterator[bool | None]:
        """The system's lock of a file: whether it is held, or None if this disk has no locks."""
        handle = -1
        held: bool | None = True
        try:
            while True:
                try:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
                except OSError as error:
                    raise ArchiveError(f"{self.location} cannot be written to: {_reason(error)}.") from error
                try:
                    held = _flock(handle, wait, shared)
                    if not held and not shared:
                        break
                    with suppress(OSError):
                        if os.path.samestat(os.fstat(handle), path.stat()):
                            break
                    os.close(handle)  # the archive was removed or renamed meanwhile
                    handle = -1
                except OSError as error:
                    if error.errno not in (errno.ENOLCK, errno.ENOTSUP, errno.EINVAL, errno.ENOSYS):
                        raise ArchiveError(f"{self.location} cannot be locked: {_reason(error)}.") from error
                    held = None
                    break
            yield held
        finally:
            if handle >= 0:
                os.close(handle)

    @contextmanager
    def _flag(self, folder: str, wait: bool, shared: bool) -> Iterator[bool]:
        """Holds a lock by a file, for places without locks.

        Each writes its file before it looks for others', so that no two find themselves alone. Who does not, takes his
        file back and tries again a moment later.
        """
        mine = f"{folder}/{secrets.token_hex(8)}{_SHARED if shared else ''}"
        until = time.monotonic() + _LONGEST_WAIT
        while True:
            self.write(mine, b"")
            if self._is_alone(mine, folder):
                break
            self.remove(mine)
            if not wait and not shared:
                yield False
                return
            if time.monotonic() > until:
                raise ArchiveError(
                    f"{self.location} is being changed by another program. Try again later; if there is none, remove "
                    f"the files in {self.location}/{folder}."
                )
            time.sleep(random.uniform(0.02, 0.3))
        released = threading.Event()
        beat = threading.Thread(target=self._keep_up, args=(mine, released), daemon=True)
        beat.start()
        self._flags.append(mine)
        try:
            yield not shared or self._is_alone(mine, folder, with_shared=True)
        finally:
            self._flags.remove(mine)
            released.set()
            beat.join()
            self.remove(mine)

    def _is_alone(self, mine: str, folder: str, *, with_shared: bool = False) -> bool:
        """Whether there is no other file of a living process, by the clock of the place.

        Those who share the lock do not count for each other, unless `with_shared`.
        """
        apart = with_shared or not mine.endswith(_SHARED)
        names = [name for name in self.files(folder) if apart or name == mine or not name.endswith(_SHARED)]
        try:
            found = self.filesystem.get_file_info([self.path(name) for name in names])
        except OSError as error:
            raise ArchiveError(f"{self.location} cannot be listed: {_reason(error)}.") from error
        there = {name: info for name, info in zip(names, found, strict=True) if info.type == fs.FileType.File}
        now = there.pop(mine).mtime_ns if mine in there else None
        for name, info in there.items():
            if now is None or info.mtime_ns is None or now - info.mtime_ns < LEASE * 1e9:
                return False
            self.remove(name)
        return now is not None or not there

    def _keep_up(self, flag: str, released: threading.Event) -> None:
        last = time.time()  # which goes on while the machine sleeps
        while not released.wait(_BEAT) and time.time() - last < LEASE:  # else others may have taken the lock
            with suppress(ArchiveError):
                if self.type_of(flag) != fs.FileType.File:
                    return
                now = time.time()
                self.write(flag, b"")
                last = now

    @contextmanager
    def _writing_local(self, target: Path) -> Iterator[IO[bytes]]:
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f"{target.name}.{secrets.token_hex(4)}{UNFINISHED}")
        try:
            with unfinished.open("wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
            unfinished.replace(target)
        except BaseException:
            unfinished.unlink(missing_ok=True)
            raise

    @contextmanager
    def _putting(self, name: str) -> Iterator[pa.NativeFile]:
        self.filesystem.create_dir(posixpath.dirname(self.path(name)), recursive=True)
        is_new = self.type_of(name) == fs.FileType.NotFound
        try:
            with self.filesystem.open_output_stream(self.path(name), compression=None) as stream:
                yield stream
        except BaseException:
            if is_new:  # what was there before is there still: a PUT takes effect as a whole
                with suppress(OSError):
                    self.filesystem.delete_file(self.path(name))
            raise


def _flock(handle: int, wait: bool, shared: bool) -> bool:
    """Takes the system's lock of an open file; False if somebody else has it, who then shares it or keeps it."""
    alone = True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait and not shared else fcntl.LOCK_NB))
    except BlockingIOError:
        alone = False
    if shared:
        fcntl.flock(handle, fcntl.LOCK_SH)
    return alone


def _with_patience(uri: str) -> str:
    """A URI of Google's storage with seconds after which nobody answers any more; else it would be 15 minutes."""
    if not uri.lower().startswith(("gs://", "gcs://")) or "retry_limit_seconds" in uri:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}retry_limit_seconds={_PATIENCE}"


def _path_of(info: fs.FileInfo) -> str:
    """Path of a file or folder; empty for a name that is not UTF-8, which nothing of an archive has."""
    try:
        return str(info.path)
    except UnicodeDecodeError:
        return ""


def _reason(error: OSError) -> str:
    if isinstance(error, FileExistsError | NotADirectoryError):
        return "it is a file, not a folder"
    return first_line(error)
