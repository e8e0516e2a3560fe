"""Easy consistency tuning: consistency training from a teacher's weights, its steps halved in stages.

Geng et al. 2024 (arXiv 2406.14548), ECMLoss of the release with its CIFAR-10 defaults. No call of the
teacher, no average: f(x, t) = G(x, t, 0) is drawn to itself at an earlier point of the same noised sample.
Departs: steps and weights are those of t in [0, 1], where the paper has sigma in (0, 80], but the factor 1 +
k sigmoid(-b sigma) is that of sigma = t / (1 - t); the pseudo-Huber constant is .03 of the root mean square,
where the release has 0; no dropout.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from .base import LossTerms, OnStates, distance
from .registry import register


@register("ect")
@dataclass(frozen=True)
class EasyConsistency(OnStates):
    """D(f(x_t, t), sg f(x_r, r)) / (t - r), with r = t (1 - (1 + k sigmoid(-b sigma)) / q^(n + 1)) or 0.

    n counts the stages, which are of equal length. mean, deviation: of ln sigma at t, normally distributed.
    """

    s_input: ClassVar[bool] = False
    sampler: ClassVar[str] = "renoised"  # the network knows no s, so it cannot stop half-way
    q: float = 2.0
    stages: int = 8
    k: float = 8.0
    b: float = 1.0
    mean: float = -1.1
    deviation: float = 2.0
    distance: str = "pseudo_huber"
    target_average: float = 0.0

    def __post_init__(self):
        super().__post_init__()
        if self.q <= 1 or self.stages < 1 or self.b <= 0:
            raise ValueError("EasyConsistency: q must be above 1, b above 0 and stages at least 1")

    def earlier(self, t: Tensor, progress: float) -> Tensor:
        """r [B] for t [B] when this share of the training is done."""
        stage = min(int(progress * self.stages), self.stages - 1)
        factor = 1 + self.k * torch.sigmoid(-self.b * t / (1 - t))
        return t * (1 - factor / self.q ** (stage + 1)).clamp(min=0)

    def __call__(self, student, target, teacher, batch) -> LossTerms:
        line, t = self.on_noise_levels(batch, self.mean, self.deviation)
        r = self.earlier(t, batch.progress)
        if line.intervals:  # r is moved down to a stored state, always below t
            r = ((r * line.intervals).ceil() - 1).clamp(min=0) / line.intervals
        with torch.no_grad():
            goal = target(line.at(r), r, 0 * r)
        loss = distance(self.distance, student(line.at(t), t, 0 * t), goal, weight=1 / (t - r))
        return LossTerms.single("consistency", loss)
