"""Networks, and the ways in which a student gets its teacher's weights."""

from collections.abc import Mapping

import torch
from torch import nn

from .adm import ADM
from .cnn import Classifier
from .compact import truncate as truncate
from .ddpmpp import DDPMpp
from .edm import EDM
from .mlp import MLP
from .target_time import with_target_time as with_target_time

SIZES = {"size", "channels", "width", "depth", "blocks", "dim"}
KINDS = {"mlp": MLP, "ddpmpp": DDPMpp, "adm": ADM, "edm": EDM, "classifier": Classifier}


def build(config: dict, s_input: bool = False) -> nn.Module:
    """A network from a recipe's `net` block {"kind": ..., arguments}; ValueError says what is wrong with it.

    s_input adds the zero-initialised input for the target time s: to the network inside, if there is a `net`
    among the arguments.
    """
    if not isinstance(config, dict):
        raise ValueError(f"a network is described by a dict with its kind, not by {config!r}")
    arguments = dict(config)
    kind = arguments.pop("kind", None)
    if kind not in KINDS:
        raise ValueError(f"unknown network '{kind}'; there are {', '.join(KINDS)}")
    for name in SIZES & set(arguments):
        if not isinstance(arguments[name], int) or arguments[name] < 1:
            raise ValueError(f"network '{kind}': {name} is {arguments[name]!r}, a whole number of at least 1")
    if "net" in arguments:
        arguments["net"], s_input = build(arguments["net"], s_input), False
    try:
        return KINDS[kind](**arguments, **({"s_input": True} if s_input else {}))
    except TypeError as error:
        raise ValueError(f"network '{kind}': {error}") from None


def sample_shape(config: dict) -> tuple:
    """The shape of one sample of the network a `net` block describes; ValueError where it makes none."""
    inner = config.get("net", config)
    if inner["kind"] == "classifier":
        raise ValueError("this network is a classifier, which makes no samples; name a teacher or a student")
    if inner["kind"] == "mlp":
        return (inner.get("dim", 2),)
    size = inner.get("size", 64 if inner["kind"] == "adm" else 32)
    return (inner.get("channels", 3), size, size)


def check_exactly(
    shapes: Mapping[str, torch.Size],
    tensors: Mapping[str, torch.Tensor | torch.Size],
    source: str,
    optional: str | None = None,
) -> None:
    """Check that `tensors`, or their shapes, are exactly these; ValueError names those that are not.

    Tensors of a part called `optional` may be missing.
    """
    found = {name: getattr(value, "shape", value) for name, value in tensors.items()}
    missing = [name for name in shapes if name not in found and optional not in name.split(".")]
    wrong = [f"{name} is missing" for name in missing]
    wrong += [f"{name} is not part of the network" for name in found if name not in shapes]
    for name, shape in shapes.items():
        if name in found and found[name] != shape:
            wrong.append(f"{name} has shape {[*found[name]]} instead of {[*shape]}")
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ValueError(f"{source} does not fit the network: {'; '.join(wrong[:3])}{more}")


def load_exactly(
    net: nn.Module, tensors: dict[str, torch.Tensor], source: str, optional: str | None = None
) -> None:
    """Load tensors that check_exactly() accepts; on an error nothing is changed."""
    own = net.state_dict()
    check_exactly({name: value.shape for name, value in own.items()}, tensors, source, optional)
    for name, tensor in tensors.items():
        if tensor.is_floating_point() != own[name].is_floating_point():
            kinds = f"{tensor.dtype} instead of {own[name].dtype}"
            raise ValueError(f"{source} does not fit the network: {name} is {kinds}")
    net.load_state_dict(tensors, strict=False)


def warm_start(student: nn.Module, teacher: nn.Module) -> nn.Module:
    """Copy the teacher's weights into the student, which may have the s-input (`s_embed`) besides.

    Afterwards student(x, t, s) equals teacher(x, t) for every s, so the jump map is the teacher's Euler step.
    """
    load_exactly(student, teacher.state_dict(), "the teacher", optional="s_embed")
    return student
