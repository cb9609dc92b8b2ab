import math
from collections.abc import Iterator

import pytest
import torch
from torch import nn

import segmodels.architectures as architectures
from segmodels.architectures import ARCHITECTURES, build
from segmodels.architectures.smp import PadToStride

CLASSES = 5
PARAMETERS = {"fpn": 4_712_591}  # with 15 classes
# Of `_waves` through `_filled` networks: each fifth class at row 20, column 30; class 3 at each 21st row of column 7.
GOLDEN = {
    "fpn": (
        [0.30475656765475717, -1.1103128213935543, -1.4370337970444058],
        [2.3972683926133485, 3.1486143575554877, 3.0296270189306207, 2.4947860433328177],
    )
}
each_architecture = pytest.mark.parametrize("name", list(ARCHITECTURES))


@pytest.fixture(scope="module", params=list(ARCHITECTURES))
def network(request: pytest.FixtureRequest) -> Iterator[nn.Module]:
    torch.manual_seed(0)
    yield build(request.param, CLASSES, {})


def _waves(*shape: int) -> torch.Tensor:
    return torch.sin(torch.arange(math.prod(shape), dtype=torch.float64) * 0.31).reshape(shape)


def _filled(network: nn.Module) -> nn.Module:
    """The network in float64 with weights that depend on no random generator."""
    network = network.double().eval()
    with torch.no_grad():
        for index, (name, tensor) in enumerate(network.state_dict().items()):
            if not tensor.is_floating_point():
                continue
            wave = torch.sin(torch.arange(tensor.numel(), dtype=torch.float64) * 1.7 + index).reshape(tensor.shape)
            if name.endswith("running_var"):
                tensor.copy_(1 + 0.5 * wave)
            elif tensor.ndim > 1:
                tensor.copy_(wave * math.sqrt(4 / tensor[0].numel()))
            elif name.endswith("weight"):
                tensor.copy_(1 + 0.2 * wave)
            else:
                tensor.copy_(0.1 * wave)
    return network


@pytest.mark.parametrize("size", [(64, 32), (1, 1), (33, 65), (63, 31), (50, 40), (17, 96)])
@pytest.mark.parametrize("batch", [1, 2])
def test_logits_have_the_size_of_the_photos(network: nn.Module, size: tuple[int, int], batch: int) -> None:
    with torch.inference_mode():
        logits = network.eval()(torch.randn(batch, 3, *size))
    assert logits.shape == (batch, CLASSES, *size)
    assert torch.isfinite(logits).all()


def test_a_photo_alone_is_judged_as_in_a_batch(network: nn.Module) -> None:
    photos = torch.randn(3, 3, 64, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        together = network.eval()(photos)
        alone = torch.cat([network(photo[None]) for photo in photos])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-3)


def test_every_parameter_gets_a_gradient(network: nn.Module) -> None:
    torch.manual_seed(1)
    network.train()
    network(torch.randn(2, 3, 64, 64)).square().mean().backward()
    without = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.any()]
    network.zero_grad(set_to_none=True)
    assert not without
    assert all(p.requires_grad for p in network.parameters())


@each_architecture
def test_number_of_parameters(name: str) -> None:
    assert sum(p.numel() for p in build(name, 15, {}).parameters()) == PARAMETERS[name]


@each_architecture
def test_golden_logits(name: str) -> None:
    with torch.inference_mode():
        logits = _filled(build(name, 15, {}))(_waves(1, 3, 64, 96))
    classes, column = GOLDEN[name]
    torch.testing.assert_close(logits[0, ::5, 20, 30], torch.tensor(classes, dtype=torch.float64), atol=1e-6, rtol=0)
    torch.testing.assert_close(logits[0, 3, ::21, 7], torch.tensor(column, dtype=torch.float64), atol=1e-6, rtol=0)


class _Strict(nn.Module):
    """Refuses what is no multiple of 8, and gives each pixel's own value back."""

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        assert photos.shape[-2] % 8 == photos.shape[-1] % 8 == 0
        return photos.sum(dim=1, keepdim=True)


@pytest.mark.parametrize("size", [(8, 16), (9, 15), (1, 8), (7, 1)])
def test_padding_moves_no_pixel(size: tuple[int, int]) -> None:
    photos = torch.randn(2, 3, *size)
    assert torch.equal(PadToStride(_Strict(), 8)(photos), photos.sum(dim=1, keepdim=True))


def test_public_functions_are_registered() -> None:
    assert all(getattr(architectures, name) is function for name, function in ARCHITECTURES.items())


def test_unknown_architecture() -> None:
    with pytest.raises(ValueError, match="There is no architecture 'fnp'; there are .*fpn"):
        build("fnp", 15, {})


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ({"encoders": "resnet18"}, "unexpected keyword argument 'encoders'"),
        ({"encoder": "resnet19"}, "Wrong encoder name `resnet19`"),
        ({"encoder": "tu-resnet19"}, "resnet19"),
        ({"encoder": 5}, "Architecture fpn cannot take {'encoder': 5}"),
    ],
)
def test_arguments_that_do_not_fit(arguments: dict[str, object], reason: str) -> None:
    with pytest.raises(ValueError, match="Architecture fpn cannot take") as caught:
        build("fpn", 15, arguments)
    assert reason in str(caught.value)
