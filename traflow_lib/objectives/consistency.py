"""Consistency models: neighbouring states of one trajectory must be sent to the same end.

Song et al. 2023 (arXiv 2303.01469). f(x, t) = G(x, t, 0) is all that is learned; f(x, 0) = x holds by
construction.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from .base import LossTerms, Objective, distance, earlier_state, line_of
from .registry import register


@register("cd")
@register("ct", solver="none", first=2, last=150)
@dataclass(frozen=True)
class Consistency(Objective):
    """D(f(x_t, t), sg f_ema(x_u, u)) for neighbours u < t of an even grid of N intervals.

    solver: takes one step of the teacher from x_t to x_u (consistency distillation), or "none": x_u is the
    point of the same random chord of real data and noise (consistency training, without a teacher). first,
    last: N at the start and the end of training; between them N^2 grows linearly, as in the paper's schedule.
    18 is what CD uses on CIFAR-10; consistency training goes from 2 to 150 there.
    """

    s_input: ClassVar[bool] = False
    samplers: ClassVar[tuple] = ("jumps", "renoised")
    solver: str = "heun"
    first: int = 18
    last: int = 18
    states: str = "data"
    distance: str = "l2"

    def __post_init__(self):
        super().__post_init__()
        if min(self.first, self.last) < 1:
            raise ValueError("Consistency: first and last count intervals; they must be at least 1")
        if self.solver == "none" and self.states != "data":
            raise ValueError(
                'Consistency: solver="none" is training without a teacher, which needs states="data"'
            )

    def intervals(self, progress: float) -> int:
        """N when this share of the training is done."""
        return math.ceil(math.sqrt(self.first**2 + progress * (self.last**2 - self.first**2)))

    def __call__(self, student, target, teacher, batch) -> LossTerms:
        line = line_of(batch, self.states)
        n = line.intervals or self.intervals(batch.progress)  # a stored path is its own grid
        index = batch.draws.integers(1, n + 1, len(batch.x1)).to(batch.x1)
        t, u, zero = index / n, (index - 1) / n, 0 * index
        with torch.no_grad():
            x_u = line.at(u) if self.solver == "none" else earlier_state(line, teacher, t, u, self.solver, 1)
            goal = target(x_u, u, zero)
        return LossTerms.single("consistency", distance(self.distance, student(line.at(t), t, zero), goal))
