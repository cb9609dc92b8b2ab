from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import torch
from fake_cuda import fake_cuda

import segmodels.archive.ingest
from segmodels.archive.ingest import analyse_here
from segmodels.archive.sources import find_sources
from segmodels.checkpoints.checkpoint import load_checkpoint
from segmodels.inference.segmenter import Segmenter

pytestmark = pytest.mark.usefixtures("_float32")


class InThisThread:
    """In place of a pool of threads: a fake GPU is there in one thread only."""

    def __init__(self, threads: int, **options: object) -> None:
        assert 4 <= threads <= 8, "as many batches are on their way to a GPU"

    def __enter__(self) -> "InThisThread":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def shutdown(self, **options: object) -> None:
        pass

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        future: Future[Any] = Future()
        future.set_result(function(*arguments))
        return future


def test_a_folder_is_analysed_as_by_the_processor(
    folder: Path, more_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = []
    for device in (torch.device("cpu"), torch.device("cuda", 0)):
        with fake_cuda():
            if device.type == "cuda":
                monkeypatch.setattr(segmodels.archive.ingest, "ThreadPoolExecutor", InThisThread)
            segmenter = Segmenter(load_checkpoint(more_models / "tiny"), device)
            outcomes = list(analyse_here(segmenter, find_sources(folder).sources, set()))
        rows.append([{**(outcome.row or {}), "analysed_at": None} for outcome in outcomes])
    assert len(rows[0]) == 6 and all(row["garments"] for row in rows[0]) and rows[0] == rows[1]
