import hashlib
import json
from pathlib import Path

import pytest

from segmodels.checkpoints.checkpoint import load_checkpoint
from segmodels.checkpoints.config import read_config
from segmodels.checkpoints.errors import CheckpointError
from segmodels.foreign.formats import digest, files_of, format_of, weights_of

SEGFORMER = {"model_type": "segformer", "architectures": ["SegformerForSemanticSegmentation"]}
WHOLE = ["config.json", "preprocessor_config.json", "model.safetensors"]


def folder_with(folder: Path, *names: str, config: dict[str, object] | None = None) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    if config is not None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(config))
    return folder


def refused(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    ("names", "config", "what"),
    [
        (["model_index.json"], None, "a diffusers pipeline"),
        (["adapter_config.json", "adapter_model.safetensors"], None, "an adapter (LoRA, peft) without its network"),
        (["model.gguf"], None, "a GGUF file"),
        (["saved_model.pb", "keras_metadata.pb"], None, "a TensorFlow SavedModel"),
        (["model.keras"], None, "a Keras model"),
        (["weights.h5"], None, "a Keras or TensorFlow model"),
        (["net.tflite"], None, "a TensorFlow Lite model"),
        (["net.xml", "net.bin"], None, "an OpenVINO model"),
        (
            ["model.safetensors"],
            {"model_type": "vit", "architectures": ["ViTForImageClassification"]},
            "a classification model of transformers (ViTForImageClassification)",
        ),
        (
            ["model.safetensors"],
            {"model_type": "detr", "architectures": ["DetrForObjectDetection"]},
            "a detection model of transformers (DetrForObjectDetection)",
        ),
        (["model.safetensors"], {"model_type": "vit"}, "a part of a model of transformers, without a head"),
        (["model.safetensors"], {"architecture": "resnet18", "pretrained_cfg": {}}, "a classification model of timm"),
        (["model.safetensors"], {"encoder_name": "resnet18"}, "a network of segmentation_models_pytorch"),
    ],
)
def test_a_kind_that_is_not_supported_is_named(
    tmp_path: Path, names: list[str], config: dict[str, object] | None, what: str
) -> None:
    folder = folder_with(tmp_path / "other", *names, config=config)
    assert refused(folder).startswith(f"{folder} is {what}, which cannot be used here. ")


def test_a_file_that_is_no_model_is_called_none(tmp_path: Path) -> None:
    file = tmp_path / "scores.json"
    file.write_text("{}")
    assert refused(file).startswith(f"{file} is no model. Garmentscope runs its own checkpoints")


def test_a_pickle_alone_is_refused_with_the_way_out(tmp_path: Path) -> None:
    yolo = folder_with(tmp_path / "yolo", "best.pt")
    assert "only as a pickle (best.pt; ultralytics" in refused(yolo) and "Export it as an ONNX file" in refused(yolo)
    assert "only as a pickle (best.pt;" in refused(yolo / "best.pt")
    old = folder_with(tmp_path / "old", "pytorch_model.bin", "preprocessor_config.json", config=SEGFORMER)
    assert "SegformerForSemanticSegmentation.from_pretrained(FOLDER).save_pretrained(FOLDER)" in refused(old)


def test_code_that_a_folder_brings_is_never_run(tmp_path: Path) -> None:
    config = {**SEGFORMER, "auto_map": {"AutoModel": "modeling.Network"}}
    assert "brings Python code of its own" in refused(folder_with(tmp_path / "own", *WHOLE[1:], config=config))
    folder = folder_with(tmp_path / "steps", *WHOLE[1:], config=SEGFORMER)
    (folder / "preprocessor_config.json").write_text(json.dumps({"auto_map": {}, "size": 64}))
    assert "preprocessor_config.json brings Python code of its own (auto_map), which is never run." in refused(folder)


def test_what_a_folder_of_transformers_lacks(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "bare", "model.safetensors", config=SEGFORMER)
    assert "has no preprocessor_config.json" in refused(folder) and "processor.save_pretrained" in refused(folder)
    folder = folder_with(tmp_path / "empty", "preprocessor_config.json", config=SEGFORMER)
    assert refused(folder) == f"{folder} has no model.safetensors. Get the network again."


def test_a_damaged_checkpoint_of_ours_is_still_one_of_ours(tmp_path: Path) -> None:
    assert format_of("x", ["config.json", "model.safetensors"], {"format_version": 1}) == "garmentscope"
    assert format_of("x", ["model.safetensors"], None) == format_of("x", [], None) == "garmentscope"
    assert refused(folder_with(tmp_path / "none", "notes.txt")).endswith(
        "has no config.json. Get the checkpoint again."
    )


def test_a_key_of_networks_from_elsewhere_in_our_config(tmp_path: Path) -> None:
    embedded = Path("segmodels/embedded/segmentation/fpn/config.json")
    values = json.loads((Path(__file__).parents[3] / embedded).read_text())
    folder = folder_with(tmp_path / "odd", config={**values, "foreign": {}})
    with pytest.raises(CheckpointError, match="unknown key, foreign"):
        read_config(folder)


def test_the_folder_of_a_run(tmp_path: Path) -> None:
    folder_with(tmp_path / "run" / "checkpoint", config={"format_version": 1})
    assert refused(tmp_path / "run").endswith(f"Did you mean {tmp_path / 'run' / 'checkpoint'}?")


def test_the_files_of_a_repository() -> None:
    shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
    names = [*shards, "model.safetensors.index.json", "tf_model.h5", *WHOLE[:2], "README.md", "pytorch_model.bin"]
    assert files_of(names) == [*WHOLE[:2], "README.md", "model.safetensors.index.json", *shards]
    exported = ["onnx/model.onnx", "onnx/model_fp16.onnx", "onnx/model.onnx_data", "config.json", ".gitattributes"]
    assert files_of(exported) == ["config.json", "onnx/model.onnx_data", "onnx/model.onnx"]
    assert files_of(["net.json", "net.onnx", "other.json"]) == ["net.json", "net.onnx"]
    assert files_of(["README.md"]) == ["README.md"]


def test_weights_that_are_not_all_there_are_none(tmp_path: Path) -> None:
    folder = folder_with(tmp_path / "part", "model-00001-of-00002.safetensors")
    assert weights_of(folder) == []
    folder_with(folder, "model-00002-of-00002.safetensors")
    assert [each.name for each in weights_of(folder)] == [f"model-0000{n}-of-00002.safetensors" for n in (1, 2)]
    assert digest(weights_of(folder)) == hashlib.sha256(b"xx").hexdigest()[:12]
    assert [each.name for each in weights_of(folder_with(tmp_path / "onnx", "net.onnx", "net.json"))] == ["net.onnx"]
