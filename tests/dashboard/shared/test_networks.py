import gc
import shutil
import threading
from collections import deque
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from foreign_networks import save_onnx

from dashboard.shared import networks
from segmodels.checkpoints import catalog
from segmodels.checkpoints.catalog import EMBEDDED
from segmodels.device import keep_memory
from segmodels.inference.memory import return_memory


def test_a_segmenter_is_loaded_once_for_all() -> None:
    networks.warm_up("fpn")
    assert networks.segmenter("fpn") is networks.segmenter("fpn")


def test_the_next_network_is_not_expected_to_wait_for_pytorch(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr(networks, "time", Mock(monotonic=lambda: clock[0]))
    monkeypatch.setattr(networks, "_took", deque(maxlen=1))
    monkeypatch.setattr(networks, "_import_networks", lambda: clock.append(clock.pop() + 40))
    monkeypatch.setattr(
        "segmodels.checkpoints.catalog.load_segmenter", lambda name: clock.append(clock.pop() + 5) or Mock()
    )
    assert networks.usual_seconds() == networks._FIRST_SECONDS
    networks._load("fpn")
    assert networks.usual_seconds() == 5


def test_a_network_is_woken_some_time_after_the_page_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    woken: list[str] = []
    done = threading.Event()
    monkeypatch.setattr(networks, "_SOON_SECONDS", 0.2)
    monkeypatch.setattr(networks, "warm_up", lambda name: woken.append(name) or done.set())
    for _ in range(3):
        networks.warm_up_soon("fpn")
    assert woken == []
    assert done.wait(60) and woken == ["fpn"]


def test_the_libraries_are_no_work_for_the_garbage_collector() -> None:
    gc.unfreeze()
    networks._import_networks.cache_clear()
    networks._import_networks()
    assert gc.get_freeze_count() > 100_000


def test_a_damaged_checkpoint_is_a_sentence_and_a_mended_one_is_found(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(tmp_path))
    folder = shutil.copytree(EMBEDDED / "fpn", tmp_path / "mine")
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config[:100])
    with pytest.raises(ValueError, match=r"config\.json is damaged"):
        networks.segmenter("mine")
    (folder / "config.json").write_text(config)
    assert networks.segmenter("mine").checkpoint.name == "mine"
    assert {"fpn", "mine"} <= set(networks.model_names())


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (
            RuntimeError("CUDA out of memory. Tried to allocate 2 GiB\nsecond line"),
            "CUDA out of memory. Tried to allocate",
        ),
        (MemoryError(), "there is not enough memory"),
        (AttributeError("no such layer"), "no such layer"),
    ],
)
def test_whatever_a_library_raises_on_loading_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, sentence: str
) -> None:
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(tmp_path))
    shutil.copytree(EMBEDDED / "fpn", tmp_path / "raising")
    with monkeypatch.context() as patched:
        patched.setattr(catalog, "load_segmenter", Mock(side_effect=error))
        with pytest.raises(ValueError, match=rf"^raising could not be loaded: {sentence}") as raised:
            networks.segmenter("raising")
    assert "second line" not in str(raised.value)
    assert networks.segmenter("raising").checkpoint.name == "raising"


def test_a_checkpoint_that_is_replaced_is_loaded_anew(tmp_path, monkeypatch, more_models) -> None:
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(tmp_path))
    shutil.copytree(more_models / "tiny", tmp_path / "mine")
    first = networks.segmenter("mine")
    assert networks.segmenter("mine") is first and networks.revision("mine") == first.checkpoint.revision
    shutil.rmtree(tmp_path / "mine")
    shutil.copytree(more_models / "blank", tmp_path / "mine")
    second = networks.segmenter("mine")
    assert second.checkpoint.revision == networks.revision("mine") != first.checkpoint.revision
    assert networks.revision("nonesuch") == ""


def test_a_network_from_elsewhere_is_one_of_the_models(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(tmp_path))
    path = save_onnx(tmp_path / "colours" / "net.onnx")
    assert "colours" in networks.model_names() and networks.model_bytes("colours") == path.stat().st_size
    assert networks.taxonomy("colours").names == ("Backdrop", "Shirt", "Pants")
    loaded = networks.segmenter("colours").checkpoint
    assert networks.revision("colours") == loaded.revision
    before = networks.checkpoint_stamp(path.parent)
    path.with_suffix(".json").write_text("{}")
    assert networks.checkpoint_stamp(path.parent) != before
    assert networks.taxonomy("colours") is None


def test_the_queue_sets_the_threads_of_its_workers_and_leaves_those_of_others() -> None:
    mine, theirs = torch.get_num_threads(), []
    queue = networks._queue()
    with networks.flow() as flow:
        assert flow.submit(torch.get_num_threads).result(60) == queue.slots == networks._processor_threads()
    reader = threading.Thread(target=lambda: theirs.append(torch.get_num_threads()))
    queue._when_idle()
    reader.start()
    reader.join(60)
    assert [torch.get_num_threads(), *theirs] == [mine, networks._processor_threads()]


def test_freed_memory_is_returned_to_the_system() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    assert keep_memory(), "this test is of glibc"
    blocks = [b"x" * 1024**2 for _ in range(100)]  # written to: else the system would not have given any
    del blocks
    before = resident()
    assert return_memory()
    assert before - resident() > 50 * 1024**2
