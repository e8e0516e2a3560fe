"""The jump map G(x_t, t, s): one network call carries a state from time t to any earlier time s.

CTM's form (Kim et al. 2024, arXiv 2310.02279) is G = (s/t) x_t + (1 - s/t) g(x_t, t, s). With F = (x_t - g)/t it reads
G = x_t + (s - t) F(x_t, t, s): F is the average velocity over [s, t]. G(x, t, t) = x by construction, and a network F that starts
as the teacher's v(x, t), blind to s, starts life as the teacher's Euler step.
"""

import warnings

import torch
from torch import Tensor, nn

from .flow import expand, per_sample


class JumpMap(nn.Module):
    """G for a network net(x, t, s) -> F, the average velocity; x [B, ...], t and s scalars or [B]."""

    def __init__(self, net: nn.Module):
        super().__init__()
        self.net = net

    def average_velocity(self, x: Tensor, t: float | Tensor, s: float | Tensor) -> Tensor:
        """F(x_t, t, s), same shape as x."""
        return self.net(x, per_sample(t, x), per_sample(s, x))

    def forward(self, x: Tensor, t: float | Tensor, s: float | Tensor) -> Tensor:
        """G(x_t, t, s) = x_t + (s - t) F(x_t, t, s)."""
        t, s = per_sample(t, x), per_sample(s, x)
        return x + expand(s - t, x) * self.net(x, t, s)

    def with_derivative(self, x: Tensor, t: float | Tensor, s: float | Tensor) -> tuple[Tensor, Tensor]:
        """G(x_t, t, s) and dG/ds, exact by forward-mode differentiation (one extra tangent pass)."""
        t, s = per_sample(t, x), per_sample(s, x)
        with warnings.catch_warnings():  # torch's own first use of forward mode calls a function it has deprecated
            warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", FutureWarning)
            return torch.func.jvp(lambda s: self(x, t, s), (s,), (torch.ones_like(s),))

    @torch.no_grad()
    def sample(self, noise: Tensor, steps: int = 1, keep_path: bool = False) -> Tensor:
        """Deterministic jumps from t = 1 to 0 on an even grid, `steps` network calls; [B, ...], or the path [steps + 1, B, ...].

        No noise is added between jumps (unlike a consistency model's sampler), so the output is a function of `noise`.
        """
        if steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}")
        times = torch.linspace(1, 0, steps + 1).tolist()
        path = [noise]
        for t, s in zip(times[:-1], times[1:]):
            path.append(self(path[-1], t, s))
        return torch.stack(path) if keep_path else path[-1]
