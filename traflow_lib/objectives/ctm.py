"""Consistency trajectory models: jumps from two states of one trajectory must land together anywhere.

Kim et al. 2024 (arXiv 2310.02279), without its adversarial loss: its soft consistency loss, compared at time
0, and its denoising loss, balanced by their gradients at the last layer. TraFlow's v4 takes both from here.

Follows the paper's law of the times, its Heun solver on a grid of 18 and the release's target average.
Departs: no adversarial loss; squared error where the paper has LPIPS; an even grid and uniform times in t
instead of rho = 7 in sigma; denoising without EDM's weight and at the same times t instead of half-lognormal
sigma.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..batch import Batch
from ..flow import expand
from .base import LossTerms, OnStates, distance, earlier_state, gradient_norm_weights, stop_gradient
from .registry import register


def soft_consistency(
    name: str, student, target, x_t: Tensor, x_u: Tensor, t: Tensor, u: Tensor, s: Tensor
) -> Tensor:
    """D(G_sg(G(x_t, t, s), s, 0), G_sg(G_sg(x_u, u, s), s, 0)): both jumps compared at 0. name: of D."""
    decode, zero = stop_gradient(target), torch.zeros_like(s)
    with torch.no_grad():
        goal = target(target(x_u, u, s), s, zero)
    return distance(name, decode(student(x_t, t, s), s, zero), goal)


def denoising(name: str, student, batch: Batch, t: Tensor, gap: float | None = None) -> Tensor:
    """D(g(z_t, t, t), x_0) on noised real data z_t; with `gap` in units of velocity, over max(t, gap)."""
    noised = batch.with_noised_data()
    z_t = noised.at(t)
    g = z_t - expand(t, z_t) * student.average_velocity(z_t, t, t)
    return distance(name, g, noised.x0, 1.0 if gap is None else expand(t.clamp(min=gap), z_t))


@register("ctm")
@dataclass(frozen=True)
class CTM(OnStates):
    """Consistency loss + denoising loss (weights equal gradient norms at the last layer, times `denoising`).

    consistency: "soft", the earlier state x_u of the target anywhere in [s, t]; "local", one grid interval
    before t; "global", u = s. intervals: of the grid that the teacher's solver goes by from x_t to x_u, and
    that "local" uses. times: see batch.sample_times.
    """

    choices: ClassVar[dict] = {"consistency": ("soft", "local", "global")}
    consistency: str = "soft"
    denoising: float = 1.0
    solver: str = "heun"
    intervals: int = 18
    times: str = "nested"
    target_average: float = 0.999

    @property
    def needs_data(self) -> bool:
        return self.states == "data" or self.denoising > 0

    def __call__(self, student, target, teacher, batch) -> LossTerms:
        line, s, u, t = self.on_jumps(batch, self.times)
        if self.consistency == "local":
            u = torch.maximum(s, t - 1 / (line.intervals or self.intervals))
        elif self.consistency == "global":
            u = s
        x_u = earlier_state(line, teacher, t, u, self.solver, self.intervals)
        losses = {"consistency": soft_consistency(self.distance, student, target, line.at(t), x_u, t, u, s)}
        weights: dict = {"consistency": 1.0}
        if self.denoising:
            losses["denoising"] = denoising(self.distance, student, batch, t)
            weights = gradient_norm_weights(losses, "consistency", student.net.last_layer, None)
            weights["denoising"] *= self.denoising
        return LossTerms.weighted(losses, weights)
