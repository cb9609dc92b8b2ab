"""The examples that ship are what the networks that ship find in them, and nothing is loaded to show one."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dashboard.shared.analysed import analyse
from dashboard.shared.examples import EXAMPLE_MODELS, EXAMPLES, examples, shipped
from dashboard.shared.networks import revision
from segmodels.checkpoints.catalog import load_segmenter

ROOT = Path(__file__).parents[3]


def test_each_photo_says_where_it_comes_from_and_is_small() -> None:
    with (EXAMPLES / "sources.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert 4 <= len(rows) <= 6
    assert {row["file"] for row in rows} == {path.name for path in EXAMPLES.glob("*.jpg")}
    for row in rows:
        assert row["title"] and row["source"] and row["licence"].startswith(("CC0", "MIT", "Public domain"))
        with Image.open(EXAMPLES / row["file"]) as photo:
            assert max(photo.size) <= 1200
            assert not photo.getexif()
        assert (EXAMPLES / row["file"]).stat().st_size < 300_000


@pytest.mark.parametrize("model", EXAMPLE_MODELS)
def test_what_was_found_is_of_the_weights_that_ship(model: str) -> None:
    for example in examples():
        found = shipped(example, model)
        assert found.analysed.revision == revision(model), "run make examples"
        with Image.open(EXAMPLES / example.file) as photo:
            assert found.analysed.class_map.shape == photo.size[::-1]
        assert found.analysed.model == model and found.analysed.garments


@pytest.mark.parametrize("model", EXAMPLE_MODELS)
def test_it_is_what_the_network_gives(model: str) -> None:
    """Weights, calibration and kinds; `make examples` where one has changed."""
    segmenter = load_segmenter(model, precision="32")
    for example in examples():
        now, then = analyse(segmenter, *example.photo), shipped(example, model).analysed
        same = now.class_map.pixels() == then.class_map.pixels()
        assert same.mean() > 0.98, example.stem  # another processor rounds otherwise
        assert len(now.people) == len(then.people)
        for person, before in zip(now.people, then.people, strict=True):
            assert (person.presence is None) == (before.presence is None)
            for name, value in (person.presence or {}).items():
                assert value == pytest.approx(before.presence_of(name), abs=0.05)
        large = [each for each in then.garments if each.area_share > 0.02]
        kinds = {(each.person, each.name): each.kind and each.kind.name for each in now.garments}
        assert all(kinds[each.person, each.name] == (each.kind and each.kind.name) for each in large)


def test_two_people_are_told_apart() -> None:
    (example,) = [each for each in examples() if each.title == "Two people"]
    found = shipped(example, EXAMPLE_MODELS[0]).analysed
    assert len(found.people) == 2 and found.owners
    assert set(np.unique(found.owners.pixels())) == {0, 1}
    stage = found.stage()
    assert len(stage["people"]) == 2 and stage["owners"]


def test_the_first_page_needs_no_network() -> None:
    """PyTorch takes seconds to import."""
    script = (
        "import sys; from dashboard.shared.examples import examples, shipped; "
        "shipped(examples()[0], 'fpn').analysed.stage(); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
