import copy

import pytest
import torch
from fake_cuda import fake_cuda
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from train.moving_average import MovingAverage


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))


def step(network: nn.Module) -> None:
    """Moves weights and running statistics."""
    network(torch.randn(2, 3, 4, 4, device=next(network.parameters()).device))
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter))


def test_it_is_torchs_own_also_after_a_stop(network: nn.Module) -> None:
    own = MovingAverage(network, 0.9)
    theirs = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)
    for number in range(6):
        step(network)
        own.update_parameters(network)
        theirs.update_parameters(network)
        if number in (0, 3):
            state = own.state_dict()
            assert state.keys() == theirs.state_dict().keys()
            own = MovingAverage(copy.deepcopy(network), 0.9)
            own.load_state_dict(state)
    for (name, averaged), expected in zip(own.state_dict().items(), theirs.state_dict().values(), strict=True):
        assert torch.equal(averaged, expected), name
    assert not torch.equal(own.state_dict()["module.0.weight"], network[0].weight)  # type: ignore[index]
    assert not any(parameter.requires_grad for parameter in own.parameters())


def test_a_gpu_is_asked_once(network: nn.Module) -> None:
    with fake_cuda() as gpu:
        network.to("cuda")
        average = MovingAverage(network, 0.9).to("cuda")
        gpu.waits.clear()
        for _ in range(3):
            step(network)
            average.update_parameters(network)
        assert gpu.waits == ["_local_scalar_dense"]
