"""The Frechet and the kernel distance: closed forms, clean-fid's own functions, and what few samples do.

Two Gaussians' exact distance lies within the stated uncertainty, and the extrapolation takes the bias away.
"""

from statistics import fmean
from time import perf_counter

import numpy as np
import pytest
import torch

from traflow_lib.evaluation import frechet
from traflow_lib.evaluation.frechet import feature_distance, frechet_distance, kernel_distance, mean_and_cov
from traflow_lib.evaluation.uncertainty import bootstrap, fd_infinity

pytestmark = pytest.mark.filterwarnings(
    "ignore:The `disp` argument is deprecated"
)  # in clean-fid's call of scipy


def features(n, dim, seed, scale=1.0):
    """Correlated features with an uneven spectrum, as a network's are."""
    generator = torch.Generator().manual_seed(seed)
    mixing = (
        torch.randn(dim, dim, generator=generator, dtype=torch.float64)
        * torch.linspace(1, 0.05, dim).double()
        / dim**0.5
    )
    return scale * torch.randn(n, dim, generator=generator, dtype=torch.float64) @ mixing.T + 0.1 * seed


def test_mean_and_covariance_are_numpys():
    x = features(100, 5, 0)
    mean, cov = mean_and_cov(x.float())
    assert mean.dtype == cov.dtype == torch.float64
    assert np.allclose(mean, x.numpy().mean(0), atol=1e-6) and np.allclose(
        cov, np.cov(x.numpy(), rowvar=False), atol=1e-6
    )


def test_one_dimensional_features_are_allowed():
    a, b = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [5.0]])
    assert feature_distance(a, b) == pytest.approx((3 - 1) ** 2 + (8**0.5 - 2**0.5) ** 2)


def test_diagonal_gaussians_have_the_analytic_distance():
    mu1, mu2, sd1, sd2 = torch.rand(4, 10).double()
    expected = (mu1 - mu2).square().sum() + (sd1 - sd2).square().sum()
    assert frechet_distance(mu1, sd1.square().diag(), mu2, sd2.square().diag()) == pytest.approx(
        expected.item(), rel=1e-10
    )


@pytest.mark.parametrize("n", [500, 20], ids=["full rank", "rank deficient"])
def test_distance_to_itself_is_zero(n):
    x = features(n, 64, 1)
    assert abs(feature_distance(x, x)) <= 1e-6


def test_distance_is_symmetric():
    a, b = features(300, 32, 1), features(300, 32, 2)
    assert feature_distance(a, b) == pytest.approx(feature_distance(b, a), rel=1e-10)


@pytest.mark.parametrize(
    "dim, n, m",
    [
        (64, 1000, 1000),
        (512, 2000, 1500),
        (64, 40, 30),
        (64, 40, 1000),
        (64, 1000, 40),
        (512, 200, 200),
        (512, 200, 2000),
    ],
)
def test_equals_clean_fid_whatever_the_ranks(dim, n, m):
    cleanfid = pytest.importorskip("cleanfid.fid")
    moments = *mean_and_cov(features(n, dim, 1)), *mean_and_cov(features(m, dim, 2, scale=1.2))
    assert frechet_distance(*moments) == pytest.approx(
        cleanfid.frechet_distance(*(m.numpy() for m in moments)), rel=1e-6
    )


@pytest.mark.parametrize("n", [5000, 1000], ids=["full rank", "rank deficient"])
@pytest.mark.slow  # clean-fid takes half a minute
def test_equals_clean_fid_at_2048_dimensions_ten_times_as_fast(n):
    cleanfid = pytest.importorskip("cleanfid.fid")
    moments = *mean_and_cov(features(n, 2048, 1)), *mean_and_cov(features(n, 2048, 2, scale=1.2))
    start = perf_counter()
    ours = frechet_distance(*moments)
    between = perf_counter()
    theirs = cleanfid.frechet_distance(*(m.numpy() for m in moments))
    assert ours == pytest.approx(theirs, rel=1e-6)
    assert perf_counter() - between > 10 * (between - start)


@pytest.mark.parametrize("n, m", [(40, 30), (40, 500), (500, 40)])
def test_fewer_samples_than_dimensions_have_the_right_distance(n, m):
    """The trace of the root is the nuclear norm of the product of the centred features, which needs no root
    of a singular matrix.
    """
    a, b = features(n, 64, 1), features(m, 64, 2)
    left, right = ((x - x.mean(0)) / (len(x) - 1) ** 0.5 for x in (a, b))
    cross = torch.linalg.svdvals(left @ right.T).sum()
    expected = (a.mean(0) - b.mean(0)).square().sum() + left.square().sum() + right.square().sum() - 2 * cross
    assert feature_distance(a, b) == pytest.approx(expected.item(), rel=1e-7)


def test_features_that_do_not_vary():
    constant, x = torch.ones(50, 3), features(50, 3, 0)
    mean, cov = mean_and_cov(x)
    assert feature_distance(constant, x) == pytest.approx(
        ((1 - mean).square().sum() + cov.trace()).item(), rel=1e-6
    )


def test_moments_do_not_depend_on_chunks(monkeypatch):
    x = features(100, 5, 0)
    mean, cov = mean_and_cov(x)
    monkeypatch.setattr(frechet, "CHUNK", 7)
    assert torch.allclose(mean_and_cov(x)[1], cov, rtol=1e-12) and torch.equal(mean_and_cov(x)[0], mean)


def test_one_sample_has_no_covariance():
    with pytest.raises(ValueError, match="not finite; check the images, and that they are at least two"):
        feature_distance(torch.ones(1, 3), torch.randn(5, 3))


@pytest.mark.parametrize("n, m", [(300, 400), (1500, 1200)])
def test_kid_is_clean_fids_under_the_same_subsets(n, m):
    cleanfid = pytest.importorskip("cleanfid.fid")
    a, b = features(n, 16, 1), features(m, 16, 2)
    np.random.seed(3)
    expected = cleanfid.kernel_distance(a.numpy(), b.numpy(), num_subsets=5)
    assert kernel_distance(a, b, subsets=5, seed=3) == pytest.approx(expected, rel=1e-6)


def test_kid_of_one_distribution_is_zero_within_its_spread():
    generator = torch.Generator().manual_seed(0)
    values = [kernel_distance(*torch.randn(2, 400, 8, generator=generator), subsets=5) for _ in range(20)]
    assert abs(np.mean(values)) < 3 * np.std(values) / 20**0.5 < 0.01


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
