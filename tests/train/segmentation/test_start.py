"""What a fit starts from: which weights are loaded, which rows are copied, and what is said of it."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from foreign_networks import save_onnx
from own_classes import KIMONO, save_own
from torch import nn

from segmodels.architectures import build
from segmodels.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from segmodels.checkpoints.config import CheckpointConfig, Member
from segmodels.taxonomy import Taxonomy, make_taxonomy, taxonomy_entries
from train.__main__ import main
from train.recipe import Recipe
from train.resume import FitError
from train.segmentation.start import load_start, open_start

MakeRecipe = Callable[..., Recipe]
OWN = make_taxonomy("shoes", ["Backdrop", "Left hand", "Sneaker"])  # two of KIMONO's five classes, and one more
UNET = {"architecture": "unet_classic", "arguments": {"width": 0.05}}
FPN = {"encoder": "resnet18", "pyramid_channels": 32, "segmentation_channels": 32}


def fresh(recipe: Recipe, taxonomy: Taxonomy) -> nn.Module:
    torch.manual_seed(11)
    return build(recipe.architecture, len(taxonomy), recipe.arguments)


def saved(folder: Path, architecture: str, arguments: dict[str, object], taxonomy: Taxonomy, members: int = 1) -> Path:
    """A checkpoint of random weights, of one network or of several of a kind."""
    networks = []
    for seed in range(members):
        torch.manual_seed(seed)
        networks.append(build(architecture, len(taxonomy), arguments))
    entry = {"architecture": architecture, "arguments": arguments, "width": 64, "mean": 0.5, "std": 0.5}
    config = CheckpointConfig(
        **entry,  # type: ignore[arg-type]
        height=64,
        **taxonomy_entries(taxonomy),
        ensemble=[Member(**entry, height=96, share=0.5) for _ in networks[1:]],  # type: ignore[arg-type]
    )
    save_checkpoint(folder, config, nn.ModuleList(networks) if members > 1 else networks[0])
    return folder


def test_the_same_classes_start_with_everything(
    tiny: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = load_checkpoint(save_own(tmp_path / "models" / "shop"))
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(tmp_path / "models"))
    recipe = tiny(**UNET, start="shop")  # by its name in the catalog
    network = fresh(recipe, KIMONO)
    start = load_start(network, recipe, KIMONO)
    assert all(torch.equal(one, network.state_dict()[name]) for name, one in first.network.state_dict().items())
    assert start.sentence == f"The network starts from shop, revision {first.revision}."
    assert (start.loaded, start.copied, start.new) == (len(network.state_dict()), (), ())
    assert capsys.readouterr().out == f"{start.sentence}\n"


def test_other_classes_get_a_new_head_and_the_rows_of_those_that_both_have(tiny: MakeRecipe, tmp_path: Path) -> None:
    first = load_checkpoint(save_own(tmp_path / "shop"))
    recipe = tiny(**UNET, start=str(tmp_path / "shop"))
    network, before = fresh(recipe, OWN), fresh(recipe, OWN).state_dict()
    start = load_start(network, recipe, OWN)
    theirs, mine = first.network.state_dict(), network.state_dict()
    head = ["network.classify.weight", "network.classify.bias"]
    body = [name for name in mine if name not in head]
    assert all(torch.equal(mine[name], theirs[name]) for name in body)
    for name in head:
        assert torch.equal(mine[name][0], theirs[name][0]), "Backdrop is id 0 of both"
        assert torch.equal(mine[name][1], theirs[name][3]), "Left hand is id 1 here, and 3 there"
        assert torch.equal(mine[name][2], before[name][2]), "a sneaker is new"
    assert start.sentence == (
        f"The network starts from {tmp_path / 'shop'}, revision {first.revision} ({len(body)} tensors loaded); last "
        "layer: Backdrop, Left hand copied; Sneaker new."
    )
    assert (start.loaded, start.copied, start.new) == (len(body), ["Backdrop", "Left hand"], head)


def test_the_same_classes_in_another_order_keep_their_rows(tiny: MakeRecipe, tmp_path: Path) -> None:
    turned = make_taxonomy("turned", [KIMONO.names[0], *reversed(KIMONO.names[1:])])
    first = load_checkpoint(save_own(tmp_path / "shop")).network.state_dict()
    recipe = tiny(**UNET, start=str(tmp_path / "shop"))
    network = fresh(recipe, turned)
    load_start(network, recipe, turned)
    name = "network.classify.weight"
    assert torch.equal(network.state_dict()[name], first[name][[0, 4, 3, 2, 1]])


def test_the_encoder_of_another_architecture(tiny: MakeRecipe, tmp_path: Path) -> None:
    first = load_checkpoint(saved(tmp_path / "fpn", "fpn", FPN, KIMONO))
    recipe = tiny(architecture="unet", arguments={"encoder": "resnet18"}, start=str(tmp_path / "fpn"))
    network, before = fresh(recipe, OWN), fresh(recipe, OWN).state_dict()
    start = load_start(network, recipe, OWN)
    for name, tensor in network.state_dict().items():
        inside = name.startswith("network.encoder.")
        assert torch.equal(tensor, first.network.state_dict()[name] if inside else before[name]), name
    loaded = sum(name.startswith("network.encoder.") for name in before)
    assert start.loaded == loaded and len(start.new) == len(before) - loaded
    assert start.sentence == (
        f"The encoder starts from {tmp_path / 'fpn'}, revision {first.revision} ({loaded} tensors loaded), the rest "
        f"from random weights ({len(before) - loaded} tensors)."
    )


def test_another_architecture_says_what_to_set(tiny: MakeRecipe, tmp_path: Path) -> None:
    recipe = tiny(architecture="fpn", arguments=FPN, start=str(save_own(tmp_path / "shop")))
    with pytest.raises(FitError) as raised:
        load_start(fresh(recipe, OWN), recipe, OWN)
    assert str(raised.value) == (
        f"The recipe starts from {tmp_path / 'shop'}, which is unet_classic with arguments {{width=0.05}}; the recipe "
        'trains fpn with arguments {encoder="resnet18", pyramid_channels=32, segmentation_channels=32}, and the '
        "encoder is not the same either. Set architecture=unet_classic and arguments={width=0.05}."
    )


def test_an_ensemble_offers_its_members(tiny: MakeRecipe, tmp_path: Path) -> None:
    folder = saved(tmp_path / "pair", "unet_classic", {"width": 0.05}, KIMONO, members=2)
    for name in (str(folder), f"{folder}#2"):
        with pytest.raises(FitError) as raised:
            open_start(name)
        assert str(raised.value) == (
            f"{folder} has members {folder}#0 (unet_classic, 64 x 64), {folder}#1 (unet_classic, 96 x 64); name one: "
            f"start={folder}#0."
        )
    networks = load_checkpoint(folder).network
    assert isinstance(networks, nn.ModuleList)
    for number in (0, 1):
        recipe = tiny(**UNET, start=f"{folder}#{number}")
        network = fresh(recipe, KIMONO)
        start = load_start(network, recipe, KIMONO)
        expected = networks[number].state_dict()
        assert all(torch.equal(tensor, expected[name]) for name, tensor in network.state_dict().items())
        assert start.sentence.startswith(f"The network starts from {folder}#{number}, revision ")


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        ("nowhere", "starts from nowhere: There is no model 'nowhere'. Installed: "),
        ("fpn_pair", "starts from fpn_pair: The weights of 'fpn_pair' are not included: "),
        ("hf://", "starts from hf://: "),
        ("fpn#1", "fpn has members fpn#0 (fpn, 448 x 288); name one: start=fpn#0."),
    ],
)
def test_a_start_that_there_is_not(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], start: str, reason: str
) -> None:
    command = ["fit", "own/finetune", "--data", str(root), "--out", str(tmp_path / "run"), "--device", "cpu"]
    assert main([*command, "--set", "dataset=ccp", "--set", f"start={start}"]) == 1
    assert reason in capsys.readouterr().err
    assert not (tmp_path / "run").exists(), "the folder is free for the next try"


def test_a_network_from_elsewhere_is_not_trained_here(tmp_path: Path) -> None:
    with pytest.raises(FitError, match=r"n\.onnx, a network of onnx, which runs here and is not trained here\. Start"):
        open_start(str(save_onnx(tmp_path / "n.onnx")))
