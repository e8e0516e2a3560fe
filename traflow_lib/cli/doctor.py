"""The command doctor."""

import importlib.util
from typing import Annotated

import torch
import typer

from .. import __version__
from ..experiments import readiness, recipes
from ..files import paths
from .options import Profile, Teacher

# module -> what it is for, and the extra that installs it
OPTIONAL = {
    "torchdiffeq": "dopri5 (extra: eval)",
    "ot": "exact W2 (extra: eval)",
    "cleanfid": "FID features (extra: eval)",
    "matplotlib": "figures (extra: notebooks)",
    "papermill": "batch runs of notebooks (extra: notebooks)",
    "snakemake": "make reproduce (extra: pipeline)",
    "nbval": "notebook tests (extra: dev)",
    "diffusers": "UNet2DModel teachers (extra: teachers)",
}


def run(
    recipe: Annotated[str | None, typer.Option(help=f"One of {', '.join(recipes.names())}.")] = None,
    profile: Profile = "laptop",
    teacher: Teacher = None,
) -> None:
    """Say what is installed, missing, and what for.

    With --recipe: whether what that recipe needs is here.
    """
    if recipe:
        readiness.check(recipes.load(recipe, profile, teacher))
        return
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    print(f"traflow_lib {__version__}, torch {torch.__version__}, {device}, root {paths.root()}")
    print(readiness.precision())
    for module, purpose in OPTIONAL.items():
        found = importlib.util.find_spec(module) is not None
        print(f"{'ok     ' if found else 'MISSING'} {module}: {purpose}")
