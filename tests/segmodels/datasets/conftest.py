"""Writes small data sets in exactly the layouts of the real ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

NAMES = (
    "bk T-shirt bag belt blazer blouse coat dress face hair hat jeans legging pants scarf shoe shorts skin skirt socks "
    "stocking sunglass sweater"
).split()
COLOURS = "bk beige black blue brown gray green orange pink purple red white yellow".split()
NAME_KEYS = "bcdefghijklmnopqrstuvwx"
COLOUR_KEYS = "yzABCDEFGHIJK"

WriteCfpd = Callable[..., Path]


@pytest.fixture
def write_cfpd(tmp_path: Path) -> WriteCfpd:
    """Writes a data set in CFPD's layout: one photo of 40 x 60 for each key of `superpixels`."""

    def write(
        superpixels: Mapping[str, np.ndarray],
        categories: Mapping[str, Sequence[float]],
        colours: Mapping[str, Sequence[float]],
        *,
        root: Path | None = None,
        fine: tuple[Sequence[Sequence[int]], Sequence[Sequence[int]]] | None = None,
        nameless: bool = False,
        names: Sequence[str] = NAMES,
        table: str = "all_colors_name",
    ) -> Path:
        root = root or tmp_path / "cfpd"
        (root / "image").mkdir(parents=True)
        with h5py.File(root / "fashon_parsing_data.mat", "w", userblock_size=512) as file:
            refs = file.create_group("#refs#")
            refs.create_dataset("a", data=np.zeros(2, np.uint64))  # what MATLAB writes for an empty cell
            for variable, texts, keys, lists in (
                ("all_category_name", names, NAME_KEYS, fine and fine[0]),
                (table, COLOURS, COLOUR_KEYS, fine and fine[1]),
            ):
                pointed = []
                for place, (text, key) in enumerate(zip(texts, keys, strict=True)):
                    codes = np.array([[ord(letter)] for letter in text], np.uint16)
                    if lists:
                        refs.create_dataset(key, data=np.array([lists[place]], np.uint16))
                    name = f"name_{key}" if lists and not nameless else key
                    if not (lists and nameless):
                        refs.create_dataset(name, data=codes)
                    pointed.append(refs[name].ref)
                file.create_dataset(variable, data=np.array([pointed], h5py.ref_dtype))
            groups = []
            for number, (photo_id, ids) in enumerate(superpixels.items()):
                group = refs.create_group(f"L{number}")
                group.create_dataset("img_name", data=np.array([[ord(c)] for c in f"{photo_id}.jpg"], np.uint16))
                group.create_dataset("segmentation", data=ids.T.astype(np.float32))
                group.create_dataset("category_label", data=np.array([categories[photo_id]], np.float64))
                group.create_dataset("color_label", data=np.array([colours[photo_id]], np.float64))
                groups.append(group.ref)
                Image.new("RGB", ids.shape[::-1], (200, 100, 50)).save(root / "image" / f"{photo_id}.jpg")
            file.create_dataset("fashion_dataset", data=np.array([groups], h5py.ref_dtype))
        return root

    return write
