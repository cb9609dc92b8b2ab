"""Lets the libraries of annotation tools read what Garmentscope exports, in an environment of their own.

`make annotation-tools` runs it. label-studio-sdk and datumaro (which reads CVAT's XML and COCO) need other versions of
numpy than Garmentscope has, so pip installs them into a folder that is removed afterwards; `--python` names an
interpreter that has them already. What they read is compared with the pixels that were exported: masks must be
identical, polygons within one pixel of the outline.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

TOOLS = ("label-studio-sdk", "datumaro")
ORIENTATIONS = (1, 6, 3)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", type=Path, help="interpreter of an environment that has the tools' libraries")
    parser.add_argument("--read", type=Path, metavar="FOLDER", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.read:
        return read(arguments.read)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        write(home / "exports")
        python = arguments.python or install(home / "environment")
        return subprocess.run([python, __file__, "--read", home / "exports"], check=False).returncode


def install(folder: Path) -> Path:
    """A new environment with the tools' libraries; its interpreter is returned."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    subprocess.run([python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", *TOOLS], check=True)
    return python


def write(folder: Path) -> None:
    """Exports photos that are turned in several ways, in each format, and beside them the pixels of each region."""
    import numpy as np
    from annotated import a_look, save_photo

    from segmodels.annotations import ANNOTATION_FORMATS, annotation_files
    from segmodels.annotations.regions import regions_of

    looks = [(f"turned-{orientation}.png", a_look(orientation=orientation)) for orientation in ORIENTATIONS]
    for kind in ANNOTATION_FORMATS:
        # each tool's own place for the photos
        photos = folder / kind / ("images/default" if kind.startswith("coco") else "images")
        for name, look in looks:
            save_photo(photos / name, look.orientation)
        for path, content in annotation_files(kind, looks):
            place = folder / kind / ("annotations/instances_default.json" if path == "coco.json" else path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)
    truth = [
        {"photo": name, "class": region.category.name, "person": region.person, "at": f"{name}-{number}"}
        for name, look in looks
        for number, region in enumerate(regions_of(look))
    ]
    masks = {
        f"{name}-{number}": region.whole_mask(look.height, look.width)
        for name, look in looks
        for number, region in enumerate(regions_of(look))
    }
    (folder / "truth.json").write_text(json.dumps(truth), encoding="utf-8")
    np.savez_compressed(folder / "truth.npz", **masks)


def read(folder: Path) -> int:
    """Reads the exports with the tools' libraries, which are imported here only."""
    import numpy as np

    rows = json.loads((folder / "truth.json").read_text("utf-8"))
    with np.load(folder / "truth.npz") as file:
        truth = {(row["photo"], row["class"]): [] for row in rows}
        for row in rows:
            truth[row["photo"], row["class"]].append(file[row["at"]])
    checks: dict[str, Callable[[Path], Any]] = {
        "labelstudio": label_studio,
        "labelstudio-polygons": label_studio,
        "cvat": datumaro("cvat"),
        "cvat-polygons": datumaro("cvat"),
        "coco": datumaro("coco_instances"),
        "coco-polygons": datumaro("coco_instances"),
    }
    failed = 0
    for kind, check in checks.items():
        given = check(folder / kind)
        apart = 0.0
        for key in sorted(truth.keys() | given.keys()):
            whole, found = np.any(truth.get(key, [[[False]]]), axis=0), np.any(given.get(key, [[[False]]]), axis=0)
            if whole.shape != found.shape:
                print(f"{kind}: {key} is {found.shape}, not {whole.shape}", file=sys.stderr)
                apart = np.inf
            elif kind.endswith("polygons"):
                apart = max(apart, farthest(whole, found))
            elif (whole != found).any() or len(truth[key]) != len(given[key]):
                print(f"{kind}: {key} has {(whole != found).sum()} other pixels", file=sys.stderr)
                apart = np.inf
        failed += apart >= 1
        what = f"within {apart:.2f} pixels" if kind.endswith("polygons") else "identical" if not apart else "different"
        print(f"{kind}: {sum(map(len, given.values()))} masks of {len(ORIENTATIONS)} photos, {what}")
    return 1 if failed else 0


def farthest(mask: Any, given: Any) -> float:
    """How far, in pixels, the centres of pixels that differ lie from the edge of a mask; 0 if none differ."""
    import numpy as np

    height, width = mask.shape
    y, x = np.mgrid[:height, :width]
    worst = 0.0
    for row, column in np.argwhere(mask != given):
        other = mask != mask[row, column]
        distance = np.hypot(y[other] - row, x[other] - column).min() if other.any() else np.inf
        worst = max(worst, float(distance) - 0.5)
    return worst


def label_studio(folder: Path) -> dict[tuple[str, str], list[Any]]:
    """Masks of tasks.json by photo and class; the interface must take each task and prediction."""
    import numpy as np
    from label_studio_sdk.converter import Converter, brush
    from label_studio_sdk.converter.converter import Format
    from label_studio_sdk.label_interface import LabelInterface

    interface = LabelInterface((folder / "labeling_config.xml").read_text("utf-8"))
    interface.validate()
    tasks = json.loads((folder / "tasks.json").read_text("utf-8"))
    found: dict[tuple[str, str], list[Any]] = {}
    for number, task in enumerate(tasks, start=1):
        (prediction,) = task["predictions"]
        assert interface.validate_task({"data": task["data"]}), "the task has what the interface shows"
        problems = interface.validate_prediction(prediction, return_errors=True)
        assert not problems, problems
        # what a person has accepted is an annotation; the converters read those
        task |= {"id": number, "annotations": [{"id": number, "completed_by": 1, "result": prediction["result"]}]}
        photo = urllib.parse.unquote(task["data"]["image"]).removeprefix("/data/local-files/?d=")
        for result in prediction["result"]:
            shape = result["original_height"], result["original_width"]
            value = result["value"]
            if result["type"] == "brushlabels":
                mask = brush.decode_rle(value["rle"]).reshape(*shape, 4)[..., 3] > 0
            else:
                mask = fill(np.array(value["points"]) * (shape[1] / 100, shape[0] / 100), shape)
            found.setdefault((photo, value[result["type"]][0]), []).append(mask)
    accepted = folder / "accepted.json"
    accepted.write_text(json.dumps(tasks), encoding="utf-8")
    converter = Converter(str(folder / "labeling_config.xml"), str(folder), download_resources=False)
    if folder.name == "labelstudio":
        (folder / "png").mkdir()
        converter.convert(str(accepted), str(folder / "png"), Format.BRUSH_TO_PNG, is_dir=False)
        count = len(list((folder / "png").glob("*.png")))
        assert count == sum(map(len, found.values())), f"the converter wrote {count} PNGs"
    else:
        converter.convert_to_coco(str(accepted), str(folder / "coco"), is_dir=False)
        coco = json.loads((folder / "coco" / "result.json").read_text("utf-8"))
        assert len(coco["annotations"]) == sum(map(len, found.values()))
    return found


def datumaro(kind: str) -> Callable[[Path], dict[tuple[str, str], list[Any]]]:
    """A function that reads a folder in one of datumaro's formats: masks by photo and class."""

    def masks(folder: Path) -> dict[tuple[str, str], list[Any]]:
        from datumaro.components.annotation import AnnotationType
        from datumaro.components.dataset import Dataset

        dataset = Dataset.import_from(str(folder), kind)
        labels = dataset.categories()[AnnotationType.label]
        found: dict[tuple[str, str], list[Any]] = {}
        for item in dataset:
            height, width = item.media.size
            for annotation in item.annotations:
                if annotation.type == AnnotationType.polygon:
                    mask = fill(annotation.get_points(), (height, width))
                elif annotation.type == AnnotationType.mask:
                    mask = annotation.image.astype(bool)
                else:
                    continue
                found.setdefault((f"{item.id}.png", labels[annotation.label].name), []).append(mask)
        return found

    return masks


def fill(points: Any, shape: tuple[int, int]) -> Any:
    """The pixels inside a polygon, as pycocotools draws them."""
    import numpy as np
    from pycocotools import mask

    parts = mask.frPyObjects([np.asarray(points, float).ravel().tolist()], *shape)
    return mask.decode(mask.merge(parts)).astype(bool)


if __name__ == "__main__":
    sys.exit(main())
