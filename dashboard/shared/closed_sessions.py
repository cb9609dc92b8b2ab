"""Memory of visitors who have left, given back.

Streamlit keeps the session of a visitor whose connection has ended for `server.disconnectedSessionTTL` seconds, as the
visitor may come back. Then it forgets the session only once another one ends, and what was in it stays with the C
library.
"""

from __future__ import annotations

import gc
import logging
import threading
import time
from concurrent.futures import Future
from functools import cache

from streamlit import runtime

from dashboard.shared import keeping

__all__ = ["begin", "forget_expired"]

_EVERY = 15.0  # seconds
_LOGGER = logging.getLogger("garmentscope.sessions")


@cache  # not Streamlit's: visitors may clear that, and there is one thread only
def begin() -> None:
    """Starts the thread that looks for sessions that are over, for as long as the server runs."""
    threading.Thread(target=_look_again_and_again, name="closed-sessions", daemon=True).start()


def forget_expired(storage: object) -> int:
    """Removes the sessions from a storage of Streamlit that are there for longer than they are kept.

    Args:
        storage: Storage of sessions without a connection.

    Returns:
        Number of sessions that were removed; 0 for a storage of another make.
    """
    expire = getattr(getattr(storage, "_cache", None), "expire", None)
    return len(expire()) if expire else 0


def _look_again_and_again() -> None:
    while True:
        time.sleep(_EVERY)
        try:
            _look()
        except Exception:  # the next look may do better, and nobody else looks
            _LOGGER.exception("Memory of sessions that are over could not be given back.")


def _look() -> None:
    keeping.tidy()
    if runtime.exists() and _forgotten():
        _give_back()


def _forgotten() -> int:
    """Number of sessions that were forgotten, in the thread of the server's sessions: their storage knows no locks."""
    server = runtime.get_instance()
    storage = getattr(getattr(server, "_session_mgr", None), "_session_storage", None)
    loop = getattr(getattr(server, "_async_objs", None), "eventloop", None)
    if storage is None or loop is None or loop.is_closed():
        return 0
    found: Future[int] = Future()
    loop.call_soon_threadsafe(lambda: found.set_result(forget_expired(storage)))
    try:
        return found.result(_EVERY)
    except TimeoutError:
        return 0


def _give_back() -> None:
    """Collects what is in cycles, also of a visitor who came before objects were frozen (see `networks`)."""
    from segmodels.inference.memory import return_memory

    frozen = gc.get_freeze_count() > 0
    gc.unfreeze()
    gc.collect()
    if frozen:
        gc.freeze()
    return_memory()
