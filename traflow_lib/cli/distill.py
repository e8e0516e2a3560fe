"""The command distill: students of a recipe, or of your own teacher."""

import importlib
import inspect
from pathlib import Path
from typing import Annotated

import torch
from torch import nn

from .. import nets
from ..data import images
from ..files.inert_pickle import read_torch
from ..files.log import log
from ..files.tensors import load_tensors
from ..nets.target_time import with_target_time
from ..student import distill
from ..student.given import whole_number
from ..teachers.adapter import as_velocity
from ..teachers.convention import PREDICTS
from .options import Methods, Precision, Profile, Resume, experiments, option, recipe_help


def run(
    recipe: Annotated[str | None, option(f"{recipe_help} Without one: of --teacher.")] = None,
    profile: Profile = "laptop",
    data: Annotated[
        str | None, option("Only this data set of the recipe; without a recipe, folder:PATH of yours.")
    ] = None,
    precision: Precision = None,
    teacher: Annotated[
        str | None,
        option(
            "A checkpoint (the kit's, RectifiedFlow .pth, EDM .pkl) for the recipe's teacher; without a "
            "recipe also MODULE:FUNCTION, which makes your network."
        ),
    ] = None,
    resume: Resume = False,
    method: Methods = None,
    seed: Annotated[list[int] | None, option("Only this seed (may be repeated).")] = None,
    weights: Annotated[Path | None, option("Your network's (.pt or .safetensors).")] = None,
    noise_at: Annotated[int, option("Your network's time at pure noise: 1 or 0.")] = 1,
    predicts: Annotated[str, option(f"What it gives: {', '.join(PREDICTS)}.")] = "velocity",
    scale: Annotated[float, option("What its time is multiplied by (often 1000).")] = 1,
    layer: Annotated[
        str, option("The layer of your network to whose output the target time is added.")
    ] = "time_embed",
    last_layer: Annotated[
        str | None, option("Your network's last layer, for methods that weigh losses there, such as ctm.")
    ] = None,
    size: Annotated[int | None, option("Side of the pictures of --data folder:PATH.")] = None,
    steps: Annotated[int, option("Of the training, without a recipe.")] = 20_000,
    batch: Annotated[int, option("Samples a step, without a recipe.")] = 128,
    lr: Annotated[float, option("Learning rate, without a recipe.")] = 1e-3,
    pairs: Annotated[
        str | None, option("How many teacher's pairs to solve, else 10000; or a student's folder of them.")
    ] = None,
    out: Annotated[
        Path, option("Where students go, without a recipe: OUT/METHOD-seedSEED/student.safetensors.")
    ] = Path("student"),
) -> None:
    """Train (or find) students of a recipe, every method and seed unless some are named; or of your teacher.

    Yours: --teacher mypackage:MyUNet --weights my.pt --noise-at 0 --layer time_embed --data folder:pictures
    --size 64. mypackage may register methods of its own. The same command goes on with a training that was
    interrupted.
    """
    seed = [whole_number("--seed", number, 0) for number in seed or []]
    if recipe:
        if weights or pairs or last_layer or size is not None:
            raise ValueError(
                "--weights, --last-layer, --size and --pairs go with a teacher of your own, without --recipe"
            )
        named = Path(teacher) if teacher else None
        for experiment in experiments(recipe, profile, data, precision, named, resume):
            for name in method or experiment.recipe["methods"]:
                for number in seed or experiment.recipe["seeds"]:
                    file = experiment.model(name, number).file
                    log.info(f"{experiment.dataset}: {name}, seed {number} in {file}")
        return
    if teacher is None or data is None:
        raise ValueError("distill needs --recipe, or --teacher and --data: see distill --help")
    address = data if size is None else f"{data}@{size}"
    pictures = images.load(address, "train" if "train" in images.splits(address) else "all")[0]
    source = None  # a checkpoint
    if ":" in teacher:
        source = as_velocity(_built(teacher, weights), noise_at, predicts, scale=scale)
    else:
        _require_defaults(
            teacher, last_layer=last_layer, weights=weights, noise_at=noise_at, predicts=predicts,
            scale=scale, layer=layer,
        )  # fmt: skip
    train = {"batch": batch, "lr": lr} | ({"precision": precision} if precision else {})
    given: dict | str | Path | None = {"n": int(pairs)} if pairs and pairs.isdecimal() else pairs
    for name in method or ["traflow"]:
        for number in seed or [0]:
            folder = out / f"{name}-seed{number}"
            torch.manual_seed(number)
            more: dict = {"seed": number, "train": train, "pairs": given}
            more["network"] = with_target_time(source, layer, last_layer) if source else None
            distill(source or teacher, pictures, name, steps=steps, out=folder, **more)
            if not isinstance(given, str | Path):
                given = folder  # where they are solved, for the students that follow, too
            log.info(f"{name}, seed {number} in {folder / 'student.safetensors'}")


def _require_defaults(teacher: str, **given) -> None:
    """ValueError for an option that a checkpoint does not need."""
    usual = inspect.signature(run).parameters
    for name, value in given.items():
        if value != usual[name].default:
            option = f"--{name.replace('_', '-')}"
            raise ValueError(f"{option} goes with --teacher MODULE:FUNCTION; that of {teacher} is known")


def _built(teacher: str, weights: Path | None) -> nn.Module:
    """The network that MODULE:FUNCTION makes, with its weights."""
    module, _, function = teacher.partition(":")
    try:
        net = getattr(importlib.import_module(module), function)()
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ValueError(f"--teacher {teacher}: {error}") from None
    if not isinstance(net, nn.Module):
        raise ValueError(f"--teacher {teacher} gives {type(net).__name__}, not a torch module")
    if weights is not None:
        if not weights.is_file():
            raise FileNotFoundError(f"there are no weights {weights}")
        tensors = load_tensors(weights) if weights.suffix == ".safetensors" else read_torch(weights)
        nets.load_exactly(net, tensors, weights.name)
    return net
