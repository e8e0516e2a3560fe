"""Distances between clouds: shifts have known distances, and exact W2 is an assignment problem."""

import pytest
import torch

from traflow_lib.evaluation.transport import mmd, sliced_wasserstein2, wasserstein2

SHIFT = torch.tensor([3.0, -4.0])


def test_w2_of_a_shifted_cloud_is_the_length_of_the_shift():
    pytest.importorskip("ot")
    x = torch.randn(200, 2)
    assert wasserstein2(x, x + SHIFT) == pytest.approx(5, rel=1e-5) and wasserstein2(x, x) == pytest.approx(
        0, abs=1e-4
    )


@pytest.mark.parametrize("shape", [(2,), (1, 4, 4)])
def test_w2_solves_the_assignment_problem(shape):
    pytest.importorskip("ot")
    assignment = pytest.importorskip("scipy.optimize").linear_sum_assignment
    a, b = torch.randn(50, *shape), 2 * torch.randn(50, *shape) + 1
    cost = (a.flatten(1)[:, None] - b.flatten(1)[None]).double().square().sum(-1).numpy()
    assert wasserstein2(a, b) == pytest.approx(cost[assignment(cost)].mean() ** 0.5, rel=1e-6)


def test_w2_allows_clouds_of_unequal_size():
    pytest.importorskip("ot")
    assert wasserstein2(torch.zeros(3, 2), torch.tensor([[3.0, 0.0], [0.0, 4.0]])) == pytest.approx(12.5**0.5)


@pytest.mark.parametrize("dim", [1, 2, 64])
def test_sliced_w2_of_a_shift_is_its_length_over_root_dimension(dim):
    """Each direction sees the shift's component along it.

    4,096 directions leave about one per cent of sampling error.
    """
    x, shift = torch.randn(50, dim), torch.randn(dim)
    assert sliced_wasserstein2(x, x + shift, projections=4096) == pytest.approx(
        shift.norm().item() / dim**0.5, rel=0.05
    )


def test_sliced_w2_ignores_order_and_repeats_itself():
    a, b = torch.randn(300, 2), torch.randn(300, 2)
    assert (
        sliced_wasserstein2(a, b)
        == sliced_wasserstein2(a, b)
        == pytest.approx(sliced_wasserstein2(a.flip(0), b))
    )
    assert sliced_wasserstein2(a, a.flip(0)) == 0


def test_sliced_w2_of_unequal_clouds_is_refused():
    with pytest.raises(ValueError, match="two clouds of one size"):
        sliced_wasserstein2(torch.zeros(3, 2), torch.zeros(4, 2))


def test_mmd_is_about_zero_for_one_distribution_and_grows_with_a_shift():
    a, b = torch.randn(1500, 2), torch.randn(1500, 2)
    same, near, far = mmd(a, b), mmd(a, b + 0.3), mmd(a, b + 1.0)
    assert abs(same) < 0.01 and 5 * abs(same) < near < far


def test_mmd_is_unbiased():
    """A biased estimate of two samples of 20 would average about 2 * 5 / 20 too high."""
    values = torch.tensor([mmd(torch.randn(20, 2), torch.randn(20, 2)) for _ in range(200)])
    assert abs(values.mean()) <= 4 * values.std() / 200**0.5


def test_mmd_of_two_points_by_hand():
    """Clouds {0, 1} and {0, 1}, one kernel: k(0,1) + k(0,1) - 2 (2 + 2 k(0,1)) / 4."""
    x, k = torch.tensor([[0.0], [1.0]]), torch.tensor(-0.5).exp().item()
    assert mmd(x, x, bandwidths=(1.0,)) == pytest.approx(2 * k - (1 + k))
