"""Options that several commands share, and what they select."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ..experiments import recipes
from ..experiments.experiment import Experiment
from ..experiments.schema import PROFILES
from ..nets.precision import DTYPES


def option(text: str, *flags: str) -> Any:
    """An option of a command, with its line in --help."""
    return typer.Option(*flags, help=text)


recipe_help = f"One of {', '.join(recipes.names())}."
Recipe = Annotated[str, option(recipe_help)]
Profile = Annotated[str, option(f"One of {', '.join(PROFILES)}.")]
DataSet = Annotated[str | None, option("Only this data set of the recipe.", "--data")]
Precision = Annotated[
    str | None, option(f"Train and sample in this instead of the recipe's: {', '.join(DTYPES)}.")
]
Teacher = Annotated[
    Path | None,
    option("Take this checkpoint (the kit's, RectifiedFlow .pth, EDM .pkl) for the recipe's teacher."),
]
Resume = Annotated[
    bool,
    option(
        "Go on with a training that was interrupted; without it, one that is found is refused.", "--resume"
    ),
]
Methods = Annotated[list[str] | None, option("Only this method (may be repeated).", "--method")]


def experiments(
    recipe: str,
    profile: str,
    data: str | None,
    precision: str | None,
    teacher: Path | None,
    resume: bool = True,
) -> list[Experiment]:
    """One experiment for every data set of the recipe, or for `data` alone."""
    loaded = recipes.load(recipe, profile, teacher, precision)
    datasets = loaded.get("datasets") or [loaded["dataset"]]
    if data and data not in datasets:
        raise ValueError(f"recipe {recipe} has no data set '{data}'; it has {', '.join(datasets)}")
    return [Experiment(loaded, dataset, resume=resume) for dataset in ([data] if data else datasets)]
