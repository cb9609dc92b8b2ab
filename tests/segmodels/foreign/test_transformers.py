"""Networks that transformers itself makes and saves: our classes are those of its own pipeline."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from foreign_networks import ATR, save_mask2former, save_segformer, save_upernet
from hub_server import HubServer
from safetensors.torch import load_file, save_file

from segmodels.__main__ import main
from segmodels.checkpoints.catalog import load_segmenter
from segmodels.checkpoints.checkpoint import count_parameters, load_checkpoint
from segmodels.checkpoints.config import read_config
from segmodels.checkpoints.errors import CheckpointError
from segmodels.foreign.network import TransformersNetwork
from segmodels.hub.errors import HubError

Save = Callable[..., Path]


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    """Smooth patches of colour, uint8 (150, 90, 3)."""
    patches = np.random.default_rng(1).integers(0, 256, (10, 6, 3), np.uint8)
    return cv2.resize(patches, (90, 150), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="module")
def segformer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_segformer(tmp_path_factory.mktemp("networks") / "clothes")


@pytest.fixture
def folder(tmp_path: Path, segformer: Path) -> Path:
    """A SegFormer to change."""
    return shutil.copytree(segformer, tmp_path / "clothes")


def refused(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    return str(caught.value)


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.usefixtures("_float32")
@pytest.mark.parametrize("save", [save_segformer, save_upernet, save_mask2former])
def test_the_classes_are_those_of_the_library(save: Save, tmp_path: Path, photo: np.ndarray) -> None:
    segmenter = load_segmenter(str(save(tmp_path / "network")), "cpu")
    network = segmenter.networks[0]
    assert isinstance(network, TransformersNetwork) and segmenter.taxonomy.name == "ATR_18"
    with torch.inference_mode():
        output = network.model(**network.processor(images=photo, return_tensors="pt"))
    (want,) = network.processor.post_process_semantic_segmentation(output, target_sizes=[photo.shape[:2]])
    counts = np.bincount(want.flatten(), minlength=18)
    assert (counts > 0.02 * photo[..., 0].size).sum() >= 3, "a map of one class would prove nothing"
    found = segmenter.segment(photo).class_map
    large = counts[want.numpy()] > 0.002 * photo[..., 0].size  # smaller ones are taken for noise
    assert (found == want.numpy())[large].mean() >= 0.99 and large.mean() > 0.95


@pytest.mark.usefixtures("_float32")
def test_photos_of_several_shapes_at_once(tmp_path: Path, photo: np.ndarray) -> None:
    """The Mask2Former keeps the shape of a photo, so that no two inputs are of one size."""
    segmenter = load_segmenter(str(save_mask2former(tmp_path / "network")), "cpu")
    across = np.ascontiguousarray(photo.transpose(1, 0, 2))
    both = segmenter.segment_batch([photo, across])
    for each, alone in zip(both, (photo, across), strict=True):
        np.testing.assert_array_equal(each.class_map, segmenter.segment(alone).class_map)


def test_what_its_files_say(segformer: Path) -> None:
    config = read_config(segformer)
    assert (config.architecture, config.height, config.width, config.resize, config.crop) == (
        *("segformer", 64, 64, "squash", "none"),
    )
    assert config.classes == ATR
    foreign = config.foreign
    assert foreign and (foreign.library, foreign.licence, foreign.source) == (
        "transformers",
        "not stated",
        "not stated",
    )
    assert foreign.notes == (
        "Its background is the class Background. It is given the whole photo, so people are not told apart."
    )
    with pytest.raises(ValueError, match="counted from its weights"):
        count_parameters(config)
    checkpoint = load_checkpoint(segformer)
    stored = load_file(segformer / "model.safetensors")
    buffers = ("running_mean", "running_var", "num_batches_tracked")
    assert checkpoint.parameters == sum(each.numel() for name, each in stored.items() if not name.endswith(buffers))
    assert checkpoint.calibration is None and len(checkpoint.revision) == 12


def test_licence_and_source_of_the_front_matter(folder: Path) -> None:
    (folder / "README.md").write_text(
        "---\nlicense: other\nlicense_name: for research\nbase_model: nvidia/mit-b2\n---\n# x"
    )
    foreign = read_config(folder).foreign
    assert foreign and (foreign.licence, foreign.source) == ("for research", "made from hf://nvidia/mit-b2")
    (folder / "README.md").write_text("---\nlicense: [broken\n---\n")
    (folder / "garmentscope.json").write_text(json.dumps({"licence": "MIT", "source": "a friend"}))
    foreign = read_config(folder).foreign
    assert foreign and (foreign.licence, foreign.source) == ("MIT", "a friend")


def test_what_a_json_beside_it_changes(folder: Path) -> None:
    words = {"crop": "person", "taxonomy": "mine", "background": "Belt", "groups": {"Bag": "garment"}}
    (folder / "garmentscope.json").write_text(json.dumps(words))
    checkpoint = load_checkpoint(folder)
    assert checkpoint.config.crop == "person" and checkpoint.taxonomy.name == "mine"
    assert checkpoint.taxonomy.names[:2] == ("Belt", "Background") and checkpoint.taxonomy["Bag"].group == "garment"
    assert checkpoint.taxonomy["Background"].group == "body", "which is not counted"
    (folder / "garmentscope.json").write_text(json.dumps({"mean": 0.5}))
    assert "mean stands in config.json or preprocessor_config.json already" in refused(folder)
    for text in ("{", '{"background": "Sky"}', '{"groups": {"Bag": "luggage"}}'):
        (folder / "garmentscope.json").write_text(text)
        assert refused(folder).startswith(f"{folder / 'garmentscope.json'}") and "network again" not in refused(folder)


def test_files_of_another_network(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    save_file({name: each for name, each in weights.items() if "linear_fuse" not in name}, folder / "model.safetensors")
    assert "1 tensors are missing, the first is decode_head.linear_fuse.weight" in refused(folder)
    (folder / "model.safetensors").write_bytes(b"torn")
    assert "clothes" in refused(folder)


@pytest.mark.parametrize(
    ("name", "values", "sentence"),
    [
        ("preprocessor_config.json", {"do_center_crop": True}, "cuts away the borders of a photo (do_center_crop)"),
        ("preprocessor_config.json", {"do_resize": False}, "leaves photos at their own size (do_resize)"),
        (
            "preprocessor_config.json",
            {"size": {"longest_edge": 64}},
            "size must have height and width, or shortest_edge",
        ),
        ("config.json", {"id2label": {"0": "a", "2": "b"}}, "id2label must name the classes 0, 1, 2 and so on"),
        (
            "config.json",
            {"id2label": {"0": "bg", "1": "a"}},
            "(18,), and config.json, with its classes in id2label",
        ),
        (
            "preprocessor_config.json",
            {"image_processor_type": "Nope"},
            "Unrecognized image processor",
        ),
        ("config.json", {"architectures": ["NoSuchForSemanticSegmentation"]}, "has no NoSuchForSemanticSegmentation"),
    ],
)
def test_files_that_cannot_be(folder: Path, name: str, values: dict[str, object], sentence: str) -> None:
    change(folder / name, **values)
    assert sentence in refused(folder)


def test_without_the_extra(segformer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(segformer)
    assert str(caught.value) == (
        'A network of transformers needs transformers, which is not installed: pip install "garmentscope[transformers]"'
    )


def test_from_the_hub(hub: HubServer, segformer: Path, tmp_path: Path, photo: np.ndarray) -> None:
    files = shutil.copytree(segformer, tmp_path / "published")
    (files / "README.md").write_text("---\nlicense: mit\n---\n# Clothes")
    (files / "pytorch_model.bin").write_bytes(b"never fetched")
    commit = hub.publish("atelier/clothes", files)
    segmenter = load_segmenter("hf://atelier/clothes", "cpu")
    assert (segmenter.checkpoint.name, segmenter.checkpoint.revision) == ("atelier/clothes", commit)
    foreign = segmenter.checkpoint.config.foreign
    assert foreign and (foreign.licence, foreign.source) == ("mit", "hf://atelier/clothes")
    assert segmenter.segment(photo).class_map.shape == (150, 90)
    assert not any("pytorch_model" in request.path for request in hub.requests if request.method == "GET")
    hub.requests.clear()
    change(files / "config.json", auto_map={"AutoModel": "modeling.Network"})
    hub.publish("atelier/clothes", files)
    with pytest.raises(HubError, match="brings Python code of its own"):
        load_segmenter("hf://atelier/clothes", "cpu")
    assert not any(request.server == "store" for request in hub.requests), "said before the weights are fetched"
    assert load_segmenter(f"hf://atelier/clothes@{commit}", "cpu").checkpoint.revision == commit


def test_the_command_line(segformer: Path, tmp_path: Path, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    cv2.imwrite(str(tmp_path / "look.png"), photo[..., ::-1])
    assert main(["segment", str(tmp_path / "look.png"), "--out", str(tmp_path / "out"), "--model", str(segformer)]) == 0
    listing = json.loads((tmp_path / "out" / "look.json").read_text("utf-8"))
    assert (listing["model"], listing["taxonomy"]) == ("clothes", "ATR_18")


def test_models_as_json(segformer: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(segformer.parent))
    assert main(["models", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["clothes"] == {
        "name": "clothes",
        "from": "folder",
        "folder": str(segformer),
        "architecture": ["segformer"],
        "input": [64, 64],
        "taxonomy": "ATR_18",
        "classes": ATR,
        "mean_iou": None,
        "photos": None,
        "library": "transformers",
        "source": "not stated",
        "licence": "not stated",
        "notes": "Its background is the class Background. It is given the whole photo, so people are not told apart.",
    }
    assert "library" not in rows["fpn"] and rows["fpn"]["mean_iou"] > 0.5
