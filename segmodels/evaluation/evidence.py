"""Evidence of a score: one row for each evaluated photo, in a checkpoint's `evidence.parquet`.

With it a page can say which photos a number comes from, and a difference between two runs gets its interval, without
a photo or a ground truth being kept.

Where the truth is in another taxonomy than the network, the counts have a row for each class of the truth and a column
for each class of the network; `segmodels.mappings` finds what both have in common.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from segmodels.errors import GarmentscopeError
from segmodels.evaluation.metrics import ConfusionMatrix
from segmodels.evaluation.results import taxonomy_entry, taxonomy_from
from segmodels.files import open_regular, parse_json, replacing
from segmodels.inference.class_map import small_map
from segmodels.mappings import CommonClasses
from segmodels.taxonomy import TAXONOMIES, UNLABELLED, Taxonomy

__all__ = [
    "CLASS_MAP_SIDE",
    "EVIDENCE_FILE",
    "Evidence",
    "EvidenceError",
    "evidence_of",
    "in_common",
    "read_evidence",
    "total",
    "truths_of",
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
_TRUTH = pa.field("truth_taxonomy", pa.string())  # only in files that have such rows


class EvidenceError(GarmentscopeError, ValueError):
    """A file of evidence that cannot be used; the message names it and what is wrong."""


@dataclass(frozen=True, eq=False)
class Evidence:
    """One evaluated photo.

    Args:
        photo_id: Id of the photo in its data set.
        fold: Fold that the training of the network left out; None if the photo is in no fold.
        counts: Counts of pixels at the photo's own size, int64 `(t, n)`: rows truth, columns prediction.
        class_map: The prediction as palette PNG, its longest side at most `CLASS_MAP_SIDE` pixels.
        truth_taxonomy: Taxonomy of the rows of `counts`; None if it is that of the prediction.
    """

    photo_id: str
    fold: int | None
    counts: np.ndarray
    class_map: bytes
    truth_taxonomy: Taxonomy | None = None


def evidence_of(
    photo_id: str,
    truth: np.ndarray,
    prediction: np.ndarray,
    taxonomy: Taxonomy,
    fold: int | None = None,
    truth_taxonomy: Taxonomy | None = None,
) -> Evidence:
    """The evidence of one photo.

    Args:
        photo_id: Id of the photo in its data set.
        truth: True class ids, uint8 `(H, W)`.
        prediction: Predicted class ids, uint8 `(H, W)`.
        taxonomy: Taxonomy of the predicted ids.
        fold: Fold of the photo, as in `Evidence`.
        truth_taxonomy: Taxonomy of the true ids, where it is another; one that matches `taxonomy` is left out.

    Raises:
        ValueError: If the shapes differ, or an id is outside the taxonomy.
    """
    if truth_taxonomy is None or truth_taxonomy.matches(taxonomy):
        matrix = ConfusionMatrix(taxonomy.names)
        matrix.add(truth, prediction)
        counts, truth_taxonomy = matrix.counts, None
    else:
        counts = _count(truth, prediction, len(truth_taxonomy), len(taxonomy))
    return Evidence(photo_id, fold, counts, small_map(prediction, taxonomy, CLASS_MAP_SIDE), truth_taxonomy)


def _count(truth: np.ndarray, prediction: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Counts of the labelled pixels, int64 `(rows, columns)`."""
    if truth.shape != prediction.shape:
        raise ValueError(f"Truth {truth.shape} and prediction {prediction.shape} must have the same shape.")
    known = truth != UNLABELLED
    true, predicted = truth[known].astype(np.int64), prediction[known].astype(np.int64)
    if true.size and (true.max() >= rows or predicted.max() >= columns):
        raise ValueError(f"Class ids must be below {rows} in the truth and {columns} in the prediction.")
    return np.bincount(true * columns + predicted, minlength=rows * columns).reshape(rows, columns)


def total(evidence: Sequence[Evidence], taxonomy: Taxonomy) -> ConfusionMatrix:
    """The matrix over all photos, from which every score is derived.

    Args:
        evidence: Evidence of the photos, with truth and prediction in one taxonomy.
        taxonomy: Taxonomy of both.
    """
    size = len(taxonomy)
    start = np.zeros(evidence[0].counts.shape if evidence else (size, size), np.int64)
    return ConfusionMatrix(taxonomy.names, sum((row.counts for row in evidence), start))


def in_common(evidence: Sequence[Evidence], taxonomy: Taxonomy, common: CommonClasses) -> list[Evidence]:
    """Evidence with its counts in the classes that several taxonomies have in common.

    Args:
        evidence: Evidence of the photos.
        taxonomy: Taxonomy of the predictions.
        common: Classes that it, and the taxonomies of the truth, have in common with others.

    Returns:
        The rows in their order; their counts are those of `CommonClasses.map_counts`, their class maps as they were.
    """
    return [
        replace(
            row, counts=common.map_counts(row.counts, row.truth_taxonomy or taxonomy, taxonomy), truth_taxonomy=None
        )
        for row in evidence
    ]


def truths_of(evidence: Iterable[Evidence], taxonomy: Taxonomy) -> list[Taxonomy]:
    """The taxonomies in which the truth of the photos is given, each once.

    Args:
        evidence: Evidence of the photos.
        taxonomy: Taxonomy of the predictions.
    """
    found: list[Taxonomy] = []
    for row in evidence:
        each = row.truth_taxonomy or taxonomy
        if not any(each is known or each.matches(known) for known in found):
            found.append(each)
    return found


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
    schema = _SCHEMA
    if any(row.truth_taxonomy for row in evidence):
        schema = _SCHEMA.append(_TRUTH)
        columns[_TRUTH.name] = [_taxonomy_text(row.truth_taxonomy) for row in evidence]
    schema = schema.with_metadata({"taxonomy": taxonomy.name, **known})
    with replacing(path) as part:
        pq.write_table(pa.table(columns, schema), part, compression="zstd")


def read_evidence(path: Path) -> tuple[list[Evidence], Taxonomy]:
    """Reads a file of evidence, and the taxonomy that its matrices are over.

    Raises:
        EvidenceError: If the file is missing or damaged, or of other classes than it says.
    """
    try:
        with open_regular(path) as file:  # by its content alone: a folder named key=value is no column
            table = pq.read_table(file)
        metadata = table.schema.metadata or {}
        own = metadata.get(b"own_taxonomy")
        taxonomy = (
            Taxonomy.from_json(parse_json(own.decode())) if own else TAXONOMIES[metadata.get(b"taxonomy", b"").decode()]
        )
        names = [*_SCHEMA.names, *([_TRUTH.name] if _TRUTH.name in table.schema.names else [])]
        rows = [_evidence(row, taxonomy) for row in table.select(names).to_pylist()]
    except FileNotFoundError:
        raise EvidenceError(f"{path} is missing. Evaluate the checkpoint again with --keep, or run crossval.") from None
    except (OSError, KeyError, TypeError, ValueError, pa.ArrowException) as error:
        reason = str(error).partition("\n")[0]
        raise EvidenceError(f"{path} is damaged or not an evidence file: {reason}. Make it again.") from None
    return rows, taxonomy


def _evidence(row: Mapping[str, Any], taxonomy: Taxonomy) -> Evidence:
    """One row of a file."""
    text = row.get(_TRUTH.name)
    truth = None if text is None else _taxonomy_of(text)
    counts = np.array(row["counts"], np.int64).reshape(len(truth or taxonomy), len(taxonomy))
    return Evidence(row["photo_id"], row["fold"], counts, row["class_map"], truth)


def _taxonomy_text(taxonomy: Taxonomy | None) -> str | None:
    """A taxonomy in a column: its name if it is in `TAXONOMIES`, else all of it as JSON."""
    entry = taxonomy_entry(taxonomy) if taxonomy else None
    return entry if isinstance(entry, str | None) else json.dumps(entry)


@lru_cache(maxsize=16)
def _taxonomy_of(text: str) -> Taxonomy:
    return taxonomy_from(parse_json(text) if text.startswith("{") else text)
