"""Networks on OpenVINO give what they give on PyTorch."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import nn

from segmodels.architectures.compiled import CompiledNetwork, check_runtime
from segmodels.architectures.feature_maps import WithFeatureMaps, logits_and_maps
from segmodels.checkpoints.checkpoint import Checkpoint
from segmodels.device import DeviceError, Precision
from segmodels.inference.detector import detect, load_detector
from segmodels.inference.segmenter import Segmenter

FLOAT32 = Precision("32", torch.device("cpu"))


def test_logits_and_feature_maps_are_pytorchs(random_fpn: nn.Module) -> None:
    photos = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(1))
    compiled = CompiledNetwork(WithFeatureMaps(random_fpn), FLOAT32)
    with torch.inference_mode():
        logits, maps = logits_and_maps(random_fpn, photos)
        found, found_maps = logits_and_maps(compiled, photos)
        assert torch.equal(compiled(photos), found)
    assert len(found_maps) == len(maps) > 2
    for one, other in zip([logits, *maps], [found, *found_maps], strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(one, other, atol=1e-3 * float(one.abs().max()), rtol=0)


def test_several_threads_run_one_network() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 2, 3)).eval()
    compiled = CompiledNetwork(network, FLOAT32)
    photos = [torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(seed)) for seed in range(8)]
    with ThreadPoolExecutor(4) as pool, torch.inference_mode():
        found = list(pool.map(compiled, photos))
        wanted = [network(photo) for photo in photos]
    assert len({float(each.sum()) for each in wanted}) == 8
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3 * float(other.abs().max()), rtol=0)


def test_the_detector_finds_the_same_people(checkpoint_of: Callable[..., Checkpoint]) -> None:
    rng = np.random.default_rng(0)
    photo = rng.integers(0, 256, (96, 64, 3), np.uint8)
    batch = torch.from_numpy(rng.standard_normal((1, 3, 320, 320), np.float32))
    detector = load_detector("", torch.device("cpu"), FLOAT32, "openvino")
    assert detector.runtime == "openvino" and load_detector("", torch.device("cpu"), FLOAT32).runtime == "torch"
    with torch.inference_mode():
        found, wanted = detector.parts(batch), load_detector("", torch.device("cpu"), FLOAT32).parts(batch)
        assert [list(each) for each in detect(detector.network, batch, detector.parts)] == [
            ["boxes", "scores", "labels"]
        ]
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, atol=1e-3 * float(other.abs().max()), rtol=0)
    checkpoint = checkpoint_of()
    one, other = (Segmenter(checkpoint, torch.device("cpu"), detector, FLOAT32, name) for name in ("torch", "openvino"))
    assert isinstance(other.networks[0], CompiledNetwork) and not isinstance(one.networks[0], CompiledNetwork)
    assert (one.segment(photo).class_map == other.segment(photo).class_map).mean() > 0.99


def test_what_cannot_be_used_is_one_sentence(
    checkpoint_of: Callable[..., Checkpoint], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GARMENTSCOPE_RUNTIME", "tensorrt")
    with pytest.raises(DeviceError, match=r"^GARMENTSCOPE_RUNTIME must be torch or openvino, not 'tensorrt'\.$"):
        Segmenter(checkpoint_of(), torch.device("cpu"))
    monkeypatch.setattr("segmodels.extras.importlib.util.find_spec", lambda name: None)
    sentence = r'^GARMENTSCOPE_RUNTIME=openvino needs openvino, .*: pip install "garmentscope\[openvino\]"$'
    with pytest.raises(DeviceError, match=sentence):
        check_runtime("openvino")
    check_runtime("torch")


def test_a_network_that_openvino_cannot_run_is_one_sentence() -> None:
    class Odd(nn.Module):
        def forward(self, photos: torch.Tensor) -> torch.Tensor:
            raise RuntimeError("no such operator.\nIn line 3")

    with pytest.raises(DeviceError, match=r"^OpenVINO cannot run this model \(.+\)\. Unset GARMENTSCOPE_RUNTIME\.$"):
        CompiledNetwork(Odd(), FLOAT32)(torch.zeros(1, 3, 32, 32))
