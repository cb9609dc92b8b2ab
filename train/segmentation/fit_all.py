"""Every architecture by one recipe, one after another."""

from __future__ import annotations

import json
import time
import traceback
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from segmodels.architectures import ARCHITECTURES
from segmodels.checkpoints.checkpoint import read_results
from segmodels.checkpoints.errors import CheckpointError
from segmodels.datasets import DatasetError, open_dataset
from segmodels.device import DeviceError, Precision
from segmodels.sentences import first_line
from train.distributed import this_process
from train.recipe import Recipe, RecipeError
from train.resume import FitError
from train.segmentation.fit import fit
from train.segmentation.pretrained import PretrainedError

__all__ = ["Outcome", "describe_failure", "fit_all"]


@dataclass(frozen=True)
class Outcome:
    """How the fit of one architecture ended.

    Args:
        architecture: Name of the architecture.
        seconds: Time that the fit took; less if an earlier run had done a part.
        epoch: Epoch that is kept; None if there is none.
        mean_iou: Mean IoU of that epoch, on the recipe's fold; None where nothing was judged.
        failure: Reason why the fit failed; empty if it did not.
    """

    architecture: str
    seconds: float
    epoch: int | None = None
    mean_iou: float | None = None
    failure: str = ""


def fit_all(
    recipe: Recipe, data: Path | None, out: Path, *, workers: int = 1, precision: Precision | None = None
) -> list[Outcome]:
    """Fits every architecture, each in a folder of its name; one that fails does not keep the others from being fitted.

    Started again, it goes over what is finished and on with the rest. The recipe's `arguments` are its own
    architecture's; the others take their defaults. The outcomes are printed and stand in `out/outcomes.json`; what
    was not foreseen leaves its traceback in `error.log` beside the fit.

    Args:
        recipe: Recipe of the fits; only its architecture and the architecture's arguments are replaced.
        data: Folder of the data set; None where a source's photos lie with it.
        out: Folder under which each fit has its own.
        workers: Processes that read cached photos.
        precision: Device and number format, as for `fit`.

    Raises:
        DatasetError: If the data set cannot be read, which would keep all from being fitted.
        KeyboardInterrupt: If it is stopped by hand.
    """
    open_dataset(recipe.dataset, data)
    outcomes = []
    for number, name in enumerate(ARCHITECTURES, start=1):
        arguments = recipe.arguments if name == recipe.architecture else {}
        own = replace(recipe, architecture=name, arguments=arguments)
        outcomes.append(
            _outcome(own, data, out / name, workers, f"{number} of {len(ARCHITECTURES)}, {name}. ", precision)
        )
    if this_process().is_first:
        print("\n".join(_line(outcome) for outcome in outcomes))
        try:
            out.mkdir(parents=True, exist_ok=True)
            (out / "outcomes.json").write_text(json.dumps(list(map(asdict, outcomes)), indent=1) + "\n", "utf-8")
        except OSError as error:
            raise FitError(f"{out} cannot be written: {first_line(error)}.") from None
    return outcomes


def _outcome(
    recipe: Recipe, data: Path | None, out: Path, workers: int, label: str, precision: Precision | None
) -> Outcome:
    started = time.monotonic()
    try:
        folder = fit(recipe, data, out, workers=workers, label=label, precision=precision)
    except Exception as error:  # whatever a network or a driver raises: the others can still be fitted
        return Outcome(recipe.architecture, time.monotonic() - started, failure=describe_failure(error, out))
    curve = [epoch for epoch in read_results(folder).learning_curve if "mean_iou" in epoch]
    best = max(curve, key=lambda epoch: epoch["mean_iou"], default=None)
    seconds = time.monotonic() - started
    return (
        Outcome(recipe.architecture, seconds, int(best["epoch"]), best["mean_iou"])
        if best
        else Outcome(recipe.architecture, seconds)
    )


def describe_failure(error: Exception, out: Path) -> str:
    """One sentence on what ended a fit; what was not foreseen leaves its traceback in `error.log` beside the fit.

    Args:
        error: Exception that is being handled.
        out: Folder of the fit.
    """
    if isinstance(
        error, CheckpointError | DatasetError | DeviceError | FitError | OSError | PretrainedError | RecipeError
    ):
        return str(error)
    if out.is_dir():
        (out / "error.log").write_text(traceback.format_exc(), "utf-8")
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]} (see {out / 'error.log'})"


def _line(outcome: Outcome) -> str:
    if outcome.failure:
        return f"{outcome.architecture:14} failed: {outcome.failure}"
    score = f"mean IoU {outcome.mean_iou:.4f} in epoch {outcome.epoch}" if outcome.mean_iou is not None else "done"
    return f"{outcome.architecture:14} {score}, {outcome.seconds / 60:.1f} min"
