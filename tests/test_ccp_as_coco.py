import json
from pathlib import Path

import numpy as np
from ccp_as_coco import chosen, coco, outlines
from made_ccp import write_ccp

from segmodels.datasets import read_ccp, read_coco


def test_polygons_are_read_as_the_pixels_that_they_were_drawn_around(tmp_path: Path) -> None:
    dataset = read_ccp(write_ccp(tmp_path / "ccp"))
    path = tmp_path / "some.json"
    path.write_text(json.dumps(coco(dataset, dataset.ids, ["shirt", "scarf"])), "utf-8")
    drawn = read_coco(path, tmp_path / "ccp" / "photos")
    assert drawn.taxonomy.names == ("Background", "shirt", "scarf") and drawn.ids == dataset.ids
    assert dataset.read_labels is not None
    for photo_id in dataset.ids:
        labels, truth = dataset.read_labels(photo_id), drawn.read_truth(photo_id)
        for number, name in enumerate(("shirt", "scarf"), start=1):
            assert np.array_equal(truth == number, labels == dataset.labels.index(name)), (photo_id, name)


def test_parts_of_a_mask_are_polygons_of_their_own() -> None:
    mask = np.zeros((20, 20), bool)
    mask[2:6, 3:9] = mask[10:18, 10:12] = True
    found = sorted((min(part[::2]), min(part[1::2]), max(part[::2]), max(part[1::2])) for part in outlines(mask))
    assert np.allclose(found, [(3, 2, 9, 6), (10, 10, 12, 18)], atol=0.13)


def test_enough_photos_of_each_class_are_chosen_and_the_same_ones_again() -> None:
    shown = {f"{n:03}": frozenset(["belt"] if n % 20 == 0 else ["skirt"] if n % 3 else []) for n in range(200)}
    taken = chosen(shown, ("skirt", "belt"), 30, each=8)
    assert len(taken) == len(set(taken)) == 30 and all(shown[photo_id] for photo_id in taken)
    assert sum("belt" in shown[photo_id] for photo_id in taken) >= 8
    assert taken == chosen(dict(reversed(shown.items())), ("skirt", "belt"), 30, each=8)
    assert taken != chosen(shown, ("skirt", "belt"), 30, seed=1, each=8)
