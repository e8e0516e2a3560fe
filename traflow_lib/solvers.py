"""ODE solvers for dx/dt = v(x, t), forwards or backwards in time, that count network calls.

Fixed grids (Euler, midpoint, Heun, RK4) are written out because few-step behaviour is what the course is
about; the adaptive dopri5 is torchdiffeq's.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .flow import per_sample
from .nets.precision import full_float32

Method = Literal["euler", "midpoint", "heun", "rk4", "dopri5"]
CALLS_PER_STEP = {"euler": 1, "midpoint": 2, "heun": 2, "rk4": 4}


@dataclass
class Solution:
    """x: endpoint [B, ...]; nfe: calls spent on each sample; path [T, B, ...] at times [T] if asked for."""

    x: Tensor
    nfe: int
    times: Tensor
    path: Tensor | None = None


def _step(velocity, x: Tensor, t: Tensor, h: Tensor, method: str) -> Tensor:
    def v(y, at):
        return velocity(y, per_sample(at, y))

    k1 = v(x, t)
    if method == "euler":
        return x + h * k1
    if method == "midpoint":
        return x + h * v(x + h / 2 * k1, t + h / 2)
    if method == "heun":
        return x + h / 2 * (k1 + v(x + h * k1, t + h))
    k2 = v(x + h / 2 * k1, t + h / 2)
    k3 = v(x + h / 2 * k2, t + h / 2)
    return x + h / 6 * (k1 + 2 * k2 + 2 * k3 + v(x + h * k3, t + h))


@torch.no_grad()
def solve(
    velocity,
    x: Tensor,
    t0: float = 1.0,
    t1: float = 0.0,
    *,
    method: str = "heun",
    steps: int | None = None,
    tol: float | None = None,
    keep_path: bool = False,
) -> Solution:
    """Carry x from time t0 to t1 along dx/dt = velocity(x, t).

    method: euler, midpoint, heun, rk4 (with steps=, an even grid) or dopri5 (with tol= for rtol and atol;
    steps= then only sets how many intervals the kept path has). ValueError on a wrong combination.
    """
    if method == "dopri5":
        if not isinstance(tol, int | float) or not 0 < tol < math.inf:
            raise ValueError(f"dopri5 needs tol=, a number above 0, for example tol=1e-5; it is {tol!r}")
        return _dopri5(velocity, x, t0, t1, tol, steps or 1, keep_path)
    if method not in CALLS_PER_STEP:
        raise ValueError(f"unknown solver '{method}'; there are {', '.join([*CALLS_PER_STEP, 'dopri5'])}")
    if tol is not None or not isinstance(steps, int) or steps < 1:
        given = f"they are {steps!r} and {tol!r}"
        raise ValueError(f"{method} needs steps= (at least 1) and takes no tol=; {given}")
    times = torch.linspace(t0, t1, steps + 1, dtype=x.dtype, device=x.device)
    path = [x]
    for t, t_next in zip(times[:-1], times[1:]):
        x = _step(velocity, x, t, t_next - t, method)
        if keep_path:
            path.append(x)
    return Solution(x, steps * CALLS_PER_STEP[method], times, torch.stack(path) if keep_path else None)


def _dopri5(
    velocity, x: Tensor, t0: float, t1: float, tol: float, intervals: int, keep_path: bool
) -> Solution:
    from torchdiffeq import odeint

    nfe = 0

    def counted(t, y):
        nonlocal nfe
        nfe += 1
        return velocity(y, per_sample(t, y))

    times = torch.linspace(t0, t1, intervals + 1, dtype=x.dtype, device=x.device)
    try:
        with full_float32():
            path = odeint(counted, x, times, rtol=tol, atol=tol, method="dopri5")
    except AssertionError as error:  # torchdiffeq's way to say that its step got too small
        reason = f"the network's output is NaN or infinite, or tol={tol} is below its precision"
        raise ValueError(f"dopri5 gave up ({error}): {reason}") from None
    return Solution(path[-1], nfe, times, path if keep_path else None)
