"""Fixtures for all: `browser` (Chromium under Playwright), `serve` (a Streamlit script), `hub` (a Hugging Face Hub)."""

from __future__ import annotations

import gc
import os
import signal
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import pytest
from chromium import NoChromiumError, launch
from hub_server import HubServer, running_hub
from huggingface_hub import constants
from playwright.sync_api import Browser, expect, sync_playwright
from served_app import Server
from streamlit_page import WAIT

import segmodels  # noqa: F401  # sets how threads wait, before PyTorch is loaded

REPOSITORY = Path(__file__).parents[1]
SETTINGS = {name: os.environ.pop(name) for name in list(os.environ) if name.startswith("GARMENTSCOPE_")}
"""Whoever runs the tests may have set some for the app; the tests start without."""

START_SECONDS = 120.0

if "PYTEST_XDIST_WORKER" in os.environ:  # as many as cores: threads of their own would only wait for each other
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell that starts the tests in the background lets them ignore Ctrl-C, and some of them interrupt themselves.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_finish() -> None:
    """What was imported stays; Streamlit would have the garbage collector look at it after each run of a page."""
    gc.freeze()


def pytest_unconfigure() -> None:
    """Else DuckDB's bindings call what is left at the end a leak."""
    gc.unfreeze()


Serve = Callable[..., str]
"""Takes a script, further environment variables, and whether it needs a `fresh` interpreter; gives the address."""


@pytest.fixture
def _float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of this process compute in float32, also on a processor that is faster in bfloat16."""
    monkeypatch.setattr("segmodels.device._seconds_of_a_product", lambda dtype: 1.0)


@pytest.fixture(scope="session")
def clothing_co_parsing() -> Path:
    """Folder of the real data set, for slow checks; skips where `GARMENTSCOPE_DATA` names none."""
    root = Path(SETTINGS.get("GARMENTSCOPE_DATA", "/nowhere"))
    if not (root / "label_list.mat").is_file():
        pytest.skip("GARMENTSCOPE_DATA names no folder of Clothing Co-Parsing")
    return root


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Headless Chromium, one for each process of the run; open pages in it with `browser.new_page()`."""
    with sync_playwright() as playwright:
        try:
            chromium = launch(playwright.chromium)
        except NoChromiumError as error:
            pytest.fail(str(error), pytrace=False)
        expect.set_options(timeout=WAIT)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serve]:
    """A function that serves a Streamlit script from the repository's root and returns its address.

    The servers run until the test module is done, each with an empty cache, so that whoever runs the tests may have
    archives of their own.
    """
    servers: list[Server] = []

    def start(script: Path, environment: Mapping[str, str] | None = None, *, fresh: bool = False) -> str:
        port = _free_port()
        log = tmp_path_factory.mktemp("streamlit") / "server.log"
        options = {
            "server.address": "127.0.0.1",
            "server.port": str(port),
            "server.headless": "true",
            "server.fileWatcherType": "none",
            "browser.gatherUsageStats": "false",
        }
        arguments = [f"--{name}={value}" for name, value in options.items()]
        own = {"GARMENTSCOPE_CACHE": str(log.parent / "cache"), **(environment or {})}
        servers.append(Server(script, arguments, own, log, fresh=fresh))
        address = f"http://127.0.0.1:{port}"
        _wait_until_healthy(servers[-1], address, log)
        return address

    yield start
    for server in servers:
        server.kill()


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """A Hub of the test's own for the client in this process: its cache is empty, and nobody is logged in.

    A process that is started takes `hub.environment(...)`. The client waits between attempts, but not here.
    """
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "GARMENTSCOPE_HUB"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr(constants, "HF_STORED_TOKENS_PATH", str(tmp_path / "stored_tokens"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for module in ("utils._http", "file_download"):
        monkeypatch.setattr(f"huggingface_hub.{module}.time", SimpleNamespace(sleep=lambda seconds: None))
    with running_hub() as server:
        monkeypatch.setenv("HF_ENDPOINT", server.address)
        yield server
    huggingface_hub.close_session()


@pytest.fixture(scope="session")
def more_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for `GARMENTSCOPE_MODELS`: `tiny` guesses, `blank` and `empty` see background, `torn` has no weights."""
    import torch

    from segmodels.architectures import build
    from segmodels.checkpoints.checkpoint import save_checkpoint
    from segmodels.checkpoints.config import CheckpointConfig
    from segmodels.taxonomy import OUTFIT_15

    folder = tmp_path_factory.mktemp("models")
    config = CheckpointConfig(
        architecture="unet_classic",
        arguments={"width": 0.05},
        taxonomy="OUTFIT_15",
        classes=list(OUTFIT_15.names),
        height=64,
        width=64,
        mean=0.5,
        std=0.5,
        crop="none",
    )
    torch.manual_seed(3)
    network = build(config.architecture, len(config.classes), config.arguments)
    for name in ("tiny", "torn"):
        save_checkpoint(folder / name, config, network)
    (folder / "torn" / "model.safetensors").unlink()
    last = [module for module in network.modules() if isinstance(module, torch.nn.Conv2d)][-1]
    assert last.bias is not None and len(last.bias) == len(OUTFIT_15)
    with torch.no_grad():
        last.bias[0] += 1000
    for name in ("blank", "empty"):
        save_checkpoint(folder / name, config, network)
    return folder


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_healthy(server: Server, address: str, log: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.lives:
        try:
            with opener.open(f"{address}/_stcore/health", timeout=2):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"Streamlit did not come up at {address}. Its log:\n{log.read_text(errors='replace')}", pytrace=False)
