"""The API without a server: a small network with random weights, and archives of the tests' own."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from archive_fixtures import segmenter
from PIL import Image
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from dashboard.api.application import create_api
from dashboard.api.limits import Limits
from dashboard.api.routes import PREFIX

__all__ = ["segmenter"]

Open = Callable[..., TestClient]


@pytest.fixture
def open_api(more_models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Open]:
    """Makes a client of an API with limits of its own; the model `tiny` is installed, and no archive but what ships."""
    monkeypatch.setenv("GARMENTSCOPE_MODELS", str(more_models))
    monkeypatch.setenv("GARMENTSCOPE_CACHE", str(tmp_path / "cache"))
    opened: list[TestClient] = []

    def make(limits: Limits | None = None) -> TestClient:
        app = Starlette(routes=[Mount(PREFIX, create_api(limits or Limits()))])
        opened.append(TestClient(app, f"http://localhost{PREFIX}", client=("127.0.0.1", 50_000)).__enter__())
        return opened[-1]

    yield make
    for each in opened:
        each.__exit__(None, None, None)


@pytest.fixture
def client(open_api: Open) -> TestClient:
    return open_api()


@pytest.fixture
def photo() -> Callable[[int], bytes]:
    """Makes the file of a small noisy photo."""

    def make(seed: int = 0) -> bytes:
        pixels = np.random.default_rng(seed).integers(0, 256, (90, 60, 3), np.uint8)
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, "PNG")
        return out.getvalue()

    return make
