"""Costs counted by hand."""

import torch
from torch import nn

from traflow_lib.evaluation import cost
from traflow_lib.nets.mlp import MLP


class OneConvolution(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(3, 5, 3, padding=1)

    def forward(self, x, t):
        return self.layer(x)


def test_parameters_of_a_convolution():
    assert cost.parameters(OneConvolution()) == 5 * 3 * 3 * 3 + 5


def test_macs_of_a_convolution():
    """Every one of 8 x 8 x 5 outputs sums 3 x 3 x 3 products."""
    assert cost.macs(OneConvolution(), (3, 8, 8)) == 8 * 8 * 5 * 27


def test_macs_of_the_mlp():
    """Inputs: two coordinates and nine time features."""
    assert cost.macs(MLP(width=16, depth=3), (2,)) == 11 * 16 + 2 * 16 * 16 + 16 * 2


def test_counting_leaves_the_network_as_it_was():
    net = MLP(width=16, depth=3)
    before = [p.clone() for p in net.parameters()]
    cost.macs(net, (2,))
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters())) and net.training
