"""From a photo to its segmentation: crop, network, and the class map back at the photo's own size."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from segmodels.architectures.compiled import CompiledNetwork, check_runtime
from segmodels.architectures.feature_maps import WithFeatureMaps, has_feature_maps, logits_and_maps, pool_features
from segmodels.architectures.folding import fold_batch_norm
from segmodels.checkpoints.checkpoint import Checkpoint
from segmodels.checkpoints.config import NetworkConfig
from segmodels.device import Precision, keep_memory, pick_device, pick_precision, tune
from segmodels.foreign.network import ForeignNetwork
from segmodels.inference.boxes import Box, box_of, crop_around, cut, whole_pixels, whole_size
from segmodels.inference.detector import FoundPerson, PersonDetector, load_detector
from segmodels.inference.embedding import Embedding
from segmodels.inference.kinds import Kinds
from segmodels.inference.memory import map_in_parts, run_in_parts
from segmodels.inference.photo_size import blend, drop_specks, merge, open_maps
from segmodels.inference.presence import doubts, features
from segmodels.inference.regions import Region, from_left_to_right, is_unsure_or_large, people_to_segment
from segmodels.inference.segmentation import Garment, Person, Segmentation, measure
from segmodels.photo import Photo, decode_photo
from segmodels.settings import read_settings
from segmodels.taxonomy import Taxonomy

__all__ = ["PhotoSource", "Segmenter"]

PhotoSource = np.ndarray | Photo | Image.Image | bytes | str | Path
"""A photo: uint8 `(H, W, 3)` RGB, upright; a `segmodels.photo.Photo`; or what `segmodels.photo.open_photo` takes."""

_MIN_COMPONENT = 0.1
_WORTH_A_REFINE_PASS = 0.85
_DETECTOR_MARGIN = 0.15  # of the box's longer side, for the coarse pass: a hat or a bag may stick out of the box
_REGION_MARGIN = 0.05  # the same, around what belongs to one of several people: the detector's boxes are 3 % off
_WHOLE_FROM_HEIGHT = 0.6  # share of the photo's height from which the coarse pass over a single person takes all of it
_GPU_BATCH = 8
_CELL = 4  # side, in pixels of the input, of the cells over which probabilities are averaged for presence and kinds


class Segmenter:
    """A checkpoint that runs. One instance serves any number of threads.

    Args:
        checkpoint: Checkpoint to run. A network of it without batch norms is moved to the device, others are copied
            there.
        device: The device that computes; `pick_device()` if left out.
        detector: Detector that finds the people where the checkpoint's crop is `person` or `box`; that of the
            environment, loaded when it is first needed, if left out.
        precision: The number format of the networks' features; the device's fastest if left out.
        runtime: What runs the networks on a processor, `torch` or `openvino`; that of the environment if left out.

    Raises:
        DeviceError: If there is no such runtime, or it is not installed.

    Attributes:
        networks: What runs, with folded batch norms: the checkpoint's own first, then its ensemble's.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: torch.device | None = None,
        detector: PersonDetector | None = None,
        precision: Precision | None = None,
        runtime: str | None = None,
    ) -> None:
        self.checkpoint = checkpoint
        self._detector = detector
        self.device = device or pick_device()
        self.precision = precision or pick_precision(None, self.device)
        self.runtime = (runtime or read_settings().runtime or "torch") if self.device.type == "cpu" else "torch"
        check_runtime(self.runtime)
        self._most_photos: int | None = None  # that fit into the device's memory at a time, once some did not
        tune(self.device)
        network = checkpoint.network
        self.networks = [
            (one if isinstance(one, ForeignNetwork) else fold_batch_norm(one))
            .to(self.device)
            .to(memory_format=torch.channels_last)
            for one in (network if isinstance(network, nn.ModuleList) else [network])
        ]
        if self.runtime == "openvino":
            self.networks = [self._compiled(one) for one in self.networks]
        if self.device.type == "cpu":
            keep_memory()

    def _compiled(self, network: nn.Module) -> nn.Module:
        if isinstance(network, ForeignNetwork):
            return network
        with_maps = self.checkpoint.needs_maps and has_feature_maps(network)
        return CompiledNetwork(WithFeatureMaps(network) if with_maps else network, self.precision)

    @property
    def taxonomy(self) -> Taxonomy:
        """The classes of its class maps."""
        return self.checkpoint.taxonomy

    @property
    def batch_photos(self) -> int:
        """Photos that are best given to `segment_batch` at once: several on a GPU, one on a processor."""
        return 1 if self.device.type == "cpu" else _GPU_BATCH

    @property
    def detector(self) -> PersonDetector:
        """The person detector.

        Raises:
            CheckpointError: If it is missing or damaged.
        """
        return self._detector or load_detector(read_settings().detector, self.device, self.precision, self.runtime)

    def segment(self, photo: PhotoSource) -> Segmentation:
        """Finds the garments of a photo.

        Args:
            photo: uint8 `(H, W, 3)` RGB, upright; a `Photo`; or what `open_photo` takes: a path, a file's bytes, a
                picture of Pillow.

        Raises:
            PhotoError: If a file is no photo, or damaged.
            ValueError: If an array is of another type or shape.
        """
        return self.segment_batch([photo])[0]

    def segment_batch(self, photos: Sequence[PhotoSource]) -> list[Segmentation]:
        """Finds the garments of several photos; each pass of the network is over all of them at once.

        Where the device's memory does not suffice, the batch is halved.

        Args:
            photos: Photos, each as `segment` takes it.

        Raises:
            PhotoError: If a file is no photo, or damaged.
            ValueError: If a photo is of another type or shape.
            DeviceMemoryError: If one photo alone does not fit.
        """
        opened = [_opened(photo) for photo in photos]
        arrays = [photo.pixels for photo in opened]
        for photo in arrays:
            if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or not photo.size:
                raise ValueError(f"A photo is uint8 (H, W, 3), not {photo.dtype} {photo.shape}.")
        found = map_in_parts(self._segment, arrays, self.device) if arrays else []
        return [
            each if photo.orientation == 1 else replace(each, orientation=photo.orientation)
            for each, photo in zip(found, opened, strict=True)
        ]

    def _segment(self, photos: Sequence[np.ndarray]) -> list[Segmentation]:
        """Does what `segment_batch` does, with all photos at once."""
        started = time.perf_counter()
        regions = self._regions_of_interest(photos)
        self._fill_probabilities(photos, regions, with_maps=self.checkpoint.needs_maps)
        seconds = (time.perf_counter() - started) / len(photos)
        return [
            self._assemble(photo, [region for region in regions if region.photo == index], seconds)
            for index, photo in enumerate(photos)
        ]

    def _assemble(self, photo: np.ndarray, regions: Sequence[Region], seconds: float) -> Segmentation:
        """The segmentation of a photo, from the probabilities of its regions.

        Args:
            photo: uint8 `(H, W, 3)`.
            regions: Regions of the photo, the farthest first.
            seconds: Seconds that the networks took for it.
        """
        started = time.perf_counter()
        people = from_left_to_right(regions)
        checkpoint, calibration = self.checkpoint, self.checkpoint.calibration
        cells = [self._cells(region) for region in people] if calibration or checkpoint.needs_maps else []
        presence: list[dict[str, float]] = []
        if calibration:
            for region, each in zip(people, cells, strict=True):
                presence.append(calibration.presence(self._features(region, each), self.taxonomy))
                region.probability = self._weighed(region, doubts(presence[-1], each, self.taxonomy))
        class_map, confidence, owners = merge(regions, photo.shape[0], photo.shape[1])
        if len(regions) > 1:
            owners = np.array([people.index(region) for region in regions], np.uint8)[owners]
        for owner in range(len(regions)):
            drop_specks(class_map, self.taxonomy, owners, owner)
        found = [
            Person(whole_pixels(region.person.box), region.person.confidence, detected=True)
            for region in people
            if region.person
        ]
        measured, garments = measure(photo, self.taxonomy, class_map, confidence, found, owners)
        if presence:
            measured = tuple(replace(person, presence=each) for person, each in zip(measured, presence, strict=True))
        kinds, embedding = checkpoint.kinds, checkpoint.embedding
        if checkpoint.needs_maps:
            pooled = self._garment_features(people, cells, garments)
            found_in = zip(garments, pooled, strict=True)
            garments = tuple(_described(garment, kinds, embedding, each) for garment, each in found_in)
        return Segmentation(
            taxonomy=self.taxonomy,
            class_map=class_map,
            confidence=confidence,
            people=measured,
            garments=garments,
            model=self.checkpoint.name,
            revision=self.checkpoint.revision,
            seconds=seconds + time.perf_counter() - started,
            owners=owners,
            has_kinds=kinds is not None,
            calibration_revision=calibration.revision if calibration else None,
            kinds_revision=kinds.revision if kinds else None,
            embedding_revision=embedding.revision if embedding else None,
        )

    def _cells(self, region: Region) -> np.ndarray:
        """Probabilities of a region, averaged over cells, float32 `(C, h, w)`; beyond its limit is background."""
        assert region.probability is not None
        cells: np.ndarray = functional.avg_pool2d(region.probability[None], _CELL, ceil_mode=True)[0].cpu().numpy()
        if region.limit is not None:
            y, x = cells.shape[1] / region.crop.height, cells.shape[2] / region.crop.width
            left, top = (region.limit.x - region.crop.x) * x, (region.limit.y - region.crop.y) * y
            right, bottom = left + region.limit.width * x, top + region.limit.height * y
            outside = np.ones(cells.shape[1:], bool)
            outside[max(0, round(top)) : max(0, round(bottom)), max(0, round(left)) : max(0, round(right))] = False
            cells[:, outside] = 0
            cells[0, outside] = 1
        return cells

    def _weighed(self, region: Region, factors: np.ndarray) -> torch.Tensor:
        """Probabilities of a region after each class has been multiplied by its factor, float32 `(C,)`."""
        assert region.probability is not None
        weighed = region.probability * torch.from_numpy(factors).to(self.device)[:, None, None]
        return weighed.div_(weighed.sum(dim=0))

    def _features(self, region: Region, cells: np.ndarray) -> np.ndarray:
        """Features of a region for its presence, from its cells."""
        return features(cells, region.person.confidence if region.person else 0.0)

    def _garment_features(
        self, people: Sequence[Region], cells: Sequence[np.ndarray], garments: Sequence[Garment]
    ) -> list[np.ndarray]:
        """Features of each garment for its kind and its embedding.

        Args:
            people: Region of each person.
            cells: Cells of each region.
            garments: Garments of all people.
        """
        ids = [
            [self.taxonomy[garment.name].id for garment in garments if garment.person == i] for i in range(len(people))
        ]
        pooled = [
            iter(pool_features(region.maps, torch.from_numpy(each).to(self.device), some))
            for region, each, some in zip(people, cells, ids, strict=True)
        ]
        return [next(pooled[garment.person]) for garment in garments]

    def segment_with_features(self, photo: np.ndarray) -> tuple[Segmentation, list[np.ndarray]]:
        """Does what `segment` does, and gives what a calibration is fitted on.

        Args:
            photo: uint8 `(H, W, 3)` RGB, upright.

        Returns:
            The segmentation, and by person its features from `segmodels.inference.presence.features`.
        """
        regions = self._regions_of_interest([photo])
        self._fill_probabilities([photo], regions, with_maps=self.checkpoint.needs_maps)
        people = from_left_to_right(regions)
        found = [self._features(region, self._cells(region)) for region in people]
        return self._assemble(photo, regions, 0.0), found

    def segment_with_garment_features(self, photo: np.ndarray) -> tuple[Segmentation, list[np.ndarray]]:
        """Does what `segment` does, and gives what kinds and embeddings are fitted on.

        Args:
            photo: uint8 `(H, W, 3)` RGB, upright.

        Returns:
            The segmentation, and by garment its features from `segmodels.architectures.feature_maps.pool_features`.
        """
        regions = self._regions_of_interest([photo])
        self._fill_probabilities([photo], regions, with_maps=True)
        people = from_left_to_right(regions)
        cells = [self._cells(region) for region in people]
        segmentation = self._assemble(photo, regions, 0.0)
        return segmentation, self._garment_features(people, cells, segmentation.garments)

    def probability(self, photo: np.ndarray) -> tuple[torch.Tensor, Box]:
        """Probabilities of one photo, as `probabilities` gives them."""
        return self.probabilities([photo])[0]

    def probabilities(self, photos: Sequence[np.ndarray]) -> list[tuple[torch.Tensor, Box]]:
        """What the networks give for the nearest person of each photo, for callers that go on with probabilities.

        Args:
            photos: Photos, each uint8 `(H, W, 3)` RGB, upright.

        Returns:
            By photo, float32 `(C, h, w)` at the input's size, and the crop that they cover, in pixels of the photo.
        """
        nearest = {region.photo: region for region in self._regions_of_interest(photos)}  # the farthest come first
        self._fill_probabilities(photos, list(nearest.values()))
        return [(region.probability, region.crop) for region in nearest.values() if region.probability is not None]

    def people_to_segment(self, photo: np.ndarray) -> list[FoundPerson]:
        """The people of a photo who are segmented, the farthest first, by the rule of `regions.people_to_segment`.

        Args:
            photo: uint8 `(H, W, 3)` RGB, upright.

        Raises:
            CheckpointError: If the detector is missing or damaged.
        """
        return people_to_segment(self.detector.find(photo))

    def _regions_of_interest(self, photos: Sequence[np.ndarray]) -> list[Region]:
        """Regions of interest of each photo with their first crops: each person, or the whole photo."""
        if self.checkpoint.config.crop not in ("person", "box"):
            everybody: list[list[FoundPerson]] = [[] for _ in photos]
        elif len(photos) == 1:
            everybody = [self.people_to_segment(photos[0])]
        else:
            everybody = [people_to_segment(people) for people in self.detector.find_batch(photos)]
        return [
            region
            for index, (photo, people) in enumerate(zip(photos, everybody, strict=True))
            for region in self._regions_of_photo(index, photo, people)
        ]

    def _regions_of_photo(self, index: int, photo: np.ndarray, people: list[FoundPerson]) -> list[Region]:
        config = self.checkpoint.config
        whole = Box(0, 0, photo.shape[1], photo.shape[0])
        if not people or (len(people) == 1 and self._takes_all(people[0], whole)):
            return [Region(index, crop_around(whole, config.aspect), whole, people[0] if people else None)]
        margin = config.margin if config.crop == "box" else _DETECTOR_MARGIN
        return [
            Region(
                index,
                crop_around(person.box, config.aspect, margin),
                crop_around(person.box, None, margin),
                person,
                crop_around(person.box, None, _REGION_MARGIN) if len(people) > 1 else None,
            )
            for person in people
        ]

    def _takes_all(self, person: FoundPerson, whole: Box) -> bool:
        """Whether the region of a photo's only person is the whole photo.

        With a coarse pass that costs nothing where the person is large. Without one it is the safe choice where the
        detector is not sure, as of a close-up or a flat-lay, and where the box leaves little out.
        """
        if self.checkpoint.config.crop == "person":
            return person.box.height > _WHOLE_FROM_HEIGHT * whole.height
        return is_unsure_or_large(person, whole)

    def _fill_probabilities(
        self, photos: Sequence[np.ndarray], regions: Sequence[Region], *, with_maps: bool = False
    ) -> None:
        """Runs the networks over the regions of all photos at once, and keeps the probabilities in the regions.

        With maps, the first network's feature maps at scale 1 are kept as well.

        1. Coarse pass, of the first network alone: finds how far the garments reach, where the detector's box does not
           say it already.
        2. Refine pass, of all ensemble members, on crops around that.
        """
        config = self.checkpoint.config
        if config.foreign and config.foreign.shortest and len(regions) > 1:  # each has an input of its own size
            for region in regions:
                self._fill_probabilities(photos, [region])
            return
        coarse: list[Region] = []
        refined: list[Region] = []
        for region in regions:
            cropped = config.crop == "none" or (config.crop == "box" and region.person)
            (refined if cropped else coarse).append(region)
        if coarse:
            batch = self._crops(
                self.networks[0],
                config,
                [photos[region.photo] for region in coarse],
                [region.crop for region in coarse],
            )
            maps: list[torch.Tensor] | None = [] if with_maps else None
            outputs = self._logits(self.networks[0], batch, maps)
            _keep_maps(coarse, maps)
            for region, logits in zip(coarse, outputs, strict=True):
                if self._narrow_crop(region, logits):
                    refined.append(region)
                else:
                    (region.probability,) = open_maps(logits[None].softmax(dim=1), config.opening_kernel)
        if not refined:
            return
        shown, crops = [photos[region.photo] for region in refined], [region.crop for region in refined]
        maps = [] if with_maps else None
        probabilities = self._refine(shown, crops, maps)
        _keep_maps(refined, maps)
        for member, network in zip(config.ensemble, self.networks[1:], strict=True):
            member_crops = [crop_around(region.box, member.aspect) for region in refined]
            outputs = self._probability(network, member, shown, member_crops, config.mirror)
            for probability, crop, output, member_crop in zip(probabilities, crops, outputs, member_crops, strict=True):
                blend(probability, crop, output, member_crop, member.share)
        for region, probability in zip(refined, open_maps(probabilities, config.opening_kernel), strict=True):
            region.probability = probability

    def _narrow_crop(self, region: Region, logits: torch.Tensor) -> bool:
        """Sets a region's crop around what the coarse pass found; False if the refine pass would give nothing new.

        Args:
            region: Region after the coarse pass.
            logits: Logits of the coarse pass, `(C, height, width)`.
        """
        config = self.checkpoint.config
        crop = region.crop
        found = (logits[1:].amax(dim=0) > logits[0]).cpu().numpy().astype(np.uint8)
        x, y = crop.width / logits.shape[2], crop.height / logits.shape[1]  # pixels of the photo in one of the input
        if region.limit is not None:
            left, top = (region.limit.x - crop.x) / x, (region.limit.y - crop.y) / y
            right, bottom = left + region.limit.width / x, top + region.limit.height / y
            inside = np.zeros_like(found)
            inside[max(0, round(top)) : max(0, round(bottom)), max(0, round(left)) : max(0, round(right))] = 1
            found *= inside
        count, labels, statistics, _ = cv2.connectedComponentsWithStats(found)
        if count < 2:
            return False
        areas = statistics[1:, cv2.CC_STAT_AREA]
        kept = 1 + np.flatnonzero(areas >= _MIN_COMPONENT * areas.max())
        box = box_of(np.isin(labels, kept))
        assert box is not None
        box = Box(crop.x + box.x * x, crop.y + box.y * y, box.width * x, box.height * y)
        narrower = crop_around(box, config.aspect, config.margin)
        region.box = crop_around(box, None, config.margin)
        if min(narrower.height / crop.height, narrower.width / crop.width) < _WORTH_A_REFINE_PASS:
            region.crop = narrower
            return True
        return config.mirror or config.scales != [1.0] or bool(config.ensemble)

    def _refine(
        self, photos: Sequence[np.ndarray], crops: Sequence[Box], maps: list[torch.Tensor] | None = None
    ) -> torch.Tensor:
        """The first network's probabilities, averaged over scales: float32 `(N, C, height, width)` in the crops.

        Args:
            photos: Photos from which the crops are cut.
            crops: Crop of each photo, in its pixels.
            maps: List for the feature maps at scale 1; None if they are not wanted.
        """
        config = self.checkpoint.config
        size = (config.height, config.width)
        by_scale = []
        for scale in config.scales:
            kept = maps if scale == 1 else None
            probability = self._probability(self.networks[0], config, photos, crops, config.mirror, scale, kept)
            if scale != 1:
                probability = functional.interpolate(probability, size, mode="bilinear", antialias=scale > 1)
            by_scale.append(probability)
        return torch.stack(by_scale).mean(dim=0) if len(by_scale) > 1 else by_scale[0]

    def _probability(
        self,
        network: nn.Module,
        config: NetworkConfig,
        photos: Sequence[np.ndarray],
        crops: Sequence[Box],
        mirror: bool,
        scale: float = 1.0,
        maps: list[torch.Tensor] | None = None,
    ) -> torch.Tensor:
        """Probabilities float32 `(N, C, h, w)` of the crops, averaged with those of the mirrored ones if wanted.

        Args:
            network: Network that analyses the crops.
            config: Configuration of the network.
            photos: Photos from which the crops are cut.
            crops: Crop of each photo, in its pixels.
            mirror: Whether the mirrored crops are averaged in (test-time augmentation).
            scale: Factor on the input's size.
            maps: List for the feature maps of the crops as they are; None if they are not wanted.
        """
        batch = self._crops(network, config, photos, crops, scale)
        probability = self._logits(network, batch, maps).softmax(dim=1)
        if mirror:
            probability += self._logits(network, batch.flip(dims=[3])).softmax(dim=1).flip(dims=[3])
            probability /= 2
        return probability

    def _crops(
        self,
        network: nn.Module,
        config: NetworkConfig,
        photos: Sequence[np.ndarray],
        crops: Sequence[Box],
        scale: float = 1.0,
    ) -> torch.Tensor:
        """Input of a network: float32 `(N, 3, h, w)`, normalised, at its size times `scale`."""
        if isinstance(network, ForeignNetwork):
            whole = [cut(photo, crop, *whole_size(crop)) for photo, crop in zip(photos, crops, strict=True)]
            return network.prepare(whole).to(self.device)
        size = round(config.height * scale), round(config.width * scale)
        pixels = np.stack([cut(photo, crop, *size) for photo, crop in zip(photos, crops, strict=True)])
        batch = torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2)
        return batch.float().div_(255).sub_(config.mean).div_(config.std).contiguous(memory_format=torch.channels_last)

    def _logits(self, network: nn.Module, batch: torch.Tensor, maps: list[torch.Tensor] | None = None) -> torch.Tensor:
        """What a network gives: float32 `(N, C, h, w)`, class after class in memory, the fastest to go on with.

        Args:
            network: Network to run.
            batch: Input of the network, float32 `(N, 3, H, W)`.
            maps: List for its feature maps and then its input in cells, each `(N, channels, h, w)`; None if they are
                not wanted.
        """
        parts: list[list[torch.Tensor]] = []

        def keeping(photos: torch.Tensor) -> torch.Tensor:
            logits, found = logits_and_maps(network, photos)
            parts.append(found)
            return logits

        with torch.inference_mode(), self.precision.autocast():
            logits, fitted = run_in_parts(network if maps is None else keeping, batch, self._most_photos)
            if maps is not None:
                whole = parts[-math.ceil(len(batch) / fitted) :]  # those before are of tries that did not fit
                maps += [each[0] if len(each) == 1 else torch.cat(each) for each in zip(*whole, strict=True)]
                maps.append(functional.avg_pool2d(batch, _CELL, ceil_mode=True))
            if fitted < len(batch):
                self._most_photos = fitted
            return logits.to(torch.float32, memory_format=torch.contiguous_format)


def _described(garment: Garment, kinds: Kinds | None, embedding: Embedding | None, found: np.ndarray) -> Garment:
    """A garment with its kind and its embedding, from its features."""
    if embedding:
        garment = replace(garment, embedding=embedding.embed(found))
    if kinds and (probabilities := kinds.probabilities(garment.name, found)):
        return replace(garment, kind=kinds.named(garment.name, probabilities), kind_probabilities=probabilities)
    return garment


def _keep_maps(regions: Sequence[Region], maps: Sequence[torch.Tensor] | None) -> None:
    """Keeps in each region its part of the maps `(N, channels, h, w)`."""
    for index, region in enumerate(regions):
        region.maps = [each[index] for each in maps or ()]


def _opened(source: PhotoSource) -> Photo:
    if isinstance(source, Photo):
        return source
    return Photo(source, 1) if isinstance(source, np.ndarray) else decode_photo(source)
