"""Embeddings of garments: what they keep of features, and files that cannot be used."""

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from segmodels.inference.embedding import EMBEDDING_FILE, Embedding, EmbeddingError, read_embedding, write_embedding

COMPONENTS = np.random.default_rng(0).standard_normal((4, 9)).astype(np.float32)
OFFSET = np.array([1, 0, -1, 2], np.float32)
WEIGHTS = "0123456789ab"


def embedding() -> Embedding:
    return Embedding(WEIGHTS, "made-up photos", COMPONENTS, OFFSET)


def test_a_vector_has_length_127_and_the_direction_of_the_projection() -> None:
    features = np.arange(9, dtype=np.float32)
    found = np.frombuffer(embedding().embed(features), np.int8).astype(float)
    wanted = COMPONENTS @ features - OFFSET
    assert found == pytest.approx(127 * wanted / np.linalg.norm(wanted), abs=0.51)
    still = Embedding(WEIGHTS, "", COMPONENTS, COMPONENTS @ features)
    assert still.embed(features) == bytes(4), "of no direction"


def test_features_of_another_input_are_a_sentence() -> None:
    with pytest.raises(EmbeddingError, match=r"made for another input size .* for 9 features .* where 8 come\. Fit it"):
        embedding().embed(np.zeros(8, np.float32))


def test_what_is_written_is_read_and_the_revision_is_that_of_the_coefficients(tmp_path: Path) -> None:
    assert read_embedding(tmp_path, WEIGHTS) is None
    write_embedding(tmp_path, embedding())
    found = read_embedding(tmp_path, WEIGHTS)
    assert found is not None and (found.weights, found.data) == (WEIGHTS, "made-up photos")
    assert np.array_equal(found.components, COMPONENTS) and np.array_equal(found.offset, OFFSET)
    assert found.revision == embedding().revision and len(found.revision) == 12
    others = [Embedding(WEIGHTS, "", COMPONENTS + 1, OFFSET), Embedding(WEIGHTS, "", COMPONENTS, OFFSET + 1)]
    assert len({each.revision for each in (found, *others)}) == 3
    assert Embedding("other", "other", COMPONENTS, OFFSET).revision == found.revision


@pytest.mark.parametrize(
    ("tensors", "about", "sentence"),
    [
        ({}, {"version": "2"}, "is of version 2, and this is version 1. Fit it again"),
        ({}, {"weights": "ffff"}, "belongs to the weights ffff, and the network's are 0123456789ab. Fit it again"),
        ({"offset": OFFSET[:3]}, {}, "is damaged: it does not hold components and one offset for each"),
        ({"more": OFFSET}, {}, "is damaged: it does not hold components"),
        ({"components": OFFSET}, {}, "is damaged: it does not hold components"),
        ({"offset": OFFSET * np.nan}, {}, "has values that are not numbers"),
        ({"components": COMPONENTS * 1e30}, {}, "has values that are not numbers, or far too large"),
        ({"components": COMPONENTS * 0}, {}, "is damaged: a dimension is zero throughout"),
    ],
)
def test_what_cannot_be_used_is_a_sentence(
    tmp_path: Path, tensors: dict[str, np.ndarray], about: dict[str, str], sentence: str
) -> None:
    written = {"components": COMPONENTS, "offset": OFFSET} | tensors
    save_file(written, tmp_path / EMBEDDING_FILE, {"version": "1", "weights": WEIGHTS} | about)
    with pytest.raises(EmbeddingError, match=sentence):
        read_embedding(tmp_path, WEIGHTS)


def test_a_file_of_another_kind_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / EMBEDDING_FILE).write_bytes(b"\x00" * 20)
    with pytest.raises(EmbeddingError, match="is damaged or not a safetensors file: .*remove the file"):
        read_embedding(tmp_path, WEIGHTS)
