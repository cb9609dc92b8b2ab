import numpy as np
import pytest
import torch
from torch import nn

from segmodels.architectures import build
from segmodels.architectures.feature_maps import has_feature_maps, logits_and_maps, pool_features


def test_the_logits_are_those_of_the_network(random_fpn: nn.Module) -> None:
    photos = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        logits, maps = logits_and_maps(random_fpn, photos)
        assert torch.equal(logits, random_fpn(photos))
    assert [tuple(each.shape[2:]) for each in maps] == [(16, 24), (16, 24), (8, 12), (4, 6), (2, 3)]
    assert all(len(each) == 2 for each in maps)


@pytest.mark.parametrize(("name", "has"), [("fpn", True), ("unet", True), ("segnet", False), ("fcn", False)])
def test_networks_of_segmentation_models_pytorch_have_maps(name: str, has: bool) -> None:
    with torch.device("meta"):
        assert has_feature_maps(build(name, 15, {})) is has


def test_an_input_that_is_padded_gives_the_same_logits_and_maps_of_its_own_cells(random_fpn: torch.nn.Module) -> None:
    photos = torch.rand(1, 3, 64, 48, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        logits, maps = logits_and_maps(random_fpn, photos)
        assert torch.allclose(logits, random_fpn(photos), atol=1e-5)
    assert {tuple(each.shape[2:]) for each in maps} == {(16, 12), (8, 6), (4, 3), (2, 2)}


def test_means_are_over_the_core_of_the_garment() -> None:
    cells = torch.zeros(3, 20, 20)
    cells[0] = 1
    cells[2, :10, :10], cells[0, :10, :10] = 0.8, 0.2
    cells[2, 10:, :10], cells[0, 10:, :10] = 0.3, 0.7  # less than half of 0.8: not of the core
    fine = torch.zeros(2, 20, 20)
    fine[0, :5, :10], fine[0, 5:, :] = 1.0, 3.0  # half of the core each
    fine[1] = 7.0
    coarse = torch.arange(4.0).reshape(1, 2, 2) + 1  # the core is its first cell alone
    found = pool_features([fine, coarse], cells, [2])
    assert found.shape == (1, 2 + 2 + 1 + 15 + 3) and found.dtype == np.float32
    assert found[0, :5] == pytest.approx([2, 7, 1, 0, 1], abs=1e-3)  # means, deviations, and the mean of the coarse map
    mean, spread = 5 / 20, np.sqrt((10**2 - 1) / 12) / 20  # of rows 0 to 9
    assert found[0, 5:9] == pytest.approx([mean, spread, mean, spread], abs=1e-4)
    first, last = 0.5 / 20, 9.5 / 20
    assert found[0, 9:15] == pytest.approx([first, last, first, last, last - first, last - first], abs=1e-4)
    body = 100 * 0.8 + 100 * 0.3
    # The person reaches from row 0 to row 19.
    assert found[0, 15:17] == pytest.approx([0, (9 / 20) / (19 / 20)], abs=1e-4)
    assert found[0, 17:20] == pytest.approx([np.log(80 / (body + 1) + 1e-3), 0.8, 19 / 20], abs=1e-4)
    shares = np.log(np.array([400 - body, 0, body]) / (body + 1) + 1e-3)
    assert found[0, 20:] == pytest.approx(shares, abs=1e-4)


def test_no_garments_have_no_features_and_empty_classes_have_finite_ones() -> None:
    cells = torch.zeros(3, 4, 4)
    cells[0] = 1
    assert pool_features([torch.zeros(1, 4, 4)], cells, []).size == 0
    assert np.isfinite(pool_features([torch.zeros(1, 4, 4)], cells, [1, 2])).all()
