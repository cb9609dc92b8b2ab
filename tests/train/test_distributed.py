"""Two processes under torchrun, against one."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from segmodels.architectures import build
from segmodels.checkpoints.checkpoint import CheckpointConfig, load_checkpoint, save_checkpoint
from segmodels.evaluation.evidence import read_evidence
from segmodels.taxonomy import CCP_59, OUTFIT_15
from train.distributed import Processes, gather, this_process
from train.recipe import Recipe
from train.segmentation.fit import fit

ROOT = Path(__file__).parents[2]
PYTHON = [sys.executable, "-m"]
TORCHRUN = [*PYTHON, "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]


def run(launcher: list[str], *arguments: object) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    command = [*launcher, "train", *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return done.stdout


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


def test_two_processes_count_each_pixel_once(root: Path, tmp_path: Path) -> None:
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
    save_checkpoint(tmp_path / "fpn", config, build("fpn", 15, {}))
    ids = tmp_path / "five.txt"
    ids.write_text("0001\n0002\n0003\n0005\n0008\n")
    for launcher, name in ((PYTHON, "one"), (TORCHRUN, "two")):
        said = run(
            launcher, "evaluate", tmp_path / "fpn", "--dataset", "ccp", "--data", root, "--ids", ids,
            "--json", tmp_path / f"{name}.json",
        )  # fmt: skip
        assert said.count("on 5 photos") == 1
    one, two = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("one", "two"))
    assert sum(map(sum, one["confusion_matrix"])) == 5 * 72 * 48
    assert one == two


def test_two_processes_fit_together(root: Path, tmp_path: Path, tiny: Callable[..., Recipe]) -> None:
    """On folds that are hashed: an odd number of photos to train on and one that is not even to choose by."""
    recipe = tmp_path / "mine.toml"
    recipe.write_text(
        "architecture = 'fpn'\nimagenet = false\nheight = 64\nwidth = 64\ncache_side = 64\nepochs = 1\nbatch_size = 4\n"
    )
    split = tmp_path / "splits"
    split.mkdir()
    rows = [f"{number:04},{0 if number in (3, 6, 8) else 1}" for number in range(1, 9)]
    (split / "ccp_folds.csv").write_text("id,fold\n" + "\n".join(rows) + "\n")
    launch = tmp_path / "launch.py"
    launch.write_text(
        "import sys\nfrom pathlib import Path\nimport train.data.split\nfrom train.__main__ import main\n"
        f"train.data.split.SPLITS = Path({str(split)!r})\nsys.exit(main(sys.argv[1:]))\n"
    )
    out = tmp_path / "run"
    launcher = [*TORCHRUN[:-1], str(launch)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    command = [*launcher, "fit", recipe, "--data", root, "--out", out, "--workers", "0"]
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("The best epoch is in") == 1
    loaded = load_checkpoint(out / "checkpoint")
    assert [epoch["epoch"] for epoch in loaded.results.learning_curve] == [1]
    assert 0 < loaded.results.learning_curve[0]["validation_loss"] < 10


def test_only_the_first_process_completes_the_learning_curve(
    root: Path, tmp_path: Path, tiny: Callable[..., Recipe], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that write one file at once left half of each."""
    recipe, ids = tiny(), (["0001", "0002", "0003"], ["0004", "0005"])
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


def test_two_processes_label_and_cross_validate_each_photo_once(root: Path, tmp_path: Path) -> None:
    """Against one process: the same masks, and folds that are judged whole."""
    data = tmp_path / "ccp"
    shutil.copytree(root, data)
    tags = data / "annotations" / "image-level"
    tags.mkdir()
    for number in (6, 7, 8):  # photos without a mask now, with tags
        (data / "annotations" / "pixel-level" / f"{number:04}.mat").unlink()
        savemat(tags / f"{number:04}.mat", {"tags": np.array([[CCP_59.index("shirt"), CCP_59.index("jeans")]])})
    launch = tmp_path / "launch.py"
    launch.write_text(
        "import sys\nfrom pathlib import Path\nimport train.data.split, train.segmentation.pseudo_labels\n"
        f"train.data.split.SPLITS = train.segmentation.pseudo_labels.SPLITS = Path({str(tmp_path)!r})\n"
        "from train.__main__ import main\nsys.exit(main(sys.argv[1:]))\n"
    )
    rows = [f"{number:04},{number % 2}" for number in range(1, 6)]
    (tmp_path / "ccp_folds.csv").write_text("id,fold\n" + "\n".join(rows) + "\n")
    (tmp_path / "ccp_tags_reserved.txt").write_text("0000\n")
    torch.manual_seed(0)
    config = CheckpointConfig(
        architecture="unet_classic", arguments={"width": 0.05}, taxonomy="OUTFIT_15", classes=list(OUTFIT_15.names),
        height=32, width=32, mean=0.5, std=0.5, crop="none",
    )  # fmt: skip
    save_checkpoint(tmp_path / "teacher", config, build("unet_classic", 15, {"width": 0.05}))
    recipe = tmp_path / "mine.toml"
    recipe.write_text(
        "architecture = 'unet_classic'\narguments = {width = 0.05}\nimagenet = false\nheight = 32\nwidth = 32\n"
        "cache_side = 64\nepochs = 1\nbatch_size = 2\n"
    )
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    out = tmp_path / "out"
    for launcher, name in (([sys.executable], "one"), (TORCHRUN[:-1], "two")):
        for command in (
            ["pseudo-label", tmp_path / "teacher", "--data", data, "--out", out / name],
            ["crossval", recipe, "--folds", 2, "--data", data, "--out", out / f"{name}-folds", "--workers", 0],
        ):
            done = subprocess.run(
                [*launcher, str(launch), *map(str, command)],
                env=environment,
                capture_output=True,
                text=True,
                timeout=240,
            )
            assert done.returncode == 0, done.stderr
    one, two = (json.loads((out / name / "labels.json").read_text()) for name in ("one", "two"))
    assert two["photos"] == 3 and two["asserted"] == one["asserted"] == {
        **dict.fromkeys(OUTFIT_15.names, 0),
        "Shirt": 3,
        "Pants": 3,
    }
    assert two["found_where_asserted"] == one["found_where_asserted"]
    for number in (6, 7, 8):
        masks = [np.asarray(Image.open(out / name / f"{number:04}.png")) for name in ("one", "two")]
        assert np.array_equal(*masks)
    judged, _ = read_evidence(out / "two-folds" / "evidence.parquet")
    assert sorted(row.photo_id for row in judged) == ["0001", "0002", "0003", "0004", "0005"]
    metrics = json.loads((out / "two-folds" / "metrics.json").read_text())
    assert np.sum(metrics["all_photos"]["confusion_matrix"]) == 5 * 72 * 48
