"""Reflow: fit a new rectified flow to the teacher's own pairs, whose chords cross far less than random ones.

Liu et al. 2023 (arXiv 2209.03003); 2-RF++ (Lee et al. 2024, arXiv 2405.20320); SlimFlow (Zhu et al. 2024,
arXiv 2407.12718). The students are velocity fields, blind to s, so that their jumps are Euler steps.

reflow follows Eq. 1 of the first. reflow_pp follows the second's density of t and pseudo-Huber; departs: its
constant c is .03 instead of growing with the dimension, without the factors 1 - t or 1 / t, and no LPIPS.
slimflow, a recipe of two stages, follows the third's annealing reflow and flow-guided distillation and its
release; departs: it starts from the teacher's weights, as all methods do here, where the paper starts a
smaller network at random.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..flow import chord, expand
from ..randomness import Draws, to_like
from .base import LossTerms, Objective, distance, slope_distance
from .registry import register


@register("reflow")
@register("reflow_pp", times="u_shaped", distance="pseudo_huber")
@dataclass(frozen=True)
class Reflow(Objective):
    """E D(v(z_t, t), x_1 - xhat_0) on the chord z_t of a pair.

    ends: share of the batch at t = 1, where sampling starts. times: "uniform", or "u_shaped", 2-RF++'s
    density of t proportional to e^(a t) + e^(a (1 - t)) with a = steepness (4 in the paper, together with
    pseudo-Huber). anneal: SlimFlow's annealing reflow. Over this share of the training x_1 is replaced by
    sqrt(1 - b^2) x_1 + b e with fresh noise e and b falling from 1 to 0: from random pairs, which a network
    can start on, to the teacher's.
    """

    s_input: ClassVar[bool] = False
    choices: ClassVar[dict] = {"times": ("uniform", "u_shaped")}
    ends: float = 0.0
    distance: str = "l2"
    times: str = "uniform"
    steepness: float = 4.0
    anneal: float = 0.0

    def __call__(self, student, target, teacher, batch) -> LossTerms:
        x1 = batch.x1
        if batch.progress < self.anneal:
            b = 1 - batch.progress / self.anneal
            x1 = math.sqrt(1 - b**2) * x1 + b * batch.draws.normal_like(x1)
        t = to_like(self._times(len(x1), batch.draws), x1)
        velocity = student.average_velocity(chord(batch.x0, x1, t), t, t)
        return LossTerms.single("velocity", slope_distance(self.distance, velocity, x1 - batch.x0))

    def _times(self, n: int, draws: Draws) -> Tensor:
        t = draws.uniform(n)
        if self.times == "u_shaped":
            # inverse distribution function of e^(a t) on [0, 1], half of the times mirrored
            t = torch.log1p(t * math.expm1(self.steepness)) / self.steepness
            t = torch.where(draws.uniform(n) < 0.5, t, 1 - t)
        return torch.where(draws.uniform(n) < self.ends, 1.0, t)


@register("flow_guided")
@dataclass(frozen=True)
class FlowGuided(Objective):
    """SlimFlow's flow-guided distillation, a stage after reflow.

    D(G(x_1, 1, 0), xhat_0) + guidance D(G(y_1, 1, 0), y_0), where y_1 is fresh noise and y_0 what the
    previous stage's velocity makes of it in two Euler steps that meet at a random time in [.2, .8]: pairs
    without end. middle: whose first step it is, the previous stage's ("teacher", as in the paper) or the
    student's own ("student", as in the release, which saves a call).
    """

    s_input: ClassVar[bool] = False
    from_previous: ClassVar[bool] = True
    choices: ClassVar[dict] = {"middle": ("student", "teacher")}
    guidance: float = 1.0
    middle: str = "student"
    distance: str = "l2"

    def __call__(self, student, target, teacher, batch) -> LossTerms:
        fresh, one = batch.draws.normal_like(batch.x1), batch.x1.new_ones(len(batch.x1))
        landed = student(fresh, one, 0 * one)
        with torch.no_grad():
            t = to_like(0.2 + 0.6 * batch.draws.uniform(len(fresh)), fresh)
            first = fresh - landed if self.middle == "student" else teacher(fresh, one)
            middle = fresh + expand(t - 1, fresh) * first
            guide = middle - expand(t, fresh) * teacher(middle, t)
        output = distance(self.distance, student(batch.x1, one, 0 * one), batch.x0)
        guided = distance(self.distance, landed, guide)
        return LossTerms.weighted(
            {"output": output, "guided": guided}, {"output": 1.0, "guided": self.guidance}
        )
