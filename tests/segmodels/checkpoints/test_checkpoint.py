import json
import os
import pickle
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from own_classes import KIMONO, save_own
from safetensors.torch import load_file, save_file
from torch import nn

import segmodels.checkpoints.checkpoint as module
from segmodels.architectures import build
from segmodels.checkpoints import weights
from segmodels.checkpoints.catalog import EMBEDDED
from segmodels.checkpoints.checkpoint import (
    count_parameters,
    load_checkpoint,
    read_results,
    save_checkpoint,
    save_description,
    save_results,
)
from segmodels.checkpoints.config import FORMAT_VERSION, CheckpointConfig, Member, read_config
from segmodels.checkpoints.errors import CheckpointError
from segmodels.evaluation.results import Results
from segmodels.inference.presence import Calibration, ClassCalibration, feature_names, write_calibration
from segmodels.taxonomy import OUTFIT_15

MakeConfig = Callable[..., CheckpointConfig]
MEMBER = {"architecture": "fpn", "arguments": {}, "height": 64, "width": 64, "mean": 0.0, "std": 1.0, "share": 0.25}


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, config: MakeConfig, random_fpn: nn.Module) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "fpn"
    save_checkpoint(folder, config(), random_fpn, results=Results(), card="# A card\n")
    return folder


@pytest.fixture
def folder(tmp_path: Path, template: Path) -> Path:
    """A checkpoint to damage."""
    return shutil.copytree(template, tmp_path / "fpn")


def change(folder: Path, **values: object) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def refused(folder: Path) -> str:
    """The sentence with which a checkpoint is refused."""
    with pytest.raises(CheckpointError) as caught:
        load_checkpoint(folder)
    assert str(folder) in str(caught.value), "the message says which folder"
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_checkpoint_is_four_files(template: Path) -> None:
    folder = template
    files = {"README.md", "config.json", "metrics.json", "model.safetensors"}
    assert {path.name for path in folder.iterdir()} == files
    assert [path.name for path in folder.parent.iterdir()] == ["fpn"], "nothing is left beside it"
    assert folder.stat().st_mode & 0o777 == 0o755
    assert (folder / "model.safetensors").stat().st_mode & 0o777 == 0o644
    assert (folder / "README.md").read_text() == "# A card\n"


def test_what_is_loaded_is_what_was_saved(folder: Path, config: MakeConfig, random_fpn: nn.Module) -> None:
    loaded = load_checkpoint(folder)
    assert loaded.name == "fpn"
    assert loaded.config == config()
    assert loaded.results == Results()
    assert loaded.taxonomy.name == "OUTFIT_15"
    assert not loaded.network.training
    assert {tensor.dtype for tensor in loaded.network.parameters()} == {torch.float32}
    photos = torch.randn(2, 3, 64, 32, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        before, after = random_fpn(photos), loaded.network(photos)
    torch.testing.assert_close(after, before, atol=float(before.abs().max()) * 1e-2, rtol=0)


def test_stored_as_fp16_to_the_last_bit(folder: Path, random_fpn: nn.Module) -> None:
    stored = load_file(folder / "model.safetensors")
    assert set(stored) == set(random_fpn.state_dict())
    for name, tensor in random_fpn.state_dict().items():
        assert stored[name].dtype == (torch.float16 if tensor.is_floating_point() else tensor.dtype), name
        assert torch.equal(stored[name], tensor.to(stored[name].dtype)), name
    assert (folder / "model.safetensors").stat().st_size < 10_000_000


def test_saving_what_was_loaded_changes_nothing(folder: Path, tmp_path: Path) -> None:
    loaded = load_checkpoint(folder)
    save_checkpoint(tmp_path / "again", loaded.config, loaded.network, results=loaded.results)
    again = load_checkpoint(tmp_path / "again")
    assert again.revision == loaded.revision and re.fullmatch("[0-9a-f]{12}", loaded.revision)
    assert again.config == loaded.config


def test_other_weights_are_another_revision(folder: Path, tmp_path: Path, config: MakeConfig) -> None:
    loaded = load_checkpoint(folder)
    with torch.no_grad():
        next(loaded.network.parameters()).add_(1)
    save_checkpoint(tmp_path / "other", config(), loaded.network)
    assert load_checkpoint(tmp_path / "other").revision != loaded.revision


def test_name_in_the_catalog_goes_before_the_folders(folder: Path) -> None:
    assert load_checkpoint(folder, "best").name == "best"


def test_the_folder_from_within_has_a_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    assert load_checkpoint(Path()).name == "fpn"


def test_saving_replaces_all_that_was_there(folder: Path, config: MakeConfig, random_fpn: nn.Module) -> None:
    (folder / "stale.txt").touch()
    save_checkpoint(folder, config(margin=0.2), random_fpn)
    assert {path.name for path in folder.iterdir()} == {"README.md", "config.json", "model.safetensors"}
    assert load_checkpoint(folder).config.margin == 0.2
    assert load_checkpoint(folder).results == Results()


@pytest.mark.parametrize("broken", ["save_file", "_write_json"])
def test_the_old_one_is_still_there_if_writing_fails(
    folder: Path, config: MakeConfig, random_fpn: nn.Module, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module, broken, full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(folder, config(margin=0.2), random_fpn)
    monkeypatch.undo()
    assert load_checkpoint(folder).config.margin == 0.06
    assert [path.name for path in folder.parent.iterdir()] == ["fpn"], "what was half written is gone"


def test_the_old_one_is_still_there_if_the_swap_fails(
    folder: Path, config: MakeConfig, random_fpn: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.replace

    def replace(self: Path, target: Path) -> Path:
        if target == folder and (self / "config.json").is_file() and read_config(self).margin == 0.2:
            raise OSError(5, "Input/output error")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(OSError, match="Input/output error"):
        save_checkpoint(folder, config(margin=0.2), random_fpn)
    monkeypatch.undo()
    assert load_checkpoint(folder).config.margin == 0.06
    assert [path.name for path in folder.parent.iterdir()] == ["fpn"]


def test_metrics_are_replaced_and_weights_stay(folder: Path) -> None:
    before = load_checkpoint(folder)
    results = Results(learning_curve=({"epoch": 1, "loss": 0.5},))
    save_results(folder, results, card="# New\n")
    after = load_checkpoint(folder)
    assert after.results == results and after.revision == before.revision
    assert (folder / "README.md").read_text() == "# New\n"


# --- What is refused --------------------------------------------------------------------------------------------------


def test_weights_that_fp16_cannot_hold_are_not_saved(folder: Path, config: MakeConfig) -> None:
    network = load_checkpoint(folder).network
    before = (folder / "model.safetensors").read_bytes()
    with torch.no_grad():
        next(network.parameters()).flatten()[0] = 1e6
    with pytest.raises(CheckpointError, match="has values that fp16 cannot"):
        save_checkpoint(folder, config(), network)
    assert (folder / "model.safetensors").read_bytes() == before


def test_no_folder(tmp_path: Path) -> None:
    assert "There is no checkpoint folder" in refused(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_missing_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    assert f"has no {name}. Get the checkpoint again." in refused(folder)


def test_metrics_and_card_may_be_missing(folder: Path) -> None:
    (folder / "metrics.json").unlink()
    (folder / "README.md").unlink()
    assert load_checkpoint(folder).results == read_results(folder) == Results()


def test_a_tensor_too_few(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["network.segmentation_head.0.bias"]
    save_file(tensors, folder / "model.safetensors")
    assert "1 tensors are missing, the first is network.segmentation_head.0.bias" in refused(folder)


def test_a_tensor_too_many(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    save_file({**tensors, "network.extra": torch.zeros(3)}, folder / "model.safetensors")
    assert "1 tensors are unknown, the first is network.extra" in refused(folder)


def test_a_tensor_of_another_name(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    tensors["network.head.bias"] = tensors.pop("network.segmentation_head.0.bias")
    save_file(tensors, folder / "model.safetensors")
    assert "network.segmentation_head.0.bias" in refused(folder)


def test_a_tensor_of_another_shape(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    save_file({**tensors, "network.segmentation_head.0.bias": torch.zeros(14)}, folder / "model.safetensors")
    sentence = refused(folder)
    assert "network.segmentation_head.0.bias has the shape (14,); the architecture has (15,)" in sentence


class Trap:
    """Unpickling it fails the test."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return pytest.fail, ("a pickle was opened",)


@pytest.mark.parametrize("name", ["model.pt", "pytorch_model.bin", "weights.pth", "last.ckpt", "m.pkl"])
def test_only_a_pickle(folder: Path, name: str) -> None:
    (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(pickle.dumps(Trap()))
    sentence = refused(folder)
    assert f"only as a pickle ({name})" in sentence and "Save them as model.safetensors" in sentence


def test_a_pickle_beside_the_weights_is_not_looked_at(folder: Path) -> None:
    (folder / "model.pt").write_bytes(pickle.dumps(Trap()))
    assert load_checkpoint(folder).name == "fpn"


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_a_pickle_under_the_name_of_the_weights(folder: Path, protocol: int) -> None:
    (folder / "model.safetensors").write_bytes(pickle.dumps(Trap(), protocol))
    assert "is damaged or no safetensors file" in refused(folder)


def test_torch_pickle_under_the_name_of_the_weights(folder: Path, random_fpn: nn.Module) -> None:
    torch.save(random_fpn.state_dict(), folder / "model.safetensors")
    assert "is damaged or no safetensors file" in refused(folder)


@pytest.mark.parametrize("share", [0.0, 0.0000005, 0.001, 0.5, 0.999])
def test_weights_that_are_cut_off(folder: Path, share: float) -> None:
    path = folder / "model.safetensors"
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    sentence = refused(folder)
    assert sentence.startswith(f"{path} is damaged or no safetensors file (")
    assert sentence.endswith("). Get the checkpoint again.") and "\n" not in sentence


@pytest.mark.parametrize("text", ["", "{", '{"format_version": 1,}', "[]", "3", "null"])
def test_damaged_json(folder: Path, text: str) -> None:
    (folder / "config.json").write_text(text, encoding="utf-8")
    sentence = refused(folder)
    assert sentence.startswith(f"{folder / 'config.json'} is damaged: ")
    assert sentence.endswith(". Get the checkpoint again.")


@pytest.mark.parametrize("text", ["{", "[]"])
def test_damaged_metrics(folder: Path, text: str) -> None:
    (folder / "metrics.json").write_text(text, encoding="utf-8")
    sentence = refused(folder)
    assert sentence.startswith(f"{folder / 'metrics.json'} is damaged: ")
    assert sentence.endswith(". Remove it, and evaluate the network again with --keep.")


def test_metrics_of_a_newer_version(folder: Path) -> None:
    (folder / "metrics.json").write_text('{"version": 99}', encoding="utf-8")
    assert refused(folder) == (
        f"{folder}: metrics.json is of version 99; this Garmentscope reads up to 2. Update Garmentscope."
    )


def test_json_that_is_no_text(folder: Path) -> None:
    (folder / "config.json").write_bytes(b"\xff\xfe\x00")
    assert f"{folder / 'config.json'} is damaged" in refused(folder)


@pytest.mark.parametrize("version", ["1", None, 1.5, 0, True])
def test_a_format_that_is_none(folder: Path, version: object) -> None:
    change(folder, format_version=version)
    assert "config.json does not say its format_version, 2 or lower. Get the checkpoint again." in refused(folder)


@pytest.mark.parametrize("version", [FORMAT_VERSION + 1, 99])
def test_a_newer_format(folder: Path, version: object) -> None:
    change(folder, format_version=version, key_of_the_future=1)
    assert f"is of format {version}; this Garmentscope reads up to 2. Update Garmentscope." in refused(folder)


def test_a_key_that_nobody_knows(folder: Path) -> None:
    change(folder, colour="red")
    assert "has an unknown key, colour. Remove it, or get the checkpoint again." in refused(folder)


@pytest.mark.parametrize("key", ["architecture", "arguments", "taxonomy", "classes", "height", "mean"])
def test_a_key_that_is_missing(folder: Path, key: str) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({k: v for k, v in json.loads(path.read_text()).items() if k != key}))
    sentence = refused(folder)
    assert "lacks a key" in sentence and repr(key) in sentence and sentence.endswith(" Get the checkpoint again.")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"classes": ["Background", "Shirt"]}, "its classes are not those of OUTFIT_15, in their order"),
        ({"classes": 15}, "classes must be a list, not 15"),
        ({"classes": None}, "classes must be a list, not None"),
        ({"taxonomy": "OUTFIT_16"}, "taxonomy must be one of OUTFIT_15, CFPD_23, IMATERIALIST_47, not 'OUTFIT_16'"),
        ({"taxonomy": ["OUTFIT_15"]}, "taxonomy must be a text"),
        ({"architecture": "transformer"}, "architecture must be one of fpn, unet, "),
        ({"architecture": {}}, "architecture must be a text, not {}"),
        ({"arguments": {"depth": 3}}, "cannot take {'depth': 3}"),
        ({"arguments": {"encoder": "resnet19"}}, "Wrong encoder name"),
        ({"arguments": [1]}, "arguments must be a table of keys and values"),
        ({"arguments": "resnet18"}, "arguments must be"),
        ({"resize": "stretch"}, "resize must be 'keep' or 'squash', not 'stretch'"),
        ({"crop": "face"}, "crop must be 'person', 'box', 'found' or 'none', not 'face'"),
        ({"height": 15}, "height must be a whole number of pixels from 16 to 2048, not 15"),
        ({"height": 96.0}, "height must be a whole number"),
        ({"height": True}, "height must be a whole number"),
        ({"width": 2049}, "width must be a whole number"),
        ({"height": 2048, "width": 2048}, "must be at most 2,097,152 pixels, not 4,194,304"),
        ({"height": 1024, "width": 1024, "scales": [1.5]}, "must be at most 2,097,152 pixels, not 2,359,296"),
        ({"height": 1024, "width": 1024, "scales": [1.2] * 8, "mirror": True}, "24,159,191 pixels together"),
        ({"scales": [1] * 9}, "scales must be a list of up to 8 factors from 0.25 to 4"),
        ({"scales": [1] * 10_000}, "scales must be a list of up to 8 factors"),
        ({"ensemble": [MEMBER] * 8}, "ensemble must be a list of up to 7 networks"),
        ({"ensemble": [MEMBER] * 1000}, "ensemble must be a list of up to 7 networks"),
        ({"arguments": {"pyramid_channels": 10**9}}, "arguments must be short texts, numbers from -4096 to 4096"),
        ({"arguments": {"a": [[1]]}}, "arguments must be short texts"),
        ({"mean": 123.675}, "mean must be a number between 0 and 1, not 123.675"),
        ({"margin": 1e6}, "margin must be a number between 0 and 1, not 1000000.0"),
        ({"margin": 1e300}, "margin must be a number between 0 and 1, not 1e+300"),
        ({"std": 1e-300}, "std must be a number from 0.001 to 10"),
        ({"width": "48"}, "width must be a whole number"),
        ({"std": 0}, "std must be a number from 0.001 to 10, as pixels are scaled to 0..1, not 0"),
        ({"std": float("nan")}, "std must be a number from 0.001 to 10"),
        ({"mean": float("inf")}, "mean must be a number between 0 and 1, not inf"),
        ({"mean": "0.5"}, "mean must be a number between 0 and 1, not '0.5'"),
        ({"scales": []}, "scales must be a list of up to 8 factors from 0.25 to 4"),
        ({"scales": [1, 9]}, "scales must be a list of up to 8 factors"),
        ({"mirror": 1}, "mirror must be true or false, not 1"),
        ({"opening_kernel": 4}, "opening_kernel must be 0 or an odd number of pixels, not 4"),
        ({"opening_kernel": 2.5}, "opening_kernel must be 0 or an odd number"),
        ({"margin": -0.1}, "margin must be a number between 0 and 1, not -0.1"),
    ],
    ids=str,
)
def test_a_config_that_cannot_be_run(folder: Path, changes: dict[str, object], reason: str) -> None:
    change(folder, **changes)
    sentence = refused(folder)
    assert reason in sentence and "config.json" in sentence
    assert sentence.endswith("orrect it, or get the checkpoint again.") or not set(changes) - {"arguments"}


def test_classes_in_another_order(folder: Path, config: MakeConfig) -> None:
    change(folder, classes=config().classes[::-1])
    assert "its classes are not those of OUTFIT_15, in their order" in refused(folder)


def test_weights_of_another_network(folder: Path) -> None:
    change(folder, arguments={"encoder": "resnet18"})
    assert "tensors are missing, the first is network." in refused(folder)


def test_config_and_metrics_are_read_without_the_weights(folder: Path, config: MakeConfig) -> None:
    (folder / "model.safetensors").unlink()
    assert asdict(read_config(folder)) == asdict(config())
    assert read_results(folder) == Results()


# --- Ensembles --------------------------------------------------------------------------------------------------------


def test_an_ensemble_comes_back_as_it_was(tmp_path: Path, config: MakeConfig, random_fpn: nn.Module) -> None:
    linknet = build("linknet", len(OUTFIT_15), {})
    written = config(ensemble=[Member(**{**MEMBER, "architecture": "linknet", "resize": "squash"})])
    save_checkpoint(tmp_path / "both", written, nn.ModuleList([random_fpn, linknet]))
    loaded = load_checkpoint(tmp_path / "both")
    assert loaded.config == written and loaded.config.ensemble[0].aspect is None
    assert isinstance(loaded.network, nn.ModuleList) and len(loaded.network) == 2
    assert count_parameters(written) == sum(p.numel() for p in [*random_fpn.parameters(), *linknet.parameters()])


@pytest.mark.parametrize(
    ("ensemble", "sentence"),
    [
        ([{**MEMBER, "share": 1.0}], "share must be a number between 0 and 1, not 1.0"),
        ([{**MEMBER, "share": "half"}], "share must be a number between 0 and 1, not 'half'"),
        ([{**MEMBER, "architecture": "nope"}], "architecture must be one of fpn, .*, not 'nope'"),
        ([{**MEMBER, "height": 8}], "height must be a whole number of pixels"),
        ([{**MEMBER, "colour": "red"}], "ensemble must be a list of networks"),
        ("fpn", "with all their keys: one is no table of keys and values."),
        ([{"share": 0.5}], "ensemble must be a list of networks"),
        (["fpn"], "ensemble must be a list of networks"),
        (3, "ensemble must be a list of networks"),
    ],
)
def test_an_ensemble_that_cannot_be_is_refused(folder: Path, ensemble: object, sentence: str) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "ensemble": ensemble}))
    with pytest.raises(CheckpointError, match=sentence):
        load_checkpoint(folder)


# --- Taxonomies of one's own ------------------------------------------------------------------------------------------


def test_a_checkpoint_carries_its_own_taxonomy(tmp_path: Path) -> None:
    loaded = load_checkpoint(save_own(tmp_path / "own"))
    assert loaded.taxonomy == KIMONO
    values = json.loads((tmp_path / "own" / "config.json").read_text())
    assert values["format_version"] == 2, "which an older Garmentscope refuses with a sentence"
    assert values["taxonomy"] == "kimono shop"
    assert values["classes"] == ["Backdrop", "Kimono", "Obi <sash>", "Left hand", "Tote bag"]
    assert [row["group"] for row in values["own_taxonomy"]["classes"]] == [
        "background", "garment", "garment", "body", "accessory"
    ]  # fmt: skip
    save_checkpoint(tmp_path / "again", loaded.config, loaded.network)
    for name in ("config.json", "model.safetensors"):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "own" / name).read_bytes()


@pytest.mark.parametrize("entry", sorted(EMBEDDED.iterdir()), ids=lambda path: path.name)
def test_what_ships_is_written_as_it_is(entry: Path, tmp_path: Path) -> None:
    save_description(tmp_path, read_config(entry), Results(), card="")
    assert (tmp_path / "config.json").read_bytes() == (entry / "config.json").read_bytes()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"own_taxonomy": None}, "taxonomy must be one of OUTFIT_15, CFPD_23, IMATERIALIST_47, not 'kimono shop'"),
        ({"own_taxonomy": [1]}, "own_taxonomy must be a table of keys and values"),
        ({"own_taxonomy": {"name": "kimono shop"}}, "A taxonomy is an object with the keys name and classes"),
        ({"taxonomy": "OUTFIT_15"}, "taxonomy must be 'kimono shop', the name of own_taxonomy"),
        ({"classes": ["Backdrop", "Kimono"]}, "its classes are not those of kimono shop, in their order"),
    ],
)
def test_a_taxonomy_that_cannot_be_read(tmp_path: Path, changes: dict[str, object], reason: str) -> None:
    folder = save_own(tmp_path / "own")
    change(folder, **changes)
    assert reason in refused(folder)


# --- What somebody else may have made ---------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_numbers(folder: Path, value: float) -> None:
    tensors = load_file(folder / "model.safetensors")
    name = sorted(name for name, tensor in tensors.items() if tensor.is_floating_point())[3]
    tensors[name].view(-1)[0] = value
    save_file(tensors, folder / "model.safetensors")
    sentence = refused(folder)
    assert f"{name} has values that are not numbers" in sentence


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
@pytest.mark.parametrize("kind", ["device", "pipe"])
def test_a_file_that_never_ends(folder: Path, name: str, kind: str) -> None:
    (folder / name).unlink()
    if kind == "pipe":
        os.mkfifo(folder / name)
    else:
        (folder / name).symlink_to("/dev/zero")
    assert "not a regular file" in refused(folder)


def test_a_config_takes_no_more_memory_than_its_weights(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built, real = [], module._build

    def build_and_note(config: CheckpointConfig) -> nn.Module:
        network = real(config)
        built.append(next(network.parameters()).device.type)
        return network

    monkeypatch.setattr(module, "_build", build_and_note)
    change(folder, arguments={"pyramid_channels": 2048, "segmentation_channels": 2048})
    assert "has the shape" in refused(folder)
    assert built == ["meta"], "two thousand channels, which were never made"


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"format_version": ' + "1" * 5000 + "}", '{"a":' * 500 + "1" + "}" * 500, "\x00" * 40_000_000],
    ids=["deep", "digits", "deep objects", "large"],
)
@pytest.mark.parametrize("name", ["config.json", "metrics.json", "calibration.json", "kinds.json"])
def test_json_that_nobody_writes(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    sentence = refused(folder)
    assert name in sentence and "damaged" in sentence and len(sentence) < 400


def test_a_calibration_of_other_weights_is_refused(folder: Path) -> None:
    """One that was copied from another network of the same classes would give wrong counts without a word."""
    one = ClassCalibration(intercept=0.0, weights=(0.0,) * len(feature_names(OUTFIT_15)), share_error=0.01)
    classes = {garment.name: one for garment in OUTFIT_15.worn}
    for weights_of_it in ("", load_checkpoint(folder).revision):  # older files do not say whose they are
        write_calibration(folder, Calibration(taxonomy="OUTFIT_15", classes=classes, weights=weights_of_it))
        assert load_checkpoint(folder).calibration is not None
    write_calibration(folder, Calibration(taxonomy="OUTFIT_15", classes=classes, weights="0123456789ab"))
    assert "calibration.json belongs to the weights 0123456789ab, and the network's are" in refused(folder)


@pytest.mark.parametrize(("dtype", "name"), [("int8", "int8"), ("bool", "bool"), ("complex64", "complex64")])
def test_weights_of_another_kind_of_number_are_refused(folder: Path, dtype: str, name: str) -> None:
    tensors = load_file(folder / "model.safetensors")
    kind = getattr(torch, dtype)
    changed = {key: each.to(kind) if each.is_floating_point() else each for key, each in tensors.items()}
    save_file(changed, folder / "model.safetensors")
    assert f"holds {name}, as of a quantised network" in refused(folder)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_weights_of_other_precision_are_taken(folder: Path, dtype: torch.dtype) -> None:
    tensors = load_file(folder / "model.safetensors")
    changed = {key: each.to(dtype) if each.is_floating_point() else each for key, each in tensors.items()}
    save_file(changed, folder / "model.safetensors")
    network = load_checkpoint(folder).network
    assert all(each.dtype == torch.float32 for each in network.parameters())


@pytest.mark.parametrize("name", ["model.safetensors"])
def test_the_pointer_of_git_lfs_is_named(folder: Path, name: str) -> None:
    (folder / name).write_bytes(b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    assert f"{name} is a Git LFS pointer, not the weights. Run git lfs pull" in refused(folder)


def test_weights_that_cannot_be_mapped_into_memory_are_a_sentence(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for words, said in (
        (
            "unable to mmap 9 bytes from file <model.safetensors>: Cannot allocate memory (12)",
            "not enough memory. Close",
        ),
        ("unable to mmap 9 bytes from file <model.safetensors>: No such device (19)", "No such device (19)"),
    ):

        def refuse(*_: object, words: str = words) -> None:
            raise RuntimeError(words)

        monkeypatch.setattr(weights, "safe_open", refuse)
        assert said in refused(folder)
