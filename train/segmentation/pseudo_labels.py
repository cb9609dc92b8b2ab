"""Pseudo-labels: masks for photos that have only tags, by networks that must agree with the tags."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch.nn import functional
from tqdm import tqdm

from segmodels.datasets import Dataset, DatasetError, read_ccp
from segmodels.datasets.ccp import read_ccp_tags
from segmodels.files import open_regular, write_whole
from segmodels.inference.boxes import Box
from segmodels.inference.memory import map_in_parts
from segmodels.inference.segmenter import Segmenter
from segmodels.sentences import first_line
from segmodels.taxonomy import CCP_TO_OUTFIT_15, OUTFIT_15, UNLABELLED
from train.data.reading import read_batches
from train.data.split import SPLITS, read_ids
from train.distributed import gather, this_process
from train.provenance import trained_on

__all__ = ["labelled_by", "photo_probabilities", "pseudo_label", "pseudo_labels_trained_on", "with_pseudo_labels"]

_SUMMARY = "labels.json"
_ALWAYS = frozenset({"Background", "Hair", "Skin"})  # tags of these are forgotten now and then
_SURE = 0.5  # probability below which a pixel is left unlabelled
_FORGOTTEN = 0.1  # probability of all that the tags allow, below which they are taken to have forgotten a garment
_LEAST_SHARE = 0.0005  # of the frame; an asserted class with less is encouraged
_MOST_WEIGHT = 32.0


def pseudo_label(teachers: Sequence[Segmenter], data: Path, out: Path) -> dict[str, Any]:
    """Writes a mask for each tagged photo of Clothing Co-Parsing but the 300 reserved ones.

    Several processes share the photos, each of which is labelled once.

    A class that the tags deny is forbidden; one that they assert and that is not found weighs twice as much until it
    is, up to 32 times. Left unlabelled (255) are pixels of which the networks are not sure, and, where they see all
    asserted classes unaided, those that they surely give to a denied one: there the tags forgot a garment.

    Args:
        teachers: Networks that have seen none of the photos that the student is judged on; their probabilities are
            averaged, each over its own crop of the person.
        data: Folder of Clothing Co-Parsing.
        out: Folder for a palette PNG a photo, at the photo's size, and for `labels.json`, which says how they came
            about.

    Returns:
        What `labels.json` holds.

    Raises:
        DatasetError: If the data set cannot be read, or a teacher is not in the classes of `OUTFIT_15`.
        OSError: If the folder cannot be written.
    """
    for teacher in teachers:
        if teacher.taxonomy.name != OUTFIT_15.name:
            raise DatasetError(f"{teacher.checkpoint.name} is in {teacher.taxonomy.name}; tags are in OUTFIT_15.")
    reserved = set(read_ids(SPLITS / "ccp_tags_reserved.txt"))
    tags = {photo_id: found for photo_id, found in read_ccp_tags(data).items() if photo_id not in reserved}
    out.mkdir(parents=True, exist_ok=True)
    processes = this_process()
    mine = dict(list(tags.items())[processes.rank :: processes.count])
    summary = _summary(teachers, gather(_write_masks(teachers, read_ccp(data), mine, out), processes))
    if processes.is_first:
        write_whole(out / _SUMMARY, json.dumps(summary, indent=1) + "\n")
    return summary


class _Labelled(NamedTuple):
    """What one mask adds to the summary."""

    asserted: frozenset[str]  # names of the classes that the tags assert, without those that need no tag
    found: frozenset[str]  # of these, those that the mask shows
    share_unlabelled: float


def _write_masks(
    teachers: Sequence[Segmenter], dataset: Dataset, tags: Mapping[str, Collection[str]], out: Path
) -> list[_Labelled]:
    """Labels the photos of some tags, those that can be read."""
    labelled = []
    with tqdm(total=len(tags), desc="Labelling", unit="photo", disable=not this_process().is_first) as bar:
        for photos, failed in read_batches(dataset.photo, list(tags), teachers[0].batch_photos):
            for photo_id, error in failed.items():
                bar.write(f"{photo_id} is left out: {error}")
            probabilities = photo_probabilities(teachers, list(photos.values()))
            for photo_id, probability in zip(photos, probabilities, strict=True):
                names = {CCP_TO_OUTFIT_15[tag] for tag in tags[photo_id]}
                class_map = labelled_by(probability, names)
                asserted = frozenset(names - _ALWAYS)
                found = frozenset(name for name in asserted if (class_map == OUTFIT_15[name].id).any())
                labelled.append(_Labelled(asserted, found, float((class_map == UNLABELLED).mean())))
                image = Image.fromarray(class_map)
                image.putpalette(OUTFIT_15.palette.tobytes())
                image.save(out / f"{photo_id}.png")
            bar.update(len(photos) + len(failed))
    return labelled


def _summary(teachers: Sequence[Segmenter], labelled: Sequence[_Labelled]) -> dict[str, Any]:
    """What `labels.json` holds, from what was labelled by all processes."""
    behind = [fit for teacher in teachers for fit in trained_on(teacher.checkpoint.config.training)]
    return {
        "photos": len(labelled),
        "teachers": [f"{teacher.checkpoint.name} {teacher.checkpoint.revision}" for teacher in teachers],
        "trained_on": [fit for place, fit in enumerate(behind) if fit not in behind[:place]],
        "share_unlabelled": float(np.mean([each.share_unlabelled for each in labelled])),
        "asserted": {name: sum(name in each.asserted for each in labelled) for name in OUTFIT_15.names},
        "found_where_asserted": {name: sum(name in each.found for each in labelled) for name in OUTFIT_15.names},
    }


def pseudo_labels_trained_on(folder: Path) -> list[dict[str, Any]]:
    """The fits behind the networks that made pseudo-labels, as `train.provenance.trained_on` gives them.

    Args:
        folder: Folder that `pseudo_label` wrote; one of an earlier version, which records none, gives none.

    Raises:
        DatasetError: If its `labels.json` is damaged.
    """
    path = folder / _SUMMARY
    if not path.is_file():
        return []
    try:
        return list(json.loads(path.read_text(encoding="utf-8")).get("trained_on", []))
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise DatasetError(f"{path} is damaged: {error}. Make the pseudo-labels again.") from None


def labelled_by(probability: torch.Tensor, names: set[str]) -> np.ndarray:
    """The class map, uint8 `(H, W)`, that probabilities and tags give together.

    Args:
        probability: float32 `(C, H, W)` over the classes of `OUTFIT_15`.
        names: Names of the classes that the tags assert; all others but background, hair and skin are forbidden.
    """
    weights = torch.tensor([float(name in names | _ALWAYS) for name in OUTFIT_15.names], device=probability.device)
    allowed = (probability * weights[:, None, None]).sum(dim=0)
    asserted = [OUTFIT_15[name].id for name in names - _ALWAYS]
    unaided = probability.argmax(dim=0)
    all_seen = all((unaided == wanted).float().mean() >= _LEAST_SHARE for wanted in asserted)
    missing = asserted
    while True:
        weighted = probability * weights[:, None, None]
        strongest, class_map = weighted.max(dim=0)
        missing = [wanted for wanted in missing if (class_map == wanted).float().mean() < _LEAST_SHARE]
        missing = [wanted for wanted in missing if weights[wanted] < _MOST_WEIGHT]
        if not missing:
            break
        weights[missing] *= 2
    labelled = strongest >= _SURE * weighted.sum(dim=0)
    if all_seen:  # so what the tags deny is not a mistaken form of what they assert
        labelled &= allowed >= _FORGOTTEN
    return torch.where(labelled, class_map, UNLABELLED).to(torch.uint8).cpu().numpy()


def with_pseudo_labels(dataset: Dataset, folder: Path) -> tuple[Dataset, list[str]]:
    """The data set with pseudo-labelled photos, and the ids of those.

    Args:
        dataset: Clothing Co-Parsing; its own photos stay what they are.
        folder: Folder that `pseudo_label` wrote.

    Raises:
        DatasetError: If there is no mask in the folder.
    """
    ids = sorted({path.stem for path in folder.glob("*.png")} - set(dataset.ids))
    if not ids:
        raise DatasetError(f"{folder} holds no pseudo-labels. Make them: python -m train pseudo-label.")
    pseudo = set(ids)

    def truth_path(photo_id: str) -> Path:
        return folder / f"{photo_id}.png" if photo_id in pseudo else dataset.truth_path(photo_id)

    def read_truth(photo_id: str) -> np.ndarray:
        if photo_id not in pseudo:
            return dataset.read_truth(photo_id)
        try:
            with open_regular(truth_path(photo_id)) as file, Image.open(file) as image:
                return np.array(image)
        except OSError as error:
            raise DatasetError(f"{truth_path(photo_id)} cannot be read: {first_line(error)}.") from None

    return replace(dataset, ids=(*dataset.ids, *ids), truth_path=truth_path, read_truth=read_truth), ids


def photo_probabilities(teachers: Sequence[Segmenter], photos: Sequence[np.ndarray]) -> list[torch.Tensor]:
    """Probabilities of the classes for whole photos, averaged over several networks.

    Args:
        teachers: Networks that are asked.
        photos: Each uint8 `(H, W, 3)` RGB.

    Returns:
        By photo float32 `(C, H, W)` at its size, on the device of the first teacher. What no teacher's crop covers is
        background.
    """
    by_teacher = [map_in_parts(teacher.probabilities, photos, teacher.device) for teacher in teachers]
    return [
        _mean_at_photo_size(seen, photo.shape[0], photo.shape[1], teachers[0].device)
        for photo, *seen in zip(photos, *by_teacher, strict=True)
    ]


def _mean_at_photo_size(
    seen: Sequence[tuple[torch.Tensor, Box]], height: int, width: int, device: torch.device
) -> torch.Tensor:
    """The mean float32 `(C, height, width)` of probabilities in frames of their own."""
    total = torch.zeros(len(OUTFIT_15), height, width, device=device)
    for probability, frame in seen:
        left, top = round(frame.x), round(frame.y)
        size = max(1, round(frame.y + frame.height) - top), max(1, round(frame.x + frame.width) - left)
        large = functional.interpolate(probability[None].to(device), size, mode="bilinear", align_corners=False)[0]
        inside = large[:, max(0, -top) : height - top, max(0, -left) : width - left]
        rows = slice(max(0, top), max(0, top) + inside.shape[1])
        columns = slice(max(0, left), max(0, left) + inside.shape[2])
        total[:, rows, columns] += inside
    total[0] += len(seen) - total.sum(dim=0)  # what no crop covers
    return total / len(seen)
