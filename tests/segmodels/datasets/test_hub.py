import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import ClassLabel, DatasetDict, Features, Image, List, Value  # type: ignore[import-untyped]
from datasets import Dataset as Table
from drawn_annotations import NAMES, PHOTOS, picture, truth
from hub_server import running_hub
from PIL import Image as Pillow

from segmodels.datasets import Dataset, DatasetError, dataset_name, is_dataset, open_dataset
from segmodels.photo import PhotoError
from segmodels.taxonomy import UNLABELLED

Save = Callable[[Table | DatasetDict, Path], Path]


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GARMENTSCOPE_CACHE", str(tmp_path / "caches"))
    return tmp_path / "caches"


def png(values: np.ndarray) -> bytes:
    out = io.BytesIO()
    Pillow.fromarray(values).save(out, "PNG")
    return out.getvalue()


def table(names: tuple[str, ...] = PHOTOS, **columns: list[Any]) -> Table:
    """A table of the drawn pictures, whose column `classes` names what each shows."""
    rows: dict[str, list[Any]] = {
        "image": [{"path": f"{name}.png", "bytes": png(picture(name))} for name in names],
        "mask": [Pillow.fromarray(truth(name)) for name in names],
        "classes": [sorted(set(np.unique(truth(name)).tolist())) for name in names],
        "shoot": ["A7" for _ in names],
        **columns,
    }
    features = Features(image=Image(), mask=Image(), classes=List(ClassLabel(names=list(NAMES))), shoot=Value("string"))
    return Table.from_dict(rows, features=features)


def to_disk(data: Table | DatasetDict, folder: Path) -> Path:
    data.save_to_disk(str(folder))
    return folder


def to_parquet(data: Table | DatasetDict, folder: Path) -> Path:
    """The layout of `push_to_hub`."""
    (folder / "data").mkdir(parents=True)
    for split, part in data.items() if isinstance(data, DatasetDict) else [("train", data)]:
        part.to_parquet(str(folder / "data" / f"{split}-00000-of-00001.parquet"))
    return folder


def check(dataset: Dataset, photo_id: str, name: str) -> None:
    photo, found = dataset.pair(photo_id)
    assert (photo == picture(name)).all()
    assert (np.array([each.lower() for each in dataset.taxonomy.names])[found] == np.array(NAMES)[truth(name)]).all()


@pytest.mark.parametrize("save", [to_disk, to_parquet])
def test_a_folder_that_the_library_wrote(save: Save, tmp_path: Path) -> None:
    folder = save(table(), tmp_path / "my clothes")
    for _ in range(2):
        dataset = open_dataset(f"hub:{folder}")
        assert dataset.ids == PHOTOS and dataset.name == "hub-my-clothes" == dataset_name(f"hub:{folder}")
        assert dataset.taxonomy.names == ("Background", "skirt", "belt", "boots")
        assert dataset.columns == {"shoot": {"front": "A7", "side": "A7"}} and dataset.root == folder
        for name in PHOTOS:
            check(dataset, name, name)
            assert dataset.truth_path(name).is_file()


@pytest.mark.parametrize("save", [to_disk, to_parquet])
def test_several_splits(save: Save, tmp_path: Path) -> None:
    folder = save(DatasetDict(train=table(), test=table(("front",))), tmp_path / "clothes")
    dataset = open_dataset(f"hub:{folder}")
    assert dataset.ids == ("test/front", "train/front", "train/side")
    check(dataset, "test/front", "front")
    check(dataset, "train/side", "side")


def test_one_file_and_photos_without_names(tmp_path: Path) -> None:
    path = tmp_path / "one.parquet"
    table(image=[{"path": None, "bytes": png(picture(name))} for name in PHOTOS]).to_parquet(str(path))
    dataset = open_dataset(f"hub:{path}")
    assert dataset.ids == ("000000", "000001") and dataset.name == "hub-one"
    check(dataset, "000001", "side")


def test_names_that_stand_beside_it(tmp_path: Path) -> None:
    folder = to_disk(table().remove_columns("classes"), tmp_path / "clothes")
    with pytest.raises(DatasetError, match=r"does not name the classes of its masks\. Write .* id2label\.json"):
        open_dataset(f"hub:{folder}")
    (folder / "id2label.json").write_text(json.dumps(dict(enumerate(NAMES))), "utf-8")
    check(open_dataset(f"hub:{folder}"), "front", "front")
    (folder / "id2label.json").write_text('{"a": "skirt"}', "utf-8")
    with pytest.raises(DatasetError, match="is not a table of names by number"):
        open_dataset(f"hub:{folder}")


def test_values_without_a_class_and_rows_that_are_damaged(tmp_path: Path) -> None:
    values = np.zeros((36, 48), np.uint8)
    values[0], values[1] = 1, UNLABELLED
    masks = [
        Pillow.fromarray(values),
        Pillow.fromarray(values + 7),
        {"path": None, "bytes": b"no PNG"},
        None,
        Pillow.fromarray(values[:20]),
        Pillow.fromarray(np.zeros((36, 48, 3), np.uint8)),
        Pillow.fromarray(values),
    ]
    names = [f"p{number}" for number in range(7)]
    images: list[Any] = [{"path": f"{name}.png", "bytes": png(picture("front"))} for name in names]
    images[6] = None
    rows = {"image": images, "mask": masks, "classes": [[1]] * 7, "shoot": ["A"] * 7}
    dataset = open_dataset(f"hub:{to_disk(Table.from_dict(rows, features=table().features), tmp_path / 'clothes')}")
    first, *others = dataset.ids
    truth = dataset.pair(first)[1]
    assert (truth[0] == 1).all() and (truth[1] == UNLABELLED).all() and not truth[2:].any()
    for photo_id, sentence in zip(
        others,
        (
            "no class has the number 6, 7, 8",
            "is damaged or no PNG",
            "is missing",
            "is 48 x 20 pixels, its photo 48 x 36",
            "is RGB, not an index or palette PNG",
            r"is empty \(0 bytes\)",
        ),
        strict=True,
    ):
        with pytest.raises((DatasetError, PhotoError), match=sentence):
            dataset.pair(photo_id)


def test_a_photo_that_lies_turned(tmp_path: Path) -> None:
    out, exif = io.BytesIO(), Pillow.Exif()
    exif[0x0112] = 6
    Pillow.fromarray(picture("front")).save(out, "PNG", exif=exif)
    images = [{"path": "a.png", "bytes": out.getvalue()}, {"path": "b.png", "bytes": out.getvalue()}]
    masks = [Pillow.fromarray(truth("front")), Pillow.fromarray(np.rot90(truth("front"), -1))]
    dataset = open_dataset(f"hub:{to_disk(table(image=images, mask=masks), tmp_path / 'clothes')}")
    assert dataset.draw_truth
    for photo_id, turned in (("a", True), ("b", False)):
        drawn = dataset.draw_truth(photo_id)
        assert drawn.turned is turned and (drawn.truth == np.rot90(truth("front"), -1)).all()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("nothing here", "There is no folder nothing here, and a data set on the Hub is named hub:owner/name."),
        ("owner/none", "hub:owner/none cannot be read: .*Check the name, the network, or the files."),
    ],
)
def test_what_is_not_there(name: str, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    assert is_dataset(f"hub:{name}")
    with pytest.raises(DatasetError, match=sentence):
        open_dataset(f"hub:{name}")


def test_folders_of_other_kinds(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds neither Parquet files nor what save_to_disk"):
        open_dataset(f"hub:{tmp_path}")
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DatasetError, match=r"hub:.* cannot be read: "):
        open_dataset(f"hub:{tmp_path}")
    folder = to_disk(table().remove_columns("mask"), tmp_path / "clothes")
    with pytest.raises(
        DatasetError, match=r"has no column of masks of the type Image .*; its columns of pictures are im"
    ):
        open_dataset(f"hub:{folder}")
    with pytest.raises(DatasetError, match="Leave --data out"):
        open_dataset(f"hub:{folder}", tmp_path)


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segmodels.datasets.hub.missing_extra", lambda *_, what: f"{what} needs datasets")
    with pytest.raises(DatasetError, match="hub:owner/name needs datasets"):
        open_dataset("hub:owner/name")


_OPEN = """
import sys
from segmodels.datasets import DatasetError, open_dataset
for name in sys.argv[1:]:
    try:
        dataset = open_dataset(name)
        marked = [int((dataset.pair(photo_id)[1] > 0).sum()) for photo_id in dataset.ids]
        print(dataset.ids, dataset.taxonomy.names[1:], marked)
    except DatasetError as error:
        print(error)
"""


def test_over_http(tmp_path: Path) -> None:
    """In a process of its own: the library reads the Hub's address when it is imported."""
    folder = to_parquet(table(), tmp_path / "clothes")
    files: dict[str, bytes | None] = {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.parquet")
    }
    with running_hub() as hub:
        hub.create("datasets/atelier/clothes")
        commit = hub.commit("datasets/atelier/clothes", files)
        hub.commit("datasets/atelier/clothes", {"data/train-00000-of-00001.parquet": b"PAR1 and no more"})
        hub.create("datasets/atelier/empty")
        names = [f"atelier/clothes@{commit}", "atelier/clothes", "atelier/clothes@v9", "atelier/empty", "atelier/none"]
        done = subprocess.run(
            [sys.executable, "-c", _OPEN, *(f"hub:{name}" for name in names)],
            env={**os.environ, **hub.environment(tmp_path / "home")},
            capture_output=True,
            text=True,
            timeout=120,
        )
        fetched = [request.path for request in hub.requests if request.method == "GET" and request.server == "store"]
    lines = done.stdout.splitlines()
    assert len(lines) == len(names), done.stderr
    marked = [int((truth(name) > 0).sum()) for name in PHOTOS]
    assert lines[0] == f"{PHOTOS} {NAMES[1:]} {marked}" and len(fetched) == 2
    for line, name, cause in zip(
        lines[1:], names[1:], ("", "", "doesn't contain any data files", "doesn't exist on the Hub"), strict=True
    ):
        assert line.startswith(f"hub:{name} cannot be read: ") and cause in line
        assert line.endswith(". Check the name, the network, or the files.")
