"""Toy data: densities to sample without end, each with a test for being on its support."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..flow import GaussianMixtureFlow


@dataclass(frozen=True)
class Toy:
    """sample(n, generator) -> [n, dim]; flow: the exact velocity if it is known.

    on_support(x) -> bool [n], True inside the region that holds at least 99 % of the data.
    """

    name: str
    sample: Callable[..., Tensor]
    on_support: Callable[[Tensor], Tensor]
    flow: GaussianMixtureFlow | None = None
    dim: int = 2

    def off_support(self, x: Tensor) -> float:
        """Share of points outside that region."""
        return 1 - self.on_support(x).double().mean().item()


def _checkerboard(n: int, generator: torch.Generator | None = None) -> Tensor:
    column = torch.randint(0, 4, (n,), generator=generator)
    row = 2 * torch.randint(0, 2, (n,), generator=generator) + column % 2
    return torch.stack([column, row], dim=1) - 2 + torch.rand(n, 2, generator=generator)


def _on_checkerboard(x: Tensor) -> Tensor:
    column, row = (x + 2).floor().unbind(dim=1)
    return (x.abs() <= 2).all(dim=1) & ((column + row) % 2 == 0)


RADIUS_99 = 3.035  # standard deviations that hold 99 % of a Gaussian in the plane: sqrt(-2 ln 0.01)


def _near(points: Tensor, std: float) -> Callable[[Tensor], Tensor]:
    """Whether x [n, 2] lies where a Gaussian around one of the points [K, 2] has 99 % of its mass."""
    return lambda x: torch.cdist(x, points.to(x)).min(dim=1).values <= RADIUS_99 * std


def _mixture(name: str, modes: Tensor, std: float) -> Toy:
    """Round Gaussians of one width around `modes` [K, 2]."""
    flow = GaussianMixtureFlow(modes, (std**2 * torch.eye(2)).expand(len(modes), 2, 2))
    return Toy(name, flow.sample, _near(modes, std), flow)


ANGLES = torch.arange(8) * torch.pi / 4
MODES, MODE_STD = 2 * torch.stack([torch.cos(ANGLES), torch.sin(ANGLES)], dim=1), 0.15
GRID = torch.cartesian_prod(torch.arange(-2.0, 3.0), torch.arange(-2.0, 3.0))

SPIRAL_STD = 0.06


def _spiral_arm(u: Tensor) -> Tensor:
    """Points at arc parameter u in [0, 1], [..., 2]: one and a half turns from radius 0.3 to 2.2."""
    angle, radius = 3 * torch.pi * u, 0.3 + 1.9 * u
    return torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)], dim=-1)


def _two_spirals(n: int, generator: torch.Generator | None = None) -> Tensor:
    sign = 2.0 * torch.randint(0, 2, (n, 1), generator=generator) - 1
    x = sign * _spiral_arm(torch.rand(n, generator=generator).sqrt())
    return x + SPIRAL_STD * torch.randn(n, 2, generator=generator)


ARM = _spiral_arm(torch.linspace(0, 1, 400))
ARMS, TWIST = 5, 1.4  # of the pinwheel; TWIST: radians for each unit of distance from its middle
ARM_MIDDLE, ARM_STD = 1.25, torch.tensor([0.35, 0.09])  # along the arm and across it, before the twist


def _turned(x: Tensor, angle: Tensor) -> Tensor:
    cos, sin = angle.cos(), angle.sin()
    return torch.stack([cos * x[:, 0] - sin * x[:, 1], sin * x[:, 0] + cos * x[:, 1]], dim=1)


def _pinwheel(n: int, generator: torch.Generator | None = None) -> Tensor:
    arm = torch.randint(0, ARMS, (n,), generator=generator)
    x = ARM_STD * torch.randn(n, 2, generator=generator) + torch.tensor([ARM_MIDDLE, 0.0])
    return _turned(x, 2 * torch.pi * arm / ARMS + TWIST * x.norm(dim=1))


def _on_an_arm(x: Tensor) -> Tensor:
    found = torch.zeros(len(x), dtype=torch.bool, device=x.device)
    for arm in range(ARMS):  # the twist keeps distances from the middle, so it can be undone
        along, across = _turned(x, -TWIST * x.norm(dim=1) - 2 * torch.pi * arm / ARMS).unbind(1)
        distance = ((along - ARM_MIDDLE) / ARM_STD[0]) ** 2 + (across / ARM_STD[1]) ** 2
        found |= distance <= RADIUS_99**2
    return found


RADII, RING_STD = torch.tensor([0.8, 1.8]), 0.06


def _rings(n: int, generator: torch.Generator | None = None) -> Tensor:
    """Two circles with one density along both."""
    radius = RADII[torch.multinomial(RADII, n, replacement=True, generator=generator)]
    radius = radius + RING_STD * torch.randn(n, generator=generator)
    angle = 2 * torch.pi * torch.rand(n, generator=generator)
    return radius[:, None] * torch.stack([angle.cos(), angle.sin()], dim=1)


def _on_a_ring(x: Tensor) -> Tensor:
    apart = (x.norm(dim=1, keepdim=True) - RADII.to(x)).abs().min(dim=1).values
    return apart <= 2.576 * RING_STD  # standard deviations that hold 99 % of a Gaussian on a line


def _subspace() -> Toy:
    """Gaussians on a random subspace of 4 of 32 dimensions, nearly flat across it."""
    dim, inner, components, generator = 32, 4, 8, torch.Generator().manual_seed(0)
    basis, upper = torch.linalg.qr(torch.randn(dim, inner, generator=generator, dtype=torch.float64))
    basis = basis * upper.diagonal().sign()  # the one decomposition whose diagonal is positive
    means = 1.5 * torch.randn(components, inner, generator=generator, dtype=torch.float64)
    means = (means - means.mean(0)) @ basis.T
    cov = 0.05**2 * torch.eye(dim, dtype=torch.float64) + 0.3**2 * basis @ basis.T
    flow = GaussianMixtureFlow(means.float(), cov.float().expand(components, dim, dim))
    inverse, quantile = cov.inverse(), 53.49  # the latter: 99 % of a chi-square of 32 degrees of freedom

    def near_a_component(x: Tensor) -> Tensor:
        apart = x[:, None].double() - means.to(x.device)
        distance = torch.einsum("nkd,de,nke->nk", apart, inverse.to(x.device), apart)
        return distance.min(dim=1).values <= quantile

    return Toy(f"subspace{dim}", flow.sample, near_a_component, flow, dim)


TOYS = {
    toy.name: toy
    for toy in (
        Toy("checkerboard", _checkerboard, _on_checkerboard),
        _mixture("8gaussians", MODES, MODE_STD),
        Toy("two_spirals", _two_spirals, _near(torch.cat([ARM, -ARM]), SPIRAL_STD)),
        _mixture("25gaussians", GRID, 0.1),
        Toy("pinwheel", _pinwheel, _on_an_arm),
        Toy("rings", _rings, _on_a_ring),
        _subspace(),
    )
}


def get(name: str) -> Toy:
    """The toy called `name`; ValueError lists what exists."""
    if name not in TOYS:
        raise ValueError(f"unknown toy data set '{name}'; there are {', '.join(TOYS)}")
    return TOYS[name]
