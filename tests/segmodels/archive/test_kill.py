import signal
from pathlib import Path

import pytest
from kill_changes import kill_changes
from kill_ingest import kill_often
from s3_server import running_s3

from segmodels.archive import place as places

pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system knows no SIGKILL")


def test_a_killed_ingest_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Three kills; `make kills` does a hundred."""
    counts = kill_often(tmp_path, kills=3, photos=40)
    assert counts[-1] == 40 and counts == sorted(counts)


def test_a_killed_change_is_done_as_a_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two kills on a disk, while another process adds photos."""
    monkeypatch.setattr(places, "LEASE", places.LEASE)  # which the killer shortens
    kill_changes(str(tmp_path / "archive"), 0, kills=2)


def test_a_killed_change_in_a_bucket_is_done_as_a_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "LEASE", places.LEASE)  # which the killer shortens
    with running_s3() as port:
        kill_changes("bucket/archive", port, kills=1)
