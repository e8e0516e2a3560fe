"""The processes of one job, as torchrun or accelerate launch starts them.

Which one this is, and what they do together.
"""

import torch
from accelerate import PartialState
from accelerate.utils import reduce
from torch import Tensor


def processes() -> PartialState:
    """This process among all that torchrun or accelerate launch started.

    Its process_index, num_processes and device.
    """
    return PartialState(cpu=not torch.accelerator.is_available())


def mean_over_processes(values: Tensor) -> Tensor:
    """The mean over all processes, which each get; with one process, `values` itself."""
    return reduce(values, "mean") if processes().num_processes > 1 else values
