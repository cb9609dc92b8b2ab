"""Fits and judges what tells kinds of garments apart: skirts from dresses, boots from heels.

The labels of Clothing Co-Parsing are finer than the classes of the network. A mask gives the label of a garment; the
tags of a photo without masks give it where they name one kind of the class alone; a flat-lay has a label of its own.
Kinds that are not told apart well enough do not ship: see `ABOVE_MAJORITY` and `ANSWERED`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from tqdm import tqdm

from segmodels.archive.intervals import wilson
from segmodels.checkpoints.checkpoint import Checkpoint, load_checkpoint, save_results
from segmodels.datasets import Dataset, DatasetError
from segmodels.datasets.flatlay import FlatLay, FlatLays
from segmodels.evaluation.results import EvaluatedPhotos
from segmodels.files import replacing
from segmodels.inference.kinds import (
    ClassKinds,
    KindJudgement,
    Kinds,
    KindsConfig,
    Proportion,
    write_kinds,
)
from segmodels.inference.segmenter import Segmenter
from segmodels.photo import PhotoError
from train.analysis.flatlays import choice_ids, training_ids
from train.analysis.framing import FRAMINGS, draw, framed
from train.analysis.wild import main_person
from train.data.split import fold_ids
from train.publishing.card import card_of

__all__ = [
    "ABOVE_MAJORITY",
    "FLATLAY_KINDS",
    "LABELS",
    "WANTED",
    "KindSample",
    "KindsData",
    "Source",
    "fit",
    "fit_and_judge",
    "judge",
    "judgement_line",
    "keep_kinds",
    "label_of_mask",
    "label_of_tags",
    "observe_flatlays",
    "observe_masks",
    "observe_tags",
    "with_judgements",
    "without_failed",
]

Source = Literal["masks", "tags", "flat-lays"]

LABELS: Mapping[str, Mapping[str, str]] = {
    "Dress": {"dress": "dress", "skirt": "skirt"},
    "Pants": {"trousers": "pants", "jeans": "jeans", "leggings": "leggings tights"},
    "Coat": {"coat": "coat cape", "jacket/cardigan": "jacket blazer suit cardigan"},
    "Shirt": {
        "shirt/blouse": "shirt blouse",
        "t-shirt/top": "t-shirt top vest",
        "sweater": "sweater sweatshirt jumper hoodie",
    },
    "Footwear": {
        "boots": "boots",
        "sandals": "sandals",
        "heels": "heels pumps wedges",
        "sneakers": "sneakers",
        "flats": "flats loafers clogs",
    },
    "Glasses": {"sunglasses": "sunglasses", "glasses": "glasses"},
    "Scarf/Tie": {"scarf": "scarf", "tie": "tie"},
    "Socks": {"socks": "socks", "stockings": "stockings"},
}
"""Labels of Clothing Co-Parsing, by class and kind. A label of none, such as `shoes`, says nothing of the kind.

Vests, which are tops without sleeves there, and cardigans are too rare to be kinds of their own.
"""

FLATLAY_KINDS: Mapping[str, str] = {
    "Dress": "dress",
    "Skirt": "skirt",
    "Shirt": "shirt/blouse",
    "Blouse": "shirt/blouse",
    "T-Shirt": "t-shirt/top",
    "Longsleeve": "t-shirt/top",
    "Top": "t-shirt/top",
    "Undershirt": "t-shirt/top",
    "Polo": "t-shirt/top",
    "Hoodie": "sweater",
    "Blazer": "jacket/cardigan",
}
"""Kind by the label of a flat-lay; other labels, such as `Outwear` and `Pants`, say nothing of the kind."""

WANTED: Mapping[str, float] = {
    "Dress": 0.88,
    "Pants": 0.80,
    "Glasses": 0.90,
    "Footwear": 0.65,
    "Shirt": 0.65,
    "Coat": 0.65,
}
"""Accuracy to aim for where a kind is named, by class; `_WANTED_ELSEWHERE` for others."""

ABOVE_MAJORITY = 0.15
"""Least difference between the accuracy and that of always naming the most frequent kind; below it a class has none."""

ANSWERED = 0.70
"""Least share of garments whose kind must be named."""

_WANTED_ELSEWHERE = 0.80
_FOLDS = 6
_INVERSE_PENALTY = 0.003  # scikit-learn's C
_AIM = 0.03  # above the accuracy that was asked for, and above the share to answer: other photos are harder
_CLEAR = 0.6  # share of a class's pixels under a mask that one kind must hold
_OF_CLASS = 0.3  # share of a mask's pixels that must be of its class
_WEIGHTS: Mapping[str, float] = {"part": 0.5, "flat-lays": 0.3}  # of a sample, where a whole photo of a person has 1
_CLEARLY = 1.1  # times the probability of each kind if all were as likely: the least from which one is named
_MOST_FLATLAYS = 120  # of each label
_SAMPLES = 2000
_DATA = (
    "Clothing Co-Parsing (Apache-2.0): masks of folds 0 to 4, tags of 600 photos; "
    "flat-lays of the clothing dataset (CC0), part train"
)


@dataclass(frozen=True)
class KindsData:
    """Photos that kinds are learned from and judged on.

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


@dataclass(frozen=True, eq=False)
class KindSample:
    """A garment that was found and whose kind is known.

    Args:
        photo_id: Id of the photo; samples of one photo are kept together in cross-validation.
        source: Where its kind is known from.
        framing: Part of the person that the photo shows.
        garment: Name of the class.
        kind: Name of the kind.
        features: Features from `segmodels.architectures.feature_maps.pool_features`.
    """

    photo_id: str
    source: Source
    framing: str
    garment: str
    kind: str
    features: np.ndarray


def label_of_mask(counts: Mapping[str, int], garment: str, aliases: Mapping[str, str]) -> str | None:
    """Kind of a garment from the labels of the pixels under its mask; None if they do not say.

    At least 30 % of the pixels must be of the class, and 60 % of those of one kind.

    Args:
        counts: Number of pixels under the mask, by label.
        garment: Name of the class.
        aliases: Class by label.
    """
    own = sum(count for label, count in counts.items() if aliases.get(label) == garment)
    if not own or own < _OF_CLASS * sum(counts.values()):
        return None
    by_kind = {kind: sum(counts.get(label, 0) for label in labels.split()) for kind, labels in LABELS[garment].items()}
    best = max(by_kind, key=lambda kind: by_kind[kind])
    return best if by_kind[best] >= _CLEAR * own else None


def label_of_tags(tags: Iterable[str], garment: str, aliases: Mapping[str, str]) -> str | None:
    """Kind of a photo's garment from its tags; None if those of the class are not all of one kind.

    Args:
        tags: Labels of the photo.
        garment: Name of the class.
        aliases: Class by label.
    """
    kind_of = {label: kind for kind, labels in LABELS[garment].items() for label in labels.split()}
    kinds = {kind_of.get(tag, "") for tag in tags if aliases.get(tag) == garment}
    return kinds.pop() or None if len(kinds) == 1 else None


def observe_masks(
    segmenter: Segmenter,
    dataset: Dataset,
    ids: Sequence[str],
    framings: Sequence[str] = tuple(FRAMINGS),
    features_folder: Path | None = None,
) -> list[KindSample]:
    """Garments on photos with masks, cut to framings; a photo that cannot be read or cut is named and left out.

    Args:
        segmenter: Segmenter in the classes of the data set.
        dataset: Photos with labels for each of their pixels.
        ids: Ids of the photos.
        framings: Keys in `FRAMINGS`.
        features_folder: Folder of what was observed before, of the same network and labels; None for none.

    Raises:
        DatasetError: If the data set has no labels, or an id is unknown.
    """
    if dataset.read_labels is None:
        raise DatasetError(
            f"{dataset.name} has no labels that are finer than its classes. Name one that has, such as ccp."
        )
    read_labels = dataset.read_labels

    def observe(framing: str, photo_id: str) -> list[KindSample]:
        photo, truth = dataset.pair(photo_id)
        both, _ = framed(framing, np.dstack([photo, read_labels(photo_id)]), truth, photo_id)
        segmentation, features = segmenter.segment_with_kind_features(np.ascontiguousarray(both[..., :3]))
        samples = []
        for garment, each in zip(segmentation.garments, features, strict=True):
            if garment.name not in LABELS:
                continue
            pixels = np.bincount(both[..., 3][segmentation.mask(garment)], minlength=len(dataset.labels))
            kind = label_of_mask(dict(zip(dataset.labels, pixels.tolist(), strict=True)), garment.name, dataset.aliases)
            if kind:
                samples.append(KindSample(photo_id, "masks", framing, garment.name, kind, each))
        return samples

    wanted = [(framing, photo_id) for framing in framings for photo_id in dataset.select(list(ids))]
    return _observe(wanted, observe, "masks", features_folder)


def observe_tags(
    segmenter: Segmenter,
    dataset: Dataset,
    tags: Mapping[str, Iterable[str]],
    ids: Sequence[str],
    features_folder: Path | None = None,
) -> list[KindSample]:
    """Garments of the main person on photos that have tags alone.

    Args:
        segmenter: Segmenter in the classes of the data set.
        dataset: Data set of the photos.
        tags: Labels by id of the photo.
        ids: Ids of the photos.
        features_folder: Folder of what was observed before, of the same network and labels; None for none.
    """

    def observe(framing: str, photo_id: str) -> list[KindSample]:
        segmentation, features = segmenter.segment_with_kind_features(dataset.photo(photo_id))
        main = main_person(segmentation)
        samples = []
        for garment, each in zip(segmentation.garments, features, strict=True):
            if garment.person != main or garment.name not in LABELS:
                continue
            if kind := label_of_tags(tags[photo_id], garment.name, dataset.aliases):
                samples.append(KindSample(photo_id, "tags", framing, garment.name, kind, each))
        return samples

    return _observe([("full", photo_id) for photo_id in ids], observe, "tags", features_folder)


def observe_flatlays(segmenter: Segmenter, flatlays: FlatLays, features_folder: Path | None = None) -> list[KindSample]:
    """The largest garment of each flat-lay whose label says its kind, where it is of the class of the label.

    Args:
        segmenter: Segmenter in the classes of the labels.
        flatlays: Photos.
        features_folder: Folder of what was observed before, of the same network and labels; None for none.
    """
    by_id = {photo.id: photo for photo in flatlays.photos if photo.label in FLATLAY_KINDS}

    def observe(framing: str, photo_id: str) -> list[KindSample]:
        photo = by_id[photo_id]
        segmentation, features = segmenter.segment_with_kind_features(flatlays.open(photo))
        found = zip(segmentation.garments, features, strict=True)
        largest = max(found, key=lambda pair: pair[0].area_share, default=None)
        if largest is None or largest[0].name != photo.garment:
            return []
        return [KindSample(photo_id, "flat-lays", framing, photo.garment, FLATLAY_KINDS[photo.label], largest[1])]

    return _observe([("full", photo_id) for photo_id in by_id], observe, "flat-lays", features_folder)


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
    own_folder = _folder_of(features_folder, segmenter.checkpoint.revision) if features_folder else None
    samples = observe_masks(segmenter, data.dataset, left_out, features_folder=own_folder)
    samples += observe_masks(segmenter, data.dataset, others, ["full"], own_folder)
    for framing, ids in _one_part_each(others).items():
        samples += observe_masks(segmenter, data.dataset, ids, [framing], own_folder)
    samples += observe_tags(segmenter, data.dataset, data.tags, taught, own_folder)
    if data.flatlays:
        samples += observe_flatlays(segmenter, _teaching(data.flatlays), own_folder)
    photos: dict[Source, EvaluatedPhotos] = {
        "masks": EvaluatedPhotos(dataset=name, split="fold", fold=fold),
        "tags": EvaluatedPhotos(dataset=name, split="ids", ids_file="tags that are not reserved"),
    }
    chosen = set(left_out) | set(taught)
    kinds = fit(samples, lambda each: each.framing == "full" and each.photo_id in chosen, photos, segmenter.checkpoint)
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


def with_judgements(kinds: Kinds, judgements: Sequence[KindJudgement]) -> Kinds:
    """Kinds with scores on other photos, without the classes that these say are not told apart well enough."""
    config = replace(kinds.config, judgements=(*kinds.config.judgements, *judgements))
    return without_failed(Kinds(config, kinds.weights, kinds.biases), "held out")


def fit(
    samples: Sequence[KindSample],
    choice: Callable[[KindSample], bool],
    photos: Mapping[Source, EvaluatedPhotos],
    checkpoint: Checkpoint,
) -> Kinds:
    """Fits the kinds of each class, with cross-validated scores; those that are not told apart well have none.

    For each class, a multinomial logistic regression on standardised features. Its temperature and the probabilities
    from which a kind is named are chosen on the cross-validated probabilities of some of the samples.

    Args:
        samples: Garments of the fit.
        choice: Whether a sample is one of those to choose by.
        photos: The photos to choose by, by source, for the record.
        checkpoint: Checkpoint of the network that gave the features.

    Raises:
        DatasetError: If there are too few garments for any class.
    """
    classes: dict[str, ClassKinds] = {}
    coefficients, biases = {}, {}
    judgements: list[KindJudgement] = []
    left_out: dict[str, str] = {}
    for garment, labels in LABELS.items():
        own = [sample for sample in samples if sample.garment == garment]
        names = tuple(labels)
        held_out = _cross_validated(own, names)
        if held_out is None:
            left_out[garment] = "too few garments of some kind"
            continue
        truth = np.array([names.index(sample.kind) for sample in own])
        chosen = np.array([choice(sample) for sample in own])
        temperature = _temperature(held_out[chosen], truth[chosen])
        held_out = _softened(held_out, temperature)
        thresholds = _thresholds(held_out[chosen], truth[chosen], WANTED.get(garment, _WANTED_ELSEWHERE))
        weight, bias = _regression(own, names)
        classes[garment] = ClassKinds(names=names, thresholds=thresholds)
        coefficients[garment], biases[garment] = weight / temperature, bias / temperature
        rows = np.flatnonzero(chosen)
        judgements += _judgements(
            garment, classes[garment], [own[row] for row in rows], held_out[rows], photos, "cross-validated"
        )
    if not classes:
        raise DatasetError(
            "There are too few garments for the kinds of any class; some hundred of each make good ones."
        )
    config = KindsConfig(
        taxonomy=checkpoint.taxonomy.name,
        weights=checkpoint.revision,
        classes=classes,
        features=len(samples[0].features),
        data=_DATA,
        left_out=left_out,
        judgements=tuple(judgements),
    )
    return without_failed(Kinds(config, coefficients, biases), "cross-validated")


def judge(
    kinds: Kinds, samples: Sequence[KindSample], photos: Mapping[Source, EvaluatedPhotos]
) -> tuple[KindJudgement, ...]:
    """Scores of kinds on photos that they were not fitted on, by class, source and framing.

    Args:
        kinds: Kinds to judge.
        samples: Garments whose kind is known.
        photos: The photos, by source, for the record.
    """
    found: list[KindJudgement] = []
    for garment, known in kinds.config.classes.items():
        own = [sample for sample in samples if sample.garment == garment and sample.kind in known.names]
        answers = [kinds.probabilities(garment, sample.features) or {} for sample in own]
        probabilities = np.array([list(answer.values()) for answer in answers])
        found += _judgements(garment, known, own, probabilities, photos, "held out")
    return tuple(found)


def without_failed(kinds: Kinds, how: Literal["cross-validated", "held out"]) -> Kinds:
    """The kinds without those of the classes that are not told apart well enough on whole photos.

    All whole photos with masks or tags count together. Needed are an accuracy `ABOVE_MAJORITY` above that of always
    naming the most frequent kind, and `ANSWERED` of the garments named.

    Args:
        kinds: Kinds with scores.
        how: Scores that count.
    """
    config = kinds.config
    left_out = dict(config.left_out)
    for garment in config.classes:
        own = [
            each
            for each in config.judgements_of(garment)
            if each.how == how and each.framing == "full" and each.photos.dataset != "flatlay"
        ]
        if not own:
            continue
        together = _summed(own)
        if together.accuracy.value < together.majority + ABOVE_MAJORITY:
            left_out[garment] = (
                f"accuracy {together.accuracy.value:.2f} {how}, the most frequent kind alone {together.majority:.2f}"
            )
        elif together.answered < ANSWERED:
            left_out[garment] = f"{together.answered:.0%} of garments named {how}, wanted {ANSWERED:.0%}"
    kept = {name: known for name, known in config.classes.items() if name not in left_out}
    return Kinds(
        replace(
            config,
            classes=kept,
            left_out=left_out,
            judgements=tuple(each for each in config.judgements if each.garment in kept),
        ),
        {name: kinds.weights[name] for name in kept},
        {name: kinds.biases[name] for name in kept},
    )


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


def judgement_line(judgement: KindJudgement) -> str:
    """A line on the terminal: the scores of the kinds of a class on some photos."""
    accuracy = judgement.accuracy
    return (
        f"{judgement.garment}, {judgement.photos}, {judgement.framing}, {judgement.how}: "
        f"{judgement.garments} garments, "
        f"{judgement.answered:.0%} named, accuracy {accuracy.value:.3f} ({accuracy.low:.3f} to {accuracy.high:.3f}), "
        f"balanced {judgement.balanced_accuracy:.3f}, most frequent kind {judgement.majority:.3f}"
    )


def _observe(
    wanted: Sequence[tuple[str, str]],
    observe: Callable[[str, str], list[KindSample]],
    source: Source,
    features_folder: Path | None,
) -> list[KindSample]:
    """Samples of each pair of a framing and a photo id; a photo that cannot be read is named and left out."""
    samples: list[KindSample] = []
    with tqdm(wanted, desc="Observing", unit="photo") as bar:
        for framing, photo_id in bar:
            name = hashlib.sha256(f"{source}/{framing}/{photo_id}".encode()).hexdigest()[:20]
            path = features_folder / f"{name}.npz" if features_folder else None
            try:
                if path and path.exists():
                    samples += _read_samples(path, photo_id, source, framing)
                    continue
                found = observe(framing, photo_id)
            except (DatasetError, PhotoError) as error:
                bar.write(f"{photo_id} is left out: {error}")
                continue
            samples += found
            if path:
                _write_samples(path, found)
    return samples


def _folder_of(features_folder: Path, revision: str) -> Path:
    """Folder, within that of all features, of those of one network and of the labels as they are now."""
    labels = hashlib.sha256(json.dumps([LABELS, FLATLAY_KINDS, _OF_CLASS, _CLEAR]).encode()).hexdigest()[:8]
    folder = features_folder / f"{revision}-{labels}"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _write_samples(path: Path, samples: Sequence[KindSample]) -> None:
    """Writes what one photo gave, atomically."""
    with replacing(path) as part, part.open("wb") as file:
        np.savez(
            file,
            garments=np.array([sample.garment for sample in samples], np.str_),
            kinds=np.array([sample.kind for sample in samples], np.str_),
            features=np.array([sample.features for sample in samples], np.float32),
        )


def _read_samples(path: Path, photo_id: str, source: Source, framing: str) -> list[KindSample]:
    with np.load(path, allow_pickle=False) as stored:
        return [
            KindSample(photo_id, source, framing, str(garment), str(kind), features)
            for garment, kind, features in zip(stored["garments"], stored["kinds"], stored["features"], strict=True)
        ]


def _one_part_each(ids: Sequence[str]) -> dict[str, list[str]]:
    """Ids by the one framing, other than the whole photo, that teaches beside it."""
    parts = [name for name in FRAMINGS if FRAMINGS[name] is not None]
    chosen: dict[str, list[str]] = {name: [] for name in parts}
    for photo_id in ids:
        chosen[parts[int(len(parts) * draw(photo_id, "kinds"))]].append(photo_id)
    return chosen


def _teaching(flatlays: FlatLays) -> FlatLays:
    """Flat-lays that teach: of each label that says the kind, as many as `_MOST_FLATLAYS`, of part `train`."""
    usable = {*choice_ids(), *training_ids(flatlays)}
    by_label: dict[str, list[FlatLay]] = {}
    for photo in sorted(flatlays.part("train").photos, key=lambda photo: draw(photo.id, "kinds")):
        if photo.label in FLATLAY_KINDS and photo.id in usable:
            by_label.setdefault(photo.label, []).append(photo)
    return replace(flatlays, photos=tuple(photo for some in by_label.values() for photo in some[:_MOST_FLATLAYS]))


def _weights(samples: Sequence[KindSample]) -> np.ndarray:
    """Weight of each sample: flat-lays and parts of a photo say less of whole photos than whole photos do."""
    return np.array([_WEIGHTS.get("part" if sample.framing != "full" else sample.source, 1.0) for sample in samples])


def _regression(samples: Sequence[KindSample], names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Weight `(kinds, features)` and bias `(kinds,)` on features as they are, fitted on standardised ones."""
    features = np.array([sample.features for sample in samples], np.float64)
    kinds = np.array([names.index(sample.kind) for sample in samples])
    mean, scale = features.mean(axis=0), features.std(axis=0) + 1e-6
    model = LogisticRegression(C=_INVERSE_PENALTY, max_iter=500)
    model.fit((features - mean) / scale, kinds, sample_weight=_weights(samples))
    weight, bias = model.coef_, model.intercept_
    if len(names) == 2:  # scikit-learn gives the log odds of the second alone
        weight, bias = np.vstack([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    weight = weight / scale
    return weight, bias - weight @ mean


def _cross_validated(samples: Sequence[KindSample], names: Sequence[str]) -> np.ndarray | None:
    """Log odds of each kind `(samples, kinds)`, each by a regression that did not see the photo; None for too few."""
    ids = np.array([sample.photo_id for sample in samples])
    odds = np.zeros((len(samples), len(names)))
    photos = [len({sample.photo_id for sample in samples if sample.kind == name}) for name in names]
    if min(photos) < 2 * _FOLDS:
        return None
    for train, test in GroupKFold(_FOLDS, shuffle=True, random_state=0).split(odds, groups=ids):
        some = [samples[index] for index in train]
        if {sample.kind for sample in some} != set(names):
            return None
        weight, bias = _regression(some, names)
        odds[test] = np.array([samples[index].features for index in test], np.float64) @ weight.T + bias
    return odds


def _temperature(odds: np.ndarray, truth: np.ndarray) -> float:
    """Divisor of the log odds that makes the truth likeliest (Guo et al. 2017, *On Calibration*, section 4.2)."""
    tried = np.geomspace(0.3, 5, 60)
    losses = [-np.log(_softened(odds, each)[np.arange(len(truth)), truth] + 1e-9).mean() for each in tried]
    return float(tried[int(np.argmin(losses))])


def _softened(odds: np.ndarray, temperature: float) -> np.ndarray:
    """Softmax of log odds `(n, kinds)` divided by a temperature."""
    scaled = np.exp((odds - odds.max(axis=1, keepdims=True)) / temperature)
    shares: np.ndarray = scaled / scaled.sum(axis=1, keepdims=True)
    return shares


def _thresholds(probabilities: np.ndarray, truth: np.ndarray, wanted: float) -> tuple[float, ...]:
    """Probability of each kind from which it is named: one for all, and more for the most frequent.

    The most frequent kind is what a garment is taken for where its features say little. The pair of numbers is the one
    that names most garments while as many are right as wanted and `ABOVE_MAJORITY` more than are of the most frequent
    kind, both with a margin; or, where none does, the one that comes nearest while enough are named.
    """
    likeliest, top = probabilities.argmax(axis=1), probabilities.max(axis=1)
    kinds = probabilities.shape[1]
    frequent = int(np.bincount(truth, minlength=kinds).argmax())
    best, found = (-np.inf, -np.inf), (0.0, 0.0)
    for base in np.arange(_CLEARLY / kinds, 0.9, 0.01):
        for more in np.arange(0, 0.45, 0.05):
            named = top >= base + more * (likeliest == frequent)
            share = float(named.mean())
            if share < ANSWERED + _AIM:
                continue
            right = float((likeliest[named] == truth[named]).mean())
            spare = min(right - wanted, right - np.bincount(truth[named]).max() / named.sum() - ABOVE_MAJORITY) - _AIM
            if (rank := (min(spare, 0.0), share)) > best:
                best, found = rank, (float(base), float(more))
    base, more = found
    return tuple(round(min(1.0, base + more * (kind == frequent)), 2) for kind in range(kinds))


def _judgements(
    garment: str,
    known: ClassKinds,
    samples: Sequence[KindSample],
    probabilities: np.ndarray,
    photos: Mapping[Source, EvaluatedPhotos],
    how: Literal["cross-validated", "held out"],
) -> list[KindJudgement]:
    """Scores by source and framing."""
    groups: dict[tuple[Source, str], list[int]] = {}
    for index, sample in enumerate(samples):
        groups.setdefault((sample.source, sample.framing), []).append(index)
    return [
        _judgement(garment, known, [samples[i] for i in rows], probabilities[rows], photos[source], how, framing)
        for (source, framing), rows in groups.items()
    ]


def _judgement(
    garment: str,
    known: ClassKinds,
    samples: Sequence[KindSample],
    probabilities: np.ndarray,
    photos: EvaluatedPhotos,
    how: Literal["cross-validated", "held out"],
    framing: str,
) -> KindJudgement:
    truth = np.array([known.names.index(sample.kind) for sample in samples])
    likeliest = probabilities.argmax(axis=1)
    least = np.array(known.thresholds)[likeliest]
    answers = np.where(probabilities.max(axis=1) >= least, likeliest, len(known.names))
    matrix = np.zeros((len(known.names), len(known.names) + 1), int)
    np.add.at(matrix, (truth, answers), 1)
    ids = [sample.photo_id for sample in samples]
    behind: list[list[list[str]]] = [[[] for _ in row] for row in matrix]
    for photo_id, row, column in zip(ids, truth, answers, strict=True):
        behind[row][column].append(photo_id)
    return KindJudgement(
        garment=garment,
        photos=replace(photos, number=len(set(ids))),
        how=how,
        framing=framing,
        garments=len(samples),
        accuracy=_interval(answers == truth, answers < len(known.names), ids),
        accuracy_of_all=float((likeliest == truth).mean()),
        matrix=tuple(map(tuple, matrix.tolist())),
        photo_ids=tuple(tuple("\n".join(cell) for cell in row) for row in behind) if how == "held out" else (),
        **_scores(matrix),
    )


def _scores(matrix: np.ndarray) -> dict[str, float]:
    """Share that is named, balanced accuracy and share of the most frequent kind among those named."""
    named = matrix[:, :-1]
    each = named.sum(axis=1)
    shown = each > 0
    return {
        "answered": float(named.sum() / max(matrix.sum(), 1)),
        "balanced_accuracy": float((named.diagonal()[shown] / each[shown]).mean()) if shown.any() else 0.0,
        "majority": float(each.max() / each.sum()) if shown.any() else 0.0,
    }


def _interval(right: np.ndarray, named: np.ndarray, ids: Sequence[str]) -> Proportion:
    """Share of the named that are right, with its interval over draws of photos."""
    _, place = np.unique(ids, return_inverse=True)
    rights, nameds = (np.bincount(place, values & named) for values in (right, named))
    draws = np.random.default_rng(0).multinomial(len(rights), np.full(len(rights), 1 / len(rights)), _SAMPLES)
    shares = (draws @ rights) / np.maximum(draws @ nameds, 1)
    low, high = np.quantile(shares, (0.025, 0.975))
    return Proportion(value=float(rights.sum() / max(nameds.sum(), 1)), low=float(low), high=float(high))


def _summed(judgements: Sequence[KindJudgement]) -> KindJudgement:
    """Scores over several groups of photos together; the interval is Wilson's, over garments."""
    matrix = np.sum([each.matrix for each in judgements], axis=0)
    named, right = int(matrix[:, :-1].sum()), int(matrix[:, :-1].trace())
    low, high = wilson([right], [named])
    scores = _scores(matrix)
    return replace(
        judgements[0],
        garments=int(matrix.sum()),
        matrix=tuple(map(tuple, matrix.tolist())),
        accuracy=Proportion(value=right / max(named, 1), low=float(low[0]), high=float(high[0])),
        answered=scores["answered"],
        balanced_accuracy=scores["balanced_accuracy"],
        majority=scores["majority"],
    )
