"""Every command that takes a model takes it by the same rule, and says the same where there is none."""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from foreign_networks import save_onnx
from hub_server import HubServer

import segmodels.__main__
import segmodels.archive.__main__
import train.__main__
from segmodels.checkpoints.catalog import load_segmenter
from train.commands.shared import MODEL

ARGUMENTS: Mapping[str, Sequence[str]] = {
    "evaluate": ("{model}", "--dataset", "ccp", "--data", "{data}", "--json", "{out}.json"),
    "calibrate": ("{model}", "--data", "{data}", "--fold", "0"),
    "kinds": ("{model}", "--data", "{data}"),
    "embedding": ("{model}", "--data", "{data}"),
    "truth": ("{model}", "--data", "{data}", "--ids", "{out}.txt"),
    "suspects": ("{model}", "--dataset", "ccp", "--data", "{data}", "--out", "{out}.csv"),
    "reliability": ("{model}", "--data", "{data}", "--json", "{out}.json"),
    "compare": ("{model}", "{model}"),
    "join": ("{model}", "{model}", "--share", "0.5", "--out", "{out}"),
    "describe": ("own/fpn", "--data", "{data}", "--checkpoint", "{model}", "--out", "{out}"),
    "push": ("{model}", "atelier/garmentscope-new"),
    "export": ("{model}", "--out", "{out}.onnx"),
    "pseudo-label": ("{model}", "--data", "{data}", "--out", "{out}"),
    "mask-flatlays": ("{model}", "--data", "{data}", "--out", "{out}"),
    "evaluate-scenes": ("{model}", "--data", "{data}", "--fold", "0", "--json", "{out}.json"),
    "crossval": ("own/fpn", "--data", "{data}", "--out", "{out}", "--keep", "{model}"),
}
"""Arguments of each command of `train` that takes a model."""


def parser_of_train() -> Mapping[str, argparse.ArgumentParser]:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    for add_command in train.__main__._COMMANDS:
        add_command(commands)
    return commands.choices


def test_no_argument_takes_the_place_of_the_command_itself() -> None:
    for name, command in parser_of_train().items():
        assert callable(command.get_default("run")), name
        assert "run" not in [action.dest for action in command._actions], name


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["crossval", "own/trial", "--data", "x", "--out", "x", "--folds", "1"], "'1' is not a whole number from 2"),
        (["evaluate-person", "--data", "x", "--json", "x", "--fold", "-1"], "'-1' is not a whole number from 0"),
        (["evaluate", "fpn", "--dataset", "ccp", "--json", "x", "--fold", "1.0"], "'1.0' is not a whole number from 0"),
        (["calibrate", "fpn", "--data", "x", "--fold", "-1"], "'-1' is not a whole number from 0"),
        (["fit-person", "--data", "x", "--out", "x", "--epochs", "0"], "'0' is not a whole number from 1"),
        (["fit", "own/trial", "--out", "x", "--workers", "-1"], "'-1' is not a whole number from 0"),
    ],
)
def test_numbers_are_bounded_before_anything_is_read(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        train.__main__.main(words)
    assert stopped.value.code == 2 and sentence in capsys.readouterr().err


def test_no_command_is_forgotten() -> None:
    """An argument is a model's by its name; each is a text, which the one rule reads."""
    takes = {}
    for name, command in parser_of_train().items():
        for action in command._actions:
            if action.dest in ("checkpoint", "checkpoints", "first") or action.metavar == "CHECKPOINT":
                takes[name] = action
    assert set(takes) == set(ARGUMENTS)
    for name, action in takes.items():
        assert action.type is None and MODEL in (action.help or ""), name


@pytest.fixture
def run(
    tmp_path: Path, root: Path, more_models: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Runs a command on a model and gives what it printed."""
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(more_models))
    monkeypatch.chdir(tmp_path)
    Path("out.txt").write_text("0001\n")

    def call(command: str, model: str, status: int = 1, *more: str) -> str:
        words = [word.format(model=model, data=root, out="out") for word in ARGUMENTS[command]]
        assert train.__main__.main([command, *words, *more]) == status
        printed = capsys.readouterr()
        return printed.err if status else printed.out

    return call


@pytest.mark.parametrize("command", ARGUMENTS)
def test_a_name_that_is_misspelt(run: Callable[..., str], command: str) -> None:
    assert run(command, "tniy").startswith("There is no model 'tniy'. Did you mean tiny? Installed: atrous, ")
    assert run(command, "elsewhere/none") == (
        "There is no checkpoint folder elsewhere/none. Did you mean hf://elsewhere/none, on the Hugging Face Hub?\n"
    )


@pytest.mark.parametrize("command", ARGUMENTS)
def test_a_repository_that_is_not_there(run: Callable[..., str], hub: HubServer, command: str) -> None:
    assert run(command, "hf://atelier/none") == (
        "The Hub does not show atelier/none without a login: it is private, or does not exist. Check the name, run "
        "`hf auth login`, or set HF_TOKEN.\n"
    )


def test_segment_and_ingest_say_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "look.jpg").write_bytes(b"")
    photos = str(tmp_path / "photos")
    assert segmodels.__main__.main(["segment", photos, "--out", str(tmp_path / "out"), "--model", "fpm"]) == 1
    first = capsys.readouterr().err
    archive = ["ingest", photos, "--archive", str(tmp_path / "archive"), "--model", "fpm"]
    assert segmodels.archive.__main__.main(archive) == 1
    assert first == capsys.readouterr().err and first.startswith("There is no model 'fpm'. Did you mean fpn? Installed")


def test_one_network_by_its_three_names(run: Callable[..., str], hub: HubServer, more_models: Path) -> None:
    hub.publish("atelier/small", more_models / "tiny")
    printed = [run("evaluate", name, 0) for name in ("tiny", str(more_models / "tiny"), "hf://atelier/small")]
    assert len(set(printed)) == 1 and "on 8 photos" in printed[0]
    assert json.loads(Path("out.json").read_text())["photos"] == 8
    run("join", "tiny", 0)
    members = load_segmenter("./out").checkpoint.config.training["members"]
    assert [member["name"] for member in members] == ["tiny"]


def test_what_lies_in_the_hubs_cache_is_not_written_into(
    run: Callable[..., str], hub: HubServer, more_models: Path
) -> None:
    hub.publish("atelier/small", more_models / "tiny")
    for command, more in (("evaluate", ("--keep",)), ("calibrate", ())):
        sentence = run(command, "hf://atelier/small", 1, *more)
        assert sentence.startswith("hf://atelier/small lies in the Hub's cache (") and "(cp -rL)" in sentence


def test_the_evidence_of_a_name(run: Callable[..., str], more_models: Path) -> None:
    assert run("compare", "fpn", 0).startswith("259 photos, paired bootstrap over photos")
    assert f"{more_models / 'tiny' / 'evidence.parquet'}" in run("compare", "tiny"), "it has none"


def test_scores_of_a_network_from_elsewhere(run: Callable[..., str], root: Path) -> None:
    """They are kept beside it; its own README stays, and it is neither published nor joined."""
    settings = {"classes": ["Background", "Coat", "Pants"], "mean": 0, "std": 1, "taxonomy": "three"}
    path = save_onnx(Path("net") / "net.onnx", settings, shape=("n", 3, 64, 48))
    (path.parent / "README.md").write_text("# Theirs")
    assert "Scored on 3 of the 15 classes of OUTFIT_15" in run("evaluate", "./net", 0, "--keep")
    assert (path.parent / "metrics.json").is_file() and (path.parent / "README.md").read_text() == "# Theirs"
    assert run("push", "./net").startswith("net is a network of onnx, licence not stated. Only checkpoints of")
    assert run("join", "./net").startswith(
        "./net is a network of onnx. Only checkpoints of Garmentscope can be joined."
    )
