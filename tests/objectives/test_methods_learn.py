"""Each method, trained on a Gaussian teacher, finds its solution.

A student whose F is linear in x can be exactly right.

Errors are paired RMSEs of jumps against the teacher's exact ones; the data's standard deviation is about 1.
The bounds are about twice what was measured.
"""

import copy

import pytest
import torch
from helpers import EulerEnd, LinearStudent, Straight, gaussian

from traflow_lib import objectives
from traflow_lib.jump import JumpMap
from traflow_lib.pairs import PairCache
from traflow_lib.teachers import VelocityField
from traflow_lib.training import fit
from traflow_lib.training.config import TrainConfig

FLOW = gaussian(torch.float32)
PATH, LONG, SHORT = {"states": "path"}, {"steps": 1500}, {"steps": 400}

# method: [(options, training, bounds on the errors of the jumps named in errors())]
CASES = {
    "distill": [({}, SHORT, {"1 to 0": 0.001})],
    "flow_guided": [({}, SHORT, {"1 to 0": 0.001})],
    "reflow": [
        ({}, {}, {"1 to 0": 0.025, "chord": 0.0125}),
        ({"anneal": 0.5}, {}, {"1 to 0": 0.03, "chord": 0.015}),
    ],
    "reflow_pp": [({}, {}, {"1 to 0": 0.01, "chord": 0.005})],
    "cd": [({}, {}, {"1 to 0": 0.025, "half to 0": 0.02}), (PATH, {}, {"1 to 0": 0.025, "half to 0": 0.02})],
    "ct": [({}, LONG | {"lr": 0.03}, {"1 to 0": 0.15, "half to 0": 0.05})],
    "ctm": [
        (PATH, {}, {"1 to 0": 0.1, "half to 0": 0.1, "1 to half": 0.015}),
        ({}, {}, {"1 to 0": 0.1, "half to 0": 0.1, "1 to half": 0.025}),
    ],
    "shortcut": [({}, {}, {"1 to 0": 0.04, "half to 0": 0.04, "1 to half": 0.03})],
    "lmd": [({}, SHORT, {"1 to 0": 0.02, "half to 0": 0.01, "1 to half": 0.02})],
    "emd": [({}, SHORT, {"1 to 0": 0.08, "half to 0": 0.08, "1 to half": 0.01})],
    "meanflow": [({"ends": 0.25}, {}, {"1 to 0": 0.06, "half to 0": 0.08, "1 to half": 0.04})],
    "alphaflow": [({"ends": 0.25}, LONG, {"1 to 0": 0.08, "half to 0": 0.03, "1 to half": 0.025})],
    "splitmeanflow": [({"ends": 0.25}, {}, {"1 to 0": 0.03, "half to 0": 0.02, "1 to half": 0.015})],
    "ect": [
        (PATH | {"ends": 0.25}, {}, {"1 to 0": 0.004, "half to 0": 0.002}),
        ({"ends": 0.25}, LONG, {"1 to 0": 0.3, "half to 0": 0.08}),
    ],
    "scm": [({"ends": 0.25}, LONG, {"1 to 0": 0.12, "half to 0": 0.06})],  # its steps are of one length
    "traflow": [({}, {}, {"1 to 0": 0.002, "half to 0": 0.006, "1 to half": 0.003})],
    "traflow_anchored": [({}, {}, {"1 to 0": 0.002, "half to 0": 0.006, "1 to half": 0.003})],
    "traflow_v1": [
        ({}, {}, {"1 to 0": 0.004, "chord": 0.003}),
        (PATH, {}, {"1 to 0": 0.004, "half to 0": 0.006, "1 to half": 0.005}),
    ],
    "traflow_v4": [(PATH, {"steps": 250}, {"1 to 0": 0.03, "half to 0": 0.04, "1 to half": 0.02})],
}
OWN_TEST = {"progressive"}


def straight(x, t):
    """The velocity that an exact reflow leaves to the stage after it."""
    return Straight(FLOW)(x, t, t)


@pytest.fixture(scope="module")
def pairs():
    """Exact pairs with their path on 16 intervals, the same whatever ran before."""
    torch.manual_seed(0)
    x1 = torch.randn(20_000, 2)
    path = torch.stack([FLOW.jump(x1, 1.0, k / 16) for k in range(17)], dim=1)
    return PairCache(x1, path[:, 0], path)


def train(objective, pairs, folder, net=None, teacher=FLOW, steps=600, lr=0.02):
    """The jump map of the averaged network."""
    torch.manual_seed(0)
    config = TrainConfig(steps=steps, batch=256, lr=lr, ema=0.99)

    def loss_fn(net, ema_net, progress, draws):
        batch = pairs.batch(config.batch * objective.draws, path=objective.needs_path, draws=draws)
        batch.data, batch.progress = FLOW.sample(config.batch, draws.generator), progress
        return objective(JumpMap(net), JumpMap(ema_net), teacher, batch)

    return JumpMap(fit(net or LinearStudent(objective.s_input), loss_fn, config, folder, seed=0).net)


def rmse(a, b):
    return (a - b).square().mean().sqrt().item()


@torch.no_grad()
def errors(jump):
    """Of jumps between t = 1, 1/2 and 0, and of the jump to 1/2 for a student of the chords, whose states
    there are midpoints.
    """
    x1 = torch.randn(2000, 2)
    half, x0 = (FLOW.jump(x1, 1.0, s) for s in (0.5, 0.0))
    ends = {
        "1 to 0": (x1, 1.0, 0.0, x0),
        "half to 0": (half, 0.5, 0.0, x0),
        "1 to half": (x1, 1.0, 0.5, half),
        "chord": (x1, 1.0, 0.5, (x1 + x0) / 2),
    }
    return {name: rmse(jump(x, t, s), goal) for name, (x, t, s, goal) in ends.items()}


ALL = [
    pytest.param(name, *case, id=f"{name}{number}")
    for name in CASES
    for number, case in enumerate(CASES[name])
]


@pytest.mark.parametrize("name", objectives.names())
def test_every_method_has_a_case(name):
    assert CASES.get(name) or name in OWN_TEST


@pytest.mark.parametrize("name, options, training, bounds", ALL)
def test_trained_student_is_the_exact_map_and_an_untrained_one_is_not(
    name, options, training, bounds, pairs, tmp_path
):
    objective = objectives.get(name, **options)
    untrained = errors(JumpMap(LinearStudent(objective.s_input)))
    trained = errors(
        train(objective, pairs, tmp_path, teacher=straight if name == "flow_guided" else FLOW, **training)
    )
    for jump, bound in bounds.items():
        assert trained[jump] <= bound <= untrained[jump] / 3, jump


@pytest.mark.parametrize("solver, bias", [("heun", 0.0), ("euler", 0.134)])
def test_progressive_rounds_keep_the_endpoint_of_the_first_rounds_teacher(solver, bias, pairs, tmp_path):
    """8 half steps of the teacher, whose bias is Euler's 0.134 or Heun's 0.004, go through rounds of 4, 2 and
    1 steps unharmed.
    """
    jump, teacher = None, FLOW
    for steps, by in [(4, solver), (2, "euler"), (1, "euler")]:
        net = copy.deepcopy(jump.net).requires_grad_(True) if jump else None
        jump = train(
            objectives.get("progressive", steps=steps, solver=by),
            pairs,
            tmp_path / str(steps),
            net,
            teacher,
            steps=250,
        )
        teacher = VelocityField(jump.net)
        x1 = torch.randn(2000, 2)
        assert rmse(jump.sample(x1, steps), FLOW.jump(x1, 1.0, 0.0)) == pytest.approx(bias, abs=0.008)


@pytest.mark.parametrize("n", [4, 8])
def test_consistency_training_on_few_intervals_learns_the_euler_solver(n, pairs, tmp_path):
    """The bias that falls with the grid: Euler's error, 0.25 on 4 intervals and 0.13 on 8, and no other."""
    learned = train(objectives.get("ct", first=n, last=n), pairs, tmp_path)
    x1 = torch.randn(2000, 2)
    euler = JumpMap(EulerEnd(FLOW, n))(x1, 1.0, 0.0)
    with torch.no_grad():
        assert rmse(learned(x1, 1.0, 0.0), euler) <= 0.02 and rmse(
            euler, FLOW.jump(x1, 1.0, 0.0)
        ) == pytest.approx(1 / n, rel=0.1)
