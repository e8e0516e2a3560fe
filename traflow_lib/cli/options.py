"""Options that several commands share, and what they select."""

from pathlib import Path
from typing import Annotated

import typer

from ..experiments import recipes
from ..experiments.experiment import Experiment
from ..experiments.schema import PROFILES
from ..nets.precision import DTYPES

recipe_help = f"One of {', '.join(recipes.names())}."
Recipe = Annotated[str, typer.Option(help=recipe_help)]
Profile = Annotated[str, typer.Option(help=f"One of {', '.join(PROFILES)}.")]
DataSet = Annotated[str | None, typer.Option("--data", help="Only this data set of the recipe.")]
Precision = Annotated[
    str | None, typer.Option(help=f"Train and sample in this instead of the recipe's: {', '.join(DTYPES)}.")
]
Teacher = Annotated[
    Path | None,
    typer.Option(
        help="Take this checkpoint (the kit's, RectifiedFlow .pth, EDM .pkl) for the recipe's teacher."
    ),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Go on with a training that was interrupted; without it, one that is found is refused.",
    ),
]
Methods = Annotated[list[str] | None, typer.Option("--method", help="Only this method (may be repeated).")]


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
