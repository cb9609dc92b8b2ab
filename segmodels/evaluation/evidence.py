"""Evidence of a score: one row for each evaluated photo, in a checkpoint's `evidence.parquet`.

With it a page can say which photos a number comes from, and a difference between two runs gets its interval, without
a photo or a ground truth being kept.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from segmodels.errors import GarmentscopeError
from segmodels.evaluation.metrics import ConfusionMatrix
from segmodels.files import replacing
from segmodels.inference.class_map import small_map
from segmodels.taxonomy import TAXONOMIES, Taxonomy

__all__ = [
    "CLASS_MAP_SIDE",
    "EVIDENCE_FILE",
    "Evidence",
    "EvidenceError",
    "evidence_of",
    "read_evidence",
    "total",
    "write_evidence",
]

EVIDENCE_FILE = "evidence.parquet"
"""Name of the file in a checkpoint's folder."""

CLASS_MAP_SIDE = 160
"""Longest side, in pixels, of the class map that is kept of a photo."""

_SCHEMA = pa.schema(
    [
        pa.field("photo_id", pa.string(), nullable=False),
        pa.field("fold", pa.int32()),
        pa.field("counts", pa.list_(pa.int64()), nullable=False),
        pa.field("class_map", pa.binary(), nullable=False),
    ]
)


class EvidenceError(GarmentscopeError, ValueError):
    """A file of evidence that cannot be used; the message names it and what is wrong."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """One evaluated photo.

    Args:
        photo_id: Id of the photo in its data set.
        fold: Fold that the training of the network left out; None if the photo is in no fold.
        counts: Counts of pixels at the photo's own size, int64 `(n, n)`: rows truth, columns prediction.
        class_map: The prediction as palette PNG, its longest side at most `CLASS_MAP_SIDE` pixels.
    """

    photo_id: str
    fold: int | None
    counts: np.ndarray
    class_map: bytes


def evidence_of(
    photo_id: str, truth: np.ndarray, prediction: np.ndarray, taxonomy: Taxonomy, fold: int | None = None
) -> Evidence:
    """The evidence of one photo.

    Args:
        photo_id: Id of the photo in its data set.
        truth: True class ids, uint8 `(H, W)`.
        prediction: Predicted class ids, uint8 `(H, W)`.
        taxonomy: Taxonomy of the ids.
        fold: Fold of the photo, as in `Evidence`.

    Raises:
        ValueError: If the shapes differ, or an id is outside the taxonomy.
    """
    matrix = ConfusionMatrix(taxonomy.names)
    matrix.add(truth, prediction)
    return Evidence(photo_id, fold, matrix.counts, small_map(prediction, taxonomy, CLASS_MAP_SIDE))


def total(evidence: Sequence[Evidence], taxonomy: Taxonomy) -> ConfusionMatrix:
    """The matrix over all photos, from which every score is derived."""
    size = len(taxonomy)
    return ConfusionMatrix(taxonomy.names, sum((row.counts for row in evidence), np.zeros((size, size), np.int64)))


def write_evidence(path: Path, evidence: Sequence[Evidence], taxonomy: Taxonomy) -> None:
    """Writes a file of evidence, whole or not at all.

    Raises:
        OSError: If it cannot be written.
    """
    columns = {
        "photo_id": [row.photo_id for row in evidence],
        "fold": [row.fold for row in evidence],
        "counts": [row.counts.ravel() for row in evidence],
        "class_map": [row.class_map for row in evidence],
    }
    known = {} if TAXONOMIES.get(taxonomy.name) == taxonomy else {"own_taxonomy": json.dumps(taxonomy.to_json())}
    schema = _SCHEMA.with_metadata({"taxonomy": taxonomy.name, **known})
    with replacing(path) as part:
        pq.write_table(pa.table(columns, schema), part, compression="zstd")


def read_evidence(path: Path) -> tuple[list[Evidence], Taxonomy]:
    """Reads a file of evidence, and the taxonomy that its matrices are over.

    Raises:
        EvidenceError: If the file is missing or damaged, or of other classes than it says.
    """
    try:
        table = pq.read_table(path)
        metadata = table.schema.metadata or {}
        own = metadata.get(b"own_taxonomy")
        taxonomy = Taxonomy.from_json(json.loads(own)) if own else TAXONOMIES[metadata.get(b"taxonomy", b"").decode()]
        size = len(taxonomy)
        rows = [
            Evidence(
                row["photo_id"], row["fold"], np.array(row["counts"], np.int64).reshape(size, size), row["class_map"]
            )
            for row in table.select(_SCHEMA.names).to_pylist()
        ]
    except FileNotFoundError:
        raise EvidenceError(f"{path} is missing. Evaluate the checkpoint again with --keep, or run crossval.") from None
    except (OSError, KeyError, TypeError, ValueError, pa.ArrowException) as error:
        reason = str(error).partition("\n")[0]
        raise EvidenceError(f"{path} is damaged or not an evidence file: {reason}. Make it again.") from None
    return rows, taxonomy
