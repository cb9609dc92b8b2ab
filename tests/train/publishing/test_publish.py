"""Pushing over HTTP, by the real client to a server of the test's own, and back again."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest
import torch
from hub_server import READER, TOKEN, Fault, HubServer
from huggingface_hub import constants

from segmodels.architectures import ARCHITECTURES, build
from segmodels.checkpoints.catalog import load_segmenter
from segmodels.checkpoints.checkpoint import load_checkpoint, read_results, save_checkpoint
from segmodels.checkpoints.config import CheckpointConfig, read_config
from segmodels.checkpoints.errors import CheckpointError
from segmodels.datasets import Dataset
from segmodels.evaluation.evidence import EVIDENCE_FILE, EvidenceError
from segmodels.evaluation.results import EvaluatedPhotos, Results
from segmodels.hub.cache import HubAddress
from segmodels.hub.client import pull
from segmodels.hub.errors import HubError
from segmodels.inference.segmenter import Segmenter
from segmodels.taxonomy import OUTFIT_15
from train.__main__ import main
from train.analysis.evaluate import evaluate, keep_evaluation
from train.publishing.publish import check_owner, push, repository_of
from train.recipe import Recipe

REPOSITORY = "atelier/garmentscope-tiny"
NARROW = {"unet_classic": 0.05, "segnet": 0.05}


def saved(folder: Path, architecture: str = "unet_classic", seed: int = 0) -> Path:
    """A checkpoint with random weights, narrow where its architecture can be."""
    arguments = {"width": NARROW[architecture]} if architecture in NARROW else {}
    config = CheckpointConfig(
        architecture=architecture,
        arguments=arguments,
        taxonomy="OUTFIT_15",
        classes=list(OUTFIT_15.names),
        height=64,
        width=32,
        mean=0.5,
        std=0.5,
        crop="none",
        training={"dataset": "ccp", "epoch": 7, "recipe": {"fold": 0}},
    )
    torch.manual_seed(seed)
    save_checkpoint(folder, config, build(architecture, 15, arguments), results=Results(learning_curve=({"epoch": 1},)))
    return folder


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return saved(tmp_path / "checkpoint")


@pytest.fixture
def logged_in(monkeypatch: pytest.MonkeyPatch, hub: HubServer) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)


def uploaded(hub: HubServer) -> list[str]:
    return [request.path for request in hub.asked("POST .*/commit/")]


def refused(folder: Path, repository: str = REPOSITORY, **options: bool) -> str:
    with pytest.raises(HubError) as caught:
        push(folder, repository, **options)
    sentence = str(caught.value)
    assert "\n" not in sentence and sentence.endswith(".") and TOKEN not in sentence and READER not in sentence
    return sentence


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.usefixtures("logged_in")
def test_there_and_back(hub: HubServer, tmp_path: Path, architecture: str, capsys: pytest.CaptureFixture[str]) -> None:
    repository = repository_of("atelier", architecture)
    folder = saved(tmp_path / architecture, architecture)
    assert main(["push", str(folder), repository]) == 0
    commit = hub.head(repository)
    assert capsys.readouterr().out == f"{hub.address}/{repository} holds {folder}, commit {commit}.\n"
    assert len(uploaded(hub)) == 1, "one commit"
    pulled = pull(HubAddress(repository))
    assert pulled.revision == commit
    for name in ("config.json", "model.safetensors", "metrics.json"):
        assert (pulled.folder / name).read_bytes() == (folder / name).read_bytes()
    ours, theirs = load_checkpoint(folder), load_segmenter(f"hf://{repository}").checkpoint
    assert theirs.config == ours.config and theirs.revision == commit
    pairs = zip(ours.network.state_dict().items(), theirs.network.state_dict().items(), strict=True)
    assert all(a == b and torch.equal(mine, yours) for (a, mine), (b, yours) in pairs)


@pytest.mark.usefixtures("logged_in")
def test_evidence_and_card_travel(hub: HubServer, checkpoint: Path, dataset: Dataset) -> None:
    judgement = evaluate(Segmenter(load_checkpoint(checkpoint)), dataset, ["0001", "0002"])
    photos = EvaluatedPhotos(dataset="ccp", split="ids", ids_file="two.txt", number=2)
    keep_evaluation(checkpoint, photos, judgement)
    push(checkpoint, REPOSITORY)
    folder = pull(HubAddress(REPOSITORY)).folder
    assert (folder / EVIDENCE_FILE).read_bytes() == (checkpoint / EVIDENCE_FILE).read_bytes()
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: garmentscope\n") and "\n# Garmentscope tiny\n" in card
    assert (
        f'load_segmenter("hf://{REPOSITORY}")' in card
        and "## Scores on Clothing Co-Parsing, two.txt (2 photos)" in card
    )
    score = judgement.scores["mean_iou"]
    assert hub.repositories[REPOSITORY].commits[-1][1] == f"tiny: epoch 7 on ccp, mean IoU {score:.3f}"


@pytest.mark.usefixtures("logged_in")
def test_only_a_checkpoints_files_are_pushed(hub: HubServer, checkpoint: Path) -> None:
    for name in ("resume.ckpt", "notes.txt", ".env"):
        (checkpoint / name).write_text("mine")
    push(checkpoint, REPOSITORY, message="A first one")
    _, message, files = hub.repositories[REPOSITORY].commits[-1]
    assert set(files) == {".gitattributes", "README.md", "config.json", "metrics.json", "model.safetensors"}
    assert message == "A first one"


@pytest.mark.usefixtures("logged_in")
def test_a_push_replaces_all_of_the_older_checkpoint(hub: HubServer, checkpoint: Path, tmp_path: Path) -> None:
    push(checkpoint, REPOSITORY)
    hub.commit(REPOSITORY, {EVIDENCE_FILE: b"of the older weights", "notes.txt": b"by hand"})
    push(saved(tmp_path / "newer", seed=1), REPOSITORY)
    files = hub.repositories[REPOSITORY].commits[-1][2]
    assert EVIDENCE_FILE not in files and files["notes.txt"] == b"by hand"
    assert files["model.safetensors"] == (tmp_path / "newer" / "model.safetensors").read_bytes()


@pytest.mark.usefixtures("logged_in")
def test_the_same_again_is_no_new_commit(hub: HubServer, checkpoint: Path) -> None:
    first = push(checkpoint, REPOSITORY)
    uploads = len(hub.asked("PUT /store/"))
    assert push(checkpoint, REPOSITORY) == first
    assert len(uploaded(hub)) == 1 and len(hub.asked("PUT /store/")) == uploads == 1


@pytest.mark.usefixtures("logged_in")
def test_private(hub: HubServer, checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["push", str(checkpoint), REPOSITORY, "--private", "--message", "For us"]) == 0
    assert hub.repositories[REPOSITORY].private
    hub.create("atelier/open")
    capsys.readouterr()
    assert main(["push", str(checkpoint), "atelier/open", "--private"]) == 1
    assert capsys.readouterr().err == (
        "atelier/open is public already. Make it private on its page, or push without --private.\n"
    )
    assert len(hub.repositories["atelier/open"].commits) == 1


@pytest.mark.usefixtures("logged_in")
def test_an_organisation(hub: HubServer, checkpoint: Path) -> None:
    push(checkpoint, "school/garmentscope-tiny")
    assert "school/garmentscope-tiny" in hub.repositories


def test_nobody_is_logged_in(hub: HubServer, checkpoint: Path) -> None:
    assert "run `hf auth login`, or set HF_TOKEN" in refused(checkpoint)
    with pytest.raises(HubError, match="^Nobody is logged in to the Hub. Run `hf auth login`, or set HF_TOKEN.$"):
        check_owner("atelier")
    assert not hub.repositories


def test_a_token_that_may_only_read(hub: HubServer, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", READER)
    sentence = f"The token has no permission to write to {REPOSITORY}. Use another token or another owner."
    assert refused(checkpoint) == sentence
    hub.create(REPOSITORY)
    assert refused(checkpoint) == sentence
    assert len(hub.repositories[REPOSITORY].commits) == 1


def test_a_token_that_is_wrong(hub: HubServer, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    sentence = "The Hub does not accept the token. Set HF_TOKEN again, or run `hf auth login`."
    assert refused(checkpoint) == sentence
    with pytest.raises(HubError, match=re.escape(sentence)):
        check_owner("atelier")


@pytest.mark.usefixtures("logged_in")
def test_the_owner(hub: HubServer) -> None:
    check_owner("atelier")
    check_owner("school")
    sentence = "The token belongs to atelier, who cannot publish under others. Name atelier or school."
    with pytest.raises(HubError, match=f"^{sentence}$"):
        check_owner("others")


@pytest.mark.parametrize("asked", ["repos/create", "preupload", "lfs/objects/batch", "PUT /store", "POST .*/commit"])
@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"status": 503}, "The Hub reported an internal error (status 503). Try again later."),
        ({"status": 429}, "The Hub received too many requests from this address. Try again in a few minutes."),
        ({"status": 403}, f"The token has no permission to write to {REPOSITORY}. Use another token or another owner."),
        ({"silent": 0.01}, "The connection to 127.0.0.1 was cut. No incomplete file was kept; try again."),
    ],
    ids=["fault", "busy", "forbidden", "cut"],
)
@pytest.mark.usefixtures("logged_in")
def test_whatever_fails_nothing_is_published(
    hub: HubServer, checkpoint: Path, asked: str, fault: dict[str, float], sentence: str
) -> None:
    hub.faults.append(Fault(asked, **fault))  # type: ignore[arg-type]
    assert refused(checkpoint) == sentence
    assert all(len(repository.commits) == 1 for repository in hub.repositories.values())
    hub.faults.clear()
    assert push(checkpoint, REPOSITORY).commit == hub.head(REPOSITORY), "the same again"


@pytest.mark.usefixtures("logged_in")
def test_offline(hub: HubServer, checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert "HF_HUB_OFFLINE" in refused(checkpoint) and not hub.requests


@pytest.mark.usefixtures("logged_in")
def test_a_name_that_no_repository_has(hub: HubServer, checkpoint: Path) -> None:
    assert refused(checkpoint, "atelier/not a name").startswith("'atelier/not a name' is not a repository name.")


@pytest.mark.usefixtures("logged_in")
def test_what_could_not_be_loaded_is_not_pushed(hub: HubServer, checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / EVIDENCE_FILE).write_bytes(b"damaged")
    with pytest.raises(EvidenceError, match="is damaged"):
        push(checkpoint, REPOSITORY)
    (checkpoint / "model.safetensors").write_bytes(b"damaged")
    with pytest.raises(CheckpointError, match="is damaged"):
        push(checkpoint, REPOSITORY)
    with pytest.raises(CheckpointError, match="There is no checkpoint folder"):
        push(tmp_path / "nowhere", REPOSITORY)
    assert not hub.requests


# A fit that publishes


def fit_arguments(recipe: Recipe, root: Path, out: Path) -> list[str]:
    """The command line of a fit of the recipe."""
    keys = ("imagenet", "height", "width", "cache_side", "epochs", "batch_size")
    changes = [f"--set={key}={str(getattr(recipe, key)).lower()}" for key in keys]
    small = ["--set=architecture=unet_classic", "--set=arguments={width=0.05}"]
    return ["fit", "own/trial", "--data", str(root), "--out", str(out), "--workers", "0", *small, *changes]


@pytest.mark.usefixtures("logged_in", "folds")
def test_a_fit_publishes(
    hub: HubServer, tiny: Callable[..., Recipe], root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = fit_arguments(tiny(epochs=1), root, tmp_path / "run")
    assert main([*arguments, "--push", "atelier", "--name", "mine"]) == 0
    repository = "atelier/garmentscope-mine"
    assert f"{hub.address}/{repository} holds " in capsys.readouterr().out
    assert load_segmenter(f"hf://{repository}").checkpoint.revision == hub.head(repository)


@pytest.mark.usefixtures("folds")
def test_a_fit_that_could_not_publish_does_not_start(
    hub: HubServer, tiny: Callable[..., Recipe], root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*fit_arguments(tiny(), root, tmp_path / "run"), "--push", "atelier"]) == 1
    assert capsys.readouterr().err == "Nobody is logged in to the Hub. Run `hf auth login`, or set HF_TOKEN.\n"
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("logged_in", "folds")
def test_a_fit_is_kept_when_publishing_fails(
    hub: HubServer, tiny: Callable[..., Recipe], root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.faults.append(Fault("PUT /store", status=403))
    assert main([*fit_arguments(tiny(epochs=1), root, tmp_path / "run"), "--push", "atelier"]) == 1
    folder, repository = tmp_path / "run" / "checkpoint", "atelier/garmentscope-unet_classic"
    assert f"is kept: python -m train push {folder} {repository}" in capsys.readouterr().err
    hub.faults.clear()
    assert main(["push", str(folder), repository]) == 0


@pytest.mark.usefixtures("logged_in", "folds")
def test_every_architecture_that_was_fitted(
    hub: HubServer,
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With outcomes in place of nine fits: one failed, of two one cannot be published; the other is judged first."""
    from train.segmentation.fit_all import Outcome

    for name in ("unet_classic", "segnet"):
        saved(tmp_path / name / "checkpoint", name)
    shutil.rmtree(tmp_path / "segnet")
    outcomes = [Outcome("unet_classic", 1.0), Outcome("segnet", 1.0), Outcome("fpn", 1.0, failure="of memory")]
    monkeypatch.setattr("train.commands.fitting.fit_all", lambda *given, **options: outcomes)
    assert main(["fit", "own/trial", "--all", "--data", str(root), "--out", str(tmp_path), "--push", "atelier"]) == 1
    assert set(hub.repositories) == {"atelier/garmentscope-unet_classic"}
    assert "There is no checkpoint folder" in capsys.readouterr().err
    judged = read_results(tmp_path / "unet_classic" / "checkpoint").evaluations
    assert [str(each.photos) for each in judged] == ["Clothing Co-Parsing, fold 0 (2 photos)"]


@pytest.mark.usefixtures("logged_in", "folds")
def test_a_network_that_fell_back_to_random_weights_is_not_published(
    hub: HubServer,
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from train.segmentation.fit_all import Outcome

    folder = saved(tmp_path / "unet_classic" / "checkpoint", "unet_classic")
    config = read_config(folder)
    config.training["start"] = {"weights": "random", "sentence": "No weights are at hand.", "fell_back": True}
    (folder / "config.json").write_text(json.dumps(asdict(config)))
    monkeypatch.setattr("train.commands.fitting.fit_all", lambda *given, **options: [Outcome("unet_classic", 1.0)])
    command = ["fit", "own/trial", "--all", "--data", str(root), "--out", str(tmp_path), "--push", "atelier"]
    assert main(command) == 1 and not hub.repositories
    assert "No weights are at hand. It is not published without --push-fallback" in capsys.readouterr().err
    assert main([*command, "--push-fallback"]) == 0
    assert set(hub.repositories) == {"atelier/garmentscope-unet_classic"}
