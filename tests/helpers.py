"""Small pieces that several test files share.

closed-form flows, exact jump maps and networks with no zero weights.
"""

import torch
from torch import Tensor, nn

from traflow_lib import nets
from traflow_lib.batch import Batch
from traflow_lib.flow import GaussianFlow, GaussianMixtureFlow, expand
from traflow_lib.jump import JumpMap

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
