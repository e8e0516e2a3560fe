"""What a network costs: parameters, multiply-accumulates and time a call."""

import time

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def parameters(net: nn.Module) -> int:
    """Number of trained numbers in the network."""
    return sum(p.numel() for p in net.parameters())


@torch.no_grad()
def macs(net: nn.Module, shape: tuple) -> int:
    """Multiply-accumulates of one network call on one sample of `shape` (torch counts two floating-point operations for each)."""
    x, t = torch.zeros(1, *shape), torch.zeros(1)
    with FlopCounterMode(display=False) as counter:
        net(x, t)
    return counter.get_total_flops() // 2


@torch.no_grad()
def latency(call, repeats: int = 5) -> float:
    """Median seconds of call() after one warm-up call."""
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return sorted(times)[len(times) // 2]
