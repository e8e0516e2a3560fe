"""Closed-form flows against formulas written out by hand, against each other, and against a network that
learned one.
"""

import pytest
import torch
from helpers import gaussian, mixture
from torch.distributions import Categorical, MixtureSameFamily, MultivariateNormal

from traflow_lib.flow import (
    EmpiricalFlow,
    GaussianFlow,
    GaussianMixtureFlow,
    chord,
    per_sample,
    velocity_loss,
)
from traflow_lib.nets.mlp import MLP
from traflow_lib.objectives import LossTerms
from traflow_lib.training import fit
from traflow_lib.training.config import TrainConfig

TIMES = [0.02, 0.3, 0.7, 0.98]


def gaussian_velocity(x, t, mean, cov):
    """E[x_1 | x_t] - E[x_0 | x_t] by the textbook rule for conditioning a Gaussian."""
    centred = torch.linalg.solve(t**2 * torch.eye(2).to(x) + (1 - t) ** 2 * cov, (x - (1 - t) * mean).T)
    return (t * centred).T - (mean + ((1 - t) * cov @ centred).T)


def test_chord_starts_at_the_data_and_ends_at_the_noise():
    x0, x1 = torch.randn(2, 5, 3, 4, 4)
    assert torch.equal(chord(x0, x1, 0.0), x0) and torch.equal(chord(x0, x1, 1.0), x1)
    assert torch.allclose(chord(x0, x1, torch.full((5,), 0.25)), 0.25 * x1 + 0.75 * x0)


def test_velocity_loss_is_zero_for_the_true_displacement_and_its_square_for_a_still_field():
    x0, x1, t = torch.randn(8, 2), torch.randn(8, 2), torch.rand(8)
    assert velocity_loss(lambda x, t: x1 - x0, x0, x1, t) == 0
    assert torch.isclose(velocity_loss(lambda x, t: 0 * x, x0, x1, t), (x1 - x0).square().mean())


@pytest.mark.parametrize("t", TIMES)
def test_gaussian_velocity_is_the_conditional_expectation_for_a_full_covariance(t):
    mean, cov = torch.tensor([1.0, -0.5]).double(), torch.tensor([[1.0, 0.6], [0.6, 0.5]]).double()
    x = torch.randn(50, 2).double()
    assert torch.allclose(GaussianFlow(mean, cov)(x, t), gaussian_velocity(x, t, mean, cov), atol=1e-10)


@pytest.mark.parametrize("t", TIMES)
def test_singular_covariance_needs_no_inverse(t):
    mean, cov = torch.tensor([0.5, 1.0]).double(), torch.tensor([[1.0, 2.0], [2.0, 4.0]]).double()
    x = torch.randn(50, 2).double()
    assert torch.allclose(GaussianFlow(mean, cov)(x, t), gaussian_velocity(x, t, mean, cov), atol=1e-8)


def test_mixture_of_one_component_is_the_gaussian():
    one, x, t = gaussian(), torch.randn(20, 2).double(), torch.rand(20).double()
    cov = one.eigvecs @ torch.diag_embed(one.eigvals) @ one.eigvecs.mT
    copies = GaussianMixtureFlow(one.means.expand(3, 2), cov.expand(3, 2, 2), torch.tensor([1.0, 2.0, 3.0]))
    assert torch.allclose(copies(x, t), one(x, t), atol=1e-10)


@pytest.mark.parametrize("t", [0.0, *TIMES])
def test_mixture_log_prob_is_the_density_of_the_noised_mixture(t):
    flow, x = mixture(), torch.randn(20, 2).double()
    cov = flow.eigvecs @ torch.diag_embed(flow.eigvals) @ flow.eigvecs.mT
    noised = MultivariateNormal((1 - t) * flow.means, t**2 * torch.eye(2).double() + (1 - t) ** 2 * cov)
    assert torch.allclose(
        flow.log_prob(x, t),
        MixtureSameFamily(Categorical(logits=flow.log_weights), noised).log_prob(x),
        atol=1e-9,
    )


@pytest.mark.parametrize("t", TIMES)
def test_mixture_velocity_follows_from_the_score(t):
    """E[x_1 | x_t] = -t score(x_t), hence v = (E[x_1 | x_t] - x_t) / (1 - t)."""
    flow, x = mixture(), torch.randn(50, 2).double().requires_grad_()
    score = torch.autograd.grad(flow.log_prob(x, t).sum(), x)[0]
    assert torch.allclose(flow(x, t), (-t * score - x) / (1 - t), atol=1e-8)


@pytest.mark.parametrize("t", [0.2, 0.8])
def test_mixture_velocity_is_the_best_guess_of_the_displacement_from_samples(t):
    """x_1 - x_0 - v(x_t, t) is uncorrelated with any function of x_t.

    Five standard errors of 200,000 samples.
    """
    flow = mixture()
    x0, x1 = flow.sample(200_000), torch.randn(200_000, 2).double()
    x_t = chord(x0, x1, t)
    residual = x1 - x0 - flow(x_t, t)
    for feature in (torch.ones_like(x_t), x_t, x_t.flip(1), torch.sin(2 * x_t), x_t.square()):
        product = residual * feature
        assert (product.mean(0).abs() <= 5 * product.std(0) / len(product) ** 0.5).all()


@pytest.mark.parametrize("t", [0.05, 0.5, 1.0])
def test_mixture_of_near_points_is_the_empirical_flow(t):
    points, x = torch.randn(6, 2).double(), torch.randn(40, 2).double()
    narrow = GaussianMixtureFlow(points, 1e-10 * torch.eye(2).double().expand(6, 2, 2))
    assert torch.allclose(EmpiricalFlow(points)(x, t), narrow(x, t), atol=1e-5)


def test_empirical_flow_keeps_the_shape_of_images():
    points, x = torch.randn(5, 1, 4, 4), torch.randn(3, 1, 4, 4)
    assert torch.allclose(
        EmpiricalFlow(points)(x, 0.5), EmpiricalFlow(points.flatten(1))(x.flatten(1), 0.5).reshape(x.shape)
    )


@pytest.mark.parametrize(
    "flow",
    [gaussian(torch.float32), mixture(torch.float32), EmpiricalFlow(torch.randn(6, 2))],
    ids=["gaussian", "mixture", "empirical"],
)
def test_velocity_at_noise_time_is_x_minus_the_data_mean(flow):
    x = torch.randn(20, 2)
    mean = flow.points.mean(0) if isinstance(flow, EmpiricalFlow) else flow.log_weights.exp() @ flow.means
    assert torch.allclose(flow(x, 1.0), x - mean, atol=1e-5) and torch.allclose(
        flow(x, 1 - 1e-6), x - mean, atol=1e-4
    )


@pytest.mark.parametrize(
    "flow", [gaussian(torch.float32), mixture(torch.float32)], ids=["gaussian", "mixture"]
)
def test_velocity_at_data_time_is_minus_x(flow):
    x = 5 * torch.randn(200, 2)  # far into the tails as well
    assert torch.allclose(flow(x, 0.0), -x, atol=1e-4) and torch.allclose(flow(x, 1e-6), -x, atol=1e-3)


@pytest.mark.parametrize("t", [1e-6, 1e-4, 1e-2, 0.5, 1 - 1e-6, 1.0])
@pytest.mark.parametrize(
    "cov",
    [torch.diag(torch.tensor([4.0, 1e-6])), torch.tensor([[1.0, 1.0], [1.0, 1.0]]), torch.zeros(2, 2)],
    ids=["flat", "singular", "point"],
)
def test_velocity_is_finite_for_thin_covariances(cov, t):
    flow = GaussianMixtureFlow(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]), cov.expand(2, 2, 2))
    assert flow(3 * torch.randn(100, 2), t).isfinite().all()


@pytest.mark.parametrize("t", [0.0, 1e-6, 1e-3])
def test_empirical_velocity_is_finite_at_data_time(t):
    assert EmpiricalFlow(torch.randn(50, 2))(torch.randn(100, 2), t).isfinite().all()


@pytest.mark.parametrize("t", [0.0, *TIMES, 1.0])
def test_single_precision_agrees_with_double(t):
    x = torch.randn(100, 2)
    assert torch.allclose(mixture(torch.float32)(x, t).double(), mixture()(x.double(), t), atol=1e-4)


def test_mixture_samples_have_the_mixture_mean_and_covariance():
    flow = mixture()
    x, weights = flow.sample(100_000), flow.log_weights.exp()
    mean = weights @ flow.means
    within = flow.eigvecs @ torch.diag_embed(flow.eigvals) @ flow.eigvecs.mT
    between = torch.einsum("k,kd,ke->de", weights, flow.means - mean, flow.means - mean)
    assert torch.allclose(x.mean(0), mean, atol=0.02)
    assert torch.allclose(torch.cov(x.T), torch.einsum("k,kde->de", weights, within) + between, atol=0.03)


@pytest.mark.parametrize("means, covs", [((3, 2), (3, 3, 3)), ((3, 2), (2, 2, 2)), ((2,), (2, 2, 2))])
def test_mismatched_means_and_covariances_are_refused(means, covs):
    with pytest.raises(ValueError, match="expected"):
        GaussianMixtureFlow(torch.zeros(means), torch.ones(covs))


def test_covariance_with_a_negative_eigenvalue_is_refused():
    with pytest.raises(ValueError, match="negative eigenvalue"):
        GaussianFlow(torch.zeros(2), torch.diag(torch.tensor([1.0, -0.5])))


@pytest.mark.parametrize("shape", [(3,), (5, 1)])
def test_times_that_do_not_fit_the_batch_are_refused(shape):
    with pytest.raises(ValueError, match="one value a sample"):
        per_sample(torch.zeros(shape), torch.zeros(5, 2))


def test_learned_velocity_of_a_mixture_is_within_five_per_cent_of_the_exact_one(tmp_path):
    """Relative L2 error, weighted by the density of the path (t uniform, x_t as training sees it)."""
    flow, config = mixture(torch.float32), TrainConfig(steps=2500, batch=1024, lr=1e-2, ema=0.99)
    data = flow.sample(500_000)

    def loss_fn(net, ema_net, progress, draws):
        x0 = data[draws.integers(0, len(data), config.batch)]
        return LossTerms(velocity_loss(net, x0, draws.normal_like(x0), draws.uniform(config.batch)), {})

    learned = fit(MLP(width=48, depth=3, frequencies=2), loss_fn, config, tmp_path, seed=0).net
    t = torch.rand(50_000)
    x_t = chord(flow.sample(50_000), torch.randn(50_000, 2), t)
    exact = flow(x_t, t)
    with torch.no_grad():
        error = (learned(x_t, t) - exact).norm() / exact.norm()
    assert error <= 0.05
