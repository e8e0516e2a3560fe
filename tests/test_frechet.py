"""The Frechet distance: closed forms, then clean-fid's own function."""

import numpy as np
import pytest
import torch

from traflow_lib.evaluation.frechet import feature_distance, frechet_distance, mean_and_cov

pytestmark = pytest.mark.filterwarnings("ignore:The `disp` argument is deprecated")  # in clean-fid's call of scipy


def features(n, dim, seed, scale=1.0):
    """Correlated features with an uneven spectrum, as a network's are."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(dim, dim, generator=generator, dtype=torch.float64) * torch.linspace(1, 0.05, dim).double() / dim**0.5
    return scale * torch.randn(n, dim, generator=generator, dtype=torch.float64) @ mixing.T + 0.1 * seed


def test_mean_and_covariance_are_numpys():
    x = features(100, 5, 0)
    mean, cov = mean_and_cov(x.float())
    assert mean.dtype == cov.dtype == torch.float64
    assert np.allclose(mean, x.numpy().mean(0), atol=1e-6) and np.allclose(cov, np.cov(x.numpy(), rowvar=False), atol=1e-6)


def test_one_dimensional_features_are_allowed():
    a, b = torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [5.0]])
    assert feature_distance(a, b) == pytest.approx((3 - 1) ** 2 + (8**0.5 - 2**0.5) ** 2)


def test_diagonal_gaussians_have_the_analytic_distance():
    mu1, mu2, sd1, sd2 = torch.rand(4, 10).double()
    expected = (mu1 - mu2).square().sum() + (sd1 - sd2).square().sum()
    assert frechet_distance(mu1, sd1.square().diag(), mu2, sd2.square().diag()) == pytest.approx(expected.item(), rel=1e-10)


@pytest.mark.parametrize("n", [500, 20], ids=["full rank", "rank deficient"])
def test_distance_to_itself_is_zero(n):
    x = features(n, 64, 1)
    assert abs(feature_distance(x, x)) <= 1e-6


def test_distance_is_symmetric():
    a, b = features(300, 32, 1), features(300, 32, 2)
    assert feature_distance(a, b) == pytest.approx(feature_distance(b, a), rel=1e-10)


@pytest.mark.parametrize("dim, n", [(64, 1000), (512, 2000)])
def test_equals_clean_fid(dim, n):
    cleanfid = pytest.importorskip("cleanfid.fid")
    moments = *mean_and_cov(features(n, dim, 1)), *mean_and_cov(features(n, dim, 2, scale=1.2))
    assert frechet_distance(*moments) == pytest.approx(cleanfid.frechet_distance(*(m.numpy() for m in moments)), rel=1e-6)


@pytest.mark.parametrize("dim, n", [(64, 40), (512, 200)])
def test_equals_clean_fid_for_fewer_samples_than_dimensions(dim, n):
    """Tolerance 1e-5 of the total variance: clean-fid's Schur square root of a singular matrix is only good to that."""
    cleanfid = pytest.importorskip("cleanfid.fid")
    moments = *mean_and_cov(features(n, dim, 1)), *mean_and_cov(features(n, dim, 2, scale=1.2))
    total = (moments[1].trace() + moments[3].trace()).item()
    assert frechet_distance(*moments) == pytest.approx(cleanfid.frechet_distance(*(m.numpy() for m in moments)), abs=1e-5 * total)
