"""The fake GPU is as strict as CUDA, and no stricter."""

import copy
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from fake_cuda import FakeCuda, fake_cuda
from torch import nn
from torch.nn import functional
from torchvision.ops import nms

CUDA = torch.device("cuda", 0)


@pytest.fixture(autouse=True)
def gpu() -> Iterator[FakeCuda]:
    with fake_cuda() as gpu:
        yield gpu


def on(device: str, *shape: int) -> torch.Tensor:
    return torch.ones(shape, device=device)


def ids(device: str, *values: int) -> torch.Tensor:
    return torch.tensor(values, device=device)


MIXED: dict[str, Callable[[], object]] = {
    # `SegmentationModule.validation_step` as it was: a loss on the GPU beside the number of photos
    "stack of a loss and a number of photos": lambda: torch.stack([on("cuda") * 8, torch.tensor(float(8))]),
    "stack": lambda: torch.stack([on("cuda", 3), on("cpu", 3)]),
    "cat": lambda: torch.cat([on("cpu", 3), on("cuda", 3)]),
    "a sum": lambda: on("cuda", 3) + on("cpu", 3),
    "a scalar of the GPU beside a tensor of the processor": lambda: on("cpu", 3) * on("cuda"),
    "a sum into the processor's": lambda: on("cpu", 3).add_(on("cuda", 3)),
    "a scalar into the processor's scalar": lambda: on("cpu").add_(on("cuda")),
    "matmul": lambda: on("cuda", 3, 3) @ on("cpu", 3, 3),
    "where": lambda: torch.where(on("cuda", 3) > 0, on("cuda", 3), on("cpu", 3)),
    "a CUDA index into a CPU tensor": lambda: on("cpu", 3)[ids("cuda", 0, 1)],
    "a CUDA mask on a CPU tensor": lambda: on("cpu", 3)[on("cuda", 3) > 0],
    "values of the processor into places of the GPU": lambda: on("cuda", 3).__setitem__(
        ids("cuda", 0, 1), on("cpu", 2)
    ),
    "gather": lambda: on("cuda", 3).gather(0, ids("cpu", 0)),
    "scatter": lambda: on("cuda", 3).scatter(0, ids("cpu", 0), 1.0),
    "index_add": lambda: on("cuda", 3).index_add(0, ids("cuda", 0), on("cpu", 1)),
    "index_select": lambda: on("cpu", 3).index_select(0, ids("cuda", 0)),
    "bincount with weights": lambda: torch.bincount(ids("cuda", 0, 1), on("cpu", 2)),
    "nll_loss with weights": lambda: functional.nll_loss(on("cuda", 2, 3), ids("cuda", 0, 1), on("cpu", 3)),
    "cross_entropy with a truth": lambda: functional.cross_entropy(on("cuda", 2, 3), ids("cpu", 0, 1)),
    "a network that was left behind": lambda: nn.Conv2d(3, 3, 1)(on("cuda", 1, 3, 4, 4)),
    "a batch that was left behind": lambda: nn.BatchNorm2d(3).to("cuda")(on("cpu", 2, 3, 4, 4)),
    "equal": lambda: torch.equal(on("cuda", 3), on("cpu", 3)),
    "boxes and scores": lambda: nms(on("cuda", 2, 4), on("cpu", 2), 0.5),
    "a generator": lambda: torch.rand(3, device="cuda", generator=torch.Generator()),
    "a generator of the GPU": lambda: torch.randperm(3, generator=torch.Generator("cuda")),
}


@pytest.mark.parametrize("mixed", MIXED)
@pytest.mark.parametrize("inference", [False, True])
def test_what_cuda_refuses(mixed: str, inference: bool) -> None:
    with (
        torch.inference_mode(inference),
        pytest.raises(RuntimeError, match="same device|indices should be|type for generator"),
    ):
        MIXED[mixed]()


def test_a_cuda_tensor_is_no_array() -> None:
    for read in (torch.Tensor.numpy, np.asarray):
        with pytest.raises(TypeError, match="can't convert cuda:0 device type tensor to numpy"):
            read(on("cuda", 3))
    with pytest.raises(RuntimeError, match="only dense CPU tensors can be pinned"):
        on("cuda", 3).pin_memory()
    assert on("cpu", 3).pin_memory().numpy().tolist() == on("cuda", 3).cpu().numpy().tolist() == [1, 1, 1]


ALLOWED: dict[str, Callable[[], torch.Tensor]] = {
    "a number": lambda: on("cuda", 3) * 2,
    "a scalar of the processor": lambda: on("cuda", 3) * torch.tensor(2.0),
    "a scalar of the processor in place": lambda: on("cuda", 3).mul_(torch.tensor(2.0)),
    "where with a scalar": lambda: torch.where(on("cuda", 3) > 0, torch.tensor(2.0), 0),
    "masked_fill": lambda: on("cuda", 3).masked_fill(on("cuda", 3) > 0, torch.tensor(2.0)),
    "copy_": lambda: on("cuda", 3).copy_(on("cpu", 3) * 2),
    "an index of the processor": lambda: (on("cuda", 4) * 2)[ids("cpu", 0, 1, 2)],
    "a mask of the processor": lambda: (on("cuda", 3) * 2)[on("cpu", 3) > 0],
    "what is like another": lambda: torch.full_like(on("cuda", 3), 2),
    "what is new": lambda: on("cuda", 3).new_full((3,), 2),
    "moved as another": lambda: (on("cpu", 3) * 2).to(on("cuda")),
    "a generator": lambda: torch.randint(2, 3, (3,), device="cuda", generator=torch.Generator("cuda")),
}


@pytest.mark.parametrize("allowed", ALLOWED)
@pytest.mark.parametrize("inference", [False, True])
def test_what_cuda_allows(allowed: str, inference: bool) -> None:
    with torch.inference_mode(inference):
        result = ALLOWED[allowed]()
    assert result.device == CUDA and result.is_cuda and not result.is_cpu
    assert result.tolist() == [2, 2, 2]


def test_a_tensor_moves_and_stays() -> None:
    here = on("cpu", 3)
    there = here.to("cuda")
    assert there.to("cuda") is there and here.cpu() is here and there.cuda() is there
    there += 1
    assert here.tolist() == [1, 1, 1] and there.cpu().tolist() == [2, 2, 2], "the copy is one"
    assert there[1:].view(2, 1).device == copy.deepcopy(there).device == there.half().device == CUDA
    assert there.to("cuda", torch.int64).dtype == torch.int64


def test_a_gradient_comes_back() -> None:
    weights = on("cpu", 3).requires_grad_()
    (weights.to("cuda", torch.float64) * on("cuda", 3)).sum().backward()
    assert weights.grad is not None and weights.grad.device.type == "cpu" and weights.grad.dtype == torch.float32


def test_a_network_moves_with_all_it_has() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)).to("cuda")
    weight = network[0].weight
    optimiser = torch.optim.AdamW(network.parameters())
    loss = network(on("cuda", 2, 3, 4, 4)).square().mean()
    loss.backward()
    nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimiser.step()
    assert {values.device for values in network.state_dict().values()} == {CUDA}
    assert network[0].weight is weight and weight.grad is not None and weight.grad.device == CUDA
    assert optimiser.state[weight]["exp_avg"].device == CUDA


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_and_a_gradient_scaler(dtype: torch.dtype) -> None:
    network = nn.Conv2d(3, 4, 1).to("cuda")
    scaler, optimiser = torch.amp.GradScaler("cuda", init_scale=8.0), torch.optim.SGD(network.parameters())
    with torch.autocast("cuda", dtype):
        values = network(on("cuda", 2, 3, 4, 4))
    assert values.dtype == dtype and values.device == CUDA
    before = network.weight.detach().clone()
    scaler.scale(values.float().mean()).backward()
    scaler.step(optimiser)
    scaler.update()
    assert scaler.get_scale() == 8 and not torch.equal(network.weight, before)


WAITS: dict[str, Callable[[torch.Tensor], object]] = {
    "item": lambda values: values[0].item(),
    "float": lambda values: float(values[0]),
    "if": lambda values: bool(values.any()),
    "tolist": lambda values: values.tolist(),
    "cpu": lambda values: values.cpu(),
    "nonzero": lambda values: values.nonzero(),
    "where": lambda values: torch.where(values > 0),
    "a mask": lambda values: values[values > 0],
    "bincount": lambda values: torch.bincount(values.long()),
    "unique": lambda values: values.unique(),
    "a list as index": lambda values: values[[0, 1]],
    "tensor": lambda values: torch.tensor([1.0], device=values.device),
    "to": lambda values: torch.ones(1).to(values.device),
}


@pytest.mark.parametrize("wait", WAITS)
def test_what_waits(wait: str, gpu: FakeCuda) -> None:
    WAITS[wait](on("cuda", 3))
    assert len(gpu.waits) == 1


def test_what_does_not_wait(gpu: FakeCuda) -> None:
    values = on("cuda", 3)
    values[values > 0] = 2
    values[1:] += values.sum() * torch.tensor(2.0)
    values.index_add(0, torch.arange(3, device="cuda"), torch.zeros(3, device="cuda")).sort()
    torch.ones(3).pin_memory().to("cuda", non_blocking=True)
    assert gpu.waits == []


def test_what_a_fake_gpu_replaces_comes_back() -> None:
    def replaced() -> list[object]:
        return [torch.Tensor.to, torch.Tensor.device, torch.zeros, torch.cuda.is_available, torch.autocast.__init__]

    outside = replaced()
    with fake_cuda():
        within = replaced()
    assert replaced() == outside and not set(map(id, within)) & set(map(id, outside))
