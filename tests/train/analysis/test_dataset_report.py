import csv
import json
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from segmodels.datasets import Dataset, DatasetError, read_ccp
from segmodels.taxonomy import CCP_59, OUTFIT_15
from train.__main__ import main
from train.analysis.dataset_report import PhotoCounts, count_photos, measure_dataset, report_statistics


def photo(number: int, width: int, height: int, unlabelled: int = 0, **pixels: int) -> PhotoCounts:
    counts, labels = [0] * len(OUTFIT_15), [0] * len(CCP_59)
    for name, count in pixels.items():
        counts[OUTFIT_15[name].id] = count
        labels[CCP_59.index({"Background": "null", "Coat": "blazer", "Bag": "purse"}[name])] = count
    return PhotoCounts(f"{number:04}", 1, 1, width, height, unlabelled, tuple(counts), tuple(labels))


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The photos that were opened, in order."""
    import segmodels.datasets.dataset as module

    opened: list[Path] = []
    real = module.open_photo

    def noted(path: Path, **options: int | None) -> np.ndarray:
        opened.append(path)
        return real(path, **options)

    monkeypatch.setattr(module, "open_photo", noted)
    return opened


def test_shares_by_hand(dataset: Dataset) -> None:
    photos = [
        photo(1, 10, 10, Background=50, Coat=40, Bag=10),
        photo(2, 30, 12, Background=300, Coat=60),
        photo(3, 20, 10, 30, Background=170),
    ]
    found = measure_dataset(dataset, photos, {"0009": "0009 is damaged."})
    assert (found["photos"], found["pixels"]) == (3, 630)
    coat = found["classes"]["Coat"]
    assert (coat["photos"], coat["pixels"]) == (2, 100)
    assert coat["share_of_photos"] == 2 / 3 and coat["share_of_pixels"] == 100 / 630
    assert coat["share_of_appearances"] == 2 / 6 and coat["share_of_foreground"] == 100 / 110
    assert coat["share_where_shown"] == pytest.approx((40 / 100 + 60 / 360) / 2)
    assert found["classes"]["Background"]["share_of_foreground"] == 0
    assert found["classes"]["Romper"]["share_where_shown"] == 0
    assert found["photos_by_number_of_classes"] == {"1": 1, "2": 1, "3": 1}
    assert found["labels"]["blazer"] == {"class": "Coat", "photos": 2, "pixels": 100}
    assert found["labels"]["panties"] == {"class": None, "photos": 0, "pixels": 0}
    assert found["photos_by_number_of_garments"] == {"0": 1, "1": 1, "2": 1}
    width = found["width"]
    assert (width["smallest"], width["median"], width["mean"], width["largest"]) == (10, 20, 20, 30)
    assert width["largest_difference"] == 20 and found["height"]["largest_difference"] == 2
    assert found["height"]["histogram"] == {"edges": [10, 11, 12, 13], "photos": [2, 0, 1]}
    assert sum(width["histogram"]["photos"]) == 3 and len(width["histogram"]["edges"]) == 12
    faults = found["faults"]
    assert faults["unreadable"] == {"0009": "0009 is damaged."} and faults["background_only"] == ["0003"]
    assert "Romper" in faults["unseen"] and "Coat" not in faults["unseen"] and faults["unlabelled_pixels"] == 30
    assert faults["sentences"][0] == "3 of 4 photos can be read."
    assert faults["sentences"][-1] == "30 pixels carry a label of no class; they count nowhere."


def test_the_command_writes_numbers_and_pictures(
    own_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (own_root / "photos" / "0003.jpg").write_bytes(b"no photo")
    out = tmp_path / "report"
    assert main(["stats", "--dataset", "ccp", "--data", str(own_root), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "7 of 8 photos can be read." in said and "0003" in said and "No pixel is " in said
    found = json.loads((out / "statistics.json").read_text())
    assert found["photos"] == 7 and found["pixels"] == 7 * 72 * 48
    assert found["classes"]["Scarf/Tie"]["photos"] == 1 and found["classes"]["Scarf/Tie"]["pixels"] == 16
    assert found["classes"]["Hair"]["pixels"] == 7 * 8 * 12
    assert found["width"]["histogram"] == {"edges": [48, 49], "photos": [7]}
    with (out / "classes.csv").open(newline="") as file:
        rows = {row["class"]: row for row in csv.DictReader(file)}
    assert list(rows) == list(OUTFIT_15.names) and rows["Scarf/Tie"]["pixels"] == "16"
    assert float(rows["Hair"]["share_of_pixels"]) == found["classes"]["Hair"]["share_of_pixels"]
    assert (out / "sizes.csv").read_text().splitlines()[1:] == ["width,48,49,7", "height,72,73,7"]
    page = (out / "index.html").read_text("utf-8")
    assert page.count('id="figure-') == 7 and "7 of 8 photos can be read." in page
    assert len((out / "photos.csv").read_text().splitlines()) == 8


def test_labels_garments_and_parts_are_counted(own_root: Path, tmp_path: Path) -> None:
    (own_root / "annotations" / "image-level").mkdir()
    (own_root / "annotations" / "image-level" / "1001.mat").write_bytes(b"tags")
    out, copy = tmp_path / "report", tmp_path / "numbers" / "ccp.json"
    command = ["stats", "--dataset", "ccp", "--data", str(own_root), "--out", str(out), "--json", str(copy)]
    assert main(command) == 0
    found = json.loads(copy.read_text())
    assert found == json.loads((out / "statistics.json").read_text())
    assert found["tagged"] == 1 and tuple(found["labels"]) == CCP_59
    assert found["labels"]["jeans"] == {"class": "Pants", "photos": 8, "pixels": 8 * 28 * 20}
    assert found["labels"]["scarf"] == {"class": "Scarf/Tie", "photos": 1, "pixels": 16}
    assert found["photos_by_number_of_garments"] == {"3": 7, "4": 1}  # shirt, pants, shoes; hair does not count
    assert found["photos_by_number_of_worn_labels"] == {"3": 7, "4": 1}
    parts = {part["name"]: part for part in found["parts"]}
    assert list(parts) == [*(f"Fold {fold}" for fold in range(5)), "Test", "None"]
    assert sum(part["photos"] for part in found["parts"]) == 8
    assert parts["Test"]["photos"] == 2  # 0001 and 0006
    assert parts["Test"]["photos_by_class"]["Hair"] == 2 and parts["Test"]["photos_by_class"]["Coat"] == 0
    with (out / "labels.csv").open(newline="") as file:
        rows = {row["label"]: row for row in csv.DictReader(file)}
    assert rows["shirt"] == {"label": "shirt", "class": "Shirt", "photos": "8", "pixels": str(8 * 576 - 16)}


def test_a_data_set_without_labels_of_its_own(dataset: Dataset, tmp_path: Path) -> None:
    plain = replace(dataset, name="other", labels=(), aliases={}, read_labels=None)
    found = report_statistics(plain, plain.ids, tmp_path)
    assert found["labels"] == found["photos_by_number_of_worn_labels"] == {} and found["parts"] == []
    assert not (tmp_path / "labels.csv").exists() and found["classes"]["Hair"]["photos"] == 8


def test_only_the_photos_that_are_asked_for(root: Path, tmp_path: Path) -> None:
    ids, out = tmp_path / "ids.txt", tmp_path / "report"
    ids.write_text("0008\n0002\n")
    assert main(["stats", "--dataset", "ccp", "--data", str(root), "--out", str(out), "--ids", str(ids)]) == 0
    assert [line[:4] for line in (out / "photos.csv").read_text().splitlines()] == ["phot", "0008", "0002"]


@pytest.mark.usefixtures("_plain_interrupts")
def test_it_goes_on_where_it_was_stopped(own_root: Path, tmp_path: Path, reads: list[Path]) -> None:
    dataset, path = read_ccp(own_root), tmp_path / "photos.csv"

    def interrupted(photo_id: str) -> np.ndarray:
        if photo_id == "0004":
            signal.raise_signal(signal.SIGINT)
        return dataset.read_truth(photo_id)

    with pytest.raises(KeyboardInterrupt):
        count_photos(replace(dataset, read_truth=interrupted), dataset.ids, path)
    assert [row[:4] for row in path.read_text().splitlines()[1:]] == ["0001", "0002", "0003"]
    with path.open("a") as file:
        file.write("0004,1")  # a row that was cut off
    data = (own_root / "photos" / "0002.jpg").read_bytes()
    (own_root / "photos" / "0002.jpg").write_bytes(data + b"\0")  # another size: another photo
    reads.clear()
    counted, unreadable = count_photos(dataset, dataset.ids, path)
    assert [file.stem for file in reads] == ["0002", "0004", "0005", "0006", "0007", "0008"]
    assert [row.photo_id for row in counted] == list(dataset.ids) and not unreadable
    fresh = count_photos(dataset, dataset.ids, tmp_path / "fresh.csv")[0]
    assert counted == fresh and path.read_text() == (tmp_path / "fresh.csv").read_text()


@pytest.fixture
def _plain_interrupts() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, whatever ran before."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"photo_id,other\n0001,3\n", b"a row\n"])
def test_rows_that_are_none_are_counted_again(
    root: Path, dataset: Dataset, tmp_path: Path, reads: list[Path], content: bytes
) -> None:
    (tmp_path / "photos.csv").write_bytes(content)
    assert len(count_photos(dataset, dataset.ids, tmp_path / "photos.csv")[0]) == len(reads) == 8


def test_one_sentence_where_there_is_nothing(
    own_root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (own_root / "photos").glob("*.jpg"):
        path.unlink()
    with pytest.raises(DatasetError, match="None of the 8 photos can be read. The first: "):
        report_statistics(read_ccp(own_root), read_ccp(own_root).ids, tmp_path / "report")
    (tmp_path / "file").write_text("")
    command = ["stats", "--dataset", "ccp", "--data", str(own_root), "--out", str(tmp_path / "file" / "report")]
    assert main(command) == 1
    assert "cannot be written" in capsys.readouterr().err
