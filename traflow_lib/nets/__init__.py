"""Networks, and the ways in which a student gets its teacher's weights."""

import torch
from torch import nn

from .adm import ADM
from .cnn import Classifier
from .compact import truncate as truncate
from .ddpmpp import DDPMpp
from .edm import EDM
from .mlp import MLP
from .target_time import with_target_time as with_target_time

KINDS = {"mlp": MLP, "ddpmpp": DDPMpp, "adm": ADM, "edm": EDM, "classifier": Classifier}


def build(config: dict, s_input: bool = False) -> nn.Module:
    """A network from a recipe's `net` block {"kind": ..., arguments}; ValueError says what is wrong with it.

    s_input adds the zero-initialised input for the target time s: to the network inside, if there is a `net`
    among the arguments.
    """
    arguments = dict(config)
    kind = arguments.pop("kind", None)
    if kind not in KINDS:
        raise ValueError(f"unknown network '{kind}'; there are {', '.join(KINDS)}")
    if "net" in arguments:
        arguments["net"], s_input = build(arguments["net"], s_input), False
    try:
        return KINDS[kind](**arguments, **({"s_input": True} if s_input else {}))
    except TypeError as error:
        raise ValueError(f"network '{kind}': {error}") from None


def sample_shape(config: dict) -> tuple:
    """The shape of one sample of the network a `net` block describes."""
    inner = config.get("net", config)
    if inner["kind"] == "mlp":
        return (inner.get("dim", 2),)
    size = inner.get("size", 64 if inner["kind"] == "adm" else 32)
    return (inner.get("channels", 3), size, size)


def check_exactly(
    shapes: dict[str, torch.Size], tensors: dict[str, torch.Tensor], source: str, optional: str | None = None
) -> None:
    """Check that `tensors` have exactly these names and shapes; ValueError names those that have not.

    Tensors of a part called `optional` may be missing.
    """
    missing = [name for name in shapes if name not in tensors and optional not in name.split(".")]
    wrong = [f"{name} is missing" for name in missing]
    wrong += [f"{name} is not part of the network" for name in tensors if name not in shapes]
    for name, shape in shapes.items():
        if name in tensors and tensors[name].shape != shape:
            wrong.append(f"{name} has shape {[*tensors[name].shape]} instead of {[*shape]}")
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ValueError(f"{source} does not fit the network: {'; '.join(wrong[:3])}{more}")


def load_exactly(
    net: nn.Module, tensors: dict[str, torch.Tensor], source: str, optional: str | None = None
) -> None:
    """Load tensors that check_exactly() accepts; on an error nothing is changed."""
    check_exactly({name: value.shape for name, value in net.state_dict().items()}, tensors, source, optional)
    net.load_state_dict(tensors, strict=False)


def warm_start(student: nn.Module, teacher: nn.Module) -> nn.Module:
    """Copy the teacher's weights into the student, which may have the s-input (`s_embed`) besides.

    Afterwards student(x, t, s) equals teacher(x, t) for every s, so the jump map is the teacher's Euler step.
    """
    load_exactly(student, teacher.state_dict(), "the teacher", optional="s_embed")
    return student
