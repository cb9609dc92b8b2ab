import json
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import train.segmentation.fit
import train.segmentation.lightning_module
from segmodels.architectures import ARCHITECTURES, build
from segmodels.checkpoints.checkpoint import load_checkpoint, read_results, save_results
from segmodels.datasets import DATASETS, Dataset, DatasetError, open_dataset
from segmodels.evaluation.metrics import ConfusionMatrix
from segmodels.evaluation.results import EvaluatedPhotos, Evaluation, Scores
from segmodels.inference.segmenter import Segmenter
from segmodels.taxonomy import OUTFIT_15, make_taxonomy
from train.__main__ import main
from train.recipe import Recipe
from train.resume import FitError
from train.segmentation.fit import fit
from train.segmentation.losses import LOSSES
from train.segmentation.pruning import prune_segmentation_blocks

MakeRecipe = Callable[..., Recipe]
STEPS = 3  # in an epoch of six photos, two at a time

pytestmark = pytest.mark.usefixtures("folds", "_small_network")


def small(classes: int, width: int = 16) -> nn.Module:
    """A network that trains in no time: sees each pixel and its neighbours."""
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, classes, 1)
    )


@pytest.fixture
def _small_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARCHITECTURES, "small", small)  # type: ignore[arg-type]


@pytest.fixture
def tiny(tiny: MakeRecipe) -> MakeRecipe:
    """The recipe with the small network, unless another is asked for."""

    def make(**changes: object) -> Recipe:
        return tiny(**{"architecture": "small", **changes})

    return make


class Losses:
    """Counts the steps, and runs what is planned in one of them in place of the loss."""

    def __init__(self) -> None:
        self.steps = 0
        self.planned: dict[int, Callable[[], Any]] = {}
        self.real = LOSSES["cross_entropy_dice"]

    def __call__(self, logits: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
        loss = self.real(logits, truth)
        if not torch.is_grad_enabled():  # validation
            return loss
        self.steps += 1
        return self.planned[self.steps]() * loss if self.steps in self.planned else loss


@pytest.fixture
def losses(monkeypatch: pytest.MonkeyPatch) -> Losses:
    losses = Losses()
    monkeypatch.setitem(LOSSES, "cross_entropy_dice", losses)  # type: ignore[arg-type]
    return losses


@pytest.fixture
def scores(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The mean IoU of each epoch to come, in place of the real one."""
    planned: list[float] = []

    class Planned(ConfusionMatrix):
        def __init__(self, names: tuple[str, ...], counts: np.ndarray | None = None) -> None:
            super().__init__(names, counts)
            self.planned = planned.pop(0)

        @property
        def mean_iou(self) -> float:
            return self.planned

    monkeypatch.setattr(train.segmentation.lightning_module, "ConfusionMatrix", Planned)
    return planned


@pytest.fixture(autouse=True)
def _interrupts_as_before() -> Iterator[None]:
    """Lightning ignores Ctrl-C once it has seen one."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)


def run(recipe: Recipe, root: Path, out: Path) -> Path:
    return fit(recipe, root, out, workers=0)


def curve(out: Path) -> list[dict[str, float]]:
    resume = torch.load(out / "resume.ckpt", map_location="cpu", weights_only=True)
    curve: list[dict[str, float]] = resume["curve"]
    return curve


def test_a_fit_gives_a_checkpoint(
    tiny: MakeRecipe, root: Path, tmp_path: Path, losses: Losses, capsys: pytest.CaptureFixture[str]
) -> None:
    out, recipe = tmp_path / "runs" / "tiny", tiny(architecture="fpn")
    folder = run(recipe, root, out)
    assert folder == out / "checkpoint" and losses.steps == 2 * STEPS
    loaded = load_checkpoint(folder)
    assert loaded.config.architecture == "fpn" and loaded.config.classes == list(OUTFIT_15.names)
    assert (loaded.config.height, loaded.config.width, loaded.config.margin) == (64, 32, 0.03)
    assert loaded.config.training["recipe"] == recipe.to_dict() and loaded.config.training["dataset"] == "ccp"
    learned = loaded.results.learning_curve
    assert [entry["epoch"] for entry in learned] == [1, 2]
    for entry in curve(out):
        assert list(entry) == ["epoch", "loss", "validation_loss", "mean_iou", "pixel_accuracy", "seconds"]
        assert 0 < entry["loss"] < 10 and 0 < entry["validation_loss"] < 10
        assert 0 <= entry["mean_iou"] <= 1 and 0 <= entry["pixel_accuracy"] <= 1
    assert [entry["epoch"] for entry in curve(out)] == [1, 2]
    assert all(entry["seconds"] > 0 for entry in learned)
    assert loaded.config.training["device"]
    assert "\n# Garmentscope fpn\n" in (folder / "README.md").read_text()
    assert all(bool(torch.isfinite(tensor).all()) for tensor in loaded.network.state_dict().values())
    result = Segmenter(loaded, torch.device("cpu")).segment(open_dataset("ccp", root).photo("0001"))
    assert result.class_map.shape == (72, 48)
    assert "epoch 2: mean IoU" in capsys.readouterr().out


def test_a_finished_fit_is_not_fitted_again(tiny: MakeRecipe, root: Path, tmp_path: Path, losses: Losses) -> None:
    folder = run(tiny(epochs=1), root, tmp_path / "run")
    weights = (folder / "model.safetensors").read_bytes()
    assert run(tiny(epochs=1), root, tmp_path / "run") == folder
    assert losses.steps == STEPS and (folder / "model.safetensors").read_bytes() == weights


@pytest.mark.parametrize("changes", [{"average": 0.0}, {"sampling": "uniform", "batch_size": 4}])
def test_other_recipes(
    tiny: MakeRecipe, root: Path, tmp_path: Path, losses: Losses, changes: dict[str, object]
) -> None:
    assert load_checkpoint(run(tiny(epochs=1, **changes), root, tmp_path / "run")).config.training["epoch"] == 1
    assert losses.steps == 6 // int(str(changes.get("batch_size", 2))), "a smaller last batch is left out"


def test_a_fit_learns(tiny: MakeRecipe, root: Path, tmp_path: Path) -> None:
    run(tiny(epochs=10, average=0.0, learning_rate=0.01, whole_photo=0.0), root, tmp_path / "run")
    learned = curve(tmp_path / "run")
    assert learned[-1]["loss"] < 0.7 * learned[0]["loss"]
    assert max(entry["mean_iou"] for entry in learned) > 1.3 * learned[0]["mean_iou"]


def test_the_best_epoch_is_kept(tiny: MakeRecipe, root: Path, tmp_path: Path, scores: list[float]) -> None:
    scores += [0.2, 0.4, 0.3]
    loaded = load_checkpoint(run(tiny(epochs=3), root, tmp_path / "run"))
    assert loaded.config.training["epoch"] == 2
    assert [entry["mean_iou"] for entry in loaded.results.learning_curve] == [0.2, 0.4, 0.3]
    assert [entry["mean_iou"] for entry in curve(tmp_path / "run")] == [0.2, 0.4, 0.3]
    assert not scores


def test_a_fit_that_gets_no_better_stops(
    tiny: MakeRecipe, root: Path, tmp_path: Path, scores: list[float], losses: Losses
) -> None:
    scores += [0.4, 0.3, 0.2, 0.5]
    loaded = load_checkpoint(run(tiny(epochs=9, patience=2), root, tmp_path / "run"))
    assert losses.steps == 3 * STEPS and loaded.config.training["epoch"] == 1
    again = load_checkpoint(run(tiny(epochs=9, patience=2), root, tmp_path / "run"))
    assert losses.steps == 3 * STEPS and again.revision == loaded.revision, "it was over, and is"
    assert [entry["mean_iou"] for entry in again.results.learning_curve] == [0.4, 0.3, 0.2]


def test_evaluations_stay_when_a_finished_fit_is_started_again(
    tiny: MakeRecipe, root: Path, tmp_path: Path, losses: Losses
) -> None:
    folder = run(tiny(epochs=1), root, tmp_path / "run")
    evaluation = Evaluation(photos=EvaluatedPhotos(dataset="mine"), scores=Scores(mean_iou=0.5), how="so")
    save_results(folder, replace(read_results(folder), evaluations=(evaluation,)), card="")
    run(tiny(epochs=1), root, tmp_path / "run")
    assert read_results(folder).evaluations == (evaluation,)


def test_a_fit_on_all_folds_keeps_the_last_epoch(tiny: MakeRecipe, root: Path, tmp_path: Path, losses: Losses) -> None:
    loaded = load_checkpoint(run(tiny(epochs=3, fold=-1), root, tmp_path / "run"))
    assert losses.steps == 3 * 4, "eight photos in batches of two"
    assert loaded.config.training["epoch"] == 3
    assert [entry["epoch"] for entry in loaded.results.learning_curve] == [1, 2, 3]
    assert all("mean_iou" not in entry and entry["loss"] > 0 for entry in loaded.results.learning_curve)
    assert "trained on all folds" in (tmp_path / "run" / "checkpoint" / "README.md").read_text()


def test_a_fit_starts_from_a_checkpoint(tiny: MakeRecipe, root: Path, tmp_path: Path) -> None:
    first = run(tiny(epochs=1), root, tmp_path / "first")
    changes = {"epochs": 1, "start": str(first), "learning_rate": 1e-9, "average": 0.0}
    second = load_checkpoint(run(tiny(**changes), root, tmp_path / "second"))
    for (name, one), other in zip(
        load_checkpoint(first).network.named_parameters(), second.network.parameters(), strict=True
    ):
        assert torch.allclose(one, other, atol=1e-3), name


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"start": "nowhere"}, "starts from nowhere: There is no model 'nowhere'"),
        (
            {"arguments": {"width": 8}},
            "the recipe trains small with arguments {width=8}, and the encoder",
        ),
    ],
)
def test_a_start_that_does_not_fit(
    tiny: MakeRecipe, root: Path, tmp_path: Path, changes: dict[str, object], reason: str
) -> None:
    first = run(tiny(epochs=1), root, tmp_path / "first")
    with pytest.raises(FitError, match=reason):
        run(tiny(**{"start": str(first), **changes}), root, tmp_path / "second")


def test_a_shallower_encoder_is_no_start_for_a_deeper_one(tiny: MakeRecipe, root: Path, tmp_path: Path) -> None:
    """All tensors of ResNet-18 are in ResNet-34, too, and of the same shapes."""
    changes: dict[str, object] = {"architecture": "fpn", "height": 64, "width": 64, "epochs": 1, "imagenet": False}
    first = run(tiny(**changes, arguments={"encoder": "resnet18"}), root, tmp_path / "first")
    with pytest.raises(FitError, match="the encoder is not the same either"):
        run(tiny(**changes, start=str(first), arguments={"encoder": "resnet34"}), root, tmp_path / "second")


WIDE_FPN = {"encoder": "resnet18", "pyramid_channels": 32, "segmentation_channels": 64}
NARROW_FPN = {**WIDE_FPN, "segmentation_channels": 32}


def test_a_fit_starts_pruned(tiny: MakeRecipe, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes = {"architecture": "fpn", "height": 64, "width": 64, "epochs": 1, "imagenet": False}
    first = run(tiny(**changes, arguments=WIDE_FPN), root, tmp_path / "first")
    slow = {"start": str(first), "learning_rate": 1e-9, "average": 0.0}
    second = load_checkpoint(run(tiny(**{**changes, **slow}, arguments=NARROW_FPN), root, tmp_path / "second"))
    assert "pruned to its narrower segmentation blocks" in capsys.readouterr().out
    expected = build("fpn", len(second.config.classes), NARROW_FPN)
    assert prune_segmentation_blocks(load_checkpoint(first).network.state_dict(), expected)
    for (name, one), other in zip(expected.named_parameters(), second.network.parameters(), strict=True):
        assert torch.allclose(one, other, atol=1e-3), name


def test_other_classes_are_no_start(tiny: MakeRecipe, root: Path, tmp_path: Path) -> None:
    changes = {"architecture": "fpn", "height": 64, "width": 64, "epochs": 1, "imagenet": False}
    first = run(tiny(**changes, arguments={**WIDE_FPN, "encoder": "resnet34"}), root, tmp_path / "first")
    with pytest.raises(FitError, match="the encoder is not the same either"):
        run(tiny(**changes, start=str(first), arguments=NARROW_FPN), root, tmp_path / "second")


def test_a_fit_on_classes_of_ones_own(
    tiny: MakeRecipe, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = make_taxonomy("mine", [f"{name} of mine" for name in OUTFIT_15.names], {"Background of mine": "background"})
    read = DATASETS["ccp"]
    monkeypatch.setitem(DATASETS, "ccp", lambda folder: replace(read(folder), taxonomy=own))
    checkpoint = load_checkpoint(run(tiny(), root, tmp_path))
    assert checkpoint.taxonomy == own
    assert checkpoint.config.format_version == 2


def test_a_frozen_encoder_stays_and_then_trains_at_its_own_rate(tiny: MakeRecipe, root: Path, tmp_path: Path) -> None:
    """Batch norms, whose statistics move without a gradient, included."""
    changes = {"architecture": "fpn", "arguments": NARROW_FPN, "height": 64, "width": 64, "average": 0.0}
    first = run(tiny(**changes, epochs=1, fold=-1), root, tmp_path / "first")
    second = tiny(**changes, fold=-1, start=str(first), frozen=1, encoder_rate=0.01, learning_rate=0.01)
    before = load_checkpoint(first).network.state_dict()

    def moved(epochs: int) -> dict[str, float]:
        folder = run(replace(second, epochs=epochs), root, tmp_path / f"after {epochs}")
        after = load_checkpoint(folder).network.state_dict()
        return {name: float((tensor - before[name]).abs().float().max()) for name, tensor in after.items()}

    for name, change in moved(1).items():
        if name.startswith("network.encoder."):
            assert change == 0, name
    assert moved(1)["network.segmentation_head.0.weight"] > 0
    thawed = moved(2)
    weights, head = "network.encoder.layer1.0.conv1.weight", "network.segmentation_head.0.weight"
    assert 0 < thawed[weights] < 0.1 * thawed[head]
    assert thawed["network.encoder.bn1.running_mean"] > 0


def test_no_encoder_to_freeze(tiny: MakeRecipe, root: Path, tmp_path: Path) -> None:
    for changes in ({"frozen": 1}, {"encoder_rate": 0.1}):
        with pytest.raises(FitError, match=r"small has no encoder to freeze\. Set frozen=0 and encoder_rate=1\."):
            run(tiny(**changes), root, tmp_path)


def test_classes_that_too_few_photos_show_are_named(
    tiny: MakeRecipe, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Photo 0008 alone has a scarf, and is trained on; five of the classes are on no photo."""
    folder = run(tiny(epochs=1, opening_kernel=3), root, tmp_path)
    said = capsys.readouterr().out
    assert "No photo to train on shows Bag, Coat, Dress, Glasses, Hat and 4 more: not learned." in said
    assert "No photo that chooses the epoch shows Bag, Coat, Dress, Glasses, Hat and 5 more: no say in" in said
    assert load_checkpoint(folder).config.opening_kernel == 3


def test_nothing_to_learn(tiny: MakeRecipe, tmp_path: Path) -> None:
    """Masks of 0 and 255, as tools write that know one class only: 255 is unlabelled."""
    for number in range(5):
        for folder, picture in (("photos", np.zeros((30, 40, 3))), ("masks", np.eye(30, 40) * 255)):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(picture.astype(np.uint8)).save(tmp_path / folder / f"{number}.png")
    (tmp_path / "classes.txt").write_text("Shirt")
    with pytest.raises(FitError, match=r"No photo to train on shows a class of masks-.* beside Background\. See with"):
        fit(tiny(dataset=f"masks:{tmp_path}"), None, tmp_path / "run", workers=0, ids=(["0", "1", "2"], ["3", "4"]))


def test_the_name_in_the_catalog(tiny: MakeRecipe, root: Path, tmp_path: Path) -> None:
    folder = fit(tiny(epochs=1), root, tmp_path / "run", name="fpn_small", workers=0)
    assert "\n# Garmentscope fpn_small\n" in (folder / "README.md").read_text()


# --- Stopped, and gone on with ----------------------------------------------------------------------------------------

KILLED_IN_ITS_FIFTH_STEP = """
import os, signal, sys
from pathlib import Path
import torch
from torch import nn
import train.segmentation.fit
from segmodels.architectures import ARCHITECTURES
from train.segmentation.losses import LOSSES
from train.recipe import load_recipe

steps, real = 0, LOSSES["cross_entropy_dice"]
def loss(logits, truth):
    global steps
    steps += torch.is_grad_enabled()  # not in validation
    if steps == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(logits, truth)

def small(classes, width=16):
    return nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(), nn.Conv2d(width, classes, 1)
    )

ARCHITECTURES["small"] = small
LOSSES["cross_entropy_dice"] = loss
IDS = ["0001", "0002", "0003", "0004", "0005", "0008"], ["0006", "0007"]
train.segmentation.fit.fold_ids = lambda name, fold, folds: IDS
recipe, data, out = sys.argv[1:]
train.segmentation.fit.fit(load_recipe(recipe), Path(data), Path(out), workers=0)
"""


def test_a_killed_fit_goes_on_where_it_was(tiny: MakeRecipe, root: Path, tmp_path: Path, losses: Losses) -> None:
    out, recipe = tmp_path / "run", tmp_path / "tiny.toml"
    values = {**tiny(epochs=3).to_dict(), "arguments": None}
    recipe.write_text("\n".join(f"{name} = {json.dumps(value)}" for name, value in values.items() if value is not None))
    command = [sys.executable, "-c", KILLED_IN_ITS_FIFTH_STEP, recipe, root, out]
    killed = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert [entry["epoch"] for entry in curve(out)] == [1]
    first = load_checkpoint(out / "checkpoint")
    assert first.config.training["epoch"] == 1, "a whole checkpoint is there at once"

    loaded = load_checkpoint(run(tiny(epochs=3), root, out))
    assert losses.steps == 2 * STEPS, "the second epoch again, the third, and not the first"
    learned = curve(out)
    assert [entry["epoch"] for entry in learned] == [1, 2, 3]
    best = max(learned, key=lambda entry: entry["mean_iou"])
    assert loaded.config.training["epoch"] == best["epoch"]
    kept = [m.learning_curve[0] for m in (first.results, loaded.results)]
    assert [entry["mean_iou"] for entry in kept] == [learned[0]["mean_iou"]] * 2
    assert {path.name for path in out.iterdir()} == {
        *("checkpoint", "epochs.csv", "pictures", "recipe.json", "resume.ckpt", "tensorboard")
    }


def test_a_worse_epoch_after_a_stop_does_not_replace_the_best(
    tiny: MakeRecipe, root: Path, tmp_path: Path, losses: Losses, scores: list[float]
) -> None:
    scores += [0.4, 0.3]
    losses.planned[STEPS + 2] = lambda: float("nan")
    with pytest.raises(FitError):
        run(tiny(), root, tmp_path / "run")
    losses.planned.clear()
    loaded = load_checkpoint(run(tiny(), root, tmp_path / "run"))
    assert loaded.config.training["epoch"] == 1
    assert [entry["mean_iou"] for entry in curve(tmp_path / "run")] == [0.4, 0.3]


def test_a_loss_that_is_no_number_keeps_the_last_checkpoint(
    tiny: MakeRecipe, root: Path, tmp_path: Path, losses: Losses
) -> None:
    losses.planned[STEPS + 2] = lambda: float("nan")
    with pytest.raises(FitError) as caught:
        run(tiny(), root, tmp_path / "run")
    assert str(caught.value) == (
        "The loss became nan in epoch 2. Lower learning_rate in the recipe; the best checkpoint so far is kept."
    )
    loaded = load_checkpoint(tmp_path / "run" / "checkpoint")
    assert loaded.config.training["epoch"] == 1
    assert all(bool(torch.isfinite(tensor).all()) for tensor in loaded.network.state_dict().values())


def test_stopped_by_hand(
    tiny: MakeRecipe, root: Path, tmp_path: Path, losses: Losses, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop() -> float:
        raise KeyboardInterrupt

    losses.planned[STEPS + 1] = stop
    with pytest.raises(KeyboardInterrupt):
        run(tiny(), root, tmp_path / "run")
    assert load_checkpoint(tmp_path / "run" / "checkpoint").config.training["epoch"] == 1
    losses.planned.clear()
    losses.steps = 0
    run(tiny(), root, tmp_path / "run")
    assert losses.steps == STEPS


# --- What cannot start ------------------------------------------------------------------------------------------------


def test_another_recipe_in_the_same_folder(tiny: MakeRecipe, root: Path, tmp_path: Path, losses: Losses) -> None:
    run(tiny(epochs=1), root, tmp_path / "run")
    before = (tmp_path / "run" / "recipe.json").read_text()
    with pytest.raises(FitError, match="holds a fit of another recipe. Name another folder with --out"):
        run(tiny(epochs=1, learning_rate=0.1), root, tmp_path / "run")
    assert losses.steps == STEPS and (tmp_path / "run" / "recipe.json").read_text() == before


def test_a_folder_that_cannot_be_written(tiny: MakeRecipe, root: Path, tmp_path: Path, losses: Losses) -> None:
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(FitError) as caught:
            run(tiny(), root, out)
        assert str(caught.value).startswith(f"{out} cannot be written: ") and "--out" in str(caught.value)
    assert losses.steps == 0


def test_a_checkpoint_that_cannot_be_written(tiny: MakeRecipe, root: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "checkpoint").touch()
    with pytest.raises(FitError, match=r"run cannot be written: .*checkpoint"):
        run(tiny(epochs=1), root, tmp_path / "run")


@pytest.mark.parametrize(("name", "text"), [("recipe.json", ""), ("resume.ckpt", "half"), ("resume.ckpt", "")])
def test_damaged_files_of_a_run(tiny: MakeRecipe, root: Path, tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / "run" / name
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(FitError) as caught:
        run(tiny(), root, tmp_path / "run")
    assert str(caught.value).startswith(f"{path} is damaged.") and "\n" not in str(caught.value)


def test_arguments_that_the_architecture_does_not_take(tiny: MakeRecipe, root: Path, tmp_path: Path) -> None:
    with pytest.raises(FitError, match="Architecture small cannot take {'depth': 3}"):
        run(tiny(arguments={"depth": 3}), root, tmp_path / "run")


def test_a_batch_that_the_network_cannot_take(tiny: MakeRecipe, root: Path, tmp_path: Path) -> None:
    with pytest.raises(FitError, match="A batch of 1 of 64 x 32 pixels cannot train this network"):
        run(tiny(architecture="atrous", batch_size=1), root, tmp_path / "run")
    with pytest.raises(FitError, match="A batch of 1 of 64 x 32 pixels cannot train this network"):
        run(tiny(architecture="atrous", photos=1), root, tmp_path / "run")
    assert not (tmp_path / "run").exists(), "so that the mended recipe finds the folder free"


def test_the_first_photos_only(tiny: MakeRecipe, root: Path, tmp_path: Path, losses: Losses) -> None:
    run(tiny(epochs=1, photos=4), root, tmp_path / "run")
    assert losses.steps == 2


def test_a_rate_that_falls_when_the_loss_does_not(tiny: MakeRecipe, root: Path, tmp_path: Path, losses: Losses) -> None:
    losses.planned = {
        step: lambda: 1e-9 for step in range(1, 99)
    }  # nothing is learned, so the second epoch is no better
    recipe = tiny(schedule="plateau", plateau_patience=0, optimiser="sgd", learning_rate=1e-6, epochs=3)
    run(recipe, root, tmp_path / "run")
    state = torch.load(tmp_path / "run" / "resume.ckpt", weights_only=True)
    assert state["optimizer_states"][0]["param_groups"][0]["lr"] < 1e-6


def test_stopped_by_the_system(tiny: MakeRecipe, root: Path, tmp_path: Path, losses: Losses) -> None:
    def stop() -> float:
        signal.raise_signal(signal.SIGTERM)
        return 1.0

    losses.planned[STEPS + 1] = stop
    with pytest.raises(KeyboardInterrupt):
        run(tiny(), root, tmp_path / "run")
    assert load_checkpoint(tmp_path / "run" / "checkpoint").config.training["epoch"] == 1


@pytest.mark.parametrize("limit", [2048, 12_000], ids=["no checkpoint", "no resume file"])
def test_a_full_disk_keeps_what_there_is(
    tiny: MakeRecipe, root: Path, tmp_path: Path, losses: Losses, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A limit on the size of files stands for the disk: writing beyond it fails as on a full one."""
    monkeypatch.setattr(
        train.segmentation.fit, "tensorboard_loggers", lambda out: ()
    )  # its thread would fail first, with a warning
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def fill() -> float:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
        return 1.0

    losses.planned[STEPS + 1] = fill
    try:
        with pytest.raises(FitError, match=r"run cannot be written: .*The best checkpoint so far is kept"):
            run(tiny(arguments={"width": 64}), root, tmp_path / "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    epoch = load_checkpoint(tmp_path / "run" / "checkpoint").config.training["epoch"]
    assert epoch == 1 or (epoch == 2 and limit > 2048)
    losses.steps, losses.planned = 0, {}
    run(tiny(arguments={"width": 64}), root, tmp_path / "run")
    assert losses.steps == STEPS, "it goes on after its first epoch"
    assert [epoch["epoch"] for epoch in curve(tmp_path / "run")] == [1, 2]


def test_a_data_set_that_is_none(tiny: MakeRecipe, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="photos is missing"):
        run(tiny(), tmp_path / "nowhere", tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(
        DatasetError, match="'cocoa' starts with none of coco:, masks:, yolo:, labelstudio:, cvat:, hub: and a"
    ):
        open_dataset("cocoa", tmp_path)


def test_damaged_photos_are_named_and_left_out(
    tiny: MakeRecipe, own_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], losses: Losses
) -> None:
    for photo_id in ("0001", "0002"):
        (own_root / "photos" / f"{photo_id}.jpg").write_bytes(b"")
    run(tiny(epochs=1), own_root, tmp_path / "run")
    said = capsys.readouterr().out
    assert "2 of 6 photos cannot be read and are left out; the first is 0001: " in said
    assert losses.steps == 2, "four photos, two at a time"


SMALL_RECIPE = """
architecture = "small"
imagenet = false
height = 64
width = 32
cache_side = 64
epochs = 1
batch_size = 2
"""

# --- The command ------------------------------------------------------------------------------------------------------


def test_the_command_fits(tiny: MakeRecipe, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(SMALL_RECIPE)
    arguments = ["fit", recipe, "--data", root, "--out", tmp_path / "run", "--workers", 0]
    assert main([str(argument) for argument in arguments]) == 0
    assert f"The best epoch is in {tmp_path / 'run' / 'checkpoint'}." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("recipe", "sentence"),
    [
        ("own/fnp", "There is no recipe own/fnp: "),
        ("architecture = 'fnp'", "mine.toml: architecture must be one of fpn"),
        ("arguments = {depth = 3}", "Architecture fpn cannot take {'depth': 3}"),
    ],
)
def test_what_is_wrong_is_one_line(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], recipe: str, sentence: str
) -> None:
    if "=" in recipe:
        (tmp_path / "mine.toml").write_text(recipe)
        recipe = str(tmp_path / "mine.toml")
    arguments = ["fit", recipe, "--data", root, "--out", tmp_path / "run", "--workers", 0]
    assert main([str(argument) for argument in arguments]) == 1
    error = [line for line in capsys.readouterr().err.splitlines() if line and "Decoding" not in line]
    assert len(error) == 1 and error[0].startswith(sentence)


def test_the_command_stopped_by_hand(
    root: Path, tmp_path: Path, losses: Losses, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop() -> float:
        raise KeyboardInterrupt

    losses.planned[1] = stop
    recipe = tmp_path / "tiny.toml"
    recipe.write_text(SMALL_RECIPE)
    arguments = ["fit", recipe, "--data", root, "--out", tmp_path / "run", "--workers", 0]
    assert main([str(argument) for argument in arguments]) == 130
    assert "Stopped. Run the same command to continue" in capsys.readouterr().err


def test_a_recipe_whose_checkpoint_could_not_be_opened_is_refused_before_it_trains(
    tiny: MakeRecipe, root: Path, tmp_path: Path
) -> None:
    with pytest.raises(FitError, match="could not be opened: config.json: height times width"):
        fit(tiny(height=1024, width=1024, scales=[1.5]), root, tmp_path / "run", workers=0)
    assert not (tmp_path / "run" / "resume.ckpt").exists()


def test_a_resume_file_that_no_fit_left_is_damaged(tiny: MakeRecipe, root: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    torch.save({"epoch": 3}, tmp_path / "run" / "resume.ckpt")
    with pytest.raises(FitError, match="resume.ckpt is damaged"):
        fit(tiny(), root, tmp_path / "run", workers=0)


def test_ones_own_masks(tiny: MakeRecipe, root: Path, dataset: Dataset, tmp_path: Path) -> None:
    own = tmp_path / "own"
    (own / "masks").mkdir(parents=True)
    for photo_id in dataset.ids:
        Image.fromarray(dataset.read_truth(photo_id)).save(own / "masks" / f"{photo_id}.png")
    (own / "classes.txt").write_text("\n".join(OUTFIT_15.names), "utf-8")
    recipe = tiny(dataset=f"masks:{own}", epochs=1, fold=-1)
    run(recipe, root / "photos", tmp_path / "run")
    training = load_checkpoint(tmp_path / "run" / "checkpoint").config.training
    assert training["recipe"]["dataset"] == f"masks:{own}"
    (own / "classes.txt").write_text("\n".join(f"c{number}" for number in range(20)), "utf-8")
    found = load_checkpoint(run(recipe, root / "photos", tmp_path / "other")).taxonomy
    assert found.names == ("Background", *(f"c{number}" for number in range(20)))
