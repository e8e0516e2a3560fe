"""Kernel distance between two sets of features: KID-<extractor>."""

import numpy as np
import torch
from torch import Tensor


def kernel_distance(a: Tensor, b: Tensor, subsets: int = 100, size: int = 1000, seed: int = 0) -> float:
    """KID (Binkowski et al. 2018) of features a [N, D] and b [M, D], in float64.

    The unbiased squared MMD with the kernel (x.y / D + 1)^3, the mean over random subsets of `size` features:
    clean-fid's after np.random.seed(seed), and so is the value.
    """
    a, b = torch.as_tensor(a), torch.as_tensor(b)
    size, dim, draw, total = min(len(a), len(b), size), a.shape[1], np.random.RandomState(seed), 0.0
    if size < 2:
        raise ValueError("KID needs at least two features on each side")
    for _ in range(subsets):
        y, x = (features[draw.choice(len(features), size, replace=False)].double() for features in (b, a))
        within = (x @ x.T / dim + 1) ** 3 + (y @ y.T / dim + 1) ** 3
        between = ((x @ y.T / dim + 1) ** 3).sum()
        total += ((within.sum() - within.trace()) / (size - 1) - 2 * between / size).item()
    return total / subsets / size
