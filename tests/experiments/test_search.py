"""The bench's tuning: what the recipes say was chosen is what the committed trials say, with nothing trained
anew.
"""

import pytest

from traflow_lib.experiments import bench, recipes
from traflow_lib.experiments.experiment import Experiment


@pytest.mark.parametrize("name", ["bench_2d", "bench_digits"])
def test_chosen_settings_are_the_winners_of_the_recorded_search(name, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a trial of the search has no committed record")

    monkeypatch.setattr(bench.Measure, "student", refuse)
    recipe = recipes.load(name, "search")
    found = bench.tune(Experiment(recipe))
    assert found == recipes.load(name, "hour")["chosen"]
