"""Consistency models: neighbouring states of one trajectory must be sent to the same end.

Song et al. 2023 (arXiv 2303.01469). f(x, t) = G(x, t, 0) is all that is learned; f(x, 0) = x holds by
construction. Follows Algorithms 2 (cd) and 3 (ct) with weight 1. Defaults are the paper's for CIFAR-10 (Table
3, and consistency_models_cifar10), but cd's target average .95, which is its ImageNet-64 setting: CIFAR-10's
0, a plain stop-gradient, is unstable here in short trainings. Departs: squared error where the paper has
LPIPS; an even grid of t in [0, 1] instead of rho = 7 in sigma from .002 to 80; ct's N^2 grows to last^2
instead of (last + 1)^2, and mu(N) is warmed up as every average of this kit is, which binds in short
trainings.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from ..randomness import to_like
from .base import LossTerms, OnStates, distance, earlier_state
from .registry import register


@register("cd")
@register("ct", solver="none", first=2, last=150, target_average=0.9)
@dataclass(frozen=True)
class Consistency(OnStates):
    """D(f(x_t, t), sg f_target(x_u, u)) for neighbours u < t of an even grid of N intervals.

    solver: takes one step of the teacher from x_t to x_u (consistency distillation), or "none": x_u is the
    point of the same random chord of real data and noise (consistency training, without a teacher). first,
    last: N at the start and the end of training; between them N^2 grows linearly, as in the paper's schedule.
    18 is what CD uses on CIFAR-10; consistency training goes from 2 to 150 there. target_average: decay of
    the target at N = first; at N it is its power first / N, the paper's mu(N).
    """

    s_input: ClassVar[bool] = False
    sampler: ClassVar[str] = "renoised"  # the network knows no s, so it cannot stop half-way
    solver: str = "heun"
    first: int = 18
    last: int = 18
    target_average: float = 0.95

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

    def target_decay(self, progress: float) -> float:
        """mu(N) = mu_0^(N_0 / N)."""
        return self.target_average ** (self.first / self.intervals(progress))

    def __call__(self, student, target, teacher, batch) -> LossTerms:
        line, draws, b = self.line(batch), batch.draws, len(batch.x1)
        n = line.intervals or self.intervals(batch.progress)  # a stored path is its own grid
        index = draws.integers(1, n + 1, b)
        index = to_like(torch.where(draws.uniform(b) < self.ends, n, index), batch.x1)
        t, u, zero = index / n, (index - 1) / n, 0 * index
        with torch.no_grad():
            x_u = line.at(u) if self.solver == "none" else earlier_state(line, teacher, t, u, self.solver, n)
            goal = target(x_u, u, zero)
        return LossTerms.single("consistency", distance(self.distance, student(line.at(t), t, zero), goal))
