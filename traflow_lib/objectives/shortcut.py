"""Shortcut models: a jump must equal two jumps of half its length, down to the velocity itself.

Frans et al. 2024 (arXiv 2410.12557), Algorithm 1. Distilled from a teacher: the boundary, jumps of length
zero, is the teacher's velocity. Defaults are the paper's (bootstrap: the release has 1/8) and the release's
target average. Departs: the network is given s, not the length; landing points are not clipped; no guidance;
no weight decay; the boundary's times are any, not multiples of 1 / finest.
"""

from dataclasses import dataclass

import torch

from ..batch import rows
from ..flow import expand
from ..randomness import to_like
from .base import LossTerms, OnStates, slope_distance
from .registry import register


@register("shortcut")
@dataclass(frozen=True)
class Shortcut(OnStates):
    """Boundary: D(F(x_t, t, t), v(x_t, t)).

    Semigroup: D(F(x_t, t, s), mean of sg F over the two halves of [s, t]).

    bootstrap: share of the batch for the semigroup term. finest: halving starts from jumps of 1 / finest;
    lengths are drawn evenly from 1, 1/2, 1/4 .. 2 / finest, and t from the multiples of the length, moved up
    to the next stored time where states are those of a stored path. The halves of the shortest are asked for
    as jumps of length zero, which the boundary teaches, as in the paper.
    """

    bootstrap: float = 0.25
    finest: int = 128
    target_average: float = 0.999

    def __post_init__(self):
        super().__post_init__()
        if not 0 < self.bootstrap < 1 or self.finest < 2 or self.finest & (self.finest - 1):
            raise ValueError(
                "Shortcut: bootstrap must lie between 0 and 1, finest must be a power of 2, at least 2"
            )

    def __call__(self, student, target, teacher, batch) -> LossTerms:
        line, n, draws = self.line(batch), len(batch.x1), batch.draws
        own = min(max(round(self.bootstrap * n), 1), n - 1)
        length = 0.5 ** draws.integers(0, self.finest.bit_length() - 1, n)[:own]
        t = draws.uniform(n)
        t[:own] = ((t[:own] / length).floor() + 1) * length
        t = self.to_ends(t, batch, line)
        s = torch.cat([t[:own] - length, t[own:]])
        t, s = to_like(t, batch.x1), to_like(s, batch.x1)
        x_t, middle = line.at(t), (t + s)[:own] / 2
        with torch.no_grad():
            shortest = (t - s)[:own] < 3 / self.finest
            half = rows(target, slice(own)).average_velocity
            first = half(x_t[:own], t[:own], torch.where(shortest, t[:own], middle))
            landed = x_t[:own] + expand(middle - t[:own], first) * first
            second = half(landed, middle, torch.where(shortest, middle, s[:own]))
            boundary = rows(teacher, slice(own, None))(x_t[own:], t[own:])
        velocity = student.average_velocity(x_t, t, s)
        losses = {
            "semigroup": slope_distance(self.distance, velocity[:own], (first + second) / 2),
            "boundary": slope_distance(self.distance, velocity[own:], boundary),
        }
        return LossTerms.weighted(losses, {"semigroup": self.bootstrap, "boundary": 1 - self.bootstrap})
