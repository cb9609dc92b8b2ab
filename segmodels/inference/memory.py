"""Handling of batches that do not fit into memory, and of freed memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from segmodels.device import DeviceError, c_function, describe_device

__all__ = ["DeviceMemoryError", "free_memory", "is_out_of_memory", "map_in_parts", "return_memory", "run_in_parts"]

Item = TypeVar("Item")
Result = TypeVar("Result")

# How PyTorch words it on Linux and Windows, of a file that it maps, and on Apple's GPU.
_WORDS = ("can't allocate memory", "not enough memory", "cannot allocate memory", "mps backend out of memory")


class DeviceMemoryError(DeviceError):
    """A single photo that does not fit into the device's memory."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an exception says that a device has no memory left; each kind of device words it in its own way."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _WORDS)


def free_memory(device: torch.device) -> None:
    """Gives back what PyTorch keeps of a GPU's memory for later tensors."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()


def return_memory() -> bool:
    """Gives freed memory back that the C library keeps for the next photo (`segmodels.device.keep_memory`).

    Returns:
        Whether there was any; False also where the C library has no such function (only glibc has it).
    """
    trim = c_function("malloc_trim")
    return bool(trim and trim(0))


def run_in_parts(
    network: Callable[[torch.Tensor], torch.Tensor], batch: torch.Tensor, largest: int | None = None
) -> tuple[torch.Tensor, int]:
    """Runs a network on a batch, which is halved until its parts fit into memory.

    Args:
        network: A function of a batch `(N, ...)` that gives `(N, ...)`.
        batch: The whole batch.
        largest: Photos that are known to fit at a time; None for all.

    Returns:
        Output of the network for the whole batch, and the number of photos that fitted at a time.

    Raises:
        DeviceMemoryError: If one photo alone does not fit.
    """
    size = min(largest or len(batch), len(batch))
    while True:
        try:
            parts = [network(batch[start : start + size]) for start in range(0, len(batch), size)]
            return parts[0] if len(parts) == 1 else torch.cat(parts), size
        except RuntimeError as error:  # its traceback holds tensors, so that it must be gone before the next try
            if not is_out_of_memory(error):
                raise
        free_memory(batch.device)
        if size == 1:
            height, width = batch.shape[-2:]
            raise DeviceMemoryError(
                f"{describe_device(batch.device)} has too little memory for one photo of {height} x {width}. Free some "
                "there, or name another device."
            )
        size = (size + 1) // 2


def map_in_parts(
    work: Callable[[Sequence[Item]], list[Result]], items: Sequence[Item], device: torch.device
) -> list[Result]:
    """Does something to several items at once, or to halves of them where the memory does not suffice.

    Args:
        work: A function of several items that gives a result for each.
        items: The items.
        device: The device whose memory is given back between two tries.
    """
    try:
        return work(items)
    except RuntimeError as error:
        if len(items) < 2 or not is_out_of_memory(error):
            raise
    free_memory(device)
    half = (len(items) + 1) // 2
    return map_in_parts(work, items[:half], device) + map_in_parts(work, items[half:], device)
