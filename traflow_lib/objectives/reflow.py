"""Reflow: fit a new rectified flow to the teacher's own pairs, whose chords cross far less than random ones.

Liu et al. 2023 (arXiv 2209.03003). The student is a velocity field, blind to s, so that its jumps are Euler steps.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch

from ..flow import chord
from .base import LossTerms, distance


@dataclass(frozen=True)
class Reflow:
    """E D(v(z_t, t), x_1 - xhat_0) on the chord z_t of a pair. ends: share of the batch at t = 1, where sampling starts."""

    ends: float = 0.0
    distance: str = "l2"
    needs_path: ClassVar[bool] = False
    s_input: ClassVar[bool] = False

    def __call__(self, student, target, teacher, batch) -> LossTerms:
        t = torch.rand(len(batch.x1))
        t = torch.where(torch.rand(len(t)) < self.ends, 1.0, t).to(batch.x1)
        velocity = student.average_velocity(chord(batch.x0, batch.x1, t), t, t)
        loss = distance(self.distance, velocity, batch.x1 - batch.x0)
        return LossTerms(loss, {"velocity": loss.item()})
