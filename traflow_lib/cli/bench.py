"""The command bench."""

from typing import Annotated

import typer

from ..experiments import bench, fid
from .options import DataSet, Methods, Precision, Profile, Recipe, Teacher, experiments


def run(
    recipe: Recipe,
    profile: Profile = "laptop",
    data: DataSet = None,
    precision: Precision = None,
    teacher: Teacher = None,
    method: Methods = None,
    again: Annotated[bool, typer.Option("--again", help="Measure again what has a record.")] = False,
    cost: Annotated[
        bool,
        typer.Option(
            "--cost", help="The time of each method's training step instead; needs an idle machine."
        ),
    ] = False,
) -> None:
    """Train and measure the students of a recipe.

    Its teacher is one of the methods. What has a record with the same settings is skipped.
    """
    for experiment in experiments(recipe, profile, data, precision, teacher):
        if cost:
            bench.step_costs(experiment)
        else:
            bench.run(experiment, method, again=again)
            if "fid" in experiment.recipe:
                fid.run(experiment, method)
