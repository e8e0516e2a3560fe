"""Rectified flow: the chord, the velocity loss, and three flows whose velocity is known exactly.

Time runs from data (t = 0) to noise (t = 1). Shapes: x [B, ...], t a scalar or [B]. Source: Liu et al. 2023
(arXiv 2209.03003); the conditional expectations below follow from Gaussian conditioning.
"""

import torch
from torch import Tensor


def per_sample(t: float | Tensor, x: Tensor) -> Tensor:
    """A time (scalar or [B]) as a tensor [B] in the dtype and on the device of x."""
    t = t.to(x) if isinstance(t, Tensor) else x.new_full((), t)
    if t.ndim > 1 or (t.ndim == 1 and t.shape[0] not in (1, x.shape[0])):
        got = f"got shape {tuple(t.shape)} for a batch of {x.shape[0]}"
        raise ValueError(f"time must be a scalar or have one value a sample; {got}")
    return t.expand(x.shape[0])


def expand(t: float | Tensor, x: Tensor) -> Tensor:
    """A time (scalar or [B]) shaped [B, 1, ...] so that it multiplies x."""
    return per_sample(t, x).reshape(-1, *[1] * (x.ndim - 1))


def chord(x0: Tensor, x1: Tensor, t: float | Tensor) -> Tensor:
    """x_t = t x_1 + (1 - t) x_0, the straight line between data x_0 and noise x_1."""
    t = expand(t, x0)
    return t * x1 + (1 - t) * x0


def velocity_loss(velocity, x0: Tensor, x1: Tensor, t: Tensor) -> Tensor:
    """Rectified-flow loss: mean over batch and dimensions of (v(x_t, t) - (x_1 - x_0))^2."""
    return (velocity(chord(x0, x1, t), t) - (x1 - x0)).square().mean()


class GaussianMixtureFlow:
    """Exact velocity E[x_1 - x_0 | x_t] when the data are a Gaussian mixture.

    Given component k, x_t ~ N((1-t) m_k, t^2 I + (1-t)^2 C_k). In the eigenbasis of C_k everything is
    diagonal, so there is no matrix to invert, and singular covariances are fine for every t > 0.

    Args: means [K, D]; covs [K, D, D], symmetric positive semi-definite; weights [K] (default: equal).
    """

    def __init__(self, means: Tensor, covs: Tensor, weights: Tensor | None = None):
        means, covs = torch.as_tensor(means), torch.as_tensor(covs)
        if covs.shape != (*means.shape, means.shape[-1]):
            raise ValueError(
                f"means [K, D] and covs [K, D, D] expected; got {tuple(means.shape)} and {tuple(covs.shape)}"
            )
        self.means = means
        self.eigvals, self.eigvecs = torch.linalg.eigh(covs)
        if self.eigvals.min() < -1e-6 * self.eigvals.abs().max():
            raise ValueError("a covariance has a negative eigenvalue")
        self.eigvals = self.eigvals.clamp(min=0)
        weights = torch.ones(len(means)) if weights is None else torch.as_tensor(weights)
        self.log_weights = (weights / weights.sum()).to(means).log()

    def _diagonalise(self, x: Tensor, t: Tensor):
        """x around each component's mean at time t, and the variances there, both [B, K, D]."""
        t = t[:, None, None]
        centred = x[:, None] - (1 - t) * self.means.to(x)
        coords = torch.einsum("kde,bkd->bke", self.eigvecs.to(x), centred)
        return coords, t**2 + (1 - t) ** 2 * self.eigvals.to(x)

    def log_prob(self, x: Tensor, t: float | Tensor) -> Tensor:
        """log p_t(x), [B]: the density of x_t, which is the data density at t = 0."""
        return torch.logsumexp(self._log_joint(*self._diagonalise(x, per_sample(t, x))), dim=1)

    def _log_joint(self, coords: Tensor, variances: Tensor) -> Tensor:
        variances = variances.clamp(min=torch.finfo(coords.dtype).tiny)
        normal = -0.5 * (coords.square() / variances + torch.log(2 * torch.pi * variances))
        return normal.sum(-1) + self.log_weights.to(coords)

    def __call__(self, x: Tensor, t: float | Tensor) -> Tensor:
        """The exact velocity v(x, t): x [B, D], t a scalar or [B] -> [B, D]."""
        t = per_sample(t, x)
        coords, variances = self._diagonalise(x, t)
        posterior = torch.softmax(self._log_joint(coords, variances), dim=1)
        # x_1 - x_0 given component k: -m_k + (t I - (1-t) C) S^-1 (x - (1-t) m_k), diagonal in the eigenbasis
        gain = (t[:, None, None] - (1 - t[:, None, None]) * self.eigvals.to(x)) / variances.clamp(
            min=torch.finfo(x.dtype).tiny
        )
        each = torch.einsum("kde,bke->bkd", self.eigvecs.to(x), gain * coords) - self.means.to(x)
        return (posterior[..., None] * each).sum(1)

    def sample(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """n data points [n, D]."""
        component = torch.multinomial(self.log_weights.exp(), n, replacement=True, generator=generator)
        unit = torch.randn(n, self.means.shape[1], generator=generator, dtype=self.means.dtype)
        scaled = self.eigvals[component].sqrt() * unit
        return self.means[component] + torch.einsum("bde,be->bd", self.eigvecs[component], scaled)


class GaussianFlow(GaussianMixtureFlow):
    """Exact velocity and exact jump map when the data are one Gaussian. Args: mean [D]; cov [D, D]."""

    def __init__(self, mean: Tensor, cov: Tensor):
        super().__init__(torch.as_tensor(mean)[None], torch.as_tensor(cov)[None])

    def jump(self, x: Tensor, t: float | Tensor, s: float | Tensor) -> Tensor:
        """The exact G(x_t, t, s): along each eigenvector by the ratio of standard deviations."""
        t, s = per_sample(t, x), per_sample(s, x)
        coords, var_t = self._diagonalise(x, t)
        _, var_s = self._diagonalise(x, s)
        moved = torch.einsum("kde,bke->bkd", self.eigvecs.to(x), coords * (var_s / var_t).sqrt())
        return moved[:, 0] + (1 - s[:, None]) * self.means.to(x)


class EmpiricalFlow:
    """Exact velocity of a finite set of points [N, ...]: v = (x - E[x_0 | x_t]) / t, a softmax over them.

    It has a 1/t singularity at data time wherever x is off the data; times below t_min count as t_min.
    """

    def __init__(self, points: Tensor, t_min: float = 1e-3):
        self.points, self.t_min = torch.as_tensor(points), t_min

    def __call__(self, x: Tensor, t: float | Tensor) -> Tensor:
        """The exact velocity v(x, t): x [B, D], t a scalar or [B] -> [B, D]."""
        t = per_sample(t, x).clamp(min=self.t_min)[:, None]
        points = self.points.to(x).flatten(1)
        flat = x.flatten(1)
        # -|x - (1-t) p|^2 / 2t^2 without the terms that do not depend on p, which the softmax cancels
        logits = ((1 - t) * (flat @ points.T) - 0.5 * (1 - t) ** 2 * points.square().sum(1)) / t**2
        return ((flat - torch.softmax(logits, dim=1) @ points) / t).reshape(x.shape)
