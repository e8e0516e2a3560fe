"""Distillation objectives. All share one signature: objective(student, target, teacher, batch) -> LossTerms.

student: JumpMap being trained; target: JumpMap with its moving-average weights; teacher: velocity field;
batch: batch.Batch. A method of your own is a class in a file of your own, under @register("mine").
"""

from . import consistency, ctm, distill, flow_map, meanflow, progressive, reflow, shortcut  # noqa: F401 - register
from .base import LossTerms, Objective
from .registry import build, described, get, names, register, sampler
from .traflow import TraFlow

__all__ = ["LossTerms", "Objective", "TraFlow", "build", "described", "get", "names", "register", "sampler"]
