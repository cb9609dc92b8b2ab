"""What every fit optimises by."""

import pytest
import torch
from torch import nn

from train.optimisation import one_cycle, parameter_groups


def test_biases_and_norms_are_not_decayed_and_what_is_frozen_is_left_out() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))
    network[2].requires_grad_(False)
    decayed, free = parameter_groups(network, 0.3)
    assert [id(each) for each in decayed["params"]] == [id(network[0].weight)]
    assert {id(each) for each in free["params"]} == {id(each) for each in (network[0].bias, *network[1].parameters())}
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.3, 0)


def test_the_rate_rises_in_the_first_steps_and_falls_to_nothing() -> None:
    optimiser = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=0.1)
    schedule = one_cycle(optimiser, 100)
    rates = []
    for _ in range(100):
        rates.append(schedule.get_last_lr()[0])
        optimiser.step()
        if len(rates) < 100:
            schedule.step()
    assert rates.index(max(rates)) == 14 and max(rates) == pytest.approx(0.1)
    assert rates[0] == pytest.approx(0.004) and rates[-1] < 1e-5


def test_a_part_with_a_rate_of_its_own() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 1))
    groups = parameter_groups(network, 0.3, network[0], 0.02)
    assert [[id(each) for each in group["params"]] for group in groups] == [
        [id(network[1].weight)],
        [id(network[1].bias)],
        [id(network[0].weight)],
        [id(network[0].bias)],
    ]
    schedule = one_cycle(torch.optim.AdamW(groups, lr=0.1), 100)
    assert [rate * 25 for rate in schedule.get_last_lr()] == pytest.approx([0.1, 0.1, 0.02, 0.02])  # of the highest
