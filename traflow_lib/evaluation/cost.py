"""What a network costs: parameters, and multiply-accumulates a call."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def parameters(net: nn.Module) -> int:
    """Number of trained numbers in the network."""
    return sum(p.numel() for p in net.parameters())


@torch.no_grad()
def macs(net: nn.Module, shape: tuple) -> int:
    """Multiply-accumulates of one network call on one sample of `shape` (torch counts two floating-point operations for each)."""
    device = next(net.parameters()).device
    x, t = torch.zeros(1, *shape, device=device), torch.zeros(1, device=device)
    with FlopCounterMode(display=False) as counter:
        net(x, t)
    return counter.get_total_flops() // 2
