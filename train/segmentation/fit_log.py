"""What can be watched while a network is trained: tables of steps and epochs, and a picture of each epoch."""

from __future__ import annotations

import csv
import importlib.util
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from PIL import Image

from segmodels.taxonomy import UNLABELLED, Taxonomy
from train.recipe import Recipe
from train.segmentation.crops import ValidationCrops
from train.segmentation.cutting import cut_crops, join_plans
from train.segmentation.lightning_module import SegmentationModule

__all__ = ["EPOCHS_FILE", "PICTURES_FOLDER", "STEPS_FILE", "FitLog", "tensorboard_loggers"]

STEPS_FILE = "steps.csv"
"""A row every ten steps: `step`, `epoch`, `learning_rate`, `loss`."""

EPOCHS_FILE = "epochs.csv"
"""A row an epoch: `epoch`, `step`, `seconds`, `photos_per_second`, `loss`, and of the validation `validation_loss`,
`mean_iou`, `pixel_accuracy`, and `iou_` with each class."""

PICTURES_FOLDER = "pictures"
"""Holds `epoch_001.jpg` and so on: eight validation photos, above their truths and predictions."""

_EVERY = 10  # steps; to read a loss more often would make a GPU wait
_SHOWN = 8
_SIDE = 240  # of a crop in the picture, in pixels


class FitLog(Callback):
    """Writes the tables and the pictures of a fit into its folder, in the first process.

    A fit that goes on keeps the rows of what it keeps: those after the epoch from which it goes on are written anew.

    Args:
        out: Folder of the run.
        recipe: The experiment.
        taxonomy: The classes of the truths.
        crops: Validation photos, of which the first eight are shown; None for no pictures.
    """

    def __init__(self, out: Path, recipe: Recipe, taxonomy: Taxonomy, crops: ValidationCrops | None) -> None:
        self.out = out
        self.recipe = recipe
        self.taxonomy = taxonomy
        self.crops = crops
        self._started = time.monotonic()
        self._photos = 0

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Drops the rows of epochs that are trained again."""
        if trainer.is_global_zero:
            for name in (STEPS_FILE, EPOCHS_FILE):
                _keep_rows(self.out / name, trainer.current_epoch)

    def on_train_epoch_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Starts the epoch's clock."""
        self._started, self._photos = time.monotonic(), 0

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Adds a row every ten steps."""
        self._photos += len(batch[0]) * trainer.world_size
        ended_a_step = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if trainer.is_global_zero and ended_a_step and trainer.global_step % _EVERY == 0:
            rate = trainer.optimizers[0].param_groups[0]["lr"]
            loss = float(trainer.callback_metrics["loss_step"])
            row = {"step": trainer.global_step, "epoch": trainer.current_epoch + 1, "learning_rate": rate, "loss": loss}
            _add_row(self.out / STEPS_FILE, row)
            for logger in trainer.loggers:
                logger.log_metrics({"learning_rate": rate}, trainer.global_step)

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Adds the epoch's row, and its picture."""
        if not trainer.is_global_zero:
            return
        assert isinstance(module, SegmentationModule)
        seconds = time.monotonic() - self._started
        row: dict[str, float] = {
            "epoch": trainer.current_epoch + 1,
            "step": trainer.global_step,
            "seconds": round(seconds, 1),
            "photos_per_second": round(self._photos / seconds, 2),
            "loss": float(trainer.callback_metrics["loss_epoch"]),
        }
        if trainer.enable_validation:
            seen = trainer.callback_metrics
            row |= {name: float(seen[name]) for name in ("validation_loss", "mean_iou", "pixel_accuracy")}
            row |= {f"iou_{name}": iou for name, iou in zip(module.names, module.class_iou, strict=True)}
        _add_row(self.out / EPOCHS_FILE, row)
        for logger in trainer.loggers:
            logger.log_metrics({key: value for key, value in row.items() if not math.isnan(value)}, trainer.global_step)
        if self.crops is not None and trainer.enable_validation:
            folder = self.out / PICTURES_FOLDER
            folder.mkdir(exist_ok=True)
            picture = self._picture(module)
            picture.save(folder / f"epoch_{trainer.current_epoch + 1:03d}.jpg", quality=88)

    def _picture(self, module: SegmentationModule) -> Image.Image:
        """Photos, truths and predictions of the same crops, one row of each."""
        assert self.crops is not None
        plans = [self.crops[index] for index in range(min(_SHOWN, len(self.crops)))]
        photos, truths = cut_crops(join_plans(plans).to(module.device), self.recipe)
        network = module.judged
        was_training = network.training
        network.eval()
        with torch.inference_mode(), module.trainer.precision_plugin.forward_context():
            predictions = network(photos).argmax(dim=1)
        network.train(was_training)
        palette = self.taxonomy.palette.copy()
        palette[UNLABELLED] = 127
        pixels = (photos * self.recipe.std + self.recipe.mean).clamp(0, 1).mul(255).byte().permute(0, 2, 3, 1)
        rows = [
            list(pixels.cpu().numpy()),
            list(palette[truths.cpu().numpy()]),
            list(palette[predictions.cpu().numpy()]),
        ]
        sheet = Image.fromarray(np.concatenate([np.concatenate(row, axis=1) for row in rows]).astype(np.uint8))
        scale = min(1.0, _SIDE / max(self.recipe.height, self.recipe.width))
        return sheet.resize((max(1, round(sheet.width * scale)), max(1, round(sheet.height * scale))))


def tensorboard_loggers(out: Path) -> Sequence[Logger]:
    """A logger for TensorBoard that writes to `out/tensorboard`, where TensorBoard is installed; else none."""
    if not (importlib.util.find_spec("tensorboard") or importlib.util.find_spec("tensorboardX")):
        return ()
    return (TensorBoardLogger(out, name="tensorboard", version=""),)


def _add_row(path: Path, row: Mapping[str, float]) -> None:
    """Appends a row to a table, with the head if it is the first."""
    with path.open("a", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        if file.tell() == 0:
            rows.writerow(row)
        rows.writerow(f"{value:.6g}" for value in row.values())


def _keep_rows(path: Path, epochs: int) -> None:
    """Keeps the rows of the first epochs of a table, and the rest not."""
    if not path.is_file():
        return
    head, *rows = path.read_text(encoding="utf-8").splitlines() or [""]
    place = head.split(",").index("epoch") if "epoch" in head.split(",") else 0
    kept = [row for row in rows if row.split(",")[place].isdigit() and int(row.split(",")[place]) <= epochs]
    path.write_text("\n".join([head, *kept]) + "\n" if kept else "", encoding="utf-8")
