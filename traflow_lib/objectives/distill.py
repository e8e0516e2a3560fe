"""One-step distillation: regress the teacher's output directly from its noise.

Knowledge distillation (Luhman & Luhman 2021), and the distillation stage of rectified flow and InstaFlow (Liu et al. 2023, 2024).
"""

from dataclasses import dataclass
from typing import ClassVar

from ..flow import per_sample
from .base import LossTerms, distance


@dataclass(frozen=True)
class Distill:
    """E D(G(x_1, 1, 0), xhat_0); only the one-call jump is trained."""

    distance: str = "l2"
    needs_path: ClassVar[bool] = False
    s_input: ClassVar[bool] = True

    def __call__(self, student, target, teacher, batch) -> LossTerms:
        times = per_sample(1.0, batch.x1), per_sample(0.0, batch.x1)
        loss = distance(self.distance, student(batch.x1, *times), batch.x0)
        return LossTerms(loss, {"output": loss.item()})
