import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from small_memory import SmallMemory
from torch import nn

import segmodels.inference.memory
from segmodels.checkpoints.checkpoint import Checkpoint
from segmodels.device import DeviceError
from segmodels.inference.memory import DeviceMemoryError, free_memory, is_out_of_memory, run_in_parts
from segmodels.inference.segmenter import Segmenter

BATCH = torch.arange(10.0).reshape(5, 2, 1, 1)


@pytest.mark.parametrize(
    ("fits", "tried", "fitted"), [(5, [5], 5), (3, [5, 3, 2], 3), (2, [5, 3, 2, 2, 1], 2), (1, [5, 3, 2] + 5 * [1], 1)]
)
def test_a_batch_is_halved_until_its_parts_fit(fits: int, tried: list[int], fitted: int) -> None:
    network = SmallMemory(nn.Identity(), fits)
    found, size = run_in_parts(network, BATCH)
    assert torch.equal(found, BATCH)
    assert (network.batches, size) == (tried, fitted)


def test_what_did_not_fit_before_is_not_tried_again() -> None:
    network = SmallMemory(nn.Identity(), 2)
    found, size = run_in_parts(network, BATCH, 2)
    assert torch.equal(found, BATCH) and (network.batches, size) == ([2, 2, 1], 2)
    assert run_in_parts(network, BATCH[:1], 2)[1] == 1


def test_one_photo_that_is_too_large_is_a_sentence() -> None:
    network = SmallMemory(nn.Identity(), 0)
    with pytest.raises(DeviceMemoryError, match=r"has too little memory for one photo of 7 x 9\. Free some") as caught:
        run_in_parts(network, torch.zeros(4, 3, 7, 9))
    assert network.batches == [4, 2, 1]
    assert isinstance(caught.value, DeviceError) and caught.value.__context__ is None, "no tensor is kept alive"


def test_another_error_is_not_taken_for_a_lack_of_memory() -> None:
    calls = []

    def network(batch: torch.Tensor) -> torch.Tensor:
        calls.append(len(batch))
        raise RuntimeError("expected scalar type Float but found Half")

    with pytest.raises(RuntimeError, match="Float but found Half"):
        run_in_parts(network, BATCH)
    assert calls == [5]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory."), True),
        (MemoryError(), True),
        (
            RuntimeError("[enforce fail at alloc_cpu.cpp:118] err == 0. DefaultCPUAllocator: can't allocate memory"),
            True,
        ),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."), True),
        (RuntimeError("MPS backend out of memory (MPS allocated: 17.9 GB)"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (ValueError("MPS backend out of memory"), False),
    ],
)
def test_each_device_has_its_own_words(error: BaseException, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


def test_what_pytorch_says_of_a_processor_without_memory_is_known() -> None:
    with pytest.raises(RuntimeError, match=re.compile("memory", re.I)) as caught:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)


def test_only_what_has_a_cache_is_emptied(monkeypatch: pytest.MonkeyPatch) -> None:
    emptied = []
    for module in (torch.cuda, torch.mps):
        monkeypatch.setattr(module, "empty_cache", lambda name=module.__name__: emptied.append(name))
    for device in ("cpu", "cuda", "mps"):
        free_memory(torch.device(device))
    assert emptied == ["torch.cuda", "torch.mps"]


def test_memory_is_freed_before_each_smaller_try(monkeypatch: pytest.MonkeyPatch) -> None:
    network, freed = SmallMemory(nn.Identity(), 2), []
    monkeypatch.setattr(segmodels.inference.memory, "free_memory", lambda device: freed.append(len(network.batches)))
    run_in_parts(network, BATCH)
    assert freed == [1, 2]


def test_photos_that_do_not_fit_together_are_found_as_alone(
    checkpoint_of: Callable[..., Checkpoint],
) -> None:
    photos = [np.full((60, 40, 3), 127, np.uint8) for _ in range(5)]
    for index, photo in enumerate(photos):
        photo[10:30, 10:30] = (255, 0, 0) if index % 2 else (0, 0, 255)
    whole = Segmenter(checkpoint_of(crop="none")).segment_batch(photos)
    checkpoint = checkpoint_of(crop="none")
    network = SmallMemory(checkpoint.network, 2)
    segmenter = Segmenter(checkpoint)
    segmenter.networks = [network]
    parts = segmenter.segment_batch(photos)
    assert network.batches == [5, 3, 2, 2, 1]
    assert [one.garments for one in parts] == [one.garments for one in whole]
    assert all((one.class_map == other.class_map).all() for one, other in zip(parts, whole, strict=True))
    assert {garment.name for one in parts for garment in one.garments} == {"Coat", "Pants"}
    segmenter.segment_batch(photos)
    assert network.batches[5:] == [2, 2, 1], "what fits is remembered"
