"""One training: from a recipe and a data set to a checkpoint, resumable at each epoch."""

from __future__ import annotations

import json
import logging
import subprocess
import time
import warnings
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping
from lightning.pytorch.callbacks import Checkpoint as CheckpointCallback
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import nn
from torch.utils.data import DataLoader, Subset
from tqdm import tqdm

from segmodels.architectures import build, check_batch
from segmodels.checkpoints.checkpoint import (
    Checkpoint,
    CheckpointConfig,
    CheckpointError,
    load_checkpoint,
    read_config,
    read_results,
    save_checkpoint,
    save_results,
)
from segmodels.datasets import DATASETS, Dataset, DatasetError
from segmodels.device import Precision, describe_device, keep_memory, pick_device, pick_precision, tune
from segmodels.errors import GarmentscopeError
from segmodels.evaluation.results import Results
from segmodels.files import replacing, write_whole
from segmodels.inference.memory import is_out_of_memory
from segmodels.inference.segmenter import Segmenter
from segmodels.taxonomy import Taxonomy
from train.data.cache import Cache, open_cache
from train.data.flatlay_masks import with_flatlays
from train.data.split import fold_ids
from train.distributed import Processes, this_process
from train.publishing.card import model_card
from train.recipe import Recipe, recipe_from
from train.segmentation.crops import CropBatch, EpochSampler, TrainingCrops, ValidationCrops, join_plans, rarity_weights
from train.segmentation.depthwise import widen_depthwise
from train.segmentation.distillation import SoftLabels, open_soft_labels
from train.segmentation.fit_log import FitLog, tensorboard_loggers
from train.segmentation.lightning_module import SegmentationModule
from train.segmentation.pretrained import Start, load_pretrained
from train.segmentation.pruning import prune_segmentation_blocks
from train.segmentation.pseudo_labels import with_pseudo_labels

__all__ = ["FitError", "ResumeFile", "checkpoint_config", "fit", "open_dataset"]

_RESUME = "resume.ckpt"
_LIBRARIES = ("torch", "torchvision", "timm", "segmentation-models-pytorch", "lightning")
_REFRESH_SECONDS = 0.5  # between two states of the bar


class FitError(GarmentscopeError, RuntimeError):
    """A fit that cannot start or go on; the message says why, and what is kept."""


def open_dataset(name: str, data: Path) -> Dataset:
    """The data set of a recipe.

    Raises:
        DatasetError: If there is no reader of that name, or the folder is not that data set.
    """
    if name not in DATASETS:
        raise DatasetError(f"There is no data set {name!r}; there are {', '.join(DATASETS)}.")
    return DATASETS[name](data)


def fit(
    recipe: Recipe,
    data: Path,
    out: Path,
    *,
    name: str | None = None,
    workers: int = 1,
    label: str = "",
    ids: tuple[Sequence[str], Sequence[str]] | None = None,
    each_epoch: bool = True,
    precision: Precision | None = None,
) -> Path:
    """Trains a network, and goes on where a fit of the same recipe in the same folder stopped.

    It may go on with another `batch_size` and `accumulate` of the same product, with more epochs, on another device and
    in another precision. The epoch with the best mean IoU on the recipe's fold is kept in `out/checkpoint`, so that
    whenever a fit ends, the best network so far is whole. `out/resume.ckpt` is what it goes on from.

    Args:
        recipe: Recipe of the experiment.
        data: Folder of the data set.
        out: Folder of the run.
        name: Name of the checkpoint in the catalog; the architecture if left out.
        workers: Processes that read cached photos; they do not change what comes out.
        label: Text in front of the progress bar.
        ids: Photos to train on, of which one may stand there twice, and photos to choose the epoch by; those of the
            recipe's fold if left out. Whoever passes them goes on with the same ones.
        each_epoch: Whether the scores of each epoch are printed.
        precision: The device that trains and the number format of the network's features; `pick_device()` and its
            fastest if left out.

    Returns:
        The folder of the checkpoint.

    Raises:
        FitError: If the folder holds another recipe's fit, is damaged or cannot be written, the network does not take
            the recipe's arguments, the loss is not a number, or the memory does not suffice.
        DatasetError: If the data set cannot be read.
        KeyboardInterrupt: If it is stopped by hand.
    """
    processes = this_process()
    precision = precision or pick_precision(None, pick_device())
    tune(precision.device, equal_batches=True)
    dataset = open_dataset(recipe.dataset, data)
    train_ids, choice_ids = map(list, ids or fold_ids(dataset, recipe.fold, recipe.folds))
    train_ids = train_ids if ids else train_ids[: recipe.photos or None]
    if recipe.pseudo:
        dataset, more_ids = with_pseudo_labels(dataset, Path(recipe.pseudo))
        train_ids += more_ids
    flatlay_ids: list[str] = []
    if recipe.flatlays:
        dataset, flatlay_ids = with_flatlays(dataset, Path(recipe.flatlays), Path(recipe.flatlay_masks))
        train_ids += flatlay_ids
    state = _read_state(out / _RESUME)
    start = int(state["epoch"]) + 1 if state else 0
    lightning.seed_everything(recipe.seed * 1000 + start, workers=True, verbose=False)
    try:
        network = build(recipe.architecture, len(dataset.taxonomy), recipe.arguments)
        check_batch(
            network, _smallest_batch(recipe.samples or len(train_ids), recipe, processes), recipe.height, recipe.width
        )
    except ValueError as error:
        raise FitError(str(error)) from None
    _claim(out, recipe)
    training = _cached(dataset, train_ids, recipe)
    choice = _cached(dataset, choice_ids, recipe) if choice_ids else None
    start_weights = _load_start(network, recipe) if not state else None
    shares = _shares(training, len(dataset.taxonomy))
    module = SegmentationModule(network.to(memory_format=torch.channels_last), recipe, dataset.taxonomy.names, shares)
    if start_weights:
        module.start = start_weights._asdict()
    config = _trained_here(recipe, dataset, precision, workers)
    best = _BestCheckpoint(out / "checkpoint", name or recipe.architecture, config)
    if state and _is_over(state, recipe):
        module.on_load_checkpoint(state)
    else:
        on_gpu = precision.device.type == "cuda"
        train_crops = _training_loader(
            training, recipe, workers, dataset.taxonomy, processes, on_gpu, frozenset(flatlay_ids), precision
        )
        choice_crops = _choice_loader(choice, recipe, workers, processes, on_gpu) if choice else None
        if precision.device.type == "cpu":
            keep_memory(all_of_it=True)
            widen_depthwise(module.network)
        log = FitLog(out, recipe, dataset.taxonomy, ValidationCrops(choice, recipe) if choice else None)
        _run(
            module,
            recipe,
            [_Progress(label, each_epoch), best, log],
            out,
            train_crops,
            choice_crops,
            processes,
            precision,
        )
    if not (best.folder / "model.safetensors").is_file():
        raise FitError(f"The fit was stopped before its first epoch ended; start it again to go on in {out}.")
    if processes.is_first:
        best.write_curve(module.curve)
    return best.folder


def _run(
    module: SegmentationModule,
    recipe: Recipe,
    callbacks: list[Callback],
    out: Path,
    training: DataLoader[Any],
    choice: DataLoader[Any] | None,
    processes: Processes,
    precision: Precision,
) -> None:
    """Trains to the end, from the resume file where there is one."""
    device = precision.device
    several = processes.count > 1
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*have no `val_dataloader`.*")
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*number of training batches.*")
        warnings.filterwarnings("ignore", message=".*isinstance.treespec, LeafSpec.*")  # Lightning 2.6 on torch 2.14
        logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)
        trainer = lightning.Trainer(
            accelerator=device.type,
            devices=[device.index] if device.type == "cuda" and not several else processes.count // processes.machines,
            num_nodes=processes.machines,
            use_distributed_sampler=False,  # it pads, and would count photos twice
            sync_batchnorm=several and device.type == "cuda",  # PyTorch has none for processors
            precision=precision.lightning,
            accumulate_grad_batches=recipe.accumulate,
            max_epochs=recipe.epochs,
            num_sanity_val_steps=0,
            enable_progress_bar=False,
            enable_model_summary=False,
            logger=tensorboard_loggers(out),
            log_every_n_steps=10,
            gradient_clip_val=recipe.clip or None,
            callbacks=[
                *callbacks,
                *([EarlyStopping(recipe.stop_by, mode="max", patience=recipe.patience)] if choice else []),
                ResumeFile(out / _RESUME),
            ],
        )
        resume = out / _RESUME
        try:
            trainer.fit(module, training, choice, ckpt_path=resume if resume.is_file() else None, weights_only=True)
        except FloatingPointError as error:
            raise FitError(str(error)) from None
        except (MemoryError, RuntimeError) as error:
            if sentence := _why_it_stopped(error, trainer, recipe, precision):
                raise FitError(sentence) from None
            raise
        except OSError as error:
            raise FitError(f"{out} cannot be written: {error}. The best checkpoint so far is kept.") from None
        except (SystemExit, SIGTERMException):  # which is what Lightning makes of Ctrl-C and of SIGTERM
            raise KeyboardInterrupt from None


def _why_it_stopped(
    error: MemoryError | RuntimeError, trainer: lightning.Trainer, recipe: Recipe, precision: Precision
) -> str | None:
    """What to do about memory that did not suffice, as a sentence; None if the error is about something else."""
    again = "The same command then goes on from the last whole epoch."
    text = f"{error} {error.__cause__ or error.__context__ or ''}"
    if "DataLoader worker" in text and ("Bus error" in text or "shared memory" in text):
        return (
            "A process that loads photos died for want of shared memory. Give the container more of it "
            f"(docker run --shm-size=2g), or load in the training process (--workers 0). {again}"
        )
    if not is_out_of_memory(error):
        return None
    whose = "The machine" if isinstance(error, MemoryError) else describe_device(precision.device)
    batch = trainer.fit_loop.epoch_loop.batch_progress.current.ready
    where = "the validation after " if trainer.validating else f"batch {batch} of "
    size = recipe.batch_size
    advice = (
        f"Set batch_size={size // 2} and accumulate={recipe.accumulate * 2} (--set), which learns from as many photos "
        f"a step. {again}"
        if size % 2 == 0
        else "Set a smaller height and width in the recipe."
    )
    return (
        f"{whose} ran out of memory in {where}epoch {trainer.current_epoch + 1}: {size} "
        f"photos of {recipe.height} x {recipe.width} in precision {precision.name} do not fit. {advice}"
    )


class _BestCheckpoint(Callback):
    """Writes the checkpoint whenever the judged network is better than before; without a judge, after each epoch."""

    def __init__(self, folder: Path, name: str, config: CheckpointConfig) -> None:
        self.folder = folder
        self.name = name
        self.config = config
        self.best = -1.0

    def on_validation_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        assert isinstance(module, SegmentationModule)
        score = float(trainer.callback_metrics["mean_iou"])
        if score > self.best:
            self.best = score
            self._write(trainer, module)

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        assert isinstance(module, SegmentationModule)
        if not trainer.enable_validation:
            self._write(trainer, module)

    def _write(self, trainer: lightning.Trainer, module: SegmentationModule) -> None:
        if not trainer.is_global_zero:
            return
        self.config.training["epoch"] = trainer.current_epoch + 1
        if module.start:
            self.config.training["start"] = module.start
            if module.start["weights"] == "random":  # whatever the recipe asked for
                self.config.training["recipe"] = {**self.config.training["recipe"], "imagenet": False}
        results = Results(learning_curve=tuple(module.curve))
        card = model_card(self.name, self.config, results)
        save_checkpoint(self.folder, self.config, module.judged, results=results, card=card)

    def write_curve(self, curve: list[dict[str, float]]) -> None:
        """Completes the learning curve, which goes on after the best epoch; evaluations stay."""
        results = replace(read_results(self.folder), learning_curve=tuple(curve))
        save_results(self.folder, results, card=model_card(self.name, read_config(self.folder), results))

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = float(state_dict["best"])


class ResumeFile(CheckpointCallback):
    """Writes what a stopped fit goes on from, after each epoch; the last one is whole whenever writing fails.

    Lightning's own ModelCheckpoint writes over the file that is there: a full disk leaves half of the new one.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Writes it, in the first process; all must take part."""
        writing = replacing(self.path) if trainer.is_global_zero else nullcontext(self.path)
        with writing as path:
            trainer.save_checkpoint(path, weights_only=False)  # optimiser and schedule too; reading stays weights_only


class _Progress(Callback):
    """One bar over the whole fit: epoch, loss, score, time left. A loss is read now and then: a GPU waits meanwhile."""

    def __init__(self, label: str, each_epoch: bool) -> None:
        self.label = label
        self.each_epoch = each_epoch
        self.shown = 0.0

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        total = int(trainer.estimated_stepping_batches)
        self.bar = tqdm(total=total, initial=trainer.global_step, unit="step", disable=not trainer.is_global_zero)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        ahead = trainer.global_step - self.bar.n
        if time.monotonic() - self.shown < _REFRESH_SECONDS and trainer.global_step < (self.bar.total or 0):
            return
        self.shown = time.monotonic()
        seen = trainer.callback_metrics
        self.bar.set_description(
            f"{self.label}Epoch {trainer.current_epoch + 1} of {trainer.max_epochs}", refresh=False
        )
        score = f"{float(seen['mean_iou']):.3f}" if "mean_iou" in seen else "-"
        self.bar.set_postfix(loss=f"{float(seen['loss_step']):.3f}", mean_iou=score, refresh=False)
        self.bar.update(ahead)

    def on_validation_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        assert isinstance(module, SegmentationModule)
        if trainer.is_global_zero and module.curve and self.each_epoch:
            tqdm.write(
                "epoch {epoch}: mean IoU {mean_iou:.4f}, accuracy {pixel_accuracy:.4f}".format(**module.curve[-1])
            )

    def teardown(self, trainer: lightning.Trainer, module: lightning.LightningModule, stage: str) -> None:
        if hasattr(self, "bar"):
            self.bar.close()

    def on_exception(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, exception: BaseException
    ) -> None:
        self.teardown(trainer, module, "fit")


def _training_loader(
    cache: Cache,
    recipe: Recipe,
    workers: int,
    taxonomy: Taxonomy,
    processes: Processes,
    pinned: bool = False,
    flatlay_ids: frozenset[str] = frozenset(),
    precision: Precision | None = None,
) -> DataLoader[CropBatch]:
    """Batches of crops in random order, whole ones wherever there are photos enough for a step."""
    try:
        pasted = [taxonomy[name].id for name in recipe.pasted] if recipe.paste else []
    except KeyError as error:
        raise FitError(f"pasted: {error.args[0]}") from None
    skin = next((each.id for each in taxonomy.classes if each.name == "Skin"), None)
    if recipe.skin_tone and skin is None:
        raise FitError(f"skin_tone needs a class Skin, which {taxonomy.name} does not have. Set skin_tone to 0.")
    flatlays = [index for index, photo_id in enumerate(cache.ids) if photo_id in flatlay_ids]
    rare = recipe.sampling == "rare"
    weights = rarity_weights(cache, len(taxonomy), flatlays, recipe.flatlay_share) if rare else None
    sampler = EpochSampler(len(cache), recipe.step_photos, recipe.seed, processes, weights, recipe.samples)
    soft = _soft_labels(cache, recipe, taxonomy, flatlays, precision) if recipe.teacher else None
    crops = TrainingCrops(cache, recipe, pasted, skin, flatlays, soft)
    return DataLoader(crops, recipe.batch_size // processes.count, sampler=sampler, **_loading(workers, pinned))  # type: ignore[arg-type]


def _soft_labels(
    cache: Cache, recipe: Recipe, taxonomy: Taxonomy, flatlays: Sequence[int], precision: Precision | None
) -> SoftLabels:
    """What the recipe's teacher gives for the photos of people."""
    try:
        checkpoint = load_checkpoint(Path(recipe.teacher))
    except CheckpointError as error:
        raise FitError(f"The recipe learns from {recipe.teacher}: {error}") from None
    if checkpoint.taxonomy.name != taxonomy.name:
        raise FitError(f"The teacher {recipe.teacher} is in {checkpoint.taxonomy.name}, the data in {taxonomy.name}.")
    without = frozenset(flatlays)
    people = [index for index in range(len(cache)) if index not in without]
    teacher = Segmenter(checkpoint, precision.device if precision else None, precision=precision)
    return open_soft_labels(cache, people, teacher)


def _choice_loader(
    cache: Cache, recipe: Recipe, workers: int, processes: Processes, pinned: bool = False
) -> DataLoader[CropBatch]:
    """Batches of crops of which each process has its own, so that each photo is counted once."""
    if len(cache) < processes.count:
        raise FitError(f"{processes.count} processes cannot share {len(cache)} photos. Start fewer.")
    mine = Subset(ValidationCrops(cache, recipe), range(processes.rank, len(cache), processes.count))
    return DataLoader(mine, recipe.batch_size // processes.count, **_loading(workers, pinned))  # type: ignore[arg-type]


def _loading(workers: int, pinned: bool) -> dict[str, Any]:
    return {
        "collate_fn": join_plans,
        "num_workers": workers,
        "persistent_workers": workers > 0,
        "pin_memory": pinned,
    }


def _smallest_batch(photos: int, recipe: Recipe, processes: Processes) -> int:
    """Of those that one device will train on."""
    if recipe.batch_size % processes.count:
        raise FitError(f"{processes.count} processes cannot share batches of {recipe.batch_size} evenly. Start fewer.")
    if photos <= recipe.step_photos and photos % recipe.batch_size:  # the last batch of an epoch without a whole step
        return max(1, photos % recipe.batch_size // processes.count)
    return max(1, recipe.batch_size // processes.count)


def _shares(cache: Cache, classes: int) -> list[float]:
    """By class, its share of a photo's labelled pixels, averaged over the photos."""
    total = np.zeros(classes)
    for index in range(len(cache)):
        pixels = np.bincount(cache.pair(index)[1].ravel(), minlength=classes)[:classes]
        total += pixels / max(1, pixels.sum())
    return [float(share) for share in total / len(cache)]


def _say(sentence: str) -> None:
    if this_process().is_first:
        tqdm.write(sentence)


def _cached(dataset: Dataset, ids: list[str], recipe: Recipe) -> Cache:
    cache = open_cache(dataset, dataset.select(ids), recipe.cache_side)
    for remark in cache.remarks():
        _say(remark)
    return cache


def _claim(out: Path, recipe: Recipe) -> None:
    """Makes the folder of the run, and sees to it that it holds one recipe's fit only."""
    path = out / "recipe.json"
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not path.is_file():
            write_whole(path, json.dumps(recipe.to_dict(), indent=1) + "\n")
        elif not _may_go_on(stored := recipe_from(json.loads(path.read_text(encoding="utf-8"))), recipe):
            raise FitError(f"{out} holds a fit of another recipe. Name another folder with --out, or delete this one.")
        elif stored != recipe and this_process().is_first:
            write_whole(path, json.dumps(recipe.to_dict(), indent=1) + "\n")
    except ValueError:
        raise FitError(f"{path} is damaged. Name another folder with --out, or delete this one.") from None
    except OSError as error:
        raise FitError(f"{out} cannot be written: {error}. Name another folder with --out.") from None


def _may_go_on(stored: Recipe, recipe: Recipe) -> bool:
    """Whether a fit of one recipe may go on by the other: with more epochs, or other batches of the same step."""
    same = replace(stored, epochs=recipe.epochs, batch_size=recipe.batch_size, accumulate=recipe.accumulate) == recipe
    return same and stored.step_photos == recipe.step_photos and stored.epochs <= recipe.epochs


def _load_start(network: nn.Module, recipe: Recipe) -> Start:
    """Loads the weights that the recipe starts from, in place."""
    start = Start("random", "The network starts from random weights, as the recipe asks for.")
    if recipe.start:
        try:
            checkpoint = load_checkpoint(Path(recipe.start))
        except CheckpointError as error:
            raise FitError(f"The recipe starts from {recipe.start}: {error}") from None
        start = _start_from(checkpoint, network, recipe)
    elif recipe.imagenet:
        start = load_pretrained(network, recipe.architecture, recipe.arguments)
    if recipe.start or recipe.imagenet:
        _say(start.sentence)
    return start


def _start_from(checkpoint: Checkpoint, network: nn.Module, recipe: Recipe) -> Start:
    """Loads a checkpoint's weights in place: all of them, pruned, or the encoder's where the decoder is another.

    Raises:
        FitError: If not even the encoder is the same.
    """
    config, where = checkpoint.config, f"{recipe.start}, revision {checkpoint.revision}"
    trained = checkpoint.network[0] if isinstance(checkpoint.network, nn.ModuleList) else checkpoint.network
    if (config.architecture, config.arguments) == (recipe.architecture, dict(recipe.arguments)):
        try:
            network.load_state_dict(trained.state_dict())
        except RuntimeError:
            raise FitError(f"The recipe starts from {recipe.start}, which has other classes.") from None
        return Start("checkpoint", f"The network starts from {where}.")
    if config.architecture == recipe.architecture and prune_segmentation_blocks(trained.state_dict(), network):
        return Start("checkpoint", f"The network starts from {where}, pruned to its narrower segmentation blocks.")
    try:
        encoder = network.get_submodule("network.encoder")
        encoder.load_state_dict(trained.get_submodule("network.encoder").state_dict())
    except (AttributeError, RuntimeError):
        raise FitError(
            f"The recipe starts from {recipe.start}, which is another architecture or has other arguments, and not the "
            "same encoder either."
        ) from None
    return Start("checkpoint", f"The encoder starts from {where}, the rest from random weights.")


def _read_state(resume: Path) -> dict[str, Any] | None:
    """The resume file; None if there is none."""
    if not resume.is_file():
        return None
    try:
        state: dict[str, Any] = torch.load(resume, map_location="cpu", weights_only=True)
        int(state["epoch"])
    except Exception:  # a damaged file makes torch raise whatever it trips over
        raise FitError(f"{resume} is damaged. Delete it, and the same command starts from the first epoch.") from None
    return state


def _is_over(state: dict[str, Any], recipe: Recipe) -> bool:
    """Whether the fit had reached its last epoch, or had stopped for want of progress."""
    stopped = any(
        callback["wait_count"] >= callback["patience"]
        for name, callback in state["callbacks"].items()
        if name.startswith("EarlyStopping")
    )
    return stopped or int(state["epoch"]) + 1 >= recipe.epochs


def _trained_here(recipe: Recipe, dataset: Dataset, precision: Precision, workers: int) -> CheckpointConfig:
    config = checkpoint_config(recipe, dataset)
    config.training.update(
        **_code(),
        device=describe_device(precision.device),
        precision=precision.name,
        processes=this_process().count,
        seed=recipe.seed,
        workers=workers,
        versions={name: version(name) for name in _LIBRARIES},
    )
    return config


def checkpoint_config(recipe: Recipe, dataset: Dataset) -> CheckpointConfig:
    """What a checkpoint says of itself that a recipe gives on a data set, before it is trained."""
    return CheckpointConfig(
        architecture=recipe.architecture,
        arguments=dict(recipe.arguments),
        taxonomy=dataset.taxonomy.name,
        classes=list(dataset.taxonomy.names),
        height=recipe.height,
        width=recipe.width,
        mean=recipe.mean,
        std=recipe.std,
        crop=recipe.crop,
        resize=recipe.resize,
        margin=recipe.crop_margin,
        scales=list(recipe.scales),
        mirror=recipe.mirror,
        training={
            "dataset": dataset.name,
            "recipe": recipe.to_dict(),
        },
    )


def _code() -> dict[str, Any]:
    """The git commit of this code, and whether the tree had no other changes; both None outside a repository."""
    here = Path(__file__).parents[2]

    def ask(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return {
            "commit": ask("rev-parse", "HEAD"),
            "clean": not ask("status", "--porcelain", "--", here.as_posix()),
        }
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "clean": None}
