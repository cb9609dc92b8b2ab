import errno
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from own_classes import KIMONO, save_own
from PIL import Image

from segmodels.__main__ import main
from segmodels.annotations import ANNOTATION_FORMATS, names_apart
from segmodels.checkpoints import catalog
from segmodels.inference.segmentation import Segmentation
from segmodels.inference.segmenter import Segmenter
from segmodels.photo import Photo, decode_photo
from segmodels.results_folder import choose_targets
from segmodels.taxonomy import OUTFIT_15

Jpeg = Callable[..., bytes]


@pytest.fixture(autouse=True)
def _only_these_models(models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(catalog, "EMBEDDED", tmp_path / "embedded")


@pytest.fixture
def photos(tmp_path: Path, jpeg: Jpeg) -> Path:
    """A folder with a photo, and one more in a folder in it."""
    folder = tmp_path / "photos"
    (folder / "summer").mkdir(parents=True)
    (folder / "one.jpg").write_bytes(jpeg(60, 40, seed=1))
    (folder / "summer" / "two.JPEG").write_bytes(jpeg(50, 90, seed=2))
    (folder / "notes.txt").write_text("no photo")
    return folder


def segment(*arguments: object, model: str = "tiny") -> int:
    return main(["segment", *map(str, arguments), "--model", model])


def opened(path: Path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
        return image


def names(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


ALL_OF_TWO = {"one.png", "one.json", "summer/two.png", "summer/two.json"}


def test_a_photo(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "deep" / "out"
    assert segment(photos / "one.jpg", "--out", out) == 0
    assert names(out) == {"one.png", "one.json"}
    image = opened(out / "one.png")
    assert image.mode == "P" and image.size == (40, 60)
    listing = json.loads((out / "one.json").read_text("utf-8"))
    assert list(listing) == [
        *("photo", "photo_id", "model", "revision", "taxonomy", "width", "height", "orientation", "seconds"),
        *("people", "garments"),
    ]
    assert listing["photo"] == str(photos / "one.jpg")
    assert listing["model"] == "tiny" and len(listing["revision"]) == 12
    assert (listing["width"], listing["height"], listing["taxonomy"]) == (40, 60, "OUTFIT_15")
    assert [list(person) for person in listing["people"]] == [["box", "confidence", "detected", "presence"]]
    assert all(person["presence"] is None for person in listing["people"]), "tiny has no calibration"
    present = {OUTFIT_15.names[class_id] for class_id in np.unique(np.asarray(image))}
    worn = {garment.name for garment in OUTFIT_15.worn}
    assert {garment["class"] for garment in listing["garments"]} == present & worn
    for garment in listing["garments"]:
        assert list(garment) == [
            *("class", "kind", "person", "area_share", "outfit_share", "confidence", "box", "colours"),
        ]
        pixels = (np.asarray(image) == OUTFIT_15[garment["class"]].id).mean()
        assert garment["area_share"] == pytest.approx(pixels, abs=1e-5)
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out == f"1 photo segmented with tiny. Class maps (PNG) and garments (JSON) are in {out}.\n"


def test_a_model_of_other_classes(photos: Path, tmp_path: Path) -> None:
    folder, out = save_own(tmp_path / "own"), tmp_path / "out"
    assert segment(photos / "one.jpg", "--out", out, model=str(folder)) == 0
    listing = json.loads((out / "one.json").read_text("utf-8"))
    assert listing["taxonomy"] == "kimono shop"
    image = opened(out / "one.png")
    ids = set(np.unique(np.asarray(image)).tolist())
    assert ids <= set(range(5)) and image.getpalette()[:15] == KIMONO.palette[:5].ravel().tolist()  # type: ignore[index]
    worn = {"Kimono", "Obi <sash>", "Tote bag"}
    assert {each["class"] for each in listing["garments"]} <= {KIMONO.names[id_] for id_ in ids} & worn


def test_a_folder_and_a_photo_in_it(photos: Path, tmp_path: Path) -> None:
    assert segment(photos, photos / "one.jpg", "--out", tmp_path / "out") == 0
    assert names(tmp_path / "out") == ALL_OF_TWO, "folders are kept"
    assert opened(tmp_path / "out" / "summer" / "two.png").size == (90, 50)


def test_photos_of_one_stem_do_not_overwrite_each_other(photos: Path, tmp_path: Path, jpeg: Jpeg) -> None:
    for index, name in enumerate(["a/look.jpg", "b/look.jpg", "b/look-2.jpg", "c/LOOK.png", "c/look.jpeg"]):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(jpeg(40, 20 + index))
    out = tmp_path / "out"
    assert segment(tmp_path / "a", tmp_path / "b", tmp_path / "c", "--out", out) == 0
    listings = [json.loads(path.read_text("utf-8")) for path in out.glob("*.json")]
    assert len({listing["photo"] for listing in listings}) == 5
    assert sorted(listing["width"] for listing in listings) == [20, 21, 22, 23, 24]
    assert len({path.name.lower() for path in out.iterdir()}) == 10, "not on a disk that ignores case either"
    for path in out.glob("*.json"):
        listing = json.loads(path.read_text("utf-8"))
        assert opened(path.with_suffix(".png")).size == (listing["width"], listing["height"])
    assert json.loads((out / "look.json").read_text("utf-8"))["photo"] == str(tmp_path / "a" / "look.jpg")


def test_dots_in_a_name_stay(photos: Path, tmp_path: Path) -> None:
    shutil.copy(photos / "one.jpg", photos / "look.v1.jpg")
    shutil.copy(photos / "one.jpg", photos / "look.v2.jpg")
    assert segment(photos / "look.v1.jpg", photos / "look.v2.jpg", "--out", tmp_path / "out") == 0
    assert names(tmp_path / "out") == {"look.v1.png", "look.v1.json", "look.v2.png", "look.v2.json"}


def test_a_bad_photo_is_one_line_and_the_others_are_done(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "broken.jpg").write_bytes((photos / "one.jpg").read_bytes()[:200])
    (photos / "empty.jpg").touch()
    (photos / "text.jpg").write_text("no photo at all")
    out = tmp_path / "out"
    assert segment(photos, "--out", out) == 1
    assert names(out) == ALL_OF_TWO
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 3
    for line, name in zip(lines, ("broken.jpg", "empty.jpg", "text.jpg"), strict=True):
        assert str(photos / name) in line


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("CUDA error\nat line 7"), "one.jpg could not be analysed: CUDA error."),
        (IndexError(), "one.jpg could not be analysed: IndexError."),
        (OSError(36, "File name too long"), "one.jpg could not be analysed: File name too long."),
    ],
)
def test_whatever_one_photo_raises_the_others_are_done(
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    said: str,
) -> None:
    segment_photo = Segmenter.segment

    def fail(segmenter: Segmenter, photo: Photo) -> Segmentation:
        if photo.pixels.shape[:2] == (60, 40):
            raise error
        return segment_photo(segmenter, photo)

    monkeypatch.setattr(Segmenter, "segment", fail)
    assert segment(photos, "--out", tmp_path / "out") == 1
    assert names(tmp_path / "out") == {"summer/two.png", "summer/two.json"}
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.endswith(said)


def test_a_photo_without_its_end_marker_is_done_and_said(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cut = photos / "one.jpg"
    cut.write_bytes(cut.read_bytes()[:-2])
    assert segment(cut, "--out", tmp_path / "out") == 0
    assert capsys.readouterr().err.strip() == f"{cut} lacks its end marker; all of its rows could be read."


def test_a_path_that_does_not_exist(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert segment(tmp_path / "nowhere.jpg", photos / "one.jpg", "--out", out) == 1
    assert names(out) == {"one.png", "one.json"}
    assert capsys.readouterr().err == f"{tmp_path / 'nowhere.jpg'} does not exist. Check the path.\n"


def test_a_folder_without_photos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "void").mkdir()
    assert segment(tmp_path / "void", "--out", tmp_path / "out") == 1
    assert (
        capsys.readouterr().err
        == "There is no photo to segment. Name photos, or a folder with JPEG, PNG, WebP, HEIC or other photos.\n"
    )
    assert not (tmp_path / "out").exists()


def test_an_unknown_model(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert segment(photos, "--out", tmp_path / "out", model="fnp") == 1
    assert capsys.readouterr().err == (
        "There is no model 'fnp'. Installed: tiny. Name one of them, or the folder of a checkpoint.\n"
    )


def test_a_model_by_its_folder(photos: Path, tmp_path: Path, models: Path) -> None:
    assert segment(photos / "one.jpg", "--out", tmp_path / "out", model=str(models / "tiny")) == 0
    run = tmp_path / "mine"
    shutil.copytree(models / "tiny", run / "checkpoint")
    assert segment(photos / "one.jpg", "--out", tmp_path / "other", model=str(run / "checkpoint")) == 0
    listing = json.loads((tmp_path / "other" / "one.json").read_text("utf-8"))
    assert listing["model"] == "mine", "that of the run says more than checkpoint"


def test_results_that_cannot_be_written(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").touch()
    assert segment(photos / "one.jpg", "--out", tmp_path / "file" / "out") == 1
    error = capsys.readouterr().err
    assert str(tmp_path / "file") in error and error.count("\n") == 1


def test_a_photo_is_never_overwritten_by_its_class_map(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "look.png")
    monkeypatch.chdir(tmp_path)
    before = (tmp_path / "look.png").read_bytes()
    assert segment("look.png", "--out", tmp_path) == 1
    assert (tmp_path / "look.png").read_bytes() == before
    error = capsys.readouterr().err
    assert "look.png" in error and "--out" in error and error.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [[], ["segment"], ["segment", "a.jpg"], ["segment", "--out", "x"], ["unknown"], ["segment", "a", "--size", "3"]],
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: garmentscope" in capsys.readouterr().err


def test_models(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photos = "coco-autumn-2025-street-and-studio-second-round"  # longer than any name that ships
    (models / "tiny" / "metrics.json").write_text(
        json.dumps({"evaluations": [{"photos": photos, "scores": {"mean_iou": 0.61234}}]})
    )
    shutil.copytree(models / "tiny", models / "second")
    (models / "second" / "metrics.json").unlink()
    assert main(["models"]) == 0
    head, second, tiny = capsys.readouterr().out.splitlines()
    assert head.split() == ["name", "from", "architecture", "input", "mean", "IoU", "on", "folder"]
    assert second.split() == ["second", "folder", "fpn", "64", "x", "32", "-", "-", str(models / "second")]
    assert tiny.split() == ["tiny", "folder", "fpn", "64", "x", "32", "0.612", photos, str(models / "tiny")]
    assert head.index("folder") == second.index(str(models)) == tiny.index(str(models))


def test_models_with_a_damaged_one(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(models / "tiny", models / "damaged")
    (models / "damaged" / "config.json").write_text("{")
    assert main(["models"]) == 1
    captured = capsys.readouterr()
    assert [line.split()[0] for line in captured.out.splitlines()] == ["name", "tiny"]
    assert captured.err.startswith(f"damaged: {models / 'damaged' / 'config.json'} is damaged")


def test_no_models(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.delenv("GARMENTSCOPE_MODELS")
    assert main(["models"]) == 1
    assert "No model is installed" in capsys.readouterr().err


def test_annotations_of_a_folder(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert (
        segment(photos, "--out", out, *(f"--export={kind}" for kind in ("coco", "yolo", "labelstudio", "masks"))) == 0
    )
    images = json.loads((out / "coco" / "coco.json").read_text("utf-8"))["images"]
    assert [image["file_name"] for image in images] == ["one.jpg", "summer/two.JPEG"]
    labels = sorted(path.relative_to(out / "yolo").as_posix() for path in (out / "yolo").rglob("*.*"))
    assert labels == ["data.yaml", "labels/one.txt", "labels/summer/two.txt"]
    tasks = json.loads((out / "labelstudio" / "tasks.json").read_text("utf-8"))
    assert [task["data"]["image"] for task in tasks] == [
        "/data/local-files/?d=one.jpg",
        "/data/local-files/?d=summer/two.JPEG",
    ]
    for mask in ("one.png", "summer/two.png"):
        assert (np.asarray(opened(out / mask)) == np.asarray(opened(out / "masks" / "masks" / mask))).all()


def test_annotations_of_a_turned_photo_upright_and_as_stored(photos: Path, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 8
    opened(photos / "one.jpg").save(photos / "one.jpg", exif=exif)
    for flag, size in (([], (60, 40)), (["--as-stored"], (40, 60))):
        out = tmp_path / str(len(flag))
        address = "--image-address=https://shop.example/"
        arguments = (photos / "one.jpg", "--out", out, "--export=coco", "--export=labelstudio", address)
        assert segment(*arguments, *flag) == 0
        (image,) = json.loads((out / "coco" / "coco.json").read_text("utf-8"))["images"]
        assert (image["width"], image["height"]) == size
        assert (image["orientation"], image["upright"]) == (8, not flag)
        listing = json.loads((out / "one.json").read_text("utf-8"))
        assert (listing["width"], listing["height"], listing["orientation"]) == (60, 40, 8)
        (task,) = json.loads((out / "labelstudio" / "tasks.json").read_text("utf-8"))
        assert task["data"]["image"] == "https://shop.example/one.jpg"


def test_annotations_of_what_was_done_before_it_was_stopped(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop_at_two(path: Path, **options: object) -> object:
        if path.name == "two.JPEG":
            raise KeyboardInterrupt
        return decode_photo(path)

    monkeypatch.setattr("segmodels.__main__.decode_photo", stop_at_two)
    assert segment(photos, "--out", tmp_path / "out", "--export", "coco") == 130
    images = json.loads((tmp_path / "out" / "coco" / "coco.json").read_text("utf-8"))["images"]
    assert [image["file_name"] for image in images] == ["one.jpg"]


def test_masks_never_overwrite_a_photo(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    photo = photos / "masks" / "masks" / "a.png"
    photo.parent.mkdir(parents=True)
    Image.new("RGB", (40, 40)).save(photo)
    assert segment(photo, "--out", photos, "--export", "masks") == 1
    assert "would overwrite" in capsys.readouterr().err


def test_the_help_says_what_the_commands_of_other_packages_do(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    for line in ("app serves the app and the API", "serve serves the API alone", "token makes, lists", "train trains,"):
        assert line in " ".join(said.split())


def test_a_package_that_cannot_be_loaded_hides_no_command(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = EntryPoint("broken", "no_such_package:main", "garmentscope.commands")
    monkeypatch.setattr("segmodels.__main__.entry_points", lambda group: [entry])
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0 and "broken has its own --help" in " ".join(capsys.readouterr().out.split())


def test_formats_are_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["segment", "--help"])
    help_ = capsys.readouterr().out
    assert all(f"\n  {kind} " in help_ for kind in ANNOTATION_FORMATS) and "as-stored" in help_
    with pytest.raises(SystemExit) as stopped:
        main(["segment", "a.jpg", "--out", "b", "--export", "pascal"])
    assert stopped.value.code == 2 and "invalid choice: 'pascal'" in capsys.readouterr().err


def test_stopped_by_hand(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("segmodels.__main__.decode_photo", stop)
    assert segment(photos, "--out", tmp_path / "out") == 130


def test_the_archive_is_a_command_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["archive", "make-up", "20", "--archive", str(tmp_path / "made")]) == 0
    assert main(["archive", "show", "--archive", str(tmp_path / "made")]) == 0
    assert "20 photos" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        main(["archive"])
    assert stopped.value.code == 2 and "usage: garmentscope archive" in capsys.readouterr().err


# --- A folder of results, and runs that come again --------------------------------------------------------------------


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in names(folder)}


def test_a_run_that_comes_again_does_what_is_missing_only(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], jpeg: Jpeg
) -> None:
    out, read = tmp_path / "out", []
    assert segment(photos, "--out", out) == 0
    first = contents(out)
    (out / "summer" / "two.png").unlink()  # as after a process that was killed between the two
    (photos / "a.jpg").write_bytes(jpeg(30, 30, seed=5))
    monkeypatch.setattr(
        "segmodels.__main__.decode_photo", lambda path, **options: read.append(path.name) or decode_photo(path)
    )
    assert segment(photos, "--out", out) == 0
    assert read == ["a.jpg", "two.JPEG"]
    assert names(out) == ALL_OF_TWO | {"a.png", "a.json"}
    assert (out / "summer" / "two.png").read_bytes() == first["summer/two.png"]
    assert "1 photo was done before" in capsys.readouterr().err
    assert segment(photos, "--out", out, "--again") == 0
    assert read[2:] == ["a.jpg", "one.jpg", "two.JPEG"]


def test_class_maps_among_the_photos_are_no_photos(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert segment(photos, "--out", photos, "--export", "masks") == 0
    written = names(photos)
    assert segment(photos, "--out", photos / "results") == 0
    assert segment(photos, "--out", photos) == 0
    assert names(photos) == written | {f"results/{name}" for name in ALL_OF_TWO}
    assert "2 photos were done before" in capsys.readouterr().err


def test_another_model_does_all_anew(photos: Path, models: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert segment(photos, "--out", out) == 0
    shutil.copytree(models / "tiny", models / "other")
    assert segment(photos, "--out", out, model="other") == 0
    assert names(out) == ALL_OF_TWO
    assert {json.loads((out / name).read_text("utf-8"))["model"] for name in ("one.json", "summer/two.json")} == {
        "other"
    }


def test_photos_of_another_folder_take_no_results_away(tmp_path: Path, photos: Path, jpeg: Jpeg) -> None:
    out = tmp_path / "out"
    for index, name in enumerate(("monday", "tuesday")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").write_bytes(jpeg(40, 20 + index))
    assert segment(tmp_path / "monday", "--out", out) == 0
    before = contents(out)
    assert segment(tmp_path / "tuesday", "--out", out) == 0
    after = contents(out)
    assert set(after) == {"1.png", "1.json", "1-2.png", "1-2.json"}
    assert {name: after[name] for name in before} == before
    assert json.loads(after["1-2.json"])["photo"] == str(tmp_path / "tuesday" / "1.jpg")
    assert segment(tmp_path / "tuesday", tmp_path / "monday", "--out", out, "--again") == 0
    assert {name: json.loads((out / name).read_text("utf-8"))["width"] for name in ("1.json", "1-2.json")} == {
        "1.json": 20,
        "1-2.json": 21,
    }, "each has kept its name, though they came in another order"


def test_the_same_path_from_another_folder_is_another_photo(
    tmp_path: Path, photos: Path, jpeg: Jpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    for index, name in enumerate(("monday", "tuesday")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.jpg").write_bytes(jpeg(40, 20 + index))
        monkeypatch.chdir(tmp_path / name)
        assert segment("1.jpg", "--out", tmp_path / "out") == 0
    assert names(tmp_path / "out") == {"1.png", "1.json", "1-2.png", "1-2.json"}


def test_a_photo_is_known_however_its_path_is_typed(
    tmp_path: Path, photos: Path, jpeg: Jpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "looks").mkdir()
    for name in ("1.jpg", "1.jpeg"):  # two equal files: each keeps results of its own
        (tmp_path / "looks" / name).write_bytes(jpeg(40, 20))
    monkeypatch.chdir(tmp_path)
    for typed in ("looks", tmp_path / "looks", "./looks/", "looks/../looks"):
        assert segment(typed, "--out", "out") == 0
        assert names(tmp_path / "out") == {"1.png", "1.json", "1-2.png", "1-2.json"}
    (tmp_path / "looks" / "1.jpg").write_bytes(jpeg(40, 21))
    assert segment("looks", "--out", "out") == 0, "another file of the same name is another photo"
    assert json.loads((tmp_path / "out" / "1-3.json").read_text("utf-8"))["height"] != 20


def test_a_photo_that_is_added_shifts_no_number(tmp_path: Path, photos: Path, jpeg: Jpeg) -> None:
    out, folder = tmp_path / "out", tmp_path / "looks"
    folder.mkdir()
    for index, name in enumerate(("look.jpg", "look.png")):
        (folder / name).write_bytes(jpeg(40, 20 + index))
    assert segment(folder, "--out", out) == 0
    before = contents(out)
    (folder / "look.jpeg").write_bytes(jpeg(40, 30))  # before both
    assert segment(folder, "--out", out) == 0
    after = contents(out)
    assert {name: after[name] for name in before} == before
    assert json.loads(after["look-3.json"])["width"] == 30


def test_a_picture_that_lies_there_is_not_written_over(tmp_path: Path, photos: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "one.png").write_bytes(b"a drawing of somebody")
    assert segment(photos / "one.jpg", "--out", out) == 0
    assert (out / "one.png").read_bytes() == b"a drawing of somebody"
    assert names(out) == {"one.png", "one-2.png", "one-2.json"}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names themselves")
def test_names_that_cannot_be_written_are_made_writable_and_said(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], jpeg: Jpeg
) -> None:
    out, folder = tmp_path / "out", tmp_path / "odd"
    folder.mkdir()
    long = "n" * 251
    for index, name in enumerate((b"bad\xff\xfe.jpg", f"{long}.jpg".encode(), b"a\nb.jpg", "\U0001f9e5.jpg".encode())):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(jpeg(40, 20 + index))
    assert segment(folder, "--out", out, "--export", "coco", "--export", "yolo", "--export", "masks") == 0
    stems = {"bad__", "n" * 200, "a_b", "\U0001f9e5"}
    assert {Path(name).stem for name in names(out) if "/" not in name} == stems
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 3 and all(line.startswith("The results of ") for line in said)
    images = json.loads((out / "coco" / "coco.json").read_text("utf-8"))["images"]
    assert {Path(image["file_name"]).stem for image in images} == stems
    assert {path.stem for path in (out / "masks" / "masks").iterdir()} == stems


def test_links_in_a_loop_are_one_line_and_the_others_are_done(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (photos / "l1.jpg").symlink_to(photos / "l2.jpg")
    (photos / "l2.jpg").symlink_to(photos / "l1.jpg")
    (photos / "gone.jpg").symlink_to(photos / "nowhere.jpg")
    assert segment(photos, "--out", tmp_path / "out") == 1
    assert names(tmp_path / "out") == ALL_OF_TWO
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 3 and all("cannot be" in line or "does not exist" in line for line in lines)


def test_a_full_disk_leaves_whole_files_and_says_so(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(path: Path, data: bytes) -> int:
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    out = tmp_path / "out"
    assert segment(photos / "one.jpg", "--out", out) == 0
    before = contents(out)
    monkeypatch.setattr(Path, "write_bytes", fail)
    assert segment(photos, "--out", out, "--again", "--export", "coco") == 1
    error = capsys.readouterr().err
    assert f"No space is left in {out} for the results of {photos / 'one.jpg'}." in error and "Errno" not in error
    assert {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()} == {"one.png", "one.json"}
    assert (out / "one.png").read_bytes() == before["one.png"]


def test_a_run_that_is_killed_between_listing_and_map_leaves_nothing_that_passes_for_done(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, replace = tmp_path / "out", Path.replace
    assert segment(photos / "one.jpg", "--out", out) == 0

    def killed(path: Path, target: Path) -> Path:
        if target.name == "one.png":
            raise KeyboardInterrupt
        return replace(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        segment(photos / "one.jpg", "--out", out, "--again")
    assert names(out) == {"one.json"}
    assert segment(photos / "one.jpg", "--out", out) == 0
    assert names(out) == {"one.png", "one.json"}


def test_thousands_of_photos_of_one_name_are_named_in_a_moment(tmp_path: Path) -> None:
    photos = {tmp_path / f"{number}" / "look.jpg": "look.jpg" for number in range(8_000)}
    started = time.process_time()
    targets = choose_targets(photos, tmp_path / "out")
    assert [target.name for target in targets.values()][:3] == ["look", "look-2", "look-3"]
    assert len(set(targets.values())) == 8_000
    assert len(set(names_apart(photos.values()))) == 8_000
    assert time.process_time() - started < 3.0, "not a question for each pair of them"


def test_a_home_in_an_argument(photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(photos)
    assert main(["segment", "~/photos/one.jpg", "--out=~/results", "--model", "tiny"]) == 0
    assert names(tmp_path / "results") == {"one.png", "one.json"} and not Path("~").exists()
    assert main(["archive", "make-up", "5", "--archive=~/made"]) == 0
    assert (tmp_path / "made").is_dir() and not Path("~").exists()


# --- Streams and interrupts -------------------------------------------------------------------------------------------


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = f"{shlex.quote(sys.executable)} -m segmodels"
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line.replace('garmentscope', command)}"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.mark.skipif(os.name != "posix", reason="there is no such shell")
def test_closed_streams_and_a_reader_that_leaves(photos: Path, tmp_path: Path, models: Path) -> None:
    out = tmp_path / "out"
    done = shell(f"garmentscope segment {photos} --out {out} --model {models / 'tiny'} 2>&- <&-")
    assert done.returncode == 0 and done.stdout.startswith("2 photos segmented") and names(out) == ALL_OF_TWO
    for name in names(out):
        assert (out / name).stat().st_size > 0
    left = shell("garmentscope models | head -0", GARMENTSCOPE_MODELS=str(models))
    assert (left.returncode, left.stderr) == (141, "")


@pytest.mark.skipif(os.name != "posix", reason="there is no such signal")
def test_ctrl_c_while_it_is_loading_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys, signal\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "class Stop:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name == 'torch': signal.raise_signal(signal.SIGINT)\n"
        "sys.meta_path.insert(0, Stop())\n"
    )
    stopped = shell("garmentscope models", PYTHONPATH=f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    assert stopped.returncode != 0 and stopped.stderr.strip() == "Stopped."


@pytest.mark.parametrize(
    "arguments", [["5", "--seed", "-1"], ["5", "--seed", str(2**64)], ["0"], ["-3"], [str(10**12)]]
)
def test_numbers_that_make_no_archive(tmp_path: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["archive", "make-up", "--archive", str(tmp_path / "made"), *arguments])
    assert stopped.value.code == 2 and "Traceback" not in capsys.readouterr().err


def test_a_list_of_models_survives_each_folder(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number, text in enumerate(("[" * 100_000, '{"format_version": ' + "9" * 5000 + "}", '"text"', "\ud800")):
        folder = shutil.copytree(models / "tiny", models / f"bad{number}")
        (folder / "config.json").write_text(text, errors="surrogatepass")
    (models / "pipe").mkdir()
    (models / "pipe" / "config.json").symlink_to("/dev/zero")
    (models / "loop").symlink_to(models / "loop")
    assert main(["models"]) == 1
    captured = capsys.readouterr()
    assert [line.split()[0] for line in captured.out.splitlines()] == ["name", "tiny"]
    assert [line.partition(":")[0] for line in captured.err.splitlines()] == [f"bad{number}" for number in range(4)]


def test_as_a_command(photos: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "segmodels", "segment", photos / "one.jpg", "--out", tmp_path / "out"]
    done = subprocess.run([*command, "--model", "fnp"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("There is no model 'fnp'.") and done.stdout == ""
