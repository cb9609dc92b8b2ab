import base64
import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segmodels.datasets import SOURCE_EXAMPLES, DatasetError, open_dataset
from train.__main__ import main
from train.analysis.data_check import check_data, suggest_folds
from train.analysis.evaluate import split_as_trained
from train.data.split import fold_ids, folds_sentence, with_split
from train.recipe import Recipe
from train.segmentation.fit import checkpoint_config

WIDTH, HEIGHT = 40, 30


def box(left: int, top: int, right: int, bottom: int) -> list[list[float]]:
    return [[left, top, right, top, right, bottom, left, bottom]]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """20 photos in 5 folders; all show a shirt, those of `d0` a hat on it as well, and one is damaged."""
    photos = [f"d{number % 5}/{number:02}.png" for number in range(20)]
    images, annotations = [], []
    for number, name in enumerate(photos):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        exif = Image.Exif()
        exif[0x0112] = 3 if number == 7 else 1
        Image.new("RGB", (WIDTH, HEIGHT), (90, 120, 150)).save(tmp_path / name, exif=exif)
        images.append({"id": number, "file_name": name, "width": WIDTH, "height": HEIGHT})
        annotations.append({"image_id": number, "category_id": 1, "segmentation": box(0, 0, 10, 10)})
        if number % 5 == 0:
            annotations.append({"image_id": number, "category_id": 2, "segmentation": box(8, 0, 12, 5)})
    annotations.append({"image_id": 1, "category_id": 9, "segmentation": box(0, 0, 10, 10)})
    annotations.append({"image_id": 2, "category_id": 2, "segmentation": box(20, 20, 30, 30), "iscrowd": 1})
    annotations.append({"image_id": 99, "category_id": 1, "segmentation": box(0, 0, 10, 10)})
    categories = [{"id": 1, "name": "Shirt"}, {"id": 2, "name": "Hat"}, {"id": 3, "name": "靴"}]
    content = {"images": images, "annotations": annotations, "categories": categories}
    path = tmp_path / "clothes.json"
    path.write_text(json.dumps(content), "utf-8")
    return path


def test_what_is_in_it_and_what_is_wrong(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert main(["check-data", f"coco:{source}", "--out", str(out)]) == 0
    said = capsys.readouterr().out.splitlines()
    damaged = f"d1/01: {source}, d1/01.png, annotations[24]: category 9 is not in the list of categories."
    stray = f"{source}, annotations[26]: there is no image with the id 99."
    assert said[0] == "19 of 20 photos of coco-clothes can be read."
    rows = {line.split()[0]: line.split()[1:] for line in said[2:7]}
    # 19 shirts of 10 x 10, of which 4 lose 2 x 5 to a hat; 4 hats of 4 x 5; 22800 pixels less 100 of the crowd
    assert rows["Shirt"][0] == "19" and rows["Shirt"][2:] == ["1,860", f"{1860 / 22700:.2%}"]
    assert rows["Hat"][0] == "4" and rows["Hat"][2:] == ["80", f"{80 / 22700:.2%}"]
    assert rows["靴"] == ["0", "0", "0", "0.00%"]
    assert rows["Background"][2] == f"{22700 - 1860 - 80:,}"
    assert rows["unlabelled"] == ["1", rows["unlabelled"][1], "100"]
    assert "Photos that lie turned in their files, and whose masks were turned with them: 1." in said
    assert "Marked as two classes, and given to the smaller region: 40 pixels in 4 photos." in said
    at = said.index("What is wrong (2):")
    assert said[at + 1 : at + 3] == [stray, damaged]
    assert said[-1] == f"To train by the split: --set split={out / 'split.csv'}, or --save-split here."
    assert said[-3] == (
        "A split to begin with: 15 photos to train on and 4 to choose by, fold 0 of 5. Not every fold shows Hat."
    )
    assert (out / "faults.txt").read_text("utf-8").splitlines() == [stray, damaged]
    folds = list(csv.DictReader((out / "split.csv").read_text("utf-8").splitlines()))
    assert len(folds) == 19 and {row["fold"] for row in folds} == set("01234")
    page = (out / "photos.html").read_text("utf-8")
    assert "</i>靴</li>" in page and page.count("<figcaption>") == 19
    pictures = [
        np.asarray(Image.open(io.BytesIO(base64.b64decode(each)))) for each in re.findall(r"base64,([^\"]+)", page)
    ]
    shirt = open_dataset(f"coco:{source}").taxonomy.palette[1]
    painted = np.rint(np.array([90, 120, 150]) * 0.45 + shirt * 0.55)
    assert sum((picture == painted).all(axis=2).sum() for picture in pictures) == 1860


def test_photos_of_one_folder_stay_together(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folds, sentence = suggest_folds(check_data(open_dataset(f"coco:{source}")), "folder")
    assert len({(photo_id[:2], fold) for photo_id, fold in folds.items()}) == 5
    assert sorted(set(folds.values())) == [0, 1, 2, 3, 4]
    assert "Not every fold shows Hat." in sentence


def test_too_few_folders(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = json.loads(source.read_text("utf-8"))
    content["images"] = content["images"][:3]
    source.write_text(json.dumps(content), "utf-8")
    out = tmp_path / "out"
    assert main(["check-data", f"coco:{source}", "--group-by", "folder", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert (
        "No split can be suggested: 2 groups are too few for 5 folds. Label more photos, or take fewer folds. Photos "
        "of one folder are kept together." in said
    )
    assert not (out / "split.csv").exists() and (out / "photos.html").is_file()


def test_a_named_data_set(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-data", "ccp", "--data", str(root)]) == 0
    assert capsys.readouterr().out.startswith("8 of 8 photos of ccp can be read.\n")


def test_only_some_photos_are_shown(tmp_path: Path) -> None:
    for number in range(60):
        for folder, mode in (("photos", "RGB"), ("masks", "L")):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.new(mode, (16, 16)).save(tmp_path / folder / f"{number:02}.png")
    (tmp_path / "classes.txt").write_text("Shirt\n", "utf-8")
    shown = list(check_data(open_dataset(f"masks:{tmp_path}")).pictures)
    assert len(shown) == 24 and shown[0] == "00" and shown[-1] >= "57"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["ccp"], "Name the folder of ccp with --data."),
        (
            ["voc:x"],
            "The data set 'voc:x' starts with none of coco:, masks:, yolo:, labelstudio:, cvat:, hub: and a path, ",
        ),
        (
            ["coco:none.json"],
            "There is no none.json. Write the path of what was exported after coco:, as coco:annotations.json.",
        ),
        (["masks:none"], "There is no none. Write the path of what was exported after masks:, as masks:folder."),
        (["cvat:none.zip"], "There is no none.zip. Write the path of what was exported after cvat:, as cvat:"),
        (["yolo:" + "x" * 300], "x" * 300 + " cannot be read: File name too long."),
        *(
            ([f"{kind}:"], f"The data set '{kind}:' says no more than its kind. Write {example}, say.")
            for kind, example in SOURCE_EXAMPLES.items()
        ),
    ],
)
def test_what_is_wrong_is_one_line(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-data", *arguments]) == 1
    said = capsys.readouterr().err
    assert said.startswith(sentence) and said.count("\n") == 1


def test_a_folder_where_a_file_is_meant(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = source.parent
    assert main(["check-data", f"coco:{folder}"]) == 1
    assert capsys.readouterr().err == f"{folder} is a folder, and coco: takes a file. Write coco:{source}.\n"
    (folder / "other.json").write_text("{}")
    assert main(["check-data", f"coco:{folder}"]) == 1
    assert f"takes a file. Name one of {source.name}, other.json in it." in capsys.readouterr().err
    assert main(["check-data", f"yolo:{folder}"]) == 1
    assert "takes a file. Name one, as yolo:data.yaml." in capsys.readouterr().err


def test_days_group_photos_where_they_are_certain(source: Path, tmp_path: Path) -> None:
    check, table = check_data(open_dataset(f"coco:{source}")), tmp_path / "shoots.csv"

    def grouped(header: str, *days: str) -> dict[str, int]:
        rows = [f"{number:02}.png,{days[number % len(days)]}" for number in range(20)]
        table.write_text("\n".join([f"photo,{header}", *rows]), "utf-8")
        return suggest_folds(check, f"{table}:{header}")[0]

    days = [f"2024-03-{day:02}" for day in range(1, 6)]
    folds = grouped("date", *days)
    assert len({(int(photo_id[-2:]) % 5, fold) for photo_id, fold in folds.items()}) == 5, "a fold for each day"
    for header in ("date", "shoot_day"):
        with pytest.raises(
            DatasetError,
            match=rf"shoots\.csv cannot group photos by {header}: 14/03/2024 has the day first and 03/14/2024 the "
            r"month first\. Write dates as 2024-03-31\.",
        ):
            grouped(header, "14/03/2024", "03/14/2024", "2024-03-01", "2024-03-02", "2024-03-03")
    with pytest.raises(DatasetError, match=r"by date: 03/04/2024 may have the day or the month first\. Write dates as"):
        grouped("date", "03/04/2024")


def test_no_photo_and_a_folder_that_cannot_be_written(source: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert main(["check-data", f"coco:{source}", "--out", str(tmp_path / "file" / "out")]) == 1
    for path in tmp_path.glob("d*/*.png"):
        path.write_bytes(b"")
    with pytest.raises(DatasetError, match=r"None of the 20 photos can be read\. The first: .*00\.png is empty"):
        check_data(open_dataset(f"coco:{source}"))


def test_nothing_is_marked(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = json.loads(source.read_text("utf-8"))

    source.write_text(json.dumps(content | {"annotations": []}), "utf-8")
    assert main(["check-data", f"coco:{source}"]) == 0
    assert "No pixel is of a class beside Background, so there is nothing to learn." in capsys.readouterr().out


def test_photos_of_one_value_stay_together(source: Path, tmp_path: Path) -> None:
    content = json.loads(source.read_text("utf-8"))
    for row in content["images"]:
        row["shoot"] = f"s{row['id'] // 3}"
    del content["images"][19]["shoot"]
    source.write_text(json.dumps(content), "utf-8")
    check = check_data(open_dataset(f"coco:{source}"))
    folds, sentence = suggest_folds(check, "shoot")
    assert len(folds) == 19 and sorted(set(folds.values())) == [0, 1, 2, 3, 4]
    for shoot in range(6):
        of_it = {folds[f"d{number % 5}/{number:02}"] for number in range(3 * shoot, 3 * shoot + 3) if number != 1}
        assert len(of_it) == 1
    assert "Photos of one shoot are kept together. 1 without one are each alone: d4/19." in sentence

    table = tmp_path / "shoots.csv"
    rows = [f"{number:02}.png;{'morning' if number < 4 else number}" for number in range(20)]
    table.write_text("\n".join(["photo;session", *rows]), "utf-8")
    folds, _ = suggest_folds(check, f"{table}:session")
    assert len({folds["d0/00"], folds["d2/02"], folds["d3/03"]}) == 1

    for group_by, sentence in (
        (
            "colour",
            r"'colour' groups no photos\. Take folder, shoot \(columns of coco-clothes\), or FILE\.csv:COLUMN\.",
        ),
        (f"{tmp_path / 'none.csv'}:session", r"none\.csv cannot be read: No such file or directory"),
        (f"{table}:colour", r"shoots\.csv has no value of 'colour' for any photo of coco-clothes"),
    ):
        with pytest.raises(DatasetError, match=sentence):
            suggest_folds(check, group_by)


def test_a_saved_split_is_the_one_of_the_data_set(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check-data", f"coco:{source}", "--group-by", "folder", "--save-split"]) == 0
    assert f"Written: {source.parent / 'split.csv'}, by which fit trains." in capsys.readouterr().out
    dataset = with_split(open_dataset(f"coco:{source}"))
    assert folds_sentence(dataset) == (
        f"The folds are those of {source.parent / 'split.csv'}, of 19 photos; 1 photo is not in it and left out."
    )
    folders = [{photo_id[:2] for photo_id in fold_ids(dataset, fold)[1]} for fold in range(5)]
    assert all(len(each) == 1 for each in folders) and set.union(*folders) == {"d0", "d1", "d2", "d3", "d4"}
    assert len(fold_ids(dataset, -1)[0]) == 19, "without the photo that cannot be read"


def test_notes_and_groups_are_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = Path(__file__).parents[2] / "segmodels" / "datasets" / "files"
    source = f"labelstudio:{files / 'labelstudio.json'}"
    assert main(["check-data", source, "--data", str(files / "photos")]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1].startswith("2 photos have several annotations, of which the newest is taken: ")
    assert "Groups, as the source tells them or guessed from the names: accessory belt; garment boots, skirt." in said
    rows = {line.split()[0]: line.split()[1:] for line in said[3:9]}
    assert rows["skirt"][::2] == ["1", "492"] and rows["boots"][::2] == ["2", "448"] and rows["belt"][2] == "48"


def test_a_checkpoint_is_judged_by_the_folds_of_its_training_only(source: Path) -> None:
    assert main(["check-data", f"coco:{source}", "--save-split"]) == 0
    dataset = open_dataset(f"coco:{source}")
    trained = checkpoint_config(Recipe(dataset=f"coco:{source}"), with_split(dataset))
    assert split_as_trained(dataset, trained).folds == with_split(dataset).folds
    (source.parent / "split.csv").unlink()
    with pytest.raises(
        DatasetError,
        match=r"photos or masks of coco-clothes are others .* or it had a split\.csv then; .* Put the split",
    ):
        split_as_trained(dataset, trained)
    assert split_as_trained(dataset, trained, allow_other=True).folds is None
    without = checkpoint_config(Recipe(dataset=f"coco:{source}"), dataset)
    assert split_as_trained(dataset, without) is dataset
