"""distance(): the choices of D by hand."""

import importlib.util
import math

import pytest
import torch

from traflow_lib.objectives.base import distance

A, B = torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.zeros(2, 2)


def test_l2_is_the_mean_square():
    assert distance("l2", A, B).item() == pytest.approx(25 / 4)


def test_l2_divides_the_difference_by_scale():
    assert distance("l2", A, B, scale=torch.tensor([[5.0], [1.0]])).item() == pytest.approx(1 / 4)


@pytest.mark.parametrize("c", [0.03, 1.0])
def test_pseudo_huber_is_taken_of_each_samples_root_mean_square(c):
    assert distance("pseudo_huber", A, B, c=c).item() == pytest.approx(((12.5 + c**2) ** 0.5 - c) / 2)


def test_pseudo_huber_of_equal_inputs_is_zero_with_a_finite_gradient():
    a = A.clone().requires_grad_()
    loss = distance("pseudo_huber", a, A)
    loss.backward()
    assert loss == 0 and a.grad.isfinite().all()


@pytest.mark.parametrize("c", [0.03, 1.0])
def test_cauchy_is_the_logarithm_of_each_samples_mean_square(c):
    assert distance("cauchy", A, B, c=c).item() == pytest.approx(math.log(1 + 12.5 / c**2) / 2)


def test_cauchy_has_the_gradient_of_the_adaptively_weighted_square():
    """MeanFlow's weight: a constant 1 / (r^2 + c^2) a sample."""
    a, b, c = (
        torch.randn(20, 3, dtype=torch.float64).requires_grad_(),
        torch.randn(20, 3, dtype=torch.float64),
        0.3,
    )
    square = (a - b).square().mean(dim=1)
    weighted = (square / (square + c**2).detach()).mean()
    losses = distance("cauchy", a, b, c=c), weighted
    assert torch.allclose(
        *(torch.autograd.grad(loss, a, retain_graph=True)[0] for loss in losses), atol=1e-14
    )


def test_unknown_distance_lists_what_exists():
    with pytest.raises(ValueError, match="unknown distance 'l1'; there are l2, pseudo_huber, cauchy, lpips"):
        distance("l1", A, B)


@pytest.mark.skipif(importlib.util.find_spec("lpips") is not None, reason="lpips is installed")
def test_missing_lpips_says_how_to_get_it():
    with pytest.raises(ImportError, match="pip install lpips"):
        distance("lpips", torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8))
