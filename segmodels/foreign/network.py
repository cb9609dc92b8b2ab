"""Networks from elsewhere as PyTorch modules that the segmenter runs like its own."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from segmodels.checkpoints.errors import CheckpointError
from segmodels.extras import missing_extra
from segmodels.files import read_json
from segmodels.foreign.description import Foreign
from segmodels.foreign.onnx_file import check_extra, find_onnx, read_onnx
from segmodels.sentences import first_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from segmodels.checkpoints.config import CheckpointConfig

__all__ = ["ForeignNetwork", "OnnxNetwork", "TransformersNetwork", "load_network"]

_AGAIN = "Get the network again."
_NEVER = -1e4  # logit of a background that the network does not have
_MASK2FORMER = (384, 384)  # to which transformers brings the masks of any input before they are summed
_LONGEST = 200  # characters of what a library says
_LEAST = 1e-8  # probability below which all are alike


class ForeignNetwork(nn.Module, ABC):
    """A network from elsewhere: maps a batch that it prepared itself to logits `(N, classes, h, w)`.

    Args:
        foreign: What the config says of the network.
    """

    def __init__(self, foreign: Foreign) -> None:
        super().__init__()
        self.foreign = foreign

    @abstractmethod
    def prepare(self, crops: Sequence[np.ndarray]) -> torch.Tensor:
        """A batch, float32 `(N, 3, h, w)`, resized and normalised as the network was trained.

        Args:
            crops: Parts of photos, each uint8 `(H, W, 3)` RGB at its own size.
        """

    @abstractmethod
    def scores(self, batch: torch.Tensor) -> torch.Tensor:
        """Output of the network by its own channels: logits, or logarithms of probabilities, `(N, channels, h, w)`."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        """Logits `(N, classes, h, w)` by class id of the taxonomy.

        Args:
            batch: Batch from `prepare`, `(N, 3, H, W)`.
        """
        scores = self.scores(batch)
        background, *classes = self.foreign.channels
        first = scores[:, list(background)].logsumexp(dim=1, keepdim=True)
        if not background:
            first = torch.full_like(scores[:, :1], _NEVER)
        return torch.cat([first, scores[:, [channel for (channel,) in classes]]], dim=1)


class TransformersNetwork(ForeignNetwork):
    """A network of transformers with its image processor.

    Args:
        foreign: What the config says of the network.
        model: Network in evaluation mode.
        processor: Image processor, which resizes and normalises.
    """

    def __init__(self, foreign: Foreign, model: Any, processor: Any) -> None:
        super().__init__(foreign)
        self.model = model
        self.processor = processor

    def prepare(self, crops: Sequence[np.ndarray]) -> torch.Tensor:
        """Does what the library's image processor does."""
        prepared: torch.Tensor = self.processor(
            images=list(crops), return_tensors="pt", input_data_format="channels_last"
        )["pixel_values"]
        return prepared

    def scores(self, batch: torch.Tensor) -> torch.Tensor:
        """Logits of a network with one per pixel; of one with masks and their classes, the logarithm of their sums.

        The sums are those of `post_process_semantic_segmentation` of transformers: by class, over the masks, the
        probability of the class times that of the pixel (Cheng et al., "Per-pixel classification is not all you need",
        2021, section 3.4).
        """
        found = self.model(pixel_values=batch)
        if "logits" in found:
            return _at_size_of(batch, found["logits"])
        masks = found["masks_queries_logits"].float()
        if "mask2former" in self.model.config.model_type:
            masks = functional.interpolate(masks, _MASK2FORMER, mode="bilinear")
        classes = found["class_queries_logits"].float().softmax(dim=-1)[..., :-1]
        summed = torch.einsum("nqc,nqhw->nchw", classes, masks.sigmoid())
        return summed.clamp_min(_LEAST).log()


class OnnxNetwork(ForeignNetwork):
    """An ONNX file in onnxruntime: on the GPU where onnxruntime has one, else on the processor.

    Args:
        foreign: What the config says of the network.
        path: The file.
        height: Height of the input, in pixels.
        width: Width of the input, in pixels.
        resize: Whether a photo keeps its shape, as `NetworkConfig.resize` has it; the crop then has that of the input.
    """

    def __init__(self, foreign: Foreign, path: Path, height: int, width: int) -> None:
        import onnxruntime

        super().__init__(foreign)
        self.file = read_onnx(path)
        self.size = (height, width)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        wanted = ("CUDAExecutionProvider", "CPUExecutionProvider")
        providers = [each for each in wanted if each in onnxruntime.get_available_providers()]
        try:
            self.session = onnxruntime.InferenceSession(path, options, providers=providers)
        except Exception as error:  # onnxruntime's own errors have no common class
            raise CheckpointError(
                f"{path} cannot be run by onnxruntime: {first_line(error)}. Export it again, or get it again."
            ) from None
        self.input = self.session.get_inputs()[0].name

    @property
    def parameter_count(self) -> int:
        """Number of weights and biases in the file."""
        return self.file.parameters

    def prepare(self, crops: Sequence[np.ndarray]) -> torch.Tensor:
        """Resizes, averaging where a photo shrinks, and normalises by channel."""
        height, width = self.size
        pixels = np.stack([_resized(crop, height, width) for crop in crops])
        batch = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div_(255)
        mean, std = (torch.tensor(each).reshape(1, 3, 1, 1) for each in (self.foreign.mean, self.foreign.std))
        batch = batch.sub_(mean).div_(std)
        return batch.flip(1) if self.foreign.order == "bgr" else batch

    def scores(self, batch: torch.Tensor) -> torch.Tensor:
        """What the first output of four dimensions holds."""
        array = np.ascontiguousarray(batch.float().cpu().numpy())
        array = array.astype(np.float16) if self.file.half else array
        parts = [array] if not self.file.batch else np.split(array, len(array))
        outputs = []
        for part in parts:
            found = [each for each in self.session.run(None, {self.input: part}) if getattr(each, "ndim", 0) == 4]
            outputs.append(found[0] if found else np.zeros((1, 0, 1, 1), np.float32))
        output = torch.from_numpy(np.concatenate(outputs).astype(np.float32)).to(batch.device)
        output = _at_size_of(batch, output)
        return output.clamp_min(_LEAST).log() if self.foreign.output == "probabilities" else output


def _at_size_of(batch: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    """Scores `(N, C, h, w)` at the size of the input, as networks give them at a fourth of it or less."""
    if scores.shape[-2:] == batch.shape[-2:] or not scores.numel():
        return scores
    return functional.interpolate(scores, batch.shape[-2:], mode="bilinear")


def _resized(photo: np.ndarray, height: int, width: int) -> np.ndarray:
    """A photo at another size, uint8 `(height, width, 3)`."""
    how = cv2.INTER_AREA if width < photo.shape[1] else cv2.INTER_LINEAR
    return cv2.resize(photo, (width, height), interpolation=how)


def load_network(path: Path, config: CheckpointConfig) -> ForeignNetwork:
    """Builds a network from elsewhere, ready to run.

    Args:
        path: Folder of the model, or an ONNX file.
        config: Config, as `read_config` gives it.

    Raises:
        CheckpointError: If its library is not installed, or its files are damaged, or are those of another network.
    """
    assert config.foreign is not None
    if config.foreign.library == "onnx":
        check_extra()
        network: ForeignNetwork = OnnxNetwork(config.foreign, find_onnx(path), config.height, config.width)
    else:
        network = _load_transformers(path, config.foreign)
    _check_output(path, network.eval(), config)
    return network


def _load_transformers(folder: Path, foreign: Foreign) -> TransformersNetwork:
    if problem := missing_extra("transformers", "transformers", what="A network of transformers"):
        raise CheckpointError(problem)
    import transformers

    name = read_json(folder / "config.json")["architectures"][0]
    kind = getattr(transformers, name, None)
    if kind is None:
        raise CheckpointError(f"{folder}: transformers {transformers.__version__} has no {name}. Update transformers.")
    with _quiet():
        try:
            model, found = kind.from_pretrained(
                folder,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # they are refused below, with a sentence that names one
            )
            processor = transformers.AutoImageProcessor.from_pretrained(
                folder, local_files_only=True, trust_remote_code=False
            )
        except (OSError, ValueError, RuntimeError, KeyError, TypeError, AttributeError, ImportError) as error:
            raise CheckpointError(f"{folder} cannot be loaded by transformers: {_reason(error)}. {_AGAIN}") from None
        except Exception as error:  # safetensors' own error has no public base
            raise CheckpointError(f"{folder} is damaged: {_reason(error)}. {_AGAIN}") from None
    if other := sorted(found["mismatched_keys"]):
        name, stored, wanted = other[0]
        raise CheckpointError(
            f"{folder}: {name} is of the shape {tuple(stored)}, and config.json, with its classes in id2label, asks "
            f"for {tuple(wanted)}. Correct config.json, or get the network again."
        )
    if missing := sorted(found["missing_keys"]):
        raise CheckpointError(f"{folder}: {len(missing)} tensors are missing, the first is {missing[0]}. {_AGAIN}")
    return TransformersNetwork(foreign, model, processor)


def _reason(error: Exception) -> str:
    """What a library says first, without what would end a sentence twice; some list every network that they know."""
    return shorten(first_line(error).rstrip(" .:!"), _LONGEST, placeholder=" ...") or type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps transformers from drawing a progress bar and from warning of what is checked here anyway."""
    from transformers.utils import logging as theirs

    level, bars = theirs.get_verbosity(), theirs.is_progress_bar_enabled()
    theirs.set_verbosity(logging.CRITICAL)
    theirs.disable_progress_bar()
    try:
        yield
    finally:
        theirs.set_verbosity(level)
        if bars:
            theirs.enable_progress_bar()


def _check_output(path: Path, network: ForeignNetwork, config: CheckpointConfig) -> None:
    """Runs the network once, so that what it cannot do is said when it is loaded."""
    channels = sum(map(len, network.foreign.channels))
    photo = np.zeros((config.height, config.width, 3), np.uint8)
    try:
        with torch.inference_mode():
            scores = network.scores(network.prepare([photo]))
    except Exception as error:  # whatever the library raises
        raise CheckpointError(f"{path} cannot be run on a photo: {_reason(error)}. {_AGAIN}") from None
    if scores.ndim != 4 or scores.shape[1] != channels:
        raise CheckpointError(
            f"{path} gives {scores.shape[1] if scores.ndim == 4 else 0} channels of pixels, and its classes are "
            f"{channels}. Name one class for each channel."
        )
    if not torch.isfinite(scores).all():
        raise CheckpointError(f"{path} answers a black photo with values that are not numbers. Get the network again.")
