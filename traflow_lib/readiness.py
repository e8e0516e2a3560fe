"""What a recipe needs and whether it is here, asked before hours of training: by the notebooks and by the command doctor."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from .data import images
from .evaluation import inception
from .notebooks import GPU_PROFILES

EDM = "https://nvlabs-fi-cdn.nvidia.com/edm/pretrained/"


@dataclass(frozen=True)
class Need:
    """what: a thing the recipe needs; found: whether it is here; note: where it is, or one line on how to get it. vital: nothing runs without."""

    what: str
    found: bool
    note: str
    vital: bool = True

    def __str__(self) -> str:
        return f"{'ok     ' if self.found else 'MISSING'} {self.what}: {self.note}"


def needs(recipe: dict) -> list[Need]:
    """The device, data, teacher file and Inception weights that a recipe of images asks for. Prepares the data's cache, fetches the weights."""
    found = [_device(recipe), _data(recipe)]
    if recipe["teacher"].get("kind") == "checkpoint":
        found.append(_teacher(Path(recipe["teacher"]["file"])))
    if "fid" in recipe:
        found.append(_inception())
    return found


def check(recipe: dict, say: Callable = print) -> None:
    """Say all needs, a line each, but raise FileNotFoundError for the vital ones that are missing, with what to do."""
    missing = []
    for need in needs(recipe):
        if need.vital and not need.found:
            missing.append(need)
        else:
            say(str(need))
    if missing:
        raise FileNotFoundError("; ".join(f"{need.what}: {need.note}" for need in missing))


def has_data(recipe: dict) -> bool:
    """Whether the recipe's data set is on disk, whole."""
    return _data(recipe).found


def _device(recipe: dict) -> Need:
    if torch.cuda.is_available():
        return Need("GPU", True, torch.cuda.get_device_name())
    wanted = recipe["profile"] in GPU_PROFILES
    return Need("GPU", not wanted, "none here; this profile is made for one" if wanted else "none needed", vital=False)


def _data(recipe: dict) -> Need:
    name, split = recipe["dataset"], recipe.get("data", {}).get("split", "all")
    stand_in = f", STAND-IN for {recipe['stand_in_for']}" if "stand_in_for" in recipe else ""
    try:
        found, _ = images.load(name, split)
    except FileNotFoundError as error:
        return Need(f"data {name}", False, str(error))
    return Need(f"data {name}", True, f"{len(found):,} images of shape {found.shape[1:]}{stand_in}")


def _teacher(name: Path) -> Need:
    file = images.data_root() / "teachers" / name
    return Need("teacher checkpoint", file.exists(), file.name if file.exists() else f"put {EDM}{name.name} at {file}, or give another file by --teacher")


def _inception() -> Need:
    try:
        return Need("Inception weights", True, inception.weights(inception.TORCHSCRIPT).name)
    except FileNotFoundError as error:
        return Need("Inception weights", False, f"{error}; until then FID stays 'not run'", vital=False)
