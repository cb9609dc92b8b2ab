"""Where networks run, and in which precision."""

from __future__ import annotations

import ctypes
import platform
import time
from functools import cache
from pathlib import Path

import torch

__all__ = ["describe_device", "has_fast_bf16", "keep_memory", "pick_device"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4  # of glibc's malloc.h
_KEPT = 256 * 1024**2  # bytes that a server may keep; a network's maps of a photo take less
_GAIN = 1.2  # times as fast as float32 that bfloat16 must be, to be worth its rounding and casts
_LARGEST = 32 * 1024**2  # bytes, the largest that glibc takes


def pick_device() -> torch.device:
    """The first GPU if there is one, else the processor."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is computed by the hardware, and faster than float32.

    A processor is asked whether it has it, and then timed, once a process (about 30 ms): an Intel Xeon that has
    AVX-512's bfloat16, but not the matrix unit that goes with it, takes twice as long as in float32.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    # Not in every PyTorch that is allowed; without it the safe answer is no.
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    listed = capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16")
    return bool(listed) and _seconds_of_a_product(torch.float32) > _GAIN * _seconds_of_a_product(torch.bfloat16)


@cache
def _seconds_of_a_product(dtype: torch.dtype) -> float:
    """The least of several times that a product of two matrices took; the first one is not counted."""
    one = torch.ones(512, 512, dtype=dtype)
    seconds = []
    for _ in range(8):
        started = time.perf_counter()
        one @ one
        seconds.append(time.perf_counter() - started)
    return min(seconds[1:])


def keep_memory(*, all_of_it: bool = False) -> bool:
    """Asks the C library to keep freed memory, which the next photo or step asks for again.

    Left alone, glibc returns each large tensor to the system and has its pages cleared anew the next time.

    Args:
        all_of_it: Whether everything is kept until the process ends, instead of a quarter of a gigabyte.

    Returns:
        Whether the C library took the advice; another one than glibc has no such setting.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    if all_of_it:
        return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST) and mallopt(_M_TRIM_THRESHOLD, _KEPT))


def describe_device() -> str:
    """What networks run on, for people: `NVIDIA H200`, or `AMD EPYC 9R14, 2 threads`."""
    device = pick_device()
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{_processor()}, {torch.get_num_threads()} thread{'s' if torch.get_num_threads() > 1 else ''}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(named), "") or platform.processor() or platform.machine() or "processor"
