"""What a network costs: parameters, and multiply-accumulates, time and memory of one call, as in NFE."""

from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from statistics import median
from time import perf_counter

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from .. import nets
from ..nets.sizes import NETWORKS

BATCHES = (1, 4, 16, 64, 256)


def parameters(net: nn.Module) -> int:
    """Number of trained numbers in the network."""
    return sum(p.numel() for p in net.parameters())


def macs(net: nn.Module, shape: tuple) -> int:
    """Multiply-accumulates of one call on one sample of `shape`, in matrix products and convolutions."""
    with FlopCounterMode(display=False) as counter:  # counts two operations for each
        _call(net, shape, 1)
    return counter.get_total_flops() // 2


@contextmanager
def counting(net: nn.Module):
    """Inside, the list it gives grows by the batch of every call; NFE is its sum by the number of samples."""
    calls: list[int] = []
    handle = net.register_forward_hook(lambda net, inputs, output: calls.append(len(inputs[0])))
    try:
        yield calls
    finally:
        handle.remove()


@dataclass(frozen=True)
class Cost:
    """latency_ms: of a call at batch 1; images_per_second: calls a second times the batch, at best_batch.

    peak_memory_mb: of CUDA at that batch, None on a CPU. Medians of several runs.
    """

    parameters: int
    macs: int
    latency_ms: float
    images_per_second: float
    best_batch: int
    peak_memory_mb: float | None


def measure(net: nn.Module, shape: tuple, batches: tuple[int, ...] = BATCHES, repeats: int = 5) -> Cost:
    """The cost of one call of the network on samples of `shape`, on the device it is on.

    Batches are tried in turn until one does not fit into memory. Needs a machine that does nothing else.
    """
    seconds = {}
    for batch in batches:
        try:
            seconds[batch] = _seconds(net, shape, batch, repeats)
        except torch.cuda.OutOfMemoryError:
            break
    best = max(seconds, key=lambda batch: batch / seconds[batch])
    latency = seconds[1] if 1 in seconds else _seconds(net, shape, 1, repeats)
    peak = None
    if next(net.parameters()).is_cuda:
        torch.cuda.reset_peak_memory_stats()
        _call(net, shape, best)
        peak = torch.cuda.max_memory_allocated() / 1e6
    return Cost(parameters(net), macs(net, shape), 1000 * latency, best / seconds[best], best, peak)


@torch.no_grad()
def _call(net: nn.Module, shape: tuple, batch: int) -> None:
    device = next(net.parameters()).device
    net(torch.zeros(batch, *shape, device=device), torch.zeros(batch, device=device))


def _seconds(net: nn.Module, shape: tuple, batch: int, repeats: int) -> float:
    times = []
    for _ in range(repeats + 2):
        start = perf_counter()
        _call(net, shape, batch)
        if next(net.parameters()).is_cuda:
            torch.cuda.synchronize()
        times.append(perf_counter() - start)
    return median(times[2:])  # the first two warm up


@cache
def of_standard(name: str, s_input: bool = False) -> tuple[int, int]:
    """Parameters and MACs (a call on an image) of one of NETWORKS; s_input: with the student's input s."""
    config = NETWORKS[name][2]
    with torch.device("meta"):
        net = nets.build(config, s_input=s_input)
    return parameters(net), macs(net, nets.sample_shape(config))
