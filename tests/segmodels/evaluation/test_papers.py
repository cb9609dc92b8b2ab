"""What of the printed numbers agrees, and what does not."""

from statistics import mean

import pytest

from segmodels.architectures import ARCHITECTURES
from segmodels.evaluation.papers import (
    CASTRO_TABLE_3,
    CASTRO_TABLE_5,
    INACIO_TABLE_2,
    INACIO_TABLE_3,
    PrecisionRecallF1,
)
from segmodels.taxonomy import OUTFIT_15


def harmonic(row: PrecisionRecallF1) -> float:
    return 2 * row.precision * row.recall / (row.precision + row.recall)


def test_they_speak_of_our_classes_and_architectures() -> None:
    assert tuple(INACIO_TABLE_3) == OUTFIT_15.names
    assert {*INACIO_TABLE_2, *CASTRO_TABLE_3, *CASTRO_TABLE_5} <= set(ARCHITECTURES)


@pytest.mark.parametrize("name", [name for name in INACIO_TABLE_3 if name != "Shorts"])
def test_f1_by_class_follows_from_precision_and_recall(name: str) -> None:
    row = INACIO_TABLE_3[name]
    assert row.f1 == pytest.approx(harmonic(row), abs=0.0015)


def test_f1_of_shorts_does_not() -> None:
    assert harmonic(INACIO_TABLE_3["Shorts"]) == pytest.approx(0.771, abs=5e-4)


def test_means_over_the_classes_are_those_of_table_2_but_for_recall() -> None:
    rows, fpn = INACIO_TABLE_3.values(), INACIO_TABLE_2["fpn"]
    assert mean(row.precision for row in rows) == pytest.approx(fpn.precision, abs=5e-4)
    assert mean(row.f1 for row in rows) == pytest.approx(fpn.f1, abs=5e-4)
    assert mean(row.recall for row in rows) == pytest.approx(0.797, abs=5e-4) != fpn.recall
