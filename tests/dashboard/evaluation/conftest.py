"""Models with scores, and the photos that they were judged on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat
from scored import IDS, curve, evaluation, judged, truth, write_model

from segmodels.taxonomy import CCP_59, OUTFIT_15


@pytest.fixture(scope="session")
def scored_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for `GARMENTSCOPE_MODELS`: `sharp` and `blunt` on the same photos, `old` on them without evidence."""
    folder = tmp_path_factory.mktemp("scored")
    sharp, blunt, middle = judged(1), judged(3), judged(2)
    write_model(folder / "sharp", {"learning_curve": curve(0.3, 0.5, 0.4), "evaluations": [evaluation(sharp)]}, sharp,
                parameters=4_000_000)  # fmt: skip
    write_model(folder / "blunt", {"learning_curve": curve(0.2, 0.3), "evaluations": [evaluation(blunt)]}, blunt)
    older = evaluation(middle)
    for key in ("ids", "seconds_per_photo", "device"):
        del older[key]
    write_model(folder / "old", {"evaluations": [older]})
    return folder


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The photos in the layout of Clothing Co-Parsing; the mask of 0007 is damaged."""
    folder = tmp_path_factory.mktemp("ccp")
    masks = folder / "annotations" / "pixel-level"
    masks.mkdir(parents=True)
    (folder / "photos").mkdir()
    labels = {"Coat": "coat", "Pants": "pants", "Socks": "socks", "Background": "null"}
    table = np.zeros(256, np.uint8)
    for name, label in labels.items():
        table[OUTFIT_15[name].id] = CCP_59.index(label)
    for photo_id in IDS:
        own = truth(int(photo_id))
        Image.fromarray(OUTFIT_15.palette[own]).save(folder / "photos" / f"{photo_id}.jpg")
        savemat(masks / f"{photo_id}.mat", {"groundtruth": table[own]})
    (masks / "0007.mat").write_bytes(b"damaged")
    return folder
