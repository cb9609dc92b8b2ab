"""Twenty visitors at once: how long each waits for its photo, and what memory the server keeps, beside another version.

`make bench` compares the working tree with the commit before the queue; `python tests/bench_visitors.py --baseline X`
with any other commit, or with a folder that holds the project. The two servers run one after the other on the same
machine, each alone on it. The visitors speak Streamlit's own protocol over websockets, as twenty browsers on the same
machine would be slower than the server. Each has a photo of its own of 825 x 550 pixels, the portrait that scikit-image
ships with other noise in a corner, as JPEG.

Printed are, for each server and round:

- the seconds from the moment at which a visitor chooses the file to the arrival of the viewer with its result, the
  upload included: median and slowest, in seconds and as ratios to the baseline's slowest of the same round;
- the processor time that the server spent on them meanwhile, which depends less on what else the machine does;
- the resident memory (RSS) of the server after its first photo, its highest while all visitors are served, once all
  have been served and are still connected, and after they have left. The last two are read `SETTLE` seconds later.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import websockets
from PIL import Image
from skimage.data import astronaut
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

REPOSITORY = Path(__file__).parents[1]
QUEUE = "dashboard/inference_queue.py"  # its path in the commit that brought it
VISITORS = 20
SETTLE = 12.0
PATIENCE = 120.0


@dataclass
class Figures:
    """What was measured of a server: seconds by visitor, seconds of processor time for all, memory in MB."""

    waits: list[float]
    processor: float
    after_first: float
    highest: float
    after_all: float
    after_leaving: float


def main() -> None:
    """Measures both servers, and prints a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--baseline", help="commit or folder; the parent of the commit that brought the queue")
    parser.add_argument("--rounds", type=int, default=1, help="times that both are measured, in turn")
    parser.add_argument("--visitors", type=int, default=VISITORS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        baseline = _project(arguments.baseline or _before_the_queue(), Path(folder))
        for number in range(1, arguments.rounds + 1):
            print(f"Round {number} of {arguments.rounds}: {arguments.visitors} visitors with a photo each at once")
            old = _measure(baseline, arguments.visitors)
            _print("baseline", old, max(old.waits))
            _print("this tree", _measure(REPOSITORY, arguments.visitors), max(old.waits))


def _print(name: str, found: Figures, slowest: float) -> None:
    median, worst = statistics.median(found.waits), max(found.waits)
    print(
        f"{name:<10} median {median:6.2f} s ({median / slowest:.2f} x the baseline's slowest), "
        f"slowest {worst:6.2f} s ({worst / slowest:.2f} x), first {min(found.waits):5.2f} s; "
        f"processor time {found.processor:.1f} s\n"
        f"{'':<10} memory: {found.after_first:,.0f} MB after the first photo, {found.highest:,.0f} at the most, "
        f"{found.after_all:,.0f} after all ({found.after_all - found.after_first:+,.0f}), "
        f"{found.after_leaving:,.0f} after they left ({found.after_leaving - found.after_first:+,.0f})",
        flush=True,
    )


def _before_the_queue() -> str:
    """The parent of the commit that brought the queue."""
    command = ["git", "log", "--diff-filter=A", "--format=%H", "-1", "--", QUEUE]
    commit = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout.strip()
    if not commit:
        sys.exit(f"No commit added {QUEUE}: name a baseline with --baseline.")
    return f"{commit}^"


def _project(baseline: str, folder: Path) -> Path:
    """The folder of a version of the project."""
    if Path(baseline).is_dir():
        return Path(baseline)
    content = subprocess.run(["git", "archive", baseline], cwd=REPOSITORY, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def _measure(project: Path, visitors: int) -> Figures:
    with _served(project) as (port, pid):
        return asyncio.run(_visit(port, pid, visitors))


async def _visit(port: int, pid: int, count: int) -> Figures:
    async with _visitor(port) as first:
        await first.ask(_photo(0))  # loads the network
        await first.ask(_photo(1))
    await asyncio.sleep(SETTLE)
    after_first = highest = _memory(pid)
    async with contextlib.AsyncExitStack() as stack:
        visitors = [await stack.enter_async_context(_visitor(port)) for _ in range(count)]
        photos = [_photo(10 + number) for number in range(count)]
        processor = _processor_time(pid)
        asking = asyncio.gather(*(each.ask(photo) for each, photo in zip(visitors, photos, strict=True)))
        while not asking.done():
            await asyncio.wait([asking], timeout=0.2)
            highest = max(highest, _memory(pid))
        processor = _processor_time(pid) - processor
        await asyncio.sleep(SETTLE)
        after_all = _memory(pid)
    await asyncio.sleep(SETTLE)
    return Figures(asking.result(), processor, after_first, highest, after_all, _memory(pid))


class _Visitor:
    """A page of the app in a browser that draws nothing."""

    def __init__(self, port: int, connection: websockets.ClientConnection) -> None:
        self._port, self._connection = port, connection
        self._uploader = self._session = ""

    async def open(self) -> None:
        """Runs the page once."""
        message = BackMsg()
        message.rerun_script.query_string = ""
        await self._send(message)
        while not self._uploader:
            await self._receive()
        await self._finished()

    async def ask(self, photo: bytes) -> float:
        """Uploads a photo and waits for the viewer with it; gives the seconds that it took."""
        started = time.perf_counter()
        name = f"photo-{hash(photo) & 0xFFFFFF:06x}.jpg"
        message = BackMsg()
        message.file_urls_request.request_id = name
        message.file_urls_request.file_names.append(name)
        message.file_urls_request.session_id = self._session
        await self._send(message)
        while not (answer := await self._receive()).HasField("file_urls_response"):
            pass
        urls = answer.file_urls_response.file_urls[0]
        await asyncio.to_thread(self._put, urls.upload_url, name, photo)
        message = BackMsg()
        state = message.rerun_script.widget_states.widgets.add(id=self._uploader)
        state.file_uploader_state_value.uploaded_file_info.add(
            name=name, size=len(photo), file_id=urls.file_id, file_urls=urls
        )
        await self._send(message)
        while not _shows(await self._receive(), name):
            pass
        seconds = time.perf_counter() - started
        await self._finished()
        return seconds

    def _put(self, url: str, name: str, photo: bytes) -> None:
        edge = "----edge"
        head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        body = f"{head}Content-Type: image/jpeg\r\n\r\n".encode() + photo + f"\r\n--{edge}--\r\n".encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}{url}", body, method="PUT")
        request.add_header("Content-Type", f"multipart/form-data; boundary={edge}")
        with _OPENER.open(request, timeout=PATIENCE):
            pass

    async def _send(self, message: BackMsg) -> None:
        await self._connection.send(message.SerializeToString())

    async def _receive(self) -> ForwardMsg:
        message = ForwardMsg()
        data = await asyncio.wait_for(self._connection.recv(), PATIENCE)
        assert isinstance(data, bytes)
        message.ParseFromString(data)
        if message.delta.new_element.HasField("exception"):
            raise RuntimeError(f"The page failed: {message.delta.new_element.exception.message}")
        if message.HasField("new_session"):
            self._session = message.new_session.initialize.session_id
        uploader = message.delta.new_element.file_uploader
        if uploader.label.startswith("Outfit photos"):
            self._uploader = uploader.id
        return message

    async def _finished(self) -> None:
        """Waits until no script of the page runs."""
        while (await self._receive()).script_finished != ForwardMsg.FINISHED_SUCCESSFULLY:
            pass


def _shows(message: ForwardMsg, name: str) -> bool:
    """Whether a message brings the viewer with a photo."""
    return message.delta.new_element.HasField("bidi_component") and name.encode() in message.SerializeToString()


@contextlib.asynccontextmanager
async def _visitor(port: int) -> AsyncIterator[_Visitor]:
    address = f"ws://127.0.0.1:{port}/_stcore/stream"
    async with websockets.connect(address, subprotocols=["streamlit"], max_size=None, proxy=None) as connection:  # type: ignore[list-item]
        visitor = _Visitor(port, connection)
        await visitor.open()
        yield visitor


def _photo(number: int) -> bytes:
    """A JPEG that differs from that of every other number."""
    photo = cv2.copyMakeBorder(astronaut(), 157, 156, 19, 19, cv2.BORDER_REPLICATE)
    photo[:32, :32] = np.random.default_rng(number).integers(0, 256, (32, 32, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(photo).save(out, "JPEG", quality=92)
    return out.getvalue()


@contextlib.contextmanager
def _served(project: Path) -> Iterator[tuple[int, int]]:
    """The app of a folder on a port of its own; gives the port and the process's id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = {
        "server.address": "127.0.0.1",
        "server.port": port,
        "server.headless": "true",
        "server.fileWatcherType": "none",
        "server.enableXsrfProtection": "false",
    }
    cache = tempfile.mkdtemp()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GARMENTSCOPE_")}
    server = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", "dashboard/app.py", *(f"--{n}={v}" for n, v in options.items())],
        cwd=project,
        env={**environment, "PYTHONPATH": str(project), "GARMENTSCOPE_CACHE": cache},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), _OPENER.open(f"http://127.0.0.1:{port}/_stcore/health", timeout=2):
                break
            if server.poll() is not None:
                sys.exit(f"The server of {project} ended.")
            time.sleep(0.1)
        yield port, server.pid
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        shutil.rmtree(cache, ignore_errors=True)


def _processor_time(pid: int) -> float:
    """Seconds of processor time that a process has used, in all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> float:
    """Resident memory of a process in MB, as Linux counts it."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return float(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))

if __name__ == "__main__":
    main()
