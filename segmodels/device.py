"""Devices and precisions of networks, for training, inference and the app alike."""

from __future__ import annotations

import argparse
import ctypes
import os
import platform
import re
import sys
import time
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TextIO

import torch

from segmodels.errors import GarmentscopeError
from segmodels.settings import DEVICE_VARIABLE, read_settings

__all__ = [
    "PRECISIONS",
    "DeviceError",
    "Precision",
    "add_device_arguments",
    "c_function",
    "describe_device",
    "has_fast_bf16",
    "keep_memory",
    "list_devices",
    "pick_device",
    "pick_precision",
    "tune",
]

PRECISIONS = ("auto", "32", "bf16", "fp16")
"""Values of `--precision`."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_MMAP_MAX = -1, -3, -4  # of glibc's malloc.h
_KEPT = 256 * 1024**2  # bytes that a server may keep; a network's maps of a photo take less
_GAIN = 1.2  # times as fast as float32 that bfloat16 must be, to be worth its rounding and casts
_LARGEST = 32 * 1024**2  # bytes, the largest that glibc takes
_TENSOR_CORES = (7, 0)  # compute capability from which fp16 is faster than float32
_FALLBACK = re.compile(r"The operator '(.+?)' is not currently supported on the MPS backend")


class DeviceError(GarmentscopeError, ValueError):
    """A device or a precision that cannot be used; the message says why, and what is available instead."""


@dataclass(frozen=True)
class Precision:
    """The number format in which a network computes on a device; weights and sums stay float32.

    Args:
        name: The name on the command line.
        device: The device that computes.
    """

    name: Literal["32", "bf16", "fp16"]
    device: torch.device

    @property
    def dtype(self) -> torch.dtype:
        """The type of a network's features."""
        return {"32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}[self.name]

    @property
    def lightning(self) -> Literal["32-true", "bf16-mixed", "16-mixed"]:
        """The name that Lightning's trainer takes; with `16-mixed` it scales the gradients."""
        names: dict[str, Literal["32-true", "bf16-mixed", "16-mixed"]]
        names = {"32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
        return names[self.name]

    def autocast(self) -> AbstractContextManager[Any]:
        """A context in which networks compute in this precision."""
        return torch.autocast(self.device.type, self.dtype if self.name != "32" else None, enabled=self.name != "32")

    def scaler(self) -> torch.amp.GradScaler:
        """A scaler of gradients, which fp16 needs so that small ones do not become 0; with others it does nothing."""
        return torch.amp.GradScaler(self.device.type, enabled=self.name == "fp16")


def list_devices() -> list[str]:
    """Names of the devices of this machine, as `--device` takes them; the best first."""
    found = [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return [*found, *(["mps"] if torch.backends.mps.is_available() else []), "cpu"]


def pick_device(name: str | None = None) -> torch.device:
    """The device on which networks run.

    Args:
        name: `auto` takes the first of CUDA, Apple's MPS and the processor that there is; `cpu`, `cuda`, `cuda:N` or
            `mps`. None for the value of `GARMENTSCOPE_DEVICE`, or `auto` where that is not set. Of several processes
            that `torchrun` or SLURM starts on a machine, each gets a GPU of its own for `auto` and `cuda`.

    Raises:
        DeviceError: If there is no such device here; the message lists those that there are.
    """
    source = "The device"
    if name is None:
        name, source = read_settings().device or "auto", DEVICE_VARIABLE
    there = list_devices()
    if name in ("auto", "cuda") and there[0].startswith("cuda"):
        cards = [device for device in there if device.startswith("cuda")]
        return torch.device(cards[_local_rank() % len(cards)])
    if name == "auto":
        return torch.device(there[0])
    if name not in there:
        raise DeviceError(f"{source} {name!r} is not available; this machine has {', '.join(there)}.")
    return torch.device(name)


def pick_precision(name: str | None, device: torch.device) -> Precision:
    """The precision in which networks run on a device.

    Args:
        name: `auto` or None takes the fastest that a network survives: bf16 where the hardware computes it and is
            faster by it, fp16 on GPUs with tensor cores but without bf16 (V100, T4), and float32 elsewhere. `32`,
            `bf16` and `fp16` are taken as they are.
        device: The device that computes.

    Raises:
        DeviceError: If the device does not compute in that precision.
    """
    if name in (None, "auto"):
        if has_fast_bf16(device):
            return Precision("bf16", device)
        strong = device.type == "cuda" and torch.cuda.get_device_capability(device) >= _TENSOR_CORES
        return Precision("fp16" if strong else "32", device)
    if name == "fp16" and device.type != "cuda":
        raise DeviceError(f"Precision fp16 needs a CUDA GPU, and the device is {device}. Use 32, bf16 or auto.")
    if name == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        raise DeviceError(f"{describe_device(device)} does not support bf16. Use fp16, 32 or auto.")
    if name not in ("32", "bf16", "fp16"):
        raise DeviceError(f"The precision must be {', '.join(PRECISIONS[:-1])} or {PRECISIONS[-1]}, not {name!r}.")
    return Precision(name, device)  # type: ignore[arg-type]


def add_device_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds `--device` and `--precision` to a command that runs a network."""
    parser.add_argument(
        "--device",
        metavar="auto|cpu|cuda[:N]|mps",
        help=f"where the network runs (default: {DEVICE_VARIABLE}, or the first of CUDA, MPS and the processor)",
    )
    parser.add_argument(
        "--precision", choices=PRECISIONS, default="auto", help="number format of the network's features"
    )


def tune(device: torch.device, *, equal_batches: bool = False) -> None:
    """Sets what makes a GPU fast without changing results beyond rounding; does nothing on a processor.

    Args:
        device: The device that computes.
        equal_batches: Whether all batches have one shape, so that it pays to time cuDNN's algorithms once.
    """
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")  # TF32 where the GPU has it, as cuDNN's convolutions have it anyway
        torch.backends.cudnn.benchmark = equal_batches
    if device.type == "mps":
        _say_fallbacks()


@cache
def _say_fallbacks() -> None:
    """Turns PyTorch's warning of an operation that MPS lacks, which the processor then takes, into one sentence."""
    show = warnings.showwarning

    def say(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if found := _FALLBACK.search(str(message)):
            print(f"Apple's GPU lacks {found[1]}; the processor computes this step, which is slower.", file=sys.stderr)
        else:
            show(message, category, filename, lineno, file, line)

    warnings.showwarning = say


def _local_rank() -> int:
    """Which of the processes of a run this is on its machine, from 0; 0 for a single one."""
    return int(os.environ.get("LOCAL_RANK") or os.environ.get("SLURM_LOCALID") or 0)


def has_fast_bf16(device: torch.device) -> bool:
    """Whether bfloat16 is computed by the hardware, and faster than float32.

    A processor is asked whether it has it, and then timed, once a process (about 30 ms): an Intel Xeon that has
    AVX-512's bfloat16, but not the matrix unit that goes with it, takes twice as long as in float32.
    """
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
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
    mallopt = c_function("mallopt")
    if mallopt is None:
        return False
    if all_of_it:
        return bool(mallopt(_M_MMAP_MAX, 0) and mallopt(_M_TRIM_THRESHOLD, 2**31 - 1))
    return bool(mallopt(_M_MMAP_THRESHOLD, _LARGEST) and mallopt(_M_TRIM_THRESHOLD, _KEPT))


def c_function(name: str) -> Callable[..., int] | None:
    """A function of the C library that this process runs with.

    Args:
        name: Name of the function, which returns an int.

    Returns:
        The function; None if the library does not have it. Windows gives no handle of the library.
    """
    try:
        found: Callable[..., int] | None = getattr(ctypes.CDLL(None), name, None)
    except (OSError, TypeError):
        return None
    return found


def describe_device(device: torch.device | None = None) -> str:
    """The name of a device, for people: `NVIDIA H200`, `Apple GPU`, or `AMD EPYC 9R14, 2 threads`.

    Args:
        device: The one to name; that of `pick_device()` if left out.
    """
    device = device or pick_device()
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "mps":
        return f"{_processor()} GPU"
    return f"{_processor()}, {torch.get_num_threads()} thread{'s' if torch.get_num_threads() > 1 else ''}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        lines = []
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return next(iter(named), "") or platform.processor() or platform.machine() or "processor"
