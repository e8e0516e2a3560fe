"""The command notebook."""

from typing import Annotated

import typer

from ..reports import notebooks
from .options import Profile, Teacher


def run(
    name: Annotated[str, typer.Argument(help="One of notebooks/, without .ipynb.")],
    profile: Profile = "laptop",
    seed: Annotated[int | None, typer.Option(help="Instead of the notebook's own.")] = None,
    teacher: Teacher = None,
) -> None:
    """Execute one notebook by papermill."""
    print(f"executed: {notebooks.run(name, profile, seed, teacher)}")
