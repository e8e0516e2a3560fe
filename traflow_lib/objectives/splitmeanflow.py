"""SplitMeanFlow: an average velocity is the weighted mean of those over the two parts of its interval.

Guo et al. 2025 (arXiv 2507.16884), Algorithm 1 (interval splitting consistency), which needs no derivative;
the teacher's velocity is the boundary, as in the paper's distillation. Departs: the paper says 25 to 50 % for
the share of the boundary, here a half; the network is given s, not t - s; no guidance.
"""

from dataclasses import dataclass

import torch

from ..flow import expand
from ..randomness import to_like
from .base import LossTerms, OnStates, slope_distance
from .registry import register


@register("splitmeanflow")
@dataclass(frozen=True)
class SplitMeanFlow(OnStates):
    """(t - s) F(x_t, t, s) = (t - u) F(x_t, t, u) + (u - s) F(x_u, u, s), with x_u = G(x_t, t, u).

    The right side is the target's; F(x_t, t, t) learns the teacher's velocity.

    share: of the batch with s < t, the rest has s = t. target_average: 0, the paper's, is the student itself.
    times: see batch.sample_times.
    """

    share: float = 0.5
    times: str = "nested"
    target_average: float = 0.0

    def __call__(self, student, target, teacher, batch) -> LossTerms:
        line, s, u, t = self.on_jumps(batch, self.times)
        jumps = to_like(batch.draws.uniform(len(t)), t) < self.share
        s, u, x_t = torch.where(jumps, s, t), torch.where(jumps, u, t), line.at(t)
        with torch.no_grad():
            first = target.average_velocity(x_t, t, u)
            second = target.average_velocity(x_t - expand(t - u, x_t) * first, u, s)
            part = expand((t - u) / torch.where(jumps, t - s, 1.0), x_t)
            goal = torch.where(expand(jumps, x_t) > 0, part * first + (1 - part) * second, teacher(x_t, t))
        average = student.average_velocity(x_t, t, s)
        return LossTerms.single("split", slope_distance(self.distance, average, goal))
