"""The command distill."""

from typing import Annotated

import typer

from .options import DataSet, Methods, Precision, Profile, Recipe, Resume, Teacher, experiments, say


def run(
    recipe: Recipe,
    profile: Profile = "laptop",
    data: DataSet = None,
    precision: Precision = None,
    teacher: Teacher = None,
    resume: Resume = False,
    method: Methods = None,
    seed: Annotated[list[int] | None, typer.Option(help="Only this seed (may be repeated).")] = None,
) -> None:
    """Train (or find) students of a recipe.

    It takes every method and seed unless some are named.
    """
    for experiment in experiments(recipe, profile, data, precision, teacher, resume):
        for name in method or experiment.recipe["methods"]:
            for number in seed or experiment.recipe["seeds"]:
                file = experiment.model(name, number).file
                say(f"{experiment.dataset}: {name}, seed {number} in {file}")
