"""Two Gaussians whose distance is known exactly.

It lies within the stated uncertainty, and the extrapolation takes the bias away.
"""

from statistics import fmean

import numpy as np
import pytest
import torch

from traflow_lib.evaluation.frechet import frechet_distance, mean_and_cov
from traflow_lib.evaluation.uncertainty import bootstrap, fd_infinity

DIM = 64
MEAN, COV = torch.zeros(DIM).double(), torch.eye(DIM).double()
TRUE = DIM * (0.1**2 + (1.1 - 1) ** 2)  # of N(0.1, 1.1^2) in every dimension


def generated(n: int, seed: int) -> torch.Tensor:
    return 0.1 + 1.1 * torch.randn(n, DIM, generator=torch.Generator().manual_seed(seed))


def fd(x: torch.Tensor) -> float:
    return frechet_distance(*mean_and_cov(x), MEAN, COV)


def test_known_distance_lies_within_the_stated_uncertainty():
    """Over 12 sets of samples: within two standard errors in most, three in all.

    The errors are those that repetition shows.
    """
    values, errors = [], []
    for seed in range(12):
        x = generated(2000, seed)
        values.append(fd_infinity(x, MEAN, COV).value)
        errors.append(bootstrap(lambda x: fd_infinity(x, MEAN, COV).value, x, repeats=15))
    away = [abs(value - TRUE) / error for value, error in zip(values, errors)]
    assert sum(z < 2 for z in away) >= 9 and max(away) < 3.5
    assert 0.5 < fmean(errors) / np.std(values, ddof=1) < 2


def test_extrapolation_takes_at_least_half_of_the_bias_at_a_thousand_samples():
    sets = [generated(1000, seed) for seed in range(12)]
    bias = fmean(fd(x) for x in sets) - TRUE
    left = fmean(fd_infinity(x, MEAN, COV).value for x in sets) - TRUE
    assert bias > 0.3 * TRUE, "the bias is what the test is about"
    assert abs(left) < bias / 2


def test_what_is_extrapolated_is_told():
    x = generated(1000, 0)
    found = fd_infinity(x, MEAN, COV, parts=(1, 2, 4))
    assert found.n == [1000, 500, 250] and found.values[0] == pytest.approx(fd(x))
    assert found.values == sorted(found.values) and found.slope > 0 and found.value < found.values[0]


def test_bootstrap_of_a_mean_is_its_standard_error():
    x = torch.randn(400)
    error = bootstrap(lambda x: x.mean().item(), x, repeats=200)
    assert error == pytest.approx(x.std().item() / 20, rel=0.2)


def test_seed_decides_the_numbers():
    x = generated(300, 0)
    assert fd_infinity(x, MEAN, COV) == fd_infinity(x, MEAN, COV)
    assert bootstrap(fd, x, 3) == bootstrap(fd, x, 3) != bootstrap(fd, x, 3, seed=1)


def test_too_few_samples_are_refused():
    with pytest.raises(ValueError, match="9 samples cannot be split into 5 parts"):
        fd_infinity(generated(9, 0), MEAN, COV)
