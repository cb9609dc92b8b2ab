"""What a stopped fit goes on from."""

from pathlib import Path

import pytest
import torch

from train.resume import FitError, read_resume


def test_a_state_is_read_and_none_is_none(tmp_path: Path) -> None:
    path = tmp_path / "resume.ckpt"
    assert read_resume(path, lambda state: state["epoch"]) is None
    torch.save({"epoch": 3}, path)
    assert read_resume(path, lambda state: state["epoch"]) == {"epoch": 3}


@pytest.mark.parametrize("content", [b"", b"no state", None])
def test_a_damaged_file_is_one_sentence(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "resume.ckpt"
    if content is None:
        torch.save({"curve": []}, path)  # of something else
    else:
        path.write_bytes(content)
    with pytest.raises(FitError, match=r"resume\.ckpt is damaged\. Delete it, and the same command starts"):
        read_resume(path, lambda state: int(state["epoch"]))
