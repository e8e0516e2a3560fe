"""Frechet distance between Gaussians fitted to features; FD-<extractor>, and FID when the extractor is Inception."""

import torch
from torch import Tensor


def mean_and_cov(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean [D] and unbiased covariance [D, D] of features [N, D], in float64."""
    features = torch.as_tensor(features).double()
    return features.mean(0), torch.cov(features.T).reshape(features.shape[1], features.shape[1])


def frechet_distance(mu1: Tensor, cov1: Tensor, mu2: Tensor, cov2: Tensor) -> float:
    """|mu1 - mu2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), float64 (Dowson & Landau 1982; Heusel et al. 2017).

    The trace of the root is the sum of root eigenvalues of C1^(1/2) C2 C1^(1/2), which is symmetric: two eigenvalue problems instead
    of a general matrix square root, exact for rank-deficient covariances too.
    """
    mu1, cov1, mu2, cov2 = (torch.as_tensor(a).double() for a in (mu1, cov1, mu2, cov2))
    values, vectors = torch.linalg.eigh(cov1)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    cross = torch.linalg.eigvalsh(root @ cov2 @ root).clamp(min=0).sqrt().sum()
    return ((mu1 - mu2).square().sum() + cov1.trace() + cov2.trace() - 2 * cross).item()


def feature_distance(a: Tensor, b: Tensor) -> float:
    """Frechet distance between two sets of features [N, D] and [M, D]."""
    return frechet_distance(*mean_and_cov(a), *mean_and_cov(b))
