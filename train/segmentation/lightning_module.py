"""What a step, a validation and an optimiser are, for Lightning."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import lightning
import torch
from torch import nn
from torch.optim import lr_scheduler

from segmodels.evaluation.metrics import ConfusionMatrix
from segmodels.taxonomy import UNLABELLED
from train.moving_average import MovingAverage
from train.optimisation import one_cycle, parameter_groups
from train.recipe import Recipe
from train.segmentation.cutting import CropBatch, cut_crops, soft_targets
from train.segmentation.distillation import SoftTarget, distillation_loss
from train.segmentation.losses import build_loss

__all__ = ["SegmentationModule", "count_pixels", "encoder_of"]

_LOOK_SECONDS = 10.0  # between two looks at a GPU's losses: each look makes it wait


class SegmentationModule(lightning.LightningModule):
    """A network, its loss, its optimiser, and the moving average of its weights that is judged.

    Args:
        network: Network that maps float32 `(N, 3, H, W)` to logits `(N, C, H, W)`.
        recipe: Recipe of the experiment.
        names: Class names by id.
        shares: Share of a training photo's pixels that each class has on average, by class.
    """

    def __init__(self, network: nn.Module, recipe: Recipe, names: tuple[str, ...], shares: Sequence[float]) -> None:
        super().__init__()
        self.recipe = recipe
        self.names = names
        self.network = network
        self.average = MovingAverage(network, recipe.average) if recipe.average else None
        self.loss = build_loss(recipe.loss, gamma=recipe.gamma, shares=shares)
        self.curve: list[dict[str, float]] = []
        self.class_iou: list[float] = []  # of the last validation, by id; NaN for a class that is nowhere
        self.start: dict[str, Any] = {}  # what the network started from
        self._counts = torch.zeros(len(names), len(names), dtype=torch.int64)
        self._started = time.monotonic()
        self._loss = torch.zeros(2)  # sum over the photos of one validation, and their number
        self._last_loss = torch.zeros(())  # of a step; NaN from the first one on that was no number
        self._looked = time.monotonic()
        self._stepped = 0

    @property
    def judged(self) -> nn.Module:
        """The network that is validated and kept: the averaged one, if there is an average."""
        return self.average.module if self.average is not None else self.network

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor, SoftTarget | None], index: int) -> torch.Tensor:
        """The loss of one batch of photos `(N, 3, H, W)`, truths `(N, H, W)` and what a teacher gives for them.

        Raises:
            FloatingPointError: If the loss is not a number; on a GPU it is noticed some seconds later.
        """
        photos, truth, *soft = batch
        logits = self.network(photos.to(memory_format=torch.channels_last))
        loss = self.loss(logits, truth)
        if soft and soft[0] is not None:
            share = self.recipe.teacher_share
            loss = (1 - share) * loss + share * distillation_loss(logits, soft[0])
        # 0 times a loss that is no number is none either, and stays in the sum.
        self._last_loss = loss.detach() + 0 * self._last_loss.to(loss.device)
        if loss.device.type == "cpu" or time.monotonic() - self._looked > _LOOK_SECONDS:
            self._check_loss()
        self.log("loss", loss, on_step=True, on_epoch=True, batch_size=len(photos))
        return loss

    def _check_loss(self) -> None:
        self._looked = time.monotonic()
        if not math.isfinite(value := float(self._last_loss)):
            raise FloatingPointError(
                f"The loss became {value} in epoch {self.current_epoch + 1}. Lower learning_rate in the recipe; "
                "the best checkpoint so far is kept."
            )

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        """Cuts the crops of a batch on the device to which it was brought."""
        if not isinstance(batch, CropBatch):
            return batch
        crops = cut_crops(batch, self.recipe)
        return (*crops, soft_targets(batch, self.recipe)) if self.trainer.training else crops

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Moves the average towards the weights, after each batch that ended a step."""
        if self.average is not None and self.trainer.global_step != self._stepped:
            self.average.update_parameters(self.network)
        self._stepped = self.trainer.global_step

    def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor], index: int) -> None:
        """Counts the pixels of one batch, and its loss."""
        photos, truth = batch
        logits = self.judged(photos.to(memory_format=torch.channels_last))
        loss = self.loss(logits, truth).float()
        self._loss = self._loss.to(loss.device) + torch.stack([loss * len(photos), torch.full_like(loss, len(photos))])
        counts = count_pixels(truth, logits.argmax(dim=1), len(self.names))
        self._counts = self._counts.to(counts.device) + counts

    def on_validation_epoch_end(self) -> None:
        """Turns the counts of all processes into scores; the mean IoU is what chooses the epoch."""
        counts, loss = self._gathered(self._counts), self._gathered(self._loss)
        matrix = ConfusionMatrix(self.names, counts.numpy())
        self.class_iou = matrix.iou.tolist()
        scores = {
            "validation_loss": float(loss[0] / loss[1]),
            "mean_iou": matrix.mean_iou,
            "pixel_accuracy": matrix.pixel_accuracy,
        }
        self._counts.zero_()
        self._loss.zero_()
        self.log_dict(scores, rank_zero_only=False, sync_dist=False)
        if not self.trainer.sanity_checking:
            now = float(self.trainer.callback_metrics.get("loss_step", float("nan")))
            self.curve.append({"epoch": self.current_epoch + 1, "loss": now, **scores})

    def on_train_start(self) -> None:
        """Notes the step from which a fit goes on."""
        self._stepped = self.trainer.global_step

    def _gathered(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over all processes, on the processor."""
        everyone = self.all_gather(values)
        assert isinstance(everyone, torch.Tensor)
        return everyone.reshape(-1, *values.shape).sum(dim=0).cpu()

    def on_train_epoch_start(self) -> None:
        """Starts the epoch's clock, and freezes the encoder or lets it train."""
        self._started = time.monotonic()
        if self.recipe.frozen and (encoder := encoder_of(self.network)) is not None:
            trains = self.current_epoch >= self.recipe.frozen
            encoder.requires_grad_(trains).train(trains)

    def on_train_epoch_end(self) -> None:
        """Writes the epoch's mean loss and its time into the learning curve, once they are known.

        Raises:
            FloatingPointError: If a loss of the epoch was not a number.
        """
        self._check_loss()
        if not self.trainer.enable_validation:
            self.curve.append({"epoch": self.current_epoch + 1})
        if self.curve and self.curve[-1]["epoch"] == self.current_epoch + 1:
            self.curve[-1]["loss"] = float(self.trainer.callback_metrics["loss_epoch"])
            self.curve[-1]["seconds"] = round(time.monotonic() - self._started, 3)

    def configure_optimizers(self) -> Any:
        """Optimiser and schedule of the recipe; biases and norms are not decayed."""
        recipe = self.recipe
        slow = encoder_of(self.network) if recipe.encoder_rate != 1 else None
        groups = parameter_groups(self.network, recipe.weight_decay, slow, recipe.learning_rate * recipe.encoder_rate)
        optimiser = _optimiser(groups, recipe)
        schedule: dict[str, Any] = {"interval": "step"}
        if recipe.schedule == "constant":
            return optimiser
        if recipe.schedule == "plateau":
            schedule = {"interval": "epoch", "monitor": "validation_loss"}
            schedule["scheduler"] = lr_scheduler.ReduceLROnPlateau(
                optimiser, factor=0.1, patience=recipe.plateau_patience
            )
        elif recipe.schedule == "inverse_time":
            schedule["scheduler"] = lr_scheduler.LambdaLR(optimiser, partial(_inverse_time, recipe.decay))
        else:
            steps = int(self.trainer.estimated_stepping_batches)
            schedule["scheduler"] = one_cycle(optimiser, steps)
        return {"optimizer": optimiser, "lr_scheduler": schedule}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the learning curve, and what the network started from, in the resume file."""
        checkpoint["curve"] = self.curve
        checkpoint["start"] = self.start

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes the learning curve up again, and lets the schedule be that of the epochs that are wanted now."""
        self.curve = list(checkpoint["curve"])
        self.start = dict(checkpoint.get("start", {}))
        for schedule in checkpoint.get("lr_schedulers", []):
            for key in ("total_steps", "_schedule_phases"):  # of one-cycle: they say where it ends
                schedule.pop(key, None)


def encoder_of(network: nn.Module) -> nn.Module | None:
    """The encoder of a network from `build`; None if it has none."""
    try:
        return network.get_submodule("network.encoder")
    except AttributeError:
        return None


def count_pixels(truth: torch.Tensor, prediction: torch.Tensor, classes: int) -> torch.Tensor:
    """Pixels by true and predicted class, counted on the device on which they lie, which need not wait for it.

    Args:
        truth: int64 `(N, H, W)` class ids; pixels of `UNLABELLED` are left out.
        prediction: int64 `(N, H, W)` class ids.
        classes: Number of classes.

    Returns:
        int64 `(classes, classes)`, rows truth, columns prediction.
    """
    labelled = truth != UNLABELLED
    pairs = torch.where(labelled, truth * classes + prediction, 0).flatten()
    counts = torch.zeros(classes * classes, dtype=torch.int64, device=truth.device)
    return counts.index_add_(0, pairs, labelled.flatten().long()).view(classes, classes)


def _optimiser(groups: list[dict[str, Any]], recipe: Recipe) -> torch.optim.Optimizer:
    rate, momentum = recipe.learning_rate, recipe.momentum
    if recipe.optimiser == "adamw":
        return torch.optim.AdamW(groups, lr=rate)
    if recipe.optimiser == "adam":
        return torch.optim.Adam(groups, lr=rate)
    if recipe.optimiser == "rmsprop":
        return torch.optim.RMSprop(groups, lr=rate, momentum=momentum)
    return torch.optim.SGD(groups, lr=rate, momentum=momentum)


def _inverse_time(decay: float, step: int) -> float:
    """What Keras 2 multiplies a learning rate by, given `decay`: `1 / (1 + decay * step)`."""
    return 1 / (1 + decay * step)
