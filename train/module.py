"""What a step, a validation and an optimiser are, for Lightning."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import lightning
import torch
from torch import nn
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from segmodels.metrics import ConfusionMatrix
from segmodels.taxonomy import UNLABELLED
from train.losses import build_loss
from train.recipe import Recipe

__all__ = ["SegmentationModule"]


class SegmentationModule(lightning.LightningModule):
    """A network, its loss, its optimiser, and the moving average of its weights that is judged.

    Args:
        network: Maps float32 `(N, 3, H, W)` to logits `(N, C, H, W)`.
        recipe: Of the experiment.
        names: Class names by id.
        shares: By class, the share of a training photo's pixels that it has on average.
    """

    def __init__(self, network: nn.Module, recipe: Recipe, names: tuple[str, ...], shares: Sequence[float]) -> None:
        super().__init__()
        self.recipe = recipe
        self.names = names
        self.network = network
        self.average = (
            AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(recipe.average), use_buffers=True).requires_grad_(
                False
            )
            if recipe.average
            else None
        )
        self.loss = build_loss(recipe.loss, gamma=recipe.gamma, shares=shares)
        self.curve: list[dict[str, float]] = []
        self._counts = torch.zeros(len(names), len(names), dtype=torch.int64)
        self._started = time.monotonic()
        self._loss = torch.zeros(2)  # sum over the photos of one validation, and their number

    @property
    def judged(self) -> nn.Module:
        """The network that is validated and kept: the averaged one, if there is an average."""
        return self.average.module if self.average is not None else self.network

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], index: int) -> torch.Tensor:
        """One batch of photos `(N, 3, H, W)` and truths `(N, H, W)`.

        Raises:
            FloatingPointError: If the loss is not a number.
        """
        photos, truth = batch
        loss = self.loss(self.network(photos.to(memory_format=torch.channels_last)), truth)
        if not torch.isfinite(loss):
            raise FloatingPointError(
                f"The loss became {loss.item()} in epoch {self.current_epoch + 1}. Lower learning_rate in the recipe; "
                "the best checkpoint so far is kept."
            )
        self.log("loss", loss, on_step=True, on_epoch=True, batch_size=len(photos))
        return loss

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Moves the average towards the weights of this step."""
        if self.average is not None:
            self.average.update_parameters(self.network)

    def validation_step(self, batch: tuple[torch.Tensor, torch.Tensor], index: int) -> None:
        """Counts the pixels of one batch, and its loss."""
        photos, truth = batch
        logits = self.judged(photos.to(memory_format=torch.channels_last))
        self._loss += torch.stack([self.loss(logits, truth) * len(photos), torch.tensor(float(len(photos)))]).cpu()
        prediction = logits.argmax(dim=1)
        size = len(self.names)
        known = truth != UNLABELLED
        pairs = truth[known] * size + prediction[known]
        self._counts += torch.bincount(pairs, minlength=size * size).reshape(size, size).cpu()

    def on_validation_epoch_end(self) -> None:
        """Turns the counts of all processes into scores; the mean IoU is what chooses the epoch."""
        counts, loss = self._gathered(self._counts), self._gathered(self._loss)
        matrix = ConfusionMatrix(self.names, counts.numpy())
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

    def _gathered(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over all processes, on the processor."""
        everyone = self.all_gather(values)
        assert isinstance(everyone, torch.Tensor)
        return everyone.reshape(-1, *values.shape).sum(dim=0).cpu()

    def on_train_epoch_start(self) -> None:
        """Starts the epoch's clock."""
        self._started = time.monotonic()

    def on_train_epoch_end(self) -> None:
        """Writes the epoch's mean loss and its time into the learning curve, once they are known."""
        if not self.trainer.enable_validation:
            self.curve.append({"epoch": self.current_epoch + 1})
        if self.curve and self.curve[-1]["epoch"] == self.current_epoch + 1:
            self.curve[-1]["loss"] = float(self.trainer.callback_metrics["loss_epoch"])
            self.curve[-1]["seconds"] = round(time.monotonic() - self._started, 3)

    def configure_optimizers(self) -> Any:
        """Optimiser and schedule of the recipe; biases and norms are not decayed."""
        recipe = self.recipe
        trained = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        groups = [
            {"params": [p for p in trained if p.ndim > 1], "weight_decay": recipe.weight_decay},
            {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
        ]
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
            schedule["scheduler"] = lr_scheduler.OneCycleLR(
                optimiser, recipe.learning_rate, total_steps=steps, pct_start=0.15
            )
        return {"optimizer": optimiser, "lr_scheduler": schedule}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the learning curve in the resume file."""
        checkpoint["curve"] = self.curve

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes the learning curve up again."""
        self.curve = list(checkpoint["curve"])


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
