"""Single facts about single methods: their times, schedules, targets, and how they relate to each other."""

import math
from dataclasses import replace

import pytest
import torch
from helpers import Constant, ExactAverage, frozen_target, gaussian, gaussian_batch, random_pairs, student

from traflow_lib import objectives
from traflow_lib.batch import Batch
from traflow_lib.jump import JumpMap
from traflow_lib.nets.mlp import MLP
from traflow_lib.objectives.base import earlier_state, stop_gradient
from traflow_lib.randomness import Draws

torch.manual_seed(0)  # the same teacher in every run
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


@pytest.mark.parametrize("intervals", [24, 25])
def test_shortcut_on_any_stored_path_is_as_fine_as_its_release(intervals):
    """Its lengths go down to 2 / 128 whatever the path has, and its states are stored ones."""
    net, seen = student(), {}
    net.net.register_forward_pre_hook(lambda module, inputs: seen.update(zip("xts", inputs)))
    batch = random_pairs(4000, path=torch.randn(4000, intervals + 1, 2))
    objectives.get("shortcut", states="path", bootstrap=0.5)(net, frozen_target(), TEACHER, batch)
    lengths = (seen["t"] - seen["s"])[:2000]
    assert set(lengths.log2().round(decimals=3).tolist()) == set(range(-6, 1)) and seen["s"].min() >= 0
    index = seen["t"] * intervals
    assert torch.allclose(index, index.round(), atol=1e-4)
    assert torch.equal(seen["x"], batch.path[torch.arange(4000), index.round().long()])


def test_teacher_takes_a_long_way_in_many_steps_and_reads_a_stored_path():
    """From noise to data in steps of 1 / 18: one Heun step over it is off by half of a standard deviation."""
    flow = gaussian()
    batch, one, zero = gaussian_batch(flow, 200), torch.ones(200).double(), torch.zeros(200).double()
    exact = flow.jump(batch.x1, 1.0, 0.0)
    fine = earlier_state(batch.on("chord"), flow, one, zero, "heun", 18)
    coarse = earlier_state(batch.on("chord"), flow, one, zero, "heun", 1)
    assert (fine - exact).square().mean().sqrt() < 2e-3 < 0.1 < (coarse - exact).square().mean().sqrt()
    assert torch.equal(earlier_state(batch, None, one, zero, "heun", 18), batch.path[:, 0])


def test_each_sample_takes_as_many_steps_as_its_own_interval_needs():
    calls, t = [], torch.tensor([1.0, 0.5, 0.1]).double()
    u = torch.tensor([0.0, 0.25, 0.1]).double()

    def counted(x, t):
        calls.append(len(x))
        return gaussian()(x, t)

    found = earlier_state(Batch(*torch.randn(2, 3, 2).double()), counted, t, u, "euler", 8)
    assert calls == [3, 2, 1, 1, 1, 1, 1, 1] and found.isfinite().all()


def test_v4_asks_the_teacher_for_no_earlier_state_that_is_stored():
    def absent(x, t):
        raise AssertionError

    objective = objectives.get("traflow_v4", velocity=0.0, denoising=0.0, states="path")
    assert objective(student(), frozen_target(), absent, random_pairs()).total > 0


JUMPS = ["lmd", "emd", "ctm", "meanflow", "alphaflow", "splitmeanflow", "traflow", "traflow_v1", "traflow_v4"]


@pytest.mark.parametrize("law, share", [("two", 15 / 64), ("three", 11 / 256)])
@pytest.mark.parametrize("name", JUMPS)
def test_every_jump_map_takes_any_law_of_the_times(name, law, share):
    """Seen by the share of jumps shorter than 1/8."""
    net, seen = student(), []
    net.net.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[1:]))
    options = {"times": law, "ends": 0.0} | (
        {"share": 1.0} if name.endswith(("meanflow", "alphaflow")) else {}
    )
    options |= {"states": "chord", "on_policy": 0.0} if name == "traflow" else {}
    objectives.get(name, **options)(net, frozen_target(), TEACHER, random_pairs(20_000))
    gaps = [t - s for t, s in seen if (t - s).abs().max() > 0 and s.abs().max() > 0]
    for gap in gaps:
        assert (gap < 1 / 8).float().mean().item() == pytest.approx(share, abs=0.012)
    assert gaps


@pytest.mark.parametrize("name", ["cd", "ct", "ect", "scm", "shortcut", "progressive"])
def test_ends_is_the_share_of_the_batch_at_the_noise(name):
    net, seen = student(), []
    net.net.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[1]))
    shares = []
    for ends in (0.0, 0.5):
        options = {"ends": ends} | ({"steps": 64} if name == "progressive" else {})
        objectives.get(name, **options)(net, frozen_target(), TEACHER, random_pairs(20_000, progress=1.0))
        shares.append((seen[-1] == 1).float().mean().item())
    assert shares[1] == pytest.approx(shares[0] + 0.5 * (1 - shares[0]), abs=0.015)


def test_meanflows_warm_up_starts_from_the_velocity_alone():
    net, batch = student(), random_pairs(progress=0.0)
    warm, velocity = (
        seeded(objectives.get("meanflow", distance="l2", **options), net, None, TEACHER, batch).total
        for options in ({"tangent_warmup": 0.5, "share": 1.0}, {"share": 1.0})
    )
    assert warm != velocity
    after = seeded(
        objectives.get("meanflow", distance="l2", tangent_warmup=0.5, share=1.0),
        net,
        None,
        TEACHER,
        replace(batch, progress=0.5),
    ).total
    assert after == velocity


def test_alphaflows_step_falls_from_the_whole_jump_to_none():
    """By a sigmoid about the middle, with nothing near its ends."""
    whole, late = objectives.get("alphaflow"), objectives.get("alphaflow", begin=0.5, end=0.75)
    assert [whole.alpha(p) for p in (0.0, 0.5, 1.0)] == [1.0, 0.5, 0.0]
    assert whole.alpha(0.4) == pytest.approx(1 / (1 + math.exp(-2.5)))
    assert [late.alpha(p) for p in (0.5, 0.625, 0.75)] == [1.0, 0.5, 0.0]
    with pytest.raises(ValueError, match="begin < end"):
        objectives.get("alphaflow", begin=0.7, end=0.6)


def test_easy_consistencys_steps_are_whole_first_and_halved_by_every_stage():
    """Far from the data the factor 1 + k sigmoid(-b sigma) is 1, close to it 1 + k / 2."""
    ect, far, near = objectives.get("ect"), torch.tensor([0.99]), torch.tensor([1e-4])
    assert ect.earlier(near, 0.0) == 0 and ect.earlier(near, 0.2) == 0  # 5 / 2 and 5 / 4 of the way
    for stage in range(8):
        at = (stage + 0.5) / 8
        assert ect.earlier(far, at).item() == pytest.approx(0.99 * (1 - 0.5 ** (stage + 1)), rel=1e-4)
    assert ect.earlier(near, 1.0).item() == pytest.approx(1e-4 * (1 - 5 / 256), rel=1e-3)
    assert ect.earlier(torch.ones(1), 1.0).item() == 1 - 1 / 256
    for wrong in ({"q": 1.0}, {"stages": 0}, {"b": 0.0}):
        with pytest.raises(ValueError, match="q must be above 1"):
            objectives.get("ect", **wrong)


def test_scms_tangent_is_of_length_one_at_most_and_warms_up():
    net, batch = student(), random_pairs(progress=0.0)
    with_tangent, without = (
        seeded(objectives.get("scm", tangent_warmup=warm), net, None, TEACHER, batch).total
        for warm in (0.0, 0.5)
    )
    assert 0 < with_tangent < 0.5 and 0 < without < 0.5  # the mean of two squares whose sum is below 1
    assert with_tangent != without


def test_consistency_trainings_target_slows_as_its_grid_grows():
    """mu(N) = exp(N_0 log(mu_0) / N); on a grid that stays it is mu_0."""
    ct, cd = objectives.get("ct"), objectives.get("cd", target_average=0.0)
    assert ct.target_decay(0.0) == 0.9 and ct.target_decay(1.0) == pytest.approx(0.9 ** (2 / 150))
    assert cd.target_decay(0.5) == 0.0 and objectives.get("cd").target_decay(0.7) == 0.95
    with pytest.raises(ValueError, match=r"target_average is 1.0; it must lie in \[0, 1\)"):
        objectives.get("shortcut", target_average=1.0)


def test_meanflow_and_emd_have_one_value_and_two_gradients():
    """MeanFlow stops the gradient at the derivative, EMD does not."""
    net, batch = student(), random_pairs()
    pair = objectives.get("meanflow", times="two", share=1.0, distance="l2"), objectives.get("emd")
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
    v4 = objectives.get("traflow_v4", velocity=0.0, denoising=0.0, **options)
    ctm = objectives.get("ctm", denoising=0.0, times="two", **options)
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
    for name in (
        *("cd", "ct", "ctm", "shortcut", "lmd", "emd", "progressive", "traflow_v4"),
        *("meanflow", "alphaflow", "splitmeanflow", "ect", "scm"),
    )
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


@pytest.mark.parametrize("name", [name for name in NEEDS if name[:2] not in ("ct", "tr")] + ["ctm"])
@pytest.mark.parametrize(
    "states, needs", [("path", (True, False)), ("data", (False, True)), ("chord", (False, False))]
)
def test_states_decide_what_the_batch_must_hold(name, states, needs):
    objective = objectives.get(name, states=states, **({"denoising": 0.0} if name == "ctm" else {}))
    assert (objective.needs_path, objective.needs_data) == needs
