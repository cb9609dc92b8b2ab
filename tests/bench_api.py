"""The HTTP API under 1, 8 and 32 callers at once, beside the bare network and a plain server, all in the same run.

`make bench` runs it; `--seconds` says how long each number of callers asks. Each caller sends one photo after another,
the portrait that scikit-image ships at 825 x 550 pixels as JPEG, and waits as long as `Retry-After` says where it is
refused. Printed are, for each server and number of callers: photos a second, also as a share of the bare network's, and
seconds of processor time a photo, which other work on the machine changes little;
the median and the 95th percentile of the seconds from a request to its answer; refusals (429), errors, and the
server's resident memory before and after.

At the end as many callers ask the API of the app while five visitors of its pages send photos; nobody may fail.

- The bare network is the default model's on batches of random crops, without decoding, detector, colours or HTTP.
- The plain server is FastAPI with a FPN of segmentation-models-pytorch on EfficientNet-Lite0 at 320 x 320, random
  weights, in a thread of its own, which answers with the class map as PNG: what one writes in an afternoon.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import os
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import httpx2
import visitors
from PIL import Image
from skimage.data import astronaut
from visitors import visitor

REPOSITORY = Path(__file__).parents[1]
CALLERS = (1, 8, 32)
BATCH = 8
PATIENCE = 120.0
LIMITS = "photos=64,waiting=64,minute=1000000,megapixels=1000000"

OURS = "import sys; from dashboard.__main__ import serve; sys.exit(serve(['--port', '{port}']))"
PLAIN = """
import asyncio, io
import numpy as np, segmentation_models_pytorch as smp, torch, uvicorn
from concurrent.futures import ThreadPoolExecutor
from fastapi import FastAPI, File, Response
from PIL import Image

network = smp.FPN("tu-tf_efficientnet_lite0", encoder_weights=None, classes=15).eval()
one = ThreadPoolExecutor(1)
app = FastAPI()

def segment(data):
    photo = Image.open(io.BytesIO(data)).convert("RGB")
    pixels = torch.from_numpy(np.asarray(photo.resize((320, 320)))).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        ids = network(pixels).argmax(1)[0].to(torch.uint8).numpy()
    out = io.BytesIO()
    Image.fromarray(ids).resize(photo.size, Image.Resampling.NEAREST).save(out, "PNG")
    return out.getvalue()

@app.post("/api/v1/segment")
async def route(photo: bytes = File()):
    return Response(await asyncio.get_running_loop().run_in_executor(one, segment, photo), media_type="image/png")

@app.get("/api/v1/health")
def health():
    return "ok"

uvicorn.run(app, port={port}, log_level="warning")
"""
BARE = f"""
import time, torch
from segmodels import load_segmenter

segmenter = load_segmenter("fpn")
members = [segmenter.checkpoint.config, *segmenter.checkpoint.config.ensemble]
batches = [torch.rand({BATCH}, 3, m.height, m.width).to(memory_format=torch.channels_last) for m in members]

def run():
    with torch.inference_mode(), segmenter.precision.autocast():
        for network, batch in zip(segmenter.networks, batches):
            network(batch)

if WHOLE:
    from bench_api import photo_of
    from segmodels.photo import decode_photo

    data = photo_of()

    def run():
        for _ in range({BATCH}):
            segmenter.segment(decodephoto_of(data, name="look.jpg")).to_json("look.jpg")

run()
started, photos, used = time.perf_counter(), 0, time.process_time()
while time.perf_counter() - started < SECONDS:
    run()
    photos += {BATCH}
print(photos / (time.perf_counter() - started), (time.process_time() - used) / photos)
"""


@dataclass(frozen=True)
class Bare:
    """What the machine does without a server: photos a second, and seconds of processor time a photo."""

    pace: float
    processor: float

    def __str__(self) -> str:
        return f"{self.pace:.2f} photos a second, {self.processor:.4f} s of processor time a photo"


@dataclass
class Figures:
    """What the callers of a server saw."""

    seconds: list[float] = field(default_factory=list)
    refused: int = 0
    errors: list[str] = field(default_factory=list)


def main() -> int:
    """Prints a table; 1 if any request failed."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0, help="for each number of callers (default: %(default)g)")
    parser.add_argument("--callers", type=int, nargs="+", default=CALLERS)
    parser.add_argument("--visitors", type=int, default=5, help="of the pages, beside the most callers")
    parser.add_argument("--only", choices=["ours", "visitors"], help="a part of it")
    arguments = parser.parse_args()
    photo = photo_of()
    bare = _bare(arguments.seconds)
    print(f"bare network, batches of {BATCH}: {bare}", flush=True)
    print(f"segment, one photo after another: {_bare(arguments.seconds, whole=True)}", flush=True)
    failed = 0
    servers = {"this API": OURS} if arguments.only == "ours" else {"this API": OURS, "plain server": PLAIN}
    for name, code in () if arguments.only == "visitors" else servers.items():
        with _served(code) as (port, pid):
            asyncio.run(_ask(port, 1, 3.0, photo))  # loads the network
            for callers in arguments.callers:
                before, used, started = visitors.memory(pid), visitors.processor_time(pid), time.perf_counter()
                found = asyncio.run(_ask(port, callers, arguments.seconds, photo))
                took, used = time.perf_counter() - started, visitors.processor_time(pid) - used
                failed += len(found.errors)
                _print(name, callers, found, took, used, bare, before, visitors.memory(pid))
        between = _bare(arguments.seconds)
        print(f"bare network again: {between}", flush=True)
    if arguments.only in (None, "visitors"):
        failed += _beside_visitors(max(arguments.callers), arguments.visitors, arguments.seconds, photo, bare)
    if absent := _no_rembg():
        print(absent)
    return 1 if failed else 0


def _print(
    name: str,
    callers: int,
    found: Figures,
    took: float,
    used: float,
    bare: Bare,
    before: float,
    after: float,
    others: int = 0,
) -> None:
    ordered = sorted(found.seconds) or [float("nan")]
    late = ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))]
    pace, processor = len(found.seconds) / took, used / max(1, len(found.seconds) + others)
    print(
        f"{name:<13}{callers:3} callers: {pace:6.2f} photos a second ({pace / bare.pace:4.2f} of the bare network), "
        f"{processor:.4f} s of processor time a photo ({bare.processor / processor:4.2f}), "
        f"p50 {statistics.median(ordered):5.2f} s, p95 {late:5.2f} s, {found.refused} refused, "
        f"{len(found.errors)} errors{' (' + found.errors[0] + ')' if found.errors else ''}, "
        f"memory {before:,.0f} to {after:,.0f} MB, load {os.getloadavg()[0]:.1f}",
        flush=True,
    )


def _beside_visitors(callers: int, count: int, seconds: float, photo: bytes, bare: Bare) -> int:
    """Callers of the API and visitors of the pages at once; gives the number of failures."""

    async def visit(port: int, deadline: float, waits: list[float], errors: list[str]) -> None:
        try:
            async with visitor(port) as opened:
                while time.perf_counter() < deadline:
                    waits.append(await opened.ask(photo_of(len(waits) + 1)))
        except (OSError, RuntimeError, TimeoutError) as error:
            errors.append(f"{type(error).__name__}: {error}")

    async def both(port: int) -> tuple[Figures, list[float], list[str]]:
        deadline = time.perf_counter() + seconds
        waits: list[float] = []
        errors: list[str] = []
        visits = (visit(port, deadline, waits, errors) for _ in range(count))
        found, *_ = await asyncio.gather(_ask(port, callers, seconds, photo), *visits)
        return found, waits, errors

    with visitors.served(REPOSITORY, {"GARMENTSCOPE_API": LIMITS}, "dashboard/server.py") as (port, pid):
        asyncio.run(_ask(port, 1, 3.0, photo))
        before, used, started = visitors.memory(pid), visitors.processor_time(pid), time.perf_counter()
        found, waits, errors = asyncio.run(both(port))
        took, used = time.perf_counter() - started, visitors.processor_time(pid) - used
        _print("beside pages", callers, found, took, used, bare, before, visitors.memory(pid), len(waits))
    ordered = sorted(waits) or [float("nan")]
    print(
        f"{count} visitors: {len(waits)} photos, median {statistics.median(ordered):.2f} s, "
        f"slowest {ordered[-1]:.2f} s, {len(errors)} errors{' (' + errors[0] + ')' if errors else ''}"
    )
    return len(found.errors) + len(errors) + (not waits)


def _no_rembg() -> str:
    import importlib.util

    if importlib.util.find_spec("rembg"):
        return "rembg is installed, but its weights come from GitHub, which this benchmark does not ask."
    return "rembg is not installed, and its weights come from GitHub: it is left out."


async def _ask(port: int, callers: int, seconds: float, photo: bytes) -> Figures:
    """Lets callers ask until the time is over; each finishes its last photo."""
    found = Figures()
    deadline = time.perf_counter() + seconds
    limits = httpx2.Limits(max_connections=callers, max_keepalive_connections=callers)
    async with httpx2.AsyncClient(timeout=PATIENCE, limits=limits, trust_env=False) as client:
        await asyncio.gather(*(_caller(client, port, deadline, photo, found) for _ in range(callers)))
    return found


async def _caller(client: httpx2.AsyncClient, port: int, deadline: float, photo: bytes, found: Figures) -> None:
    while time.perf_counter() < deadline:
        started = time.perf_counter()
        try:
            answer = await client.post(
                f"http://127.0.0.1:{port}/api/v1/segment", files={"photo": ("look.jpg", photo, "image/jpeg")}
            )
        except httpx2.HTTPError as error:
            found.errors.append(type(error).__name__)
            continue
        if answer.status_code == 200:
            found.seconds.append(time.perf_counter() - started)
        elif answer.status_code == 429:
            found.refused += 1
            await asyncio.sleep(float(answer.headers["retry-after"]))
        else:
            found.errors.append(f"{answer.status_code} {answer.text[:80]}")


def _bare(seconds: float, *, whole: bool = False) -> Bare:
    """The bare network alone on the machine, or whole photos without HTTP and queue."""
    code = BARE.replace("SECONDS", str(seconds / 2)).replace("WHOLE", str(whole))
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=REPOSITORY, env=_environment(), capture_output=True, text=True, check=True)
    pace, processor = map(float, done.stdout.split()[-2:])
    return Bare(pace, processor)


def photo_of(number: int = 0) -> bytes:
    """The portrait; every number gives another file."""
    out = io.BytesIO()
    photo = cv2.copyMakeBorder(astronaut(), 157, 156, 19, 19, cv2.BORDER_REPLICATE)
    photo[0, : number % 500] = 0
    Image.fromarray(photo).save(out, "JPEG", quality=92)
    return out.getvalue()


def _environment() -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("GARMENTSCOPE_")}
    return {
        **own,
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "tests")]),
        "GARMENTSCOPE_API": LIMITS,
    }


@contextlib.contextmanager
def _served(code: str) -> Iterator[tuple[int, int]]:
    """A server on a port of its own; gives the port and the process's id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-c", code.replace("{port}", str(port))],
        cwd=REPOSITORY,
        env=_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        for _ in range(600):
            with contextlib.suppress(OSError), opener.open(f"http://127.0.0.1:{port}/api/v1/health", timeout=60):
                break
            if server.poll() is not None:
                sys.exit("The server ended.")
            time.sleep(0.2)
        yield port, server.pid
    finally:
        server.terminate()
        try:
            server.wait(40)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


if __name__ == "__main__":
    sys.exit(main())
