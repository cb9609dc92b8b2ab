import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from foreign_networks import COLOURS, save_onnx
from onnx import TensorProto

from segmodels.checkpoints.catalog import list_checkpoints, load_segmenter
from segmodels.checkpoints.checkpoint import load_checkpoint
from segmodels.checkpoints.config import read_config
from segmodels.checkpoints.errors import CheckpointError
from segmodels.foreign.network import OnnxNetwork
from segmodels.taxonomy import OUTFIT_15, make_taxonomy, taxonomy_of

RED, BLUE, GREY = (255, 0, 0), (0, 0, 255), (128, 128, 128)
SETTINGS = {"classes": list(COLOURS), "mean": 0, "std": 1}


def striped() -> np.ndarray:
    """A photo of 64 x 48: a red third, a grey one and a blue one."""
    photo = np.zeros((64, 48, 3), np.uint8)
    for at, colour in enumerate((RED, GREY, BLUE)):
        photo[:, 16 * at : 16 * (at + 1)] = colour
    return photo


def refused(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def network_of(path: Path) -> OnnxNetwork:
    network = load_checkpoint(path).network
    assert isinstance(network, OnnxNetwork)
    return network


def test_a_file_names_pixels(tmp_path: Path) -> None:
    segmenter = load_segmenter(str(save_onnx(tmp_path / "colours.onnx", shape=("n", 3, 64, 48))), "cpu")
    config = segmenter.checkpoint.config
    assert segmenter.checkpoint.name == "colours" and len(segmenter.checkpoint.revision) == 12
    assert (config.architecture, config.height, config.width, config.crop) == ("ONNX", 64, 48, "none")
    assert segmenter.taxonomy.names == ("Backdrop", "Shirt", "Pants"), "the background comes first"
    assert segmenter.checkpoint.parameters == 12
    found = segmenter.segment(striped())
    columns = [np.unique(found.class_map[:, at]).tolist() for at in (4, 24, 44)]
    assert columns == [[1], [0], [2]]
    assert {garment.name for garment in found.garments} == {"Shirt", "Pants"}
    assert [person.detected for person in found.people] == [False] and found.people[0].presence is None
    batch = segmenter.segment_batch([striped(), striped()[:, ::-1].copy()])
    assert batch[1].class_map[0, 4] == 2 and batch[1].class_map[0, 44] == 1


def test_a_folder_in_the_catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_onnx(tmp_path / "models" / "colours" / "net.onnx")
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(tmp_path / "models"))
    assert ("colours", "folder") in {(entry.name, entry.source) for entry in list_checkpoints()}
    assert load_segmenter("colours", "cpu").checkpoint.name == "colours"


def test_normalisation_by_channel(tmp_path: Path) -> None:
    settings = {**SETTINGS, "mean": [0.1, 0.2, 0.3], "std": [0.5, 0.25, 0.2]}
    network = network_of(save_onnx(tmp_path / "net.onnx", settings, shape=(1, 3, 32, 16)))
    pixel = np.array([51, 102, 204], np.uint8)
    batch = network.prepare([np.broadcast_to(pixel, (40, 20, 3)).copy()] * 2)
    assert tuple(batch.shape) == (2, 3, 32, 16)
    want = [(0.2 - 0.1) / 0.5, (0.4 - 0.2) / 0.25, (0.8 - 0.3) / 0.2]  # 0.2, 0.8, 2.5
    np.testing.assert_allclose(batch[1, :, 5, 5], want, atol=1e-6)
    scores = network.scores(batch)[1, :, 5, 5]
    np.testing.assert_allclose(scores, [0.2 - 0.8 - 2.5, 0.4, 2.5 - 0.2 - 0.8], atol=1e-5)


def test_the_order_of_the_channels(tmp_path: Path) -> None:
    network = network_of(save_onnx(tmp_path / "net.onnx", {**SETTINGS, "order": "bgr"}))
    red = np.broadcast_to(np.array(RED, np.uint8), (32, 16, 3)).copy()
    assert network(network.prepare([red]))[0, :, 0, 0].argmax() == 2, "red is blue to it"


def test_probabilities_are_not_taken_for_logits(tmp_path: Path) -> None:
    network = network_of(save_onnx(tmp_path / "net.onnx", {**SETTINGS, "output": "probabilities"}))
    batch = torch.tensor([1.0, 0.5, 0.0]).reshape(1, 3, 1, 1).expand(1, 3, 32, 16)
    found = network(batch).softmax(dim=1)[0, :, 0, 0]  # of Backdrop 0.4, Shirt 0.5, Pants -1.5
    np.testing.assert_allclose(found, [0.4 / 0.9, 0.5 / 0.9, 0], atol=1e-6)


def test_sixteen_bits_and_one_photo_at_a_time(tmp_path: Path) -> None:
    path = save_onnx(tmp_path / "half.onnx", shape=(1, 3, 64, 48), kind=TensorProto.FLOAT16)
    found = load_segmenter(str(path), "cpu").segment_batch([striped(), striped()])
    assert [each.class_map[0, 4] for each in found] == [1, 1]


def test_metadata_in_place_of_a_file(tmp_path: Path) -> None:
    words = {"classes": list(OUTFIT_15.names[:3]), "mean": 0.0, "std": 1.0, "height": 32, "width": 16}
    words |= {"taxonomy": "three of ours", "written_by": "a newer version"}
    path = save_onnx(tmp_path / "net.onnx", {}, shape=("n", 3, "h", "w"), metadata={"garmentscope": json.dumps(words)})
    checkpoint = load_checkpoint(path)
    assert checkpoint.taxonomy.name == "three of ours" and checkpoint.taxonomy.names == ("Background", "Bag", "Coat")
    assert (checkpoint.config.height, checkpoint.config.width) == (32, 16)
    path.with_suffix(".json").write_text(json.dumps({**SETTINGS, "height": 64, "width": 64}))
    assert load_checkpoint(path).config.height == 64, "a file beside it goes before"


def test_a_network_that_train_exports(tmp_path: Path) -> None:
    own = make_taxonomy("three", ["Nothing", "Kimono", "Obi"], {"Obi": "accessory"}, {"Kimono": "#112233"})
    for taxonomy in (own, OUTFIT_15):
        words = {
            "format_version": 1,
            "name": "fpn",
            "revision": "abc123",
            "architecture": "fpn",
            "input": {
                "height": 32,
                "width": 16,
                "mean": 0.5,
                "std": 0.25,
                "resize": "keep",
                "scale": 255,
                "layout": "NCHW",
            },
            "output": {"name": "probabilities", "layout": "NCHW"},
            "taxonomy": taxonomy.name,
            "classes": [
                {"id": each.id, "name": each.name, "group": each.group, "colour": each.colour}
                for each in taxonomy.classes
            ],
            "license": "Apache-2.0",
        }
        path = save_onnx(tmp_path / f"{taxonomy.name}.onnx", {}, metadata={"garmentscope": json.dumps(words)})
        config = read_config(path)
        assert taxonomy_of(vars(config)) == taxonomy
        foreign = config.foreign
        assert foreign and (foreign.output, foreign.mean, foreign.std) == ("probabilities", (0.5,) * 3, (0.25,) * 3)
        assert (config.height, config.width, config.resize) == (32, 16, "keep")
        assert (foreign.licence, foreign.source) == ("Apache-2.0", "fpn of Garmentscope, revision abc123")


def test_what_optimum_writes_is_enough(tmp_path: Path) -> None:
    save_onnx(tmp_path / "onnx" / "model.onnx", {}, shape=("n", 3, "h", "w"))
    labels = {"id2label": dict(enumerate(COLOURS)), "model_type": "segformer"}
    steps = {"size": {"height": 64, "width": 48}, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]}
    (tmp_path / "config.json").write_text(json.dumps(labels))
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(steps))
    checkpoint = load_checkpoint(tmp_path)
    assert checkpoint.taxonomy.names == ("Backdrop", "Shirt", "Pants") and checkpoint.config.height == 64
    white = np.full((64, 48, 3), 255, np.uint8)
    np.testing.assert_allclose(checkpoint.network.prepare([white])[0, :, 0, 0], 2.0, atol=1e-6)  # type: ignore[operator]


def test_weights_beside_the_file(tmp_path: Path) -> None:
    path = save_onnx(tmp_path / "big" / "net.onnx", shape=("n", 3, 64, 48), external="net.onnx.data")
    assert (path.parent / "net.onnx.data").is_file()
    first = load_segmenter(str(path.parent), "cpu")
    assert first.segment(striped()).class_map[0, 4] == 1
    outside = shutil.move(path.parent / "net.onnx.data", tmp_path / "elsewhere")
    assert refused(path.parent).endswith("needs net.onnx.data beside it, which is missing.")
    (path.parent / "net.onnx.data").symlink_to(outside)
    assert "weights outside its folder (net.onnx.data), which are never read" in refused(path.parent)


def test_weights_outside_the_folder_are_never_read(tmp_path: Path) -> None:
    path = save_onnx(tmp_path / "net.onnx", external="net.data")
    content = path.read_bytes().replace(b"net.data", b"../t.dat")
    path.write_bytes(content)
    assert "weights outside its folder (../t.dat), which are never read" in refused(path)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({}, "net.onnx does not say what its classes are. Write net.json beside it, with the keys classes, mean and"),
        (
            {"classes": list(COLOURS)},
            "net.json lacks mean or std: by what the input is normalised after scaling to 0..1. Add them.",
        ),
        ({**SETTINGS, "classes": ["Backdrop", "Shirt"]}, "gives 3 channels of pixels, and its classes are 2. Name one"),
        ({**SETTINGS, "clases": []}, "net.json: unknown key clases. Did you mean classes?"),
        ({**SETTINGS, "mean": [0.5, 0.5]}, "net.json: mean must be a number from 0 to 1, as pixels are, or a list"),
        (
            {**SETTINGS, "crop": "head"},
            "net.json: crop must be 'none', 'person', 'box' or 'found', not 'head'. Correct it there.",
        ),
        ({**SETTINGS, "height": 64}, "net.json: height is 64, and net.onnx takes 32 only. Leave it out."),
        ({**SETTINGS, "background": "wall"}, "its background is 'wall', and its classes are Shirt, Backdrop, Pants."),
        ({**SETTINGS, "groups": {"Shirt": "top"}}, "net.json: Shirt is in the group 'top'; the groups are"),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, settings: dict[str, object], sentence: str) -> None:
    assert sentence in refused(save_onnx(tmp_path / "net.onnx", settings))


def test_files_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "torn.onnx").write_bytes(b"no protobuf at all")
    assert "torn.onnx is not an ONNX file, or is damaged" in refused(tmp_path / "torn.onnx")
    flat = save_onnx(tmp_path / "flat.onnx", shape=(1, 4, 8, 8))
    assert "must have one input of the shape (N, 3, H, W), and has photo (1, 4, 8, 8)" in refused(flat)
    four = save_onnx(tmp_path / "four.onnx", shape=(4, 3, 32, 16))
    assert "takes 4 photos at a time. Export it for one, or for any number." in refused(four)
    anysize = save_onnx(tmp_path / "any.onnx", shape=("n", 3, "h", "w"))
    assert "lacks height or width, and the input of any.onnx is of any size" in refused(anysize)
    for name in ("one.onnx", "two.onnx"):
        save_onnx(tmp_path / "both" / name)
    assert "must hold one ONNX file, or model.onnx; it has one.onnx, two.onnx. Name the file." in refused(
        tmp_path / "both"
    )


def test_without_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_onnx(tmp_path / "net.onnx")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert refused(path) == ('An ONNX file needs onnx, which is not installed: pip install "garmentscope[onnx]"')


def test_a_network_that_torch_exports(tmp_path: Path) -> None:
    import warnings

    network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, 2, 1), torch.nn.ReLU(), torch.nn.Conv2d(8, 3, 1)).eval()
    photo = torch.rand(1, 3, 64, 48)
    path = tmp_path / "exported.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(network, (photo,), path, dynamo=False)
    path.with_suffix(".json").write_text(json.dumps(SETTINGS))
    with torch.inference_mode():
        want, got = network(photo), network_of(path).scores(photo)
        want = torch.nn.functional.interpolate(want, (64, 48), mode="bilinear")  # to the size of the input
    torch.testing.assert_close(got, want, atol=1e-5, rtol=1e-4)
    assert load_segmenter(str(path), "cpu").segment(striped()).class_map.shape == (64, 48), "half the size is enough"
