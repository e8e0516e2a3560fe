"""Frechet (FD-<extractor>, FID only when that is Inception) and kernel distance of two sets of features."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..files.tensors import load_tensors, read_facts, save_tensors

CHUNK = 10_000


def mean_and_cov(features: Tensor) -> tuple[Tensor, Tensor]:
    """Mean [D] and unbiased covariance [D, D] of features [N, D], in float64, without a copy of all in it."""
    features = torch.as_tensor(features)
    mean = features.mean(0, dtype=torch.float64)
    scatter = sum((part.double() - mean).T @ (part.double() - mean) for part in features.split(CHUNK))
    return mean, scatter / (len(features) - 1)


def frechet_distance(mu1: Tensor, cov1: Tensor, mu2: Tensor, cov2: Tensor) -> float:
    """|mu1 - mu2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), float64 (Dowson & Landau 1982; Heusel et al. 2017).

    With C1 = L L^T the eigenvalues of C1 C2 that are not zero are those of the symmetric L^T C2 L, and the
    trace of the root is the sum of their roots: one Cholesky factorisation and one symmetric eigenvalue
    problem instead of a general matrix square root.
    """
    if mu1.shape != mu2.shape:
        raise ValueError(f"features of {mu1.numel()} numbers each are compared with {mu2.numel()} of others")
    moments = [torch.as_tensor(a).double().cpu().numpy() for a in (mu1, cov1, mu2, cov2)]
    if not all(np.isfinite(a).all() for a in moments):
        raise ValueError(
            "the features' mean or covariance is not finite; check the images, and that they are at least two"
        )
    m1, c1, m2, c2 = moments
    cross = np.sqrt(_product_eigenvalues(c1, c2).clip(min=0)).sum()
    return float(np.square(m1 - m2).sum() + np.trace(c1) + np.trace(c2) - 2 * cross)


def _product_eigenvalues(cov1: np.ndarray, cov2: np.ndarray) -> np.ndarray:
    from scipy.linalg import eigvalsh, lapack

    # LAPACK's columns are rows here, which symmetric matrices do not mind
    lower, failed = lapack.dpotrf(cov1.T, lower=1)
    if not failed:
        product, _ = lapack.dsygst(cov2.T, lower, itype=2, lower=1)
    # fewer samples than dimensions: the pivoted factorisation finds the rank, and the problem gets as small
    else:
        lower, pivots, rank, _ = lapack.dpstrf(cov1.T, lower=1)
        lower, order = np.tril(lower)[:, :rank], pivots - 1
        product = lower.T @ cov2[np.ix_(order, order)] @ lower
    return eigvalsh(product, lower=True, overwrite_a=True, check_finite=False)


@dataclass(frozen=True)
class Statistics:
    """Mean [D] and covariance [D, D] of the features of n images; sha256: of a data set's images."""

    mean: Tensor
    cov: Tensor
    n: int
    sha256: str = ""

    @classmethod
    def of(cls, features: Tensor, sha256: str = "") -> "Statistics":
        """Those of features [N, D]."""
        return cls(*mean_and_cov(features), len(features), sha256)

    def save(self, file: Path) -> None:
        """Write them as safetensors."""
        save_tensors(file, {"mean": self.mean, "cov": self.cov}, {"n": str(self.n), "sha256": self.sha256})

    @classmethod
    def load(cls, file: Path) -> "Statistics":
        """Read what save wrote; ValueError names a file that is damaged or holds something else."""
        found, facts = load_tensors(file), read_facts(file)
        try:
            return cls(found["mean"], found["cov"], int(facts["n"]), facts["sha256"])
        except (KeyError, ValueError):
            raise ValueError(f"{file} holds no statistics; delete it") from None


def feature_distance(a: Tensor, b: Tensor) -> float:
    """Frechet distance between two sets of features [N, D] and [M, D]."""
    return frechet_distance(*mean_and_cov(a), *mean_and_cov(b))


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
