"""Solvers: orders of convergence on an exact field, and honest counts of network calls."""

import math

import pytest
import torch
from helpers import gaussian, mixture

from traflow_lib.solvers import CALLS_PER_STEP, solve


class Counting:
    """A velocity that counts its calls and remembers the times it was given."""

    def __init__(self, flow):
        self.flow, self.calls, self.times = flow, 0, []

    def __call__(self, x, t):
        self.calls += 1
        self.times.append(t)
        return self.flow(x, t)


@pytest.fixture(scope="module")
def fine():
    """Twenty points of a mixture's flow and where they are at time 0.2, to far more digits than the tests
    need.
    """
    torch.manual_seed(0)
    x = torch.randn(20, 2).double()
    return x, solve(mixture(), x, 1.0, 0.2, method="rk4", steps=150).x


@pytest.mark.parametrize("method, order", [("euler", 1), ("midpoint", 2), ("heun", 2), ("rk4", 4)])
def test_order_of_convergence(method, order, fine):
    """Halving the step divides the error by 2^order.

    On a mixture: on one Gaussian the midpoint rule happens to be of order 3.
    """
    x, exact = fine
    coarse, half = (
        (solve(mixture(), x, 1.0, 0.2, method=method, steps=steps).x - exact).norm().item()
        for steps in (25, 50)
    )
    assert math.log2(coarse / half) == pytest.approx(order, abs=0.25)


@pytest.mark.parametrize(
    "options",
    [{"method": "euler", "steps": 200}, {"method": "heun", "steps": 30}, {"method": "rk4", "steps": 10}],
    ids=lambda o: o["method"],
)
def test_solvers_converge_to_the_closed_form(options):
    flow, x = gaussian(), torch.randn(100, 2).double()
    assert torch.allclose(solve(flow, x, **options).x, flow.jump(x, 1.0, 0.0), atol=3e-2)


@pytest.mark.parametrize("tol", [1e-4, 1e-8])
def test_dopri5_reaches_its_tolerance(tol):
    pytest.importorskip("torchdiffeq")
    flow, x = gaussian(), torch.randn(100, 2).double()
    assert (solve(flow, x, method="dopri5", tol=tol).x - flow.jump(x, 1.0, 0.0)).abs().max() <= 20 * tol


@pytest.mark.parametrize(
    "options",
    [*({"method": m, "steps": 3} for m in CALLS_PER_STEP), {"method": "dopri5", "tol": 1e-4}],
    ids=lambda o: o["method"],
)
def test_nfe_is_the_number_of_calls_made(options):
    if options["method"] == "dopri5":
        pytest.importorskip("torchdiffeq")
    velocity = Counting(mixture())
    assert solve(velocity, torch.randn(5, 2).double(), **options).nfe == velocity.calls > 0


@pytest.mark.parametrize("method, calls", [("euler", 4), ("midpoint", 8), ("heun", 8), ("rk4", 16)])
def test_nfe_of_four_steps(method, calls):
    assert solve(mixture(), torch.randn(5, 2).double(), method=method, steps=4).nfe == calls


def test_every_call_gets_one_time_a_sample():
    velocity = Counting(mixture())
    solve(velocity, torch.randn(5, 2).double(), method="euler", steps=2)
    assert [t.tolist() for t in velocity.times] == [[1.0] * 5, [0.5] * 5]


def test_one_euler_step_is_x_minus_v():
    x = torch.randn(5, 2).double()
    assert torch.allclose(solve(mixture(), x, method="euler", steps=1).x, x - mixture()(x, 1.0))


@pytest.mark.parametrize(
    "options",
    [{"method": "rk4", "steps": 5}, {"method": "dopri5", "tol": 1e-6, "steps": 5}],
    ids=lambda o: o["method"],
)
def test_kept_path_runs_from_start_to_endpoint_on_an_even_grid(options):
    if options["method"] == "dopri5":
        pytest.importorskip("torchdiffeq")
    flow, x = gaussian(), torch.randn(7, 2).double()
    solution = solve(flow, x, keep_path=True, **options)
    assert solution.path.shape == (6, 7, 2) and torch.allclose(
        solution.times, torch.linspace(1, 0, 6).double()
    )
    assert torch.equal(solution.path[0], x) and torch.equal(solution.path[-1], solution.x)
    for state, time in zip(solution.path, solution.times):
        assert torch.allclose(state, flow.jump(x, 1.0, time), atol=1e-2)


def test_path_is_left_out_unless_asked_for():
    assert solve(mixture(), torch.randn(5, 2).double(), method="euler", steps=2).path is None


def test_solving_forwards_undoes_solving_backwards():
    flow, x = mixture(), torch.randn(20, 2).double()
    there = solve(flow, x, 1.0, 0.2, method="rk4", steps=50).x
    assert torch.allclose(solve(flow, there, 0.2, 1.0, method="rk4", steps=50).x, x, atol=1e-5)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"method": "rk5", "steps": 2}, "unknown solver 'rk5'; there are .*dopri5"),
        ({"method": "heun"}, "needs steps="),
        ({"method": "heun", "steps": 0}, "needs steps="),
        ({"method": "heun", "steps": 2, "tol": 1e-3}, "takes no tol="),
        ({"method": "dopri5", "steps": 2}, "needs tol="),
    ],
)
def test_wrong_solver_settings_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        solve(mixture(), torch.randn(5, 2).double(), **options)


@pytest.mark.parametrize("method, told", [("dopri5", {"tol": 1e-2}), ("heun", {"steps": 2})])
def test_an_adaptive_solver_alone_keeps_float32_whole(method, told):
    before, seen = torch.backends.cudnn.allow_tf32, set()

    def velocity(x, t):
        seen.add(torch.backends.cudnn.allow_tf32)
        return -x

    solve(velocity, torch.ones(2, 1), method=method, **told)
    assert seen == {False if method == "dopri5" else before}
    assert torch.backends.cudnn.allow_tf32 == before
