"""How threads wait is set before PyTorch is loaded, however the code is started.

Most processes here find a `torch` that says what is set at the moment when it is first imported, and ends them.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from segmodels.threads import SPIN_COUNT, set_waiting

ROOT = Path(__file__).parents[2]
SAYS = """\
import os
print("spins", os.environ.get("GOMP_SPINCOUNT"), flush=True)
os._exit(0)
"""
APP = f"""\
from streamlit.testing.v1 import AppTest
AppTest.from_file({str(ROOT / "dashboard" / "app.py")!r}, default_timeout=60).run()
import torch
"""
SPAWN = """\
import multiprocessing
import segmodels
def work():
    import torch
if __name__ == "__main__":
    process = multiprocessing.get_context("spawn").Process(target=work)
    process.start()
    process.join()
"""
STARTS = {
    "segmodels": ["-c", "import segmodels, torch"],
    "train": ["-c", "import train.recipe"],
    "networks": ["-c", "import dashboard.shared.networks, torch"],
    "a node of Ray's": ["-c", "import segmodels.archive.cluster"],
    "the app": ["-c", APP],
    "python -m segmodels": ["-m", "segmodels", "photo.jpg"],
    "python -m train": ["-m", "train", "--help"],
    "python -m segmodels.archive": ["-m", "segmodels.archive", "ingest", "."],
    "the tests": ["-m", "pytest", "--collect-only", "-qs", "tests/segmodels/test_device.py"],
}


def started(arguments: list[str], first: Path | None = None, **variables: str) -> tuple[str, str]:
    """What a process prints whose environment says nothing about waiting but `variables`."""
    ours = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "PYTORCH_ENABLE_MPS_FALLBACK")
    environment = {name: value for name, value in os.environ.items() if name not in ours}
    environment["PYTHONPATH"] = os.pathsep.join(map(str, [*([first] if first else []), ROOT]))
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment | variables, capture_output=True, text=True
    )
    return done.stdout, done.stderr


@pytest.fixture
def torch_that_says(tmp_path: Path) -> Path:
    """A folder for PYTHONPATH."""
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "__init__.py").write_text(SAYS)
    return tmp_path


@pytest.mark.parametrize("start", STARTS)
def test_it_is_set_before_torch_is_loaded(start: str, torch_that_says: Path) -> None:
    said, wrong = started(STARTS[start], torch_that_says)
    assert said.splitlines()[-1:] == [f"spins {SPIN_COUNT}"], wrong


def test_a_process_that_is_spawned_inherits_it(torch_that_says: Path, tmp_path: Path) -> None:
    (tmp_path / "spawn.py").write_text(SPAWN)
    said, wrong = started([str(tmp_path / "spawn.py")], torch_that_says)
    assert said == f"spins {SPIN_COUNT}\n", wrong


@pytest.mark.parametrize(
    ("variables", "expected"), [({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, "None")]
)
def test_a_value_of_the_user_wins(variables: dict[str, str], expected: str, torch_that_says: Path) -> None:
    assert started(STARTS["train"], torch_that_says, **variables)[0] == f"spins {expected}\n"


def test_libgomp_has_read_it() -> None:
    _, said = started(STARTS["segmodels"], OMP_DISPLAY_ENV="verbose")
    if "GOMP_" not in said:
        pytest.skip("PyTorch's threads are not those of libgomp")
    assert f"GOMP_SPINCOUNT = '{SPIN_COUNT}'" in said


@pytest.mark.parametrize(
    ("before", "changed", "after"),
    [
        ({}, True, {"GOMP_SPINCOUNT": str(SPIN_COUNT)}),
        ({"GOMP_SPINCOUNT": ""}, True, {"GOMP_SPINCOUNT": str(SPIN_COUNT)}),
        ({"GOMP_SPINCOUNT": "0"}, False, {"GOMP_SPINCOUNT": "0"}),
        ({"OMP_WAIT_POLICY": "passive"}, False, {"OMP_WAIT_POLICY": "passive"}),
    ],
)
def test_what_is_set(before: dict[str, str], changed: bool, after: dict[str, str]) -> None:
    environment = dict(before)
    assert set_waiting(environment) is changed
    assert environment == {**after, "PYTORCH_ENABLE_MPS_FALLBACK": "1"}
    assert set_waiting(environment) is False, "what was set once stays"


def test_the_fallback_of_apples_gpu_is_the_users_too() -> None:
    environment = {"PYTORCH_ENABLE_MPS_FALLBACK": "0"}
    set_waiting(environment)
    assert environment["PYTORCH_ENABLE_MPS_FALLBACK"] == "0"
