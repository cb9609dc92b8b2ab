"""Runs that fit, judge and store kinds: on Clothing Co-Parsing, or on a data set of one's own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from segmodels.checkpoints.checkpoint import load_checkpoint, save_results
from segmodels.datasets import Dataset, DatasetError
from segmodels.datasets.flatlay import FlatLays
from segmodels.evaluation.results import EvaluatedPhotos
from segmodels.inference.kinds import Kinds, write_kinds
from segmodels.inference.segmenter import Segmenter
from segmodels.sentences import listed
from train.analysis.kinds.fitting import CCP_WANTED, Lesson, fit
from train.analysis.kinds.judging import judge, with_judgements
from train.analysis.kinds.samples import (
    KindSample,
    Source,
    features_of,
    observe_flatlays,
    observe_masks,
    observe_tags,
    one_part_each,
    teaching,
)
from train.data.split import FOLDS, fold_ids, with_folds
from train.publishing.card import card_of

__all__ = ["KindsData", "OwnKindsData", "fit_and_judge", "fit_and_judge_own", "keep_kinds"]

_CCP_DATA = (
    "Clothing Co-Parsing (Apache-2.0): masks of folds 0 to 4, tags of 600 photos; "
    "flat-lays of the clothing dataset (CC0), part train"
)


@dataclass(frozen=True)
class KindsData:
    """Photos of Clothing Co-Parsing that kinds are learned from and judged on.

    Args:
        dataset: Clothing Co-Parsing.
        tags: Labels by id of the photos that have tags alone.
        reserved: Ids of those of them that judge.
        judged: Ids of the photos with masks that judge.
        ids_file: Name of the file that lists the latter.
        flatlays: Flat-lays; None without any.
    """

    dataset: Dataset
    tags: Mapping[str, Iterable[str]]
    reserved: Sequence[str]
    judged: Sequence[str] = ()
    ids_file: str = ""
    flatlays: FlatLays | None = None


@dataclass(frozen=True)
class OwnKindsData:
    """Photos of a data set of one's own that kinds are learned from and judged on.

    Args:
        dataset: The data set.
        fold: Number of the fold that the network left out; None if it never saw any of the photos.
        folds: Number of folds, where no file tells them.
        judged: Ids of other photos, which judge.
        ids_file: Name of the file that lists them.
    """

    dataset: Dataset
    fold: int | None
    folds: int = FOLDS
    judged: Sequence[str] = ()
    ids_file: str = ""


def fit_and_judge(segmenter: Segmenter, data: KindsData, fold: int, features_folder: Path | None = None) -> Kinds:
    """Fits the kinds of a network's garments, judges them on photos that had no part in it, and drops those that fail.

    All folds teach, whole and in parts, and so do the tags that are not reserved and flat-lays of part `train`. The
    network saw the photos of the folds that it was trained on, so its features of them are somewhat too good: what is
    chosen is chosen on whole photos of the fold that it left out, and on the tagged ones.

    Args:
        segmenter: Segmenter of the network, in the classes of the data set.
        data: Photos.
        fold: Number of the fold that the network left out.
        features_folder: Folder that keeps the features of each photo, from which a fit that was stopped goes on; None
            to keep none. What another network or other labels gave is not used.

    Raises:
        DatasetError: If an id is unknown, or there are too few garments for any class.
    """
    others, left_out = fold_ids(data.dataset, fold)
    data.dataset.select(list(data.judged))  # what is missing is known before the hours of work
    name = data.dataset.name
    taught = [photo_id for photo_id in data.tags if photo_id not in set(data.reserved)]
    own_folder = _own_folder(segmenter, data.dataset, features_folder)
    samples = _folds_observed(segmenter, data.dataset, left_out, others, own_folder)
    samples += observe_tags(segmenter, data.dataset, data.tags, taught, own_folder)
    if data.flatlays:
        samples += observe_flatlays(segmenter, teaching(data.flatlays), own_folder)
    photos: dict[Source, EvaluatedPhotos] = {
        "masks": EvaluatedPhotos(dataset=name, split="fold", fold=fold),
        "tags": EvaluatedPhotos(dataset=name, split="ids", ids_file="tags that are not reserved"),
    }
    chosen = set(left_out) | set(taught)
    lesson = Lesson(
        kinds={garment: tuple(kinds) for garment, kinds in data.dataset.kinds.items()},
        data=_CCP_DATA,
        photos=photos,
        choice=lambda each: each.framing == "full" and each.photo_id in chosen,
        wanted=CCP_WANTED,
    )
    kinds = fit(samples, lesson, segmenter.checkpoint)
    photos = {
        "masks": EvaluatedPhotos(dataset=name, split="ids", ids_file=data.ids_file),
        "tags": EvaluatedPhotos(dataset=name, split="ids", ids_file="ccp_tags_reserved.txt"),
        "flat-lays": EvaluatedPhotos(dataset="flatlay", split="test"),
    }
    held_out = observe_masks(segmenter, data.dataset, data.judged, features_folder=own_folder) if data.judged else []
    held_out += observe_tags(segmenter, data.dataset, data.tags, data.reserved, own_folder)
    if data.flatlays:
        held_out += observe_flatlays(segmenter, data.flatlays.part("test"), own_folder)
    return with_judgements(kinds, judge(kinds, held_out, photos))


def fit_and_judge_own(segmenter: Segmenter, data: OwnKindsData, features_folder: Path | None = None) -> Kinds:
    """Does what `fit_and_judge` does on a data set of one's own, whose folds are left out by turns.

    All folds teach, whole and in parts. What is chosen is chosen on whole photos that the network never saw: those of
    the fold that it left out, or all of them. The same photos give the cross-validated scores. Other photos judge as
    well where they are named.

    Args:
        segmenter: Segmenter of a network that has the classes whose kinds the data set names.
        data: Photos.
        features_folder: Folder that keeps the features of each photo, as in `fit_and_judge`.

    Raises:
        DatasetError: If the data set names no kinds of a class that the network finds, an id is unknown, a photo both
            teaches and judges, or there are too few garments for any class.
    """
    data.dataset.select(list(data.judged))
    found = {garment.name for garment in segmenter.taxonomy.worn}
    lacking = [name for name in data.dataset.kinds if name not in found]
    if not found & set(data.dataset.kinds):
        raise DatasetError(
            f"{data.dataset.name} names kinds of {listed(lacking)}, and none of these is a garment or accessory of "
            f"{segmenter.checkpoint.name}, which finds {listed(sorted(found), 20)}. Correct the classes in kinds.csv, "
            "or train the network on this data set first."
        )
    dataset = with_folds(data.dataset, data.folds)
    folds = dataset.folds or {}
    if both := [photo_id for photo_id in data.judged if photo_id in folds]:
        raise DatasetError(
            f"{listed(both)} of {data.ids_file} are in the folds, which teach. Leave them out of split.csv, or judge "
            "without --ids: then each fold is judged by what the others taught."
        )
    others, left_out = fold_ids(dataset, min(folds.values(), default=0) if data.fold is None else data.fold)
    own_folder = _own_folder(segmenter, dataset, features_folder)
    samples = _folds_observed(segmenter, dataset, left_out, others, own_folder)
    unseen = {*left_out} if data.fold is not None else {*left_out, *others}
    where = EvaluatedPhotos(dataset=dataset.name, split="all" if data.fold is None else "fold", fold=data.fold)
    lesson = Lesson(
        kinds={name: tuple(kinds) for name, kinds in dataset.kinds.items() if name in found},
        data=f"{dataset.name}: masks of {len(folds)} photos",
        photos={"masks": where},
        choice=lambda each: each.framing == "full" and each.photo_id in unseen,
        folds=folds,
        judged_elsewhere=bool(data.judged),
    )
    kinds = fit(samples, lesson, segmenter.checkpoint)
    more = dict.fromkeys(lacking, f"no garment or accessory of {segmenter.checkpoint.name} has this name")
    kinds = replace(kinds, config=replace(kinds.config, left_out={**kinds.config.left_out, **more}))
    if not data.judged:
        return kinds
    held_out = observe_masks(segmenter, dataset, data.judged, features_folder=own_folder)
    judged_on = EvaluatedPhotos(dataset=dataset.name, split="ids", ids_file=data.ids_file)
    return with_judgements(kinds, judge(kinds, held_out, {"masks": judged_on}))


def keep_kinds(folder: Path, kinds: Kinds) -> None:
    """Writes kinds into a checkpoint, and their scores into the model card.

    Args:
        folder: Folder of the checkpoint.
        kinds: Kinds of its classes.

    Raises:
        OSError: If the folder cannot be written.
    """
    write_kinds(folder, kinds)
    checkpoint = load_checkpoint(folder)
    save_results(folder, checkpoint.results, card=card_of(checkpoint, checkpoint.results))


def _own_folder(segmenter: Segmenter, dataset: Dataset, features_folder: Path | None) -> Path | None:
    return features_of(features_folder, segmenter.checkpoint.revision, dataset) if features_folder else None


def _folds_observed(
    segmenter: Segmenter, dataset: Dataset, left_out: Sequence[str], others: Sequence[str], own_folder: Path | None
) -> list[KindSample]:
    """Garments of one fold in all framings, and of the others whole and in one part each."""
    samples = observe_masks(segmenter, dataset, left_out, features_folder=own_folder)
    samples += observe_masks(segmenter, dataset, others, ["full"], own_folder)
    for framing, ids in one_part_each(others).items():
        samples += observe_masks(segmenter, dataset, ids, [framing], own_folder)
    return samples
