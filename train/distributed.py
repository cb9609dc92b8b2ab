"""The processes of one run: started by `torchrun` or SLURM, found out by Lightning's readers of their environments."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from tqdm import tqdm

__all__ = ["Processes", "gather", "say", "this_process"]

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """Which of how many processes this is.

    Args:
        rank: Rank of this process, from 0.
        count: Number of processes, over all machines.
        machines: Number of machines that the processes run on, equally many on each.
    """

    rank: int = 0
    count: int = 1
    machines: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this one writes files and talks."""
        return self.rank == 0


def this_process() -> Processes:
    """What `torchrun` or SLURM's `srun` says; the only one if it was started by neither."""
    if TorchElasticEnvironment.detect():
        environment = TorchElasticEnvironment()
        count = environment.world_size()
        return Processes(environment.global_rank(), count, count // int(os.environ["LOCAL_WORLD_SIZE"]))
    if SLURMEnvironment.detect():
        return Processes(
            int(os.environ["SLURM_PROCID"]), int(os.environ["SLURM_NTASKS"]), int(os.environ.get("SLURM_NNODES", "1"))
        )
    return Processes()


def say(sentence: str) -> None:
    """Writes a line to the terminal, above a bar where there is one; in the first process only."""
    if this_process().is_first:
        tqdm.write(sentence)


def gather(values: Sequence[T], processes: Processes) -> list[T]:
    """What each process passes, one after the other, on each of them; must be called by all.

    Args:
        values: Values that can be pickled; they go from process to process of one run only.
        processes: Processes of the run, each of which passes some values, or none.
    """
    if processes.count == 1:
        return list(values)
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("gloo", rank=processes.rank, world_size=processes.count)
    everyone: list[Sequence[T]] = [[] for _ in range(processes.count)]
    torch.distributed.all_gather_object(everyone, list(values), _processors())
    return [value for each in everyone for value in each]


@cache
def _processors() -> torch.distributed.ProcessGroup:
    """A group that exchanges by the processors, also after a fit has joined the processes by their GPUs (NCCL)."""
    group = torch.distributed.new_group(backend="gloo")
    assert isinstance(group, torch.distributed.ProcessGroup)
    return group
