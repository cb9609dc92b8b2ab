"""What happens in a fit beside the steps: the best checkpoint, the resume file, the bar."""

from __future__ import annotations

import time
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.callbacks import Checkpoint as CheckpointCallback
from tqdm import tqdm

from segmodels.checkpoints.checkpoint import read_results, save_checkpoint, save_results
from segmodels.checkpoints.config import CheckpointConfig, read_config
from segmodels.evaluation.results import Results
from segmodels.files import replacing
from segmodels.inference.kinds import KindsError, read_kinds_config
from segmodels.inference.presence import CalibrationError, read_calibration
from segmodels.taxonomy import taxonomy_of
from train.publishing.card import model_card
from train.segmentation.lightning_module import SegmentationModule

__all__ = ["BestCheckpoint", "Progress", "ResumeFile"]

_REFRESH_SECONDS = 0.5  # between two states of the bar


class BestCheckpoint(Callback):
    """Writes the checkpoint whenever the judged network is better than before; without a judge, after each epoch.

    Args:
        folder: Folder of the checkpoint.
        name: Name of the checkpoint in the catalog.
        config: Configuration of the checkpoint; its `training` is completed as the fit goes on.
    """

    def __init__(self, folder: Path, name: str, config: CheckpointConfig) -> None:
        self.folder = folder
        self.name = name
        self.config = config
        self.best = -1.0

    @property
    def state_key(self) -> str:
        """The name of its state in a resume file, which those of earlier versions have too."""
        return "_BestCheckpoint"

    def on_validation_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Writes the checkpoint if the mean IoU is higher than before."""
        assert isinstance(module, SegmentationModule)
        score = float(trainer.callback_metrics["mean_iou"])
        if score > self.best:
            self.best = score
            self._write(trainer, module)

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Writes the checkpoint where no photos choose the epoch."""
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
        """Completes the learning curve, which goes on after the best epoch; evaluations, calibration and kinds stay.

        Args:
            curve: Entries of all epochs, as the module keeps them.
        """
        results = replace(read_results(self.folder), learning_curve=tuple(curve))
        config = read_config(self.folder)
        calibration = None
        with suppress(CalibrationError):  # said by all that load the checkpoint
            calibration = read_calibration(self.folder, taxonomy_of(vars(config)))
        kinds = None
        with suppress(KindsError):
            kinds = read_kinds_config(self.folder, taxonomy_of(vars(config)))
        card = model_card(self.name, config, results, calibration=calibration, kinds=kinds)
        save_results(self.folder, results, card=card)

    def state_dict(self) -> dict[str, Any]:
        """Keeps the highest mean IoU so far."""
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes the highest mean IoU up again."""
        self.best = float(state_dict["best"])


class ResumeFile(CheckpointCallback):
    """Writes what a stopped fit goes on from, after each epoch; the last one is whole whenever writing fails.

    Lightning's own ModelCheckpoint writes over the file that is there: a full disk leaves half of the new one.

    Args:
        path: Path of the resume file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Writes it, in the first process; all must take part."""
        writing = replacing(self.path) if trainer.is_global_zero else nullcontext(self.path)
        with writing as path:
            trainer.save_checkpoint(path, weights_only=False)  # optimiser and schedule too; reading stays weights_only


class Progress(Callback):
    """One bar over the whole fit: epoch, loss, score, time left. A loss is read now and then: a GPU waits meanwhile.

    Args:
        label: Text in front of the bar.
        each_epoch: Whether the scores of each epoch are printed.
    """

    def __init__(self, label: str, each_epoch: bool) -> None:
        self.label = label
        self.each_epoch = each_epoch
        self.shown = 0.0

    def on_train_start(self, trainer: lightning.Trainer, module: lightning.LightningModule) -> None:
        """Opens the bar, at the step from which the fit goes on."""
        total = int(trainer.estimated_stepping_batches)
        self.bar = tqdm(total=total, initial=trainer.global_step, unit="step", disable=not trainer.is_global_zero)

    def on_train_batch_end(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Moves the bar, twice a second at most."""
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
        """Prints the scores of the epoch."""
        assert isinstance(module, SegmentationModule)
        if trainer.is_global_zero and module.curve and self.each_epoch:
            tqdm.write(
                "epoch {epoch}: mean IoU {mean_iou:.4f}, accuracy {pixel_accuracy:.4f}".format(**module.curve[-1])
            )

    def teardown(self, trainer: lightning.Trainer, module: lightning.LightningModule, stage: str) -> None:
        """Closes the bar."""
        if hasattr(self, "bar"):
            self.bar.close()

    def on_exception(
        self, trainer: lightning.Trainer, module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """Closes the bar."""
        self.teardown(trainer, module, "fit")
