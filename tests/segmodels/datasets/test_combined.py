from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from segmodels.datasets import DATASETS, DatasetError, read_ccp_cfpd, read_cfpd
from segmodels.datasets.combined import combine
from segmodels.taxonomy import CCP_59, CFPD_LABELS, OUTFIT_15

WriteCfpd = Callable[..., Path]
SUPERPIXELS = np.zeros((60, 40), int)
SUPERPIXELS[30:] = 1


@pytest.fixture
def root(tmp_path: Path, write_cfpd: WriteCfpd) -> Path:
    """CCP and CFPD beside each other; both hold a photo 0001."""
    ccp = tmp_path / "ccp"
    for folder in ("photos", "annotations/pixel-level"):
        (ccp / folder).mkdir(parents=True)
    cells = np.empty((1, len(CCP_59)), object)
    cells[0] = list(CCP_59)
    savemat(ccp / "label_list.mat", {"label_list": cells})
    savemat(
        ccp / "annotations/pixel-level/0001.mat", {"groundtruth": np.full((24, 20), CCP_59.index("romper"), np.uint8)}
    )
    Image.new("RGB", (20, 24), (255, 0, 0)).save(ccp / "photos" / "0001.jpg")
    labels = {"0001": [CFPD_LABELS.index("face") + 1, CFPD_LABELS.index("legging") + 1]}
    write_cfpd({"0001": SUPERPIXELS}, labels, {"0001": [1, 2]}, root=tmp_path / "cfpd")
    return tmp_path


def test_both_are_read_in_the_15_classes(root: Path) -> None:
    dataset = read_ccp_cfpd(root)
    assert dataset.name == "ccp_cfpd" and dataset.taxonomy is OUTFIT_15
    assert dataset.ids == ("ccp-0001", "cfpd-0001")
    photo, truth = dataset.pair("ccp-0001")
    assert photo.shape == (24, 20, 3) and (truth == OUTFIT_15["Romper"].id).all()
    photo, truth = dataset.pair("cfpd-0001")
    assert photo.shape == (60, 40, 3)
    assert (truth[:30] == OUTFIT_15["Skin"].id).all() and (truth[30:] == OUTFIT_15["Pants"].id).all()
    assert dataset.photo_path("cfpd-0001") == root / "cfpd" / "image" / "0001.jpg"
    assert dataset.truth_path("ccp-0001") == root / "ccp" / "annotations" / "pixel-level" / "0001.mat"
    assert [part.name for part in dataset.parts] == ["ccp", "cfpd"]


def test_the_reader_is_registered() -> None:
    assert DATASETS["ccp_cfpd"] is read_ccp_cfpd


@pytest.mark.parametrize("photo_id", ["0001", "ccp0001", "coco-0001", ""])
def test_an_id_of_neither(root: Path, photo_id: str) -> None:
    with pytest.raises(DatasetError, match=rf"^{photo_id} is not a photo of ccp_cfpd; ids begin with ccp- or cfpd-\.$"):
        read_ccp_cfpd(root).pair(photo_id)


@pytest.mark.parametrize("missing", ["ccp", "cfpd"])
def test_one_of_the_two_is_missing(root: Path, missing: str) -> None:
    (root / missing).rename(root / "elsewhere")
    with pytest.raises(DatasetError, match=rf"{missing}/\w+ is missing\. .* is available at"):
        read_ccp_cfpd(root)


def test_data_sets_in_different_classes(root: Path) -> None:
    cfpd = read_cfpd(root / "cfpd")
    other = replace(read_cfpd(root / "cfpd", OUTFIT_15), name="other")
    with pytest.raises(DatasetError, match="both needs data sets in the same classes, not in CFPD_23, OUTFIT_15"):
        combine("both", root, (cfpd, other))
