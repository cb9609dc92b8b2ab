import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn

import segmodels.checkpoints.catalog as module
from segmodels.checkpoints.catalog import (
    EMBEDDED,
    CatalogEntry,
    find_model,
    list_checkpoints,
    list_described,
    load_segmenter,
    match_offers,
    open_checkpoint,
    pull_checkpoint,
)
from segmodels.checkpoints.checkpoint import save_checkpoint
from segmodels.checkpoints.config import CheckpointConfig
from segmodels.checkpoints.errors import CheckpointError


@pytest.fixture
def embedded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands for the folder of the checkpoints that ship; empty."""
    monkeypatch.setattr(module, "EMBEDDED", tmp_path / "embedded")
    return tmp_path / "embedded"


def test_a_folder_of_the_environment(models: Path, embedded: Path) -> None:
    assert list_checkpoints() == [CatalogEntry("tiny", "folder", models / "tiny")]
    segmenter = load_segmenter("tiny")
    assert segmenter.checkpoint.name == "tiny" and segmenter.checkpoint.config.height == 64


@pytest.mark.parametrize("name", ["", " "])
def test_an_empty_name_is_not_taken_for_the_current_folder(name: str) -> None:
    with pytest.raises(CheckpointError, match=r"^The name of the model is empty\. Name one"):
        find_model(name)


@pytest.mark.parametrize("name", ["", "../x", "a b", "fpn\n"])
def test_no_model_of_an_impossible_name_is_sought_on_the_hub(name: str) -> None:
    with pytest.raises(CheckpointError, match="is no name of a model. Give one of the catalog, or hf://owner/repo"):
        pull_checkpoint(name)


def test_the_environment_goes_before_the_embedded(models: Path, embedded: Path) -> None:
    shutil.copytree(models / "tiny", embedded / "tiny")
    shutil.copytree(models / "tiny", embedded / "fpn")
    assert list_checkpoints() == [
        CatalogEntry("fpn", "embedded", embedded / "fpn"),
        CatalogEntry("tiny", "folder", models / "tiny", hidden=(embedded / "tiny",)),
    ]
    assert [each.replaces.partition(" that")[0] for each in list_checkpoints()] == [
        "",
        "It is used in place of the model of this name",
    ]
    (embedded / "tiny" / "config.json").write_text("damaged")
    assert load_segmenter("tiny").checkpoint.name == "tiny"
    assert load_segmenter().checkpoint.name == "fpn", "which is the default"


def test_the_first_folder_of_the_environment_wins(
    models: Path,
    embedded: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    config: Callable[..., CheckpointConfig],
    random_fpn: nn.Module,
) -> None:
    save_checkpoint(tmp_path / "mine" / "tiny", config(height=32, width=32), random_fpn)
    folders = [tmp_path / "nowhere", tmp_path / "mine", models]
    monkeypatch.setenv("GARMENTSCOPE_MODELS", os.pathsep.join(["", *map(str, folders)]))
    (found,) = list_checkpoints()
    assert found == CatalogEntry("tiny", "folder", tmp_path / "mine" / "tiny", hidden=(models / "tiny",))
    assert found.replaces == (
        f"Another checkpoint of this name is not used: {models / 'tiny'}. Rename the folder to use both."
    )
    assert load_segmenter("tiny").checkpoint.config.height == 32


def test_no_models_at_all(embedded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GARMENTSCOPE_MODELS", raising=False)
    assert list_checkpoints() == []
    with pytest.raises(CheckpointError, match=r"There is no model 'fpn'\. Installed: none\."):
        load_segmenter()


def test_what_is_no_checkpoint_is_not_listed(models: Path, embedded: Path) -> None:
    (models / "notes").mkdir()
    (models / "config.json").touch()
    shutil.copytree(models / "tiny", models / ".tiny.x1y2z3")  # what a save that was killed leaves
    assert [entry.name for entry in list_checkpoints()] == ["tiny"]


def test_a_checkpoint_by_its_folder(models: Path, embedded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GARMENTSCOPE_MODELS")
    assert load_segmenter(str(models / "tiny")).checkpoint.name == "tiny"


def test_an_unknown_name(models: Path, embedded: Path) -> None:
    shutil.copytree(models / "tiny", models / "second")
    with pytest.raises(CheckpointError) as caught:
        load_segmenter("fnp")
    assert str(caught.value) == (
        "There is no model 'fnp'. Installed: second, tiny. Name one of them, or the folder of a checkpoint."
    )


def test_a_damaged_checkpoint_says_so(models: Path, embedded: Path) -> None:
    (models / "tiny" / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="has no model.safetensors"):
        load_segmenter("tiny")


def test_a_folder_that_is_no_checkpoint(tmp_path: Path, embedded: Path) -> None:
    with pytest.raises(CheckpointError, match="has no config.json"):
        load_segmenter(str(tmp_path))


@pytest.fixture
def described(models: Path, embedded: Path) -> Path:
    """What ships of `large`: all but the weights."""
    folder = shutil.copytree(models / "tiny", embedded / "large")
    (folder / "model.safetensors").unlink()
    config = json.loads((folder / "config.json").read_text())
    config["training"]["command"] = "python -m train fit own/large"
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_what_ships_without_weights_is_offered_but_not_here(described: Path) -> None:
    assert "large" not in {entry.name for entry in list_checkpoints()} and list_described() == {"large": described}
    offers = {offer.name: offer for offer in match_offers(())}
    assert list(offers) == ["large", "tiny"] and offers["tiny"].described is None
    large = offers["large"]
    assert (large.place, large.folder, large.here, large.has_update) == ("described", described, None, False)
    with pytest.raises(
        CheckpointError, match=r"weights of 'large' are not included: train it with `python -m train fit own/"
    ):
        load_segmenter("large")


def test_whoever_has_the_weights_goes_before_the_description(described: Path, models: Path) -> None:
    shutil.copytree(models / "tiny", models / "large")
    (offer,) = (offer for offer in match_offers(()) if offer.name == "large")
    assert offer.place == "folder" and offer.folder == models / "large" and offer.described is None


def test_an_embedded_checkpoint_that_lost_its_weights(described: Path) -> None:
    config = json.loads((described / "config.json").read_text())
    del config["training"]["command"]
    (described / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match=r"has lost its model\.safetensors. Install Garmentscope again"):
        load_segmenter("large")


def test_a_folder_of_ones_own_without_weights_is_still_listed(models: Path, embedded: Path) -> None:
    (models / "tiny" / "model.safetensors").unlink()
    assert [entry.name for entry in list_checkpoints()] == ["tiny"], "so that it is named as damaged"


def test_embedded_checkpoints_lie_in_the_package() -> None:
    assert Path(module.__file__).parents[1] / "embedded" / "segmentation" == EMBEDDED


def test_a_name_is_found_in_one_way(models: Path, embedded: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(models.parent)
    shutil.copytree(models / "tiny", "tiny")
    assert find_model("tiny") == CatalogEntry("tiny", "folder", models / "tiny"), "the catalog goes before the folder"
    assert find_model("./tiny").folder == Path("tiny") and find_model(Path("tiny")).folder == Path("tiny")
    assert open_checkpoint("models/tiny").name == "tiny"


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("tny", "There is no model 'tny'. Did you mean tiny? Installed: tiny. Name one of them, or the folder of a "),
        ("models/tyny", "There is no checkpoint folder models/tyny. Did you mean models/tiny?"),
        (
            "atelier/clothes",
            "There is no checkpoint folder atelier/clothes. Did you mean hf://atelier/clothes, on the ",
        ),
        (
            "./none",
            "There is no checkpoint folder ./none. Name a folder, a model that is installed, or hf://owner/repo.",
        ),
        ("net.onnx", "There is no checkpoint folder net.onnx. Name a folder, a model"),
        ("hf://atelier", "'hf://atelier' is not the address of a checkpoint. Write hf://owner/repo or"),
    ],
)
def test_names_that_lead_nowhere(
    models: Path, embedded: Path, monkeypatch: pytest.MonkeyPatch, name: str, sentence: str
) -> None:
    monkeypatch.chdir(models.parent)
    with pytest.raises(CheckpointError) as caught:
        find_model(name)
    assert str(caught.value).startswith(sentence)
