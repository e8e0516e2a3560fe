"""Students of anyone's teacher: distil one, draw from it, measure it, keep it.

    student = distill(teacher, ImageFolder("pictures", size=64), method="traflow", steps=20_000, out="mine")
    images = student.sample(64, calls=1, seed=0)
    student.save("mine.safetensors")

The recipes' experiments train with the same objective, batches and loop.
"""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from . import nets, objectives
from .data.images import Images
from .files.checks import finite
from .files.checksums import fingerprint
from .files.locks import exclusively
from .files.log import log
from .files.processes import processes
from .jump import JumpMap
from .nets.target_time import TargetTime, with_target_time
from .pairs import OnlinePairs, PairCache, chunk, make_pairs, sample_noise, sample_start
from .teachers import VelocityField, load_network, load_teacher, save_network
from .teachers.adapter import Velocity, as_velocity
from .teachers.checkpoints import read_header
from .training import fit
from .training.config import TrainConfig
from .training.distillation import distillation_loss

PAIRS = {"n": 10_000, "seed": 1, "method": "heun", "steps": 18, "online": False}


@dataclass
class Student:
    """A network F(x, t, s) whose jumps G(x, t, s) = x + (s - t) F draw samples in one call or a few.

    shape: of one sample, (C, H, W) or (D,); classes: of a class-conditional one, else 0; header: what its
    file says of it (method, settings, training).
    """

    net: nn.Module
    shape: tuple[int, ...]
    classes: int = 0
    header: dict = field(default_factory=dict)

    @torch.no_grad()
    def sample(self, n: int, calls: int = 1, seed: int = 0, label: int | Tensor | None = None) -> Tensor:
        """n samples [n, *shape] on the CPU; images lie in [-1, 1], up to the network's errors.

        Sample i depends on (seed, i) alone. calls: network calls a sample. label: a class, or one for each
        sample; without it a class-conditional student draws random ones. ValueError for what is out of range,
        and where the network gives numbers that are none.
        """
        if n < 1 or calls < 1:
            raise ValueError(f"n and calls must be at least 1, got n={n} and calls={calls}")
        device, parts = next(self.net.parameters()).device, []
        asked = self._labels(label, n)
        for start in range(0, n, chunk(self.shape)):
            stop = min(start + chunk(self.shape), n)
            noise, drawn = sample_start(seed, start, stop, self.shape, self.classes, device)
            label = drawn if asked is None else asked[start:stop].to(device)
            parts.append(JumpMap(self.net.eval(), label).sample(noise, calls).float().cpu())
        return finite(torch.cat(parts))

    def _labels(self, label: int | Tensor | None, n: int) -> Tensor | None:
        if label is None:
            return None
        asked = torch.as_tensor(label)
        if not self.classes:
            raise ValueError("label: this student knows no classes; leave it out")
        whole = not asked.is_floating_point() and asked.shape in ((), (n,))
        if not whole or asked.min() < 0 or asked.max() >= self.classes:
            raise ValueError(f"label must be an integer from 0 to {self.classes - 1}, or one for each of {n}")
        return asked.long().expand(n)

    def to_images(self, n: int, calls: int = 1, seed: int = 0, label=None) -> list:
        """n samples as pictures of Pillow (arguments as in sample); ValueError where they are no images."""
        from PIL import Image

        from .evaluation.features import to_uint8

        if len(self.shape) != 3 or self.shape[0] not in (1, 3):
            raise ValueError(f"samples of shape {self.shape} are no pictures of one or three channels")
        pixels = to_uint8(self.sample(n, calls, seed, label)).permute(0, 2, 3, 1).numpy()
        return [Image.fromarray(one[:, :, 0] if self.shape[0] == 1 else one) for one in pixels]

    def grid(self, n: int = 64, calls: int = 1, seed: int = 0, columns: int = 8, label=None):
        """n samples as one picture of Pillow, `columns` beside each other (arguments as in sample)."""
        from PIL import Image

        pictures = self.to_images(n, calls, seed, label)
        width, height = pictures[0].size
        sheet = Image.new(pictures[0].mode, (width * min(columns, n), height * -(-n // columns)))
        for i, picture in enumerate(pictures):
            sheet.paste(picture, (i % columns * width, i // columns * height))
        return sheet

    def save(self, file: str | Path) -> Path:
        """Write weights and header as safetensors; load() reads them again. Returns the file."""
        file, header = Path(file), {key: value for key, value in self.header.items() if key != "network"}
        config = self.header.get("network", {"kind": "yours"})
        facts = {"shape": self.shape, "classes": self.classes, "s_input": True}
        save_network(file, self.net, config, **header | facts)
        return file


def load(file: str | Path, network: nn.Module | Callable[[], nn.Module] | None = None) -> Student:
    """The student in a file of save(), or of the kit's own trainings.

    network: of a student whose network is yours, that network or what makes it (MyNet), bare or in the
    wrappers of as_velocity and with_target_time; the file knows those. Weights are checked by name and shape.
    ValueError, FileNotFoundError.
    """
    file = Path(file)
    header = read_header(file)
    config = header["network"]
    if config.get("kind") != "yours":
        net, header = load_network(file)
        return Student(net, nets.sample_shape(config), getattr(net, "classes", 0), header)
    if network is None:
        raise ValueError(f"{file.name} holds the weights of a network of your own: load(file, network=...)")
    net = network if isinstance(network, nn.Module) else network()
    net = _wrapped(net, config.get("target_time"))
    nets.load_exactly(net, load_file(file), file.name)
    return Student(net.eval(), tuple(header["shape"]), header["classes"], header)


def distill(  # noqa: PLR0913 - what decides a student
    teacher,
    data: Images | None = None,
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
        teacher: as_velocity(...), load_teacher(...), a file of one, or any v(x, t) of a network or closed form.
        data: pictures; only methods that learn from real data need them, others take their shape from them.
        method: one of objectives.names().
        steps: of the optimiser.
        out: the folder for pairs, checkpoints, log and student.safetensors.
        network: the student's network F(x, t, s), with_target_time(...) for instance. Without one, the
            teacher's with a zero-initialised input for s.
        shape: of a sample, where there are no data.
        seed: of everything that is drawn.
        train: more settings of training.config.TrainConfig, such as batch, lr, ema, precision.
        pairs: the teacher's pairs: n, seed, the solver's method and steps (or tol), or online=True for fresh
            ones in every step. Unless given: PAIRS.
        options: of the method.

    Raises:
        ValueError: something does not fit, or `out` holds a student of other settings; the message says what.
    """
    field, config = _teacher(teacher)
    objective = objectives.get(method, **options or {})
    shape, solved = _shape(data, shape), _pair_settings(pairs or {})
    settings = TrainConfig.of({"steps": steps, "batch": 128} | (train or {}))
    source, device = getattr(field, "net", None), processes().device
    classes = getattr(source, "classes", 0)
    net = _network(network, source, config)
    own = {
        "method": method, "objective": objectives.described(objective), "train": asdict(settings), "seed": seed,
        "pairs": solved, "teacher": _known_by(field, shape), "net": _known_by(net, shape), "shape": list(shape),
        "data": data.sha256 if objective.needs_data and data else None,
    }  # fmt: skip
    out, name = Path(out), fingerprint(own)
    file = out / "student.safetensors"
    with exclusively(out / "student.lock", f"the student in {out}"):
        if file.exists():
            if read_header(file).get("fingerprint") != name:
                raise ValueError(f"{out} holds a student of other settings; choose another folder, or delete it")
            return load(file, net)
        cache = _pairs(field, solved, shape, classes, out, own["teacher"])
        draw = data and data.sample_labelled
        loss = distillation_loss(
            objective, field, cache, settings.batch, device, data=draw, classes=classes
        )  # fmt: skip
        log.info(f"{out}: {method} for {settings.steps:,} steps of {settings.batch}")
        trained = fit(net.to(device), loss, settings, out / "training", seed=seed, title=method, recipe=name)
        header = {"network": config or _described(net), "fingerprint": name, "settings": own}
        student = Student(trained.net, shape, classes, header | {"training": trained.statistics})
        if processes().is_main_process:
            student.save(file)
        processes().wait_for_everyone()
    return student


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


def _wrapped(net: nn.Module, target_time: dict | None) -> nn.Module:
    """A bare network of yours in the wrappers of its student; one that has them already as it is."""
    if target_time is None or isinstance(net, TargetTime):
        return net
    if "velocity" in target_time and not isinstance(net, Velocity):
        net = as_velocity(net, **target_time["velocity"])
    return with_target_time(net, target_time["layer"], target_time["last_layer"])


def _known_by(thing, shape: tuple[int, ...]) -> str:
    """A fingerprint: of a network its description and weights, of a closed form what it answers."""
    net = thing if isinstance(thing, nn.Module) else getattr(thing, "net", None)
    if net is None:
        x = sample_noise(0, 0, 4, shape)
        tensors = {str(t): thing(x, t) for t in (0.9, 0.5, 0.1)}
    else:
        tensors = net.state_dict()
    digest = hashlib.sha256(repr(net).encode())
    for name, tensor in tensors.items():
        digest.update(name.encode() + tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
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
        log.info(f"{out}: solving {solved['n']:,} pairs")
        make_pairs(field, solved["n"], shape, solved["seed"], keep_path=True, file=file, **options)
    return PairCache.load(file)
