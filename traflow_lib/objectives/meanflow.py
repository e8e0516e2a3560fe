"""MeanFlow: the average velocity regresses its own identity.

Geng et al. 2025 (arXiv 2505.13447), Algorithm 1 with its adaptive weight; the teacher's velocity stands where
the paper has a sample's. Defaults are the paper's for CIFAR-10, in its appendix and in the PyTorch release;
those for ImageNet are share .25, times "logit_normal" and power 1. Departs: the network is given s, not t -
s; no guidance.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch

from ..flow import expand
from ..randomness import to_like
from .base import DISTANCES, LossTerms, OnStates, risen, slope_distance
from .registry import register


@register("meanflow")
@dataclass(frozen=True)
class MeanFlow(OnStates):
    """D(F(x_t, t, s), sg(v - (t - s) dF/dt)).

    dF/dt is the total derivative along the teacher's velocity v = v(x_t, t). share: of the batch with s < t;
    the rest has s = t and learns the velocity itself, which a student that starts as its teacher knows.
    distance: "adaptive" is the paper's, the squared norm of the difference over all dimensions, divided by
    sg(itself + constant)^power. tangent_warmup: share of the training over which the derivative's factor
    rises from 0 to 1 (0 in the paper; sCM's, Lu & Song 2025, arXiv 2410.11081, is 10,000 steps). times: see
    batch.sample_times.
    """

    choices: ClassVar[dict] = {"distance": ("adaptive", *DISTANCES)}
    share: float = 0.75
    times: str = "logit_normal_wide"
    distance: str = "adaptive"
    power: float = 0.75
    constant: float = 1e-3
    tangent_warmup: float = 0.0

    def goal(self, student, x_t, t, s, velocity, progress):
        """What F(x_t, t, s) is drawn to, and the weight of each sample [B] or of all."""
        ramp = risen(progress, self.tangent_warmup)
        return velocity - ramp * expand(t - s, x_t) * student.along(x_t, t, s, velocity)[1], 1.0

    def __call__(self, student, target, teacher, batch) -> LossTerms:
        line, s, _, t = self.on_jumps(batch, self.times)
        s = torch.where(to_like(batch.draws.uniform(len(t)), t) < self.share, s, t)
        x_t = line.at(t)
        with torch.no_grad():
            goal, weight = self.goal(student, x_t, t, s, teacher(x_t, t), batch.progress)
        average = student.average_velocity(x_t, t, s)
        if self.distance != "adaptive":
            loss = slope_distance(self.distance, average, goal, weight)
        else:
            square = (average - goal).flatten(1).square().sum(dim=1)
            loss = (weight * (square / (square.detach() + self.constant) ** self.power)).mean()
        return LossTerms.single("meanflow", loss)
