"""What a recipe needs and whether it is here, asked before hours of training."""

import timeit
from dataclasses import dataclass

import torch

from .. import objectives
from ..data import fetch, images
from ..evaluation import inception
from ..files import paths
from ..files.log import log
from . import settings
from .networks import Networks
from .schema import PROFILES

EDM = "https://nvlabs-fi-cdn.nvidia.com/edm/pretrained/"


@dataclass(frozen=True)
class Need:
    """what: a thing the recipe needs; found: whether it is here.

    note: where it is, or one line on how to get it. vital: nothing runs without.
    """

    what: str
    found: bool
    note: str
    vital: bool = True


def needs(recipe: dict) -> list[Need]:
    """The device, data, teacher file and Inception weights that a recipe of images asks for."""
    found = [_device(recipe), _data(recipe)]
    if recipe["teacher"].get("kind") == "checkpoint":
        file = paths.data() / "teachers" / recipe["teacher"]["file"]
        missing = f"put {EDM}{file.name} at {file}, or give another file by --teacher"
        found.append(Need("teacher checkpoint", file.exists(), file.name if file.exists() else missing))
    if "fid" in recipe:
        try:
            file = inception.weights(inception.TORCHSCRIPT)
            found.append(Need("Inception weights", True, file.name, vital=False))
        except FileNotFoundError as error:
            note = f"{error}; until then FID stays 'not run'"
            found.append(Need("Inception weights", False, note, vital=False))
    return found


def check(recipe: dict) -> None:
    """Say all needs, a line each; FileNotFoundError says what to do about vital ones that are missing."""
    found = needs(recipe)
    missing = [need for need in found if need.vital and not need.found]
    for need in found:
        if need not in missing:
            log.info(f"{'ok     ' if need.found else 'MISSING'} {need.what}: {need.note}")
    if missing:
        raise FileNotFoundError("; ".join(f"{need.what}: {need.note}" for need in missing))


def has_data(recipe: dict) -> bool:
    """Whether the recipe's data set is on disk, whole."""
    return _data(recipe).found


def _device(recipe: dict) -> Need:
    if torch.cuda.is_available():
        return Need("GPU", True, torch.cuda.get_device_name())
    wanted = PROFILES[recipe["profile"]].gpu
    note = "none here; this profile is made for one" if wanted else "none needed"
    return Need("GPU", not wanted, note, vital=False)


def _data(recipe: dict) -> Need:
    name = recipe["dataset"]
    try:
        found, _ = images.load(name, recipe.get("data", {}).get("split", "all"))
    except FileNotFoundError as error:
        note = f"python -m traflow_lib data {name} fetches it; {error}" if name in fetch.URLS else str(error)
        vital = _trains_on_images(recipe)
        note = note if vital else f"only what shows real images is left out; {note}"
        return Need(f"data {name}", False, note, vital)
    stand_in = f", STAND-IN for {recipe['stand_in_for']}" if "stand_in_for" in recipe else ""
    return Need(f"data {name}", True, f"{len(found):,} images of shape {found.shape[1:]}{stand_in}")


def _trains_on_images(recipe: dict) -> bool:
    """Whether an extractor, a teacher or a student is still to be trained on images, or FID needs them."""
    name = recipe["dataset"]
    if "fid" in recipe or "classifier" not in recipe or recipe["teacher"].get("kind") == "checkpoint":
        return True
    networks = Networks(name, torch.device("cpu"))
    trained = {"teacher": settings.teacher(recipe, name), "classifier": settings.classifier(recipe, name)}
    if not all(networks.file(role, own) for role, own in trained.items()):
        return True
    students = [settings.student(recipe, name, method, recipe["seeds"][0]) for method in recipe["methods"]]
    return any(objectives.build(stage["objective"]).needs_data for stages in students for stage in stages)


def precision() -> str:
    """Which precision is fast on this processor, whose flags do not tell: by timing a convolution in each."""
    full, half = 1000 * _seconds(torch.float32), 1000 * _seconds(torch.bfloat16)
    pays = "bf16 pays on this processor (--precision bf16)"
    not_here = "float32 is the one to use on this processor, as all CPU profiles do"
    return (
        f"a convolution takes {full:.1f} ms in float32 and {half:.1f} ms in bf16 ({half / full:.2g} times as "
        f"long): {pays if half / full < 0.8 else not_here}"
    )


@torch.no_grad()
def _seconds(dtype: torch.dtype) -> float:
    """Seconds that a convolution takes, the best of thirty."""
    net, x = torch.nn.Conv2d(64, 64, 3, padding=1), torch.randn(32, 64, 16, 16)
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        return min(timeit.repeat(lambda: net(x), number=1, repeat=30))
