"""One-step distillation: regress the teacher's output directly from its noise.

Knowledge distillation (Luhman & Luhman 2021, arXiv 2101.02388), and the distillation stage of rectified flow
and InstaFlow (Liu et al. 2023, arXiv 2309.06380). Departs: squared error by default, where InstaFlow has
LPIPS.
"""

from dataclasses import dataclass

from ..flow import per_sample
from .base import LossTerms, Objective, distance
from .registry import register


@register("distill")
@dataclass(frozen=True)
class Distill(Objective):
    """E D(G(x_1, 1, 0), xhat_0); only the one-call jump is trained."""

    distance: str = "l2"

    def __call__(self, student, target, teacher, batch) -> LossTerms:
        times = per_sample(1.0, batch.x1), per_sample(0.0, batch.x1)
        return LossTerms.single("output", distance(self.distance, student(batch.x1, *times), batch.x0))
