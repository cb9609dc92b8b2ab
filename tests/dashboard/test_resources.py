import gc
import shutil

import pytest

from dashboard import resources
from segmodels.catalog import EMBEDDED


def test_a_segmenter_is_loaded_once_for_all() -> None:
    resources.warm_up("fpn")
    assert resources.segmenter("fpn") is resources.segmenter("fpn")


def test_the_libraries_are_no_work_for_the_garbage_collector() -> None:
    gc.unfreeze()
    resources._import_networks.cache_clear()
    resources._import_networks()
    assert gc.get_freeze_count() > 100_000


def test_a_damaged_checkpoint_is_a_sentence_and_a_mended_one_is_found(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(tmp_path))
    folder = shutil.copytree(EMBEDDED / "fpn", tmp_path / "mine")
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config[:100])
    with pytest.raises(ValueError, match=r"config\.json is damaged"):
        resources.segmenter("mine")
    (folder / "config.json").write_text(config)
    assert resources.segmenter("mine").checkpoint.name == "mine"
    assert {"fpn", "mine"} <= set(resources.model_names())


def test_a_checkpoint_that_is_replaced_is_loaded_anew(tmp_path, monkeypatch, more_models) -> None:
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(tmp_path))
    shutil.copytree(more_models / "tiny", tmp_path / "mine")
    first = resources.segmenter("mine")
    assert resources.segmenter("mine") is first and resources.revision("mine") == first.checkpoint.revision
    shutil.rmtree(tmp_path / "mine")
    shutil.copytree(more_models / "blank", tmp_path / "mine")
    second = resources.segmenter("mine")
    assert second.checkpoint.revision == resources.revision("mine") != first.checkpoint.revision
    assert resources.revision("nonesuch") == ""
