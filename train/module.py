"""What a step, a validation and an optimiser are, for Lightning."""

from __future__ import annotations

from typing import Any

import lightning
import numpy as np
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from segmodels.metrics import ConfusionMatrix
from segmodels.taxonomy import UNLABELLED
from train.losses import LOSSES
from train.recipe import Recipe

__all__ = ["SegmentationModule"]


class SegmentationModule(lightning.LightningModule):
    """A network, its loss, its optimiser, and the moving average of its weights that is judged.

    Args:
        network: Maps float32 `(N, 3, H, W)` to logits `(N, C, H, W)`.
        recipe: Of the experiment.
        names: Class names by id.
    """

    def __init__(self, network: nn.Module, recipe: Recipe, names: tuple[str, ...]) -> None:
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
        self.loss = LOSSES[recipe.loss]
        self.curve: list[dict[str, float]] = []
        self._counts = torch.zeros(len(names), len(names), dtype=torch.int64)

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
        """Counts the pixels of one batch."""
        photos, truth = batch
        prediction = self.judged(photos.to(memory_format=torch.channels_last)).argmax(dim=1)
        size = len(self.names)
        known = truth != UNLABELLED
        pairs = truth[known] * size + prediction[known]
        self._counts += torch.bincount(pairs, minlength=size * size).reshape(size, size).cpu()

    def on_validation_epoch_end(self) -> None:
        """Turns the counts into scores; the mean IoU is what chooses the epoch."""
        counts = self.all_gather(self._counts)
        assert isinstance(counts, torch.Tensor)
        matrix = ConfusionMatrix(self.names, np.asarray(counts.reshape(-1, *self._counts.shape).sum(dim=0)))
        self._counts.zero_()
        self.log("mean_iou", matrix.mean_iou, rank_zero_only=False, sync_dist=False)
        if not self.trainer.sanity_checking:
            self.curve.append(
                {
                    "epoch": self.current_epoch + 1,
                    "loss": float(self.trainer.callback_metrics.get("loss_step", float("nan"))),
                    "mean_iou": matrix.mean_iou,
                    "pixel_accuracy": matrix.pixel_accuracy,
                }
            )

    def on_train_epoch_end(self) -> None:
        """Writes the epoch's mean loss into the learning curve, once it is known."""
        if not self.trainer.enable_validation:
            self.curve.append({"epoch": self.current_epoch + 1})
        if self.curve and self.curve[-1]["epoch"] == self.current_epoch + 1:
            self.curve[-1]["loss"] = float(self.trainer.callback_metrics["loss_epoch"])

    def configure_optimizers(self) -> Any:
        """AdamW on a one-cycle schedule; biases and norms are not decayed."""
        recipe = self.recipe
        trained = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        optimiser = torch.optim.AdamW(
            [
                {"params": [p for p in trained if p.ndim > 1], "weight_decay": recipe.weight_decay},
                {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
            ],
            lr=recipe.learning_rate,
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, recipe.learning_rate, total_steps=int(self.trainer.estimated_stepping_batches), pct_start=0.15
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keeps the learning curve in the resume file."""
        checkpoint["curve"] = self.curve

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Takes the learning curve up again."""
        self.curve = list(checkpoint["curve"])
