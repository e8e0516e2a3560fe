"""What the tests of single methods share.

Exact solutions for networks blind to s, a perturbation of any network, and a linear student.
"""

import torch
from helpers import ExactAverage
from torch import Tensor, nn

from traflow_lib.flow import GaussianFlow, expand
from traflow_lib.nets.mlp import time_features


class Towards(ExactAverage):
    """Blind to s: the exact average velocity of a jump from t to end(t), a consistency model's for end(t) =
    0.
    """

    def __init__(self, flow: GaussianFlow, end=torch.zeros_like):
        super().__init__(flow)
        self.end = end

    def forward(self, x: Tensor, t: Tensor, s: Tensor) -> Tensor:
        return super().forward(x, t, self.end(t).clamp(min=0))


def steps_of(n: int):
    """The exact solution of progressive distillation at n steps: jumps from t to t - 1/n."""
    return lambda flow: Towards(flow, lambda t: t - 1 / n)


class Straight(nn.Module):
    """Reflow's solution: a Gaussian flow's pairs are x_0 = M x_1 + m, so a chord's state z_t has one x_1 and
    the velocity is x_1 - x_0.
    """

    def __init__(self, flow: GaussianFlow):
        super().__init__()
        eye = torch.eye(flow.means.shape[1]).to(flow.means)
        self.m = flow.jump(0 * eye[:1], 1.0, 0.0)
        self.M = (flow.jump(eye, 1.0, 0.0) - self.m).T

    def forward(self, z: Tensor, t: Tensor, s: Tensor) -> Tensor:
        t = t[:, None]
        x1 = torch.linalg.solve(
            t[..., None] * torch.eye(len(self.M)).to(z) + (1 - t[..., None]) * self.M, z - (1 - t) * self.m
        )
        return x1 - x1 @ self.M.T - self.m


class EulerEnd(nn.Module):
    """F of the consistency model whose f(x, k/n) is the teacher's solution to time 0 in k Euler steps."""

    def __init__(self, flow: GaussianFlow, n: int):
        super().__init__()
        self.flow, self.n = flow, n

    def forward(self, x: Tensor, t: Tensor, s: Tensor) -> Tensor:
        start, k = x, expand(t * self.n, x).round()
        for j in range(self.n, 0, -1):
            x = torch.where(k >= j, x - self.flow(x, j / self.n) / self.n, x)
        return torch.where(k > 0, (start - x) * self.n / k.clamp(min=1), self.flow(x, t))


class Perturbed(nn.Module):
    """net + theta * a bounded function of x, t and s."""

    def __init__(self, net: nn.Module, theta: float):
        super().__init__()
        self.net, self.theta = net, nn.Parameter(torch.tensor(theta, dtype=torch.float64))

    def forward(self, x: Tensor, t: Tensor, s: Tensor) -> Tensor:
        return self.net(x, t, s) + self.theta * torch.sin(1 + 2 * x.flip(1) + expand(t, x) - 2 * expand(s, x))


class LinearStudent(nn.Module):
    """F(x, t, s) = A(t, s) x + b(t, s), the form of every Gaussian flow's exact F; untrained it is 0."""

    def __init__(self, s_input: bool, width: int = 32, frequencies: int = 2):
        super().__init__()
        self.s_input, self.frequencies = s_input, frequencies
        times = (2 * frequencies + 1) * (2 if s_input else 1)
        self.hidden = nn.Sequential(nn.Linear(times, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.outlet = nn.Linear(width, 6)
        nn.init.zeros_(self.outlet.weight)
        nn.init.zeros_(self.outlet.bias)

    @property
    def last_layer(self) -> nn.Parameter:
        return self.outlet.weight

    def forward(self, x: Tensor, t: Tensor, s: Tensor) -> Tensor:
        times = [time_features(time, self.frequencies) for time in ((t, s) if self.s_input else (t,))]
        out = self.outlet(self.hidden(torch.cat(times, dim=1)))
        return (out[:, :4].reshape(-1, 2, 2) @ x[:, :, None])[:, :, 0] + out[:, 4:]
