"""distill(): a student of anyone's teacher, trained as the recipes' are, in a folder of its own."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

from .. import nets, objectives
from ..data.image_set import Images
from ..data.images import as_images
from ..files.checksums import fingerprint
from ..files.locks import exclusively
from ..files.log import log
from ..files.processes import processes
from ..nets.target_time import TargetTime, with_target_time
from ..pairs import OnlinePairs, PairCache, make_pairs, sample_noise
from ..teachers import VelocityField, load_network, load_teacher
from ..teachers.adapter import Velocity
from ..teachers.checkpoints import read_header
from ..training import fit
from ..training.config import TrainConfig
from ..training.distillation import distillation_loss
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
    pairs: dict | None = None,
    options: dict | None = None,
) -> Student:
    """Train a student of `teacher` in the folder `out`, or load the one that is there.

    Killed or interrupted, the same call goes on from the last checkpoint. Under torchrun every process takes
    its part of each batch.

    Args:
        teacher: as_velocity(...), load_teacher(...), a file of one, or any v(x, t), of a closed form for
            instance. Where there are data, the convention given to as_velocity is checked on them.
        data: pictures (ImageFolder, ImageArray, a torch Dataset, a folder's path ...: images.as_images). Only
            methods that learn from real data need them, others take their shape from them.
        method: one of objectives.names().
        steps: of the optimiser.
        out: the folder for pairs, checkpoints, log and student.safetensors.
        network: the student's network F(x, t, s), such as with_target_time(teacher, "name of a layer"),
            trained in place. Without one, the teacher's with s added to its layer `time_embed`.
        shape: of a sample, where there are no data.
        seed: of everything that is drawn.
        train: more settings of training.config.TrainConfig, such as batch, lr, ema, precision.
        pairs: the teacher's pairs: n, seed, the solver's method and steps (or tol), or online=True for fresh
            ones in every step. Unless given: PAIRS.
        options: of the method.

    Raises:
        ValueError: something does not fit, or `out` holds a student of other settings; the message says what.
    """
    data = None if data is None else as_images(data)
    field, config = _teacher(teacher)
    objective = objectives.get(method, **options or {})
    shape, solved = _shape(data, shape), _pair_settings(pairs or {})
    settings = TrainConfig.of({"steps": steps, "batch": 128} | (train or {}))
    source, device = getattr(field, "net", None), processes().device
    classes = getattr(source, "classes", 0)
    if source is not None:
        source.to(device)
        _check(source, data, classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = _network(network, source, config)
    own = {
        "method": method, "objective": objectives.described(objective), "train": asdict(settings),
        "seed": seed, "pairs": solved, "teacher": _known_by(field, shape), "shape": list(shape),
        "net": fingerprint([repr(net), [[name, list(x.shape)] for name, x in net.state_dict().items()]]),
        "data": data.sha256 if objective.needs_data and data is not None else None,
    }  # fmt: skip
    out, name = Path(out), fingerprint(own)
    file = out / "student.safetensors"
    with exclusively(out / "student.lock", f"the student in {out}"):
        if file.exists():
            if read_header(file).get("fingerprint") != name:
                raise ValueError(
                    f"{out} holds a student of other settings; choose another folder, or delete it"
                )
            return load(file, net)
        cache = _pairs(field, solved, shape, classes, out, own["teacher"])
        draw = None if data is None else data.sample_labelled
        loss = distillation_loss(objective, field, cache, settings.batch, device, data=draw, classes=classes)
        log.info(f"{out.name}: {method} for {settings.steps:,} steps of {settings.batch}")
        trained = fit(net.to(device), loss, settings, out / "training", seed=seed, title=method, recipe=name)
        kind = config if config and network is None else _described(net)
        header = {"network": kind, "fingerprint": name, "settings": own}
        student = Student(trained.net, shape, classes, header | {"training": trained.statistics})
        if processes().is_main_process:
            student.save(file)
        processes().wait_for_everyone()
    return student


def _check(source: nn.Module, data: Images | None, classes: int) -> None:
    """Whether the convention that as_velocity was told fits the data; ValueError says which does."""
    if not isinstance(source, Velocity):
        return
    if source.convention.predicts == "noise":
        log.warning(
            "this teacher predicts noise, which says little of the velocity near t = 1, where jumps start"
        )
    if data is not None:
        found = source.check(data, label=data.labels if classes else None, n=512)
        found.require()
        log.info(found.verdict)


def _teacher(teacher) -> tuple[Callable, dict | None]:
    """v(x, t) of what was given as a teacher and, of a file's network, the configuration that builds it."""
    if not isinstance(teacher, str | Path):
        return VelocityField(teacher) if isinstance(teacher, nn.Module) else teacher, None
    if Path(teacher).is_dir():
        return load_teacher(teacher), None
    net, header = load_network(Path(teacher))
    return VelocityField(net), header["network"]


def _pair_settings(given: dict) -> dict:
    """PAIRS with what was given in their place; a tolerance takes the place of steps."""
    if unknown := set(given) - {*PAIRS, "tol"}:
        raise ValueError(f"pairs: unknown {', '.join(sorted(unknown))}; there are {', '.join(PAIRS)}, tol")
    solved = PAIRS | given
    return {key: value for key, value in solved.items() if key != "steps" or "tol" not in given}


def _shape(data: Images | None, shape: tuple[int, ...] | None) -> tuple[int, ...]:
    """The shape of a sample, from the data or as given."""
    if data is None and shape is None:
        raise ValueError("distill needs data, or the shape of a sample: shape=(3, 32, 32) for instance")
    found = tuple(data.shape[1:]) if data is not None else tuple(shape or ())
    if shape is not None and tuple(shape) != found:
        raise ValueError(f"shape is {tuple(shape)}, but the data have samples of {found}; leave shape out")
    return found


def _network(network: nn.Module | None, source: nn.Module | None, config: dict | None) -> nn.Module:
    """The student's network at the start: as given, or the teacher's with an input for s."""
    if network is not None:
        return network
    if source is None:
        raise ValueError("this teacher has no network to start from: give the student's, network=...")
    if config is not None:
        return nets.warm_start(nets.build(config, s_input=True), source)
    log.info("the student is the teacher's network, with s added to its layer 'time_embed'")
    return with_target_time(source)


def _described(net: nn.Module) -> dict:
    """What load() needs to know of a network of yours: the wrappers round it."""
    if not isinstance(net, TargetTime):
        return {"kind": "yours"}
    inner = net.net
    wrapped = {"layer": net.shift.name, "last_layer": net.outlet}
    if isinstance(inner, Velocity) and isinstance(inner.call, str):
        wrapped |= {"velocity": asdict(inner.convention) | {"call": inner.call, "classes": inner.classes}}
    return {"kind": "yours", "target_time": wrapped}


def _known_by(field, shape: tuple[int, ...]) -> str:
    """A fingerprint of a teacher: of a network its weights, of a closed form what it answers."""
    net = getattr(field, "net", None)
    if net is None:
        noise = sample_noise(0, 0, 4, shape)
        tensors = {str(t): field(noise, t) for t in (0.9, 0.5, 0.1)}
    else:
        tensors = net.state_dict()
    digest = hashlib.sha256(repr(net).encode())
    for name, tensor in tensors.items():
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(name.encode() + flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]


def _pairs(
    field, solved: dict, shape: tuple[int, ...], classes: int, out: Path, teacher: str
) -> PairCache | OnlinePairs:
    """The teacher's pairs: kept in `out`, or fresh ones."""
    solver = {key: solved[key] for key in ("method", "steps", "tol") if key in solved}
    options = {"device": processes().device, "classes": classes} | solver
    if solved["online"]:
        return OnlinePairs(field, shape, **options)
    file = out / f"pairs-{fingerprint([solved, teacher, shape])}.safetensors"
    if not file.exists():
        log.info(f"{out.name}: solving {solved['n']:,} pairs")
        make_pairs(field, solved["n"], shape, solved["seed"], keep_path=True, file=file, **options)
    return PairCache.load(file)
