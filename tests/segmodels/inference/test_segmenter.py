import io
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
from own_classes import KIMONO
from PIL import Image
from torch import nn
from torch.nn import functional

import segmodels.inference.photo_size as module
from segmodels.checkpoints.checkpoint import Checkpoint
from segmodels.checkpoints.config import Member
from segmodels.inference.boxes import Box, box_of
from segmodels.inference.detector import FoundPerson, PersonDetector
from segmodels.inference.embedding import Embedding
from segmodels.inference.kinds import ClassKinds, Kinds, KindsConfig
from segmodels.inference.photo_size import SMALLEST_GARMENT, at_photo_size, open_maps
from segmodels.inference.presence import Calibration, ClassCalibration, feature_names
from segmodels.inference.regions import regions_to_segment
from segmodels.inference.segmentation import Person, Segmentation
from segmodels.inference.segmenter import Segmenter
from segmodels.taxonomy import OUTFIT_15, taxonomy_entries

MakeCheckpoint = Callable[..., Checkpoint]
MakeDetector = Callable[..., PersonDetector]
CPU = torch.device("cpu")
COAT, PANTS, SKIN = 2, 8, 13
RED, BLUE, GREEN, GREY = (255, 0, 0), (0, 0, 255), (0, 255, 0), (127, 127, 127)


def photo_with(height: int, width: int, *rectangles: tuple[int, int, int, int, tuple[int, int, int]]) -> np.ndarray:
    """A grey photo with rectangles: left, top, width, height, colour."""
    photo = np.full((height, width, 3), GREY, np.uint8)
    for x, y, w, h, colour in rectangles:
        photo[y : y + h, x : x + w] = colour
    return photo


def edges(box: tuple[float, float, float, float]) -> np.ndarray:
    x, y, w, h = box
    return np.array([x, y, x + w, y + h])


def found_box(segmentation: Segmentation, class_id: int) -> tuple[float, float, float, float]:
    box = box_of(segmentation.class_map == class_id)
    assert box is not None, "nothing found"
    return box


class Painted(nn.Module):
    """Gives the same logits for every photo: class 2 where a map is set, background elsewhere."""

    def __init__(self, where: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("where", torch.from_numpy(where.astype(np.float32)))

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        logits = torch.full((len(photos), len(OUTFIT_15), *photos.shape[2:]), -20.0)
        logits[:, COAT] = self.where * 40 - 20
        logits[:, 0] = 0
        return logits


# --- Where things are -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("height", "width", "rectangle"),
    [
        (500, 300, (100, 150, 80, 160)),  # portrait
        (300, 500, (310, 60, 70, 190)),  # landscape
        (400, 400, (0, 0, 90, 120)),  # into the upper left corner
        (400, 400, (310, 290, 90, 110)),  # into the lower right one
        (501, 333, (101, 151, 99, 201)),  # odd sizes
    ],
)
@pytest.mark.parametrize("resize", ["keep", "squash"])
def test_a_garment_is_found_where_it_is(
    checkpoint_of: MakeCheckpoint, resize: str, height: int, width: int, rectangle: tuple[int, int, int, int]
) -> None:
    result = Segmenter(checkpoint_of(resize=resize), CPU).segment(photo_with(height, width, (*rectangle, RED)))
    assert result.class_map.shape == result.confidence.shape == (height, width)
    assert set(np.unique(result.class_map)) == {0, COAT}
    assert np.abs(edges(found_box(result, COAT)) - edges(rectangle)).max() <= 2
    truth = photo_with(height, width, (*rectangle, RED))[..., 1] == 0
    wrong = (result.class_map == COAT) != truth
    assert wrong.sum() <= 2 * 2 * (rectangle[2] + rectangle[3]), "a border of two pixels"
    (coat,) = result.garments
    assert coat.name == "Coat" and coat.outfit_share == 1 and coat.person == 0
    assert coat.colours[0].hex == "#ff0000"


@pytest.mark.parametrize(
    ("height", "width", "rectangle", "pixels"),
    [(20, 1000, (300, 0, 200, 20), 5), (1000, 20, (0, 400, 20, 200), 5), (16, 16, (4, 3, 8, 10), 1)],
)
def test_photos_of_unusual_shape(
    checkpoint_of: MakeCheckpoint, height: int, width: int, rectangle: tuple[int, int, int, int], pixels: int
) -> None:
    result = Segmenter(checkpoint_of(), CPU).segment(photo_with(height, width, (*rectangle, RED)))
    assert result.class_map.shape == (height, width)
    assert np.abs(edges(found_box(result, COAT)) - edges(rectangle)).max() <= pixels


@pytest.mark.parametrize("size", [(65000, 20), (20, 65000), (30367, 46)])
@pytest.mark.parametrize("place", ["beside", "corner"])
def test_people_at_the_edge_of_a_very_narrow_photo(
    checkpoint_of: MakeCheckpoint, detector_of: MakeDetector, size: tuple[int, int], place: str
) -> None:
    height, width = size
    boxes = {"beside": [(width, height, 3, 3), (-9, -9, 4, 4)], "corner": [(0, 0, width, height // 2)]}[place]
    photo = photo_with(height, width, (0, 0, width, height // 3, RED))
    segmenter = Segmenter(checkpoint_of(crop="person"), CPU, detector_of(height, width, *boxes))
    assert segmenter.segment(photo).class_map.shape == size


def test_a_crop_that_is_much_wider_than_the_photo_is_read_like_others() -> None:
    probability = probabilities(4, 12, 9)
    wide, _ = at_photo_size(probability, Box(-400, 0, 900, 200), 200, 1000)
    narrow, _ = at_photo_size(probability, Box(-400, 0, 900, 200), 200, 60)
    assert narrow.any()
    assert (narrow != wide[:, :60]).mean() < 0.001


def test_a_crop_beside_the_photo_is_background() -> None:
    probability = torch.full((3, 8, 8), 1 / 3)
    for crop, limit in ((Box(30, 0, 8, 8), None), (Box(-30, 0, 8, 8), None), (Box(0, 0, 20, 16), Box(25, 0, 3, 3))):
        class_map, confidence = at_photo_size(probability, crop, 16, 20, limit)
        assert not class_map.any() and (confidence == 255).all()


def test_a_photo_full_of_one_garment(checkpoint_of: MakeCheckpoint) -> None:
    result = Segmenter(checkpoint_of(), CPU).segment(np.full((100, 50, 3), RED, np.uint8))
    assert (result.class_map == COAT).all() and (result.confidence == 255).all()
    assert result.people[0].box == (0, 0, 50, 100)


def test_two_garments_and_skin(checkpoint_of: MakeCheckpoint) -> None:
    parts = (150, 60, 60, 60, GREEN), (130, 150, 100, 100, RED), (140, 280, 80, 150, BLUE)
    result = Segmenter(checkpoint_of(), CPU).segment(photo_with(480, 360, *parts))
    for class_id, part in zip((SKIN, COAT, PANTS), parts, strict=True):
        assert np.abs(edges(found_box(result, class_id)) - edges(part[:4])).max() <= 2
    assert [garment.name for garment in result.garments] == ["Pants", "Coat"], "the larger first, skin is not worn"
    assert np.abs(edges(result.people[0].box) - (130, 60, 230, 430)).max() <= 2
    assert sum(garment.outfit_share for garment in result.garments) == pytest.approx(1)


def test_a_small_person_is_looked_at_twice(checkpoint_of: MakeCheckpoint) -> None:
    photo = photo_with(2000, 3000, (1700, 900, 140, 300, RED))
    twice, once = Segmenter(checkpoint_of(), CPU).segment(photo), checkpoint_of(crop="none")
    errors = [
        np.abs(edges(found_box(result, COAT)) - (1700, 900, 1840, 1200)).max()
        for result in (twice, Segmenter(once, CPU).segment(photo))
    ]
    assert errors[0] <= 5, "a pixel of the second look is 7 of the photo"
    assert errors[1] > errors[0], "a pixel of the first look is 62"


def test_how_often_the_network_runs(checkpoint_of: MakeCheckpoint) -> None:
    small, large = photo_with(400, 200, (80, 150, 40, 80, RED)), photo_with(400, 200, (2, 2, 196, 396, RED))
    empty = photo_with(400, 200)

    def runs(crop: str, *photos: np.ndarray) -> list[int]:
        checkpoint = checkpoint_of(crop=crop)
        Segmenter(checkpoint, CPU).segment_batch(photos)
        batches: list[int] = checkpoint.network.batches  # type: ignore[assignment]
        return batches

    assert runs("found", small) == [1, 1]
    assert runs("found", large) == [1], "a crop that is hardly smaller is not worth a second look"
    assert runs("found", empty) == [1]
    assert runs("found", small, large, empty, small) == [4, 2], "one run for all"
    assert runs("none", small, large) == [2]


def test_a_speck_far_away_does_not_widen_the_second_look(checkpoint_of: MakeCheckpoint) -> None:
    speck = (20, 20, 12, 12, BLUE)
    photo = photo_with(800, 400, (150, 300, 100, 200, RED), speck)
    result = Segmenter(checkpoint_of(), CPU).segment(photo)
    assert np.abs(edges(found_box(result, COAT)) - (150, 300, 250, 500)).max() <= 2
    assert not (result.class_map[:40, :40]).any(), "what lies outside the second look is background"


@pytest.mark.parametrize("margin", [0.0, 0.06, 0.5])
def test_the_margin_changes_the_crop_but_not_the_place(checkpoint_of: MakeCheckpoint, margin: float) -> None:
    result = Segmenter(checkpoint_of(margin=margin), CPU).segment(photo_with(500, 300, (100, 150, 80, 160, RED)))
    assert np.abs(edges(found_box(result, COAT)) - (100, 150, 180, 310)).max() <= 3


@pytest.mark.parametrize("size", [(16, 16), (17, 40), (64, 64), (500, 300)])
@pytest.mark.parametrize("pixel", [(0, 0), (47, 23), (95, 47), (60, 10)])
def test_one_pixel_found_in_a_photo_smaller_than_the_input(
    checkpoint_of: MakeCheckpoint, size: tuple[int, int], pixel: tuple[int, int]
) -> None:
    where = np.zeros((96, 48), bool)
    where[pixel] = True
    result = Segmenter(checkpoint_of(Painted(where)), CPU).segment(photo_with(*size))
    assert result.class_map.shape == size
    assert set(np.unique(result.class_map)) <= {0, COAT}


# --- People -----------------------------------------------------------------------------------------------------------


def person_boxes(segmentation: Segmentation) -> list[tuple[int, int, int, int]]:
    return [person.box for person in segmentation.people]


def test_two_people_are_two_outfits(checkpoint_of: MakeCheckpoint, detector_of: MakeDetector) -> None:
    left, right = (100, 200, 150, 350), (500, 150, 160, 420)
    parts = [(120, 250, 100, 100, RED), (120, 360, 100, 150, BLUE), (520, 200, 120, 120, RED)]
    segmenter = Segmenter(checkpoint_of(crop="person"), CPU, detector_of(600, 800, left, right))
    result = segmenter.segment(photo_with(600, 800, *parts))
    assert [person.detected for person in result.people] == [True, True]
    assert person_boxes(result) == [left, right]
    assert [(garment.person, garment.name) for garment in result.garments] == [(0, "Pants"), (0, "Coat"), (1, "Coat")]
    for garment, part in zip(result.garments, (parts[1], parts[0], parts[2]), strict=True):
        assert np.abs(edges(garment.box) - edges(part[:4])).max() <= 4
        assert np.abs(edges(box_of(result.mask(garment)) or (0, 0, 0, 0)) - edges(garment.box)).max() == 0
    assert sum(garment.outfit_share for garment in result.garments if garment.person == 0) == pytest.approx(1)
    assert result.garments[2].outfit_share == 1


def test_people_are_listed_from_left_to_right_whoever_is_nearer(
    checkpoint_of: MakeCheckpoint, detector_of: MakeDetector
) -> None:
    near, far = (100, 150, 150, 400), (500, 100, 150, 300)
    photo = photo_with(600, 800, (*near, RED), (*far, BLUE))
    result = Segmenter(checkpoint_of(crop="person"), CPU, detector_of(600, 800, far, near)).segment(photo)
    assert person_boxes(result) == [near, far]
    assert [(garment.person, garment.name) for garment in result.garments] == [(0, "Coat"), (1, "Pants")]
    assert result.owners is not None and (result.owners[200:350, 520:630] == 1).all()
    assert (result.owners[200:500, 120:230] == 0).all()


def test_who_stands_in_front_covers_who_stands_behind(checkpoint_of: MakeCheckpoint, detector_of: MakeDetector) -> None:
    behind, front = (200, 100, 200, 300), (300, 150, 200, 400)
    photo = photo_with(600, 800, (*behind, RED), (*front, BLUE))
    segmenter = Segmenter(checkpoint_of(crop="person"), CPU, detector_of(600, 800, front, behind))
    result = segmenter.segment(photo)
    assert person_boxes(result) == [behind, front]
    pants = next(g for g in result.garments if g.name == "Pants" and g.person == 1)
    assert np.abs(edges(pants.box) - edges(front)).max() <= 4
    assert result.owners is not None
    assert (result.owners[200:500, 350:450] == 1).all(), "where both boxes lie, the nearer one's"
    assert (result.owners[120:140, 220:380] == 0).all() and (result.class_map[120:140, 220:380] == COAT).all()


def test_what_lies_outside_every_crop_is_background(checkpoint_of: MakeCheckpoint, detector_of: MakeDetector) -> None:
    photo = photo_with(600, 900, (100, 100, 100, 200, RED), (700, 100, 100, 200, BLUE))
    result = Segmenter(checkpoint_of(crop="person"), CPU, detector_of(600, 900, (100, 100, 100, 200))).segment(photo)
    assert [garment.name for garment in result.garments] == ["Coat"]
    assert not result.class_map[:, 400:].any()
    assert len(result.people) == 1 and result.people[0].detected and result.people[0].confidence > 0.9


def test_nobody_found_takes_the_whole_photo(checkpoint_of: MakeCheckpoint, detector_of: MakeDetector) -> None:
    photo = photo_with(500, 300, (100, 150, 80, 160, RED))
    whole = Segmenter(checkpoint_of(crop="found"), CPU).segment(photo)
    result = Segmenter(checkpoint_of(crop="person"), CPU, detector_of(500, 300)).segment(photo)
    assert same(result, whole)
    assert [person.detected for person in result.people] == [False]


def test_a_box_is_looked_at_once_and_nobody_twice(checkpoint_of: MakeCheckpoint, detector_of: MakeDetector) -> None:
    photo = photo_with(500, 300, (100, 150, 80, 160, RED), (10, 10, 20, 30, BLUE))
    checkpoint = checkpoint_of(crop="box", margin=0.02)
    result = Segmenter(checkpoint, CPU, detector_of(500, 300, (95, 145, 90, 170))).segment(photo)
    assert checkpoint.network.batches == [1]
    assert [garment.name for garment in result.garments] == ["Coat"], "what is outside the box is nobody's"
    assert np.abs(edges(found_box(result, COAT)) - (100, 150, 180, 310)).max() <= 2
    nobody = Segmenter(checkpoint, CPU, detector_of(500, 300)).segment(photo)
    assert same(nobody, Segmenter(checkpoint_of(crop="found", margin=0.02), CPU).segment(photo))
    assert checkpoint.network.batches == [1, 1, 1]


class Seeing:
    """A detector that finds given people."""

    def __init__(self, *people: FoundPerson) -> None:
        self.people = list(people)

    def find(self, photo: np.ndarray) -> list[FoundPerson]:
        return self.people


@pytest.mark.parametrize(
    ("box", "confidence", "whole"),
    [
        (Box(95, 145, 90, 170), 0.95, False),
        (Box(95, 145, 90, 170), 0.85, True),  # the detector is not sure
        (Box(10, 10, 280, 400), 0.95, True),  # the box leaves little out
    ],
)
def test_a_single_person_may_stand_for_the_whole_photo(
    checkpoint_of: MakeCheckpoint, box: Box, confidence: float, whole: bool
) -> None:
    photo = photo_with(500, 300, (100, 150, 80, 160, RED), (10, 440, 80, 50, BLUE))
    detector = Seeing(FoundPerson(box, confidence))
    result = Segmenter(checkpoint_of(crop="box", margin=0.0), CPU, detector).segment(photo)  # type: ignore[arg-type]
    assert [garment.name for garment in result.garments] == (["Coat", "Pants"] if whole else ["Coat"])
    assert [person.detected for person in result.people] == [True], "who was found stays"


def test_boxes_of_several_people_are_looked_at_together(
    checkpoint_of: MakeCheckpoint, detector_of: MakeDetector
) -> None:
    photo = photo_with(600, 800, (120, 250, 100, 200, RED), (520, 200, 120, 300, BLUE))
    checkpoint = checkpoint_of(crop="box")
    detector = detector_of(600, 800, (100, 200, 150, 350), (500, 150, 160, 420))
    result = Segmenter(checkpoint, CPU, detector).segment(photo)
    assert checkpoint.network.batches == [2]
    assert [(garment.person, garment.name) for garment in result.garments] == [(0, "Coat"), (1, "Pants")]


def test_a_person_who_fills_the_photo_is_looked_at_as_before(
    checkpoint_of: MakeCheckpoint, detector_of: MakeDetector
) -> None:
    photo = photo_with(500, 300, (100, 60, 80, 400, RED))
    before = Segmenter(checkpoint_of(crop="found"), CPU).segment(photo)
    result = Segmenter(checkpoint_of(crop="person"), CPU, detector_of(500, 300, (95, 40, 90, 430))).segment(photo)
    assert np.array_equal(result.class_map, before.class_map) and result.garments == before.garments
    assert person_boxes(result) == [(95, 40, 90, 430)] and result.people[0].detected


def test_a_person_at_the_border(checkpoint_of: MakeCheckpoint, detector_of: MakeDetector) -> None:
    photo = photo_with(400, 600, (540, 200, 60, 200, RED), (0, 0, 50, 120, BLUE))
    boxes = (530, 190, 90, 230), (-10, -10, 70, 140)
    result = Segmenter(checkpoint_of(crop="person"), CPU, detector_of(400, 600, *boxes)).segment(photo)
    assert person_boxes(result) == [(0, 0, 60, 130), (530, 190, 70, 210)], "within the photo"
    assert np.abs(edges(found_box(result, COAT)) - (540, 200, 600, 400)).max() <= 4
    assert np.abs(edges(found_box(result, PANTS)) - (0, 0, 50, 120)).max() <= 4


def test_a_person_in_whom_nothing_is_found_has_no_garments(
    checkpoint_of: MakeCheckpoint, detector_of: MakeDetector
) -> None:
    result = Segmenter(checkpoint_of(crop="person"), CPU, detector_of(300, 300, (100, 50, 80, 200))).segment(
        photo_with(300, 300)
    )
    assert person_boxes(result) == [(100, 50, 80, 200)] and result.people[0].detected
    assert result.garments == () and not result.class_map.any()


def test_passers_by_are_left_out(checkpoint_of: MakeCheckpoint, detector_of: MakeDetector) -> None:
    near, far, passer_by = (100, 50, 200, 500), (400, 200, 80, 270), (600, 250, 60, 200)
    segmenter = Segmenter(checkpoint_of(crop="person"), CPU, detector_of(600, 800, near, far, passer_by))
    people = segmenter.people_to_segment(photo_with(600, 800))
    assert [round(person.box.height) for person in people] == [270, 500]


def test_somebody_unsure_beside_the_surest_is_left_out(checkpoint_of: MakeCheckpoint) -> None:
    for seen, counted in (
        (((0.99, 400), (0.96, 400), (0.9, 400)), [0.99, 0.96]),
        (((0.6, 400), (0.55, 400)), [0.6]),
        (((0.99, 100), (0.7, 400), (0.6, 400)), [0.7]),  # the surest is a passer-by: of the others, the surest
        ((), []),
    ):
        found = [FoundPerson(Box(200 * n, 50, 150, h), score) for n, (score, h) in enumerate(seen)]
        segmenter = Segmenter(checkpoint_of(crop="person"), CPU, Seeing(*found))  # type: ignore[arg-type]
        people = segmenter.people_to_segment(photo_with(600, 800))
        assert sorted((person.confidence for person in people), reverse=True) == counted


def test_regions_to_segment_are_those_of_the_rule_box() -> None:
    whole, tall, other = Box(0, 0, 800, 600), Box(100, 50, 150, 500), Box(400, 60, 150, 450)
    large = Box(0, 0, 800, 500)  # 0.83 of the photo
    for seen, expected in (
        ([], [whole]),
        ([(tall, 0.99)], [tall]),
        ([(tall, 0.89)], [whole]),
        ([(large, 0.99)], [whole]),
        ([(tall, 0.99), (other, 0.96)], [other, tall]),  # the farthest, whose feet are higher, first
        ([(tall, 0.99), (other, 0.94)], [tall]),
    ):
        people = [FoundPerson(box, score) for box, score in seen]
        assert regions_to_segment(people, 600, 800) == expected


def test_people_of_a_batch_are_looked_at_all_at_once(checkpoint_of: MakeCheckpoint, detector_of: MakeDetector) -> None:
    checkpoint = checkpoint_of(crop="person")
    photo = photo_with(400, 400, (50, 100, 60, 120, RED), (250, 80, 60, 200, BLUE))
    detector = detector_of(400, 400, (30, 20, 120, 350), (230, 30, 120, 350))
    one = Segmenter(checkpoint_of(crop="person"), CPU, detector).segment(photo)
    results = Segmenter(checkpoint, CPU, detector).segment_batch([photo, photo_with(400, 400), photo])
    assert checkpoint.network.batches == [6, 4]
    assert same(results[0], one) and same(results[2], one) and not results[1].class_map.any()


# --- Nothing, noise, confidence ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [(500, 300), (20, 1000), (16, 16)])
def test_nothing_found(checkpoint_of: MakeCheckpoint, size: tuple[int, int]) -> None:
    result = Segmenter(checkpoint_of(), CPU).segment(photo_with(*size))
    assert not result.class_map.any()
    assert result.people == (Person((0, 0, size[1], size[0]), 0.0, detected=False),)
    assert result.garments == ()


def test_a_garment_of_next_to_no_pixels_is_noise(
    checkpoint_of: MakeCheckpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = photo_with(960, 480, (50, 50, 380, 860, RED), (200, 400, 20, 20, BLUE), (60, 915, 20, 20, GREEN))
    segmenter = Segmenter(checkpoint_of(crop="none"), CPU)
    pants = 400 / (380 * 860)
    assert pants > SMALLEST_GARMENT
    assert {garment.name for garment in segmenter.segment(photo).garments} == {"Coat", "Pants"}
    monkeypatch.setattr(module, "SMALLEST_GARMENT", 2 * pants)
    result = segmenter.segment(photo)
    assert {garment.name for garment in result.garments} == {"Coat"}
    assert set(np.unique(result.class_map)) == {0, COAT, SKIN}, "skin may be as small as it likes"


def test_confidence_is_the_networks_probability(checkpoint_of: MakeCheckpoint) -> None:
    class Constant(nn.Module):
        def forward(self, photos: torch.Tensor) -> torch.Tensor:
            logits = torch.full((len(photos), 15, *photos.shape[2:]), -1e4)
            logits[:, 3], logits[:, 0] = np.log(0.7), np.log(0.3)
            return logits

    result = Segmenter(checkpoint_of(Constant()), CPU).segment(photo_with(120, 80))
    assert (result.class_map == 3).all()
    assert (result.confidence == round(0.7 * 255)).all()
    assert result.garments[0].confidence == pytest.approx(0.7, abs=1 / 255)


# --- Batches and threads ----------------------------------------------------------------------------------------------


def random_photos() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    sizes = [(200, 100), (90, 160), (120, 120), (60, 200)]
    parts = [(int(x), int(y), 30, 40) for x, y in generator.integers(5, 30, (4, 2))]
    return [photo_with(*size, (*part, RED)) for size, part in zip(sizes, parts, strict=True)]


def same(one: Segmentation, other: Segmentation) -> bool:
    return (
        bool((one.class_map == other.class_map).all() and (one.confidence == other.confidence).all())
        and one.people == other.people
        and one.garments == other.garments
    )


def test_a_batch_gives_what_single_photos_give(checkpoint_of: MakeCheckpoint) -> None:
    photos, segmenter = random_photos(), Segmenter(checkpoint_of(), CPU)
    together = segmenter.segment_batch(photos)
    assert len(together) == len(photos)
    assert all(same(segmenter.segment(photo), result) for photo, result in zip(photos, together, strict=True))
    assert segmenter.segment_batch([]) == []


def test_the_mirrored_look_is_averaged(checkpoint_of: MakeCheckpoint, random_fpn: nn.Module) -> None:
    """A network that is not symmetric gives, with the mirror, the mirrored photo the mirrored class map."""
    (photo,) = random_photos()[:1]
    plain = Segmenter(checkpoint_of(random_fpn, crop="none"), CPU).segment(photo)
    mirrored = Segmenter(checkpoint_of(random_fpn, crop="none", mirror=True), CPU)
    one, other = mirrored.segment(photo), mirrored.segment(np.ascontiguousarray(photo[:, ::-1]))
    assert (one.class_map == other.class_map[:, ::-1]).mean() > 0.98
    assert (one.confidence != plain.confidence).any()


def test_scales_are_averaged(checkpoint_of: MakeCheckpoint, random_fpn: nn.Module) -> None:
    (photo,) = random_photos()[:1]

    def confidence(*scales: float) -> np.ndarray:
        segmenter = Segmenter(checkpoint_of(random_fpn, crop="none", scales=list(scales)), CPU)
        return segmenter.probability(photo)[0].numpy()

    one, large = confidence(1.0), confidence(1.25)
    assert one.shape == large.shape and np.abs(one - large).max() > 1e-3
    assert np.allclose(confidence(1.0, 1.25), (one + large) / 2, atol=1e-5)


class Says(nn.Module):
    """Is sure of one class for every pixel."""

    def __init__(self, class_id: int) -> None:
        super().__init__()
        self.class_id = class_id
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        self.shapes.append(tuple(photos.shape))
        logits = torch.full((len(photos), len(OUTFIT_15), *photos.shape[2:]), -20.0)
        logits[:, self.class_id] = 20
        return logits


def member(**changes: object) -> Member:
    values = {"architecture": "fpn", "arguments": {}, "height": 96, "width": 96, "mean": 0.0, "std": 1.0}
    return Member(**{**values, "resize": "squash", "share": 0.25, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(("share", "named", "confidence"), [(0.25, COAT, 0.75), (0.75, PANTS, 0.75)])
def test_an_ensemble_averages_where_all_look(
    checkpoint_of: MakeCheckpoint, share: float, named: int, confidence: float
) -> None:
    other = Says(PANTS)
    networks = nn.ModuleList([checkpoint_of().network, other])
    photo = photo_with(400, 300, (100, 120, 60, 150, RED))
    segmenter = Segmenter(checkpoint_of(networks, ensemble=[member(share=share)]), CPU)
    result = segmenter.segment(photo)
    assert other.shapes == [(1, 3, 96, 96)], "it takes the last look alone, squashed"
    assert result.class_map[130:260, 105:155].tolist() == [[named] * 50] * 130
    assert np.abs(result.confidence[130:260, 105:155] / 255 - confidence).max() < 0.01
    beyond = np.ones((400, 300), bool)
    beyond[105:285, 85:175] = False  # the crop's margin is 9 pixels here
    assert (result.class_map[beyond] == 0).all() and (result.confidence[beyond] == 255).all()


@pytest.mark.parametrize("resize", ["keep", "squash"])
@pytest.mark.parametrize("rectangle", [(100, 150, 80, 160), (20, 30, 240, 90), (0, 0, 90, 300)])
def test_the_looks_of_an_ensemble_lie_on_each_other(
    checkpoint_of: MakeCheckpoint, resize: str, rectangle: tuple[int, int, int, int]
) -> None:
    networks = nn.ModuleList([checkpoint_of().network, checkpoint_of().network])
    segmenter = Segmenter(checkpoint_of(networks, ensemble=[member(resize=resize, mean=0.5, std=0.5)]), CPU)
    photo = photo_with(400, 300, (*rectangle, RED))
    alone, both = Segmenter(checkpoint_of(), CPU).segment(photo), segmenter.segment(photo)
    assert np.abs(edges(found_box(both, COAT)) - edges(found_box(alone, COAT))).max() <= 2
    x, y, w, h = rectangle
    assert (both.confidence[y + 8 : y + h - 8, x + 8 : x + w - 8] > 250).all()
    assert (both.class_map != alone.class_map).mean() < 0.01


def test_two_people_are_looked_at_by_all_of_an_ensemble(
    checkpoint_of: MakeCheckpoint, detector_of: MakeDetector
) -> None:
    photo = photo_with(400, 600, (80, 100, 60, 200, RED), (400, 120, 60, 190, RED))
    detector = detector_of(400, 600, (70, 90, 80, 220), (390, 110, 80, 210))
    other = Says(PANTS)
    networks = nn.ModuleList([checkpoint_of().network, other])
    checkpoint = checkpoint_of(networks, crop="person", ensemble=[member(share=0.75)])
    result = Segmenter(checkpoint, CPU, detector).segment(photo)
    assert other.shapes == [(2, 3, 96, 96)]
    assert [(garment.name, garment.person) for garment in result.garments] == [("Pants", 0), ("Pants", 1)]


def test_threads_share_one_segmenter(checkpoint_of: MakeCheckpoint) -> None:
    photos, segmenter = random_photos() * 4, Segmenter(checkpoint_of(), CPU)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(segmenter.segment, photos))
    assert all(same(segmenter.segment(photo), result) for photo, result in zip(photos, results, strict=True))


def test_the_photo_is_left_as_it_was(checkpoint_of: MakeCheckpoint) -> None:
    (photo, *_), segmenter = random_photos(), Segmenter(checkpoint_of(), CPU)
    before = photo.copy()
    photo.setflags(write=False)
    segmenter.segment(photo)
    assert (photo == before).all()


def test_a_real_network(checkpoint_of: MakeCheckpoint, random_fpn: nn.Module) -> None:
    segmenter = Segmenter(checkpoint_of(random_fpn, height=64, width=32), CPU)
    photo = np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)
    result = segmenter.segment(photo)
    assert result.class_map.shape == (90, 70) and result.class_map.max() < 15
    assert same(result, segmenter.segment(photo)), "the same photo, the same answer"
    assert result.model == "fake" and result.revision == "abc123" and result.seconds > 0


@pytest.mark.parametrize(
    "photo",
    [
        np.zeros((20, 20), np.uint8),
        np.zeros((20, 20, 4), np.uint8),
        np.zeros((20, 20, 3), np.float32),
        np.zeros((0, 20, 3), np.uint8),
        np.zeros((3, 20, 20), np.uint8),
    ],
    ids=lambda photo: f"{photo.dtype}{photo.shape}",
)
def test_what_is_no_photo_is_refused(checkpoint_of: MakeCheckpoint, photo: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"A photo is uint8 \(H, W, 3\), not"):
        Segmenter(checkpoint_of(), CPU).segment_batch([photo_with(20, 20), photo])


# --- Back at the photo's own size -------------------------------------------------------------------------------------


def probabilities(classes: int, height: int, width: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(classes, height, width, generator=generator).mul_(3).softmax(dim=0)


def reference(probability: torch.Tensor, height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Class map, confidence and lead of the first class over the second, by torch's own up-sampling."""
    large = functional.interpolate(probability[None], (height, width), mode="bilinear", align_corners=False)[0]
    first, second = large.topk(2, dim=0).values
    return large.argmax(dim=0).numpy(), first.mul(255).round().numpy(), (first - second).numpy()


def test_opening_takes_what_the_kernel_does_not_fit_into() -> None:
    probability = torch.full((1, 2, 12, 12), 0.1)
    probability[0, 1, 1, 1] = 0.9  # a speck
    probability[0, 1, 4:9, 4:9] = 0.8  # a region
    opened = open_maps(probability, 3)
    assert opened[0, 1, 1, 1] == pytest.approx(0.1)
    assert (opened[0, 1, 4:9, 4:9] == probability[0, 1, 4:9, 4:9]).all()
    assert (opened[0, 0] == probability[0, 0]).all()
    assert open_maps(probability, 0) is probability


def test_the_likeliest_counts_however_little_opening_left_of_it() -> None:
    probability = torch.zeros(len(OUTFIT_15), 8, 6)
    probability[COAT], probability[PANTS] = 0.03, 0.02
    class_map, confidence = at_photo_size(probability, Box(0, 0, 12, 16), 16, 12)
    assert (class_map == COAT).all() and (confidence == 8).all()


def test_twelve_megapixels_in_strips_equal_torch_interpolate() -> None:
    probability = probabilities(3, 96, 72)
    class_map, confidence = at_photo_size(probability, Box(0, 0, 3000, 4000), 4000, 3000)
    expected, certainty, lead = reference(probability, 4000, 3000)
    assert class_map.dtype == confidence.dtype == np.uint8
    assert (class_map == expected)[lead > 1e-4].all() and (lead > 1e-4).mean() > 0.99
    assert np.abs(confidence - certainty).max() <= 1


@pytest.mark.parametrize(
    ("height", "width", "frame"),
    [
        (61, 53, Box(0, 0, 53, 61)),
        (61, 53, Box(-11, -20, 90, 120)),  # reaches beyond the photo on all sides
        (61, 53, Box(20.4, 30.6, 21, 17)),  # inside it
        (61, 53, Box(30, 40, 60, 60)),  # beyond the lower right corner
        (200, 150, Box(0, 0, 20, 20)),  # shrinks
    ],
)
@pytest.mark.parametrize("strip", [1, 500, 1 << 20])
def test_a_frame_lands_where_it_was_cut(
    monkeypatch: pytest.MonkeyPatch, height: int, width: int, frame: Box, strip: int
) -> None:
    monkeypatch.setattr(module, "_STRIP_PIXELS", strip)
    probability = probabilities(4, 32, 24)
    class_map, confidence = at_photo_size(probability, frame, height, width)
    left, top = round(frame.x), round(frame.y)
    right, bottom = round(frame.x + frame.width), round(frame.y + frame.height)
    whole, certainty, lead = reference(probability, bottom - top, right - left)
    expected, outside = np.zeros((height, width), int), np.ones((height, width), bool)
    rows, columns = slice(max(top, 0), min(bottom, height)), slice(max(left, 0), min(right, width))
    shown = np.s_[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    expected[rows, columns] = whole[shown]
    outside[rows, columns] = False
    sure = lead[shown] > 1e-4
    assert (class_map[rows, columns] == expected[rows, columns])[sure].all() and sure.mean() > 0.9
    assert np.abs(confidence[rows, columns] - certainty[shown]).max() <= 1
    assert (class_map[outside] == 0).all() and (confidence[outside] == 255).all()


# --- Presence ---------------------------------------------------------------------------------------------------------


def coat_by_area() -> Calibration:
    """Log odds of a class: 10 plus twice the log of its share of the cells that are not background."""
    weights = (2.0, *(0.0,) * (len(feature_names(OUTFIT_15)) - 1))
    one = ClassCalibration(intercept=10.0, weights=weights, share_error=0.0)
    return Calibration(taxonomy="OUTFIT_15", classes={garment.name: one for garment in OUTFIT_15.worn})


def test_without_a_calibration_there_is_no_presence(checkpoint_of: MakeCheckpoint) -> None:
    (person,) = Segmenter(checkpoint_of(), CPU).segment(photo_with(200, 150, (40, 40, 60, 90, RED))).people
    assert person.presence is None


def test_a_calibration_gives_every_person_a_presence(checkpoint_of: MakeCheckpoint, detector_of: MakeDetector) -> None:
    photo = photo_with(300, 600, (60, 60, 100, 200, RED), (420, 60, 100, 200, BLUE))
    detector = detector_of(300, 600, (40, 40, 140, 240), (400, 40, 140, 240))
    checkpoint = replace(checkpoint_of(crop="box"), calibration=coat_by_area())
    left, right = Segmenter(checkpoint, CPU, detector).segment(photo).people
    assert left.presence is not None and right.presence is not None
    assert list(left.presence) == [garment.name for garment in OUTFIT_15.worn]
    # All that is not background is coat on the left (log odds 10 - 0) and pants on the right; -3.8 is 10 + 2 log 0.001.
    assert left.presence["Coat"] > 0.99 and left.presence["Pants"] == pytest.approx(1 / (1 + np.exp(3.8155)), abs=1e-3)
    assert right.presence["Pants"] > 0.99 and right.presence["Coat"] < 0.03


def test_the_features_for_a_calibration_are_those_of_the_people(
    checkpoint_of: MakeCheckpoint, detector_of: MakeDetector
) -> None:
    photo = photo_with(300, 600, (60, 60, 100, 200, RED), (420, 60, 100, 200, BLUE))
    detector = detector_of(300, 600, (400, 40, 140, 240), (40, 40, 140, 240))
    segmenter = Segmenter(replace(checkpoint_of(crop="box"), calibration=coat_by_area()), CPU, detector)
    segmentation, found = segmenter.segment_with_features(photo)
    calibration = segmenter.checkpoint.calibration
    assert calibration is not None
    for person, each in zip(segmentation.people, found, strict=True):
        assert calibration.presence(each, OUTFIT_15) == person.presence
    assert segmentation.people[0].box[0] < segmentation.people[1].box[0]


class Torn(nn.Module):
    """Gives a dress in the upper three quarters, and below it 0.7 for a coat and 0.3 for pants."""

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        logits = torch.full((len(photos), len(OUTFIT_15), *photos.shape[2:]), -1e4)
        logits[:, OUTFIT_15["Dress"].id] = 0
        below = logits[:, :, 3 * photos.shape[2] // 4 :]
        below[:, OUTFIT_15["Dress"].id], below[:, COAT], below[:, PANTS] = -1e4, np.log(0.7), np.log(0.3)
        return logits


@pytest.mark.parametrize(
    ("coat", "named", "confidence"),
    [(0.5, "Coat", 0.7), (0.4, "Coat", 0.7 * 0.64 / (0.7 * 0.64 + 0.3)), (0.25, "Pants", 0.3 / (0.7 * 0.25 + 0.3))],
)
def test_a_class_that_the_person_hardly_shows_gives_way(
    checkpoint_of: MakeCheckpoint, coat: float, named: str, confidence: float
) -> None:
    none = (0.0,) * len(feature_names(OUTFIT_15))
    odds = {"Coat": float(np.log(coat / (1 - coat))), "Dress": -5.0}
    classes = {
        garment.name: ClassCalibration(intercept=odds.get(garment.name, 2.0), weights=none, share_error=0.0)
        for garment in OUTFIT_15.worn
    }
    calibration = Calibration(taxonomy="OUTFIT_15", classes=classes)
    segmenter = Segmenter(replace(checkpoint_of(Torn()), calibration=calibration), CPU)
    result = segmenter.segment(photo_with(120, 80))
    found = {garment.name: garment.confidence for garment in result.garments}
    assert set(found) == {"Dress", named}, "what covers most of a person stays"
    assert found[named] == pytest.approx(confidence, abs=0.02)  # the border between the halves is less sure
    assert result.people[0].presence is not None and result.people[0].presence["Coat"] == pytest.approx(coat)


# --- Kinds ------------------------------------------------------------------------------------------------------------


class WithMaps(nn.Module):
    """A network that names pixels by their colour, in the parts of segmentation-models-pytorch.

    Its maps are the photo itself, made smaller; the first feature is the mean of the red channel, -1..1.
    """

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.segmentation_head = nn.Sequential(nn.Upsample(scale_factor=4, mode="nearest"), inner)

    def encoder(self, photos: torch.Tensor) -> list[torch.Tensor]:
        return [photos, *(functional.avg_pool2d(photos, side) for side in (2, 4, 8))]

    def decoder(self, maps: Sequence[torch.Tensor]) -> torch.Tensor:
        return maps[2]

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        return self.segmentation_head(self.decoder(self.encoder(photos)))


def by_redness(features: int) -> Kinds:
    """Kinds of coats, from the first feature: scarlet from 0.8, else maroon; of which only scarlet is named."""
    weight = np.zeros((2, features), np.float32)
    weight[1, 0] = 100
    known = ClassKinds(names=("maroon", "scarlet"), thresholds=(1.0, 0.9))
    config = KindsConfig(taxonomy="OUTFIT_15", weights="abc123", classes={"Coat": known}, features=features, data="")
    return Kinds(config, {"Coat": weight}, {"Coat": np.array([0, -80], np.float32)})


def test_each_garment_has_the_kind_of_its_own_person(
    checkpoint_of: MakeCheckpoint, detector_of: MakeDetector, by_colour: Callable[..., nn.Module]
) -> None:
    dark = (210, 0, 0)
    photo = photo_with(300, 600, (60, 60, 100, 200, dark), (420, 60, 100, 100, RED), (420, 160, 100, 100, BLUE))
    detector = detector_of(300, 600, (400, 40, 140, 240), (40, 40, 140, 240))
    network = WithMaps(by_colour({2: RED, 8: BLUE, 13: GREEN}, len(OUTFIT_15)))
    count = (
        3 * 3 * 2 + 3 + 15 + 15
    )  # means and deviations of decoder, encoder at 4 and input; means at 8; places; shares
    checkpoint = replace(checkpoint_of(network, crop="box"), kinds=by_redness(count))
    segmenter = Segmenter(checkpoint, CPU, detector)
    (result,) = segmenter.segment_batch([photo])
    assert result.has_kinds
    kinds = {(garment.person, garment.name): garment for garment in result.garments}
    assert set(kinds) == {(0, "Coat"), (1, "Coat"), (1, "Pants")}
    assert kinds[0, "Coat"].kind is None and kinds[1, "Pants"].kind_probabilities is None
    assert kinds[0, "Coat"].kind_probabilities == pytest.approx({"maroon": 1, "scarlet": 0}, abs=0.01)
    scarlet = kinds[1, "Coat"].kind
    assert scarlet is not None and scarlet.name == "scarlet" and scarlet.probability > 0.99
    listing = {(each["person"], each["class"]): each["kind"] for each in result.to_json()["garments"]}
    assert listing == {
        (0, "Coat"): None,
        (1, "Coat"): {"name": "scarlet", "probability": round(scarlet.probability, 4)},
        (1, "Pants"): None,
    }
    assert sorted(each["kind"]["name"] for each in result.to_coco()["annotations"] if each["kind"]) == ["scarlet"]
    known = replace(by_redness(count).config.classes["Coat"], largest=0.7, share_feature=2 - len(OUTFIT_15))
    config = replace(by_redness(count).config, classes={"Coat": known})
    limited = replace(checkpoint, kinds=replace(by_redness(count), config=config))
    alone, beside = Segmenter(limited, CPU, detector).segment(photo).garments[:2]
    assert alone.kind_probabilities is None and beside.kind_probabilities is not None  # all of a person, and a half
    again, found = segmenter.segment_with_garment_features(photo)
    assert [garment.kind for garment in again.garments] == [garment.kind for garment in result.garments]
    assert [len(each) for each in found] == [count] * 3
    red = {(garment.person, garment.name): each[0] for garment, each in zip(again.garments, found, strict=True)}
    assert red[1, "Coat"] == pytest.approx(1, abs=0.15) and red[0, "Coat"] == pytest.approx(210 / 127.5 - 1, abs=0.15)


def test_the_segmentation_is_the_same_with_and_without_kinds(
    checkpoint_of: MakeCheckpoint, by_colour: Callable[..., nn.Module]
) -> None:
    network = WithMaps(by_colour({2: RED, 8: BLUE, 13: GREEN}, len(OUTFIT_15)))
    photo = photo_with(300, 200, (60, 60, 100, 100, RED), (60, 160, 100, 100, BLUE))
    plain = Segmenter(checkpoint_of(network), CPU).segment(photo)
    having = Segmenter(replace(checkpoint_of(network), kinds=by_redness(51)), CPU).segment(photo)
    assert not plain.has_kinds and all(garment.kind is None for garment in plain.garments)
    assert np.array_equal(plain.class_map, having.class_map) and np.array_equal(plain.confidence, having.confidence)
    assert {garment.name: garment.kind and garment.kind.name for garment in having.garments} == {
        "Coat": "scarlet",
        "Pants": None,
    }


# --- Classes of one's own ---------------------------------------------------------------------------------------------


def test_a_checkpoint_of_other_classes_names_them_everywhere(
    checkpoint_of: MakeCheckpoint, by_colour: Callable[..., nn.Module]
) -> None:
    colours = {1: RED, 2: BLUE, 3: GREEN}  # Kimono, Obi <sash>, Left hand
    checkpoint = checkpoint_of(by_colour(colours, len(KIMONO)), **taxonomy_entries(KIMONO))
    parts = (100, 100, 100, 200, RED), (100, 300, 100, 100, BLUE), (100, 60, 100, 40, GREEN)
    result = Segmenter(checkpoint, CPU).segment(photo_with(480, 360, *parts))
    assert result.taxonomy == KIMONO
    assert set(np.unique(result.class_map)) == {0, 1, 2, 3}
    assert [garment.name for garment in result.garments] == ["Kimono", "Obi <sash>"], "a hand is of the body"
    assert [garment.outfit_share for garment in result.garments] == pytest.approx([2 / 3, 1 / 3], abs=0.02)
    listing = result.to_json("look.jpg")
    assert listing["taxonomy"] == "kimono shop"
    assert [garment["class"] for garment in listing["garments"]] == ["Kimono", "Obi <sash>"]
    coco = result.to_coco("look.jpg")
    assert [(each["id"], each["name"], each["supercategory"]) for each in coco["categories"]] == [
        (1, "Kimono", "garment"),
        (2, "Obi <sash>", "garment"),
        (3, "Left hand", "body"),
        (4, "Tote bag", "accessory"),
    ]
    with Image.open(io.BytesIO(result.class_map_png())) as image:
        assert (np.array(image) == result.class_map).all()
        assert image.convert("RGB").getpixel((150, 200)) == tuple(KIMONO.palette[1])


def test_each_garment_has_the_embedding_of_its_own_features_with_and_without_kinds(
    checkpoint_of: MakeCheckpoint, by_colour: Callable[..., nn.Module]
) -> None:
    checkpoint = checkpoint_of(WithMaps(by_colour({2: RED, 8: BLUE, 13: GREEN}, len(OUTFIT_15))))
    photo = photo_with(300, 200, (60, 60, 100, 100, RED), (60, 160, 100, 100, BLUE))
    embedding = Embedding("", "", np.eye(3, 51, dtype=np.float32), np.zeros(3, np.float32))  # mean of each channel
    alone = Segmenter(replace(checkpoint, embedding=embedding), CPU).segment(photo)
    both = Segmenter(replace(checkpoint, embedding=embedding, kinds=by_redness(51)), CPU).segment(photo)
    assert not alone.has_kinds and both.has_kinds
    assert alone.embedding_revision == both.embedding_revision == embedding.revision
    assert [each.embedding for each in alone.garments] == [each.embedding for each in both.garments]
    red, blue = (np.frombuffer(each.embedding or b"", np.int8) for each in sorted(alone.garments, key=lambda g: g.name))
    assert np.sign(red).tolist() == [1, -1, -1] and np.sign(blue).tolist() == [-1, -1, 1]
    with_features, _ = Segmenter(replace(checkpoint, embedding=embedding), CPU).segment_with_features(photo)
    assert [each.embedding for each in with_features.garments] == [each.embedding for each in alone.garments]
    plain = Segmenter(checkpoint, CPU).segment(photo)
    assert plain.embedding_revision is None and all(each.embedding is None for each in plain.garments)
