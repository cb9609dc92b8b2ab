"""What people type as paths, and what a command says when the system refuses."""

from __future__ import annotations

import argparse
import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

import train.__main__ as training
from segmodels.__main__ import main
from segmodels.arguments import path_argument, place_argument, refusal
from segmodels.checkpoints import catalog
from segmodels.datasets import DatasetError, open_dataset
from segmodels.inference import detector
from segmodels.inference.memory import is_out_of_memory
from segmodels.inference.segmenter import Segmenter
from segmodels.sentences import first_line

Jpeg = Callable[..., bytes]


@pytest.fixture(autouse=True)
def _only_these_models(models: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(catalog, "EMBEDDED", tmp_path / "embedded")


@pytest.fixture
def photo(tmp_path: Path, jpeg: Jpeg) -> Path:
    path = tmp_path / "one.jpg"
    path.write_bytes(jpeg(60, 40, seed=1))
    return path


@pytest.mark.parametrize("empty", ["", " ", "\t"])
def test_an_empty_path_is_not_the_current_folder(empty: str) -> None:
    for read in (path_argument, place_argument):
        with pytest.raises(argparse.ArgumentTypeError, match="the path is empty"):
            read(empty)


def test_a_path_is_that_of_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/anna")
    monkeypatch.setenv("USERPROFILE", "/home/anna")
    assert place_argument("~/looks").replace("\\", "/") == "/home/anna/looks"
    assert place_argument("s3://looks/~x") == "s3://looks/~x"
    assert path_argument("./~") == Path("./~")


@pytest.mark.parametrize(
    "line",
    [
        "segment|EMPTY|--out|out",
        "segment|a.jpg|--out|EMPTY",
        "archive|ingest|EMPTY|--archive|a",
        "archive|ingest|photos|--archive|EMPTY",
        "archive|ingest|photos|--archive|a|--metadata|EMPTY",
        "archive|show|EMPTY",
        "archive|delete|EMPTY",
        "archive|rename|a|EMPTY",
        "archive|merge|a|EMPTY",
        "archive|retag|a|EMPTY",
        "archive|split|a|--by|x|--into|EMPTY",
        "archive|make-up|5|--archive|EMPTY",
    ],
)
def test_a_variable_that_is_not_set_is_wrong_usage(
    line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(SystemExit) as error:
        main(line.replace("EMPTY", "").split("|"))
    assert error.value.code == 2 and "path is empty" in capsys.readouterr().err
    assert sorted(tmp_path.iterdir()) == before


def test_commands_of_train_take_the_home_folder_and_refuse_an_empty_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert training.main(["stats", "--dataset", "ccp", "--data=~/ccp", "--out=~/report"]) == 1
    assert str(tmp_path / "ccp") in capsys.readouterr().err and not Path("~").exists()
    with pytest.raises(SystemExit):
        training.main(["stats", "--dataset", "ccp", "--data=", "--out", "report"])
    assert "path is empty" in capsys.readouterr().err
    (tmp_path / "looks.json").write_text("[]")
    with pytest.raises(DatasetError, match=str(tmp_path / "looks.json")):
        open_dataset("coco:~/looks.json")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (FileExistsError(errno.EEXIST, "File exists", "/srv/out"), "/srv/out cannot be used: File exists."),
        (PermissionError(errno.EACCES, "Permission denied", b"/srv/o\xffut"), "/srv/o\ufffdut cannot be used: Perm"),
        (OSError(errno.ENOSPC, "No space left on device", "/srv/a.json"), "No space is left for /srv/a.json. Free"),
        (OSError(errno.EMFILE, "Too many open files"), "A file cannot be used: Too many open files."),
        (OSError("The sentence of ours. Do this."), "The sentence of ours. Do this."),
        (MemoryError(), "The command ended: there is not enough memory. Close other programs"),
        (RuntimeError("unable to mmap 9 bytes: Cannot allocate memory (12)"), "The command ended: there is not enough"),
    ],
)
def test_what_the_system_refuses_is_a_sentence(error: OSError | MemoryError | RuntimeError, words: str) -> None:
    said = refusal(error)
    assert said.startswith(words) and said.endswith(".") and "Errno" not in said


def test_a_lack_of_memory_is_one_however_it_is_worded() -> None:
    for error in (
        MemoryError(),
        RuntimeError("[enforce fail] . DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
        RuntimeError("unable to mmap 6676212 bytes from file <model.safetensors>: Cannot allocate memory (12)"),
    ):
        assert is_out_of_memory(error) and first_line(error) == "there is not enough memory"
    assert not is_out_of_memory(RuntimeError("unable to mmap 9 bytes: No such device (19)"))


def test_a_command_without_memory_ends_with_a_sentence(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def none_left(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(catalog, "open_checkpoint", none_left)
    lines = (
        ["segment", str(photo), "--out", str(tmp_path / "out"), "--model", "tiny"],
        ["archive", "ingest", str(photo.parent), "--archive", str(tmp_path / "archive"), "--model", "tiny"],
    )
    for line in lines:
        assert main(line) == 1
        assert "there is not enough memory" in capsys.readouterr().err


def test_a_photo_without_memory_is_named_and_the_others_are_done(
    photo: Path, jpeg: Jpeg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "two.jpg").write_bytes(jpeg(60, 40, seed=2))
    whole = Segmenter.segment
    errors = iter([MemoryError(), OSError(errno.EIO, "Input/output error")])

    def sometimes(self: Segmenter, given: object) -> object:
        if error := next(errors, None):
            raise error
        return whole(self, given)  # type: ignore[arg-type]

    monkeypatch.setattr(Segmenter, "segment", sometimes)
    command = ["segment", str(photo), str(tmp_path / "two.jpg"), "--out", str(tmp_path / "out"), "--model", "tiny"]
    assert main(command) == 1
    error = capsys.readouterr().err
    assert "one.jpg could not be analysed: there is not enough memory." in error
    assert "two.jpg could not be analysed: Input/output error." in error  # not: the results cannot be written
    assert main(command) == 0


def test_results_that_have_no_place_are_said_before_the_network_is_loaded(
    photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(catalog, "open_checkpoint", lambda *_, **__: pytest.fail("loaded"))
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "out", tmp_path / ("o" * 300)):
        assert main(["segment", str(photo), "--out", str(out), "--model", "tiny"]) == 1
        error = capsys.readouterr().err
        assert error.startswith(f"The results cannot be written to {out}: ") and error.endswith("Name another --out.\n")


def test_a_folder_of_models_that_cannot_be_listed_is_named(
    models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for wrong in ("/nowhere/models", str(models / "tiny" / "config.json"), "m" * 5000):
        monkeypatch.setenv("GARMENTSCOPE_MODELS", os.pathsep.join([wrong, str(models)]))
        assert main(["models"]) == 0
        shown = capsys.readouterr()
        assert f"GARMENTSCOPE_MODELS names {wrong}, which is no folder" in shown.err and "tiny" in shown.out


@pytest.mark.parametrize("name", ["m" * 5000, "/nowhere/" + "m" * 300, "a\nb"])
def test_a_model_of_no_possible_name_is_a_sentence(name: str, photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["segment", str(photo), "--out", str(photo.parent / "out"), "--model", name]) == 1
    error = capsys.readouterr().err
    assert error.startswith("There is no ") and "Errno" not in error


@pytest.mark.parametrize("name", ["quantum", "/etc/hosts", "d" * 5000])
def test_a_detector_that_is_none_is_said_with_its_variable(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GARMENTSCOPE_DETECTOR", name)
    with pytest.raises(detector.CheckpointError, match="^GARMENTSCOPE_DETECTOR is .* neither coco nor the folder"):
        detector.load_detector(name)
