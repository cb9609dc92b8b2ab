from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional

from segmodels.architectures import build
from segmodels.architectures.folding import fold_batch_norm


def norms(network: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())


def trained(network: nn.Module) -> nn.Module:
    """With statistics, factors and summands as training leaves them, unlike the ones and zeros of a new network."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values, low, high in (
                (module.running_mean, -0.2, 0.2),
                (module.running_var, 0.5, 1.5),
                (module.weight, 0.5, 1.5),
                (module.bias, -0.2, 0.2),
            ):
                assert values is not None
                nn.init.uniform_(values, low, high)
    return network.eval()


@pytest.mark.parametrize(
    ("name", "arguments", "left"),
    [
        ("fpn", {}, 0),
        ("unet", {}, 0),
        ("linknet", {}, 5),  # after transposed convolutions
        ("pspnet", {}, 0),
        ("fcn", {}, 0),
        ("atrous", {}, 0),
        ("densenet", {}, 62),  # before convolutions
        ("segnet", {"width": 0.125}, 26),  # after a ReLU
        ("unet_classic", {"width": 0.125}, 0),
    ],
)
def test_every_architecture_gives_the_same_without_its_batch_norms(
    name: str, arguments: dict[str, Any], left: int
) -> None:
    network = trained(build(name, 5, arguments))
    weights = {key: value.clone() for key, value in network.state_dict().items()}
    folded = fold_batch_norm(network)
    assert norms(folded) == left and not folded.training
    if norms(network):  # moving the copy to a GPU must not take half of the original along
        assert not {id(weight) for weight in network.parameters()} & {id(weight) for weight in folded.parameters()}
    photos = torch.rand(2, 3, 96, 64)
    with torch.inference_mode():
        expected, given = network(photos), folded(photos)
    assert torch.allclose(expected, given, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    assert all(torch.equal(weights[key], value) for key, value in network.state_dict().items())  # it stays as it was


class Odd(nn.Module):
    """Batch norms that look as if they could be folded, and one that can be."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.third = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(3))
        self.norms = nn.ModuleList(nn.BatchNorm2d(3) for _ in range(4))

    def forward(self, photos: torch.Tensor) -> dict[str, torch.Tensor]:
        skipped = self.first(photos)  # is read twice: as it is, and normalised
        values = functional.relu(self.norms[0](skipped)) + skipped
        values = self.norms[1](self.second(values)) + self.norms[2](self.second(photos))  # weights that serve twice
        return {"one": self.norms[3](self.third(values)), "two": skipped}


def test_what_cannot_be_folded_stays() -> None:
    network = trained(Odd())
    folded = fold_batch_norm(network)
    assert norms(folded) == 3
    photos = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        expected, given = network(photos), folded(photos)
    assert all(torch.allclose(expected[key], given[key], atol=1e-5) for key in ("one", "two"))
