"""The method that CONTRIBUTING.md writes down is one: registered, trained, in a table with a colour."""

import re

import pytest

from traflow_lib import objectives
from traflow_lib.evaluation import records
from traflow_lib.experiments import bench, recipes
from traflow_lib.experiments.experiment import Experiment
from traflow_lib.files import paths
from traflow_lib.objectives import registry
from traflow_lib.reports import plots, tables

TEXT = (paths.root() / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.fixture
def example(monkeypatch, tmp_path):
    monkeypatch.setattr(registry, "_METHODS", dict(registry._METHODS))
    monkeypatch.setenv("TRAFLOW_RUNS", str(tmp_path))
    exec(re.search(r"```python\n(.*?)```", TEXT, re.DOTALL).group(1), {"__name__": "my_file"})


def test_the_method_of_the_page_is_trained_by_the_bench_and_stands_in_a_table(example):
    assert "mine" in objectives.names()
    own = {"students": {"mine": {"objective": "mine"}}, "methods": ["mine", "distill"]}
    experiment = Experiment(recipes.merge(recipes.load("bench_2d", "smoke"), own), "checkerboard")
    found = bench.run(experiment, ["mine", "distill"])
    rows = [row for record in found for row in records.rows(record)]
    table = tables.markdown(*tables.pivot(rows, "paired_rmse"))
    assert "| mine |" in table and plots.colour("mine") != plots.colour("distill")
