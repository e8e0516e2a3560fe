"""Single facts about single methods: their times, schedules, targets, and how they relate to each other."""

from dataclasses import replace

import pytest
import torch
from helpers import Constant, ExactAverage, frozen_target, gaussian, gaussian_batch, random_pairs, student

from traflow_lib import objectives
from traflow_lib.jump import JumpMap
from traflow_lib.nets.mlp import MLP
from traflow_lib.objectives.base import stop_gradient
from traflow_lib.randomness import Draws

TEACHER = MLP(width=16, depth=3)


def seeded(objective, *inputs):
    """The same random numbers for every objective."""
    torch.manual_seed(3)
    return objective(*inputs)


def gradient(loss, net):
    return torch.cat([g.flatten() for g in torch.autograd.grad(loss, list(net.parameters()))])


@pytest.mark.parametrize("a", [0.5, 4.0, 10.0])
def test_u_shaped_times_have_their_density(a):
    """Proportional to cosh(a (t - 1/2)).

    Mean |t - 1/2| = 1/2 - tanh(a/4)/a, and the distribution function by Kolmogorov-Smirnov at 1e-4.
    """
    n = 100_000
    t = objectives.get("reflow_pp", steepness=a)._times(n, Draws()).double().sort().values
    a = torch.tensor(a).double()
    assert (t - 0.5).abs().mean().item() == pytest.approx((0.5 - (a / 4).tanh() / a).item(), abs=0.002)
    exact = 0.5 + (a * (t - 0.5)).sinh() / (2 * (a / 2).sinh())
    assert (exact - (torch.arange(n) + 0.5) / n).abs().max() <= 2.23 / n**0.5


@pytest.mark.parametrize("name", ["reflow", "reflow_pp"])
def test_ends_of_reflow_is_the_share_of_times_at_the_noise(name):
    assert (
        objectives.get(name, ends=0.3)._times(50_000, Draws()) == 1
    ).float().mean().item() == pytest.approx(0.3, abs=0.01)


def test_annealing_reflow_starts_without_the_pairs_noise_and_ends_with_it_alone():
    """x_1 = sqrt(1 - b^2) x_1 + b e.

    Replacing x_1 changes nothing at b = 1, and from the end of the annealing on there is no e.
    """
    net, batch, objective = student(), random_pairs(), objectives.get("reflow", anneal=0.5)
    losses = [
        seeded(objective, net, None, None, replace(batch, x1=x1, progress=0.0)).total
        for x1 in (batch.x1, torch.randn(32, 2))
    ]
    assert losses[0] == losses[1]
    for progress in (0.5, 0.9):
        late = replace(batch, progress=progress)
        assert (
            seeded(objective, net, None, None, late).total
            == seeded(objectives.get("reflow"), net, None, None, late).total
        )


def test_annealed_noise_has_variance_one():
    """The student's velocity is 0 and x_0 too, so the loss is the mean square of the x_1 that was used."""
    batch = replace(random_pairs(100_000), x0=torch.zeros(100_000, 2))
    for progress in (0.0, 0.3, 0.7):
        loss = objectives.get("reflow", anneal=1.0)(
            JumpMap(Constant(torch.zeros(2))), None, None, replace(batch, progress=progress)
        ).total
        assert loss.item() == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("first, last", [(2, 150), (18, 18), (10, 40)])
def test_grid_of_a_consistency_model_grows_linearly_in_its_square(first, last):
    objective = objectives.get("ct", first=first, last=last)
    assert objective.intervals(0.0) == first and objective.intervals(1.0) == last
    for progress in (0.1, 0.5, 0.9):
        exact = (first**2 + progress * (last**2 - first**2)) ** 0.5
        assert exact <= objective.intervals(progress) < exact + 1


def test_consistency_training_takes_no_teacher_and_no_trajectory():
    objectives.get("ct")(student(), frozen_target(), None, random_pairs(path=None))
    with pytest.raises(ValueError, match='solver="none".*needs states="data"'):
        objectives.get("ct", states="path")


def test_shortcuts_target_is_exact_on_an_exact_semigroup():
    """The student's F is 0, so the loss is the mean square of the target.

    The exact F at the times that the student was asked for.
    """
    exact, blank, seen = JumpMap(ExactAverage(gaussian())), JumpMap(Constant(torch.zeros(2).double())), {}
    blank.net.register_forward_pre_hook(lambda module, inputs: seen.update(zip("xts", inputs)))
    parts = objectives.get("shortcut", bootstrap=0.5)(
        blank, exact, gaussian(), gaussian_batch(gaussian(), 400)
    ).parts
    goal = exact.average_velocity(seen["x"], seen["t"], seen["s"]).square()
    # the halves of the shortest jumps are asked for as velocities, which are a little off
    assert parts["semigroup"] == pytest.approx(goal[:200].mean().item(), rel=2e-3)
    assert parts["boundary"] == pytest.approx(goal[200:].mean().item(), rel=1e-9)
    lengths = (seen["t"] - seen["s"])[:200]
    assert set(lengths.log2().tolist()) == set(range(-6, 1)) and (seen["t"] == seen["s"])[200:].all()


def test_meanflow_and_emd_have_one_value_and_two_gradients():
    """MeanFlow stops the gradient at the derivative, EMD does not."""
    net, batch = student(), random_pairs()
    pair = objectives.get("meanflow", times="uniform", share=1.0, distance="l2"), objectives.get("emd")
    meanflow, emd = (seeded(objective, net, None, TEACHER, batch).total for objective in pair)
    assert meanflow.item() == pytest.approx(emd.item(), rel=1e-5)
    slopes = gradient(meanflow, net), gradient(emd, net)
    assert torch.nn.functional.cosine_similarity(*slopes, dim=0) < 0.9


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_meanflows_share_of_the_batch_has_a_duration(share):
    net, seen = student(), []
    net.net.register_forward_pre_hook(lambda module, inputs: seen.append(inputs))
    objectives.get("meanflow", share=share)(net, None, TEACHER, random_pairs(4000))
    _, t, s = seen[-1]
    assert (s < t).float().mean().item() == pytest.approx(share, abs=0.03) and (s <= t).all()


def test_v4s_consistency_is_ctms():
    net, target, batch = student(), frozen_target(), random_pairs()
    options = {"states": "chord", "solver": "heun", "ends": 0.25}
    v4 = objectives.get("traflow_v4", velocity=0.0, denoising=0.0, teacher_steps=2, **options)
    ctm = objectives.get("ctm", denoising=0.0, steps=2, **options)
    losses = [seeded(objective, net, target, TEACHER, batch).total for objective in (v4, ctm)]
    assert losses[0] == losses[1] > 0 and torch.equal(*(gradient(loss, net) for loss in losses))


def test_stop_gradient_passes_the_gradient_of_the_input_alone():
    target, x = student(1), torch.randn(4, 2).requires_grad_()
    out = stop_gradient(target)(x, 0.8, 0.3)
    assert torch.equal(out, target(x, 0.8, 0.3))
    out.sum().backward()
    assert x.grad.abs().min() > 0 and all(p.grad is None for p in target.parameters())


@pytest.mark.parametrize("half, changed", [(0, {"output", "velocity"}), (1, {"consistency"})])
def test_separate_pairs_are_the_second_half_of_the_batch_for_the_consistency_term_alone(half, changed):
    objective, net, target, batch = (
        objectives.get("traflow_v1", separate_pairs=True),
        student(),
        frozen_target(),
        random_pairs(16),
    )
    other = replace(batch, x0=batch.x0.clone())
    other.x0.chunk(2)[half].add_(1.0)
    one, two = (seeded(objective, net, target, None, b).parts for b in (batch, other))
    assert objective.draws == 2 and {name for name in one if one[name] != two[name]} == changed


def test_progressive_refuses_steps_that_do_not_divide_the_stored_path():
    with pytest.raises(ValueError, match="3 steps do not fit stored paths of 8 intervals"):
        objectives.get("progressive", steps=3, states="path")(student(), None, TEACHER, random_pairs())


NEEDS = {
    name: "data"
    for name in ("cd", "ct", "ctm", "shortcut", "lmd", "emd", "meanflow", "progressive", "traflow_v4")
}
NEEDS |= {"traflow": "path", "traflow_anchored": "path"}


@pytest.mark.parametrize("name", objectives.names())
def test_batches_need_only_what_the_method_says(name):
    """A method that says nothing gets pairs alone."""
    objective, pairs = objectives.get(name), random_pairs()
    assert objective.needs_path == (NEEDS.get(name) == "path") and objective.needs_data == (
        NEEDS.get(name) == "data"
    )
    batch = replace(
        pairs,
        path=pairs.path if objective.needs_path else None,
        data=pairs.data if objective.needs_data else None,
    )
    assert objective(student(), frozen_target(), TEACHER, batch).total.isfinite()


@pytest.mark.parametrize("name", ["ctm", "cd", "shortcut", "lmd", "emd", "meanflow", "progressive"])
@pytest.mark.parametrize(
    "states, needs", [("path", (True, False)), ("data", (False, True)), ("chord", (False, False))]
)
def test_states_decide_what_the_batch_must_hold(name, states, needs):
    objective = objectives.get(name, states=states, **({"denoising": 0.0} if name == "ctm" else {}))
    assert (objective.needs_path, objective.needs_data) == needs
