"""Memory that the process does not need any more goes back to the system."""

from __future__ import annotations

import ctypes

__all__ = ["return_memory"]


def return_memory() -> bool:
    """Gives freed memory back that the C library keeps for the next photo (`segmodels.device.keep_memory`).

    Returns:
        Whether there was any; False also where the C library has no such function (only glibc has it).
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return bool(trim and trim(0))
