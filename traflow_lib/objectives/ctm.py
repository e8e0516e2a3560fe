"""Consistency trajectory models.

Jumps from two states of one trajectory must land together, wherever they land.

Kim et al. 2024 (arXiv 2310.02279), without its adversarial loss: the soft consistency loss and the denoising
loss, balanced by their gradients. TraFlow's second version takes both from here.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..batch import Batch
from ..flow import expand
from .base import (
    LossTerms,
    Objective,
    distance,
    earlier_state,
    gradient_norm_weights,
    on_states,
    stop_gradient,
)
from .registry import register


def soft_consistency(
    name: str, student, target, x_t: Tensor, x_u: Tensor, t: Tensor, u: Tensor, s: Tensor
) -> Tensor:
    """D(G_sg(G(x_t, t, s), s, 0), G_sg(G_sg(x_u, u, s), s, 0)).

    Both jumps decoded to time 0 and compared there. name: of D.
    """
    decode, zero = stop_gradient(target), torch.zeros_like(s)
    with torch.no_grad():
        goal = target(target(x_u, u, s), s, zero)
    return distance(name, decode(student(x_t, t, s), s, zero), goal)


def denoising(name: str, student, batch: Batch, t: Tensor, gap: float | None = None) -> Tensor:
    """D(g(z_t, t, t), x_0) on noised real data z_t.

    With `gap` the difference is divided by max(t, gap), into units of velocity.
    """
    z_t = batch.with_noised_data().at(t)
    g = z_t - expand(t, z_t) * student.average_velocity(z_t, t, t)
    return distance(name, g, batch.data, 1.0 if gap is None else expand(t.clamp(min=gap), z_t))


@register("ctm")
@dataclass(frozen=True)
class CTM(Objective):
    """Consistency loss + denoising loss (weights equal gradient norms at the last layer, times `denoising`).

    consistency: "soft", the earlier state x_u of the target anywhere in [s, t]; "local", one grid interval
    before t; "global", u = s. steps: of the teacher's solver from x_t to x_u, which may be far apart (one
    step would be a biased target). intervals: of the grid that "local" uses (18 in the paper, with Heun).
    """

    choices: ClassVar[dict] = {"consistency": ("soft", "local", "global")}
    consistency: str = "soft"
    denoising: float = 1.0
    states: str = "data"
    solver: str = "heun"
    steps: int = 4
    intervals: int = 18
    ends: float = 0.0
    distance: str = "l2"

    @property
    def needs_data(self) -> bool:
        return self.states == "data" or self.denoising > 0

    def __call__(self, student, target, teacher, batch) -> LossTerms:
        line, s, u, t = on_states(batch, self.states, self.ends)
        u = {"soft": u, "local": torch.maximum(s, t - 1 / (line.intervals or self.intervals)), "global": s}[
            self.consistency
        ]
        x_u = earlier_state(line, teacher, t, u, self.solver, self.steps)
        losses = {"consistency": soft_consistency(self.distance, student, target, line.at(t), x_u, t, u, s)}
        weights = {"consistency": 1.0}
        if self.denoising:
            losses["denoising"] = denoising(self.distance, student, batch, t)
            weights = gradient_norm_weights(losses, "consistency", student.net.last_layer, None)
            weights["denoising"] *= self.denoising
        return LossTerms.weighted(losses, weights)
