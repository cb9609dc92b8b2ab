import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from foreign_networks import save_segformer
from own_classes import KIMONO, save_own
from PIL import Image
from torch import nn

from segmodels.architectures import build
from segmodels.checkpoints.checkpoint import Checkpoint, load_checkpoint
from segmodels.checkpoints.config import CheckpointConfig
from segmodels.evaluation.results import Results
from segmodels.taxonomy import OUTFIT_15
from train.__main__ import main
from train.publishing import export as module
from train.publishing.ensemble import join
from train.publishing.export import FORMATS, ExportError, export, metadata_of


def checkpoint_of(architecture: str, arguments: Mapping[str, Any], classes: int = 15) -> Checkpoint:
    """A network of random weights whose batch norms have statistics, so that folding them matters."""
    torch.manual_seed(2)
    network = build(architecture, classes, arguments)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d) and part.running_mean is not None and part.running_var is not None:
            nn.init.normal_(part.running_mean, std=0.1)
            nn.init.uniform_(part.running_var, 0.5, 1.5)
    config = CheckpointConfig(
        architecture=architecture,
        arguments=dict(arguments),
        taxonomy=OUTFIT_15.name,
        classes=list(OUTFIT_15.names),
        height=64,
        width=32,
        mean=0.45,
        std=0.25,
        training={"dataset": "ccp"},
    )
    return Checkpoint("small", config, network.eval(), Results(), "abc123")


def crop_of(config: CheckpointConfig) -> np.ndarray:
    """A photo of exactly the input's size, so that nobody resizes it."""
    return np.random.default_rng(5).integers(0, 256, (config.height, config.width, 3), np.uint8)


def ours(checkpoint: Checkpoint, crop: np.ndarray) -> np.ndarray:
    """The class map of the network as it is here."""
    config = checkpoint.config
    batch = (torch.from_numpy(crop).permute(2, 0, 1)[None].float() / 255 - config.mean) / config.std
    with torch.inference_mode():
        return checkpoint.network(batch)[0].argmax(dim=0).numpy().astype(np.uint8)


def run_example(folder: Path, crop: np.ndarray) -> tuple[np.ndarray, str]:
    """The class map that example.py writes in a process that cannot import Garmentscope, and what it prints."""
    Image.fromarray(crop).save(folder / "crop.png")
    (folder / "site").mkdir(exist_ok=True)
    for package in ("segmodels", "train", "dashboard"):
        (folder / "site" / f"{package}.py").write_text("raise ImportError('the example must not need it')")
    environment = {**os.environ, "PYTHONPATH": str(folder / "site")}
    done = subprocess.run(
        [sys.executable, "example.py", "crop.png", "classes.png"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with Image.open(folder / "classes.png") as image:
        assert image.mode == "P" and tuple((image.getpalette() or [])[3:6]) == tuple(KIMONO.palette[1])
        return np.array(image), done.stdout


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return save_own(tmp_path / "own")


@pytest.mark.parametrize("kind", FORMATS)
def test_the_example_gives_our_class_map_without_us(
    own: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for needed in FORMATS[kind].modules:
        pytest.importorskip(needed)
    out = tmp_path / "export" / f"kimono{FORMATS[kind].suffix}"
    assert main(["export", str(own), "--format", kind, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert str(out) in said and "8,192 pixels" not in said and "12,288 pixels" in said, "three crops of 64 x 64"
    assert {path.suffix for path in out.parent.iterdir()} == {".py", out.suffix} | (
        {".bin"} if kind == "openvino" else set()
    )
    checkpoint = load_checkpoint(own)
    crop = crop_of(checkpoint.config)
    given, printed = run_example(out.parent, crop)
    wanted = ours(checkpoint, crop)
    assert len(np.unique(wanted)) > 1
    assert (given == wanted).mean() > 0.999 if kind == "openvino" else (given == wanted).all()
    shares = {line.split(maxsplit=1)[1]: float(line.split("%")[0]) / 100 for line in printed.splitlines()}
    assert shares == {name: pytest.approx((given == KIMONO[name].id).mean(), abs=1e-4) for name in KIMONO.names}


def test_the_example_is_short_and_in_the_documentation() -> None:
    for kind in FORMATS:
        lines = [line for line in module.example(kind, "a.bin").splitlines() if line.strip()]
        assert len(lines) <= 26
        compile("\n".join(lines), "example.py", "exec")
    assert module.example("onnx", "fpn.onnx") in (Path(module.__file__).parents[1] / "TRAINING.md").read_text("utf-8")


def test_the_file_tells_classes_input_licence_and_revision(own: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    checkpoint = load_checkpoint(own)
    export(checkpoint, "onnx", tmp_path / "a.onnx")
    model = onnx.load(tmp_path / "a.onnx")
    (entry,) = [each for each in model.metadata_props if each.key == "garmentscope"]
    told = json.loads(entry.value)
    assert told == metadata_of(checkpoint)
    assert told["classes"][2] == {"id": 2, "name": "Obi <sash>", "group": "garment", "colour": KIMONO.classes[2].colour}
    assert told["taxonomy"] == "kimono shop" and told["revision"] == checkpoint.revision and told["name"] == "own"
    assert {key: told["input"][key] for key in ("height", "width", "mean", "std")} == {
        "height": 64,
        "width": 64,
        "mean": 0.5,
        "std": 0.5,
    }
    assert told["license"] == "terms-of-the-data-set", "of no data set that is known to be free"
    (given,) = model.graph.input
    assert given.name == "pixels" and given.type.tensor_type.shape.dim[0].dim_param


@pytest.mark.timeout(900)  # ten seconds of a processor, on a busy machine minutes; `make exports` does all nine
def test_segnet_with_its_unpooling_as_onnx(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    agreement = export(checkpoint_of("segnet", {"width": 0.05, "unpool": True}), "onnx", tmp_path / "a.onnx")
    assert agreement.difference < 1e-4 and agreement.same_class == 1 and agreement.pixels == 3 * 64 * 32


def test_weights_of_ccp_are_free() -> None:
    assert metadata_of(checkpoint_of("pspnet", {}))["license"] == "apache-2.0"


def test_a_file_that_gives_other_results_is_not_kept(
    own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    form = FORMATS["torchscript"]

    def other(path: Path, batch: np.ndarray) -> np.ndarray:
        return form.run(path, batch)[:, ::-1]

    monkeypatch.setattr(module, "FORMATS", {**FORMATS, "torchscript": replace(form, run=other)})
    out = tmp_path / "export" / "a.pt"
    assert main(["export", str(own), "--format", "torchscript", "--out", str(out)]) == 1
    error = capsys.readouterr().err
    assert "gives other results: probabilities differ by up to" in error and "was not kept" in error
    assert list(out.parent.iterdir()) == []


def test_a_step_that_a_format_cannot_express_is_a_sentence(own: Path, tmp_path: Path) -> None:
    class Odd(nn.Module):
        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            if pixels.sum() > 1e9:  # depends on the values, which a graph cannot
                return pixels
            return pixels.new_zeros(len(pixels), 5, *pixels.shape[2:])

    pytest.importorskip("onnxscript")
    checkpoint = replace(load_checkpoint(own), network=Odd())
    with pytest.raises(
        ExportError, match=r"own \(unet_classic\) has a step that onnx cannot express: .+ Choose another"
    ):
        export(checkpoint, "onnx", tmp_path / "a.onnx")
    assert not (tmp_path / "a.onnx").exists() and not (tmp_path / "example.py").exists()


@pytest.mark.parametrize(
    ("out", "files", "sentence"),
    [
        ("a.pt", {}, r"a\.pt does not end in \.onnx\. Name the file a\.onnx"),
        ("a.onnx", {"example.py": "print('mine')"}, r"example\.py is another file, which the example would replace"),
    ],
)
def test_what_would_go_wrong_is_said_first(
    own: Path, tmp_path: Path, out: str, files: Mapping[str, str], sentence: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(ExportError, match=sentence):
        export(load_checkpoint(own), "onnx", tmp_path / out)


def test_an_ensemble_names_its_members(tmp_path: Path) -> None:
    one, other = save_own(tmp_path / "one"), save_own(tmp_path / "other", seed=4)
    folder = join([one, other], [0.5], tmp_path / "both")
    with pytest.raises(ExportError, match="both is an ensemble of unet_classic at 64 x 64, unet_classic at 64 x 64"):
        export(load_checkpoint(folder), "onnx", tmp_path / "a.onnx")


def test_a_network_from_elsewhere_is_refused_before_it_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(*_: object) -> None:
        raise AssertionError("it was loaded")

    folder = save_segformer(tmp_path / "clothes")
    capsys.readouterr()  # the library's progress
    monkeypatch.setattr("train.commands.publishing.load_checkpoint", load)
    assert main(["export", str(folder), "--out", str(tmp_path / "a.onnx")]) == 1
    assert capsys.readouterr().err == (
        "clothes is a network of transformers, which is run as it is. Export it by that library.\n"
    )


def test_a_missing_extra_is_a_sentence(own: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing: Callable[..., str] = lambda extra, *modules, what: f"{what} needs {extra}"  # noqa: E731
    monkeypatch.setattr(module, "missing_extra", missing)
    with pytest.raises(ExportError, match="--format openvino needs openvino"):
        export(load_checkpoint(own), "openvino", tmp_path / "a.xml")


def test_a_photo_and_a_model_that_are_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "nonesuch", "--out", str(tmp_path / "a.onnx")]) == 1
    assert "no model 'nonesuch'" in capsys.readouterr().err
    assert main(["export", "fpn", "--photo", str(tmp_path / "a.jpg"), "--out", str(tmp_path / "a.onnx")]) == 1
    assert "a.jpg does not exist" in capsys.readouterr().err
