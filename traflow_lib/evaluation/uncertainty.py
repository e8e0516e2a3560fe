"""How sure a Frechet distance is: its standard error, and its value at infinitely many samples."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import fmean

import numpy as np
import torch
from torch import Tensor

from .frechet import frechet_distance, mean_and_cov


def bootstrap(
    statistic: Callable[[Tensor], float], samples: Tensor, repeats: int = 20, seed: int = 0
) -> float:
    """Standard error of statistic(samples [N, ...]): its deviation over N drawn with replacement.

    Only the spread means something: a distance of resampled features is itself biased upwards.
    """
    generator, n = torch.Generator().manual_seed(seed), len(samples)
    drawn = (torch.randint(n, (n,), generator=generator) for _ in range(repeats))
    return float(np.std([statistic(samples[index]) for index in drawn], ddof=1))


@dataclass(frozen=True)
class Extrapolation:
    """n: sample counts; values: the mean distance at each; value, slope: of the line in 1/n, at 1/n = 0."""

    n: list[int]
    values: list[float]
    value: float
    slope: float


def fd_infinity(
    features: Tensor, mean: Tensor, cov: Tensor, parts: tuple[int, ...] = (1, 2, 3, 4, 5), seed: int = 0
) -> Extrapolation:
    """The Frechet distance of features [N, D] to a reference, extrapolated to N = infinity.

    On a line in 1/N (Chong & Forsyth 2020): at N/k samples the distance is the mean over k disjoint random
    parts, so that every point of the line uses all samples (theirs draws one subset a point). The smallest
    part should have more samples than dimensions. The reference is taken as exact: what its own size adds is
    not removed. Its standard error is bootstrap(lambda x: fd_infinity(x, mean, cov).value, features).
    """
    if len(features) // max(parts) < 2:
        raise ValueError(f"{len(features)} samples cannot be split into {max(parts)} parts of two or more")
    order = torch.randperm(len(features), generator=torch.Generator().manual_seed(seed))
    values = [
        fmean(frechet_distance(*mean_and_cov(features[part]), mean, cov) for part in order.tensor_split(k))
        for k in parts
    ]
    slope, value = np.polyfit([k / len(features) for k in parts], values, 1)
    return Extrapolation([len(features) // k for k in parts], values, float(value), float(slope))
