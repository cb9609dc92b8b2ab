"""How PyTorch's threads wait for each other. Imported before PyTorch, and imports nothing of it.

PyTorch splits each layer among the threads of libgomp. Between two layers a thread that is done spins for some
milliseconds, which is fast on a free machine. As soon as another process wants a core, it spins where its own partner
should run: a photo then takes 5 to 15 times as long. A spin of some ten microseconds bridges nearly all gaps between
two layers, and gives the core away soon enough: `tests/bench_threads.py` measures both.
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

__all__ = ["SPIN_COUNT", "set_waiting"]

SPIN_COUNT = 3000
"""Turns of libgomp's waiting loop before a thread sleeps; its own default is 300,000."""

_WAITING = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")


def set_waiting(environment: MutableMapping[str, str] = os.environ) -> bool:
    """Sets `GOMP_SPINCOUNT`, which libgomp reads once, when PyTorch is loaded; child processes inherit it.

    `PYTORCH_ENABLE_MPS_FALLBACK` is set as well, unless the user set it: operations that Apple's GPU lacks then run on
    the processor. PyTorch reads it at the same moment.

    Args:
        environment: Variables of this process.

    Returns:
        Whether `GOMP_SPINCOUNT` was set: a value of `GOMP_SPINCOUNT` or `OMP_WAIT_POLICY` that the user set wins.
    """
    environment.setdefault("PYTORCH_ENABLE_MPS_FALLBACK", "1")
    if any(environment.get(name) for name in _WAITING):
        return False
    environment["GOMP_SPINCOUNT"] = str(SPIN_COUNT)
    return True
