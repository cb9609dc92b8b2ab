"""Standard streams and interrupts of the commands. Each command imports this before what takes long to import.

A shell may start a command with closed streams (`2>&-`), whoever reads its output may stop doing so (`| head`), and
Ctrl-C may come at any time: none of them is a traceback. Nor is a name with characters that the stream's encoding does
not have, as that of a file or a console on Windows may not. SIGTERM, which systemd, Docker and schedulers send, stops a
command as Ctrl-C does.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TextIO

__all__ = ["CLOSED_PIPE", "heed_sigterm", "leave_pipe", "stopped_status", "write_anything"]

CLOSED_PIPE = 141
"""Exit status of a command whose output nobody reads any more, as shells have it for SIGPIPE."""

_terminated = False


@contextmanager
def heed_sigterm() -> Iterator[None]:
    """Makes a `KeyboardInterrupt` of a first SIGTERM meanwhile, so that what is done is kept; a second one kills.

    Without effect where the caller handles SIGTERM already, or is not in the main thread.
    """
    global _terminated  # noqa: PLW0603
    _terminated = False
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    process = os.getpid()

    def stop(*_: object) -> None:
        global _terminated  # noqa: PLW0603
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        if os.getpid() != process:  # a child that was forked and has nothing to keep
            os.kill(os.getpid(), signal.SIGTERM)
        _terminated = True
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def stopped_status() -> int:
    """Exit status of a command that was stopped, as shells have it: 130 by Ctrl-C, 143 by SIGTERM."""
    return 143 if _terminated else 130


def leave_pipe() -> int:
    """Lets what is left of the output go nowhere, after a `BrokenPipeError`; gives the exit status.

    Python would write it when the process ends, and complain.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
    return CLOSED_PIPE


def _open_closed() -> None:
    """Opens standard streams that are closed; the next file would get their number, and what is printed there."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(number, True)
    os.close(number)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123  # for as long as it runs


def write_anything(*streams: TextIO | None) -> None:
    """Lets streams write characters that their encoding does not have as escapes of Python.

    Args:
        streams: The streams; one that cannot be changed stays as it is.
    """
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")


def _say_stopped(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        print("\nStopped.", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


_open_closed()
write_anything(sys.stdout, sys.stderr)
if sys.excepthook is sys.__excepthook__:
    sys.excepthook = _say_stopped
