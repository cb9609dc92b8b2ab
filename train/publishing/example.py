"""The short program that is written beside an exported network, and runs it without Garmentscope."""

from __future__ import annotations

__all__ = ["example"]

_EXAMPLE = '''"""Runs {file} on a photo: python example.py photo.jpg classes.png (needs numpy, Pillow and {package})."""

import json
import sys
from pathlib import Path

import numpy as np
{imports}
from PIL import Image, ImageOps

{load}
wanted = about["input"]
size = wanted["width"], wanted["height"]
photo = ImageOps.exif_transpose(Image.open(sys.argv[1])).convert("RGB")
grey = (wanted["padding"],) * 3  # beside a photo of another shape
crop = ImageOps.pad(photo, size, color=grey) if wanted["resize"] == "keep" else photo.resize(size)
pixels = (np.asarray(crop, np.float32) / wanted["scale"] - wanted["mean"]) / wanted["std"]
batch = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)  # 1, 3, height, width
{run}
classes = Image.fromarray(probabilities[0].argmax(axis=0).astype(np.uint8))  # the id of each pixel of the crop
classes.putpalette(b"".join(bytes.fromhex(each["colour"][1:]) for each in about["classes"]))
classes.save(sys.argv[2])
for each, count in zip(about["classes"], classes.histogram()):
    print(f"{{count / (size[0] * size[1]):7.2%}}  {{each['name']}}")
'''

_PARTS = {
    "onnx": (
        "onnxruntime",
        "import onnxruntime",
        'network = onnxruntime.InferenceSession(Path(__file__).with_name("{file}"))\n'
        'about = json.loads(network.get_modelmeta().custom_metadata_map["garmentscope"])',
        'probabilities = network.run(["probabilities"], {{"pixels": batch}})[0]',
    ),
    "torchscript": (
        "torch",
        "import torch",
        'files = {{"garmentscope.json": ""}}\n'
        'network = torch.jit.load(Path(__file__).with_name("{file}"), "cpu", _extra_files=files)\n'
        'about = json.loads(files["garmentscope.json"])',
        "probabilities = network(torch.from_numpy(batch)).detach().numpy()",
    ),
    "openvino": (
        "openvino",
        "import openvino",
        'model = openvino.Core().read_model(Path(__file__).with_name("{file}"))\n'
        'about = json.loads(model.get_rt_info(["garmentscope"]).astype(str))',
        'network = openvino.compile_model(model, "CPU", {{"INFERENCE_PRECISION_HINT": "f32"}})  # else bf16 on some\n'
        'probabilities = network(batch)["probabilities"]',
    ),
}


def example(kind: str, file: str) -> str:
    """The program for an exported network, which it looks for in its own folder.

    Args:
        kind: Key in `train.publishing.export.FORMATS`.
        file: File name of the network.
    """
    quoted = file.replace("\\", "\\\\").replace('"', '\\"')
    package, imports, load, run = _PARTS[kind]
    return _EXAMPLE.format(
        file=quoted, package=package, imports=imports, load=load.format(file=quoted), run=run.format()
    )
