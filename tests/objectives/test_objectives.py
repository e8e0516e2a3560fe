"""Objectives: each runs and reaches every weight, a step of it waits for no number, and the weights balance.

Wrong names are refused. A method in a file of one's own is registered and trained by a recipe; a taken name
is refused.
"""

import importlib.util
import math
from dataclasses import dataclass

import pytest
import torch
from helpers import frozen_target, random_pairs, student
from torch.utils._python_dispatch import TorchDispatchMode

from traflow_lib import distill, objectives
from traflow_lib.experiments import recipes
from traflow_lib.experiments.experiment import Experiment
from traflow_lib.flow import GaussianFlow
from traflow_lib.nets.mlp import MLP
from traflow_lib.objectives import registry
from traflow_lib.objectives.base import distance, gradient_norm_weights
from traflow_lib.pairs import PairCache
from traflow_lib.training.config import TrainConfig
from traflow_lib.training.distillation import distillation_loss
from traflow_lib.training.step import Run


@pytest.mark.parametrize("name", objectives.names())
def test_every_objective_is_finite_and_reaches_every_weight(name):
    objective, teacher = objectives.get(name), MLP(width=16, depth=3)
    net = student(s_input=objective.s_input)
    terms = objective(net, frozen_target(), teacher, random_pairs())
    assert terms.total.ndim == 0 and terms.total.isfinite()
    assert terms.parts and all(math.isfinite(value) for value in terms.parts.values())
    assert not any(torch.is_tensor(value) and value.requires_grad for value in terms.parts.values())
    terms.total.backward()
    for parameter_name, parameter in net.named_parameters():
        assert parameter.grad.isfinite().all() and parameter.grad.abs().max() > 0, parameter_name


@pytest.mark.parametrize("name", objectives.names())
def test_no_gradient_reaches_the_target_or_the_teacher(name):
    """Also if their weights are not frozen, as when the target is another copy of a student."""
    target, teacher = student(1), MLP(width=16, depth=3)
    objectives.get(name)(student(), target, teacher, random_pairs()).total.backward()
    assert all(p.grad is None for net in (target, teacher) for p in net.parameters())


def test_unknown_objective_lists_what_exists():
    with pytest.raises(ValueError, match="unknown objective 'consistency'; there are alphaflow, .*traflow"):
        objectives.get("consistency")


@pytest.mark.parametrize("name", objectives.names())
def test_unknown_option_is_a_value_error_that_names_it(name):
    with pytest.raises(ValueError, match=f"'{name}'.*lambda_vel"):
        objectives.get(name, lambda_vel=1.0)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"states": "noise"}, "states is 'noise'; it must be one of chord, path"),
        ({"velocity_form": "slope"}, "average, derivative"),
        ({"weighting": "auto"}, "fixed, adaptive, clipped"),
        (dict.fromkeys(("output", "velocity", "consistency", "denoising"), 0.0), "every term has weight 0"),
    ],
    ids=["states", "velocity_form", "weighting", "no term"],
)
def test_bad_choices_are_refused_when_the_objective_is_made(options, message):
    with pytest.raises(ValueError, match=message):
        objectives.get("traflow_v1", **options)


@pytest.mark.parametrize("clip", [None, (0.01, 10.0)])
def test_gradient_norm_weights_equalise_the_terms(clip):
    weight = torch.nn.Parameter(torch.randn(3, 2))
    losses = {
        name: scale * (weight + shift).square().sum()
        for name, scale, shift in [("output", 1, 0), ("velocity", 3, 1), ("consistency", 0.5, 2)]
    }
    weights = gradient_norm_weights(losses, "output", weight, clip)
    norms = [
        torch.autograd.grad(weights[name] * loss, weight)[0].norm().item() for name, loss in losses.items()
    ]
    assert weights["output"] == 1 and norms == pytest.approx([norms[0]] * 3, rel=1e-4)


@pytest.mark.parametrize("scale, expected", [(1e-6, 10.0), (1e6, 0.01)])
def test_clipped_weights_stay_within_their_bounds(scale, expected):
    weight = torch.nn.Parameter(torch.randn(3, 2))
    losses = {"consistency": weight.square().sum(), "velocity": scale * weight.square().sum()}
    assert gradient_norm_weights(losses, "consistency", weight, (0.01, 10.0))["velocity"] == expected


def test_weights_multiply_the_parts_of_the_total():
    parts = objectives.get("traflow_v4", velocity=2.0)(
        student(), frozen_target(), MLP(width=16, depth=3), random_pairs()
    )
    total = sum(
        parts.parts[f"weight_{name}"] * parts.parts[name] for name in ("velocity", "consistency", "denoising")
    )
    assert parts.total.item() == pytest.approx(total.item(), rel=1e-4)
    assert parts.parts["weight_consistency"] == 1 and 0.02 <= parts.parts["weight_velocity"] <= 20


A, B = torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.zeros(2, 2)


def test_l2_is_the_mean_square():
    assert distance("l2", A, B).item() == pytest.approx(25 / 4)


def test_l2_divides_the_difference_by_scale():
    assert distance("l2", A, B, scale=torch.tensor([[5.0], [1.0]])).item() == pytest.approx(1 / 4)


@pytest.mark.parametrize("c", [0.03, 1.0])
def test_pseudo_huber_is_taken_of_each_samples_root_mean_square(c):
    assert distance("pseudo_huber", A, B, c=c).item() == pytest.approx(((12.5 + c**2) ** 0.5 - c) / 2)


def test_pseudo_huber_of_equal_inputs_is_zero_with_a_finite_gradient():
    a = A.clone().requires_grad_()
    loss = distance("pseudo_huber", a, A)
    loss.backward()
    assert loss == 0 and a.grad.isfinite().all()


@pytest.mark.parametrize("c", [0.03, 1.0])
def test_cauchy_is_the_logarithm_of_each_samples_mean_square(c):
    assert distance("cauchy", A, B, c=c).item() == pytest.approx(math.log(1 + 12.5 / c**2) / 2)


def test_cauchy_has_the_gradient_of_the_adaptively_weighted_square():
    """MeanFlow's weight: a constant 1 / (r^2 + c^2) a sample."""
    a, b, c = (
        torch.randn(20, 3, dtype=torch.float64).requires_grad_(),
        torch.randn(20, 3, dtype=torch.float64),
        0.3,
    )
    square = (a - b).square().mean(dim=1)
    weighted = (square / (square + c**2).detach()).mean()
    losses = distance("cauchy", a, b, c=c), weighted
    assert torch.allclose(
        *(torch.autograd.grad(loss, a, retain_graph=True)[0] for loss in losses), atol=1e-14
    )


def test_unknown_distance_lists_what_exists():
    with pytest.raises(ValueError, match="unknown distance 'l1'; there are l2, pseudo_huber, cauchy, lpips"):
        distance("l1", A, B)


@pytest.mark.skipif(importlib.util.find_spec("lpips") is not None, reason="lpips is installed")
def test_missing_lpips_says_how_to_get_it():
    with pytest.raises(ImportError, match="pip install lpips"):
        distance("lpips", torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8))


@pytest.fixture(autouse=True)
def own_registry(monkeypatch):
    monkeypatch.setattr(registry, "_METHODS", dict(registry._METHODS))


def mine():
    """What a user's file holds: output distillation, with a name and an option of its own."""

    @objectives.register("mine")
    @objectives.register("mine_twice", weight=2.0)
    @dataclass(frozen=True)
    class Mine(objectives.Objective):
        weight: float = 1.0

        def __call__(self, student, target, teacher, batch):
            loss = (student(batch.x1, 1.0, 0.0) - batch.x0).square().mean()
            return objectives.LossTerms.single("output", self.weight * loss)

    return Mine


def test_a_registered_method_is_trained_by_a_recipe_and_found_again(monkeypatch, tmp_path):
    monkeypatch.setenv("TRAFLOW_RUNS", str(tmp_path))
    mine()
    student = {"students": {"own": {"objective": "mine", "options": {"weight": 3.0}}}}
    recipe = recipes.merge(recipes.load("bench_2d", "smoke"), student)
    settings = Experiment(recipe, "checkerboard").student_settings("own", 0)[-1]
    assert settings["objective"] == {"kind": "Mine", "weight": 3.0}
    trained = Experiment(recipe, "checkerboard").model("own")
    assert Experiment(recipe, "checkerboard").model("own").file == trained.file


def test_presets_are_defaults_that_options_replace():
    kind = mine()
    assert objectives.get("mine") == kind() and objectives.get("mine_twice") == kind(weight=2.0)
    assert objectives.get("mine_twice", weight=5.0) == kind(weight=5.0)
    assert {"mine", "mine_twice"} <= set(objectives.names())
    assert objectives.build(objectives.described(kind(weight=4.0))) == kind(weight=4.0)


def test_a_name_or_a_class_that_is_taken_is_refused_and_a_cell_run_twice_is_not():
    first, second = mine(), mine()
    assert first is not second and type(objectives.get("mine")) is second
    with pytest.raises(
        ValueError, match="there is a method 'traflow' already, in traflow_lib.objectives.traflow"
    ):
        objectives.register("traflow")(second)

    class Distill(objectives.Objective):
        pass

    with pytest.raises(ValueError, match="there is an objective class Distill already"):
        objectives.register("other")(Distill)


def test_what_nobody_registered_is_named():
    with pytest.raises(ValueError, match="unknown objective 'nothing'; there are alphaflow, cd, "):
        objectives.get("nothing")
    with pytest.raises(ValueError, match="no method of the class Gone is registered: import the file"):
        objectives.build({"kind": "Gone"})
    with pytest.raises(
        ValueError,
        match="objective 'traflow': .*unexpected keyword argument 'speed'; its options are .*on_policy",
    ):
        objectives.get("traflow", speed=3)


def test_a_method_that_returns_a_bare_loss_is_told_what_to_return(tmp_path):
    @objectives.register("bare")
    class Bare(objectives.Objective):
        def __call__(self, student, target, teacher, batch):
            return (student(batch.x1, 1.0, 0.0) - batch.x0).square().mean()

    flow, net = GaussianFlow(torch.zeros(2), torch.eye(2)), MLP(width=8, depth=1, s_input=True)
    with pytest.raises(ValueError, match="Bare returns Tensor: .*LossTerms.single"):
        distill(flow, None, "bare", steps=2, out=tmp_path, network=net, shape=(2,), pairs={"n": 8})


class Reads(TorchDispatchMode):
    """Counts what makes the host wait until a GPU has computed a number."""

    waits = ("_local_scalar_dense", "nonzero", "is_nonzero", "item")

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if function.overloadpacket.__name__ in self.waits:
            self.found.append(function.overloadpacket.__name__)
        return function(*args, **(kwargs or {}))


# each sample takes as many solver steps as its interval needs, which are counted
COUNTED = {"cd", "ctm", "traflow_v4"}


@pytest.mark.parametrize("name", objectives.names())
def test_a_training_step_reads_no_number_until_the_log_asks_for_it(name):
    objective, net = objectives.get(name), MLP(width=8, depth=2, s_input=objectives.get(name).s_input)
    pairs = PairCache(torch.randn(32, 2), torch.randn(32, 2), torch.randn(32, 5, 2))
    data = lambda n, draws: (draws.normal(n, (2,)), None)  # noqa: E731
    loss = distillation_loss(objective, MLP(width=8, depth=2), pairs, 8, "cpu", data=data)
    run = Run(net, loss, TrainConfig(steps=10, batch=8, ema=[0.9, 0.99]), seed=0)
    run.prepare()
    with Reads() as reads:
        run.take(0)
        run.take(1)
    assert bool(reads.found) == (name in COUNTED), reads.found
    numbers = run.read()
    assert len(numbers) == 2 and all(math.isfinite(one[term]) for one in numbers for term in one)
    assert not run.unread
