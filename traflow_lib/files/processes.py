"""The processes of one job, as torchrun or accelerate launch starts them."""

import atexit
from functools import cache

import torch
from accelerate import PartialState
from accelerate.utils import reduce
from torch import Tensor


def processes() -> PartialState:
    """This process among all of its job: its process_index, num_processes and device."""
    state = PartialState(cpu=not torch.accelerator.is_available())
    if state.num_processes > 1:
        _leave_in_order()
    return state


@cache
def _leave_in_order() -> None:
    """Close the group before Python ends: its threads, if left running, now and then abort a process."""
    atexit.register(PartialState().destroy_process_group)


def mean_over_processes(values: Tensor) -> Tensor:
    """The mean over all processes, which each get; with one process, `values` itself."""
    return reduce(values, "mean") if processes().num_processes > 1 else values
