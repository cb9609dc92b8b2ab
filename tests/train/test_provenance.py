"""Which fits stand behind a checkpoint."""

from typing import Any

import pytest

from train.provenance import SOURCES, fits_behind, trained_on


def fit(fold: int, dataset: str = "ccp", folds: int = 5) -> dict[str, Any]:
    return {"dataset": dataset, "fold": fold, "folds": folds}


def test_a_checkpoint_of_an_earlier_version_records_its_own_fit_only() -> None:
    training = {"recipe": {"dataset": "ccp", "fold": 1, "start": "elsewhere"}, "start": {"weights": "checkpoint"}}
    assert list(fits_behind(training)) == [("recipe", fit(1))]
    assert list(fits_behind({})) == []


def test_members_and_all_sources_count() -> None:
    member = {"recipe": fit(2, folds=3), "start": {"trained_on": [fit(3)]}}
    training = {
        "recipe": fit(0),
        "start": {"weights": "checkpoint", "trained_on": [fit(1)]},
        "teacher": {"trained_on": [fit(4)]},
        "pseudo": {"trained_on": [fit(-1, "cfpd")]},
        "members": [member],
    }
    found = list(fits_behind(training))
    assert found == [
        ("recipe", fit(0)),
        ("start", fit(1)),
        ("teacher", fit(4)),
        ("pseudo", fit(-1, "cfpd")),
        ("recipe", fit(2, folds=3)),
        ("start", fit(3)),
    ]
    assert {source for source, _ in found} == set(SOURCES)


def test_the_next_fit_records_each_of_them_once_and_the_chain_grows() -> None:
    first = {"recipe": fit(1)}
    second = {"recipe": fit(0), "start": {"trained_on": trained_on(first)}, "teacher": {"trained_on": [fit(0), fit(1)]}}
    third = {"recipe": fit(0), "start": {"trained_on": trained_on(second)}}
    assert trained_on(second) == trained_on(third) == [fit(0), fit(1)]


@pytest.mark.parametrize(
    "training",
    [
        {"start": "imagenet"},
        {"start": None, "teacher": {"trained_on": 7}},
        {"recipe": "own/fpn", "members": None},
        {"teacher": {"trained_on": [{"dataset": "ccp"}, "ccp", {"dataset": "ccp", "fold": "0"}]}},
        {"members": ["fpn"], "pseudo": {"trained_on": [{"dataset": "ccp", "fold": 0, "folds": None}]}},
    ],
)
def test_what_is_no_record_of_a_fit_is_passed_over(training: dict[str, Any]) -> None:
    assert list(fits_behind(training)) == []
