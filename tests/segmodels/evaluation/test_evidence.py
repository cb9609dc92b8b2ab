import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from own_classes import KIMONO
from PIL import Image

from segmodels.evaluation.evidence import (
    EvidenceError,
    evidence_of,
    in_common,
    read_evidence,
    total,
    truths_of,
    write_evidence,
)
from segmodels.evaluation.metrics import ConfusionMatrix
from segmodels.mappings import common_classes, shipped_mappings
from segmodels.taxonomy import OUTFIT_15, UNLABELLED


def maps(seed: int, height: int = 40, width: int = 24) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 15, (height, width), np.uint8)
    prediction = np.where(generator.random((height, width)) < 0.3, 0, truth).astype(np.uint8)
    truth[0] = UNLABELLED
    return truth, prediction


def test_evidence_of_a_photo() -> None:
    truth, prediction = maps(0)
    row = evidence_of("0007", truth, prediction, OUTFIT_15, fold=3)
    expected = ConfusionMatrix(OUTFIT_15.names)
    expected.add(truth, prediction)
    assert (row.photo_id, row.fold) == ("0007", 3) and (row.counts == expected.counts).all()
    image = Image.open(io.BytesIO(row.class_map))
    assert image.mode == "P" and (np.asarray(image) == prediction).all()
    assert (np.asarray(image.convert("RGB")) == OUTFIT_15.palette[prediction]).all()


def test_a_large_class_map_is_reduced_and_ids_are_not_mixed() -> None:
    prediction = np.zeros((800, 500), np.uint8)
    prediction[400:] = 14
    row = evidence_of("x", prediction, prediction, OUTFIT_15)
    small = np.asarray(Image.open(io.BytesIO(row.class_map)))
    assert small.shape == (160, 100) and (small[:80] == 0).all() and (small[80:] == 14).all()
    assert row.counts.sum() == 800 * 500, "the counts are those of the photo's own size"


def test_there_and_back(tmp_path: Path) -> None:
    rows = [evidence_of(f"{seed:04}", *maps(seed), OUTFIT_15, fold=None if seed else 2) for seed in range(3)]
    write_evidence(tmp_path / "evidence.parquet", rows, OUTFIT_15)
    back, taxonomy = read_evidence(tmp_path / "evidence.parquet")
    assert taxonomy is OUTFIT_15
    for old, new in zip(rows, back, strict=True):
        assert (old.photo_id, old.fold, old.class_map) == (new.photo_id, new.fold, new.class_map)
        assert (old.counts == new.counts).all() and new.counts.shape == (15, 15)
    assert (total(back, taxonomy).counts == sum(row.counts for row in rows)).all()
    assert list(tmp_path.iterdir()) == [tmp_path / "evidence.parquet"]
    assert pq.read_table(tmp_path / "evidence.parquet").schema.names == ["photo_id", "fold", "counts", "class_map"]


def test_nothing_judged_is_an_empty_matrix() -> None:
    assert total([], OUTFIT_15).counts.sum() == 0


def test_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    path = tmp_path / "evidence.parquet"
    with pytest.raises(EvidenceError, match="is missing. Evaluate the checkpoint again with --keep"):
        read_evidence(path)
    for content in (b"", b"no parquet at all"):
        path.write_bytes(content)
        with pytest.raises(EvidenceError, match="is damaged or not an evidence file"):
            read_evidence(path)
    other = pq.read_table
    write_evidence(path, [evidence_of("a", *maps(1), OUTFIT_15)], OUTFIT_15)
    pq.write_table(other(path).replace_schema_metadata({"taxonomy": "SHOES_3"}), path)
    with pytest.raises(EvidenceError, match="SHOES_3"):
        read_evidence(path)


def test_classes_of_ones_own_stand_in_the_file(tmp_path: Path) -> None:
    truth = np.random.default_rng(0).integers(0, len(KIMONO), (40, 24), np.uint8)
    path = tmp_path / "evidence.parquet"
    write_evidence(path, [evidence_of("0001", truth, truth, KIMONO)], KIMONO)
    ((row,), taxonomy) = read_evidence(path)
    assert taxonomy == KIMONO
    assert (row.counts == np.diag(np.bincount(truth.ravel()))).all()
    write_evidence(path, [], OUTFIT_15)
    assert pq.read_schema(path).metadata == {b"taxonomy": b"OUTFIT_15"}, "as it was before"


def test_a_truth_in_another_taxonomy(tmp_path: Path) -> None:
    """By hand: a skirt of ATR on a dress and on socks, an unlabelled pixel; beside it a row in one taxonomy."""
    atr = next(each.taxonomy() for each in shipped_mappings() if each.source == "ATR_18")
    dress, socks, skirt = OUTFIT_15["Dress"].id, OUTFIT_15["Socks"].id, atr["Skirt"].id
    truth, found = np.array([[dress, dress, socks, 255]], np.uint8), np.array([[skirt, 0, skirt, skirt]], np.uint8)
    row = evidence_of("0001", truth, found, atr, truth_taxonomy=OUTFIT_15)
    assert row.counts.shape == (15, 18) and row.counts.sum() == 3
    assert (row.counts[dress, skirt], row.counts[dress, 0], row.counts[socks, skirt]) == (1, 1, 1)
    same = evidence_of("0002", found, found, atr, truth_taxonomy=atr)
    assert same.truth_taxonomy is None and same.counts.shape == (18, 18)
    write_evidence(tmp_path / "e.parquet", [row, same], atr)
    (first, second), taxonomy = read_evidence(tmp_path / "e.parquet")
    assert taxonomy == atr and first.truth_taxonomy == OUTFIT_15 and second.truth_taxonomy is None
    np.testing.assert_array_equal(first.counts, row.counts)
    assert truths_of([first, second], taxonomy) == [OUTFIT_15, atr]
    common = common_classes({"truth": OUTFIT_15, "segformer": atr})
    matrix = total(in_common([first], taxonomy, common), common.taxonomy)
    assert matrix.counts.sum() == 2 and matrix.iou[common.taxonomy["Dress"].id] == 0.5
    with pytest.raises(ValueError, match="must be below 15 in the truth"):
        evidence_of("0003", np.array([[15]], np.uint8), np.array([[0]], np.uint8), atr, truth_taxonomy=OUTFIT_15)
