"""The processes of one run: started by `torchrun` or SLURM, found out by Lightning's readers of their environments."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

__all__ = ["Processes", "sum_over_processes", "this_process"]


@dataclass(frozen=True)
class Processes:
    """Which of how many processes this is.

    Args:
        rank: Of this process, from 0.
        count: Of processes, over all machines.
        machines: They run on, equally many on each.
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


def sum_over_processes(values: torch.Tensor, processes: Processes) -> torch.Tensor:
    """The sum of what each process passes, on each of them; must be called by all.

    Args:
        values: Of any shape, on the processor.
        processes: Of which each passes as many values.
    """
    if processes.count == 1:
        return values
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("gloo", rank=processes.rank, world_size=processes.count)
    total = values.clone()
    torch.distributed.all_reduce(total)
    return total
