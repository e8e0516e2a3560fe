"""2-D data: densities that can be sampled without end, each with a test for being on its support."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..flow import GaussianMixtureFlow


@dataclass(frozen=True)
class Toy:
    """sample(n, generator) -> [n, 2].

    on_support(x) -> bool [n], True inside the region that holds at least 99 % of the data; flow: the exact
    velocity if it is known.
    """

    name: str
    sample: Callable[..., Tensor]
    on_support: Callable[[Tensor], Tensor]
    flow: GaussianMixtureFlow | None = None

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


RADIUS_99 = (
    3.035  # standard deviations around a point in the plane that hold 99 % of a Gaussian: sqrt(-2 ln 0.01)
)
MODES = 2 * torch.stack(
    [torch.cos(torch.arange(8) * torch.pi / 4), torch.sin(torch.arange(8) * torch.pi / 4)], dim=1
)
MODE_STD = 0.15


def _near_a_mode(x: Tensor) -> Tensor:
    return torch.cdist(x, MODES.to(x)).min(dim=1).values <= RADIUS_99 * MODE_STD


SPIRAL_STD = 0.06


def _spiral_arm(u: Tensor) -> Tensor:
    """Points at arc parameter u in [0, 1], [..., 2]: one and a half turns from radius 0.3 to 2.2."""
    angle, radius = 3 * torch.pi * u, 0.3 + 1.9 * u
    return torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)], dim=-1)


def _two_spirals(n: int, generator: torch.Generator | None = None) -> Tensor:
    sign = 2.0 * torch.randint(0, 2, (n, 1), generator=generator) - 1
    return sign * _spiral_arm(torch.rand(n, generator=generator).sqrt()) + SPIRAL_STD * torch.randn(
        n, 2, generator=generator
    )


def _near_a_spiral(x: Tensor) -> Tensor:
    arm = _spiral_arm(torch.linspace(0, 1, 400)).to(x)
    return torch.cdist(x, torch.cat([arm, -arm])).min(dim=1).values <= RADIUS_99 * SPIRAL_STD


_MIXTURE = GaussianMixtureFlow(MODES, (MODE_STD**2 * torch.eye(2)).expand(8, 2, 2))

TOYS = {
    toy.name: toy
    for toy in (
        Toy("checkerboard", _checkerboard, _on_checkerboard),
        Toy("8gaussians", _MIXTURE.sample, _near_a_mode, _MIXTURE),
        Toy("two_spirals", _two_spirals, _near_a_spiral),
    )
}


def get(name: str) -> Toy:
    """The toy called `name`; ValueError lists what exists."""
    if name not in TOYS:
        raise ValueError(f"unknown 2-D data set '{name}'; there are {', '.join(TOYS)}")
    return TOYS[name]
