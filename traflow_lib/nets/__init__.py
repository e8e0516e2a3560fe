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
    return KINDS[kind](**arguments, **({"s_input": True} if s_input else {}))


@torch.no_grad()
def warm_start(student: nn.Module, teacher: nn.Module) -> nn.Module:
    """Copy the teacher's weights into the student, whose only extra tensors may be the s-input (names starting with `s_`).

    Afterwards student(x, t, s) equals teacher(x, t) for every s, so the jump map is the teacher's Euler step.
    """
    missing, unexpected = student.load_state_dict(teacher.state_dict(), strict=False)
    lost = [name for name in missing if not name.startswith("s_")]
    if lost or unexpected:
        raise ValueError(f"teacher and student differ in more than the s-input: missing {lost[:3]}, unexpected {list(unexpected)[:3]}")
    return student
