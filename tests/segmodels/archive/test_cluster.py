import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest
from archive_rows import rows_of

from segmodels.archive.cluster import _Analyser, analyse_on_ray
from segmodels.archive.ingest import Outcome, Report, analyse_here, ingest, version_of
from segmodels.archive.sources import find_sources, from_uploads
from segmodels.archive.store import Archive, ArchiveError
from segmodels.checkpoints.catalog import load_segmenter

ROOT = Path(__file__).parents[3]
_HEAVY = "heavy.jpg"


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("RAY_worker_niceness", "0")  # at its usual 15 a worker starves beside other tests
    ray = pytest.importorskip("ray", reason="Ray is not installed")
    environment = {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    ray.init(
        num_cpus=2, num_gpus=0, include_dashboard=False, log_to_driver=False, runtime_env={"env_vars": environment}
    )
    yield
    ray.shutdown()


@pytest.mark.filterwarnings("ignore")
def test_ray_gives_the_rows_of_the_local_engine(folder: Path, tmp_path: Path, more_models: Path, cluster: None) -> None:
    (folder / "letter.jpg").write_text("a letter to the tailor, much longer than any header")
    model = str(more_models / "tiny")
    segmenter = load_segmenter(model)
    version = version_of(segmenter)
    engines = {"local": partial(analyse_here, segmenter), "ray": partial(analyse_on_ray, model, version)}
    found = {"local": find_sources(folder), "ray": find_sources(folder.as_uri())}
    reports = {}
    for name, engine in engines.items():
        reports[name] = ingest(found[name], Archive((tmp_path / name).as_uri()), version, engine)
        assert (reports[name].added, reports[name].rejected) == (6, reports["local"].rejected)
    local, ray = (
        rows_of(Archive(tmp_path / name), "* EXCLUDE (analysed_at)").astype(str).to_dict("records") for name in engines
    )
    assert ray == local
    again = ingest(found["ray"], Archive(tmp_path / "ray"), version, engines["ray"])
    assert (again.added, again.known) == (0, 6)
    wrong = partial(analyse_on_ray, str(more_models / "blank"), version)
    with pytest.raises(ArchiveError, match=r"cluster failed.*has blank .*instead of tiny"):
        ingest(found["ray"], Archive(tmp_path / "wrong"), version, wrong)


class _Killed(_Analyser):
    """A worker that the system kills at one photo, as for want of memory."""

    def analyse(self, photos: Sequence[tuple[str, str]]) -> list[Outcome]:
        if any(name.endswith(_HEAVY) for name, _ in photos):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().analyse(photos)


@pytest.mark.timeout(900)  # each killed worker is another process that imports PyTorch
@pytest.mark.filterwarnings("ignore")
def test_a_worker_that_is_killed_costs_the_others_nothing(
    folder: Path, tmp_path: Path, more_models: Path, cluster: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    photos = sorted(path for path in folder.rglob("*") if path.suffix == ".jpg")
    photos[0].rename(photos[0].with_name(_HEAVY))
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    monkeypatch.setattr("segmodels.archive.cluster._Analyser", _Killed)
    model = str(more_models / "tiny")
    version = version_of(load_segmenter(model))
    found, archive = find_sources(folder.as_uri()), Archive(tmp_path / "archive")
    report = ingest(found, archive, version, partial(analyse_on_ray, model, version))
    assert report.added == len(found.sources) - 1 == len(rows_of(archive))
    ((name, reason),) = report.rejected
    assert name.endswith(_HEAVY)
    assert "was not analysed: the process that worked on it was killed each time, probably for want of memory" in reason


def test_a_cluster_does_not_read_uploads(photo: Callable[..., bytes], archive: Archive, more_models: Path) -> None:
    pytest.importorskip("ray", reason="Ray is not installed")
    version = version_of(load_segmenter(str(more_models / "tiny")))
    with pytest.raises(ArchiveError, match=r"not from a ZIP or an upload: look\.jpg"):
        ingest(from_uploads([("look.jpg", photo())]), archive, version, partial(analyse_on_ray, "tiny", version))


def test_without_ray_it_says_what_to_install(
    folder: Path, archive: Archive, more_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    version = version_of(load_segmenter(str(more_models / "tiny")))

    def run() -> Report:
        return ingest(find_sources(folder), archive, version, partial(analyse_on_ray, "tiny", version))

    with pytest.raises(ArchiveError, match=r"pip install 'garmentscope\[ray\]'"):
        run()
