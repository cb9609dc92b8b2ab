import signal
from pathlib import Path

import pytest
from kill_ingest import kill_often


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system knows no SIGKILL")
def test_a_killed_ingest_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Three kills; `make kills` does a hundred."""
    counts = kill_often(tmp_path, kills=3, photos=40)
    assert counts[-1] == 40 and counts == sorted(counts)
