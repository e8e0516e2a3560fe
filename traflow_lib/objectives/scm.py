"""sCM: a consistency model in continuous time, with a normalised and warmed-up tangent.

Lu & Song 2025 (arXiv 2410.11081), consistency distillation (sCD, Algorithm 1) with the proposal of times of
its CIFAR-10 runs, written for the straight path: with F the average velocity to 0, f = x - t F and
df/dt = v - F - t dF/dt along the teacher's velocity v. Departs: the paper's path is TrigFlow's, where the
tangent also has a factor that vanishes at the noise, (1 - t) ((1 - t)^2 + t^2) in our time, left out since
sampling starts at t = 1; no learned weight over t; the warm-up is a share of the training, of the paper's
10,000 steps of 400,000.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch

from ..flow import expand
from .base import DISTANCES, LossTerms, OnStates, risen, slope_distance
from .registry import register


@register("scm")
@dataclass(frozen=True)
class ContinuousConsistency(OnStates):
    """D(F(x_t, t), sg(F + g / (|g| + constant))) with g = v - F - ramp t dF/dt.

    |g| is the norm over all dimensions; distance: "normalised" is this with the mean square, the paper's; any
    other is D(F, sg(F + g)). tangent_warmup: share of the training over which ramp rises from 0 to 1. mean,
    deviation: of ln(t / (1 - t)), normally distributed.
    """

    s_input: ClassVar[bool] = False
    sampler: ClassVar[str] = "renoised"  # the network knows no s, so it cannot stop half-way
    choices: ClassVar[dict] = {"distance": ("normalised", *DISTANCES)}
    mean: float = -1.0
    deviation: float = 1.4
    distance: str = "normalised"
    constant: float = 0.1
    tangent_warmup: float = 0.025

    def __call__(self, student, target, teacher, batch) -> LossTerms:
        line, t = self.on_noise_levels(batch, self.mean, self.deviation)
        x_t, ramp = line.at(t), risen(batch.progress, self.tangent_warmup)
        with torch.no_grad():
            velocity = teacher(x_t, t)
            average, change = student.along(x_t, t, 0 * t, velocity)
            tangent = velocity - average - ramp * expand(t, x_t) * change
            if self.distance == "normalised":
                norm = tangent.flatten(1).norm(dim=1)
                tangent = tangent / expand(norm + self.constant, x_t)
        name = "l2" if self.distance == "normalised" else self.distance
        loss = slope_distance(name, student.average_velocity(x_t, t, 0 * t), average + tangent)
        return LossTerms.single("tangent", loss)
