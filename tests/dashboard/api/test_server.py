"""The app and the API in one real process: the lines of the README, and the client."""

from __future__ import annotations

import re
import shutil
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from segmodels.client import ApiError, Client

ROOT = Path(__file__).parents[3]
SERVER = ROOT / "dashboard" / "server.py"


@pytest.fixture(scope="module")
def address(serve: Callable[..., str], more_models: Path) -> str:
    return serve(SERVER, {"GARMENTSCOPE_MODELS": str(more_models)})


def test_one_process_serves_the_pages_and_the_api(address: str) -> None:
    for path, said in (("/", b"<title>Streamlit</title>"), ("/api/v1/health", b'"ok"'), ("/metrics", b"garmentscope_")):
        with urllib.request.urlopen(address + path) as answer:
            assert said in answer.read()


def test_the_lines_of_the_readme(address: str, tmp_path: Path, photo: Callable[[int], bytes]) -> None:
    """Each line of curl, as it stands there, but for the address."""
    if shutil.which("curl") is None:
        pytest.skip("there is no curl")
    text = (ROOT / "dashboard" / "api" / "README.md").read_text("utf-8")
    lines = [line for block in re.findall(r"```sh\n(.*?)```", text, re.S) for line in block.splitlines()]
    asked = [line.partition("  #")[0].strip() for line in lines if line.startswith("curl ")]
    assert len(asked) >= 6
    for name in ("outfit.jpg", "other.jpg"):
        (tmp_path / name).write_bytes(photo(0))
    for line in asked:
        command = line.replace("http://localhost:8501", address).replace(
            "curl ", "curl --fail-with-body --no-progress-meter "
        )
        done = subprocess.run(command, shell=True, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    assert (tmp_path / "classes.png").read_bytes().startswith(b"\x89PNG")


def test_the_client(address: str, tmp_path: Path, photo: Callable[[int], bytes]) -> None:
    (tmp_path / "a.png").write_bytes(photo(0))
    with Client(address) as client:
        found = client.segment(tmp_path / "a.png", "tiny", masks="rle")
        assert found["photo"] == "a.png" and "counts" in found["garments"][0]["segmentation"]
        both = client.segment_all([photo(0), b"no photo"], "tiny")
        assert both[0]["garments"] == [
            {k: v for k, v in row.items() if k != "segmentation"} for row in found["garments"]
        ]
        assert both[1]["problem"]["status"] == 422
        assert client.class_map(photo(0), "tiny").startswith(b"\x89PNG")
        assert "tiny" in [each["name"] for each in client.models()]
        job = client.add_photos("autumn", [tmp_path / "a.png"], "tiny")
        assert (job["phase"], job["added"]) == ("done", 1)
        assert client.table("ccp", "shares", garments="Coat")["rows"][0]["garment"] == "Coat"
        with pytest.raises(ApiError, match="none") as refused:
            client.segment(photo(0), "none")
        assert refused.value.problem["status"] == 404
