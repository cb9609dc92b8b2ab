"""Visitors who speak Streamlit's own protocol over websockets, and the app that serves them in a process of its own.

Twenty browsers on the same machine would be slower than the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path

import websockets
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Common_pb2 import UploadedFileInfo
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

__all__ = ["Visitor", "memory", "processor_time", "served", "visitor"]

PATIENCE = 300.0

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Visitor:
    """A page of the app in a browser that draws nothing.

    Args:
        port: Port of the server on this machine.
        connection: Open connection to it.
    """

    def __init__(self, port: int, connection: websockets.ClientConnection) -> None:
        self._port, self._connection = port, connection
        self._uploader = self._session = self._page = ""
        self._buttons: dict[str, str] = {}

    async def open(self, page: str = "") -> None:
        """Runs a page with an uploader once; the first page if none is named."""
        message = BackMsg()
        message.rerun_script.query_string = ""
        message.rerun_script.page_name = page
        await self._send(message)
        while not self._uploader:
            await self._receive()
        await self._finished()

    async def ask(self, photo: bytes) -> float:
        """Uploads a photo and waits for the viewer with it; gives the seconds that it took."""
        started = time.perf_counter()
        name = f"photo-{hash(photo) & 0xFFFFFF:06x}.jpg"
        await self._run(await self._upload(name, [photo]))
        while not _shows(await self._receive(), name):
            pass
        seconds = time.perf_counter() - started
        await self._finished()
        return seconds

    async def add(self, name: str, content: Sequence[bytes], button: str) -> None:
        """Uploads a file, and presses a button once the page has shown it.

        Args:
            name: Name of the file.
            content: Content of the file, in pieces.
            button: Label of the button.
        """
        upload = await self._upload(name, content)
        await self._run(upload)
        await self._finished()
        await self._run(upload, pressed=button)
        await self._finished()

    async def _upload(self, name: str, content: Sequence[bytes]) -> UploadedFileInfo:
        message = BackMsg()
        message.file_urls_request.request_id = name
        message.file_urls_request.file_names.append(name)
        message.file_urls_request.session_id = self._session
        await self._send(message)
        while not (answer := await self._receive()).HasField("file_urls_response"):
            pass
        urls = answer.file_urls_response.file_urls[0]
        await asyncio.to_thread(self._put, urls.upload_url, name, content)
        return UploadedFileInfo(name=name, size=sum(map(len, content)), file_id=urls.file_id, file_urls=urls)

    async def _run(self, upload: UploadedFileInfo, pressed: str = "") -> None:
        message = BackMsg()
        message.rerun_script.page_script_hash = self._page  # else the first page runs
        states = message.rerun_script.widget_states.widgets
        states.add(id=self._uploader).file_uploader_state_value.uploaded_file_info.append(upload)
        if pressed:
            states.add(id=self._buttons[pressed], trigger_value=True)
        await self._send(message)

    def _put(self, url: str, name: str, content: Sequence[bytes]) -> None:
        edge = "----edge"
        head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
        body = [f"{head}Content-Type: image/jpeg\r\n\r\n".encode(), *content, f"\r\n--{edge}--\r\n".encode()]
        request = urllib.request.Request(f"http://127.0.0.1:{self._port}{url}", body, method="PUT")
        request.add_header("Content-Type", f"multipart/form-data; boundary={edge}")
        request.add_header("Content-Length", str(sum(map(len, body))))
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
        if message.HasField("navigation"):
            self._page = message.navigation.page_script_hash
        uploader = message.delta.new_element.file_uploader
        if uploader.label.startswith(("Outfit photos", "Photos or ZIP")):  # there are others, for folders and tables
            self._uploader = uploader.id
        if message.delta.new_element.HasField("button"):
            self._buttons[message.delta.new_element.button.label] = message.delta.new_element.button.id
        return message

    async def _finished(self) -> None:
        """Waits until no script of the page runs."""
        while (await self._receive()).script_finished != ForwardMsg.FINISHED_SUCCESSFULLY:
            pass


def _shows(message: ForwardMsg, name: str) -> bool:
    """Whether a message brings the viewer with a photo."""
    return message.delta.new_element.HasField("bidi_component") and name.encode() in message.SerializeToString()


@contextlib.asynccontextmanager
async def visitor(port: int, page: str = "") -> AsyncIterator[Visitor]:
    """A visitor who has opened a page with an uploader, the first if none is named, and who leaves at the end."""
    address = f"ws://127.0.0.1:{port}/_stcore/stream"
    async with websockets.connect(address, subprotocols=["streamlit"], max_size=None, proxy=None) as connection:  # type: ignore[list-item]
        opened = Visitor(port, connection)
        await opened.open(page)
        yield opened


@contextlib.contextmanager
def served(
    project: Path, environment: Mapping[str, str] | None = None, script: str = "dashboard/app.py"
) -> Iterator[tuple[int, int]]:
    """The app of a folder on a port of its own; gives the port and the process's id.

    Args:
        project: Folder of the project.
        environment: Further environment variables; the cache is empty unless one names it.
        script: What is served; `dashboard/server.py` has the API too.
    """
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
    clean = {name: value for name, value in os.environ.items() if not name.startswith("GARMENTSCOPE_")}
    server = subprocess.Popen(
        [sys.executable, "-m", "streamlit", "run", script, *(f"--{n}={v}" for n, v in options.items())],
        cwd=project,
        env={**clean, "PYTHONPATH": str(project), "GARMENTSCOPE_CACHE": cache, **(environment or {})},
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


def processor_time(pid: int) -> float:
    """Seconds of processor time that a process has used, in all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> float:
    """Resident memory of a process in MB, as Linux counts it."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return float(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024
