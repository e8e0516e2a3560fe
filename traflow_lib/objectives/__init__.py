"""Distillation objectives. All share one signature: objective(student, target, teacher, batch) -> LossTerms.

student: JumpMap being trained; target: JumpMap with its moving-average weights; teacher: velocity field;
batch: batch.Batch. A method of your own is a class in a file of your own, under @register("mine").
"""

from . import (  # noqa: F401 - register
    alphaflow,
    consistency,
    ctm,
    distill,
    ect,
    flow_map,
    meanflow,
    progressive,
    reflow,
    scm,
    shortcut,
    splitmeanflow,
)
from .base import LossTerms, Objective
from .registry import build, described, get, names, register, sampler
from .traflow import TraFlow

__all__ = ["LossTerms", "Objective", "TraFlow", "build", "described", "get", "names", "register", "sampler"]
