"""Each method's loss is zero, and does not move, at the exact solution of a Gaussian teacher, and is not zero
for another flow's.

Losses with a noise floor, on a Gaussian teacher.

The floor in closed form, and no expected gradient at their solution.
"""

import pytest
import torch
from helpers import EulerEnd, ExactAverage, Perturbed, Straight, Towards, gaussian, gaussian_batch, steps_of

from traflow_lib import objectives
from traflow_lib.batch import Batch
from traflow_lib.flow import GaussianFlow
from traflow_lib.jump import JumpMap
from traflow_lib.objectives.ctm import denoising

WRONG = GaussianFlow(torch.tensor([0.0, 0.5]).double(), torch.eye(2).double() * 0.3)
STATISTICAL = {"ct"}  # in test_methods_expected.py: its loss has a noise floor
PATH, CHORD = {"states": "path"}, {"states": "chord", "ends": 0.5}
RK4, EULER = {"solver": "rk4", "intervals": 32}, {"solver": "euler"}


def euler_end(n):
    return lambda flow: EulerEnd(flow, n)


def velocity_of(make):
    """The previous stage's network as the velocity field that a stage gets as its teacher."""
    return lambda flow: lambda x, t: make(flow)(x, t, t)


# method: [(options, network of the exact solution, what stands in for the teacher if it is not the flow
# itself)]
CASES = {
    "distill": [({}, ExactAverage), ({"distance": "pseudo_huber"}, Straight)],
    "reflow": [
        (options, Straight) for options in ({}, {"ends": 0.5}, {"times": "u_shaped"}, {"anneal": 0.5})
    ],
    "reflow_pp": [({}, Straight)],
    "flow_guided": [
        (options, Straight, velocity_of(Straight)) for options in ({}, {"guidance": 3.0, "middle": "teacher"})
    ],
    "progressive": [
        *[
            ({"steps": n, "states": states}, steps_of(n), velocity_of(steps_of(2 * n)))
            for n in (1, 2, 4)
            for states in ("data", "path", "chord")
        ],
        ({"steps": 8, "solver": "rk4"}, steps_of(8)),
    ],
    "cd": [
        (PATH, Towards),
        ({"first": 64, "last": 64}, Towards),
        ({"first": 4, "last": 4, "states": "chord", **EULER}, euler_end(4)),
        (
            {"first": 2, "last": 14, **EULER},
            euler_end(10),
        ),  # sqrt(2^2 + (14^2 - 2^2) / 2) = 10 intervals at half of the training
    ],
    "ctm": [
        ({"consistency": kind, "denoising": 0.0, "times": "three", **options}, ExactAverage)
        for kind in ("soft", "local", "global")
        for options in (PATH, RK4)
    ],
    "shortcut": [
        (options, ExactAverage)
        for options in (PATH, {}, {"finest": 4, "bootstrap": 0.75}, {"states": "chord"})
    ],
    "lmd": [(options, ExactAverage) for options in (PATH, {}, CHORD)],
    "emd": [(options, ExactAverage) for options in (PATH, {}, CHORD)],
    "meanflow": [
        ({"times": times, **options}, ExactAverage)
        for times in ("logit_normal", "two")
        for options in (PATH, {}, {"distance": "l2", "share": 0.75}, CHORD)
    ],
    "alphaflow": [  # at the end of its schedule; before it the steps are Euler's
        ({"end": 0.5, **options}, ExactAverage)
        for options in (PATH, {}, {"distance": "l2", "share": 0.9}, CHORD)
    ],
    "splitmeanflow": [
        (options, ExactAverage) for options in (PATH, {}, {"times": "two", "share": 0.9}, CHORD)
    ],
    "ect": [(PATH, Towards)],
    "scm": [(options, Towards) for options in (PATH, {}, {"distance": "l2"}, CHORD)],
    "traflow": [({}, ExactAverage)],
    "traflow_anchored": [({}, ExactAverage)],
    "traflow_v1": [
        ({}, Straight),
        (PATH, ExactAverage),
        ({**PATH, "output_from": "noise", "separate_pairs": True}, ExactAverage),
    ],
    "traflow_v4": [
        ({**PATH, "denoising": 0.0, "weighting": "fixed"}, ExactAverage),
        (
            {**PATH, "denoising": 0.0, "weighting": "fixed", "solver": "rk4", "teacher_steps": 16},
            ExactAverage,
        ),
    ],
}


def same_flow(flow):
    return flow


def case(name, options, make, teach=same_flow):
    label = " ".join(f"{key}={value}" for key, value in options.items()) or "default"
    return pytest.param(name, options, make, teach, id=f"{name} {label}")


ALL = [case(name, *variant) for name, variants in CASES.items() for variant in variants]


def loss(name, options, net, target, teacher):
    """The loss at half of the training, on the same batch and times whichever network it is of."""
    torch.manual_seed(1)
    batch = gaussian_batch(gaussian(), 400)
    batch.progress = 0.5
    return objectives.get(name, **options)(JumpMap(net), JumpMap(target), teacher, batch).total


@pytest.mark.parametrize("name", objectives.names())
def test_every_method_has_a_case(name):
    assert CASES.get(name) or name in STATISTICAL


@pytest.mark.parametrize("name, options, make, teach", [case for case in ALL if case.values[0] != "shortcut"])
def test_exact_solution_is_a_stationary_zero_of_the_loss(name, options, make, teach):
    """What is left is rounding or the error of the solver (1e-11 at most, from 64 Heun steps).

    The gradient is compared with a moved network's.
    """
    exact, teacher = make(gaussian()), teach(gaussian())
    here, there = (Perturbed(exact, theta) for theta in (0.0, 0.1))
    losses = [loss(name, options, net, exact, teacher) for net in (here, there)]
    slopes = [torch.autograd.grad(value, net.theta)[0].abs() for value, net in zip(losses, (here, there))]
    assert losses[0] <= 1e-10 and losses[1] >= 1e-3
    assert slopes[0] <= 1e-5 * slopes[1]


@pytest.mark.parametrize("states", ["data", "chord"])
def test_shortcuts_zero_is_the_exact_map_as_its_finest_jumps_shrink(states):
    """The halves of the shortest jumps are asked for as velocities.

    What is left falls with the square of their length.
    """
    exact = ExactAverage(gaussian())
    here, there = (Perturbed(exact, theta) for theta in (0.0, 0.1))
    options = [{"finest": finest, "states": states} for finest in (8, 64, 512)]
    coarse, middle, fine = (loss("shortcut", option, here, exact, gaussian()) for option in options)
    assert middle < coarse / 20 and fine < middle / 20 and fine < 1e-6
    moved = loss("shortcut", options[-1], there, exact, gaussian())
    slopes = [
        torch.autograd.grad(value, net.theta)[0].abs() for value, net in zip((fine, moved), (here, there))
    ]
    assert moved >= 1e-3 and slopes[0] <= 1e-2 * slopes[1]


@pytest.mark.parametrize("name, options, make, teach", ALL)
def test_solution_of_another_flow_has_a_loss(name, options, make, teach):
    """Also where the target is that of the other flow: the teacher or its pairs must tell.

    The smallest are local: one of 64 intervals.
    """
    wrong = make(WRONG)
    assert loss(name, options, wrong, wrong, teach(gaussian())) >= 2e-4


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
