"""The commands data, import-teacher and doctor: what a recipe needs, and whether it is here."""

import importlib.util
from pathlib import Path
from typing import Annotated

import torch
import typer

from .. import __version__, teachers
from ..data import fetch, images
from ..experiments import readiness, recipes
from ..files import paths
from .options import Profile, Teacher, option, recipe_help

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


def prepare_data(
    name: Annotated[
        str,
        typer.Argument(
            help="digits, fashion_mnist, cifar10, celeba64, ffhq64, imagenet64, shapes32, faces64, "
            "objects32 ..., or folder:PATH@SIZE, your own pictures; data/README.md says what goes where."
        ),
    ],
    root: Annotated[
        Path | None, option("The folder with the published files (TRAFLOW_DATA, else data/).")
    ] = None,
) -> None:
    """Prepare a data set's images, fetching what is free and missing."""
    try:
        _show(name, root)
    except FileNotFoundError:
        if name not in fetch.URLS:
            raise
        fetch.fetch(name, root or paths.data())
        _show(name, root)


def _show(name: str, root: Path | None) -> None:
    splits = images.splits(name)
    for split in [split for split in splits if split != "all"] or splits:
        prepared, _ = images.load(name, split, root)
        size = f"{len(prepared):,} images of shape {prepared.shape[1:]}"
        if prepared.classes:
            size += f", {len(prepared.classes)} classes ({', '.join(prepared.classes[:10])})"
        if prepared.skipped:
            size += f", {prepared.skipped:,} files of other kinds left out"
        where = f"cache {prepared.file}" if prepared.file else "no files needed"
        print(f"{name} {split}: {size}, {where}, sha256 {prepared.sha256}")


def import_teacher(
    file: Path,
    out: Annotated[Path | None, option("Default: beside the file, ending in .safetensors.")] = None,
) -> None:
    """Rewrite a released teacher as this kit's safetensors.

    It may be a RectifiedFlow .pth or an EDM .pkl; it is checked, and its code is never run.
    """
    written = teachers.import_teacher(file, out)
    print(f"{file} is now {written}, {written.stat().st_size / 1e6:.1f} MB")


def doctor(
    recipe: Annotated[str | None, option(recipe_help)] = None,
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
