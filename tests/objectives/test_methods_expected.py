"""Losses with a noise floor, on a Gaussian teacher.

The floor in closed form, and no expected gradient at their solution.
"""

import pytest
import torch
from helpers import gaussian
from method_helpers import EulerEnd, Perturbed, Towards

from traflow_lib import objectives
from traflow_lib.batch import Batch
from traflow_lib.jump import JumpMap
from traflow_lib.objectives.ctm import denoising

FLOW = gaussian()
EIGVALS = FLOW.eigvals[0]


def velocity(flow):
    """The exact velocity as a network blind to s."""
    return Towards(flow, lambda t: t)


def batch(n=20_000, **extra):
    x1 = torch.randn(n, 2, dtype=torch.float64)
    return Batch(x1, FLOW.jump(x1, 1.0, 0.0), data=FLOW.sample(n), **extra)


def assert_stationary(loss, net, repeats=16):
    """Over fresh batches the mean gradient with respect to a perturbation of the network is within 4 standard
    errors of 0, and becomes at least 20 when the network is moved along it.
    """
    for theta, low, high in [(0.0, 0, 4), (0.1, 20, float("inf"))]:
        moved = Perturbed(net, theta)
        found = torch.stack([torch.autograd.grad(loss(moved), moved.theta)[0] for _ in range(repeats)])
        assert low <= found.mean().abs() / (found.std() / repeats**0.5) <= high


def consistency_floor(n):
    """E (f(x_t, t) - f(x_u, u))^2 over t = 1/n ..

    1, u = t - 1/n, where f(x, k/n) is k Euler steps, in a direction x -> a_k x, and a chord is t e + (1 - t)
    sqrt(l) z with independent e and z.
    """
    t = torch.arange(n + 1).double()[:, None] / n
    shrink = 1 - (t - (1 - t) * EIGVALS) / (t**2 + (1 - t) ** 2 * EIGVALS) / n
    a = torch.cat([torch.ones(1, 2), shrink[1:]]).cumprod(dim=0)
    noise, data = a * t, a * (1 - t) * EIGVALS.sqrt()
    return (noise.diff(dim=0).square() + data.diff(dim=0).square()).mean().item()


def ct(n, progress=0.0):
    """Consistency training on n intervals, as a function of the student's network."""
    objective, exact = objectives.get("ct", first=n, last=n), JumpMap(EulerEnd(FLOW, n))
    return lambda net: objective(JumpMap(net), exact, None, batch(progress=progress)).total


@pytest.mark.parametrize("n", [2, 10])
def test_consistency_trainings_solution_is_the_teachers_euler_solver(n):
    """E[x_u | x_t] on random chords is one Euler step of the teacher, which is where the method's bias comes
    from.
    """
    solution, loss = EulerEnd(FLOW, n), ct(n)
    assert torch.stack([loss(solution) for _ in range(8)]).mean().item() == pytest.approx(
        consistency_floor(n), rel=0.02
    )
    assert_stationary(loss, solution)


@pytest.mark.parametrize("gap", [None, 0.05])
def test_denoising_leaves_the_posterior_variance_of_the_data(gap):
    """In a direction of variance l, Var(x_0 | z_t) = l t^2 / (t^2 + (1 - t)^2 l).

    Its solution is the teacher's velocity.
    """
    n = 20_000
    t = torch.linspace(0, 1, n).double()
    scale = 1.0 if gap is None else t.clamp(min=gap)[:, None]
    at = t[:, None]
    floor = (EIGVALS * at**2 / (at**2 + (1 - at) ** 2 * EIGVALS) / scale**2).mean().item()

    def loss(net):
        return denoising("l2", JumpMap(net), batch(n), t, gap)

    assert loss(velocity(FLOW)).item() == pytest.approx(floor, rel=0.03)
    assert_stationary(loss, velocity(FLOW))


def test_annealing_reflow_starts_as_the_flow_of_random_pairs():
    """Its solution at progress 0 is the teacher's own velocity, with the floor of rectified flow.

    Var(x_1 - x_0 | z_t) = l / Var(z_t).
    """
    objective = objectives.get("reflow", anneal=1.0)

    def loss(net):
        return objective(JumpMap(net), None, None, batch()).total

    t = (torch.arange(1000).double()[:, None] + 0.5) / 1000
    floor = (EIGVALS / (t**2 + (1 - t) ** 2 * EIGVALS)).mean().item()
    assert loss(velocity(FLOW)).item() == pytest.approx(floor, rel=0.03)
    assert_stationary(loss, velocity(FLOW))
