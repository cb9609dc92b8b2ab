import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from own_classes import KIMONO, save_own
from torch import nn

from segmodels.architectures import build
from segmodels.checkpoints.checkpoint import load_checkpoint, save_checkpoint
from segmodels.checkpoints.config import CheckpointConfig
from segmodels.inference.segmenter import Segmenter
from segmodels.taxonomy import OUTFIT_15, make_taxonomy
from train.__main__ import main


@pytest.fixture
def two(tmp_path: Path) -> list[Path]:
    """Checkpoints of different architectures and shapes, with random weights."""
    for number, (name, resize) in enumerate((("fpn", "keep"), ("linknet", "squash"))):
        torch.manual_seed(number)
        config = CheckpointConfig(
            architecture=name,
            arguments={},
            taxonomy=OUTFIT_15.name,
            classes=list(OUTFIT_15.names),
            height=64,
            width=32 + 32 * number,
            mean=0.5,
            std=0.5,
            resize=resize,
            crop="none",
            training={"dataset": "ccp", "epoch": number},
        )
        save_checkpoint(tmp_path / name, config, build(name, len(OUTFIT_15), {}))
    return [tmp_path / "fpn", tmp_path / "linknet"]


def test_what_is_joined_gives_the_average(two: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "joined"
    assert main(["join", *map(str, two), "--share", "0.25", "--out", str(out)]) == 0
    assert str(out) in capsys.readouterr().out
    joined = load_checkpoint(out)
    assert isinstance(joined.network, nn.ModuleList)
    assert joined.config.training["members"][0]["revision"] == load_checkpoint(two[1]).revision
    assert "averaged with `linknet`, input 64 x 64, share 0.25" in (out / "README.md").read_text()
    photo = np.random.default_rng(0).integers(0, 256, (64, 32, 3), np.uint8)
    cpu = torch.device("cpu")
    one, other, both = (Segmenter(load_checkpoint(folder), cpu).probability(photo)[0] for folder in (*two, out))
    narrow = nn.functional.interpolate(other[None], (64, 32), mode="bilinear")[0]
    assert torch.allclose(both, 0.75 * one + 0.25 * narrow, atol=1e-4)


@pytest.mark.parametrize(
    ("shares", "sentence"),
    [
        ([], "for each but the first its share"),
        (["0.2", "0.3"], "for each but the first its share"),
        (["1"], "for each but the first its share, between 0 and 1"),
    ],
)
def test_shares_that_do_not_fit_are_refused(
    two: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], shares: list[str], sentence: str
) -> None:
    given = [part for share in shares for part in ("--share", share)]
    assert main(["join", *map(str, two), *given, "--out", str(tmp_path / "joined")]) == 1
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "joined").exists()


def test_sizes_and_margin_are_those_of_the_first_one_or_those_that_are_named(
    two: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = json.loads((two[0] / "config.json").read_text())
    (two[0] / "config.json").write_text(json.dumps({**values, "scales": [0.5, 1.5], "margin": 0.25}))
    arguments = ["join", *map(str, two), "--share", "0.5", "--out"]
    for more, scales, margin in (
        ([], [0.5, 1.5], 0.25),
        (["--scales", "1"], [1.0], 0.25),
        (["--margin", "0"], [0.5, 1.5], 0.0),
    ):
        assert main([*arguments, str(tmp_path / "joined"), *more]) == 0
        config = load_checkpoint(tmp_path / "joined").config
        assert (config.scales, config.margin) == (scales, margin)
    for wrong, sentence in (
        (["--scales", "1", "5"], "scales must be a list of up to 8 factors from 0.25 to 4, not [1.0, 5.0]"),
        (["--margin", "1.5"], "margin must be between 0 and 1, not 1.5"),
        (["--margin", "nan"], "margin must be between 0 and 1, not nan"),
    ):
        assert main([*arguments, str(tmp_path / "wrong"), *wrong]) == 1
        assert sentence in capsys.readouterr().err
    assert not (tmp_path / "wrong").exists()


def test_what_cannot_be_joined_is_refused(two: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    joined, again = tmp_path / "joined", tmp_path / "again"
    assert main(["join", *map(str, two), "--share", "0.5", "--out", str(joined)]) == 0
    assert main(["join", str(two[0]), str(joined), "--share", "0.5", "--out", str(again)]) == 1
    assert "is an ensemble itself" in capsys.readouterr().err
    other = shutil.copytree(two[1], tmp_path / "other")
    values = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**values, "taxonomy": "nope"}))
    assert main(["join", str(two[0]), str(other), "--share", "0.5", "--out", str(again)]) == 1
    assert "taxonomy must be one of OUTFIT_15, CFPD_23, IMATERIALIST_47, not 'nope'" in capsys.readouterr().err
    assert not again.exists()


def test_an_output_never_takes_the_place_of_an_input(two: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in two[1].iterdir()}
    assert main(["join", *map(str, two), "--share", "0.5", "--out", str(two[1] / ".." / two[1].name)]) == 1
    assert "which the ensemble is joined from. Name another folder with --out." in capsys.readouterr().err
    assert {path: path.read_bytes() for path in two[1].iterdir()} == before


def test_classes_of_the_same_name_that_differ_are_not_joined(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = make_taxonomy(KIMONO.name, [*KIMONO.names[:-1], "Fan"])
    for name, taxonomy in {"one": KIMONO, "same": KIMONO, "other": other}.items():
        save_own(tmp_path / name, taxonomy)
    given = ["--share", "0.5", "--out", str(tmp_path / "joined")]
    assert main(["join", str(tmp_path / "one"), str(tmp_path / "other"), *given]) == 1
    assert "names the classes of kimono shop, and" in (said := capsys.readouterr().err)
    assert "those of another taxonomy of that name. Join checkpoints of one taxonomy." in said
    assert main(["join", str(tmp_path / "one"), str(tmp_path / "same"), *given]) == 0
    assert load_checkpoint(tmp_path / "joined").taxonomy == KIMONO
