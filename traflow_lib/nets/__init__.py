"""Networks. build() makes one from a recipe's `net` block; warm_start() gives a student its teacher's weights."""

import torch
from torch import nn

from .classifier import Classifier
from .ddpmpp import DDPMpp
from .mlp import MLP

KINDS = {"mlp": MLP, "ddpmpp": DDPMpp, "classifier": Classifier}


def build(config: dict, s_input: bool = False) -> nn.Module:
    """A network from {"kind": ..., arguments}; s_input=True adds the zero-initialised input for the target time s."""
    arguments = dict(config)
    kind = arguments.pop("kind", None)
    if kind not in KINDS:
        raise ValueError(f"unknown network '{kind}'; there are {', '.join(KINDS)}")
    try:
        return KINDS[kind](**arguments, **({"s_input": True} if s_input else {}))
    except TypeError as error:
        raise ValueError(f"network '{kind}': {error}") from None


def load_exactly(net: nn.Module, tensors: dict[str, torch.Tensor], source: str, optional: str | None = None) -> None:
    """Load tensors whose names and shapes are exactly the network's; ValueError names those that are not, and changes nothing.

    Tensors of the network whose names start with `optional` may be missing.
    """
    own = net.state_dict()
    wrong = [f"{name} is missing" for name in own if name not in tensors and not (optional and name.startswith(optional))]
    wrong += [f"{name} is not part of the network" for name in tensors if name not in own]
    wrong += [f"{n} has shape {[*tensors[n].shape]} instead of {[*own[n].shape]}" for n in own if n in tensors and tensors[n].shape != own[n].shape]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""
        raise ValueError(f"{source} does not fit the network: {'; '.join(wrong[:3])}{more}")
    net.load_state_dict(tensors, strict=False)


def warm_start(student: nn.Module, teacher: nn.Module) -> nn.Module:
    """Copy the teacher's weights into the student, whose only extra tensors may be the s-input (names starting with `s_`).

    Afterwards student(x, t, s) equals teacher(x, t) for every s, so the jump map is the teacher's Euler step.
    """
    load_exactly(student, teacher.state_dict(), "the teacher", optional="s_")
    return student
