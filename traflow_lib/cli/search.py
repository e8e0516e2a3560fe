"""The command search."""

from ..experiments import recipes, search
from ..experiments.experiment import Experiment
from .options import Methods, Recipe


def run(recipe: Recipe, method: Methods = None) -> None:
    """Search for the settings of a recipe's methods, as its block `search` says.

    Goes on where it was interrupted; several commands, each with other methods, may run at once.
    """
    search.run(Experiment(recipes.load(recipe, "search")), method)
