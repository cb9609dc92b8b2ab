"""The script behind `make gpu`, tried on the processor with small networks."""

from pathlib import Path

import gpu
import pytest
import torch

import segmodels.device

CPU = torch.device("cpu")


def here(step: str, work: gpu.Work, seconds: float) -> gpu.Measured:
    """Runs a step in this process."""
    return gpu.measure(step, work)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GARMENTSCOPE_CACHE", str(tmp_path / "cache"))


def test_without_a_gpu_one_sentence_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(gpu, "list_devices", lambda: ["cpu"])
    assert gpu.main([]) == 0
    said, wrong = capsys.readouterr()
    assert said.startswith("No GPU here: ") and said.count("\n") == 1 and not wrong


def test_all_architectures_and_commands_have_a_step() -> None:
    assert {f"fit {name}" for name in gpu.ARCHITECTURES} < set(gpu.STEPS)
    assert len(gpu.STEPS) == len(gpu.ARCHITECTURES) + 4


def test_the_steps_do_their_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    steps = [step for step in gpu.STEPS if not step.startswith("fit ") or step in ("fit fpn", "fit segnet")]
    steps.append("fit fpn, killed and resumed")
    assert gpu.run(CPU, tmp_path, [gpu.TINY], steps, here) == 0
    said = capsys.readouterr().out
    assert segmodels.device.describe_device(CPU) in said
    rows = {line[:34].strip(): line[34:].split() for line in said.splitlines() if line[:34].strip() in steps}
    assert list(rows) == steps
    assert all(float(rate) > 0 and float(megabytes) > 100 for rate, megabytes in rows.values())


def test_a_step_that_fails_is_a_row_and_costs_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(work: gpu.Work) -> float:
        raise RuntimeError("CUDA error:\nunspecified launch failure")

    monkeypatch.setattr(gpu, "STEPS", {"fails": fail, "works": lambda work: 8.0})
    assert gpu.run(CPU, tmp_path, [gpu.TINY], ["fails", "works"], here) == 1
    said = capsys.readouterr().out
    assert "  on cpu: RuntimeError: CUDA error: unspecified launch failure\n" in said
    assert [line.split()[:2] for line in said.splitlines() if line.startswith("works")] == [["works", "8.0"]]


def test_a_process_that_dies_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["sh", "-c", "echo terminate called >&2; kill -ABRT $$"]
    monkeypatch.setattr(gpu, "_command", lambda step, work, result: command)
    work = gpu.Work(CPU, gpu.TINY, tmp_path, tmp_path)
    measured = gpu.measure_apart("ingest", work, 60)
    assert measured.error == "The process ended with code -6; its last words were: terminate called"
    command[:] = ["sleep", "600"]
    assert gpu.measure_apart("ingest", work, 0.2) == gpu.Measured(skipped=True), "it had no time"
    monkeypatch.setattr(gpu, "STEP_TIME", 0.2)
    assert gpu.measure_apart("ingest", work, 0.2).error == "It was not over after 0.2 seconds."


def test_when_time_is_up_the_processor_is_not_measured_but_the_gpu_must_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def engine(step: str, work: gpu.Work, seconds: float) -> gpu.Measured:
        monkeypatch.setattr(gpu, "TIME", 0.0)
        return gpu.Measured(12.0, 34.0)

    (tmp_path / "one").mkdir(), (tmp_path / "two").mkdir()
    sizes = [gpu.TINY, gpu.TINY]
    assert gpu.run(torch.device("meta"), tmp_path / "one", sizes, ["evaluate"], engine) == 0
    assert "12.0      34        no time left" in capsys.readouterr().out
    assert gpu.run(torch.device("meta"), tmp_path / "two", sizes, ["evaluate"], engine) == 1
