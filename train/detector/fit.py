"""Trains the person detector."""

from __future__ import annotations

import copy
import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset
from torchvision.models.detection._utils import encode_boxes
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.ssd import SSD
from torchvision.ops import box_iou
from tqdm import tqdm

from segmodels.architectures.ssd import ssd_lite0
from segmodels.checkpoints.config import read_fields
from segmodels.checkpoints.errors import CheckpointError
from segmodels.checkpoints.weights import load_weights
from segmodels.datasets import read_ccp
from segmodels.device import Precision, pick_device, pick_precision, tune
from segmodels.evaluation.results import DetectorResults
from segmodels.files import replacing
from segmodels.inference.boxes import intersection_area
from segmodels.inference.detector import DetectorConfig, PersonDetector, save_detector
from train.data.cache import open_cache
from train.data.flatlay_masks import with_flatlays
from train.data.split import fold_ids
from train.detector.bystanders import open_source
from train.detector.judge import detection_scores, found_in
from train.detector.scenes import make_scene, whole_scene
from train.detector.source import Scene, Source, corners, person_box
from train.moving_average import MovingAverage
from train.optimisation import one_cycle, parameter_groups
from train.publishing.card import detector_card
from train.resume import FitError, another_recipe, read_resume
from train.segmentation.pretrained import load_lite

__all__ = [
    "PersonRecipe",
    "Scenes",
    "detection_loss",
    "fit_person",
    "list_bystanders",
]

_RESUME = "resume.pt"
_LEAST_BYSTANDER = 0.35  # score; a strip lost costs less than a person called ground
_HARD_NEGATIVES = 3  # for each positive, as in SSD
_LEAST_NEGATIVES = 16  # for each scene of a batch
_CLIP = 10.0  # norm of the gradient, at most
_STATEFUL = ("network", "average", "optimiser", "schedule")  # parts of a fit with a state of their own
_READ_STEPS = 32  # losses are read and checked that often, as each time the GPU has nothing to do for a while


@dataclass(frozen=True, kw_only=True)
class PersonRecipe:
    """All that decides what a training of the person detector gives."""

    fold: int = 0
    """Fold of the split that is left out of training and chooses the epoch."""

    side: int = 256
    """Side of the square scenes to train on, in pixels."""

    second_side: int = 384
    """Side of the input of a second pass, where people are small or nobody is found; nothing is trained at it."""

    mean: float = 0.5
    """Subtracted from each channel after scaling to 0..1."""

    std: float = 0.5
    """Each channel is divided by it after the mean is subtracted."""

    cache_side: int = 400
    """Long side at which photos are kept, in pixels."""

    learning_rate: float = 1e-3
    """Highest learning rate of the one-cycle schedule."""

    weight_decay: float = 0.01
    """Weight decay of AdamW; biases and norms are not decayed."""

    batch_size: int = 16
    """Scenes in a step."""

    epoch_scenes: int = 2048
    """Scenes of an epoch, after which the fold is judged."""

    epochs: int = 10
    """Number of epochs."""

    average: float = 0.995
    """Weight of the past in the moving average of the weights, which is what is judged and kept."""

    seed: int = 0
    """Seed of the scenes and of the first weights."""

    bystanders: bool = True
    """Whether the stored list of bystanders is known; without it all beside a photo's person is unknown."""

    start: str = ""
    """Folder of a detector whose weights the fit starts from; empty for those of ImageNet."""

    blend: float = 1.0
    """Share of the trained weights in those that are judged and kept; the rest are the start's.

    Between the two a network keeps what it knew and has most of what it learned (Wortsman et al. 2022).
    """

    flatlays: str = ""
    """Folder of flat-lays, in which there is nobody to be found; empty for none."""

    flatlay_masks: str = ""
    """Folder of their masks (`mask-flatlays`); those without a mask are not taken."""


class Scenes(TorchDataset[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]):
    """Scene by number: uint8 `(3, side, side)`, and float32 boxes `(n, 4)` of people and of what is unknown."""

    def __init__(self, source: Source, side: int, seed: int, numbers: range, kind: str | None = None) -> None:
        self.source = source
        self.side = side
        self.seed = seed
        self.numbers = numbers
        self.kind = kind

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        cv2.setNumThreads(0)
        random = np.random.default_rng([self.seed, self.numbers[index]])
        scene = make_scene(self.source, random, self.side, self.kind)
        picture = torch.from_numpy(np.ascontiguousarray(scene.picture)).permute(2, 0, 1)
        people, unknown = (torch.from_numpy(np.asarray(boxes, np.float32)) for boxes in (scene.people, scene.unknown))
        return picture, people, unknown


def detection_loss(
    network: SSD, photos: torch.Tensor, people: Sequence[torch.Tensor], unknown: Sequence[torch.Tensor]
) -> torch.Tensor:
    """SSD's loss (Liu et al. 2016, equations 1 to 3) with negatives mined over the whole batch.

    torchvision mines them photo by photo, three for each positive: from a photo with nobody it learns nothing. No shape
    depends on how many boxes match, so that a GPU is not waited for.

    Args:
        network: Network in training mode.
        photos: Float `(N, 3, H, W)`, normalised.
        people: Boxes of the people, for each photo float `(n, 4)`: left, top, right, bottom in pixels.
        unknown: Boxes for each photo, within which no box counts as a negative.

    Returns:
        The sum of smooth L1 and cross-entropy, per positive box.
    """
    features = list(network.backbone(photos).values())
    outputs = {name: values.float() for name, values in network.head(features).items()}
    height, width = photos.shape[-2:]
    anchors = network.anchor_generator(ImageList(photos, [(height, width)] * len(photos)), features)[0]
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    matches, unsure = [], []  # of each photo, bool (anchors,)
    place = torch.zeros((), device=photos.device)
    for index, (boxes, others) in enumerate(zip(people, unknown, strict=True)):
        within = (centres > others[:, None, :2]) & (centres < others[:, None, 2:])  # (others, anchors, 2)
        ignored = within.all(dim=2).any(dim=0)
        positive = torch.zeros_like(ignored)
        if len(boxes):
            overlap = box_iou(boxes, anchors)  # (people, anchors)
            matched = network.proposal_matcher(overlap)
            positive = matched >= 0
            ignored |= ~positive & (overlap.amax(dim=0) > 0.4)
            aim = encode_boxes(
                boxes[matched.clamp_min(0)], anchors, _factors(network.box_coder.weights, anchors.device)
            )
            away = functional.smooth_l1_loss(outputs["bbox_regression"][index], aim, reduction="none").sum(dim=1)
            place = place + torch.where(positive, away, 0).sum()
        matches.append(positive)
        unsure.append(ignored)
    positive, ignored = torch.cat(matches), torch.cat(unsure)
    surprise = functional.cross_entropy(outputs["cls_logits"].flatten(0, 1), positive.long(), reduction="none")
    negative, order = surprise.detach().masked_fill(positive | ignored, -1).sort(descending=True)
    positives = positive.sum()
    count = (_HARD_NEGATIVES * positives).clamp_min(_LEAST_NEGATIVES * len(photos))
    hardest = (torch.arange(len(order), device=order.device) < count) & (negative >= 0)
    total = place + torch.where(positive, surprise, 0).sum() + torch.where(hardest, surprise[order], 0).sum()
    return total / positives.clamp_min(1)


@cache
def _factors(weights: tuple[float, ...], device: torch.device) -> torch.Tensor:
    """The weights of a box coder, `(4,)`; on their device once, as a copy waits for the GPU."""
    with torch.inference_mode(False):
        return torch.tensor(weights, device=device)


def _collate(items: list[tuple[torch.Tensor, ...]]) -> tuple[torch.Tensor, list[torch.Tensor], list[torch.Tensor]]:
    photos, people, unknown = zip(*items, strict=True)
    return torch.stack(photos), list(people), list(unknown)


def _on_device(boxes: Sequence[torch.Tensor], device: torch.device) -> list[torch.Tensor]:
    """Boxes `(n, 4)` of several scenes, brought to a device in one copy."""
    joined = torch.cat(list(boxes))
    joined = joined.pin_memory() if device.type == "cuda" else joined
    return list(joined.to(device, non_blocking=True).split([len(of_scene) for of_scene in boxes]))


def fit_person(
    recipe: PersonRecipe,
    data: Path,
    out: Path,
    *,
    workers: int = 1,
    precision: Precision | None = None,
) -> Path:
    """Trains the detector on Clothing Co-Parsing, and goes on where a fit of that recipe in that folder stopped.

    The epoch with the highest mean of the average precisions on the photos and on made-up scenes of the fold is kept.

    Args:
        recipe: Recipe of the experiment.
        data: Folder of the data set.
        out: Folder of the run; `resume.pt` in it is what a fit goes on from.
        workers: Processes that make scenes.
        precision: The device that trains and the number format of the network's features; `pick_device()` and its
            fastest if left out.

    Returns:
        The folder of the detector.

    Raises:
        FitError: If the folder holds another recipe's fit or a damaged file, the loss is not a number, or there is a
            blend and no start.
        DatasetError: If the data set cannot be read.
        KeyboardInterrupt: If it is stopped by hand.
    """
    if recipe.blend < 1 and not recipe.start:
        raise FitError("Weights are blended with those of a detector to start from, and none is named. Give start.")
    precision = precision or pick_precision(None, pick_device())
    tune(precision.device, equal_batches=True)
    training, choice = _open_sources(recipe, data)
    state = _read_state(out)
    if state and state["recipe"] != asdict(recipe):
        raise another_recipe(out)
    torch.manual_seed(recipe.seed)
    network = ssd_lite0(recipe.side, recipe.mean, recipe.std)
    if recipe.start or not state:
        _load_start(network, recipe)
    fit = _PersonFit(network, recipe, precision)
    if state:
        fit.load_state_dict(state)
    judged_on = _choice_scenes(choice, recipe)
    for epoch in range(len(fit.curve), recipe.epochs):
        loss = fit.train_epoch(_loader(training, recipe, epoch, workers, precision.device), epoch)
        entry = fit.judge_epoch(judged_on, epoch, loss)
        print(json.dumps(entry), flush=True)
        _write_state(out, fit.state_dict())
    return _save_best(fit, out / "checkpoint")


def _open_sources(recipe: PersonRecipe, data: Path) -> tuple[Source, Source]:
    """The photos to train on, flat-lays among them, and those that choose the epoch."""
    dataset = read_ccp(data)
    training, choice = (
        open_source(dataset, ids, recipe.cache_side, recipe.bystanders) for ids in fold_ids("ccp", recipe.fold)
    )
    if recipe.flatlays:
        lying, ids = with_flatlays(dataset, Path(recipe.flatlays), Path(recipe.flatlay_masks))
        training.flatlays = open_cache(lying, ids, recipe.cache_side)
    return training, choice


def _load_start(network: SSD, recipe: PersonRecipe) -> None:
    """Loads the weights of the detector that the recipe starts from, or those of ImageNet."""
    if not recipe.start:
        print(load_lite(network.backbone.encoder))
        return
    try:
        read_fields(Path(recipe.start), DetectorConfig)
        digest = load_weights(Path(recipe.start), network)
    except CheckpointError as error:
        raise FitError(f"The recipe starts from {recipe.start}: {error}") from None
    print(f"The detector starts from {recipe.start}, revision {digest}.")


def _loader(
    source: Source, recipe: PersonRecipe, epoch: int, workers: int, device: torch.device
) -> DataLoader[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Batches of the scenes of an epoch, of which each has its own."""
    count = recipe.epoch_scenes // recipe.batch_size * recipe.batch_size
    scenes = Scenes(source, recipe.side, recipe.seed, range(epoch * count, (epoch + 1) * count))
    pinned = device.type == "cuda"
    return DataLoader(scenes, recipe.batch_size, num_workers=workers, collate_fn=_collate, pin_memory=pinned)


class _PersonFit:
    """A detector in training: the network, what moves its weights, and how well each epoch did."""

    def __init__(self, network: SSD, recipe: PersonRecipe, precision: Precision) -> None:
        self.network = network.to(precision.device, memory_format=torch.channels_last)
        self.recipe = recipe
        self.precision = precision
        self.average = MovingAverage(network, recipe.average)
        self.start = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        groups = parameter_groups(network, recipe.weight_decay)
        self.optimiser = torch.optim.AdamW(groups, lr=recipe.learning_rate)
        steps = recipe.epoch_scenes // recipe.batch_size * recipe.epochs
        self.schedule = one_cycle(self.optimiser, steps)
        self.scaler = precision.scaler()
        self.curve: list[dict[str, float]] = []
        self.best: dict[str, torch.Tensor] = {}  # weights of the epoch with the highest score

    def train_epoch(self, loader: DataLoader[Any], epoch: int) -> float:
        """Takes a step a batch; the mean loss of the epoch."""
        self.network.train()
        losses: list[float] = []
        unread: list[torch.Tensor] = []  # losses that are still on the device
        with tqdm(loader, desc=f"Epoch {epoch + 1} of {self.recipe.epochs}", unit="step") as bar:
            for photos, people, unknown in bar:
                unread.append(self._step(photos, people, unknown))
                if len(unread) == _READ_STEPS or len(losses) + len(unread) == len(loader):
                    losses += _finite(torch.stack(unread).tolist(), epoch)
                    unread.clear()
                    bar.set_postfix(loss=f"{losses[-1]:.3f}", refresh=False)
        return sum(losses) / len(losses)

    def _step(self, photos: torch.Tensor, people: list[torch.Tensor], unknown: list[torch.Tensor]) -> torch.Tensor:
        """Moves the weights by one batch; its loss, which stays on the device."""
        device, scaler = self.precision.device, self.scaler
        batch = _normalised(photos.to(device, non_blocking=True), self.recipe)
        with self.precision.autocast():
            loss = detection_loss(self.network, batch, _on_device(people, device), _on_device(unknown, device))
        self.optimiser.zero_grad()
        scaler.scale(loss).backward()
        scaler.unscale_(self.optimiser)
        nn.utils.clip_grad_norm_(self.network.parameters(), _CLIP)
        scale = scaler.get_scale()
        scaler.step(self.optimiser)
        scaler.update()
        if scaler.get_scale() >= scale:  # a lower one says that a gradient was infinite and the step left out
            self.schedule.step()
            self.average.update_parameters(self.network)
        return loss.detach()

    def judge_epoch(self, judged_on: Mapping[str, Sequence[Scene]], epoch: int, loss: float) -> dict[str, float]:
        """Adds the epoch to the curve, and keeps the averaged weights if no epoch before was better."""
        judged = self._blended()
        config = replace(_config(self.recipe), threshold=0.0, second_side=0)
        judge = PersonDetector(judged, config, self.precision.device, self.precision)
        scores: dict[str, float] = {
            name: detection_scores(found_in(judge, scenes), scenes)["average_precision"] or 0.0
            for name, scenes in judged_on.items()
        }
        entry = {"epoch": epoch + 1, "loss": loss, **scores, "score": sum(scores.values()) / len(scores)}
        if not self.curve or entry["score"] > max(earlier["score"] for earlier in self.curve):
            self.best = {name: tensor.clone() for name, tensor in judged.state_dict().items()}
        self.curve.append(entry)
        return entry

    def _blended(self) -> SSD:
        """The averaged weights, brought back towards the start's by the recipe's share."""
        blended: SSD = copy.deepcopy(self.average.module).eval()
        for name, tensor in blended.state_dict().items():
            if tensor.is_floating_point():
                tensor.copy_(torch.lerp(self.start[name], tensor, self.recipe.blend))
        return blended

    def state_dict(self) -> dict[str, Any]:
        """All that the resume file holds."""
        states = {name: getattr(self, name).state_dict() for name in (*_STATEFUL, "scaler")}
        return {"recipe": asdict(self.recipe), "curve": self.curve, "best": self.best, **states}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on from what a resume file holds."""
        for name in _STATEFUL:
            getattr(self, name).load_state_dict(state[name])
        self.curve, self.best = state["curve"], state["best"]
        if scaled := state.get("scaler"):  # empty in any other precision than fp16
            self.scaler.load_state_dict(scaled)


def _save_best(fit: _PersonFit, folder: Path) -> Path:
    """Writes the detector of the best epoch, with its card."""
    fit.network.load_state_dict(fit.best)
    top = max(fit.curve, key=lambda entry: entry["score"])
    training = {"dataset": "ccp", "recipe": asdict(fit.recipe), "epoch": top["epoch"]}
    config = _config(fit.recipe, training=training)
    results = DetectorResults(curve=tuple(fit.curve))
    save_detector(folder, config, fit.network, metrics=results.to_json(), card=detector_card(config, results))
    return folder


def _finite(losses: list[float], epoch: int) -> list[float]:
    """The losses of some steps.

    Raises:
        FitError: If one is not a number.
    """
    for value in losses:
        if not math.isfinite(value):
            raise FitError(f"The loss became {value} in epoch {epoch + 1}. Lower learning_rate.")
    return losses


def list_bystanders(run: Path, data: Path, path: Path, *, precision: Precision | None = None) -> int:
    """Writes whom a first detector finds beside the labelled person of each photo.

    Clothing Co-Parsing labels one person a photo, and people stand in the background of many. A detector that is
    trained with everything beside the person unknown finds them; the list then keeps them out of the grounds and out
    of the negatives of the next.

    Args:
        run: Folder of a fit without the list.
        data: Folder of the data set.
        path: Path to which the list is written.
        precision: Device and number format, as for `fit_person`.

    Returns:
        How many were found.

    Raises:
        FitError: If the run holds no fit.
        DatasetError: If the data set cannot be read.
    """
    state = _read_state(run)
    if not state:
        raise FitError(f"{run} holds no fit. Run fit-person --unlisted there first.")
    recipe = PersonRecipe(**state["recipe"])
    detectors = []
    for zoom in (1, 2):
        network = ssd_lite0(recipe.side * zoom, recipe.mean, recipe.std)
        network.load_state_dict(state["best"])
        config = replace(_config(recipe), side=recipe.side * zoom, second_side=0, threshold=_LEAST_BYSTANDER)
        device = precision.device if precision else None
        detectors.append(PersonDetector(network, config, device, precision))
    dataset = read_ccp(data)
    rows = []
    for photo_id in tqdm(dataset.ids, desc="Looking for bystanders", unit="photo"):
        photo, truth = dataset.pair(photo_id)
        person = person_box(truth)
        known = [person] if person else []
        found = [each for detector in detectors for each in detector.find(photo)]
        for box, _ in sorted(found, key=lambda each: -each.confidence):
            if all(intersection_area(box, other) < 0.5 * box.width * box.height for other in known):
                known.append(box)
                height, width = truth.shape
                rows.append([photo_id, *np.round(corners(box) / [width, height, width, height], 4)])
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "left", "top", "right", "bottom"])
        writer.writerows(rows)
    return len(rows)


def _config(recipe: PersonRecipe, **changes: Any) -> DetectorConfig:
    return DetectorConfig(
        architecture="ssd_lite0",
        side=recipe.side,
        second_side=recipe.second_side,
        mean=recipe.mean,
        std=recipe.std,
        **changes,
    )


def _choice_scenes(choice: Source, recipe: PersonRecipe) -> dict[str, list[Scene]]:
    """The whole photos, and as many scenes of all kinds."""
    made = [make_scene(choice, np.random.default_rng([recipe.seed, 0, n]), recipe.side) for n in range(len(choice))]
    return {"photos": [whole_scene(choice, index, recipe.side) for index in range(len(choice))], "scenes": made}


def _normalised(photos: torch.Tensor, recipe: PersonRecipe) -> torch.Tensor:
    values = photos.float().div_(255).sub_(recipe.mean).div_(recipe.std)
    return values.contiguous(memory_format=torch.channels_last)


def _read_state(out: Path) -> dict[str, Any] | None:
    """The resume file of a run; None if there is none."""
    return read_resume(out / _RESUME, lambda state: PersonRecipe(**state["recipe"]))


def _write_state(out: Path, state: Mapping[str, Any]) -> None:
    """Writes the resume file, so that it is whole or the one before.

    Raises:
        OSError: If it cannot be written; `torch.save` to a full disk raises a RuntimeError that does not say so.
    """
    saved = io.BytesIO()
    torch.save(state, saved)
    out.mkdir(parents=True, exist_ok=True)
    with replacing(out / _RESUME) as part:
        part.write_bytes(saved.getbuffer())
