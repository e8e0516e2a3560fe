"""TraFlow's terms: zero at the exact solution, the right sign, each sample over its own interval, and the
states they are taken at.
"""

import pytest
import torch
from helpers import Constant, ExactAverage, frozen_target, gaussian, gaussian_batch, random_pairs, student

from traflow_lib import objectives
from traflow_lib.batch import Batch
from traflow_lib.flow import chord
from traflow_lib.jump import JumpMap
from traflow_lib.objectives.base import solve_between

TERMS = ("output", "velocity", "consistency", "denoising")


def only(*terms, **options):
    """TraFlow with some of its terms alone."""
    return objectives.TraFlow(**{term: float(term in terms) for term in TERMS}, **options)


EXACT = {
    "output": only("output", states="path"),
    "average velocity": only("velocity", states="path"),
    "derivative": only("velocity", states="path", velocity_form="derivative"),
    "consistency": only("consistency", states="path"),
    "consistency through the teacher": only("consistency", states="path", teacher_steps=16, solver="rk4"),
    "on-policy": only("output", "velocity", states="path", on_policy=0.5),
    "pseudo-Huber": only("output", "velocity", "consistency", states="path", distance="pseudo_huber"),
}


@pytest.mark.parametrize("name", EXACT)
def test_loss_is_zero_at_the_teachers_exact_jump_map(name):
    flow = gaussian()
    exact, batch = JumpMap(ExactAverage(flow)), gaussian_batch(flow, 500)
    assert EXACT[name](exact, exact, flow, batch).total <= 1e-9


@pytest.mark.parametrize("name", EXACT)
def test_loss_is_not_zero_for_another_flows_jump_map(name):
    flow = gaussian()
    wrong = JumpMap(ExactAverage(type(flow)(torch.tensor([0.0, 0.5]).double(), torch.eye(2).double() * 0.3)))
    assert EXACT[name](wrong, JumpMap(ExactAverage(flow)), flow, gaussian_batch(flow, 500)).total > 1e-2


@pytest.mark.parametrize("form", ["average", "derivative"])
def test_velocity_target_points_from_data_to_noise(form):
    """On the chord dx_s/ds = x_1 - xhat_0: the paper's v4 prints the opposite sign."""
    step = torch.tensor([1.0, -2.0])
    x0 = torch.randn(64, 2)
    batch = Batch(x0 + step, x0)
    right, wrong = (JumpMap(Constant(sign * step)) for sign in (1, -1))
    objective = only("velocity", velocity_form=form, min_gap=0.0)
    assert objective(right, right, None, batch).total.item() == pytest.approx(0, abs=1e-6)
    assert objective(wrong, wrong, None, batch).total.item() == pytest.approx(
        4 * step.square().mean().item(), rel=1e-4
    )


def test_each_sample_is_solved_over_its_own_interval():
    flow, x = gaussian(), torch.randn(20, 2).double()
    u, t = torch.rand(2, 20).double().sort(dim=0).values
    assert torch.allclose(solve_between(flow, x, t, u, "rk4", 20), flow.jump(x, t, u), atol=1e-6)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_on_policy_share_of_the_batch_is_at_the_targets_own_states(share):
    batch, target, seen = Batch(torch.randn(8, 2), torch.randn(8, 2)), frozen_target(), {}
    net = student()
    net.net.register_forward_pre_hook(lambda module, inputs: seen.update(x=inputs[0], t=inputs[1]))
    only("output", on_policy=share)(net, target, None, batch)
    x, t, own = seen["x"], seen["t"], round(8 * share)
    assert torch.allclose(x[:own], target(batch.x1, 1.0, t)[:own], atol=1e-6)
    assert torch.allclose(x[own:], chord(batch.x0, batch.x1, t)[own:], atol=1e-6)


def test_denoising_needs_real_data():
    with pytest.raises(ValueError, match="needs real data"):
        only("denoising")(student(), frozen_target(), None, random_pairs(data=None))
    terms = only("denoising")(student(), frozen_target(), None, random_pairs(data=torch.randn(32, 2)))
    assert terms.total.isfinite() and terms.total > 0


def test_denoising_is_zero_for_data_at_one_point():
    """If all data are one point p, then v(z, t) = (z - p)/t, whose g(z, t, t) is p."""

    class ToPoint(torch.nn.Module):
        def forward(self, x, t, s):
            return (x - 1.5) / t[:, None]

    jump = JumpMap(ToPoint())
    assert only("denoising")(jump, jump, None, random_pairs(data=torch.full((32, 2), 1.5))).total <= 1e-6
