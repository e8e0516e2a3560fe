"""The commands train, bench and search, of a recipe."""

from typing import Annotated

from ..experiments import bench, recipes, search
from ..experiments.evaluate import fid
from ..experiments.experiment import Experiment
from ..files.log import log
from .options import DataSet, Methods, Precision, Profile, Recipe, Resume, Teacher, experiments, option


def train(
    recipe: Recipe,
    profile: Profile = "laptop",
    data: DataSet = None,
    precision: Precision = None,
    teacher: Teacher = None,
    resume: Resume = False,
) -> None:
    """Train (or find) the teacher of a recipe."""
    for experiment in experiments(recipe, profile, data, precision, teacher, resume):
        log.info(f"{experiment.dataset}: teacher in {experiment.model('teacher').file}")


def run_bench(
    recipe: Recipe,
    profile: Profile = "laptop",
    data: DataSet = None,
    precision: Precision = None,
    teacher: Teacher = None,
    method: Methods = None,
    again: Annotated[bool, option("Measure again what has a record.", "--again")] = False,
    cost: Annotated[
        bool, option("The time of each method's training step instead; needs an idle machine.", "--cost")
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
                fid(experiment, method)


def run_search(recipe: Recipe, method: Methods = None) -> None:
    """Search for the settings of a recipe's methods, as its block `search` says.

    Goes on where it was interrupted; several commands, each with other methods, may run at once.
    """
    search.run(Experiment(recipes.load(recipe, "search")), method)
