import numpy as np
import pytest

from segmodels.datasets import DatasetError
from segmodels.evaluation.metrics import ConfusionMatrix
from segmodels.taxonomy import OUTFIT_15, UNLABELLED
from train.analysis.framing import FRAMINGS, classes_that_count, draw, framed, framing_score

HAIR, SHIRT, PANTS = (OUTFIT_15[name].id for name in ("Hair", "Shirt", "Pants"))


def pixels(height: int, width: int) -> np.ndarray:
    """A photo that says where each of its pixels was: row and column in the first two channels."""
    photo = np.zeros((height, width, 3), np.uint8)
    photo[:, :, 0] = np.arange(height)[:, None]
    photo[:, :, 1] = np.arange(width)
    return photo


def person(height: int, width: int, rows: tuple[int, int], columns: tuple[int, int]) -> np.ndarray:
    """A truth whose person fills a rectangle, the last row and column included."""
    truth = np.zeros((height, width), np.uint8)
    truth[rows[0] : rows[1] + 1, columns[0] : columns[1] + 1] = SHIRT
    return truth


def part(name: str, truth: np.ndarray, photo_id: str = "0001") -> tuple[int, int, int, int]:
    """First and last row and column of what a framing shows."""
    photo, cropped = framed(name, pixels(*truth.shape), truth, photo_id)
    assert photo.shape[:2] == cropped.shape
    top, left, bottom, right = *photo[0, 0, :2], *photo[-1, -1, :2]
    assert (cropped == truth[top : bottom + 1, left : right + 1]).all(), "photo and truth show the same part"
    return int(top), int(bottom), int(left), int(right)


@pytest.mark.parametrize(
    ("name", "expected"),
    [  # y0 = 20, y1 = 120, so h = 100; columns 80 to 119, centred on 100
        ("full", (0, 159, 0, 199)),
        ("waist-up", (15, 74, 76, 123)),  # 60 rows, 48 columns
        ("waist-down", (65, 124, 76, 123)),
        ("bust", (15, 49, 82, 116)),  # 35 rows and columns
    ],
)
def test_framings_by_hand(name: str, expected: tuple[int, int, int, int]) -> None:
    assert part(name, person(160, 200, (20, 120), (80, 119))) == expected


def test_a_close_up_begins_at_a_fifth_to_three_fifths_of_the_person() -> None:
    truth = person(160, 200, (20, 120), (80, 119))
    tops = []
    for number in range(200):
        top, bottom, left, right = part("close-up", truth, f"{number:04}")
        assert top == round(20 + 100 * (0.2 + 0.4 * draw(f"{number:04}")))
        assert abs((bottom - top + 1) - 30) <= 1 and right - left == bottom - top
        tops.append(top)
    assert min(tops) in (40, 41, 42) and max(tops) in (78, 79, 80), "k is spread over the whole range"
    assert abs(np.mean(tops) - 60) < 3


def test_a_photo_has_one_close_up_for_good() -> None:
    assert draw("0001") == pytest.approx(0.5333725)
    truth = person(160, 200, (20, 120), (80, 119))
    assert part("close-up", truth, "0001") == part("close-up", truth, "0001") == (61, 90, 85, 114)


def test_the_crop_is_centred_on_the_columns_of_its_own_rows() -> None:
    truth = person(160, 200, (20, 120), (80, 119))
    truth[100:121, 150:190] = PANTS  # out of the bust's rows
    assert part("bust", truth) == (15, 49, 82, 116)
    assert part("waist-down", truth) == (65, 124, 111, 158), "centred on columns 80 to 189"


def test_a_person_at_the_edges_is_cut_there_and_the_width_follows_the_height_that_is_left() -> None:
    truth = person(101, 120, (0, 100), (90, 119))  # fills the height, at the right edge
    assert part("bust", truth) == (0, 29, 90, 119), "30 rows of 35, so 30 columns"
    assert part("waist-up", truth) == (0, 54, 76, 119), "44 columns, moved into the photo"
    assert part("waist-down", truth) == (45, 100, 75, 119)


def test_a_photo_narrower_than_the_crop_gives_all_its_columns() -> None:
    assert part("waist-up", person(200, 30, (0, 199), (10, 19))) == (0, 108, 0, 29)


def test_pixels_that_no_truth_speaks_of_are_no_person() -> None:
    truth = person(160, 200, (20, 120), (80, 119))
    truth[:5] = UNLABELLED
    assert part("bust", truth) == (15, 49, 82, 116)


def test_a_gap_in_the_person_is_centred_on_the_whole_person() -> None:
    truth = np.zeros((200, 100), np.uint8)
    truth[0:10, 60:80] = HAIR
    truth[190:200, 60:80] = PANTS
    top, bottom, left, right = part("close-up", truth)
    assert not truth[top : bottom + 1].any() and (left + right + 1) / 2 == pytest.approx(70, abs=1)


@pytest.mark.parametrize("name", [name for name in FRAMINGS if name != "full"])
def test_a_truth_without_a_person_or_with_a_line_of_one_is_named(name: str) -> None:
    nobody = np.zeros((50, 40), np.uint8)
    with pytest.raises(DatasetError, match=f"^0001: the mask holds nothing but background, so it has no {name}"):
        framed(name, pixels(50, 40), nobody, "0001")
    with pytest.raises(DatasetError, match=f"1 pixels high, too low for a {name}"):
        framed(name, pixels(50, 40), person(50, 40, (7, 7), (3, 30)), "0001")
    assert framed("full", pixels(50, 40), nobody, "0001")[1] is nobody


@pytest.mark.parametrize("name", FRAMINGS)
@pytest.mark.parametrize("size", [(2, 1), (3, 3), (5, 2)])
def test_tiny_photos_give_a_pixel_or_a_sentence(name: str, size: tuple[int, int]) -> None:
    truth = np.full(size, SHIRT, np.uint8)
    try:
        photo, cropped = framed(name, pixels(*size), truth, "0001")
    except DatasetError as error:
        assert "too low" in str(error)
    else:
        assert cropped.size and photo.shape[:2] == cropped.shape


def test_an_unknown_framing_is_an_error() -> None:
    with pytest.raises(KeyError, match="knee"):
        framed("knee", pixels(4, 4), np.ones((4, 4), np.uint8), "0001")


def test_classes_up_to_a_fifth_of_a_percent_do_not_count() -> None:
    counts = np.zeros((3, 3), np.int64)
    counts[0] = 898, 80, 0  # truth 978: hits 898
    counts[1] = 10, 10, 0  # truth 20: hits 10
    counts[2] = 1, 0, 1  # truth 2, which is 0.2 % of 1000 and not more
    matrix = ConfusionMatrix(("Background", "Shirt", "Hat"), counts)
    assert classes_that_count(matrix) == ("Background", "Shirt")
    background, shirt = 898 / (978 + 909 - 898), 10 / (20 + 90 - 10)
    assert framing_score(matrix) == pytest.approx((background + shirt) / 2)
    counts[2, 2] = 2
    matrix = ConfusionMatrix(("Background", "Shirt", "Hat"), counts)
    assert framing_score(matrix) == pytest.approx((background_iou(matrix) + shirt + 2 / 3) / 3)


def background_iou(matrix: ConfusionMatrix) -> float:
    return float(matrix.iou[0])


def test_a_class_that_is_only_predicted_does_not_count() -> None:
    matrix = ConfusionMatrix(("Background", "Shirt"), np.array([[900, 100], [0, 0]]))
    assert classes_that_count(matrix) == ("Background",) and framing_score(matrix) == pytest.approx(0.9)


def test_no_pixels_no_score() -> None:
    assert np.isnan(framing_score(ConfusionMatrix(OUTFIT_15.names)))
