"""Pulling over HTTP, by the real client from a server of the test's own, and each way in which it fails."""

import errno
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hub_server import READER, TOKEN, Fault, HubServer
from huggingface_hub import constants
from huggingface_hub.utils._xet_progress_reporting import XetDownloadProgressReporter

import segmodels.hub.client as module
from segmodels.__main__ import main
from segmodels.architectures import build
from segmodels.checkpoints.catalog import Offer, list_checkpoints, list_offers, load_segmenter, pull_checkpoint
from segmodels.checkpoints.checkpoint import save_checkpoint
from segmodels.checkpoints.config import CheckpointConfig
from segmodels.checkpoints.errors import CheckpointError
from segmodels.evaluation.results import Results
from segmodels.hub.cache import FILES, HubAddress, find_pulled
from segmodels.hub.client import fetch, list_hub, pull, read_address
from segmodels.hub.errors import HubError, HubUnreachableError
from segmodels.taxonomy import OUTFIT_15

MakeConfig = Callable[..., CheckpointConfig]
REPOSITORY = "atelier/garmentscope-tiny"
ADDRESS = HubAddress(REPOSITORY)
WEIGHTS = r"GET /store/"  # the large file; nothing else is one here


@pytest.fixture(scope="module")
def save(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Writes a checkpoint with random weights of a seed; keywords replace fields of its config."""

    def make(seed: int = 0, **changes: object) -> Path:
        config = CheckpointConfig(
            **{  # type: ignore[arg-type]
                "architecture": "unet_classic",
                "arguments": {"width": 0.05},
                "taxonomy": "OUTFIT_15",
                "classes": list(OUTFIT_15.names),
                "height": 32,
                "width": 32,
                "mean": 0.5,
                "std": 0.5,
                "crop": "none",
                **changes,
            }
        )
        torch.manual_seed(seed)
        folder = tmp_path_factory.mktemp("checkpoints") / "tiny"
        save_checkpoint(
            folder, config, build(config.architecture, 15, config.arguments), results=Results(), card="# A card\n"
        )
        return folder

    return make


@pytest.fixture
def tiny(hub: HubServer, save: Callable[..., Path]) -> Path:
    """The folder of the checkpoint that the Hub has."""
    folder = save()
    hub.publish(REPOSITORY, folder)
    return folder


@pytest.fixture
def owner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> str:
    """The Hub's owner is known, and nothing else is: no embedded checkpoint, no folder of the environment."""
    monkeypatch.setenv("GARMENTSCOPE_HUB", "atelier")
    monkeypatch.delenv("GARMENTSCOPE_MODELS", raising=False)
    monkeypatch.setattr("segmodels.checkpoints.catalog.EMBEDDED", tmp_path / "embedded")
    return "atelier"


def said(address: HubAddress = ADDRESS) -> str:
    """What a pull says that fails; one sentence or two on one line."""
    with pytest.raises(HubError) as caught:
        pull(address)
    sentence = str(caught.value)
    assert "\n" not in sentence and sentence.endswith(".") and "Error" not in sentence and "Traceback" not in sentence
    assert caught.value.__context__ is None or caught.value.__suppress_context__
    return sentence


def cached() -> list[str]:
    """Blobs of the cache, the half-written among them."""
    return [path.name for path in Path(constants.HF_HUB_CACHE).rglob("blobs/*")]


def assert_nothing_is_pulled() -> None:
    assert find_pulled(ADDRESS) is None
    assert not [name for name in cached() if name.endswith(".incomplete")]


# What goes well


def test_pull_brings_a_whole_checkpoint(hub: HubServer, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert constants.DOWNLOAD_CHUNK_SIZE <= 1 << 20, "of the client's own 10 MB a bar would show nothing"
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 10_000)
    seen: list[tuple[int, int]] = []
    pulled = pull(ADDRESS, lambda done, total: seen.append((done, total)))
    assert pulled.revision == hub.head(REPOSITORY) and len(pulled.revision) == 40
    assert {path.name: path.read_bytes() for path in pulled.folder.iterdir()} == {
        path.name: path.read_bytes() for path in tiny.iterdir()
    }
    size = sum(path.stat().st_size for path in tiny.iterdir())
    assert {total for _, total in seen} == {size}
    parts = [done for done, _ in seen]
    assert parts == sorted(parts) and parts[-1] == size and len(set(parts)) > 15
    assert find_pulled(ADDRESS) == find_pulled(HubAddress(REPOSITORY, pulled.revision)) == pulled


def test_the_same_network_and_the_revision_in_every_result(hub: HubServer, tiny: Path) -> None:
    photo = np.random.default_rng(0).integers(0, 255, (40, 30, 3), np.uint8)
    remote, local = load_segmenter(f"hf://{REPOSITORY}"), load_segmenter(str(tiny))
    result = remote.segment(photo)
    assert np.array_equal(result.confidence, local.segment(photo).confidence)
    assert (result.model, result.revision) == (REPOSITORY, hub.head(REPOSITORY))
    assert result.to_json("x.jpg")["revision"] == hub.head(REPOSITORY)


def test_progress_over_xet() -> None:
    """There is no Xet here: the client's own reporter counts what is received beside what is written."""
    seen: list[int] = []
    bar = module._bar_that_tells(seen.append)
    options = {"reconstruction_desc": "x", "log_level": 30, "name": "huggingface_hub.xet_get", "tqdm_class": bar}
    with XetDownloadProgressReporter(total=100, **options) as reporter:
        for received, written in ((30, 0), (60, 50), (70, 100)):
            reporter.update_progress(
                SimpleNamespace(
                    total_bytes_completed=written,
                    total_transfer_bytes_completed=received,
                    total_bytes_completion_rate=1.0,
                    total_transfer_bytes_completion_rate=1.0,
                    total_bytes=100,
                )
            )
    assert seen == [50, 100]


def test_only_what_is_needed_is_fetched(hub: HubServer, tiny: Path) -> None:
    more = {"pytorch_model.bin": b"a pickle", "notes.txt": b"x", "deep/config.json": b"{}", "train.py": b"import os"}
    hub.commit(REPOSITORY, dict(more))
    pulled = pull(ADDRESS)
    names = {path.name for path in pulled.folder.iterdir()}
    assert names == {"config.json", "model.safetensors", "metrics.json", "README.md"} <= {*FILES}
    assert not hub.asked(r"resolve/.*/(pytorch_model|notes|deep|train)")


def test_a_second_pull_fetches_nothing_again(hub: HubServer, tiny: Path) -> None:
    pull(ADDRESS)
    hub.requests.clear()
    pull(ADDRESS)
    assert not hub.asked("resolve|store")


def test_a_newer_revision_replaces_the_older_only_when_pulled(
    hub: HubServer, tiny: Path, save: Callable[..., Path]
) -> None:
    first = pull(ADDRESS)
    second = hub.publish(REPOSITORY, save(seed=1))
    assert find_pulled(ADDRESS) == first
    assert pull(ADDRESS).revision == second
    assert find_pulled(ADDRESS) == find_pulled(HubAddress(REPOSITORY, second))
    assert find_pulled(HubAddress(REPOSITORY, first.revision)) == first, "which was pulled, and is still there"


@pytest.mark.parametrize("kind", ["commit", "tag"])
def test_a_named_revision(hub: HubServer, tiny: Path, save: Callable[..., Path], kind: str) -> None:
    first = hub.head(REPOSITORY)
    hub.publish(REPOSITORY, save(seed=1))
    hub.repositories[REPOSITORY].tags["v1"] = first
    segmenter = load_segmenter(f"hf://{REPOSITORY}@{first if kind == 'commit' else 'v1'}")
    assert segmenter.checkpoint.revision == first
    assert find_pulled(ADDRESS) is None, "the main revision was not asked for"


def test_a_commit_that_is_pulled_needs_no_hub(hub: HubServer, tiny: Path) -> None:
    revision = pull(ADDRESS).revision
    hub.requests.clear()
    assert load_segmenter(f"hf://{REPOSITORY}@{revision}").checkpoint.revision == revision
    assert not hub.requests


def test_a_private_repository_by_token(hub: HubServer, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.repositories[REPOSITORY].private = True
    monkeypatch.setenv("HF_TOKEN", READER)
    assert pull(ADDRESS).revision == hub.head(REPOSITORY)
    assert all(READER not in request.path for request in hub.requests)
    from_store = [request for request in hub.requests if request.server == "store"]
    assert from_store and all("authorization" not in map(str.lower, request.headers) for request in from_store)


def test_a_token_of_the_login(hub: HubServer, tiny: Path, tmp_path: Path) -> None:
    hub.repositories[REPOSITORY].private = True
    (tmp_path / "token").write_text(f"{READER}\n")  # where `hf auth login` puts it
    assert pull(ADDRESS).revision == hub.head(REPOSITORY)


# Offline


def test_offline_a_cached_revision_loads(
    hub: HubServer, tiny: Path, owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = pull(ADDRESS).revision
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    hub.requests.clear()
    for name in (f"hf://{REPOSITORY}", f"hf://{REPOSITORY}@{revision}", "tiny"):
        assert load_segmenter(name).checkpoint.revision == revision
    assert not hub.requests
    with pytest.raises(HubUnreachableError, match="HF_HUB_OFFLINE is set"):
        pull(HubAddress("atelier/garmentscope-other"))


def test_offline_by_the_environment(hub: HubServer, tiny: Path, tmp_path: Path) -> None:
    """In a process of its own: what the client reads of its environment when it is imported is this way real."""
    environment = {**os.environ, **hub.environment(tmp_path / "home"), "GARMENTSCOPE_HUB": "atelier"}

    def run(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "segmodels", *arguments]
        return subprocess.run(command, env=environment | more, capture_output=True, text=True, timeout=120)

    pulled = run("pull", "tiny")
    assert (pulled.returncode, pulled.stderr) == (0, ""), "no bar where nobody watches"
    assert f"revision {hub.head(REPOSITORY)} of {REPOSITORY} is in {tmp_path / 'home'}" in pulled.stdout
    hub.requests.clear()
    offline = run("models", HF_HUB_OFFLINE="1")
    assert offline.returncode == 0 and re.search(r"^tiny +hub +unet_classic", offline.stdout, re.MULTILINE)
    assert offline.stderr.startswith(
        "HF_HUB_OFFLINE is set, so the Hub was not queried for atelier; only models pulled"
    )
    assert not hub.requests


@pytest.mark.parametrize("fault", [Fault("", status=503), Fault("", status=429), Fault("", cut=0)])
def test_a_hub_that_fails_leaves_what_was_pulled(hub: HubServer, tiny: Path, fault: Fault) -> None:
    pulled = pull(ADDRESS)
    hub.faults.append(fault)
    assert fetch(ADDRESS) == pulled
    with pytest.raises(HubUnreachableError):
        pull(ADDRESS)


# Failures, each with its own sentence and nothing half-written


def test_no_network(hub: HubServer, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{unused.getsockname()[1]}")
        assert said() == f"127.0.0.1 cannot be reached for {REPOSITORY}. Check the network connection."
    monkeypatch.setenv("HF_ENDPOINT", "http://no-such-host.invalid")
    assert said() == f"no-such-host.invalid cannot be reached for {REPOSITORY}. Check the network connection."


@pytest.mark.parametrize("asked", ["GET /api/models/.*/revision", "GET /api/models/.*/tree"])
def test_a_hub_that_does_not_answer(hub: HubServer, tiny: Path, monkeypatch: pytest.MonkeyPatch, asked: str) -> None:
    """The second is a request that the client itself would wait for without end."""
    monkeypatch.setattr(module, "_SECONDS", 0.3)
    hub.faults.append(Fault(asked, silent=1.5))
    assert said() == f"127.0.0.1 did not answer in time for {REPOSITORY}. Try again later."
    assert_nothing_is_pulled()


ANSWERS = {
    401: f"The Hub does not show {REPOSITORY} without a login: it is private, or does not exist. Check the name, run "
    "`hf auth login`, or set HF_TOKEN.",
    403: f"The token has no permission to read {REPOSITORY}. Use another token or another owner.",
    404: f"{REPOSITORY} does not exist on the Hub, or the token has no access to it. Check the name.",
    418: f"The Hub refused the request for {REPOSITORY} (status 418). Check the name and the revision.",
    429: "The Hub received too many requests from this address. Try again in 7 seconds.",
    500: "The Hub reported an internal error (status 500). Try again later.",
    503: "The Hub reported an internal error (status 503). Try again later.",
}


@pytest.mark.parametrize("status", ANSWERS)
@pytest.mark.parametrize("asked", ["/api/models/.*/revision", "HEAD .*/resolve/.*/model.safetensors", WEIGHTS])
def test_each_status_wherever_it_comes(hub: HubServer, tiny: Path, status: int, asked: str) -> None:
    hub.faults.append(Fault(asked, status=status, headers={"Retry-After": "7"} if status == 429 else {}))
    assert said() == ANSWERS[status]
    assert_nothing_is_pulled()


def test_what_the_hub_itself_says_of_a_name(hub: HubServer, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = HubAddress("atelier/garmentscope-other")
    assert said(other) == ANSWERS[401].replace(REPOSITORY, other.repository), "as it answers to whom it does not know"
    monkeypatch.setenv("HF_TOKEN", READER)
    assert said(other) == ANSWERS[404].replace(REPOSITORY, other.repository)
    assert said(HubAddress(REPOSITORY, "v9")) == (
        f"{REPOSITORY} has no revision 'v9' on the Hub. Name a branch, a tag or a commit of it."
    )
    assert "'not a name/at all' is not a repository name" in said(HubAddress("not a name/at all"))


def test_a_gated_repository(hub: HubServer, tiny: Path) -> None:
    hub.faults.append(Fault("/revision/", status=403, headers={"X-Error-Code": "GatedRepo"}))
    assert said().startswith(f"{REPOSITORY} is restricted by its owner.")


def test_a_passing_fault_passes(hub: HubServer, tiny: Path) -> None:
    hub.faults.append(Fault(WEIGHTS, status=429, times=2))
    hub.faults.append(Fault("HEAD .*safetensors", status=503, times=2))
    assert pull(ADDRESS).revision == hub.head(REPOSITORY)


def test_a_connection_that_is_cut_is_gone_on_with(hub: HubServer, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 1000)
    hub.faults.append(Fault(WEIGHTS, cut=30_500, times=1))
    seen: list[int] = []
    pulled = pull(ADDRESS, lambda done, total: seen.append(done))
    assert (pulled.folder / "model.safetensors").read_bytes() == (tiny / "model.safetensors").read_bytes()
    first, second = hub.asked(WEIGHTS)
    assert "Range" not in first.headers and second.headers["Range"] == "bytes=30000-", "whole parts are kept"
    assert seen == sorted(seen) and seen[-1] == sum(path.stat().st_size for path in tiny.iterdir())


def test_a_connection_that_is_reset_is_made_again(hub: HubServer, tiny: Path) -> None:
    hub.faults.append(Fault(WEIGHTS, cut=30_500, reset=True, times=2))
    assert (pull(ADDRESS).folder / "model.safetensors").read_bytes() == (tiny / "model.safetensors").read_bytes()


@pytest.mark.parametrize("reset", [False, True])
def test_a_connection_that_is_always_cut(hub: HubServer, tiny: Path, reset: bool) -> None:
    hub.faults.append(Fault(WEIGHTS, cut=0 if not reset else 100, reset=reset))
    assert said() == "The connection to 127.0.0.1 was cut. No incomplete file was kept; try again."
    assert_nothing_is_pulled()


@pytest.mark.parametrize("file", ["model.safetensors", "config.json"])
def test_a_file_that_is_damaged_on_the_way(hub: HubServer, tiny: Path, file: str) -> None:
    def damage(content: bytes) -> bytes:
        return content.replace(b'"height": 32', b'"height": 48') if file == "config.json" else content[:-1] + b"\x01"

    hub.faults.append(Fault(WEIGHTS if "safetensors" in file else f"GET .*{file}", body=damage, times=1))
    assert said() == (
        f"{file} of {REPOSITORY} does not have the checksum that the Hub states: it was damaged in transfer and "
        "has been deleted. Pull it again."
    )
    assert_nothing_is_pulled()
    pulled = pull(ADDRESS)
    assert (pulled.folder / file).read_bytes() == (tiny / file).read_bytes(), "which was fetched anew"


def test_a_file_that_is_too_long(hub: HubServer, tiny: Path) -> None:
    hub.faults.append(Fault(WEIGHTS, body=lambda content: content + b"x"))
    assert said() == f"A file of {REPOSITORY} arrived with another size than the Hub states. Try again."
    assert_nothing_is_pulled()


def test_a_newer_format(hub: HubServer, tiny: Path) -> None:
    config = json.loads((tiny / "config.json").read_text()) | {"format_version": 3}
    revision = hub.commit(REPOSITORY, {"config.json": json.dumps(config).encode()})
    assert said() == (
        f"{REPOSITORY}, revision {revision[:7]}, cannot be used. config.json is of format 3; this Garmentscope reads "
        "up to 2. Update Garmentscope."
    )
    assert not hub.asked(WEIGHTS), "which nobody can use"
    assert_nothing_is_pulled()


def test_weights_of_another_architecture(hub: HubServer, tiny: Path, save: Callable[..., Path]) -> None:
    other = save(arguments={"width": 0.1}) / "model.safetensors"
    hub.commit(REPOSITORY, {"model.safetensors": other.read_bytes()})
    assert "cannot be used. " in (sentence := said()) and "the architecture has" in sentence
    assert_nothing_is_pulled()


def test_a_failed_update_leaves_the_older_revision(hub: HubServer, tiny: Path, save: Callable[..., Path]) -> None:
    pulled = pull(ADDRESS)
    other = save(arguments={"width": 0.1}) / "model.safetensors"
    hub.commit(REPOSITORY, {"model.safetensors": other.read_bytes()})
    said()
    assert find_pulled(ADDRESS) == pulled
    hub.faults.append(Fault("", status=500))
    assert load_segmenter(f"hf://{REPOSITORY}").checkpoint.revision == pulled.revision


@pytest.mark.parametrize("name", ["pytorch_model.bin", "weights.pt", "model.ckpt", "deep/model.pth", "model.pkl"])
def test_only_a_pickle(hub: HubServer, tiny: Path, name: str) -> None:
    hub.commit(REPOSITORY, {"model.safetensors": None, name: b"\x80\x04cos\nsystem\n"})
    assert said() == (
        f"{REPOSITORY} holds its weights only as a pickle ({name}), which can run any code and is refused. Its owner "
        "can publish them as model.safetensors."
    )
    assert not hub.asked("resolve|store")


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_no_checkpoint(hub: HubServer, tiny: Path, name: str) -> None:
    hub.commit(REPOSITORY, {name: None})
    assert said() == f"{REPOSITORY} has no {name}: it is not a checkpoint of Garmentscope, or is empty."


@contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow beyond 20,000 bytes: the weights do not fit. Nor does the log of the tests: print nothing."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


FULL = "The disk is full: there is no space for {} in {}. Free space, or set HF_HOME to a folder on another disk."


def test_a_disk_that_becomes_full(hub: HubServer, tiny: Path) -> None:
    with full_disk():
        sentence = said()
    assert sentence == FULL.format(REPOSITORY, constants.HF_HUB_CACHE)
    assert_nothing_is_pulled()


def test_a_disk_that_is_full(hub: HubServer, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=50_000))
    assert said() == FULL.format(REPOSITORY, constants.HF_HUB_CACHE)
    assert not hub.asked(WEIGHTS)


def test_a_cache_that_cannot_be_written(
    hub: HubServer, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "file"))
    assert said().endswith(f"cannot be used: {os.strerror(errno.ENOTDIR)}.")


def test_what_is_no_hub(hub: HubServer, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.faults.append(Fault("/revision/", status=200))
    assert said() == "127.0.0.1 does not answer like a Hub. Check HF_ENDPOINT and the proxy, if there is one."
    monkeypatch.setenv("HF_ENDPOINT", "huggingface.co")
    assert said() == "HF_ENDPOINT is not the address of a Hub. Unset it, or write https://..."


@pytest.mark.parametrize(
    "text", ["hf://tiny", "hf://", "hf://datasets/a/b", "hf://a/b/c.bin", "hf://a/b@../../x", "hf://a b/c", "a/b@x y"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(HubError, match="is not the address of a checkpoint"):
        read_address(text)


def test_an_address() -> None:
    assert read_address("hf://a/b@v1.2") == HubAddress("a/b", "v1.2")
    assert read_address("hf://a/b@refs/pr/3") == HubAddress("a/b", "refs/pr/3")
    assert str(read_address("hf://a/b")) == "hf://a/b@main"


# The token


@pytest.mark.parametrize("token", ["hf_wrongButWellFormed", "hf_with\x01control", "hf_withÜmlaut", "hf_with space"])
def test_a_wrong_token_is_not_shown(
    hub: HubServer,
    tiny: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    token: str,
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    with caplog.at_level("DEBUG"):
        assert main(["pull", f"hf://{REPOSITORY}"]) == 1
    out, error = capfd.readouterr()
    assert error.startswith("The ") and " token" in error and error.count("\n") == 1
    assert token not in out + error + caplog.text and token[:7] not in out + error + caplog.text
    assert all(token not in request.path for request in hub.requests)


@pytest.mark.parametrize("fault", [*(Fault("GET", status=status) for status in ANSWERS), Fault("GET", cut=0)])
def test_a_right_token_is_not_shown_either(
    hub: HubServer, tiny: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, fault: Fault
) -> None:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.faults.append(fault)
    with caplog.at_level("DEBUG"):
        assert TOKEN not in said()
    assert TOKEN not in caplog.text


# The catalog


def test_a_catalog_name_is_pulled_once(hub: HubServer, tiny: Path, owner: str) -> None:
    seen: list[int] = []
    segmenter = load_segmenter("tiny", progress=lambda done, total: seen.append(done))
    assert (segmenter.checkpoint.name, segmenter.checkpoint.revision) == ("tiny", hub.head(REPOSITORY)) and seen
    hub.requests.clear()
    assert load_segmenter("tiny").checkpoint.revision == segmenter.checkpoint.revision
    (entry,) = list_checkpoints()
    assert (entry.name, entry.source, entry.revision) == ("tiny", "hub", hub.head(REPOSITORY))
    assert not hub.requests, "what is here is not asked for"


def test_the_hub_comes_last(hub: HubServer, tiny: Path, owner: str, models: Path) -> None:
    pull(ADDRESS)
    (entry,) = list_checkpoints()
    assert (entry.source, entry.folder) == ("folder", models / "tiny")
    assert load_segmenter("tiny").checkpoint.config.height == 64


def test_a_name_that_the_hub_does_not_have(hub: HubServer, tiny: Path, owner: str) -> None:
    with pytest.raises(HubError) as caught:
        load_segmenter("other")
    assert str(caught.value).startswith(
        "There is no model 'other'. Installed: none. The Hub does not show atelier/garmentscope-"
    )


def test_offers(hub: HubServer, tiny: Path, owner: str, save: Callable[..., Path], models: Path) -> None:
    shutil.move(models / "tiny", models / "mine")
    for name in ("one", "two"):
        hub.publish(f"atelier/garmentscope-{name}", save(seed=3))
    hub.create("atelier/garmentscope-empty")
    hub.create("atelier/something-else")
    pull_checkpoint("tiny")
    newest = hub.publish(REPOSITORY, save(seed=4))
    offers, problem = list_offers()
    assert problem == ""
    by_name = {offer.name: offer for offer in offers}
    assert {name: offer.place for name, offer in by_name.items()} == {
        **{"empty": "not pulled", "mine": "folder", "one": "not pulled", "tiny": "hub", "two": "not pulled"}
    }
    assert [name for name, offer in by_name.items() if offer.has_update] == ["tiny"]
    there = by_name["one"].hub
    assert there and there.folder and not there.problem and there.size == (tiny / "model.safetensors").stat().st_size
    assert {path.name for path in there.folder.iterdir()} == {"config.json", "README.md", "metrics.json"}
    assert there.revision == hub.head("atelier/garmentscope-one")
    assert by_name["empty"].hub and "has no config.json" in by_name["empty"].hub.problem
    assert by_name["empty"].folder is None
    assert len(hub.asked(r"GET /store/")) == 1, "no weights but those of the pull"
    assert pull_checkpoint("tiny").revision == newest
    assert not any(offer.has_update for offer in list_offers()[0])


def test_offers_of_a_hub_that_cannot_be_asked(hub: HubServer, tiny: Path, owner: str) -> None:
    pulled = pull_checkpoint("tiny")
    hub.faults.append(Fault("", status=503))
    offers, problem = list_offers()
    assert problem == "The Hub reported an internal error (status 503). Try again later."
    (offer,) = offers
    assert offer.place == "hub" and offer.folder == pulled.folder and offer.hub is None and not offer.has_update
    assert len(hub.asked("/api/models[?]")) == 1, "a page should not wait for further attempts"


def test_offers_of_a_hub_that_is_silent(
    hub: HubServer, tiny: Path, owner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FIRST_SECONDS", 0.2)
    hub.faults.append(Fault("", silent=1.5))
    assert list_offers() == ([], "127.0.0.1 did not answer in time for atelier. Try again later.")
    assert len(hub.requests) == 1


def test_offers_without_a_hub(hub: HubServer, models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    offers, problem = list_offers()
    assert problem == "" and not hub.requests and all(isinstance(offer, Offer) and not offer.hub for offer in offers)
    with pytest.raises(
        CheckpointError, match="Set GARMENTSCOPE_HUB to the owner of fpn on the Hub, or write hf://owner/"
    ):
        pull_checkpoint("fpn")


def test_an_owner_without_checkpoints(hub: HubServer, owner: str) -> None:
    assert list_hub(owner) == [] and list_offers() == ([], "")


def test_an_owner_that_is_none(hub: HubServer, monkeypatch: pytest.MonkeyPatch, models: Path) -> None:
    monkeypatch.setenv("GARMENTSCOPE_HUB", "no/owner at all")
    assert "tiny" in {entry.name for entry in list_checkpoints()}
    with pytest.raises(HubError, match="is not a repository name"):
        pull_checkpoint("other")


# The command line


def test_pull_on_the_command_line(hub: HubServer, tiny: Path, owner: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pull", "other", "tiny"]) == 1, "one that fails does not keep the next from being pulled"
    out, error = capsys.readouterr()
    assert out.startswith(f"tiny: revision {hub.head(REPOSITORY)} of {REPOSITORY} is in ") and out.count("\n") == 1
    assert error.startswith("The Hub does not show atelier/garmentscope-other without a login")


def test_models_on_the_command_line(
    hub: HubServer, tiny: Path, owner: str, save: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models"]) == 0
    assert re.search(rf"^tiny +not pulled +unet_classic +32 x 32 .* hf://{REPOSITORY}, 0\.\d MB$", line(capsys, "tiny"))
    main(["pull", "tiny"])
    hub.publish(REPOSITORY, save(seed=1))
    capsys.readouterr()
    assert main(["models"]) == 0
    assert line(capsys, "tiny").endswith(", the Hub has a newer revision")


def line(capsys: pytest.CaptureFixture[str], name: str) -> str:
    (found,) = [each for each in capsys.readouterr().out.splitlines() if each.startswith(f"{name} ")]
    return found


def test_a_list_of_names_imports_nothing_heavy(tmp_path: Path) -> None:
    code = (
        "import sys; from segmodels.checkpoints.catalog import list_checkpoints; list_checkpoints(); "
        "print('torch' in sys.modules)"
    )
    environment = os.environ | {"GARMENTSCOPE_HUB": "atelier", "HF_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
