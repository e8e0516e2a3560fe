"""MeanFlow: the average velocity regresses its own identity.

The teacher's velocity stands where the paper has a sample's.

Geng et al. 2025 (arXiv 2505.13447).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch

from ..flow import expand
from .base import LossTerms, Objective, distance, on_states, velocity_distance
from .registry import register


def logit_normal(n: int, generator: torch.Generator) -> torch.Tensor:
    """[3, n] sigmoids of normals with mean -0.4 and deviation 1, the paper's times."""
    return torch.sigmoid(torch.randn(3, n, generator=generator) - 0.4)


@register("meanflow")
@dataclass(frozen=True)
class MeanFlow(Objective):
    """D(F(x_t, t, s), sg(v - (t - s) dF/dt)).

    dF/dt is the total derivative along the teacher's velocity v = v(x_t, t).

    share: of the batch with s < t; the rest has s = t and learns the velocity itself (1/4 in the paper).
    times: "logit_normal", the sigmoid of normals with mean -0.4 and deviation 1 as in the paper, or
    "uniform". distance: "cauchy" has the gradient of the paper's adaptively weighted square.
    """

    choices: ClassVar[dict] = {"times": ("logit_normal", "uniform")}
    share: float = 0.25
    times: str = "logit_normal"
    states: str = "data"
    ends: float = 0.0
    distance: str = "cauchy"

    def __call__(self, student, target, teacher, batch) -> LossTerms:
        draw = logit_normal if self.times == "logit_normal" else None
        line, s, _, t = on_states(batch, self.states, self.ends, draw)
        s = torch.where(batch.draws.uniform(len(t)).to(t) < self.share, s, t)
        x_t = line.at(t)
        with torch.no_grad():
            velocity = teacher(x_t, t)
            goal = velocity - expand(t - s, x_t) * student.along(x_t, t, s, velocity)[1]
        return LossTerms.single(
            "meanflow", distance(velocity_distance(self.distance), student.average_velocity(x_t, t, s), goal)
        )
