"""The audit log: a line of JSON for each thing that is removed, renamed, exported, shared, made or revoked.

The lines go to `GARMENTSCOPE_AUDIT`, or to the server's log. They have no names of photos.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from dashboard.shared.principal import Principal
from segmodels.settings import read_settings

__all__ = ["audited", "note"]

P = ParamSpec("P")
T = TypeVar("T")

_LOGGER = logging.getLogger("garmentscope.audit")
_lock = threading.Lock()


def note(action: str, who: Principal | None, **facts: str | int | bool) -> None:
    """Writes down that somebody did something.

    Args:
        action: What was done, such as `photo removed`.
        who: Who did it; None for a command at the server's machine.
        **facts: What it was done to.
    """
    name = "command line" if who is None else who.person or f"{'keeper' if who.is_keeper else 'visitor'} {who.id[:12]}"
    moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = json.dumps({"time": moment, "audit": action, "who": name, **facts}, ensure_ascii=False)
    if (file := read_settings().audit) is None:
        _LOGGER.info("%s", line)
        return
    try:
        _append(file, line)
    except OSError as error:  # what was done is done
        _LOGGER.error("%s cannot be written (%s): %s", file, error.strerror, line)


def audited(first: Callable[[], object], fn: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Calls a function, and another one before it that writes down that it is called.

    Args:
        first: Function that calls `note`.
        fn: Function that makes what is exported.
        *args: Positional arguments of the function.
        **kwargs: Keyword arguments of the function.
    """
    first()
    return fn(*args, **kwargs)


def _append(file: Path, line: str) -> None:
    with _lock:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as stream:
            stream.write(line + "\n")
