"""What a photo, a class, a network and a checkpoint are, and how to run one."""

from segmodels.threads import set_waiting

__all__: list[str] = []

set_waiting()
