"""The geometry of trajectories, and errors against the teacher's own ODE endpoint from the same noise."""

import torch
from torch import Tensor

from ..jump import JumpMap


def paired_rmse(x: Tensor, reference: Tensor) -> float:
    """Root mean square length of x - reference in 2-D; a pixel's of images [B, C, H, W], so sizes compare."""
    square = (x - reference).double().square()
    return (square.flatten(1).sum(1) if x.ndim == 2 else square).mean().sqrt().item()


def straightness(path: Tensor) -> float:
    """E over segments of |segment velocity - (x_1 - x_0)|^2, summed over dimensions (Liu et al. 2023).

    0 for straight, even motion. path [T, B, ...] on an even grid, in either direction.
    """
    velocity = (path[1:] - path[:-1]) * (len(path) - 1)
    return (velocity - (path[-1] - path[0])).double().square().flatten(2).sum(2).mean().item()


def curvature(path: Tensor) -> float:
    """Mean over samples of arc length / chord length - 1; 0 for a straight path whatever its speed."""
    arc = (path[1:] - path[:-1]).double().flatten(2).norm(dim=2).sum(0)
    return (arc / (path[-1] - path[0]).double().flatten(1).norm(dim=1) - 1).mean().item()


@torch.no_grad()
def self_consistency(jump: JumpMap, noise: Tensor, times: tuple = (0.25, 0.5, 0.75)) -> float:
    """Root mean square of G(G(x_1, 1, s), s, 0) - G(x_1, 1, 0): how far two calls disagree with one."""
    direct = jump(noise, 1.0, 0.0)
    errors = [paired_rmse(jump(jump(noise, 1.0, s), s, 0.0), direct) ** 2 for s in times]
    return (sum(errors) / len(errors)) ** 0.5
