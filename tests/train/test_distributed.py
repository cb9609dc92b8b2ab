"""Two processes under torchrun, against one."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from segmodels.architectures import build
from segmodels.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from segmodels.checkpoints.config import CheckpointConfig
from segmodels.evaluation.evidence import read_evidence
from segmodels.taxonomy import CCP_59, OUTFIT_15
from train.distributed import Processes, gather, this_process
from train.recipe import Recipe
from train.segmentation.fit import fit

ROOT = Path(__file__).parents[2]
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
LAUNCH = """
import json, os, sys
from contextlib import redirect_stdout
from pathlib import Path
import train.data.split, train.segmentation.pseudo_labels
from train.__main__ import main

for name, splits, arguments in json.loads(Path(sys.argv[1]).read_text()):
    train.data.split.SPLITS = train.segmentation.pseudo_labels.SPLITS = Path(splits)
    said = Path(sys.argv[1]).parent / f"{name}-{os.environ.get('RANK', 0)}.txt"
    with said.open("w") as file, redirect_stdout(file):
        code = main(arguments)
    if code:
        sys.exit(f"{name}: {code}")
"""
"""Runs commands one after the other, each with a folder of splits; what each process says goes into a file."""


@pytest.fixture(scope="module")
def ran(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders `one` and `two`, of what one process wrote and two.

    A process takes seconds to start, so that both run all their commands: `evaluate` and `pseudo-label`, and the two
    processes `crossval` and `fit` as well. All give a sentence on stdout, which `said` reads.
    """
    folder = tmp_path_factory.mktemp("processes")
    (folder / "launch.py").write_text(LAUNCH)
    networks, data = _networks(folder), _partly_tagged(root, folder)
    _splits(folder / "five", {number: number % 2 for number in range(1, 6)})
    _splits(folder / "eight", {number: 0 if number in (3, 6, 8) else 1 for number in range(1, 9)})
    ids = folder / "five.txt"
    ids.write_text("0001\n0002\n0003\n0005\n0008\n")
    for name, launcher in (("one", []), ("two", TORCHRUN)):
        out = folder / name
        out.mkdir()
        commands: list[tuple[str, Path, list[object]]] = [
            ("evaluate", folder / "eight", ["evaluate", networks / "fpn", "--dataset", "ccp", "--data", root,
                                            "--ids", ids, "--json", out / "scores.json"]),
            ("pseudo-label", folder / "five", ["pseudo-label", networks / "teacher", "--data", data,
                                               "--out", out / "labels"]),
        ]  # fmt: skip
        if name == "two":
            commands += [
                ("crossval", folder / "five", ["crossval", networks / "small.toml", "--folds", 2, "--data", data,
                                               "--out", out / "folds", "--workers", 0]),
                ("fit", folder / "eight", ["fit", networks / "fpn.toml", "--data", root,
                                           "--out", out / "run", "--workers", 0]),
            ]  # fmt: skip
        plan = [(command, str(splits), list(map(str, arguments))) for command, splits, arguments in commands]
        (out / "plan.json").write_text(json.dumps(plan))
        environment = {
            **os.environ,
            "OMP_NUM_THREADS": "1",
            "CUDA_VISIBLE_DEVICES": "",
            "PYTHONPATH": str(ROOT),
            "GARMENTSCOPE_CACHE": str(folder / f"{name}-cache"),
        }
        command = [sys.executable, *launcher, folder / "launch.py", out / "plan.json"]
        done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, timeout=280)
        assert done.returncode == 0, done.stderr
    return folder


def _networks(folder: Path) -> Path:
    """Checkpoints `fpn` and `teacher` of random weights, recipes `fpn.toml` and `small.toml`."""
    torch.manual_seed(0)
    config = CheckpointConfig(
        architecture="fpn",
        arguments={},
        taxonomy="OUTFIT_15",
        classes=list(OUTFIT_15.names),
        height=64,
        width=32,
        mean=0.5,
        std=0.5,
    )
    save_checkpoint(folder / "fpn", config, build("fpn", 15, {}))
    torch.manual_seed(0)
    small = replace(config, architecture="unet_classic", arguments={"width": 0.05}, height=32, crop="none")
    save_checkpoint(folder / "teacher", small, build("unet_classic", 15, {"width": 0.05}))
    (folder / "fpn.toml").write_text(
        "architecture = 'fpn'\nimagenet = false\nheight = 64\nwidth = 64\ncache_side = 64\nepochs = 1\nbatch_size = 4\n"
    )
    (folder / "small.toml").write_text(
        "architecture = 'unet_classic'\narguments = {width = 0.05}\nimagenet = false\nheight = 32\nwidth = 32\n"
        "cache_side = 64\nepochs = 1\nbatch_size = 2\n"
    )
    return folder


def _partly_tagged(root: Path, folder: Path) -> Path:
    """The data set, of which photos 0006 to 0008 have tags in place of a mask."""
    data = folder / "ccp"
    shutil.copytree(root, data)
    tags = data / "annotations" / "image-level"
    tags.mkdir()
    for number in (6, 7, 8):
        (data / "annotations" / "pixel-level" / f"{number:04}.mat").unlink()
        savemat(tags / f"{number:04}.mat", {"tags": np.array([[CCP_59.index("shirt"), CCP_59.index("jeans")]])})
    return data


def _splits(folder: Path, folds: dict[int, int]) -> None:
    folder.mkdir()
    rows = [f"{number:04},{fold}" for number, fold in folds.items()]
    (folder / "ccp_folds.csv").write_text("id,fold\n" + "\n".join(rows) + "\n")
    (folder / "ccp_tags_reserved.txt").write_text("0000\n")


def said(folder: Path, command: str) -> str:
    """What all processes said."""
    return "".join(path.read_text() for path in sorted(folder.glob(f"{command}-[0-9].txt")))


def test_alone() -> None:
    assert this_process() == Processes(0, 1, 1) and this_process().is_first
    assert gather((3, 1), Processes()) == [3, 1]


def test_under_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "6", "RANK": "4", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    assert this_process() == Processes(rank=4, count=6, machines=3)


def test_under_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"SLURM_NTASKS": "4", "SLURM_PROCID": "3", "SLURM_NNODES": "2", "SLURM_JOB_NAME": "fit"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    assert this_process() == Processes(rank=3, count=4, machines=2)


def test_two_processes_count_each_pixel_once(ran: Path) -> None:
    one, two = (json.loads((ran / name / "scores.json").read_text()) for name in ("one", "two"))
    assert sum(map(sum, one["confusion_matrix"])) == 5 * 72 * 48
    assert one == two
    assert [said(ran / name, "evaluate").count("on 5 photos") for name in ("one", "two")] == [1, 1]


def test_two_processes_fit_together(ran: Path) -> None:
    """On folds that are hashed: an odd number of photos to train on and one that is not even to choose by."""
    assert said(ran / "two", "fit").count("The best epoch is in") == 1
    loaded = load_checkpoint(ran / "two" / "run" / "checkpoint")
    assert [epoch["epoch"] for epoch in loaded.results.learning_curve] == [1]
    assert 0 < loaded.results.learning_curve[0]["validation_loss"] < 10


def test_only_the_first_process_completes_the_learning_curve(
    root: Path, tmp_path: Path, tiny: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that write one file at once left half of each."""
    recipe = tiny(architecture="unet_classic", arguments={"width": 0.05}, epochs=1)
    ids = (["0001", "0002", "0003"], ["0004", "0005"])
    fit(recipe, root, tmp_path, workers=0, ids=ids)
    path = tmp_path / "checkpoint" / "metrics.json"
    values = {"TORCHELASTIC_RUN_ID": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "2"}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    for rank, rewritten in (("1", False), ("0", True)):
        path.write_text("{}\n")
        monkeypatch.setenv("RANK", rank)
        fit(recipe, root, tmp_path, workers=0, ids=ids)
        assert ("learning_curve" in json.loads(path.read_text())) is rewritten


def test_two_processes_label_each_photo_once(ran: Path) -> None:
    one, two = (json.loads((ran / name / "labels" / "labels.json").read_text()) for name in ("one", "two"))
    assert two["photos"] == 3 and two["asserted"] == one["asserted"] == {
        **dict.fromkeys(OUTFIT_15.names, 0),
        "Shirt": 3,
        "Pants": 3,
    }
    assert two["found_where_asserted"] == one["found_where_asserted"]
    for number in (6, 7, 8):
        masks = [np.asarray(Image.open(ran / name / "labels" / f"{number:04}.png")) for name in ("one", "two")]
        assert np.array_equal(*masks)


def test_two_processes_judge_each_fold_whole(ran: Path) -> None:
    judged, _ = read_evidence(ran / "two" / "folds" / "evidence.parquet")
    assert sorted(row.photo_id for row in judged) == ["0001", "0002", "0003", "0004", "0005"]
    metrics = json.loads((ran / "two" / "folds" / "metrics.json").read_text())
    assert np.sum(metrics["all_photos"]["confusion_matrix"]) == 5 * 72 * 48
