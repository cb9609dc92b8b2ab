import re

import pytest
import torch

import segmodels.device
from segmodels.device import describe_device, has_fast_bf16, pick_device

CPU = torch.device("cpu")


def test_the_device_has_a_name() -> None:
    found = describe_device()
    if pick_device().type == "cpu":
        assert re.fullmatch(r"\S.*, \d+ threads?", found)
    else:
        assert found.strip()


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
