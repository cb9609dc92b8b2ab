import math
import re
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchvision.models.segmentation import deeplabv3_resnet50

from segmodels import architectures
from segmodels.architectures import ARCHITECTURES, build, check_batch
from segmodels.architectures.channels import scale_channels
from segmodels.architectures.dry_run import dry_run, without_unused
from segmodels.architectures.padding import PadToStride
from segmodels.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from segmodels.checkpoints.config import CheckpointConfig

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (name, {}) for name in ARCHITECTURES},
    "segnet": ("segnet", {"width": 0.125}),
    "unet_classic": ("unet_classic", {"width": 0.125}),
    "fcn_resnet50": ("fcn", {"encoder": "resnet50"}),
    "atrous_resnet50": ("atrous", {"encoder": "resnet50"}),
}
"""Architecture and arguments by a name; the two heavy ones are narrow here."""

PARAMETERS = {  # with 15 classes; of segnet and unet_classic at width 1
    "fpn": 4_712_591,
    "unet": 5_200_191,
    "linknet": 3_117_695,
    "pspnet": 168_293,
    "fcn": 3_190_623,
    "atrous": 6_259_471,
    "densenet": 13_609_663,
    "segnet": 31_804_815,
    "unet_classic": 31_032_655,
    "fcn_resnet50": 32_953_935,
    "atrous_resnet50": 39_637_327,
}
# Of `_waves` through `_filled` networks: each fifth class at row 20, column 30; class 3 at each 21st row of column 7.
GOLDEN: dict[str, tuple[list[float], list[float]]] = {
    "fpn": (
        [0.30475656765475717, -1.1103128213935543, -1.4370337970444058],
        [2.3972683926133485, 3.1486143575554877, 3.0296270189306207, 2.4947860433328177],
    ),
    "unet": (
        [-0.048402284449943794, -0.07167965572103342, 0.11234808349668006],
        [0.06549091546727116, 0.05094783481340803, 0.05261065425015062, 0.042738398927126144],
    ),
    "linknet": (
        [0.4718240726910576, 1.063418675787217, -1.0165578615413964],
        [0.10073803660934977, 0.15358755022452, 0.10542434851208829, 0.12335623261371326],
    ),
    "pspnet": (
        [-0.0018575053145302985, 0.015336484216117281, 0.033651998619274884],
        [0.039684388141831464, 0.004449921469961516, 0.04911685375411767, 0.00820220953936678],
    ),
    "fcn": (
        [2.203894338585607, 4.9834241986999075, -0.8098553456013277],
        [0.36570229731252735, 0.2596663955890435, -0.14519795644607678, -0.2512338581695607],
    ),
    "atrous": (
        [0.40612649681225066, 0.7904369419417925, -1.0966104611073504],
        [-1.0862180987970547, -1.1090713488943915, -1.1055591746160904, -1.1015760659835558],
    ),
    "densenet": (
        [0.043382523843783105, 0.0876882439492585, -0.043256690873446114],
        [0.0014890256368541568, -0.013802298422069554, -0.023330561072061055, -0.05439936116482384],
    ),
    "segnet": (
        [0.195025084268624, -0.35314231328369833, -0.5343884956258477],
        [-0.1839074726723877, -0.16209975902273893, -0.140374118580676, -0.1484634917615596],
    ),
    "unet_classic": (
        [0.1678251608635248, 0.11780905236841403, -0.0447789324205933],
        [-0.10228011509518553, -0.08222631375278441, -0.11413184499191409, -0.08423486521139488],
    ),
    "fcn_resnet50": (
        [170.06174298004925, -452.0942744791002, 396.10945132074585],
        [-456.08121830244374, -452.2943885160108, -437.83558387690346, -434.04875409047054],
    ),
    "atrous_resnet50": (
        [1308.3336231718272, 1648.8593084037927, -2734.0409976174874],
        [-1960.2701274478231, -2245.618369748719, -2291.759100033941, -1737.9356793225106],
    ),
}


def _build(case: str, classes: int, **arguments: object) -> nn.Module:
    architecture, own = CASES[case]
    return build(architecture, classes, {**own, **arguments})


@pytest.fixture(scope="module", params=list(CASES))
def case(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def network(case: str) -> nn.Module:
    torch.manual_seed(0)
    return _build(case, 5)


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


@pytest.mark.parametrize(
    ("batch", "size"),
    [
        (1, (64, 32)),
        (1, (1, 1)),
        (2, (1, 1)),
        (1, (33, 65)),
        (2, (33, 65)),
        (1, (63, 31)),
        (1, (50, 40)),
        (1, (17, 96)),
    ],
)
def test_logits_have_the_size_of_the_photos(network: nn.Module, batch: int, size: tuple[int, int]) -> None:
    with torch.inference_mode():
        logits = network.eval()(torch.randn(batch, 3, *size))
    assert logits.shape == (batch, 5, *size)
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
    broken = [name for name, p in network.named_parameters() if p.grad is not None and not p.grad.isfinite().all()]
    network.zero_grad(set_to_none=True)
    assert not without
    assert not broken
    assert all(p.requires_grad for p in network.parameters())


def _round(match: re.Match[str] | None) -> float:
    assert match is not None
    return float(match[1])


def test_number_of_parameters(case: str) -> None:
    architecture, arguments = CASES[case]
    with torch.device("meta"):
        network = _build(case, 15, **({"width": 1.0} if "width" in arguments else {}))
    count = sum(p.numel() for p in network.parameters())
    assert count == PARAMETERS[case]
    text = " ".join(str(ARCHITECTURES[architecture].__doc__).split())
    words = "million on the paper's ResNet50" if "encoder" in arguments else "million parameters with 15 classes"
    assert _round(re.search(rf"([0-9.]+) {words}", text)) == round(count / 1e6, 1)
    assert "stride" in text
    assert re.search("§|section", text)


def test_golden_logits(case: str) -> None:
    with torch.inference_mode():
        logits = _filled(_build(case, 15))(_waves(1, 3, 64, 96))
    classes, column = (torch.tensor(values, dtype=torch.float64) for values in GOLDEN[case])
    torch.testing.assert_close(logits[0, ::5, 20, 30], classes, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(logits[0, 3, ::21, 7], column, atol=1e-6, rtol=1e-6)


def test_a_checkpoint_gives_the_same_logits(case: str, tmp_path: Path, config: Callable[..., CheckpointConfig]) -> None:
    architecture, arguments = CASES[case]
    torch.manual_seed(3)
    network = _build(case, 15).eval()
    save_checkpoint(tmp_path / case, config(architecture=architecture, arguments=arguments), network)
    loaded = load_checkpoint(tmp_path / case).network
    photos = torch.randn(1, 3, 40, 50, generator=torch.Generator().manual_seed(4))
    with torch.inference_mode():
        assert torch.equal(loaded(photos), network.half().float()(photos))


def _counted(module: nn.Module) -> int:
    """Weights as Keras counts them: with BatchNorm's running mean and variance."""
    return sum(values.numel() for values in module.state_dict().values() if values.is_floating_point())


def test_segnet_has_the_blocks_of_table_2() -> None:
    with torch.device("meta"):
        segnet = build("segnet", 47, {}).get_submodule("network")
    encoder = [_counted(step) for step in segnet.get_submodule("encoder").children()]
    decoder = [_counted(step) for step in segnet.get_submodule("decoder").children()]
    assert encoder == [39_232, 222_464, 1_478_400, 5_905_920, 7_085_568]
    assert decoder == [7_085_568, 7_085_568, 2_363_136, 443_648]
    assert _counted(segnet.get_submodule("final")) == 114_287
    assert _counted(segnet) == sum(encoder) + sum(decoder) + 114_287


def test_segnet_has_the_output_sizes_of_table_2() -> None:
    with torch.device("meta"):
        network = build("segnet", 47, {})
    sizes: dict[str, tuple[int, ...]] = {}
    for name, module in network.named_modules():
        if re.fullmatch(r"network\.(encoder\.\d|decoder\.\d|final)", name):
            module.register_forward_hook(lambda _, __, out, name=name[8:]: sizes.update({name: tuple(out.shape[1:])}))
    dry_run(network, (1, 3, 256, 256))  # sizes before the pooling and up-sampling that end the paper's blocks
    assert list(sizes.values()) == [
        *[(64, 256, 256), (128, 128, 128), (256, 64, 64), (512, 32, 32), (512, 16, 16)],
        *[(512, 16, 16), (512, 32, 32), (256, 64, 64), (128, 128, 128)],
        (47, 256, 256),
    ]


def test_classic_unet_starts_with_the_spread_of_its_paper() -> None:
    torch.manual_seed(0)
    network = build("unet_classic", 15, {"width": 0.5}).get_submodule("network")
    for name, incoming in (("down.4.2", 512 * 9), ("up.0", 512), ("merge.1.0", 256 * 9), ("classify", 32)):
        weight = network.get_submodule(name).weight
        assert isinstance(weight, torch.Tensor)
        assert float(weight.detach().std()) == pytest.approx(math.sqrt(2 / incoming), rel=0.1), name


@pytest.mark.parametrize("name", ["segnet", "unet_classic"])
def test_half_the_width_is_a_quarter_of_the_parameters(name: str) -> None:
    with torch.device("meta"):
        full, half = (sum(p.numel() for p in build(name, 15, {"width": width}).parameters()) for width in (1.0, 0.5))
    assert 0.25 < half / full < 0.252


@pytest.mark.parametrize("width", [0, -1, 4.5, float("inf"), float("nan"), "wide"])
@pytest.mark.parametrize("name", ["segnet", "unet_classic"])
def test_widths_that_no_network_has(name: str, width: object) -> None:
    with pytest.raises(ValueError, match=rf"Architecture {name} cannot take {{'width': .*}}: \S+"):
        build(name, 15, {"width": width})


def test_scaled_channels() -> None:
    assert scale_channels((64, 128), 0.5) == [32, 64]
    assert scale_channels((64, 128), 0.001) == [1, 1]
    assert scale_channels((3,), 4) == [12]


def test_atrous_on_resnet50_computes_what_torchvision_does() -> None:
    torch.manual_seed(0)
    theirs = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=5).eval()
    ours = build("atrous", 5, {"encoder": "resnet50"}).eval()
    names = {"backbone": "network.encoder", "classifier": "network.head"}
    values = {names[name.split(".")[0]] + name[name.index(".") :]: v for name, v in theirs.state_dict().items()}
    ours.load_state_dict(values)
    photos = torch.randn(1, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        torch.testing.assert_close(ours(photos), theirs(photos)["out"])


@pytest.mark.parametrize(
    ("name", "arguments", "stride"),
    [("fcn", {}, 32), ("fcn", {"encoder": "resnet50"}, 32), ("atrous", {}, 8), ("atrous", {"encoder": "resnet50"}, 8)],
)
def test_stride_of_the_deepest_map(name: str, arguments: Mapping[str, Any], stride: int) -> None:
    with torch.device("meta"):
        network = build(name, 5, arguments)
    _, maps = dry_run(network.get_submodule("network.encoder"), (2, 3, 256, 128))
    assert maps[-1].shape[-2:] == (256 // stride, 128 // stride)


@pytest.mark.parametrize("encoder", ["densenet121", "tu-vgg11"])
def test_encoders_that_cannot_be_dilated(encoder: str) -> None:
    with pytest.raises(ValueError, match="Architecture atrous cannot take .*: .*[A-Za-z]"):
        build("atrous", 5, {"encoder": encoder})


def test_a_narrower_decoder_leaves_the_encoder_as_it_was() -> None:
    with torch.device("meta"):
        whole, half = (build("densenet", 15, {"decoder_width": width}) for width in (1.0, 0.5))
    encoders = [
        sum(p.numel() for p in network.get_submodule("network.encoder").parameters()) for network in (whole, half)
    ]
    assert encoders[0] == encoders[1] and sum(p.numel() for p in half.parameters()) == 9_987_431
    with pytest.raises(ValueError, match="Architecture unet cannot take .*: width must be above 0"):
        build("unet", 15, {"decoder_width": 0.0})


def test_densenet_takes_densenets_only() -> None:
    with pytest.raises(ValueError, match="resnet18 is not a DenseNet"):
        build("densenet", 5, {"encoder": "resnet18"})


@pytest.mark.parametrize(
    ("name", "encoder"),
    [("pspnet", "resnet18"), ("pspnet", "efficientnet-b0"), ("pspnet", "tu-mobilenetv3_small_100")],
)
def test_other_encoders_keep_no_parameter_that_gets_no_gradient(name: str, encoder: str) -> None:
    network = build(name, 5, {"encoder": encoder})
    assert network(torch.randn(2, 3, 65, 33)).shape == (2, 5, 65, 33)
    network(torch.randn(2, 3, 64, 64)).square().mean().backward()
    assert not [name for name, p in network.named_parameters() if p.grad is None]


class _Wasteful(nn.Module):
    """One layer that is used, one whose output goes nowhere, one that is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.used = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
        self.idle = nn.Sequential(nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4))
        self.absent = nn.Conv2d(9, 9, 1)

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        values: torch.Tensor = self.used(photos)
        self.idle(values)
        return values


def test_what_is_unused_goes_and_nothing_else_changes() -> None:
    torch.manual_seed(0)
    network = _Wasteful()
    before = {name: values.clone() for name, values in network.state_dict().items()}
    photos = torch.randn(2, 3, 8, 8)
    without_unused(lambda: network)()
    assert network.training
    assert set(network.state_dict()) == {name for name in before if name.startswith("used.")}
    for name, values in network.state_dict().items():
        assert torch.equal(values, before[name]), name
    assert network(photos).shape == (2, 4, 8, 8)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_where_no_gradient_is_wanted_networks_are_whole_too(mode: Callable[[], AbstractContextManager[None]]) -> None:
    with mode():
        names = set(build("pspnet", 5, {}).state_dict())
    assert names == set(build("pspnet", 5, {}).state_dict())


def test_one_photo_at_a_time(case: str, network: nn.Module) -> None:
    """What `check_batch` lets through can be trained, and what it refuses cannot."""
    before = {name: values.clone() for name, values in network.eval().state_dict().items()}
    for side in (32, 64):
        refused = case.startswith("atrous") or (side == 32 and case not in ("pspnet", "segnet", "unet_classic"))
        refuses = pytest.raises(ValueError, match=f"A batch of 1 of {side} x {side} pixels cannot train this network")
        with refuses if refused else nullcontext():
            check_batch(network, 1, side, side)
        check_batch(network, 2, side, side)
        assert not any(module.training for module in network.modules())
        assert all(torch.equal(values, before[name]) for name, values in network.state_dict().items())
        with pytest.raises(ValueError, match="more than 1 value per channel") if refused else nullcontext():
            network.train()(torch.randn(1, 3, side, side))
        network.load_state_dict(before)
        network.eval()


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


def test_architectures_in_their_order() -> None:
    assert list(ARCHITECTURES) == "fpn unet linknet pspnet fcn atrous densenet segnet unet_classic".split()


def test_unknown_architecture() -> None:
    with pytest.raises(ValueError, match="There is no architecture 'fnp'; choose one of fpn, unet, .*unet_classic"):
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


# --- Decoders as the networks' own papers have them -------------------------------------------------------------------


def test_the_original_segnet_is_the_encoder_in_reverse() -> None:
    """Badrinarayanan et al. 2017, figure 2: thirteen convolutions each, here with a last one of 1 x 1."""
    network = build("segnet", 15, {"unpool": True})
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    down = [(each.in_channels, each.out_channels) for each in convolutions[:13]]
    up = [(each.in_channels, each.out_channels) for each in convolutions[13:]]
    assert up == [(out, channels) for channels, out in reversed(down[1:])] + [(64, 15)]
    assert sum(parameter.numel() for parameter in network.parameters()) == 29_443_983


def test_unpooling_puts_values_where_the_maxima_were() -> None:
    """With each block an identity, only the largest pixel of each 32 x 32 is left, at its place."""
    network = build("segnet", 1, {"unpool": True}).eval().network
    for blocks in (network.encoder, network.decoder):
        for index in range(len(blocks)):
            blocks[index] = nn.Identity()
    network.final = nn.Identity()
    photo = torch.rand(1, 3, 64, 32)
    photo[0, :, 40, 7] = 2.0
    found = network(photo)
    assert torch.count_nonzero(found[0, 0]) == 2 and found[0, 0, 40, 7] == 2.0
    assert found[0, 0, :32].max() == photo[0, 0, :32].max()


@pytest.mark.parametrize(("stride", "finer"), [(32, 0), (16, 1), (8, 2)])
def test_fcn_adds_the_scores_of_finer_maps(stride: int, finer: int) -> None:
    torch.manual_seed(0)
    network = build("fcn", 3, {"stride": stride}).eval()
    photo = torch.randn(1, 3, 64, 64)
    scores = [module for name, module in network.named_modules() if ".scores." in name]
    assert len(scores) == finer
    with torch.no_grad():
        before = network(photo)
        for score in scores:
            assert isinstance(score, nn.Conv2d) and not score.weight.any(), "training begins as FCN-32s"
            nn.init.ones_(score.weight)
        assert torch.equal(network(photo), before) == (finer == 0)


def test_a_wide_linknet_has_the_decoder_of_its_paper() -> None:
    """Chaurasia & Culurciello 2017, table 1: blocks over 512, 256, 128 and 64 channels, each through a quarter."""
    with torch.device("meta"):
        narrow, wide = (build("linknet", 15, {"wide": wide}).get_submodule("network.decoder") for wide in (False, True))
    inner = [
        [module.in_channels for module in decoder.modules() if isinstance(module, nn.ConvTranspose2d)]
        for decoder in (narrow, wide)
    ]
    assert inner == [[80, 28, 10, 6, 4], [128, 64, 32, 16, 16]]


def test_a_dilated_pspnet_keeps_the_whole_encoder_at_stride_8() -> None:
    """Zhao et al. 2017, section 3.3: the last map has an eighth of the photo's sides."""
    with torch.device("meta"):
        short, whole = (build("pspnet", 15, {"dilated": dilated}) for dilated in (False, True))
    for network, count, channels in ((short, 4, 40), (whole, 6, 320)):
        _, maps = dry_run(network.get_submodule("network.encoder"), (2, 3, 64, 96))
        assert len(maps) == count and maps[-1].shape[1:] == (channels, 8, 12)


def test_an_fcn_of_another_stride_is_refused() -> None:
    with pytest.raises(ValueError, match="stride must be 8, 16 or 32, not 4"):
        build("fcn", 3, {"stride": 4})


def test_fpn_takes_fewer_channels_for_its_sum() -> None:
    full, light = (build("fpn", 15, {"segmentation_channels": channels}) for channels in (128, 64))
    assert sum(p.numel() for p in light.parameters()) < 0.9 * sum(p.numel() for p in full.parameters())
    with pytest.raises(ValueError, match="cannot take"):
        build("fpn", 15, {"segmentation_channels": 48})
