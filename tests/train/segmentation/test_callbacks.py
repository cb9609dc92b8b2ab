import shutil
from pathlib import Path

from segmodels.checkpoints.checkpoint import read_results
from segmodels.checkpoints.config import read_config
from train.segmentation.callbacks import BestCheckpoint


def test_a_fit_that_goes_on_without_a_better_epoch_keeps_the_calibration_in_the_card(tmp_path: Path) -> None:
    folder = tmp_path / "fpn"
    shutil.copytree(Path("segmodels/embedded/segmentation/fpn"), folder)
    kept = (folder / "calibration.json").read_bytes()
    curve = [{"epoch": 1.0, "mean_iou": 0.5}]
    BestCheckpoint(folder, "fpn", read_config(folder)).write_curve(curve)
    assert read_results(folder).learning_curve == tuple(curve)
    assert (folder / "calibration.json").read_bytes() == kept
    assert "## Counts" in (folder / "README.md").read_text()
    (folder / "calibration.json").write_text("{")
    BestCheckpoint(folder, "fpn", read_config(folder)).write_curve(curve)
    assert "## Counts" not in (folder / "README.md").read_text()
