"""TraFlow: reproduce the teacher's output, the change it makes, and be self-consistent along its trajectory.

Wu et al. 2025 (arXiv 2502.16972). Terms, each of which can be switched off, on states x_t of a teacher's pair
(x_1, xhat_0):

- output: D(G(x_t, t, 0), xhat_0) (v1, target 1)
- velocity: how x changes over [s, t]: the average F(x_t, t, s) (v1, target 2), or dG/ds (v4, Eq. 2)
- consistency: jumping from t and jumping from an earlier state u must agree (v1, target 3; v4, Eq. 4)
- denoising: D(g(z_t, t, t), x_0) on noised real data z_t, CTM's stabiliser, which v4 keeps

Erratum, implemented here with the right sign: v4 prints the velocity target as xhat_0 - x_1, but on the chord
dx_s/ds = x_1 - xhat_0.

traflow_v4 follows the text of v4 (there is no code): chord states, Eq. 2 with dG/ds, Eq. 4 by CTM's soft
consistency and Heun's steps on the grid of 18, CTM's denoising, clipped weights, target average .9999 (Table
8). What the text leaves open is chosen here: two sorted uniforms as times, D the square, pairs shared by the
terms. On states "path" the velocity term regresses dG/ds on the teacher's own velocity v(x_s, s), which is no
longer Eq. 2: velocity and consistency then have one solution, the exact jump map. traflow_v1 is what v1's
abstract says, all else this kit's choice; traflow and traflow_anchored are this kit's own.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from ..batch import LAWS, Batch, rows
from ..flow import expand
from ..jump import JumpMap
from .base import (
    LossTerms,
    OnStates,
    distance,
    earlier_state,
    gradient_norm_weights,
    slope_distance,
    solve_between,
)
from .ctm import denoising, soft_consistency
from .registry import register

WEIGHTINGS = {"fixed": None, "adaptive": None, "clipped": (0.01, 10.0)}


# Ours is one regression of jumps onto the teacher's states, partly from the student's own; anchored, the
# output term is a pass of its own that always starts at the noise, so that one call gets as many samples a
# step as in one-step distillation, and more weight as the learning rate falls: first all jumps, then the one
# that every sample needs.
@register("traflow_v1")
@register(
    "traflow_v4",
    output=0.0,
    denoising=1.0,
    velocity_form="derivative",
    teacher_grid=18,
    times="two",
    weighting="clipped",
    target_average=0.9999,
)
@register(
    "traflow", output=0.0, consistency=0.0, states="path", ends=0.6, on_policy=0.25, distance="pseudo_huber"
)
@register(
    "traflow_anchored",
    output=1.0,
    output_end=10.0,
    output_from="noise",
    consistency=0.0,
    states="path",
    ends=0.25,
    on_policy=0.25,
    distance="pseudo_huber",
)
@dataclass(frozen=True)
class TraFlow(OnStates):
    """The objective and every choice it leaves open.

    output, velocity, consistency, denoising: weights of the terms, 0 switches one off. output_end: weight of
    the output term at the end of training, reached linearly from `output`; None keeps it. output_from: where
    the output term starts: the "states" of the other terms, or always the "noise" x_1, where sampling starts.
    velocity_form: "average" or "derivative". teacher_steps, teacher_grid: 0 and None take the earlier state
    of the consistency term from the pair's own trajectory; else both jumps are compared where they land at
    time 0, and the teacher is solved for it from x_t by `solver`: in teacher_steps steps, or in steps of 1 /
    teacher_grid (v4), where a stored path is taken instead. on_policy: share of the batch whose x_t is the
    student's own state G(x_1, 1, t) instead of the teacher's. times (None: "three"): see batch.sample_times.
    weighting: "fixed", "adaptive" (gradient norms made equal), or "clipped" (adaptive, within [0.01, 10]).
    separate_pairs: the consistency term gets pairs of its own instead of sharing x_1 with the other terms
    (the paper leaves it open). min_gap: differences of states are divided by max(t - s, min_gap), which puts
    all terms in units of velocity.
    """

    choices: ClassVar[dict] = {
        "states": ("chord", "path"),
        "velocity_form": ("average", "derivative"),
        "weighting": tuple(WEIGHTINGS),
        "output_from": ("states", "noise"),
        "times": (None, *LAWS),
    }
    output: float = 1.0
    velocity: float = 1.0
    consistency: float = 1.0
    denoising: float = 0.0
    states: str = "chord"
    velocity_form: str = "average"
    teacher_steps: int = 0
    solver: str = "heun"
    output_end: float | None = None
    output_from: str = "states"
    on_policy: float = 0.0
    ends: float = 0.25
    weighting: str = "fixed"
    separate_pairs: bool = False
    min_gap: float = 0.05
    # None keeps the fingerprints of students trained before there was a choice
    times: str | None = None
    teacher_grid: int | None = None
    target_average: float | None = None

    def __post_init__(self):
        super().__post_init__()
        if not any((self.output, self.velocity, self.consistency, self.denoising)):
            raise ValueError("TraFlow: every term has weight 0")

    @property
    def needs_data(self) -> bool:
        return self.denoising > 0

    @property
    def draws(self) -> int:
        return 2 if self.separate_pairs else 1

    def __call__(self, student: JumpMap, target: JumpMap, teacher, batch: Batch) -> LossTerms:
        others, other = (student, target, teacher), batch
        if self.separate_pairs:
            half = len(batch.x1) // 2
            student, target, teacher = (rows(field, slice(half)) for field in others)
            others = tuple(rows(field, slice(half, None)) for field in others)
            batch, other = batch.halves()
        batch, s, u, t = self.on_jumps(batch, self.times or "three")
        x_t = self._states(target, batch, t)
        losses = {}
        if self.output:
            start, at = (batch.x1, torch.ones_like(t)) if self.output_from == "noise" else (x_t, t)
            landed = student(start, at, torch.zeros_like(t))
            losses["output"] = distance(self.distance, landed, batch.x0, self._gap(at, start))
        if self.velocity:
            losses["velocity"] = self._velocity(student, teacher, batch, x_t, t, s)
        if self.consistency:
            losses["consistency"] = self._consistency(*others, other.on(self.states), t, u, s)
        if self.denoising:
            losses["denoising"] = denoising(self.distance, student, batch, t, self.min_gap)
        return self._weighted(student, losses, batch.progress)

    def _gap(self, duration: Tensor, x: Tensor) -> Tensor:
        return expand(duration.clamp(min=self.min_gap), x)

    @torch.no_grad()
    def _states(self, target: JumpMap, batch: Batch, t: Tensor) -> Tensor:
        """x_t of the pair, the first `on_policy` of the batch replaced by the student's own G(x_1, 1, t).

        Pairs come shuffled, so the first are any.
        """
        x_t, own = batch.at(t), round(self.on_policy * len(t))
        first = rows(target, slice(own))
        return torch.cat([first(batch.x1[:own], 1.0, t[:own]), x_t[own:]]) if own else x_t

    def _velocity(self, student, teacher, batch: Batch, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
        if self.velocity_form == "average":
            # (G - x_s) / (t - s) is F minus the average change of the trajectory, also where x_t is the
            # student's own state
            return distance(self.distance, student(x_t, t, s), batch.at(s), self._gap(t - s, x_t))
        slope = teacher(batch.at(s), s) if self.needs_path else batch.x1 - batch.x0
        return slope_distance(self.distance, student.with_derivative(batch.at(t), t, s)[1], slope)

    def _consistency(self, student, target, teacher, batch: Batch, t: Tensor, u: Tensor, s: Tensor) -> Tensor:
        x_t = batch.at(t)
        if self.teacher_steps:
            x_u = solve_between(teacher, x_t, t, u, self.solver, self.teacher_steps)
            return soft_consistency(self.distance, student, target, x_t, x_u, t, u, s)
        if self.teacher_grid:
            x_u = earlier_state(batch, teacher, t, u, self.solver, self.teacher_grid)
            return soft_consistency(self.distance, student, target, x_t, x_u, t, u, s)
        with torch.no_grad():
            goal = target(batch.at(u), u, s)
        return distance(self.distance, student(x_t, t, s), goal, self._gap(t - s, x_t))

    def _weighted(self, student, losses: dict[str, Tensor], progress: float) -> LossTerms:
        weights = {name: getattr(self, name) for name in losses}
        if self.output and self.output_end is not None:
            weights["output"] += progress * (self.output_end - self.output)
        if self.weighting != "fixed" and len(losses) > 1:
            reference = next(name for name in ("consistency", "output", "velocity") if name in losses)
            clip = WEIGHTINGS[self.weighting]
            balance = gradient_norm_weights(losses, reference, student.net.last_layer, clip)
            weights = {name: weight * balance[name] for name, weight in weights.items()}
        return LossTerms.weighted(losses, weights)
