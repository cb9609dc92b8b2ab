from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from segmodels.datasets import Dataset, inspect_dataset, read_cfpd
from segmodels.taxonomy import CFPD_23

WriteCfpd = Callable[..., Path]
ONE_EACH = np.arange(60 * 40).reshape(60, 40) * 23 // (60 * 40)


@pytest.fixture
def dataset(write_cfpd: WriteCfpd) -> Dataset:
    """`a` shows all but the last two classes, `b` to `d` background only; `e` and `f` cannot be read."""
    photos = dict.fromkeys("abcdef", ONE_EACH)
    labels = {name: [1] * 23 for name in "bcdf"} | {"a": [*range(1, 22), 1, 1], "e": [99] * 23}
    root = write_cfpd(photos, labels, {name: [1] * 23 for name in "abcdef"})
    (root / "image" / "f.jpg").write_bytes(b"")
    return read_cfpd(root)


def test_what_is_wrong_is_counted_and_named(dataset: Dataset) -> None:
    found = inspect_dataset(dataset)
    assert found.photos == 6
    assert list(found.unreadable) == ["e", "f"]
    assert "category_label 99 is unknown" in found.unreadable["e"] and "f.jpg" in found.unreadable["f"]
    assert found.background_only == ("b", "c", "d")
    assert found.unseen == ("Sunglasses", "Sweater")
    sentences = found.sentences()
    assert sentences[0] == "4 of 6 photos can be read."
    assert sentences[1].startswith("2 of 6 photos cannot be read and are left out; the first is e: ")
    assert sentences[2:] == [
        "Nothing but background is marked in 3 of them: b, c, d.",
        "No pixel is Sunglasses, Sweater.",
    ]


def test_some_photos(dataset: Dataset) -> None:
    found = inspect_dataset(dataset, ["a"])
    assert (found.photos, found.unreadable, found.background_only) == (1, {}, ())
    assert found.sentences() == ["1 of 1 photos can be read.", "No pixel is Sunglasses, Sweater."]


def test_one_damaged_photo(dataset: Dataset) -> None:
    found = inspect_dataset(dataset, ["f"])
    assert found.sentences()[1].startswith("1 of 1 photos cannot be read and are left out; f: ")
    assert found.unseen == CFPD_23.names
