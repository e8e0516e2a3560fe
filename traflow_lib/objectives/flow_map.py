"""Flow-map distillation: the jump map solves a differential equation in its target time, or in its start.

Boffi et al. 2024 (arXiv 2406.07507): Lagrangian (LMD) and Eulerian (EMD) map distillation, with unit weight
and its two sorted uniforms as times. Both need one forward-mode derivative. Departs: no learned weight over
(s, t); jumps go towards the data alone; LMD's gradient stops at the teacher's velocity, which would need the
teacher's derivative.
"""

from dataclasses import dataclass

import torch

from ..flow import expand
from .base import LossTerms, OnStates, slope_distance
from .registry import register


@register("lmd")
@dataclass(frozen=True)
class LagrangianMap(OnStates):
    """D(dG(x_t, t, s)/ds, v(G(x_t, t, s), s)).

    Moving the target time moves the landing point along the teacher's velocity there, which is a constant for
    the gradient. times: see batch.sample_times.
    """

    times: str = "two"

    def __call__(self, student, target, teacher, batch) -> LossTerms:
        line, s, _, t = self.on_jumps(batch, self.times)
        landed, slope = student.with_derivative(line.at(t), t, s)
        with torch.no_grad():
            velocity = teacher(landed, s)
        return LossTerms.single("lagrangian", slope_distance(self.distance, slope, velocity))


@register("emd")
@dataclass(frozen=True)
class EulerianMap(OnStates):
    """D(F, v - (t - s) dF/dt).

    Starting a little later on the same trajectory must not move the landing point: dG/dt = 0 along the
    teacher's velocity v(x_t, t), written for the average velocity F = F(x_t, t, s), with dF/dt the total
    derivative. The gradient passes through the derivative too; MeanFlow stops it there.
    """

    times: str = "two"

    def __call__(self, student, target, teacher, batch) -> LossTerms:
        line, s, _, t = self.on_jumps(batch, self.times)
        x_t = line.at(t)
        with torch.no_grad():
            velocity = teacher(x_t, t)
        average, change = student.along(x_t, t, s, velocity)
        goal = velocity - expand(t - s, x_t) * change
        return LossTerms.single("eulerian", slope_distance(self.distance, average, goal))
