"""The same analysis on a Ray cluster: actors hold the model and read the photos, and return what they found.

Needs the extra `ray`. The cluster is the one in `RAY_ADDRESS`, else one on this machine. Every node needs this
package, the model under the same name, and access to the photos.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Container, Generator, Sequence
from functools import partial
from typing import Any

from segmodels.archive.ingest import Outcome, analyse_here, version_of
from segmodels.archive.sources import Source, read_file
from segmodels.archive.store import ArchiveError, Version

__all__ = ["analyse_on_ray"]

_BATCH = 16  # photos that an actor takes at once
_TRIES = 2  # a photo whose actor is killed this often while it has nothing else to do is rejected
_STARTS = 3  # the cluster has failed if so many actors in a row are killed while they load the model


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

    An actor that is killed, as by a system without memory, takes its photos with it. Another one then tries them one
    by one, and a photo whose actor is killed again is rejected.

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
    except ImportError:
        raise ArchiveError("Ray is not installed. Install it with: pip install 'garmentscope[ray]'") from None
    if here := [source.name for source in sources if not source.location]:
        raise ArchiveError(f"A cluster reads photos from folders, not from a ZIP or an upload: {here[0]}.")
    try:
        if not ray.is_initialized():
            ray.init(log_to_driver=False, logging_level=logging.ERROR, include_dashboard=False)
        resources = ray.cluster_resources()
        gpus = 0 if device == "cpu" else int(resources.get("GPU", 0))
        actor = ray.remote(num_cpus=1, num_gpus=1 if gpus else 0)(_Analyser)
        start = partial(actor.remote, model, version, ray.put(known), device, precision)
        yield from _outcomes(start, gpus or max(1, int(resources.get("CPU", 1)) - 1), sources)
    except (ray.exceptions.RayError, ConnectionError) as error:
        raise ArchiveError(f"The Ray cluster failed: {_reason(error)}. Photos added before are kept.") from error


def _outcomes(start: partial[Any], actors: int, sources: Sequence[Source]) -> Generator[Outcome, None, None]:
    """Deals photos out to actors, each of which has one batch at a time, so that it is known what killed it.

    Ray Data is not used: of an actor that was killed it loses its processor core for good.

    Args:
        start: Function that starts an actor.
        actors: Number of actors that the cluster has place for.
        sources: The photos.
    """
    import ray

    killed = (ray.exceptions.RayActorError, ray.exceptions.OutOfMemoryError, ray.exceptions.ObjectLostError)
    batches = deque(sources[first : first + _BATCH] for first in range(0, len(sources), _BATCH))
    busy: dict[Any, tuple[Any, Sequence[Source]]] = {}  # by what it will return: an actor, and what it works on
    tries: Counter[str] = Counter()
    starts = 0

    def begin() -> None:
        actor = start()
        busy[actor.load.remote()] = actor, ()

    for _ in range(min(actors, len(batches))):
        begin()
    try:
        while busy:
            (done,), _ = ray.wait(list(busy))
            actor, batch = busy.pop(done)
            try:
                outcomes = ray.get(done)
            except killed:
                starts = 0 if batch else starts + 1
                if starts == _STARTS:
                    raise
                tries.update([batch[0].name] if len(batch) == 1 else [])
                batches.extend([source] for source in batch if tries[source.name] < _TRIES)
                yield from (_rejected(source.name) for source in batch if tries[source.name] == _TRIES)
                begin()
                continue
            yield from outcomes
            starts = 0
            if batches:
                batch = batches.popleft()
                busy[actor.analyse.remote([(source.name, source.location) for source in batch])] = actor, batch
    finally:
        for actor, _ in busy.values():
            ray.kill(actor)


def _rejected(name: str) -> Outcome:
    return Outcome(
        name,
        reason=f"{name} was not analysed: the process that worked on it was killed each time, probably for want of "
        "memory. Give the workers more of it, or make the photo smaller.",
    )


def _reason(error: Exception) -> str:
    """The last line of an error of Ray, or of the error of the task that was its cause."""
    cause = getattr(error, "cause", None) or error
    return str(cause).strip().rpartition("\n")[2].rstrip(". ")


class _Analyser:
    """An actor: holds the model.

    Args:
        model: Catalog name or folder of the model to load.
        version: Version that the model must have.
        known: Ids of photos to pass over.
        device: Name of the device.
        precision: Number format of the network's features.
    """

    def __init__(
        self, model: str, version: Version, known: Container[str], device: str | None, precision: str | None
    ) -> None:
        self._model, self._version, self._known = model, version, known
        self._device, self._precision = device, precision

    def load(self) -> list[Outcome]:
        """Loads the model; there are no outcomes yet.

        Raises:
            GarmentscopeError: If the node has no such model, or another version.
        """
        from segmodels.checkpoints.catalog import load_segmenter

        self._segmenter = load_segmenter(self._model, self._device, precision=self._precision)
        if (mine := version_of(self._segmenter)) != self._version:
            raise ArchiveError(f"A node of the cluster has {mine} instead of {self._version}. Install the same there.")
        return []

    def analyse(self, photos: Sequence[tuple[str, str]]) -> list[Outcome]:
        """Outcomes of photos, given by name and folder.

        Raises:
            CheckpointError: If the node's person detector is missing or damaged.
        """
        sources = [Source(name, partial(read_file, location, name), location) for name, location in photos]
        return list(analyse_here(self._segmenter, sources, self._known))
