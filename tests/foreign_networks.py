"""Small networks from elsewhere: ONNX files known to the last pixel, and folders that transformers itself saves."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ATR = (
    "Background,Hat,Hair,Sunglasses,Upper-clothes,Skirt,Pants,Dress,Belt,Left-shoe,Right-shoe,Face,Left-leg,Right-leg,"
    "Left-arm,Right-arm,Bag,Scarf"
).split(",")
COLOURS = ("Shirt", "Backdrop", "Pants")
"""Classes of `save_onnx`: what is red, what is neither, and what is blue. Its background is not the first."""

_WEIGHTS = ((1, -1, -1), (0, 0, 0), (-1, -1, 1))
_BIASES = (0.0, 0.4, 0.0)


def save_onnx(
    path: Path,
    settings: Mapping[str, Any] | None = None,
    *,
    shape: Sequence[object] = ("n", 3, 32, 16),
    kind: int = TensorProto.FLOAT,
    metadata: Mapping[str, str] | None = None,
    external: str = "",
) -> Path:
    """An ONNX file that names pixels by their colour, with its JSON beside it unless `settings` is empty.

    Its logits are `r - g - b`, 0.4 and `b - r - g` of a normalised pixel.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    kinds = np.float16 if kind == TensorProto.FLOAT16 else np.float32
    weights = numpy_helper.from_array(np.array(_WEIGHTS, kinds).reshape(3, 3, 1, 1), "weights")
    biases = numpy_helper.from_array(np.array(_BIASES, kinds), "biases")
    graph = helper.make_graph(
        [helper.make_node("Conv", ["photo", "weights", "biases"], ["scores"])],
        "by colour",
        [helper.make_tensor_value_info("photo", kind, list(shape))],
        [helper.make_tensor_value_info("scores", kind, [shape[0], 3, *shape[2:]])],
        [weights, biases],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10, producer_name="tests")
    for key, value in (metadata or {}).items():
        model.metadata_props.add(key=key, value=value)
    if external:
        onnx.save_model(model, path, save_as_external_data=True, location=external, size_threshold=0)
    else:
        onnx.save_model(model, path)
    if settings is None:
        settings = {"classes": list(COLOURS), "mean": 0, "std": 1}
    if settings:
        path.with_suffix(".json").write_text(json.dumps(settings), "utf-8")
    return path


def save_segformer(folder: Path, labels: Sequence[str] = ATR, seed: int = 0, **processor: object) -> Path:
    """A SegFormer of random weights, with its image processor, as transformers saves them."""
    from transformers import SegformerConfig, SegformerForSemanticSegmentation

    config = SegformerConfig(
        hidden_sizes=[8, 16, 24, 32],
        depths=[1, 1, 1, 1],
        num_attention_heads=[1, 1, 2, 2],
        decoder_hidden_size=16,
        **_labels(labels),
    )
    return _save(folder, SegformerForSemanticSegmentation, config, "SegformerImageProcessor", seed, processor)


def save_upernet(folder: Path, labels: Sequence[str] = ATR, seed: int = 0, **processor: object) -> Path:
    """The same, of an UPerNet on a ConvNeXt."""
    from transformers import ConvNextConfig, UperNetConfig, UperNetForSemanticSegmentation

    backbone = ConvNextConfig(
        hidden_sizes=[8, 16, 24, 32],
        depths=[1, 1, 1, 1],
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = UperNetConfig(
        backbone_config=backbone,
        hidden_size=16,
        auxiliary_in_channels=24,
        auxiliary_channels=8,
        **_labels(labels),
    )
    return _save(folder, UperNetForSemanticSegmentation, config, "SegformerImageProcessor", seed, processor)


def save_mask2former(folder: Path, labels: Sequence[str] = ATR, seed: int = 2, **processor: object) -> Path:
    """The same, of a Mask2Former on a Swin; its image processor keeps the shape of a photo."""
    from transformers import Mask2FormerConfig, Mask2FormerForUniversalSegmentation, SwinConfig

    backbone = SwinConfig(
        embed_dim=8,
        depths=[1, 1, 1, 1],
        num_heads=[1, 1, 2, 2],
        window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = Mask2FormerConfig(
        backbone_config=backbone,
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=16,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        dim_feedforward=16,
        num_queries=12,
        **_labels(labels),
    )
    size = {"size": {"shortest_edge": 64, "longest_edge": 256}}
    return _save(
        folder, Mask2FormerForUniversalSegmentation, config, "Mask2FormerImageProcessor", seed, {**size, **processor}
    )


def _labels(labels: Sequence[str]) -> dict[str, Any]:
    return {"id2label": dict(enumerate(labels)), "label2id": {label: at for at, label in enumerate(labels)}}


def _save(folder: Path, network: Any, config: Any, processor: str, seed: int, options: Mapping[str, Any]) -> Path:
    import torch
    import transformers

    torch.manual_seed(seed)
    model = network(config)
    for name, parameter in model.named_parameters():  # so that random weights do not see one class everywhere
        if name.endswith("classifier.weight"):
            torch.nn.init.normal_(parameter, std=3)
        elif name.endswith("weight") and any(
            each in name for each in ("mask_embedder", "mask_projection", "class_pred")
        ):
            torch.nn.init.normal_(parameter, std=0.005 if "mask_embedder.2" in name else 1)  # logits of about 10
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save_pretrained(folder)
        getattr(transformers, processor)(**{"size": {"height": 64, "width": 64}, **options}).save_pretrained(folder)
    return folder
