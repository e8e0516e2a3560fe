"""Distillation objectives. All share one signature: objective(student, target, teacher, batch) -> LossTerms.

student: JumpMap being trained; target: JumpMap with its moving-average weights; teacher: velocity field; batch: pairs.Batch.
"""

from .base import LossTerms, Objective
from .distill import Distill
from .reflow import Reflow
from .traflow import PRESETS, TraFlow

_FACTORIES = {"distill": Distill, "reflow": Reflow} | {name: preset for name, preset in PRESETS.items()}


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


__all__ = ["LossTerms", "Objective", "TraFlow", "get", "names"]
