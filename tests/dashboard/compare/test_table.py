import re

import numpy as np
import pytest

from dashboard.compare.agreement import Comparison, Finding
from dashboard.compare.table import score_text, table_html
from dashboard.shared.analysed import Analysed, UploadedPhoto
from segmodels.inference.segmentation import Segmentation, measure
from segmodels.taxonomy import OUTFIT_15

COAT, HAT, SHIRT = (OUTFIT_15[name].id for name in ("Coat", "Hat", "Shirt"))


def finding(model: str, *rows: tuple[slice, int]) -> Finding:
    photo, class_map = np.full((100, 10, 3), 200, np.uint8), np.zeros((100, 10), np.uint8)
    for place, value in rows:
        class_map[place] = value
    confidence = np.full((100, 10), 255, np.uint8)
    people, garments = measure(photo, OUTFIT_15, class_map, confidence)
    found = Segmentation(OUTFIT_15, class_map, confidence, people, garments, model, "abc", 0.25)
    return Finding(Analysed.of(UploadedPhoto("look.jpg", b"", 10, 100, b""), found), 4_750_000, 9_500_000)


FULL = finding("fpn <2>", (slice(0, 10), HAT), (slice(10, 50), COAT), (slice(50, 51), SHIRT))
EMPTY = finding("blank")


def test_the_largest_share_comes_first_and_what_it_costs_follows() -> None:
    table = table_html(Comparison((FULL, EMPTY)))
    row, other = re.findall(r'<tr><th scope="row">.*?</tr>', table)
    assert re.findall(r"</i>(.*?)</span>", row) == ["Coat 40%", "Hat 10%", "Shirt 1%"]
    assert "fpn &lt;2&gt;" in row and OUTFIT_15["Coat"].colour in row
    for cell in ("0.25 s", "4.8 M", "9.5 MB"):
        assert f">{cell}</td>" in row
    assert "No garment found" in other and "Mean IoU" not in table


def test_a_ground_truth_adds_scores() -> None:
    truth = FULL.analysed.class_map.pixels()
    table = table_html(Comparison((FULL, EMPTY), truth))
    row, other = re.findall(r'<tr><th scope="row">.*?</tr>', table)
    assert row.count(">1.000</td>") == 3 and 'data-label="Mean IoU"' in row
    assert 'data-label="Accuracy">0.490</td>' in other


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (0.0, "0.000"), (0.12345, "0.123")])
def test_a_score_or_a_dash(value: float | None, text: str) -> None:
    assert score_text(value) == text
