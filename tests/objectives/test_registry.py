"""A method in a file of one's own: registered by name, trained by a recipe; a taken name is refused."""

from dataclasses import dataclass

import pytest
import torch

from traflow_lib import distill, objectives
from traflow_lib.experiments import recipes
from traflow_lib.experiments.experiment import Experiment
from traflow_lib.flow import GaussianFlow
from traflow_lib.nets.mlp import MLP
from traflow_lib.objectives import registry


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
