"""The app, with a stand-in for the network: `coat...jpg` is a coat over pants, any other photo a shirt over pants.

Everything else is real: photos are read, colours measured, and rows written, as an ingest does.
"""

import runpy
from pathlib import Path

import numpy as np

from dashboard.shared import networks
from segmodels.archive import ingest
from segmodels.archive.rows import decode, row_of
from segmodels.inference.segmentation import Person, Segmentation, measure
from segmodels.taxonomy import OUTFIT_15

APP = Path(__file__).parents[2] / "dashboard" / "app.py"


def analyse(segmenter, name, data, notes=None):  # type: ignore[no-untyped-def]
    photo = decode(name, data, notes)
    height, width = photo.shape[:2]
    found = np.zeros((height, width), np.uint8)
    middle = slice(width // 4, 3 * width // 4)
    top = "Coat" if name.rpartition("/")[2].startswith("coat") else "Shirt"
    found[height // 4 : height // 2, middle] = OUTFIT_15[top].id
    found[height // 2 : 9 * height // 10, middle] = OUTFIT_15["Pants"].id
    sure = np.full((height, width), 230, np.uint8)
    people, garments = measure(photo, OUTFIT_15, found, sure, [Person((0, 0, width, height), 0.9, detected=True)])
    checkpoint = segmenter.checkpoint
    seen = Segmentation(OUTFIT_15, found, sure, people, garments, checkpoint.name, checkpoint.revision, 0.01)
    return row_of(seen, photo, name, data)


networks.model_names = lambda: ["tiny"]  # nothing to choose
ingest.analyse = analyse  # type: ignore[assignment]
runpy.run_path(str(APP))
