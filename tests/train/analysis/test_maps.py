import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segmodels.checkpoints.catalog import list_maps
from segmodels.datasets import Dataset
from segmodels.evaluation.evidence import read_evidence
from segmodels.evaluation.results import parse_results
from segmodels.taxonomy import OUTFIT_15
from train.__main__ import main

ATR = (
    "Background Hat Hair Sunglasses Upper-clothes Skirt Pants Dress Belt Left-shoe Right-shoe Face Left-leg Right-leg "
    "Left-arm Right-arm Bag Scarf"
).split()


def write_maps(folder: Path, dataset: Dataset, names: list[str], change: dict[str, str]) -> Path:
    """Maps that are the truth in other classes: `change` names them where the names differ."""
    folder.mkdir()
    (folder / "classes.txt").write_text("\n".join(names))
    table = np.array([names.index(change.get(name, name)) if change.get(name, name) in names else 0
                      for name in OUTFIT_15.names], np.uint8)  # fmt: skip
    for photo_id in dataset.ids:
        Image.fromarray(table[dataset.read_truth(photo_id)]).save(folder / f"{photo_id}.png")
    return folder


@pytest.fixture
def maps(dataset: Dataset, tmp_path: Path) -> Path:
    change = {"Shirt": "Upper-clothes", "Footwear": "Left-shoe", "Scarf/Tie": "Background"}
    return write_maps(tmp_path / "maps", dataset, ATR, change)


def evaluated(maps: Path, dataset: Dataset, *more: object) -> int:
    command = ["evaluate", "--maps", maps, "--dataset", "ccp", "--data", dataset.root, *more]
    return main(list(map(str, command)))


def test_maps_become_evidence(
    maps: Path, dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "models" / "segformer"
    about = ["--source", "https://example.org/segformer", "--licence", "MIT"]
    assert evaluated(maps, dataset, "--out", out, *about, "--json", tmp_path / "scores.json") == 0
    said = capsys.readouterr().out
    assert "Scored on 11 of the 15 classes of OUTFIT_15" in said and f"GARMENTSCOPE_MODELS={out.parent}" in said
    values = json.loads((out / "maps.json").read_text())
    assert (values["kind"], values["source"], values["licence"]) == ("maps", "https://example.org/segformer", "MIT")
    (evaluation,) = parse_results(json.loads((out / "metrics.json").read_text())).evaluations
    assert evaluation.photos.number == 8 and evaluation.truth_taxonomy == "OUTFIT_15"
    classes = evaluation.scores.classes
    assert classes["Coat or Shirt"].iou == classes["Footwear"].iou == classes["Hair"].iou == 1.0
    assert classes["Scarf/Tie"].iou == 0.0 and classes["Scarf/Tie"].pixels == 16
    # 16 of the pixels that are called background are a scarf
    background = classes["Background"]
    assert background.pixels and background.iou == pytest.approx(background.pixels / (background.pixels + 16))
    assert json.loads((tmp_path / "scores.json").read_text())["photos"] == 8
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(out.parent))
    assert list_maps() == {"segformer": out}

    rows, taxonomy = read_evidence(out / "evidence.parquet")
    assert taxonomy.names == tuple(ATR) and [row.photo_id for row in rows] == list(dataset.ids)
    (tmp_path / "ids.txt").write_text("0003\n")
    assert evaluated(maps, dataset, "--out", out, "--ids", tmp_path / "ids.txt") == 0
    found = parse_results(json.loads((out / "metrics.json").read_text())).evaluations
    assert [each.photos.part for each in found] == ["all (8 photos)", "ids.txt (1 photo)"]
    assert json.loads((out / "maps.json").read_text())["licence"] == "MIT", "kept"


def test_maps_are_compared_with_others(
    maps: Path, dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    perfect = write_maps(tmp_path / "perfect", dataset, list(OUTFIT_15.names), {})
    for folder in (maps, perfect):
        assert evaluated(folder, dataset, "--out", tmp_path / "out" / folder.name) == 0
    capsys.readouterr()
    assert main(["compare", str(tmp_path / "out/maps"), str(tmp_path / "out/perfect")]) == 0
    said = capsys.readouterr().out
    assert "8 photos" in said and "Scored on 11 of the 15 classes of OUTFIT_15" in said
    line = next(line for line in said.splitlines() if line.startswith("mean_iou "))
    assert "-> 1.0000" in line
    before = float(line.split()[1])
    pixels = 8 * 72 * 48 - sum(int((dataset.read_truth(each) != 0).sum()) for each in dataset.ids)
    classes = [pixels / (pixels + 16), 1, 1, 1, 1, 0]  # background, hair, shirt, pants, footwear, scarf
    assert before == pytest.approx(np.mean(classes), abs=5e-5)


def test_maps_that_cannot_be_used_are_left_out(
    maps: Path, dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (maps / "0001.png").unlink()
    Image.new("L", (7, 7)).save(maps / "0002.png")
    Image.new("L", (48, 72), 18).save(maps / "0003.png")
    Image.new("L", (48, 72), 255).save(maps / "0004.png")
    (maps / "0005.png").write_bytes(b"torn")
    assert evaluated(maps, dataset, "--out", tmp_path / "out", "--json", tmp_path / "scores.json") == 0
    captured = capsys.readouterr()
    said = captured.out + captured.err
    for sentence in (
        "0001.png is missing.",
        "0002.png is 7 x 7 pixels, its photo 48 x 72",
        "0003.png: no class has the number 18; the last one is 17",
        "0004.png has pixels of the number 255, which is no class",
        "0005.png is missing, damaged or no PNG",
    ):
        assert sentence in said
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert (scores["photos"], scores["photos_left_out"]) == (3, 5)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ("no maps", "None of the 8 photos has a map in "),
        ("no folder", "is not a folder. Name the folder that holds the maps and classes.txt."),
        ("no classes", "holds no classes.txt. Write the name of one class a line."),
        ("unknown classes", "no mapping says what Kimono would be in OUTFIT_15"),
        ("a checkpoint", "is a checkpoint. Choose another folder"),
        ("another taxonomy", "has scores of maps in maps, these are in another taxonomy of that name"),
    ],
)
def test_what_cannot_be_judged_is_a_sentence(
    maps: Path, dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str], change: str, sentence: str
) -> None:
    out = tmp_path / "out"
    if change == "no maps":
        for file in maps.glob("*.png"):
            file.unlink()
    elif change == "no folder":
        maps = tmp_path / "gone"
    elif change == "no classes":
        (maps / "classes.txt").unlink()
    elif change == "unknown classes":
        (maps / "classes.txt").write_text("Kimono\n")
    elif change == "a checkpoint":
        out.mkdir()
        (out / "config.json").write_text("{}")
    else:
        assert evaluated(maps, dataset, "--out", out) == 0
        (maps / "classes.txt").write_text("\n".join([*ATR[:-2], "Scarf", "Bag"]))
    assert evaluated(maps, dataset, "--out", out) == 1
    assert sentence in capsys.readouterr().err


def test_wrong_usage(maps: Path, dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for more in ([], ["--out", "x", "--keep"]):
        with pytest.raises(SystemExit) as caught:
            evaluated(maps, dataset, *more)
        assert caught.value.code == 2 and "--maps needs --out DIR" in capsys.readouterr().err
    assert evaluated(maps, dataset, "--out", tmp_path / "out", "--framing", "bust") == 1
    assert "Maps are evaluated on whole photos" in capsys.readouterr().err
