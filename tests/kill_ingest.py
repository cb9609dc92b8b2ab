"""Kills an ingest (SIGKILL) at moments drawn at random, and looks at its archive each time: `make kills`.

Parts hold two photos and become one often, so that many a kill falls into the writing, joining or removing of a part.
With `--engine ray` the photos are analysed on a cluster of this machine, which outlives the kills, and the process that
writes is killed: `make kills KILLS=100 ENGINE=ray`.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from PIL import Image
from tiny_model import save_tiny

from segmodels.archive import ingest as ingesting
from segmodels.archive.metadata import parse_metadata
from segmodels.archive.rows import photo_id
from segmodels.archive.sources import find_sources
from segmodels.archive.store import Archive, Writer
from segmodels.checkpoints.catalog import load_segmenter

KILLS = 100
PHOTOS_A_KILL = 8
ROOT = Path(__file__).parents[1]


def kill_often(folder: Path, kills: int, photos: int, seed: int = 0, engine: str = "local") -> list[int]:
    """Kills an ingest and lets the last one come to its end.

    Args:
        folder: An empty one to work in.
        kills: How many.
        photos: In all.
        seed: Of the photos and of the moments.
        engine: `local`, or `ray` on the cluster that `RAY_ADDRESS` names.

    Returns:
        Rows after each kill, and at the end.

    Raises:
        AssertionError: If the archive cannot be read, has lost a row that was in a part, or has one twice.
    """
    moments = random.Random(seed)
    model, source, place = folder / "model", folder / "photos", folder / "archive"
    save_tiny(model)
    expected = _make_photos(source, photos, seed)
    counts = [0]
    for kill in range(kills):
        until = moments.randrange(max(2, 3 * photos // (2 * kills)))
        said = _ingest(source, place, model, engine, until, moments.uniform(0, 0.05))
        ids = _ids(place)
        assert len(ids) == len(set(ids)), f"kill {kill}: a photo counts twice"
        assert set(ids) <= expected, f"kill {kill}: a photo that never was"
        assert len(ids) >= counts[-1] + said, f"kill {kill}: {counts[-1]} rows and {said} new ones became {len(ids)}"
        counts.append(len(ids))
    _ingest(source, place, model, engine, None, 0)
    ids = _ids(place)
    assert sorted(ids) == sorted(expected), "at the end each photo counts once"
    whole = duckdb.execute(f"SELECT count(*), count(*) FILTER (tags['market'] = 'North') FROM '{place}/**/*.parquet'")
    assert whole.fetchone() == (len(expected), len(expected)), "and no part holds what another does"
    assert not list(place.rglob("*.unfinished"))
    return [*counts[1:], len(ids)]


def _ingest(source: Path, place: Path, model: Path, engine: str, until: int | None, later: float) -> int:
    """Starts an ingest and kills it some seconds after its new photo `until`; returns the rows it said were written."""
    forks = multiprocessing.get_context("forkserver")  # so that not every one imports PyTorch anew
    forks.set_forkserver_preload(["segmodels.archive.ingest", "segmodels.checkpoints.catalog"])
    here, there = forks.Pipe(duplex=False)
    process = forks.Process(target=_be_killed, args=(there, str(source), str(place), str(model), engine))
    process.start()
    there.close()
    written = 0
    with suppress(EOFError, OSError):  # a message may be cut off
        while True:
            word, number = here.recv()
            written += number if word == "written" else 0
            if until is not None and word == "new" and number >= until:
                time.sleep(later)
                process.kill()
                until = None
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL), process.exitcode
    return written


def _ids(place: Path) -> list[str]:
    if not Archive(place).versions():
        return []
    with Archive(place).reader() as reader:
        return list(reader.query("SELECT photo_id, count(*) OVER (), garments, class_map FROM photos")["photo_id"])


def _make_photos(folder: Path, photos: int, seed: int) -> set[str]:
    folder.mkdir()
    noise = np.random.default_rng(seed)
    for number in range(photos):
        pixels = noise.integers(0, 256, (6, 4, 3), np.uint8)
        Image.fromarray(pixels).resize((40, 60)).save(folder / f"look{number:04d}.jpg")
    names = [path.name for path in folder.iterdir()]
    (folder / "looks.csv").write_text("photo,market\n" + "".join(f"{name},North\n" for name in names))
    return {photo_id(path.read_bytes()) for path in folder.glob("*.jpg")}


def _be_killed(said: Connection, source: str, place: str, model: str, engine: str) -> None:
    """The process that is killed: says how many rows are in a part, and how many photos are new."""
    ingesting.PART_PHOTOS = 2
    ingesting._COMPACT_PARTS = 3
    Writer.compact.__defaults__ = (2,)  # small parts are enough to be merged
    append = Writer.append

    def say(writer: Writer, rows: pa.Table) -> int:
        added = append(writer, rows)
        said.send(("written", added))
        return added

    Writer.append = say  # type: ignore[method-assign]
    segmenter = load_segmenter(model)
    version = ingesting.version_of(segmenter)
    analyse: ingesting.Engine = partial(ingesting.analyse_here, segmenter)
    if engine == "ray":
        from segmodels.archive.cluster import analyse_on_ray

        analyse = partial(analyse_on_ray, model, version, device="cpu")
    metadata = parse_metadata(Path(source, "looks.csv").read_bytes(), "looks.csv")
    ingesting.ingest(
        find_sources(source),
        Archive(place),
        version,
        analyse,
        metadata,
        lambda progress: said.send(("new", progress.added)),
    )


@contextmanager
def _cluster(engine: str) -> Iterator[None]:
    """A cluster of Ray on this machine for the processes that are started meanwhile; nothing for the local engine."""
    if engine != "ray":
        yield
        return
    import ray

    os.environ["PYTHONPATH"] = str(ROOT)  # for its workers
    here = ray.init(include_dashboard=False, log_to_driver=False)
    os.environ["RAY_ADDRESS"] = here.address_info["address"]
    try:
        yield
    finally:
        del os.environ["RAY_ADDRESS"]
        ray.shutdown()


def main() -> None:
    """Kills as often as was asked for, and says what the archive held after each kill."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=KILLS)
    parser.add_argument("--engine", choices=["local", "ray"], default="local")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, _cluster(arguments.engine):
        photos = PHOTOS_A_KILL * arguments.kills
        counts = kill_often(Path(folder), arguments.kills, photos, arguments.seed, arguments.engine)
    print(
        f"{arguments.kills} kills of the {arguments.engine} engine, rows after each: {counts}. Nothing was lost, "
        "nothing counted twice."
    )


if __name__ == "__main__":
    main()
