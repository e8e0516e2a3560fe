"""Progressive distillation: a student does in one step what its predecessor does in two, again and again.

Salimans & Ho 2022 (arXiv 2202.00512). One objective is one round; a recipe lists the rounds as stages (8, 4,
2, 1 steps ...), each starting from the network of the round before, and a round's network is what samples at
that round's number of calls.

Follows Algorithm 2 with times i / N. Departs: both steps are Euler's on the velocity instead of DDIM's, and
the error is the square of the average velocity's instead of the truncated-SNR weight of x_0's.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch

from ..flow import expand
from ..randomness import to_like
from .base import LossTerms, OnStates, slope_distance, solve_between
from .registry import register


@register("progressive")
@dataclass(frozen=True)
class Progressive(OnStates):
    """D(v(x_t, t), (x_t - x_s) N).

    One of N even steps from t to s = t - 1/N equals two half steps of the previous round's network. steps: N.
    solver: of the half steps; "euler" is what the previous round samples with, "heun" suits a first round on
    the teacher.
    """

    s_input: ClassVar[bool] = False
    from_previous: ClassVar[bool] = True
    steps: int = 1
    solver: str = "euler"

    def __call__(self, student, target, teacher, batch) -> LossTerms:
        line = self.line(batch)
        if line.intervals and line.intervals % self.steps:
            raise ValueError(
                f"Progressive: {self.steps} steps do not fit stored paths of {line.intervals} intervals"
            )
        b = len(batch.x1)
        t = batch.draws.integers(1, self.steps + 1, b) / self.steps
        t = to_like(torch.where(batch.draws.uniform(b) < self.ends, 1.0, t), batch.x1)
        s, x_t = t - 1 / self.steps, line.at(t)
        x_s = solve_between(teacher, x_t, t, s, self.solver, 2)
        change = (x_t - x_s) / expand(t - s, x_t)
        velocity = student.average_velocity(x_t, t, t)
        return LossTerms.single("velocity", slope_distance(self.distance, velocity, change))
