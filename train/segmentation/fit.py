"""One training: from a recipe and a data set to a checkpoint, resumable at each epoch."""

from __future__ import annotations

import json
import logging
import subprocess
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import nn
from torch.utils.data import DataLoader

from segmodels.architectures import build, check_batch
from segmodels.checkpoints.checkpoint import Checkpoint
from segmodels.checkpoints.config import CheckpointConfig, check_config, read_config
from segmodels.checkpoints.errors import CheckpointError
from segmodels.datasets import Dataset, open_dataset
from segmodels.device import Precision, describe_device, keep_memory, pick_device, pick_precision, tune
from segmodels.files import write_whole
from segmodels.inference.memory import is_out_of_memory
from segmodels.sentences import first_line, listed
from segmodels.taxonomy import taxonomy_entries
from train.data.cache import Cache, open_cache
from train.data.flatlay_masks import with_flatlays
from train.data.people import with_people
from train.data.split import are_folds_of, fold_ids, folds_digest, folds_sentence, with_split
from train.distributed import Processes, say, this_process
from train.provenance import trained_on
from train.recipe import Recipe, recipe_from
from train.resume import FitError, another_recipe, read_resume
from train.segmentation.callbacks import BestCheckpoint, Progress, ResumeFile
from train.segmentation.crops import ValidationCrops
from train.segmentation.depthwise import widen_depthwise
from train.segmentation.fit_log import FitLog, tensorboard_loggers
from train.segmentation.lightning_module import SegmentationModule, encoder_of
from train.segmentation.loaders import choice_loader, class_shares, open_teacher, smallest_batch, training_loader
from train.segmentation.pretrained import Start
from train.segmentation.pseudo_labels import pseudo_labels_trained_on, with_pseudo_labels
from train.segmentation.sampling import classes_shown
from train.segmentation.start import load_start

__all__ = ["checkpoint_config", "fit"]

_RESUME = "resume.ckpt"
_NO_SHARED_MEMORY = (  # how PyTorch's processes that load photos say so
    "shared memory",
    "unable to write to file </torch_",
    "unable to open file </torch_",
    "received 0 items of ancdata",
)
_LIBRARIES = ("torch", "torchvision", "timm", "segmentation-models-pytorch", "lightning")


def fit(
    recipe: Recipe,
    data: Path | None,
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
        data: Folder of the data set; None where a source's photos lie with it.
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
    precision = precision or pick_precision(None, pick_device())
    tune(precision.device, equal_batches=True)
    photos = _select_photos(recipe, data, ids)
    state = read_resume(out / _RESUME, partial(_is_over, recipe=recipe))
    epoch = int(state["epoch"]) + 1 if state else 0
    lightning.seed_everything(recipe.seed * 1000 + epoch, workers=True, verbose=False)
    network = _build_network(photos)
    start = None if state else load_start(network, recipe, photos.dataset.taxonomy)
    _claim(out, recipe)
    if state:
        _check_folds(out, photos.dataset, recipe)
    module = _module(network, start, photos)
    if not state:
        _say_rare(photos)
    config = _trained_here(recipe, photos.dataset, precision, workers)
    try:
        check_config(config, Path("config.json"))
    except CheckpointError as error:
        raise FitError(f"The recipe gives a checkpoint that could not be opened: {error}") from None
    best = BestCheckpoint(out / "checkpoint", name or recipe.architecture, config)
    if state and _is_over(state, recipe):
        module.on_load_checkpoint(state)
    else:
        _train(module, photos, best, Progress(label, each_epoch), out, workers, precision)
    if not (best.folder / "model.safetensors").is_file():
        raise FitError(f"The fit was stopped before its first epoch ended; start it again to go on in {out}.")
    if this_process().is_first:
        best.write_curve(module.curve)
    return best.folder


@dataclass(frozen=True)
class _Photos:
    """The photos of a fit, which are decoded and cached when they are first asked for."""

    recipe: Recipe
    dataset: Dataset  # with the pseudo-labelled photos and the flat-lays
    training_ids: list[str]
    choice_ids: list[str]
    flatlay_ids: frozenset[str]

    @cached_property
    def training(self) -> Cache:
        return self._open(self.training_ids)

    @cached_property
    def choice(self) -> Cache | None:
        """Those that choose the epoch; None if the last one is kept."""
        return self._open(self.choice_ids) if self.choice_ids else None

    def _open(self, ids: list[str]) -> Cache:
        cache = open_cache(self.dataset, self.dataset.select(ids), self.recipe.cache_side)
        for remark in cache.remarks():
            say(remark)
        return with_people(cache) if self.recipe.person == "detector" else cache


def _select_photos(recipe: Recipe, data: Path | None, ids: tuple[Sequence[str], Sequence[str]] | None) -> _Photos:
    """The given photos, or those of the recipe's fold; with pseudo-labelled ones and flat-lays to train on."""
    dataset = with_split(open_dataset(recipe.dataset, data), recipe.split)
    training, choice = map(list, ids or fold_ids(dataset, recipe.fold, recipe.folds))
    if not ids:
        say(folds_sentence(dataset, recipe.split))
        training = training[: recipe.photos or None]
    flatlays: list[str] = []
    if recipe.pseudo:
        dataset, pseudo = with_pseudo_labels(dataset, Path(recipe.pseudo))
        training += pseudo
    if recipe.flatlays:
        dataset, flatlays = with_flatlays(dataset, Path(recipe.flatlays), Path(recipe.flatlay_masks))
        training += flatlays
    return _Photos(recipe, dataset, training, choice, frozenset(flatlays))


def _build_network(photos: _Photos) -> nn.Module:
    """The network of the recipe with random weights, once it is sure that it takes every batch."""
    recipe = photos.recipe
    smallest = smallest_batch(recipe.samples or len(photos.training_ids), recipe, this_process())
    try:
        network = build(recipe.architecture, len(photos.dataset.taxonomy), recipe.arguments)
        check_batch(network, smallest, recipe.height, recipe.width)
    except ValueError as error:
        raise FitError(str(error)) from None
    if (recipe.frozen or recipe.encoder_rate != 1) and encoder_of(network) is None:
        raise FitError(f"{recipe.architecture} has no encoder to freeze. Set frozen=0 and encoder_rate=1.")
    if recipe.frozen and this_process().count > 1:
        raise FitError("Several processes cannot train with a frozen encoder. Start one, or set frozen=0.")
    return network


def _say_rare(photos: _Photos) -> None:
    """Says which classes are on no photo to train on, or on none that chooses the epoch.

    Raises:
        FitError: If there is nothing to learn but the background.
    """
    names = photos.dataset.taxonomy.names

    def absent(cache: Cache) -> list[str]:
        shown = classes_shown(cache, len(names))
        return [name for name, column in zip(names, shown.T, strict=True) if not column.any()]

    if missing := absent(photos.training):
        if {*names[1:]} <= {*missing}:
            raise FitError(
                f"No photo to train on shows a class of {photos.dataset.name} beside {names[0]}. See with check-data "
                "what is marked, and mark some."
            )
        say(f"No photo to train on shows {listed(missing)}: not learned. Mark more photos, or take another fold.")
    if photos.choice and (missing := absent(photos.choice)):
        say(f"No photo that chooses the epoch shows {listed(missing)}: no say in which one is kept.")


def _module(network: nn.Module, start: Start | None, photos: _Photos) -> SegmentationModule:
    """What Lightning trains; `start` is None where a resume file gives the weights and what they started from."""
    taxonomy = photos.dataset.taxonomy
    shares = class_shares(photos.training, len(taxonomy))
    module = SegmentationModule(network.to(memory_format=torch.channels_last), photos.recipe, taxonomy.names, shares)
    if start:
        module.start = start._asdict()
    return module


def _train(
    module: SegmentationModule,
    photos: _Photos,
    best: BestCheckpoint,
    progress: Progress,
    out: Path,
    workers: int,
    precision: Precision,
) -> None:
    """Makes the batches, and trains by them to the end."""
    recipe, taxonomy, processes = photos.recipe, photos.dataset.taxonomy, this_process()
    pinned = precision.device.type == "cuda"
    teacher = open_teacher(recipe, taxonomy) if recipe.teacher else None
    best.config.training.update(_sources(recipe, teacher))
    training = training_loader(
        photos.training,
        recipe,
        workers,
        taxonomy,
        processes,
        pinned=pinned,
        flatlay_ids=photos.flatlay_ids,
        teacher=teacher,
        precision=precision,
    )
    choice = choice_loader(photos.choice, recipe, workers, processes, pinned=pinned) if photos.choice else None
    if precision.device.type == "cpu":
        keep_memory(all_of_it=True)
        widen_depthwise(module.network)
    log = FitLog(out, recipe, taxonomy, ValidationCrops(photos.choice, recipe) if photos.choice else None)
    _run(module, recipe, [progress, best, log], out, training, choice, processes, precision)


def _sources(recipe: Recipe, teacher: Checkpoint | None) -> dict[str, Any]:
    """What the teacher, and the networks that made the pseudo-labels, were trained on, as far as they record it."""
    sources = {}
    if teacher:
        sources["teacher"] = {"trained_on": trained_on(teacher.config.training)}
    if recipe.pseudo:
        sources["pseudo"] = {"trained_on": pseudo_labels_trained_on(Path(recipe.pseudo))}
    return sources


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
            raise FitError(
                f"{out} cannot be written: {first_line(error)}. The best checkpoint so far is kept."
            ) from None
        except (SystemExit, SIGTERMException):  # which is what Lightning makes of Ctrl-C and of SIGTERM
            raise KeyboardInterrupt from None


def _why_it_stopped(
    error: MemoryError | RuntimeError, trainer: lightning.Trainer, recipe: Recipe, precision: Precision
) -> str | None:
    """What to do about memory that did not suffice, as a sentence; None if the error is about something else."""
    again = "The same command then goes on from the last whole epoch."
    text = f"{error} {error.__cause__ or error.__context__ or ''}"
    if any(words in text for words in _NO_SHARED_MEMORY) or ("DataLoader worker" in text and "Bus error" in text):
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


def _claim(out: Path, recipe: Recipe) -> None:
    """Makes the folder of the run, and sees to it that it holds one recipe's fit only."""
    path = out / "recipe.json"
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not path.is_file():
            write_whole(path, json.dumps(recipe.to_dict(), indent=1) + "\n")
        elif not _may_go_on(stored := recipe_from(json.loads(path.read_text(encoding="utf-8"))), recipe):
            raise another_recipe(out)
        elif stored != recipe and this_process().is_first:
            write_whole(path, json.dumps(recipe.to_dict(), indent=1) + "\n")
    except ValueError:
        raise FitError(f"{path} is damaged. Name another folder with --out, or delete this one.") from None
    except OSError as error:
        raise FitError(f"{out} cannot be written: {first_line(error)}. Name another folder with --out.") from None


def _check_folds(out: Path, dataset: Dataset, recipe: Recipe) -> None:
    """Sees to it that a fit goes on with the folds that it began with, if it has kept a checkpoint."""
    folder = out / "checkpoint"
    if not (folder / "config.json").is_file():
        return
    if not are_folds_of(dataset, read_config(folder).training.get("folds_digest", ""), _folds_made(recipe)):
        why = "" if dataset.folds else " Photos or masks that are added or changed move them, unless a split is saved."
        raise FitError(
            f"{out} holds a fit by other folds than {dataset.name} has now.{why} Put the split back, name another "
            "folder with --out, or delete this one."
        )


def _folds_made(recipe: Recipe) -> int | None:
    return None if recipe.fold == -1 else recipe.folds


def _may_go_on(stored: Recipe, recipe: Recipe) -> bool:
    """Whether a fit of one recipe may go on by the other: with more epochs, or other batches of the same step."""
    same = replace(stored, epochs=recipe.epochs, batch_size=recipe.batch_size, accumulate=recipe.accumulate) == recipe
    return same and stored.step_photos == recipe.step_photos and stored.epochs <= recipe.epochs


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
        **taxonomy_entries(dataset.taxonomy),
        height=recipe.height,
        width=recipe.width,
        mean=recipe.mean,
        std=recipe.std,
        crop=recipe.crop,
        resize=recipe.resize,
        margin=recipe.crop_margin,
        scales=list(recipe.scales),
        mirror=recipe.mirror,
        opening_kernel=recipe.opening_kernel,
        training={
            "dataset": dataset.name,
            "recipe": recipe.to_dict(),
            **({"folds_digest": digest} if (digest := folds_digest(dataset, _folds_made(recipe))) else {}),
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
