import argparse
import re
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from fake_cuda import fake_cuda
from torch import nn

import segmodels.device
from segmodels.device import (
    DeviceError,
    Precision,
    add_device_arguments,
    describe_device,
    has_fast_bf16,
    keep_memory,
    list_devices,
    pick_device,
    pick_precision,
    tune,
)
from segmodels.inference.memory import return_memory
from segmodels.settings import DEVICE_VARIABLE

CPU, CUDA, MPS = torch.device("cpu"), torch.device("cuda", 0), torch.device("mps")
LACKS = (
    "The operator 'aten::grid_sampler_3d' is not currently supported on the MPS backend and will fall back to run on "
    "the CPU. This may have performance implications. (Triggered internally at MPSFallback.mm:15.)"
)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (DEVICE_VARIABLE, "LOCAL_RANK", "SLURM_LOCALID"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, bool], None]:
    """Makes this a machine with so many CUDA cards, and with Apple's GPU or not."""

    def make(cards: int, apple: bool) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cards > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cards)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: apple)

    return make


@pytest.fixture
def _warnings_are_said() -> Iterator[None]:
    """Lets `tune` take warnings over, and gives them back."""
    segmodels.device._say_fallbacks.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        yield
    segmodels.device._say_fallbacks.cache_clear()


# --- Which device -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cards", "apple", "expected"),
    [
        (0, False, ["cpu"]),
        (1, False, ["cuda:0", "cpu"]),
        (2, False, ["cuda:0", "cuda:1", "cpu"]),
        (0, True, ["mps", "cpu"]),
    ],
)
def test_the_best_device_is_listed_first_and_taken(
    cards: int, apple: bool, expected: list[str], machine: Callable[[int, bool], None]
) -> None:
    machine(cards, apple)
    assert list_devices() == expected
    assert pick_device() == pick_device("auto") == torch.device(expected[0])
    assert [str(pick_device(name)) for name in expected] == expected, "each may be named"


def test_a_device_that_is_not_there_is_an_error_that_lists_those_that_are(
    machine: Callable[[int, bool], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(0, False)
    with pytest.raises(DeviceError, match=r"^The device 'cuda' is not available; this machine has cpu\.$"):
        pick_device("cuda")
    machine(2, False)
    with pytest.raises(DeviceError, match=r"^The device 'cuda:2' .* this machine has cuda:0, cuda:1, cpu\.$"):
        pick_device("cuda:2")
    machine(0, True)
    with pytest.raises(DeviceError, match=r"this machine has mps, cpu\.$"):
        pick_device("gpu")
    monkeypatch.setenv(DEVICE_VARIABLE, "cuda:1")
    with pytest.raises(DeviceError, match=r"^GARMENTSCOPE_DEVICE 'cuda:1' is not available"):
        pick_device()


def test_the_variable_counts_where_no_device_is_named(
    machine: Callable[[int, bool], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(2, False)
    monkeypatch.setenv(DEVICE_VARIABLE, " cpu ")
    assert (pick_device(), pick_device("cuda:1"), pick_device("auto")) == (CPU, torch.device("cuda:1"), CUDA)
    monkeypatch.setenv(DEVICE_VARIABLE, "")
    assert pick_device() == CUDA


@pytest.mark.parametrize("variable", ["LOCAL_RANK", "SLURM_LOCALID"])
def test_each_process_of_a_run_has_a_card_of_its_own(
    variable: str, machine: Callable[[int, bool], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(2, False)
    picked = []
    for rank in range(3):
        monkeypatch.setenv(variable, str(rank))
        assert pick_device("auto") == pick_device("cuda") == pick_device()
        assert pick_device("cuda:0") == CUDA, "what is named is taken"
        picked.append(pick_device().index)
    assert picked == [0, 1, 0]
    machine(0, False)
    assert pick_device() == CPU


def test_the_device_has_a_name() -> None:
    found = describe_device()
    if pick_device().type == "cpu":
        assert re.fullmatch(r"\S.*, \d+ threads?", found)
    else:
        assert found.strip()


def test_a_gpu_has_the_name_of_its_maker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segmodels.device, "_processor", lambda: "Apple M3")
    assert describe_device(MPS) == "Apple M3 GPU"
    with fake_cuda():
        assert describe_device() == describe_device(CUDA) == "Fake GPU"


# --- Which precision --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("capability", "expected", "lightning", "dtype"),
    [
        ((6, 1), "32", "32-true", torch.float32),
        ((7, 0), "fp16", "16-mixed", torch.float16),  # V100
        ((7, 5), "fp16", "16-mixed", torch.float16),  # T4
        ((8, 0), "bf16", "bf16-mixed", torch.bfloat16),  # A100
    ],
)
def test_a_gpu_computes_in_the_fastest_that_it_has(
    capability: tuple[int, int], expected: str, lightning: str, dtype: torch.dtype
) -> None:
    with fake_cuda(capability=capability):
        found = pick_precision("auto", CUDA)
        assert found == pick_precision(None, CUDA)
        assert (found.name, found.lightning, found.dtype) == (expected, lightning, dtype)
        assert found.scaler().is_enabled() is (expected == "fp16"), "fp16 alone needs scaled gradients"
        if capability < (8, 0):
            with pytest.raises(DeviceError, match=r"^Fake GPU does not support bf16\. Use fp16, 32 or auto\.$"):
                pick_precision("bf16", CUDA)
        else:
            assert pick_precision("bf16", CUDA) == found
        assert pick_precision("fp16", CUDA).name == "fp16" and pick_precision("32", CUDA).name == "32"


@pytest.mark.parametrize("device", [CPU, MPS], ids=str)
def test_fp16_is_for_cuda(device: torch.device) -> None:
    with pytest.raises(DeviceError, match=rf"^Precision fp16 needs a CUDA GPU, and the device is {device}\."):
        pick_precision("fp16", device)
    with pytest.raises(DeviceError, match=r"^The precision must be auto, 32, bf16 or fp16, not 'int8'\.$"):
        pick_precision("int8", device)


def test_others_compute_in_float32_unless_bf16_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    for fast, expected in ((False, "32"), (True, "bf16")):
        monkeypatch.setattr(segmodels.device, "has_fast_bf16", lambda device, fast=fast: fast)
        assert pick_precision("auto", CPU).name == expected
    monkeypatch.undo()
    assert pick_precision("auto", MPS).name == "32"
    assert pick_precision("bf16", CPU).name == "bf16", "who asks for it gets it, though it may be slow"


@pytest.mark.parametrize("name", ["32", "bf16"])
def test_a_network_computes_in_its_precision(name: str) -> None:
    precision = pick_precision(name, CPU)
    with precision.autocast():
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == precision.dtype


def test_a_scaler_scales_for_fp16_alone() -> None:
    loss = torch.tensor(2.0)
    assert Precision("32", CPU).scaler().scale(loss) == 2
    assert Precision("fp16", CPU).scaler().scale(loss) > 2


@pytest.mark.parametrize(("listed", "gain", "expected"), [(True, 2.0, True), (True, 0.5, False), (False, 2.0, False)])
def test_bfloat16_must_be_there_and_pay(
    listed: bool, gain: float, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = {torch.float32: gain, torch.bfloat16: 1.0}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": listed}, raising=False)
    monkeypatch.setattr(segmodels.device, "_seconds_of_a_product", seconds.__getitem__)
    assert has_fast_bf16(CPU) is expected


def test_a_processor_is_timed_once_and_its_answer_stays() -> None:
    assert has_fast_bf16(CPU) is has_fast_bf16(CPU)
    for dtype in (torch.float32, torch.bfloat16):
        once = segmodels.device._seconds_of_a_product(dtype)
        assert 0 < once < 10 and segmodels.device._seconds_of_a_product(dtype) == once


# --- What makes it fast, and what it lacks ----------------------------------------------------------------------------


def test_a_gpu_is_tuned_and_a_processor_is_not() -> None:
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark
    tune(CPU, equal_batches=True)
    assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark) == before
    with fake_cuda():
        tune(CUDA, equal_batches=True)
        assert (torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark) == ("high", True)
        tune(CUDA)
        assert torch.backends.cudnn.benchmark is False, "photos of all shapes would be timed anew each"


@pytest.mark.usefixtures("_warnings_are_said")
def test_what_apples_gpu_lacks_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    show = warnings.showwarning
    tune(MPS)
    tune(MPS)
    warnings.warn(LACKS, UserWarning, stacklevel=1)
    said = capsys.readouterr().err
    assert said == "Apple's GPU lacks aten::grid_sampler_3d; the processor computes this step, which is slower.\n"
    assert warnings.showwarning is not show


@pytest.mark.usefixtures("_warnings_are_said")
def test_other_warnings_stay_what_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []
    monkeypatch.setattr(warnings, "showwarning", lambda message, *where: shown.append(str(message)))
    tune(MPS)
    warnings.warn("The sky is falling.", UserWarning, stacklevel=1)
    assert shown == ["The sky is falling."]


def test_pytorch_takes_what_mps_lacks_to_the_processor() -> None:
    code = "import segmodels, os; print(os.environ['PYTORCH_ENABLE_MPS_FALLBACK'])"
    root = Path(segmodels.device.__file__).parents[1]
    assert subprocess.check_output([sys.executable, "-c", code], cwd=root, text=True) == "1\n"


def test_commands_take_a_device_and_a_precision(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    add_device_arguments(parser)
    assert vars(parser.parse_args([])) == {"device": None, "precision": "auto"}
    assert vars(parser.parse_args(["--device", "cuda:1", "--precision", "fp16"])) == {
        "device": "cuda:1",
        "precision": "fp16",
    }
    with pytest.raises(SystemExit):
        parser.parse_args(["--precision", "int8"])
    assert "fp16" in capsys.readouterr().err


@pytest.mark.parametrize("error", [TypeError("bad argument type for built-in operation"), OSError("no library")])
def test_a_system_without_a_library_of_everything_has_no_advice_to_take(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Windows raises TypeError for `ctypes.CDLL(None)`; a musl without `mallopt` has no such name."""

    def fail(name: object) -> object:
        raise error

    monkeypatch.setattr("segmodels.device.ctypes.CDLL", fail)
    assert not keep_memory() and not keep_memory(all_of_it=True) and not return_memory()
    monkeypatch.setattr("segmodels.device.ctypes.CDLL", lambda name: object())
    assert not keep_memory() and not return_memory()
