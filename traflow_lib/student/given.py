"""What distill() is given, checked before anything is solved: each fault is one line."""

import hashlib
import re
from collections.abc import Callable
from numbers import Integral
from pathlib import Path

import torch
from torch import Tensor, nn

from .. import nets
from ..batch import labelled
from ..data.image_set import Images
from ..files.log import log
from ..nets.target_time import with_target_time
from ..pairs import sample_noise
from ..teachers import VelocityField, load_network, load_teacher
from ..teachers.adapter import Velocity


def whole_number(name: str, value, least: int) -> int:
    """The value as an integer; ValueError unless it is a whole number of at least `least`."""
    if not isinstance(value, Integral) or value < least:
        raise ValueError(f"{name} is {value!r}: a whole number of at least {least}")
    return int(value)


def teacher_of(teacher) -> tuple[Callable, dict | None]:
    """v(x, t) of what was given as a teacher and, of a file's network, the configuration that builds it."""
    if not isinstance(teacher, str | Path):
        return VelocityField(teacher) if isinstance(teacher, nn.Module) else teacher, None
    if Path(teacher).is_dir():
        return load_teacher(teacher), None
    net, header = load_network(Path(teacher))
    return VelocityField(net), header["network"]


def shape_of(data: Images | None, shape: tuple[int, ...] | None) -> tuple[int, ...]:
    """The shape of a sample, from the data or as given."""
    if shape is not None and not isinstance(shape, (tuple, list)):
        raise ValueError(f"shape is {shape!r}: that of a sample, (3, 32, 32) for instance")
    if data is None and shape is None:
        raise ValueError("distill needs data, or the shape of a sample: shape=(3, 32, 32) for instance")
    found = tuple(data.shape[1:]) if data is not None else tuple(shape or ())
    if shape is not None and tuple(shape) != found:
        raise ValueError(f"shape is {tuple(shape)}, but the data have samples of {found}; leave shape out")
    return tuple(whole_number("each side of shape", side, 1) for side in found)


def check_teacher(field: Callable, data: Images | None, shape: tuple[int, ...], device) -> None:
    """Whether a teacher answers, and whether its convention fits the data; ValueError says what does."""
    source = getattr(field, "net", None)
    classes = getattr(source, "classes", 0)
    if classes and data is not None:
        most = -1 if data.labels is None else int(data.labels.max())
        if not 0 <= most < classes:
            found = "the data have no labels" if most < 0 else f"a label of the data is {most}"
            raise ValueError(f"{found}, but the teacher has classes 0 to {classes - 1}")
    x, label = _start(shape, classes, device)
    bare = source is not None and not isinstance(source, Velocity)
    hint = "; wrap a network of yours by as_velocity" if bare else ""
    _answer("the teacher, called as v(x, t),", lambda: labelled(field, label)(x, 1.0), x, hint)
    if not isinstance(source, Velocity):
        return
    if source.convention.predicts == "noise":
        log.warning("a teacher that predicts noise says little of the velocity near t = 1, where jumps start")
    if data is not None:
        fit = source.check(data, label=data.labels if classes else None, n=512)
        fit.require()
        log.info(fit.verdict)


def student_of(
    network: nn.Module | None, source: nn.Module | None, config: dict | None, shape: tuple[int, ...], device
) -> nn.Module:
    """The student's network at the start: as given, or the teacher's with an input for s."""
    net = _network(network, source, config).to(device)
    if source is not None and {*map(id, net.parameters())} & {*map(id, source.parameters())}:
        shared = "the student's network shares weights with the teacher, which its training would change"
        raise ValueError(f"{shared}; with_target_time(teacher, ...) makes a copy")
    if isinstance(net, Velocity):
        raise ValueError("the student's network takes no target time; with_target_time gives it one")
    x, label = _start(shape, getattr(source, "classes", 0), device)
    classes = {} if label is None else {"label": label}
    at, to = x.new_ones(len(x)), x.new_zeros(len(x))
    with torch.enable_grad():
        what = "the student's network, called as F(x, t, s),"
        hint = "; give with_target_time(as_velocity(net), ...), or a network called as net(x, t, s)"
        out = _answer(what, lambda: net.eval()(x, at, to, **classes), x, hint)
    if not out.requires_grad:
        raise ValueError("the student's network cannot learn: no weight with a gradient decides its answer")
    return net


def _network(network: nn.Module | None, source: nn.Module | None, config: dict | None) -> nn.Module:
    if network is not None:
        if not isinstance(network, nn.Module):
            raise ValueError(f"network must be a torch module, not {network!r}")
        return network
    if source is None:
        raise ValueError("this teacher has no network to start from: give the student's, network=...")
    if config is not None:
        return nets.warm_start(nets.build(config, s_input=True), source)
    log.info("the student is the teacher's network, with s added to its layer 'time_embed'")
    return with_target_time(source)


def _start(shape: tuple[int, ...], classes: int, device) -> tuple[Tensor, Tensor | None]:
    """Four samples at t = 1 and their classes, to try a network on."""
    label = torch.zeros(4, dtype=torch.int64, device=device) if classes else None
    return sample_noise(0, 0, 4, shape).to(device), label


def _answer(what: str, call: Callable[[], Tensor], x: Tensor, hint: str = "") -> Tensor:
    """What call() gives; ValueError, with the hint, unless those are numbers shaped like x."""
    kept = x.clone()
    try:
        out = call()
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{what} fails on samples of {tuple(x.shape[1:])}: {reason}{hint}") from error
    kind = tuple(out.shape[1:]) if isinstance(out, Tensor) and out.ndim else type(out).__name__
    if not isinstance(out, Tensor) or out.shape != x.shape:
        raise ValueError(f"{what} gives {kind} for samples of {tuple(x.shape[1:])}{hint}")
    if not torch.equal(x, kept):
        raise ValueError(f"{what} changes its input in place, as no solver allows; give it a copy")
    if not out.isfinite().all():
        raise ValueError(f"{what} gives NaN or infinite numbers at t = 1; are its weights whole?")
    return out


def described(net) -> str:
    """A network's repr without addresses in memory, which differ from process to process."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(net))


def known_by(field: Callable, shape: tuple[int, ...]) -> str:
    """A fingerprint of a teacher: of a network its repr() and weights, of a closed form what it answers."""
    net = getattr(field, "net", None)
    tensors = {} if net is None else net.state_dict()
    if not tensors:
        x, label = _start(shape, getattr(net, "classes", 0), "cpu")
        tensors = {str(t): labelled(field, label)(x, t) for t in (0.9, 0.5, 0.1)}
    digest = hashlib.sha256(described(net).encode())
    if code := getattr(getattr(net, "call", None), "__code__", None):
        digest.update(described((code.co_code, code.co_consts)).encode())
    for name, tensor in tensors.items():
        flat = tensor.detach().cpu().contiguous().reshape(-1)
        digest.update(name.encode() + flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:16]
