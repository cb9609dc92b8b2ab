"""Everything in `train` that touches a device, on a GPU that `fake_cuda` stands for.

A mixture of devices raises as on CUDA, values are those of the processor: most tests compare the two. Photos are small,
as no rule about devices asks for their size; the networks are whole.
"""

import copy
import json
import math
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from fake_cuda import FakeCuda, fake_cuda
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import train.analysis.probe
import train.data.split
import train.detector.fit
import train.detector.judge
from segmodels.architectures import ARCHITECTURES, build
from segmodels.architectures.ssd import ssd_lite0
from segmodels.checkpoints.catalog import EMBEDDED
from segmodels.checkpoints.checkpoint import Checkpoint, load_checkpoint
from segmodels.checkpoints.config import CheckpointConfig
from segmodels.datasets import Dataset
from segmodels.device import pick_precision
from segmodels.inference.detector import load_detector
from segmodels.inference.segmenter import Segmenter
from segmodels.taxonomy import OUTFIT_15, UNLABELLED
from train.analysis.crossval import crossval
from train.analysis.evaluate import evaluate
from train.analysis.grid import Grid
from train.analysis.probe import probe
from train.detector.fit import PersonRecipe, detection_loss, fit_person, list_bystanders
from train.detector.judge import EVALUATED_SCENES, evaluate_scenes
from train.recipe import RECIPES, Recipe, load_recipe
from train.segmentation.fit import fit
from train.segmentation.lightning_module import SegmentationModule
from train.segmentation.losses import LOSSES, build_loss
from train.segmentation.pseudo_labels import labelled_by, photo_probabilities

MakeRecipe = Callable[..., Recipe]
CUDA = torch.device("cuda", 0)
NAMES = OUTFIT_15.names
SHARES = [0.5, *[0.5 / (len(NAMES) - 1)] * (len(NAMES) - 1)]

pytestmark = [
    pytest.mark.usefixtures("_float32"),
    pytest.mark.filterwarnings("ignore:.*does not have many workers"),
    pytest.mark.filterwarnings("ignore:.*number of training batches"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec"),
    pytest.mark.filterwarnings("ignore:.*have no `val_dataloader`"),
    pytest.mark.filterwarnings("ignore:.*GPU available but not used"),
]


@pytest.fixture
def gpu() -> Iterator[FakeCuda]:
    with fake_cuda() as gpu:
        yield gpu


def shipped_networks() -> dict[str, tuple[str, dict[str, Any]]]:
    """Architecture and arguments of all nine, of every recipe and of every embedded checkpoint, by name.

    Those that are narrower than the papers' networks take the same steps, and are left out.
    """
    recipes = [load_recipe(path) for path in sorted(RECIPES.rglob("*.toml"))]
    configs = [json.loads(path.read_text()) for path in sorted(EMBEDDED.glob("*/config.json"))]
    configs = [config for config in configs if config["architecture"] in ARCHITECTURES]
    networks = [
        *((name, {}) for name in ARCHITECTURES),
        *((recipe.architecture, dict(recipe.arguments)) for recipe in recipes),
        *((own["architecture"], own["arguments"]) for config in configs for own in (config, *config["ensemble"])),
    ]
    named = {"-".join([name, *(f"{key}={value}" for key, value in own.items())]): (name, own) for name, own in networks}
    return {name: (own, arguments) for name, (own, arguments) in named.items() if not _narrower(arguments)}


def _narrower(arguments: dict[str, Any]) -> bool:
    return any(arguments.get(key, 1.0) < 1 for key in ("width", "decoder_width"))


NETWORKS = shipped_networks()


def small(classes: int) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, classes, 1))


def photos_and_truths(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Two photos float32 `(2, 3, 64, 64)`, and truths `(2, 64, 64)` of which a part is unlabelled."""
    generator = torch.Generator().manual_seed(seed)
    truths = torch.randint(len(NAMES), (2, 64, 64), generator=generator)
    truths[:, :, :9] = UNLABELLED
    return torch.randn(2, 3, 64, 64, generator=generator), truths


def trained(
    network: nn.Module, recipe: Recipe, accelerator: str, epochs: int = 2, **options: Any
) -> SegmentationModule:
    """Epochs of a step and of a validation batch each."""
    module = SegmentationModule(network.to(memory_format=torch.channels_last), recipe, NAMES, SHARES)
    batches = DataLoader(TensorDataset(*photos_and_truths()), batch_size=2)
    trainer = lightning.Trainer(
        accelerator=accelerator,
        devices=1,
        max_epochs=epochs,
        num_sanity_val_steps=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        logger=False,
        gradient_clip_val=recipe.clip or None,
        **options,
    )
    trainer.fit(module, batches, batches)
    return module


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    torch.manual_seed(0)
    return make()


# --- Training ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_is_trained_and_judged(name: str, gpu: FakeCuda, tiny: MakeRecipe) -> None:
    architecture, arguments = NETWORKS[name]
    network = build(architecture, len(NAMES), arguments)
    first = {key: values.clone() for key, values in network.state_dict().items()}
    module = trained(
        network, tiny(architecture=architecture, arguments=arguments, average=0.5, schedule="constant"), "gpu", epochs=1
    )
    assert [epoch["epoch"] for epoch in module.curve] == [1]
    assert all(math.isfinite(value) for epoch in module.curve for value in epoch.values())
    for kept in (module.network, module.judged):
        moved = [key for key, values in kept.state_dict().items() if not torch.equal(values.cpu(), first[key])]
        assert len(moved) > 0.9 * len(first), "nearly every weight and statistic has moved"


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_is_that_of_the_processor(loss: str, gpu: FakeCuda) -> None:
    function = build_loss(loss, gamma=2.0, shares=SHARES)
    (logits, _), (_, truths) = torch.randn(2, len(NAMES), 64, 64).split(1), photos_and_truths()
    logits, truths = logits.requires_grad_(), truths[:1]
    expected = function(logits, truths)
    expected.backward()
    there = logits.detach().to(CUDA).requires_grad_()
    value = function(there, truths.to(CUDA))
    value.backward()
    assert value.device == there.grad.device == CUDA  # type: ignore[union-attr]
    assert value.item() == expected.item()
    assert logits.grad is not None and there.grad is not None
    assert torch.equal(there.grad.cpu(), logits.grad)


@pytest.mark.parametrize("loss", LOSSES)
def test_a_loss_does_not_wait_for_the_gpu(loss: str, gpu: FakeCuda) -> None:
    function = build_loss(loss, gamma=2.0, shares=SHARES)
    logits, truths = torch.randn(2, len(NAMES), 64, 64, device=CUDA, requires_grad=True), photos_and_truths()[1]
    truths = truths.to(CUDA)
    function(logits, truths).backward()  # what is kept from the first step on may be brought there in it
    gpu.waits.clear()
    function(logits, truths).backward()
    assert gpu.waits == []


@pytest.mark.parametrize("loss", LOSSES)
def test_a_fit_with_each_loss_is_that_of_the_processor(loss: str, tiny: MakeRecipe) -> None:
    curves = []
    for accelerator in ("cpu", "gpu"):
        with fake_cuda():
            module = trained(seeded(lambda: small(len(NAMES))), tiny(loss=loss), accelerator)
        curves.append([{**epoch, "seconds": 0} for epoch in module.curve])
    assert curves[0] == curves[1]


@pytest.mark.parametrize(
    ("optimiser", "schedule"),
    [("adam", "constant"), ("adamw", "one_cycle"), ("rmsprop", "plateau"), ("sgd", "inverse_time")],
)
def test_each_optimiser_and_schedule_is_that_of_the_processor(optimiser: str, schedule: str, tiny: MakeRecipe) -> None:
    recipe = tiny(optimiser=optimiser, schedule=schedule, momentum=0.9, average=0.0)
    curves = []
    for accelerator in ("cpu", "gpu"):
        with fake_cuda():
            module = trained(seeded(lambda: small(len(NAMES))), recipe, accelerator)
        curves.append([epoch["validation_loss"] for epoch in module.curve])
    assert curves[0] == pytest.approx(curves[1], rel=1e-5)


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_half_precision(precision: str, tiny: MakeRecipe) -> None:
    with fake_cuda(capability=(8, 0)):
        module = trained(seeded(lambda: small(len(NAMES))), tiny(), "gpu", precision=precision)
    assert all(math.isfinite(value) for epoch in module.curve for value in epoch.values())


def test_a_fit_is_that_of_the_processor(folds: None, tiny: MakeRecipe, root: Path, tmp_path: Path) -> None:
    recipe = tiny(architecture="unet_classic", arguments={"width": 0.05})
    weights = []
    for place in ("cpu", "gpu"):
        if place == "cpu":
            checkpoint = fit(recipe, root, tmp_path / place, workers=0)
        else:
            with fake_cuda() as gpu:
                checkpoint = fit(recipe, root, tmp_path / place, workers=0)
                assert "to cuda" in gpu.waits
        weights.append(load_checkpoint(checkpoint).network.state_dict())
    for key, values in weights[0].items():
        torch.testing.assert_close(weights[1][key], values)


def test_a_fit_with_everything_on_is_that_of_the_processor(
    folds: None, tiny: MakeRecipe, root: Path, tmp_path: Path
) -> None:
    """Parts of people, light, blur and JPEG, rare garments pasted and mixed, and a teacher."""
    whole = dict.fromkeys(("framing", "skin_tone", "low_light", "low_resolution", "jpeg", "blur", "paste", "mix"), 1.0)
    small = {"architecture": "unet_classic", "arguments": {"width": 0.05}, "epochs": 1}
    teacher = fit(tiny(**small), root, tmp_path / "teacher", workers=0)
    recipe = tiny(**small, **whole, warmth=0.2, teacher=str(teacher), pasted=["Scarf/Tie"])
    weights = []
    for place in ("cpu", "gpu"):
        with fake_cuda() if place == "gpu" else nullcontext():
            checkpoint = fit(recipe, root, tmp_path / place, workers=0)
        weights.append(load_checkpoint(checkpoint).network.state_dict())
    for key, values in weights[0].items():
        torch.testing.assert_close(weights[1][key], values, atol=1e-4, rtol=1e-3)


def test_crossval(tiny: MakeRecipe, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpu: FakeCuda) -> None:
    (tmp_path / "splits").mkdir()
    rows = [f"{number:04},{number % 2}" for number in range(1, 9)]
    (tmp_path / "splits" / "ccp_folds.csv").write_text("id,fold\n" + "\n".join(rows) + "\n")
    monkeypatch.setattr(train.data.split, "SPLITS", tmp_path / "splits")
    monkeypatch.setattr(train.data.split, "FOLDS", 2)
    recipe = tiny(architecture="unet_classic", arguments={"width": 0.05}, epochs=1, crop="none")
    metrics = crossval(recipe, root, tmp_path / "run", folds=2, workers=0)
    assert [fold["photos"] for fold in metrics["folds"]] == [4, 4]
    assert 0 <= metrics["mean"]["mean_iou"] <= 1


def test_a_probe(
    folds: None, tiny: MakeRecipe, root: Path, dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(train.analysis.probe, "fold_ids", train.segmentation.fit.fold_ids)
    recipe = tiny(architecture="unet_classic", arguments={"width": 0.05})
    grid = Grid(one_epochs=2, one_mean_iou=0.0, subset_photos=3, subset_epochs=1, split_epochs=1)
    with fake_cuda():
        cells = probe(recipe, grid, root, tmp_path / "probe", workers=0)
        assert cells and not [cell.verdict for cell in cells if cell.failed]
        checkpoint = tmp_path / "probe" / "cells" / cells[0].name / "split" / "checkpoint"
        there, first = train.analysis.probe._judge(checkpoint, dataset, ["0006", "0007"], recipe, None)
    here, first_here = train.analysis.probe._judge(checkpoint, dataset, ["0006", "0007"], recipe, None)
    assert (there.counts == here.counts).all() and (first == first_here).all()


# --- Judging, and pseudo-labels ---------------------------------------------------------------------------------------


def random_checkpoint() -> Checkpoint:
    torch.manual_seed(0)
    config = CheckpointConfig(
        architecture="fpn",
        arguments={},
        taxonomy="OUTFIT_15",
        classes=list(NAMES),
        height=64,
        width=32,
        mean=0.5,
        std=0.5,
    )
    return Checkpoint("random", config, build("fpn", len(NAMES), {}).eval(), {}, "abc123")


def test_photos_are_judged_as_by_the_processor(dataset: Dataset, gpu: FakeCuda) -> None:
    scores = [
        evaluate(Segmenter(random_checkpoint(), device), dataset, ["0001", "0002"]).scores
        for device in (torch.device("cpu"), CUDA)
    ]
    assert json.dumps(scores[0]) == json.dumps(scores[1])


def test_pseudo_labels_are_those_of_the_processor(dataset: Dataset, gpu: FakeCuda) -> None:
    photo = dataset.photo("0001")
    labels = []
    for device in (torch.device("cpu"), CUDA):
        teachers = [Segmenter(random_checkpoint(), device)] * 2
        (probability,) = photo_probabilities(teachers, [photo])
        assert probability.device == device, "the labels are found where the networks are"
        labels.append(labelled_by(probability, {"Shirt", "Pants"}))
    assert labels[0].shape == photo.shape[:2] and (labels[0] == labels[1]).all()


# --- The person detector ----------------------------------------------------------------------------------------------

DETECTOR = PersonRecipe(
    side=64, second_side=96, cache_side=72, batch_size=4, epoch_scenes=8, epochs=2, bystanders=False
)


def scenes(device: torch.device) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
    """Four scenes: one person, two people and a stranger, nobody, a stranger alone."""
    torch.manual_seed(1)
    none, stranger = torch.empty(0, 4), torch.tensor([[2.0, 2.0, 14.0, 40.0]])
    people = [
        torch.tensor([[20.0, 10.0, 40.0, 60.0]]),
        torch.tensor([[5.0, 5.0, 25.0, 60.0], [30, 10, 50, 62]]),
        none,
        none,
    ]
    unknown = [none, stranger, none, stranger]
    return (
        torch.rand(4, 3, 64, 64).to(device),
        [boxes.to(device) for boxes in people],
        [boxes.to(device) for boxes in unknown],
    )


def test_the_detectors_loss_is_that_of_the_processor_and_does_not_wait(gpu: FakeCuda) -> None:
    network = seeded(lambda: ssd_lite0(64, 0.5, 0.5)).train()
    other, state = copy.deepcopy(network).to(CUDA), copy.deepcopy(network.state_dict())
    expected = detection_loss(network, *scenes(torch.device("cpu")))  # type: ignore[arg-type]
    batch = scenes(CUDA)
    detection_loss(other, *batch)  # type: ignore[arg-type]  # what is kept from the first step on is brought there in it
    other.load_state_dict(state)
    gpu.waits.clear()
    value = detection_loss(other, *batch)  # type: ignore[arg-type]
    value.backward()
    assert gpu.waits == []
    assert value.device == CUDA and value.item() == expected.item() > 0
    expected.backward()
    for (name, here), there in zip(network.named_parameters(), other.parameters(), strict=True):
        assert here.grad is not None and there.grad is not None
        assert torch.equal(here.grad, there.grad.cpu()), name


@pytest.fixture
def _few_photos(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = [f"{number:04}" for number in range(1, 6)]
    monkeypatch.setattr(train.detector.fit, "fold_ids", lambda name, fold: (ids[:4], ids[4:]))
    monkeypatch.setattr(train.detector.judge, "_EVALUATION_SIDE", 96)
    monkeypatch.setattr(train.detector.judge, "_SEGMENTED_SCENES", 2)


def fit_detector(out: Path, root: Path, device: torch.device, precision: str, **changes: Any) -> list[dict[str, float]]:
    """The learning curve."""
    folder = fit_person(replace(DETECTOR, **changes), root, out, workers=0, precision=pick_precision(precision, device))
    curve: list[dict[str, float]] = json.loads((folder / "metrics.json").read_text())["curve"]
    return curve


@pytest.mark.usefixtures("_few_photos")
def test_a_detector_is_that_of_the_processor(dataset: Dataset, root: Path, tmp_path: Path) -> None:
    here = fit_detector(tmp_path / "cpu", root, torch.device("cpu"), "32")
    with fake_cuda():
        there = fit_detector(tmp_path / "gpu", root, CUDA, "32")
        detector = load_detector(str(tmp_path / "gpu" / "checkpoint"), CUDA)
        scores = evaluate_scenes(Segmenter(random_checkpoint(), CUDA, detector), dataset, ["0001", "0002"])
        listed = list_bystanders(tmp_path / "gpu", root, tmp_path / "bystanders.csv")
    assert len(here) == 2 and here == there
    assert [one["scenes"] for one in scores.values()] == [2] * len(EVALUATED_SCENES)
    assert len((tmp_path / "bystanders.csv").read_text().splitlines()) == 1 + listed


@pytest.mark.usefixtures("_few_photos")
@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_detector_in_half_precision(precision: str, root: Path, tmp_path: Path) -> None:
    with fake_cuda(capability=(8, 0)):
        (epoch,) = fit_detector(tmp_path / "first", root, CUDA, precision, epochs=1)
        assert 0 < epoch["loss"] < 100
        kept = torch.load(tmp_path / "first" / "resume.pt", weights_only=True)
    assert bool(kept["scaler"]) == (precision == "fp16"), "what scales fp16's gradients is kept"


@pytest.mark.usefixtures("_few_photos")
def test_a_detectors_steps_do_not_wait(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    waits = []

    def stop(*arguments: object) -> None:
        waits.append(len(gpu.waits))
        raise KeyboardInterrupt

    monkeypatch.setattr(train.detector.fit, "_finite", stop)
    for steps in (1, 2, 4):
        changes = {"epoch_scenes": steps * DETECTOR.batch_size}
        with fake_cuda() as gpu, pytest.raises(KeyboardInterrupt):
            fit_detector(tmp_path / str(steps), root, CUDA, "32", **changes)
    assert waits[1] == waits[2], "as many whatever the number of steps; the first fit brings what is kept"
