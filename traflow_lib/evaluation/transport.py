"""Distances between two clouds of points; which can rank one-step generators, notebook 04 tells."""

import torch
from torch import Tensor

from ..files.checks import finite


def _clouds(a: Tensor, b: Tensor, least: int = 1) -> tuple[Tensor, Tensor]:
    """Both in float64 as [N, D] and [M, D]; ValueError for too few points, NaN, or other dimensions."""
    if min(len(a), len(b)) < least or a.shape[1:] != b.shape[1:]:
        shapes = f"got {tuple(a.shape)} and {tuple(b.shape)}"
        raise ValueError(f"two clouds of at least {least} points of one dimension expected; {shapes}")
    return finite(a).double().flatten(1), finite(b).double().flatten(1)


def wasserstein2(a: Tensor, b: Tensor) -> float:
    """Exact W2 between equally weighted points [N, D] and [M, D], by POT's simplex in float64; O(N^3)."""
    import ot

    a, b = _clouds(a, b)
    return float(ot.emd2([], [], torch.cdist(a, b).square().numpy(), numItermax=10_000_000) ** 0.5)


def sliced_wasserstein2(a: Tensor, b: Tensor, projections: int = 128, seed: int = 0) -> float:
    """Sliced W2 of points [N, D] and [N, D]: root mean square over random directions of that on a line."""
    if a.shape != b.shape:
        raise ValueError(f"sliced W2 needs two clouds of one size; got {tuple(a.shape)} and {tuple(b.shape)}")
    a, b = _clouds(a, b)
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(a.shape[1], projections, dtype=torch.float64, generator=generator)
    directions = directions / directions.norm(dim=0)
    gap = (a @ directions).sort(dim=0).values - (b @ directions).sort(dim=0).values
    return gap.square().mean().sqrt().item()


def mmd(a: Tensor, b: Tensor, bandwidths: tuple = (0.1, 0.2, 0.5, 1.0, 2.0)) -> float:
    """Squared maximum mean discrepancy, unbiased, with a sum of Gaussian kernels (Gretton et al. 2012).

    O(N^2), so a few thousand points.
    """
    a, b = _clouds(a, b, least=2)

    def kernel(x: Tensor, y: Tensor) -> Tensor:
        square = torch.cdist(x, y).square()
        return sum((torch.exp(-square / (2 * h**2)) for h in bandwidths), torch.zeros(()))

    def off_diagonal_mean(k: Tensor) -> Tensor:
        return (k.sum() - k.trace()) / (len(k) * (len(k) - 1))

    within = off_diagonal_mean(kernel(a, a)) + off_diagonal_mean(kernel(b, b))
    return (within - 2 * kernel(a, b).mean()).item()
