"""A narrower FPN starts from the channels of a wider one that weigh most."""

import pytest
import torch
from torch import nn

from segmodels.architectures import build
from train.segmentation.pruning import prune_segmentation_blocks

WIDE = {"encoder": "resnet18", "pyramid_channels": 32, "segmentation_channels": 64}
NARROW = {**WIDE, "segmentation_channels": 32}


def norms(network: nn.Module) -> list[nn.GroupNorm]:
    return [module for module in network.modules() if isinstance(module, nn.GroupNorm)]


def test_a_wider_network_without_its_idle_channels_gives_the_same() -> None:
    """Of each pair of channels one has the factor 0: without it nothing changes but the statistics of its group."""
    wide = build("fpn", 5, WIDE).eval()
    generator = torch.Generator().manual_seed(0)
    order = torch.randint(2, (32,), generator=generator)
    for module in wide.modules():
        if isinstance(module, nn.GroupNorm):
            module.weight.data = torch.stack([order, 1 - order], 1).flatten().float()
            module.bias.data.zero_()
        elif isinstance(module, nn.Conv2d) and module.out_channels == 64 and module.kernel_size == (3, 3):
            # Both channels of a group are the same, so that mean and variance of one are those of both.
            module.weight.data[1::2] = module.weight.data[::2]
    narrow = build("fpn", 5, NARROW).eval()
    assert prune_segmentation_blocks(wide.state_dict(), narrow)
    photo = torch.rand(1, 3, 64, 64, generator=generator)
    with torch.inference_mode():
        assert torch.allclose(wide(photo), narrow(photo), atol=1e-5)
    assert all((norm.weight == 1).all() for norm in norms(narrow))


@pytest.mark.parametrize(
    ("architecture", "arguments"),
    [
        ("fpn", {**NARROW, "pyramid_channels": 64}),
        ("fpn", {**WIDE, "segmentation_channels": 128}),
        ("unet", {"encoder": "resnet18"}),
    ],
)
def test_another_network_is_left_alone(architecture: str, arguments: dict[str, object]) -> None:
    network = build(architecture, 5, arguments)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert not prune_segmentation_blocks(build("fpn", 5, WIDE).state_dict(), network)
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
