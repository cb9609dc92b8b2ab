import torch
from torch import nn

from train.segmentation.depthwise import widen_depthwise


def _network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 5, groups=8), nn.Conv2d(8, 8, 3, groups=2))


def test_a_widened_convolution_sees_float32_and_gives_bfloat16():
    network = _network()
    photos = torch.randn(2, 3, 16, 16)
    with torch.autocast("cpu", torch.bfloat16):
        narrow = network(photos)

    assert widen_depthwise(network) == 1
    seen = []
    network[1].register_forward_hook(lambda module, inputs, output: seen.append((inputs[0].dtype, output.dtype)))
    with torch.autocast("cpu", torch.bfloat16):
        wide = network(photos)
    wide.float().square().mean().backward()

    assert seen == [(torch.bfloat16, torch.bfloat16)]
    assert wide.dtype == torch.bfloat16
    assert torch.allclose(wide.float(), narrow.float(), atol=0.05)
    assert network[1].weight.grad is not None and network[1].weight.grad.abs().sum() > 0


def test_without_autocast_nothing_changes():
    network = _network()
    photos = torch.randn(2, 3, 16, 16)
    before = network(photos)
    keys = list(network.state_dict())

    widen_depthwise(network)

    assert torch.equal(network(photos), before)
    assert list(network.state_dict()) == keys
