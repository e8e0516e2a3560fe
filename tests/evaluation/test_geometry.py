"""Counted by hand: paths and clouds of points with known shapes, and what a network costs."""

import math

import pytest
import torch
from helpers import ExactAverage, gaussian, random_student, student
from torch import nn

from traflow_lib.evaluation import cost
from traflow_lib.evaluation.geometry import curvature, paired_rmse, self_consistency, straightness
from traflow_lib.evaluation.transport import mmd, sliced_wasserstein2, wasserstein2
from traflow_lib.jump import JumpMap
from traflow_lib.nets.mlp import MLP
from traflow_lib.solvers import CALLS_PER_STEP, solve

GRID = torch.linspace(0, 1, 1001, dtype=torch.float64)


def along(progress, shape=(2,)):
    """Paths [T, 5, ...] from random starts to random ends, of which `progress` [T] is covered."""
    start, end = torch.randn(2, 5, *shape).double()
    return start + progress.reshape(-1, 1, *[1] * len(shape)) * (end - start)


@pytest.mark.parametrize("shape", [(2,), (1, 4, 4)])
def test_straight_even_motion_is_straight_and_uncurved(shape):
    path = along(GRID, shape)
    assert straightness(path) == pytest.approx(0, abs=1e-12) and curvature(path) == pytest.approx(0, abs=1e-9)


def test_uneven_speed_on_a_line_bends_nothing_but_is_not_straight():
    """At progress r^2 the velocity is 2r times the chord: straightness is E(2r - 1)^2 = 1/3 of its square."""
    path = along(GRID**2)
    square = (path[-1] - path[0]).square().sum(1).mean().item()
    assert curvature(path) == pytest.approx(0, abs=1e-9) and straightness(path) == pytest.approx(
        square / 3, rel=1e-3
    )


def test_half_circle():
    """Arc over chord is pi/2; at constant speed pi the velocity is off the chord (length 2) by pi^2 - 4 in
    the mean.
    """
    path = torch.stack([torch.cos(math.pi * GRID), torch.sin(math.pi * GRID)], dim=1)[:, None]
    assert curvature(path) == pytest.approx(math.pi / 2 - 1, rel=1e-4)
    assert straightness(path) == pytest.approx(math.pi**2 - 4, rel=1e-4)


def test_direction_of_a_path_does_not_matter():
    path = torch.randn(9, 5, 2)
    assert straightness(path) == pytest.approx(straightness(path.flip(0))) and curvature(
        path
    ) == pytest.approx(curvature(path.flip(0)))


def test_paired_rmse_is_a_length_in_2d_and_a_pixels_error_in_images():
    assert paired_rmse(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.zeros(2, 2)) == pytest.approx(12.5**0.5)
    assert paired_rmse(torch.full((3, 1, 8, 8), 0.5), torch.zeros(3, 1, 8, 8)) == pytest.approx(0.5)


def test_exact_jump_map_is_consistent_with_itself():
    assert self_consistency(JumpMap(ExactAverage(gaussian())), torch.randn(100, 2).double()) <= 1e-12


def test_self_consistency_compares_two_calls_with_one():
    student, shape = random_student("mlp")
    noise = torch.randn(100, *shape)
    with torch.no_grad():
        expected = paired_rmse(student.sample(noise, 2), student.sample(noise, 1))
    assert self_consistency(student, noise, times=(0.5,)) == pytest.approx(expected) and expected > 0


SHIFT = torch.tensor([3.0, -4.0])


def test_w2_of_a_shifted_cloud_is_the_length_of_the_shift():
    pytest.importorskip("ot")
    x = torch.randn(200, 2)
    assert wasserstein2(x, x + SHIFT) == pytest.approx(5, rel=1e-5) and wasserstein2(x, x) == pytest.approx(
        0, abs=1e-4
    )


@pytest.mark.parametrize("shape", [(2,), (1, 4, 4)])
def test_w2_solves_the_assignment_problem(shape):
    pytest.importorskip("ot")
    assignment = pytest.importorskip("scipy.optimize").linear_sum_assignment
    a, b = torch.randn(50, *shape), 2 * torch.randn(50, *shape) + 1
    cost = (a.flatten(1)[:, None] - b.flatten(1)[None]).double().square().sum(-1).numpy()
    assert wasserstein2(a, b) == pytest.approx(cost[assignment(cost)].mean() ** 0.5, rel=1e-6)


def test_w2_allows_clouds_of_unequal_size():
    pytest.importorskip("ot")
    assert wasserstein2(torch.zeros(3, 2), torch.tensor([[3.0, 0.0], [0.0, 4.0]])) == pytest.approx(12.5**0.5)


@pytest.mark.parametrize("dim", [1, 2, 64])
def test_sliced_w2_of_a_shift_is_its_length_over_root_dimension(dim):
    """Each direction sees the shift's component along it.

    4,096 directions leave about one per cent of sampling error.
    """
    x, shift = torch.randn(50, dim), torch.randn(dim)
    assert sliced_wasserstein2(x, x + shift, projections=4096) == pytest.approx(
        shift.norm().item() / dim**0.5, rel=0.05
    )


def test_sliced_w2_ignores_order_and_repeats_itself():
    a, b = torch.randn(300, 2), torch.randn(300, 2)
    assert (
        sliced_wasserstein2(a, b)
        == sliced_wasserstein2(a, b)
        == pytest.approx(sliced_wasserstein2(a.flip(0), b))
    )
    assert sliced_wasserstein2(a, a.flip(0)) == 0


def test_sliced_w2_of_unequal_clouds_is_refused():
    with pytest.raises(ValueError, match="two clouds of one size"):
        sliced_wasserstein2(torch.zeros(3, 2), torch.zeros(4, 2))


def test_mmd_is_about_zero_for_one_distribution_and_grows_with_a_shift():
    a, b = torch.randn(1500, 2), torch.randn(1500, 2)
    same, near, far = mmd(a, b), mmd(a, b + 0.3), mmd(a, b + 1.0)
    assert abs(same) < 0.01 and 5 * abs(same) < near < far


def test_mmd_is_unbiased():
    """A biased estimate of two samples of 20 would average about 2 * 5 / 20 too high."""
    values = torch.tensor([mmd(torch.randn(20, 2), torch.randn(20, 2)) for _ in range(200)])
    assert abs(values.mean()) <= 4 * values.std() / 200**0.5


def test_mmd_of_two_points_by_hand():
    """Clouds {0, 1} and {0, 1}, one kernel: k(0,1) + k(0,1) - 2 (2 + 2 k(0,1)) / 4."""
    x, k = torch.tensor([[0.0], [1.0]]), torch.tensor(-0.5).exp().item()
    assert mmd(x, x, bandwidths=(1.0,)) == pytest.approx(2 * k - (1 + k))


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
