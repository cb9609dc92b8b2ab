"""Lets Label Studio's own SDK read what its backend protocol answers: `make annotation-tools`.

The SDK needs other versions of libraries than Garmentscope has, so it is in an environment of its own, whose
interpreter `--python` names; pip makes one if left out. A server is started here, and the SDK's side of the protocol
is played there: its `LabelInterface` checks each prediction against the labelling interface, and its converter decodes
the brush strokes.
"""

from __future__ import annotations

import argparse
import base64
import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

TOOLS = ("BrushLabels", "PolygonLabels", "RectangleLabels")
LABELS = ("Coat", "Shirt", "Pants", "Dress", "Footwear", "Bag", "Hair", "Skin", "Glasses", "Hat")


def main() -> int:
    """0 if the SDK accepts every prediction, else 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--python", type=Path, help="interpreter of an environment that has label-studio-sdk")
    parser.add_argument("--photo", type=Path, help="a photo of a person; the one that ships, if left out")
    parser.add_argument("--ask", metavar="ADDRESS", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.ask:
        return ask(arguments.ask, arguments.photo)
    from try_annotation_tools import install

    with tempfile.TemporaryDirectory() as folder:
        python = arguments.python or install(Path(folder, "environment"))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        code = f"import sys; from dashboard.__main__ import serve; sys.exit(serve(['--port', '{port}']))"
        server = subprocess.Popen([sys.executable, "-c", code])
        try:
            address = f"http://127.0.0.1:{port}/api/v1/label-studio"
            photo = arguments.photo or example(Path(folder))
            return subprocess.run([python, __file__, "--ask", address, "--photo", photo], check=False).returncode
        finally:
            server.terminate()
            server.wait(30)


def example(folder: Path) -> Path:
    """The portrait that scikit-image ships."""
    from PIL import Image
    from skimage.data import astronaut

    Image.fromarray(astronaut()).save(folder / "astronaut.jpg", quality=92)
    return folder / "astronaut.jpg"


def ask(address: str, photo: Path) -> int:
    """Plays Label Studio; its SDK is imported here only."""
    import numpy as np
    from label_studio_sdk.converter.brush import decode_rle
    from label_studio_sdk.label_interface import LabelInterface

    wait(f"{address}/health")
    data = "data:image/jpeg;base64," + base64.b64encode(photo.read_bytes()).decode()
    failed = 0
    for tool in TOOLS:
        labels = "".join(f'<Label value="{each}"/>' for each in LABELS)
        config = f'<View><Image name="image" value="$image"/><{tool} name="tag" toName="image">{labels}</{tool}></View>'
        interface = LabelInterface(config)
        version = post(f"{address}/setup", {"project": "1.1", "schema": config, "hostname": "", "access_token": ""})
        answer = post(f"{address}/predict", {"tasks": [{"id": 1, "data": {"image": data}}], "label_config": config})
        (prediction,) = answer["results"]
        errors = interface.validate_prediction(prediction, return_errors=True)
        regions = prediction["result"]
        if prediction["model_version"] != version["model_version"] or not regions:
            errors = [*errors, "other version, or nothing found"]
        if tool == "BrushLabels":
            for region in regions:
                size = region["original_height"], region["original_width"], 4
                mask = decode_rle(region["value"]["rle"])
                if mask.size != np.prod(size) or not mask.any():
                    errors = [*errors, f"the brush of {region['value']['brushlabels']} is {mask.size}, not {size}"]
        failed += bool(errors)
        found = sorted({label for region in regions for label in region["value"][tool.lower()]})
        print(f"{tool}: {len(regions)} regions ({', '.join(found)}), {'; '.join(errors) or 'accepted by the SDK'}")
    return 1 if failed else 0


def wait(address: str) -> None:
    """Waits until the server answers."""
    for _ in range(600):
        try:
            with urllib.request.urlopen(address, timeout=60):
                return
        except OSError:
            time.sleep(0.2)
    sys.exit("The server did not come up.")


def post(address: str, body: dict[str, object]) -> dict:  # type: ignore[type-arg]
    """The JSON of an answer."""
    request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as answer:
        return json.load(answer)  # type: ignore[no-any-return]


if __name__ == "__main__":
    sys.exit(main())
