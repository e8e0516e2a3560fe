"""Distillation objectives. All share one signature: objective(student, target, teacher, batch) -> LossTerms.

student: JumpMap being trained; target: JumpMap with its moving-average weights; teacher: velocity field;
batch: pairs.Batch.
"""

from functools import partial

from .base import LossTerms, Objective
from .consistency import Consistency, consistency_training
from .ctm import CTM
from .distill import Distill
from .flow_map import EulerianMap, LagrangianMap
from .meanflow import MeanFlow
from .progressive import Progressive
from .reflow import FlowGuided, Reflow
from .shortcut import Shortcut
from .traflow import PRESETS, TraFlow

_FACTORIES = {
    "distill": Distill,
    "reflow": Reflow,
    "reflow_pp": partial(Reflow, times="u_shaped", distance="pseudo_huber"),
    "flow_guided": FlowGuided,
    "progressive": Progressive,
    "cd": Consistency,
    "ct": consistency_training,
    "ctm": CTM,
    "shortcut": Shortcut,
    "lmd": LagrangianMap,
    "emd": EulerianMap,
    "meanflow": MeanFlow,
    **PRESETS,
}
_CLASSES = {
    kind.__name__: kind
    for kind in (
        Distill,
        Reflow,
        FlowGuided,
        Progressive,
        Consistency,
        CTM,
        Shortcut,
        LagrangianMap,
        EulerianMap,
        MeanFlow,
        TraFlow,
    )
}


def names() -> list[str]:
    """Every objective that get() knows."""
    return sorted(_FACTORIES)


def get(name: str, **options) -> Objective:
    """The objective called `name`, with some of its options replaced; ValueError lists what exists."""
    if name not in _FACTORIES:
        raise ValueError(f"unknown objective '{name}'; there are {', '.join(names())}")
    try:
        return _FACTORIES[name](**options)
    except TypeError as error:
        raise ValueError(f"objective '{name}': {error}") from None


def described(objective: Objective) -> dict:
    """An objective as its class and all its options, which build() makes it of."""
    return {"kind": type(objective).__name__} | vars(objective)


def build(settings: dict) -> Objective:
    """The objective that described() wrote down."""
    options = dict(settings)
    return _CLASSES[options.pop("kind")](**options)


__all__ = ["LossTerms", "Objective", "TraFlow", "build", "described", "get", "names"]
