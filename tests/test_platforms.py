"""What differs on Windows and macOS, as far as it can be simulated here."""

import ast
import ctypes
import io
import os
import pickle
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from archive_rows import VERSION, made, rows_of
from made_cache import cache_of, standing

from dashboard.archive.shelf import choose_target
from segmodels.archive import place
from segmodels.archive.metadata import join, parse_metadata
from segmodels.archive.store import Archive, ArchiveError
from segmodels.device import c_function, keep_memory
from segmodels.files import writable_name
from segmodels.inference.memory import return_memory
from segmodels.results_folder import choose_targets
from segmodels.streams import write_anything
from train.data.cache import Cache
from train.recipe import Recipe
from train.segmentation.crops import TrainingCrops, ValidationCrops
from train.segmentation.cutting import join_plans
from train.segmentation.distillation import SoftLabels

ROOT = Path(__file__).parents[1]
MODULES = sorted(path for package in ("segmodels", "train", "dashboard") for path in (ROOT / package).rglob("*.py"))


def test_windows_gives_no_handle_of_the_c_library(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: object) -> None:
        raise TypeError("LoadLibrary() argument 1 must be str, not None")

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    assert c_function("malloc_trim") is None
    assert not keep_memory() and not return_memory()


def test_another_c_library_has_not_what_glibc_has() -> None:
    assert c_function("no_function_of_this_name") is None


def test_an_archive_without_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "fcntl", None)
    archive = Archive(tmp_path / "archive")
    one, other = archive.writer(VERSION), archive.writer(VERSION)
    assert one.append(made("a", "b", at=datetime(2024, 5, 1))) == 2
    assert other.append(made("b", "c", at=datetime(2024, 5, 2))) == 1
    other._seen.clear()
    assert list(rows_of(archive)["photo_id"]) == ["a", "b", "c"]


def test_a_path_of_windows_in_a_table_is_that_of_a_photo() -> None:
    metadata = parse_metadata("Datei;Markt\nC:\\Fotos\\2024\\LOOK.JPG;Köln\n".encode("cp1252"), "looks.csv")
    assert join(metadata, ["2024/look.jpg", "2023/look.jpg"]).entries["2024/look.jpg"].tags == {"Markt": "Köln"}


def test_an_accent_is_the_same_however_macos_writes_it() -> None:
    metadata = parse_metadata("photo,tag\ncafe\u0301.jpg,1\n".encode(), "looks.csv")
    assert list(join(metadata, ["caf\u00e9.jpg"]).entries) == ["caf\u00e9.jpg"]


@pytest.mark.parametrize("name", ["NUL", "con", "Aux.2024", "LPT1"])
def test_an_archive_has_not_the_name_of_a_device(tmp_path: Path, name: str) -> None:
    with pytest.raises(ArchiveError, match=f"cannot be called {name}, which is a device on Windows"):
        choose_target(name, {"GARMENTSCOPE_CACHE": str(tmp_path)}, tmp_path)
    assert choose_target("Console 1", {"GARMENTSCOPE_CACHE": str(tmp_path)}, tmp_path).name == "Console 1"


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("CON", "CON_"),
        ("nul.tar", "nul_.tar"),
        ("Com1", "Com1_"),
        ("lpt\u00b9", "lpt\u00b9_"),
        ("conin$.x", "conin$_.x"),
    ],
)
def test_results_have_not_the_name_of_a_device(name: str, written: str) -> None:
    assert writable_name(name) == written
    assert choose_targets({Path(f"{name}.jpg"): f"{name}/{name}.jpg"}, Path("out")) == {
        Path(f"{name}.jpg"): Path("out", written, written)
    }
    for usual in ("console", "nullpoint", "com", "aux2", "contact.con"):
        assert writable_name(usual) == usual


def test_a_name_that_the_console_cannot_write_is_escaped() -> None:
    raw = io.BytesIO()
    console = io.TextIOWrapper(raw, encoding="cp1252")
    write_anything(console, None, io.StringIO())  # type: ignore[arg-type]
    print("Köln: \u65e5\u672c.jpg", file=console, flush=True)
    assert raw.getvalue().decode("cp1252").splitlines() == ["Köln: \\u65e5\\u672c.jpg"]


def test_a_command_writes_such_a_name(tmp_path: Path) -> None:
    missing = tmp_path / "\u65e5\u672c.jpg"
    command = [sys.executable, "-m", "segmodels.archive", "show", "--archive", str(missing)]
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252:strict", "PYTHONUTF8": "0", "PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, env=environment, capture_output=True)
    assert run.returncode == 1
    assert "\\u65e5\\u672c.jpg holds no archive yet." in run.stderr.decode("cp1252")
    assert "Traceback" not in run.stderr.decode("cp1252")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_text_is_never_read_or_written_in_the_encoding_of_the_system(path: Path) -> None:
    lacking = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and "encoding" not in {each.arg for each in node.keywords}:
            _, _, function = ast.unparse(node.func).rpartition(".")
            few = len(node.args) <= {"read_text": 0, "write_text": 1}.get(function, -1)
            if few or (function == "open" and re.search(r"[(, ]'[rwax]\+?'\)$", ast.unparse(node))):
                lacking.append(ast.unparse(node))
    assert not lacking


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_path_that_is_shown_or_stored_has_forward_slashes(path: Path) -> None:
    assert not re.findall(r"(?<!\w)str\([^()]*relative_to\(.*", path.read_text("utf-8"))


def test_what_spawned_processes_are_sent_is_small_and_whole(tmp_path: Path) -> None:
    """On Windows and macOS, and on Linux from Python 3.14 on, a process that loads photos gets the data as a pickle."""
    truth = standing()
    made_up = cache_of(*[truth] * 40)
    made_up.photos.tofile(tmp_path / "photos.bin")
    made_up.truths.tofile(tmp_path / "truths.bin")
    mapped = Cache(
        made_up.ids,
        made_up.shapes,
        np.memmap(tmp_path / "photos.bin", np.uint8, "r").reshape(-1, 3),
        np.memmap(tmp_path / "truths.bin", np.uint8, "r"),
        {},
        (),
    )
    values = np.memmap(tmp_path / "truths.bin", np.uint8, "r").reshape(-1, 15)
    soft = SoftLabels({0: 0}, ((32, 15),), values)
    sent = pickle.dumps((mapped, soft))
    assert len(sent) < 4000 < mapped.photos.nbytes
    cache, labels = pickle.loads(sent)
    assert np.array_equal(cache.pair(39)[0], mapped.pair(39)[0]) and np.array_equal(cache.pair(39)[1], truth)
    assert np.array_equal(labels.of_photo(0), soft.of_photo(0)) and labels.values.shape == values.shape
    assert pickle.loads(pickle.dumps(made_up)).photos.shape == made_up.photos.shape
    crops = (
        TrainingCrops(cache, Recipe(architecture="fpn"), [], None, [], None),
        ValidationCrops(cache, Recipe(architecture="fpn")),
    )
    assert [len(each) for each in pickle.loads(pickle.dumps(crops))] == [40, 40]
    assert pickle.loads(pickle.dumps(join_plans)) is join_plans
