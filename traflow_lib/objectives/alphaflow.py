"""alpha-Flow: from the trajectory's velocity to MeanFlow by a step that shrinks during training.

Zhang et al. 2025 (arXiv 2510.20771), Algorithm 1 and the release's sigmoid schedule; the teacher's velocity
stands where the paper has a sample's. Defaults are the release's for B/2 without guidance. Departs: squares
are summed over the dimensions as MeanFlow's are, not averaged, so the constant of the adaptive weight is
smaller by their number; targets are not clipped; no guidance; the network is given s, not t - s.
"""

import math
from dataclasses import dataclass

import torch

from ..flow import expand
from .meanflow import MeanFlow
from .registry import register


@register("alphaflow")
@dataclass(frozen=True)
class AlphaFlow(MeanFlow):
    """D(F(x_t, t, s), sg(a v + (1 - a) F(x_u, u, s))) with u = t - a (t - s) and x_u = x_t - (t - u) v.

    a falls from 1 (the velocity itself) to 0, where the goal is MeanFlow's with its derivative; jumps are
    weighted by a while it is above 0.

    begin, end: shares of the training between which a falls, along a sigmoid of this sharpness; within
    `clamp` of 0 or 1 it is 0 or 1. All other options are MeanFlow's.
    """

    share: float = 0.5
    times: str = "logit_normal"
    power: float = 1.0
    begin: float = 0.0
    end: float = 1.0
    sharpness: float = 25.0
    clamp: float = 0.005

    def __post_init__(self):
        super().__post_init__()
        if not 0 <= self.begin < self.end <= 1:
            raise ValueError(
                f"AlphaFlow: 0 <= begin < end <= 1 must hold; they are {self.begin} and {self.end}"
            )

    def alpha(self, progress: float) -> float:
        """a when this share of the training is done."""
        middle, width = (self.begin + self.end) / 2, self.end - self.begin
        a = 1 / (1 + math.exp(self.sharpness * (progress - middle) / width))
        return 0.0 if a < self.clamp else 1.0 if a > 1 - self.clamp else a

    def goal(self, student, x_t, t, s, velocity, progress):
        """What F(x_t, t, s) is drawn to, and the weight of each sample [B] or of all."""
        a = self.alpha(progress)
        if a == 0:
            return super().goal(student, x_t, t, s, velocity, progress)
        if a == 1:
            return velocity, 1.0
        step = a * (t - s)
        later = student.average_velocity(x_t - expand(step, x_t) * velocity, t - step, s)
        jumps = s < t  # jumps of no length learn the velocity
        goal = torch.where(expand(jumps, x_t) > 0, a * velocity + (1 - a) * later, velocity)
        return goal, torch.where(jumps, a, 1.0).to(x_t)
