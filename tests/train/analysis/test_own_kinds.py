"""Kinds and an embedding by a data set of one's own: from made-up pictures and a small network to an archive."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segmodels.archive.__main__ import main as archive_main
from segmodels.archive.facts import Facts, View
from segmodels.archive.store import Archive
from segmodels.checkpoints.catalog import load_segmenter
from segmodels.checkpoints.checkpoint import load_checkpoint
from segmodels.datasets.kinds import KINDS_TABLE
from segmodels.inference.kinds import KINDS_FILE
from train.__main__ import main
from train.recipe import Recipe
from train.segmentation.fit import fit

PHOTOS = 80
HEIGHT, WIDTH = 64, 48
NAMES = {1: ("plain wrap", "Wrap"), 2: ("striped wrap", "Wrap"), 3: ("tote", "accessory")}


def rectangle(left: int, top: int, right: int, bottom: int) -> list[list[int]]:
    return [[left, top, right, top, right, bottom, left, bottom]]


@pytest.fixture(scope="module")
def looks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Red wraps, of which every second has white stripes, and black totes on every third photo."""
    folder, random = tmp_path_factory.mktemp("looks"), np.random.default_rng(0)
    images, annotations = [], []
    for number in range(PHOTOS):
        photo = random.integers(200, 240, (HEIGHT, WIDTH, 3), np.uint8)
        left, striped = int(random.integers(4, 14)), number % 2
        photo[12:56, left : left + 24] = 180, 40, 60
        photo[12:56:4, left : left + 24] = (250, 250, 250) if striped else (180, 40, 60)
        annotations.append((number, 1 + striped, rectangle(left, 12, left + 24, 56)))
        if number % 3 == 0:
            photo[30:42, left + 25 : left + 33] = 20
            annotations.append((number, 3, rectangle(left + 25, 30, left + 33, 42)))
        name = f"{number:02}.png"
        Image.fromarray(photo).save(folder / name)
        images.append({"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT})
    content = {
        "images": images,
        "annotations": [{"image_id": a, "category_id": b, "segmentation": c} for a, b, c in annotations],
        "categories": [{"id": a, "name": b, "supercategory": c} for a, (b, c) in NAMES.items()],
    }
    (folder / "looks.json").write_text(json.dumps(content), "utf-8")
    return folder


@pytest.fixture(scope="module")
def source(looks: Path) -> str:
    """The data set, with the table that was made of its supercategories."""
    assert main(["check-data", f"coco:{looks / 'looks.json'}", "--save-kinds"]) == 0
    return f"coco:{looks / 'looks.json'}"


@pytest.fixture(scope="module")
def network(source: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A network that has learned where wraps and totes are, without fold 0."""
    recipe = Recipe(
        dataset=source,
        architecture="fpn",
        arguments={"encoder": "resnet18", "pyramid_channels": 32, "segmentation_channels": 32},
        imagenet=False,
        height=HEIGHT,
        width=WIDTH,
        cache_side=HEIGHT,
        crop="none",
        whole_photo=1.0,
        jitter=0.0,
        average=0.0,
        epochs=2,
        batch_size=8,
        learning_rate=4e-3,
    )
    folder = tmp_path_factory.mktemp("models")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GARMENTSCOPE_CACHE", str(folder / "cache"))
        yield fit(recipe, None, folder / "run", workers=0)


def test_from_pictures_to_counts_by_kind(
    network: Path, source: str, looks: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["kinds", str(network), "--dataset", source]) == 0
    said = capsys.readouterr().out
    assert said.startswith("Wrap, coco-looks, fold 0 (16 photos), full, cross-validated: 16 garments")
    kinds = load_checkpoint(network).kinds
    assert kinds is not None
    assert kinds.config.classes["Wrap"].names == ("plain wrap", "striped wrap") and kinds.config.left_out == {}
    (judged,) = kinds.config.judgements
    assert judged.accuracy.value > 0.9 and judged.majority == pytest.approx(0.5, abs=0.2)
    assert sum(len(cell.split()) for row in judged.photo_ids for cell in row) == 16
    assert "| Wrap | plain wrap, striped wrap | coco-looks, fold 0 (16 photos) |" in (network / "README.md").read_text()

    assert main(["embedding", str(network), "--dataset", source]) == 0
    assert "32 dimensions, fitted on 64 photos of coco-looks." in capsys.readouterr().out
    segmenter = load_segmenter(str(network))
    embedding = segmenter.checkpoint.embedding
    assert embedding is not None
    named = [
        {garment.name: garment.kind for garment in segmenter.segment(looks / f"{number:02}.png").garments}["Wrap"]
        for number in range(8)
    ]
    assert [each and each.name for each in named].count("striped wrap") >= 3
    assert all(each is None or each.name == NAMES[1 + place % 2][0] for place, each in enumerate(named))

    archive = Archive(tmp_path / "archive")
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(8):
        (folder / f"{number:02}.png").symlink_to(looks / f"{number:02}.png")
    arguments = ["ingest", str(folder), "--archive", str(archive.place.location), "--model", str(network)]
    assert archive_main(arguments) == 0
    with archive.reader() as reader:
        made_by = reader.query(
            "SELECT DISTINCT kinds_revision AS kinds, embedding_revision AS embedding, "
            "calibration_revision AS none FROM photos"
        )
        assert made_by["kinds"].tolist() == [kinds.revision] and made_by["none"].isna().all()
        assert made_by["embedding"].tolist() == [embedding.revision]
        sizes = reader.query("SELECT DISTINCT octet_length(unnest(embeddings)) AS size FROM photos")["size"]
        assert sizes.tolist() == [32]
        facts = Facts(reader, segmenter.taxonomy, kinds=True)
        counts = facts.counts(View(counting="raw"))
    worn = dict(zip(counts.names, counts.each.tolist(), strict=True))
    assert worn["Striped wrap"] == sum(each is not None for each in named[1::2])
    assert worn["Plain wrap"] == sum(each is not None for each in named[::2])


@pytest.fixture
def copied(looks: Path, tmp_path: Path) -> Path:
    """The same looks, without a table."""
    (tmp_path / "looks.json").write_bytes((looks / "looks.json").read_bytes())
    for path in looks.glob("*.png"):
        (tmp_path / path.name).symlink_to(path)
    return tmp_path


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "coco-looks names no kinds of its classes. Write kinds.csv (name, class, kind) into"),
        ("shawl", "coco-looks names kinds of Shawl, and none of these is a garment or accessory of"),
    ],
)
def test_kinds_that_the_network_cannot_have_are_a_sentence(
    table: str, said: str, copied: Path, network: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if table:
        lines = [f"{name},{'Shawl' if name.endswith('wrap') else name},{name}\n" for name, _ in NAMES.values()]
        (copied / KINDS_TABLE).write_text("name,class,kind\n" + "".join(lines), "utf-8")
    before = (network / KINDS_FILE).exists()
    assert main(["kinds", str(network), "--dataset", f"coco:{copied / 'looks.json'}"]) == 1
    assert said in capsys.readouterr().err
    assert (network / KINDS_FILE).exists() == before
