"""The geometry of paths with known shapes, and paired and consistency errors by hand."""

import math

import pytest
import torch
from helpers import ExactAverage, gaussian, random_student

from traflow_lib.evaluation.geometry import curvature, paired_rmse, self_consistency, straightness
from traflow_lib.jump import JumpMap

GRID = torch.linspace(0, 1, 1001, dtype=torch.float64)


def along(progress, shape=(2,)):
    """Paths [T, 5, ...] from random starts to random ends, of which `progress` [T] is covered."""
    start, end = torch.randn(2, 5, *shape).double()
    return start + progress.reshape(-1, 1, *[1] * len(shape)) * (end - start)


@pytest.mark.parametrize("shape", [(2,), (1, 4, 4)])
def test_straight_even_motion_is_straight_and_uncurved(shape):
    path = along(GRID, shape)
    assert straightness(path) == pytest.approx(0, abs=1e-12) and curvature(path) == pytest.approx(0, abs=1e-9)


def test_uneven_speed_on_a_line_bends_nothing_but_is_not_straight():
    """At progress r^2 the velocity is 2r times the chord: straightness is E(2r - 1)^2 = 1/3 of its square."""
    path = along(GRID**2)
    square = (path[-1] - path[0]).square().sum(1).mean().item()
    assert curvature(path) == pytest.approx(0, abs=1e-9) and straightness(path) == pytest.approx(
        square / 3, rel=1e-3
    )


def test_half_circle():
    """Arc over chord is pi/2; at constant speed pi the velocity is off the chord (length 2) by pi^2 - 4 in
    the mean.
    """
    path = torch.stack([torch.cos(math.pi * GRID), torch.sin(math.pi * GRID)], dim=1)[:, None]
    assert curvature(path) == pytest.approx(math.pi / 2 - 1, rel=1e-4)
    assert straightness(path) == pytest.approx(math.pi**2 - 4, rel=1e-4)


def test_direction_of_a_path_does_not_matter():
    path = torch.randn(9, 5, 2)
    assert straightness(path) == pytest.approx(straightness(path.flip(0))) and curvature(
        path
    ) == pytest.approx(curvature(path.flip(0)))


def test_paired_rmse_is_a_length_in_2d_and_a_pixels_error_in_images():
    assert paired_rmse(torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.zeros(2, 2)) == pytest.approx(12.5**0.5)
    assert paired_rmse(torch.full((3, 1, 8, 8), 0.5), torch.zeros(3, 1, 8, 8)) == pytest.approx(0.5)


def test_exact_jump_map_is_consistent_with_itself():
    assert self_consistency(JumpMap(ExactAverage(gaussian())), torch.randn(100, 2).double()) <= 1e-12


def test_self_consistency_compares_two_calls_with_one():
    student, shape = random_student("mlp")
    noise = torch.randn(100, *shape)
    with torch.no_grad():
        expected = paired_rmse(student.sample(noise, 2), student.sample(noise, 1))
    assert self_consistency(student, noise, times=(0.5,)) == pytest.approx(expected) and expected > 0
