"""The same analysis on a Ray cluster: actors hold the model and read the photos, and return rows to be written.

Needs the extra `ray`. The cluster is the one in `RAY_ADDRESS`, else one on this machine. Every node needs this
package, the model under the same name, and access to the photos.
"""

from __future__ import annotations

import logging
from collections.abc import Container, Generator, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from segmodels.archive.ingest import Outcome, analyse_here, version_of
from segmodels.archive.rows import SCHEMA
from segmodels.archive.sources import Source, read_file
from segmodels.archive.store import ArchiveError, Version
from segmodels.checkpoints.errors import CheckpointError
from segmodels.errors import GarmentscopeError

__all__ = ["analyse_on_ray"]

_BATCH = 16  # photos that an actor takes at once
_MOST_BLOCKS = 4096  # each is a task of Ray's; rows are returned and written block by block
_BESIDE = ("name", "key", "reason", "note", "fault")  # columns beside those of a row
_OUTCOMES = pa.schema([*((name, pa.string()) for name in _BESIDE), *SCHEMA])


def analyse_on_ray(
    model: str,
    version: Version,
    sources: Sequence[Source],
    known: Container[str],
    *,
    device: str | None = None,
    precision: str | None = None,
) -> Generator[Outcome, None, None]:
    """Analyses photos on a Ray cluster: one actor per GPU, or per processor core without a GPU.

    A worker that is killed, as by a system without memory, takes its photos with it. They are then tried one by one,
    and a photo whose worker is killed each time is rejected.

    Args:
        model: Catalog name, or a folder that all nodes see.
        version: Version that the model must have on every node.
        sources: Photos that any node can read.
        known: Ids of photos to pass over.
        device: Name of the device on every node, as `--device` takes it; with `cpu` no GPU is requested.
        precision: Number format of the network's features.

    Yields:
        Outcome of each photo, in any order.

    Raises:
        ArchiveError: If Ray is not installed, a source is not a file in a folder, or the cluster fails.
    """
    try:
        import ray
        import ray.data
    except ImportError:
        raise ArchiveError("Ray is not installed. Install it with: pip install 'garmentscope[ray]'") from None
    if here := [source.name for source in sources if not source.location]:
        raise ArchiveError(f"A cluster reads photos from folders, not from a ZIP or an upload: {here[0]}.")
    try:
        if not ray.is_initialized():
            ray.init(log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.max_errored_blocks = -1  # blocks whose worker was killed are left out
        resources = ray.cluster_resources()
        gpus = 0 if device == "cpu" else int(resources.get("GPU", 0))
        actors = gpus or max(1, int(resources.get("CPU", 1)) - 1)
        arguments = (model, version, ray.put(known), device, precision)
        left = {source.name: source for source in sources}
        for group, size in _rounds(left):
            photos = [{"name": source.name, "location": source.location} for source in group]
            blocks = max(1, min(len(photos) // size, _MOST_BLOCKS))
            outcomes = ray.data.from_items(photos, override_num_blocks=blocks).map_batches(
                _Analyser,
                fn_constructor_args=arguments,
                batch_size=size,
                compute=ray.data.ActorPoolStrategy(
                    min_size=1, max_size=min(actors, blocks), max_tasks_in_flight_per_actor=1 if size == 1 else None
                ),
                num_cpus=1,
                num_gpus=1 if gpus else 0,
                max_task_retries=0,
            )
            batch: Any
            for batch in outcomes.iter_batches(batch_format="pyarrow", batch_size=None):
                for row in batch.to_pylist():
                    name, key, reason, note, fault = (row.pop(each) for each in _BESIDE)
                    if fault:
                        raise ArchiveError(f"The Ray cluster failed: {fault} Photos added before are kept.")
                    if left.pop(name, None):
                        yield Outcome(name, key, row if row["photo_id"] else None, reason, note)
        for name in left:
            yield Outcome(
                name,
                reason=f"{name} was not analysed: the process that worked on it was killed each time, probably for "
                "want of memory. Give the workers more of it, or make the photo smaller.",
            )
    except (ray.exceptions.RayError, ConnectionError) as error:
        raise ArchiveError(f"The Ray cluster failed: {_reason(error)}. Photos added before are kept.") from error


def _rounds(left: Mapping[str, Source]) -> Iterator[tuple[list[Source], int]]:
    """Photos that are still to be analysed, and how many a worker takes at once: batches, then single photos.

    What a killed worker was to do next is lost as well, so that at last each photo has the cluster for itself.

    Args:
        left: Photos without an outcome by name; whoever has one is taken out between two rounds.
    """
    for size in (_BATCH, 1):
        if left:
            yield list(left.values()), size
    for source in list(left.values()):
        yield [source], 1


def _reason(error: Exception) -> str:
    """The last line of an error of Ray, or of the error of the task that was its cause."""
    cause = getattr(error, "cause", None) or error
    return str(cause).strip().rpartition("\n")[2].rstrip(". ")


class _Analyser:
    """An actor: holds the model.

    Args:
        model: Catalog name or folder of the model to load.
        version: Version that the model must have.
        known: Reference to the ids of photos to pass over.
        device: Name of the device.
        precision: Number format of the network's features.
    """

    def __init__(
        self, model: str, version: Version, known: Any, device: str | None = None, precision: str | None = None
    ) -> None:
        import ray

        from segmodels.checkpoints.catalog import load_segmenter

        self._fault = ""
        try:
            self._segmenter = load_segmenter(model, device, precision=precision)
        except GarmentscopeError as error:
            self._fault = str(error)
            return
        if (mine := version_of(self._segmenter)) != version:
            self._fault = f"A node of the cluster has {mine} instead of {version}. Install the same there."
        self._known: Container[str] = ray.get(known)

    def __call__(self, batch: dict[str, np.ndarray]) -> pa.Table:
        sources = [
            Source(name, partial(read_file, location, name), location)
            for name, location in zip(batch["name"].tolist(), batch["location"].tolist(), strict=True)
        ]
        empty = dict.fromkeys([*_BESIDE, *SCHEMA.names])
        outcomes = []
        try:
            for outcome in analyse_here(self._segmenter, sources, self._known) if not self._fault else ():
                beside = {"key": outcome.photo_id, "reason": outcome.reason, "note": outcome.note}
                row = {**outcome.row, "tags": []} if outcome.row else {}
                outcomes.append({**empty, "name": outcome.name, **beside, **row})
        except CheckpointError as error:
            self._fault = str(error)
        if self._fault:  # an error would pass for a worker that was killed
            outcomes.append({**empty, "fault": self._fault})
        return pa.Table.from_pylist(outcomes, _OUTCOMES)
