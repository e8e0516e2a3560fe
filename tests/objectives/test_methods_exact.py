"""Each method's loss is zero, and does not move, at the exact solution of a Gaussian teacher, and is not zero
for another flow's.
"""

import pytest
import torch
from helpers import ExactAverage, gaussian, gaussian_batch
from method_helpers import EulerEnd, Perturbed, Straight, Towards, steps_of

from traflow_lib import objectives
from traflow_lib.flow import GaussianFlow
from traflow_lib.jump import JumpMap

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
