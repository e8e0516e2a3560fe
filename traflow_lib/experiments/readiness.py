"""What a recipe needs and whether it is here, asked before hours of training.

By the notebooks and by the command doctor.
"""

import time
from dataclasses import dataclass
from pathlib import Path

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

    def __str__(self) -> str:
        return f"{'ok     ' if self.found else 'MISSING'} {self.what}: {self.note}"


def needs(recipe: dict) -> list[Need]:
    """The device, data, teacher file and Inception weights that a recipe of images asks for.

    Prepares the data's cache, fetches the weights.
    """
    found = [_device(recipe), _data(recipe)]
    if recipe["teacher"].get("kind") == "checkpoint":
        found.append(_teacher(Path(recipe["teacher"]["file"])))
    if "fid" in recipe:
        found.append(_inception())
    return found


def check(recipe: dict) -> None:
    """Say all needs, a line each.

    Raises:
        FileNotFoundError: vital ones are missing; says what to do.
    """
    missing = []
    for need in needs(recipe):
        if need.vital and not need.found:
            missing.append(need)
        else:
            log.info(str(need))
    if missing:
        raise FileNotFoundError("; ".join(f"{need.what}: {need.note}" for need in missing))


def has_data(recipe: dict) -> bool:
    """Whether the recipe's data set is on disk, whole."""
    return _data(recipe).found


def _device(recipe: dict) -> Need:
    if torch.cuda.is_available():
        return Need("GPU", True, torch.cuda.get_device_name())
    wanted = PROFILES[recipe["profile"]].gpu
    return Need(
        "GPU", not wanted, "none here; this profile is made for one" if wanted else "none needed", vital=False
    )


def _data(recipe: dict) -> Need:
    name, split = recipe["dataset"], recipe.get("data", {}).get("split", "all")
    stand_in = f", STAND-IN for {recipe['stand_in_for']}" if "stand_in_for" in recipe else ""
    try:
        found, _ = images.load(name, split)
    except FileNotFoundError as error:
        note = f"python -m traflow_lib data {name} fetches it; {error}" if name in fetch.URLS else str(error)
        vital = _trains_on_images(recipe)
        return Need(
            f"data {name}",
            False,
            note if vital else f"only what shows real images is left out; {note}",
            vital,
        )
    return Need(f"data {name}", True, f"{len(found):,} images of shape {found.shape[1:]}{stand_in}")


def _trains_on_images(recipe: dict) -> bool:
    """Whether images are needed for more than to be shown.

    For an extractor, a teacher or a student that is still to be trained on them, or for FID.
    """
    name = recipe["dataset"]
    networks = Networks(name, torch.device("cpu"))
    if "fid" in recipe or "classifier" not in recipe or recipe["teacher"].get("kind") == "checkpoint":
        return True
    trained = {"teacher": settings.teacher(recipe, name), "classifier": settings.classifier(recipe, name)}
    if not all(networks.file(role, own) for role, own in trained.items()):
        return True
    students = [
        stage
        for method in recipe["methods"]
        for stage in settings.student(recipe, name, method, recipe["seeds"][0])
    ]
    return any(objectives.build(stage["objective"]).needs_data for stage in students)


def _teacher(name: Path) -> Need:
    file = paths.data() / "teachers" / name
    return Need(
        "teacher checkpoint",
        file.exists(),
        file.name if file.exists() else f"put {EDM}{name.name} at {file}, or give another file by --teacher",
    )


def _inception() -> Need:
    try:
        return Need("Inception weights", True, inception.weights(inception.TORCHSCRIPT).name)
    except FileNotFoundError as error:
        return Need("Inception weights", False, f"{error}; until then FID stays 'not run'", vital=False)


def precision(seconds: float = 0.5) -> str:
    """Which precision is fast on this processor, by timing one convolution in each.

    Flags of a processor do not tell how it performs.
    """
    net, x = torch.nn.Conv2d(64, 64, 3, padding=1), torch.randn(32, 64, 16, 16)
    times = {"float32": _time(net, x, torch.float32, seconds), "bf16": _time(net, x, torch.bfloat16, seconds)}
    ratio = times["bf16"] / times["float32"]
    advice = (
        "bf16 pays on this processor (--precision bf16)"
        if ratio < 0.8
        else "float32 is the one to use on this processor, as all CPU profiles do"
    )
    full, half = (f"{1000 * times[name]:.1f} ms in {name}" for name in ("float32", "bf16"))
    return f"a convolution takes {full} and {half} ({ratio:.2g} times as long): {advice}"


@torch.no_grad()
def _time(net, x: torch.Tensor, dtype: torch.dtype, seconds: float) -> float:
    """Seconds a call, the best of as many as fit into `seconds`, after one to warm up."""
    found: list[float] = []
    with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
        net(x)
        end = time.perf_counter() + seconds
        while not found or time.perf_counter() < end:
            start = time.perf_counter()
            net(x)
            found.append(time.perf_counter() - start)
    return min(found)
