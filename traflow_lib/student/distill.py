"""distill(): a student of anyone's teacher, trained as the recipes' are, in a folder of its own."""

import copy
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

from .. import nets, objectives
from ..data.images import as_images
from ..files.checks import finite
from ..files.checksums import fingerprint
from ..files.processes import processes
from ..nets.target_time import TargetTime
from ..objectives import Objective
from ..pairs import OnlinePairs, PairCache, pairs_of
from ..teachers.adapter import Velocity
from ..teachers.checkpoints import read_header
from ..training.config import TrainConfig
from ..training.distillation import distillation_loss
from ..training.once import train_once
from . import given
from .student import Student, load

PAIRS = {"n": 10_000, "seed": 1, "method": "heun", "steps": 18, "online": False}


def distill(  # noqa: PLR0913 - what decides a student
    teacher,
    data=None,
    method: str = "traflow",
    *,
    steps: int = 20_000,
    out: str | Path,
    network: nn.Module | None = None,
    shape: tuple[int, ...] | None = None,
    seed: int = 0,
    train: dict | None = None,
    pairs: dict | PairCache | str | Path | None = None,
    options: dict | None = None,
) -> Student:
    """Train a student of `teacher` in the folder `out`, or load the one that is there.

    It runs on the GPU where there is one; under torchrun every process takes its part of each batch. Killed
    or interrupted, the same call goes on from the last checkpoint. Try first whether all fits: steps=200,
    pairs={"n": 500, "steps": 8}.

    Args:
        teacher: as_velocity(...), whose convention is checked on the data, load_teacher(...), a file of one,
            or any v(x, t).
        data: pictures (ImageFolder, ImageArray, a torch Dataset, a folder's pathlib.Path ...: see
            images.as_images). Only methods that learn from real data need them, others take the shape.
        method: one of objectives.names(), or one of yours (objectives.register).
        steps: of the optimiser.
        out: the folder for pairs, checkpoints, log and student.safetensors.
        network: the student's network F(x, t, s), such as with_target_time(teacher, "name of a layer"),
            trained in place. Without one, the teacher's with s added to its layer `time_embed`.
        shape: of a sample, where there are no data.
        seed: of everything that is drawn.
        train: more settings of training.config.TrainConfig, such as batch, lr, ema, precision.
        pairs: how the teacher's pairs are solved: n, seed, the solver's method and steps (or tol), or
            online=True for fresh ones in every step; 10,000 by 18 steps of Heun's unless given. Or solved
            ones: another student's folder of this teacher, its file pairs-*.safetensors, or a PairCache.
        options: of the method; print(objectives.get(method)) shows them and their defaults.

    Raises:
        ValueError: something does not fit, or `out` holds a student of other settings; the message says what.
    """
    data = None if data is None else as_images(data)
    field, config = given.teacher_of(teacher)
    objective = objectives.get(method, **options or {})
    if objective.needs_data and data is None:
        raise ValueError(f"{type(objective).__name__} with these options learns from real data: give some")
    shape, seed = given.shape_of(data, shape), given.whole_number("seed", seed, 0)
    if config and (made := nets.sample_shape(config)) != shape:
        raise ValueError(f"the teacher makes samples of the shape {made}, but these are of {shape}")
    settings = TrainConfig.of({"steps": steps, "batch": 128} | (train or {}))
    source, device = getattr(field, "net", None), processes().device
    classes = getattr(source, "classes", 0)
    if source is not None:
        source.to(device)
    given.check_teacher(field, data, shape, device)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = given.student_of(network, source, config, shape, device)
    facts = {"teacher": given.known_by(field, shape), "shape": list(shape)}
    solved, ready = _pair_settings(pairs, facts)
    own: dict = {"method": method, "objective": objectives.described(objective), "train": asdict(settings)}
    own |= {"seed": seed, "pairs": solved, **facts}
    layers = [[name, list(x.shape)] for name, x in net.state_dict().items()]
    own |= {"net": fingerprint([given.described(net), layers])}
    own |= {"data": data.sha256 if objective.needs_data and data is not None else None}
    name, file = fingerprint(own), Path(out) / "student.safetensors"

    def find() -> Student | None:
        if not file.exists():
            return None
        if read_header(file).get("fingerprint") != name:
            raise ValueError(f"{out} holds a student of other settings; choose another folder, or delete it")
        student = load(file, copy.deepcopy(net))  # net may train another student
        student.net.to(device)
        return student

    def cache() -> PairCache | OnlinePairs:
        if ready is not None:
            return ready
        place = file.parent / f"pairs-{fingerprint([solved, facts['teacher'], shape])}.safetensors"
        said = {"solved": solved} | facts
        return pairs_of(field, solved, shape, device, classes, file=place, title=file.parent.name, facts=said)

    def make_loss(train: TrainConfig):
        _require_pairs(found := cache(), objective, shape, classes)
        draw = None if data is None else data.sample_labelled
        return distillation_loss(objective, field, found, train.batch, device, data=draw, classes=classes)

    kind = config if config and network is None else _described(net)
    return train_once(
        find,
        lambda: net,
        make_loss,
        own,
        name=name,
        of=(file.parent.name, method),
        file=file,
        folder=file.parent / "training",
        lock=file.with_suffix(".lock"),
        header={"config": kind, "fingerprint": name, "shape": shape, "classes": classes, "s_input": True},
    )


def _pair_settings(
    pairs: dict | PairCache | str | Path | None, teacher: dict
) -> tuple[dict, PairCache | None]:
    """How the pairs are solved (a tolerance takes the place of steps), and those that are solved already."""
    if isinstance(pairs, PairCache):
        return {"given": pairs.sha256}, pairs
    if isinstance(pairs, str | Path):
        return _solved_in(Path(pairs), teacher)
    if not isinstance(pairs, dict | None):
        raise ValueError(f"pairs is {pairs!r}: a dict such as {{'n': 10_000}}, a folder, or a PairCache")
    if unknown := set(pairs or {}) - {*PAIRS, "tol"}:
        raise ValueError(f"pairs: unknown {', '.join(sorted(unknown))}; there are {', '.join(PAIRS)}, tol")
    solved = PAIRS | (pairs or {})
    given.whole_number("n of pairs", solved["n"], 1)
    given.whole_number("seed of pairs", solved["seed"], 0)
    return {key: value for key, value in solved.items() if key != "steps" or "tol" not in solved}, None


def _solved_in(place: Path, teacher: dict) -> tuple[dict, PairCache]:
    """The settings and the pairs of this teacher in a file or folder; ValueError unless they are one set."""
    files = [place] if place.is_file() else sorted(place.glob("pairs-*.safetensors"))
    facts = {file: PairCache.facts(file) for file in files}
    mine = [file for file, found in facts.items() if found.items() >= teacher.items()]
    if len(mine) != 1:
        there = f"{place} has {len(files)} files of pairs, {len(mine)} of them of this teacher and shape"
        raise ValueError(f"{there}; name the one to use, or say how pairs are solved")
    return facts[mine[0]]["solved"], PairCache.load(mine[0])


def _require_pairs(cache, objective: Objective, shape: tuple[int, ...], classes: int) -> None:
    """ValueError unless solved pairs are numbers, of this shape, and hold what the method needs."""
    if isinstance(cache, OnlinePairs):
        return
    given.whole_number("number of pairs", len(cache), 1)
    finite(cache.x0)
    if cache.x1.shape[1:] != shape or (cache.label is not None) != bool(classes):
        have = f"{tuple(cache.x1.shape[1:])}, {'with' if cache.label is not None else 'without'} classes"
        raise ValueError(f"the pairs are of {have}; the teacher's of {shape}, with {classes} classes")
    if objective.needs_path and cache.path is None:
        raise ValueError("this method follows the teacher's paths, which these pairs lack (keep_path=True)")


def _described(net: nn.Module) -> dict:
    """What load() needs to know of a network of yours: the wrappers round it."""
    if not isinstance(net, TargetTime):
        return {"kind": "yours"}
    inner = net.net
    wrapped: dict = {"layer": net.shift.name, "last_layer": net.outlet}
    if isinstance(inner, Velocity):
        call = inner.call if isinstance(inner.call, str) else None  # a file cannot keep a function
        wrapped |= {"velocity": asdict(inner.convention) | {"call": call, "classes": inner.classes}}
    return {"kind": "yours", "target_time": wrapped}
