"""Small pieces that several test files share.

Closed-form flows, exact jump maps and networks with no zero weights."""

import torch
from torch import Tensor, nn

from traflow_lib import nets
from traflow_lib.batch import Batch
from traflow_lib.flow import GaussianFlow, GaussianMixtureFlow, expand
from traflow_lib.jump import JumpMap
from traflow_lib.nets.mlp import time_features

NETS = {
    "mlp": ({"kind": "mlp", "width": 16, "depth": 3}, (2,)),
    "ddpmpp": (
        {
            "kind": "ddpmpp",
            "size": 8,
            "channels": 1,
            "width": 8,
            "multipliers": [1, 2],
            "blocks": 1,
            "attention": [4],
            "dropout": 0.1,
        },
        (1, 8, 8),
    ),
}


def gaussian(dtype=torch.float64) -> GaussianFlow:
    """An anisotropic Gaussian whose covariance is not diagonal."""
    return GaussianFlow(
        torch.tensor([1.0, -0.5], dtype=dtype), torch.tensor([[1.0, 0.6], [0.6, 0.5]], dtype=dtype)
    )


def mixture(dtype=torch.float64) -> GaussianMixtureFlow:
    """Three unlike components with unlike weights."""
    means = torch.tensor([[1.5, 0.0], [-1.0, 1.2], [-0.5, -1.5]], dtype=dtype)
    covs = torch.tensor(
        [[[0.3, 0.1], [0.1, 0.2]], [[0.2, -0.1], [-0.1, 0.4]], [[0.25, 0.0], [0.0, 0.25]]], dtype=dtype
    )
    return GaussianMixtureFlow(means, covs, torch.tensor([0.5, 0.3, 0.2], dtype=dtype))


def randomise(net: nn.Module, scale: float = 0.2) -> nn.Module:
    """Fill every parameter with small random numbers.

    Freshly built U-Nets are zero at their outlet, where any claim would hold.
    """
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.copy_(scale * torch.randn_like(parameter))
    return net.eval()


def random_student(kind: str, dtype=torch.float32, s_input: bool = True) -> tuple[JumpMap, tuple]:
    """A jump map whose s-embedding, if it has one, is not zero, and the shape of a sample."""
    config, shape = NETS[kind]
    return JumpMap(randomise(nets.build(config, s_input=s_input)).to(dtype)), shape


class ExactAverage(nn.Module):
    """F(x, t, s) of a Gaussian flow in closed form.

    (G(x, t, s) - x) / (s - t), the velocity itself where s = t.
    """

    def __init__(self, flow: GaussianFlow):
        super().__init__()
        self.flow = flow

    def forward(self, x: Tensor, t: Tensor, s: Tensor) -> Tensor:
        gap = expand(s - t, x)
        average = (self.flow.jump(x, t, s) - x) / torch.where(gap == 0, 1.0, gap)
        return torch.where(gap == 0, self.flow(x, t), average)


class Constant(nn.Module):
    """F = the same vector everywhere."""

    def __init__(self, value: Tensor):
        super().__init__()
        self.value = nn.Parameter(value.clone())

    def forward(self, x: Tensor, t: Tensor, s: Tensor) -> Tensor:
        return self.value.expand_as(x)


def gaussian_batch(flow: GaussianFlow, n: int, intervals: int = 64) -> Batch:
    """Exact pairs of a Gaussian flow with their path on an even grid, and data."""
    x1 = torch.randn(n, 2, dtype=torch.float64)
    path = torch.stack([flow.jump(x1, 1.0, k / intervals) for k in range(intervals + 1)], dim=1)
    return Batch(x1, path[:, 0], path, data=flow.sample(n))


def student(seed: int = 0, s_input: bool = True) -> JumpMap:
    """A small MLP student, the same for the same seed."""
    torch.manual_seed(seed)
    return random_student("mlp", s_input=s_input)[0]


def frozen_target() -> JumpMap:
    """A target as fit() gives it: other weights, frozen."""
    return student(1).requires_grad_(False)


def random_pairs(n: int = 32, **extra) -> Batch:
    """A batch whose x_1, xhat_0, path (8 intervals) and data need not belong together for what is tested with
    it.
    """
    return Batch(
        **dict(zip(("x1", "x0", "data"), torch.randn(3, n, 2))) | {"path": torch.randn(n, 9, 2)} | extra
    )


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
