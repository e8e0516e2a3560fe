"""Costs counted by hand."""

import pytest
import torch
from helpers import student
from torch import nn

from traflow_lib.evaluation import cost
from traflow_lib.nets.mlp import MLP
from traflow_lib.solvers import CALLS_PER_STEP, solve


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


@pytest.mark.parametrize("steps", [1, 3])
def test_calls_of_a_student_are_counted(steps):
    jump = student()
    with cost.counting(jump.net) as calls:
        jump.sample(torch.randn(5, 2), steps)
    assert calls == [5] * steps
    jump.sample(torch.randn(5, 2))
    assert len(calls) == steps, "outside nothing is counted"


@pytest.mark.parametrize("method", ["euler", "heun", "rk4"])
def test_calls_of_a_teacher_are_those_the_solver_tells(method):
    net = MLP(width=16, depth=3)
    with cost.counting(net) as calls:
        solution = solve(net, torch.randn(4, 2), method=method, steps=2)
    assert sum(calls) / 4 == solution.nfe == 2 * CALLS_PER_STEP[method]


def test_cost_of_a_call():
    found = cost.measure(OneConvolution(), (3, 8, 8), batches=(1, 2, 64), repeats=2)
    assert (found.parameters, found.macs) == (140, 8640)
    assert (
        found.latency_ms > 0
        and found.best_batch in (1, 2, 64)
        and found.images_per_second >= 1000 / found.latency_ms * 0.99
    )
    assert found.peak_memory_mb is None, "CUDA tells its memory, a CPU does not"
