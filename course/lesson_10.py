"""Exercises of lesson 10: EDM's noise levels, denoiser and grid in this kit's time; guidance."""

import torch
from torch import Tensor

from traflow_lib.flow import GaussianFlow, GaussianMixtureFlow, expand
from traflow_lib.nets.edm import velocity_of_denoiser
from traflow_lib.solvers import solve

from .checking import asked, check_number, check_tensor
from .exercise import Exercise, Wrong


def _time_of(function) -> None:
    for sigma in (0.5, 80.0, 0.002):
        known = {
            "This is the time of the data's share: at t = 1 the state must be noise.": 1 / (1 + sigma),
            "Here the squares of both shares add up to 1; on our chord the shares themselves do.": (
                sigma / (1 + sigma**2) ** 0.5
            ),
            "This is sigma of the time, not the time of sigma.": sigma / abs(1 - sigma),
            "Time ends at 1, and sigma does not.": sigma,
        }
        check_number(asked(function, sigma), sigma / (1 + sigma), known, within=1e-6)


def _denoiser(y: Tensor, sigma: Tensor) -> Tensor:
    """Of a standard normal, scaled by 1/2 and moved by 1, and not linear, so that mistakes show."""
    if not isinstance(sigma, Tensor) or sigma.shape != (len(y),):
        raise Wrong("The denoiser wants a noise level for each sample, of shape [B].")
    share = 0.25 / (0.25 + expand(sigma, y) ** 2)
    return 1 + share * (y - 1) + 0.1 * torch.sin(y)


def _velocity(function) -> None:
    draws = torch.Generator().manual_seed(0)
    for shape in ((5, 2, 3, 3), (1, 4)):
        x, t = torch.randn(shape, generator=draws), 0.05 + 0.9 * torch.rand(shape[0], generator=draws)
        at, sigma, right = expand(t, x), t / (1 - t), velocity_of_denoiser(_denoiser)(x, t)
        data = _denoiser(x / (1 - at), sigma)
        known = {
            "It points towards the data. Ours points towards the noise: v is the mean of x_1 - x_0.": -right,
            "The denoiser was asked about x. It knows states of another scale: y = x_0 + sigma n.": (
                (x - _denoiser(x, sigma)) / at
            ),
            "The denoiser was told our time. It wants its own noise level.": (
                (x - _denoiser(x / (1 - at), t)) / at
            ),
            "It is divided by the noise level. That is EDM's own derivative, by sigma and not by t.": (
                (x - data) / expand(sigma, x)
            ),
            "It is the step to the data, not yet divided by the time that it takes.": x - data,
            "Both terms must be of one scale: x has (1 - t) x_0 in it, and y has x_0.": (
                (x / (1 - at) - data) / at
            ),
        }
        check_tensor(asked(function, _denoiser, x, t), right, known, "This is another field.", within=2e-5)


def _edm_sigmas(n: int, last: float = 0.002, parts: int | None = None, rho: float = 7.0) -> Tensor:
    place = torch.arange(n, dtype=torch.float64) / (parts or n - 1)
    return (80 ** (1 / rho) + place * (last ** (1 / rho) - 80 ** (1 / rho))) ** rho


def _grid(function) -> None:
    zero = torch.zeros(1, dtype=torch.float64)

    def times(sigma: Tensor) -> Tensor:
        return torch.cat([sigma / (1 + sigma), zero])

    for n in (5, 18):
        sigma, found = _edm_sigmas(n), asked(function, n)
        if isinstance(found, Tensor) and found.shape == (n,):
            raise Wrong("n steps have n + 1 times: the last step goes down to the data.")
        known = {
            "These are noise levels, not times: they should lie in [0, 1].": torch.cat([sigma, zero]),
            "Sampling begins at the noise: times fall.": times(sigma).flip(0),
            "The noise levels do not reach 0.002: the first of n is number 0, the last n - 1.": (
                times(_edm_sigmas(n, parts=n))
            ),
            "These are even in sigma itself; then nearly all steps are spent on noise.": (
                times(_edm_sigmas(n, rho=1))
            ),
            "These times are even.": torch.linspace(80 / 81, 0, n + 1, dtype=torch.float64),
        }
        check_tensor(
            found, times(sigma), known, "Begin and end may be right; the times between are not.", 1e-5
        )


MEANS = torch.tensor([[2.0, 0.0], [-1.0, 1.5], [0.5, -2.0]], dtype=torch.float64)
FLOWS = [GaussianFlow(mean, (0.05 + 0.1 * k) * torch.eye(2).double()) for k, mean in enumerate(MEANS)]
ALL = GaussianMixtureFlow(MEANS, torch.stack([(0.05 + 0.1 * k) * torch.eye(2).double() for k in range(3)]))


def _labelled(each: list[Tensor], label: Tensor | None, n: int) -> Tensor:
    if not isinstance(label, Tensor) or label.shape != (n,):
        raise Wrong("A network wants the class of each sample, a tensor [B].")
    return torch.stack(each)[label, torch.arange(n)]


def _field(x: Tensor, t: float | Tensor, label: Tensor | None = None) -> Tensor:
    """The exact velocity of three classes, and of all of them together without a label."""
    return ALL(x, t) if label is None else _labelled([flow(x, t) for flow in FLOWS], label, len(x))


def _guided(function) -> None:
    noise = torch.randn(5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))

    def sample(x: Tensor, label: Tensor, weight: float, steps: int, sign: int = 1) -> Tensor:
        def velocity(x: Tensor, t: Tensor) -> Tensor:
            return sign * ((1 - weight) * _field(x, t) + weight * _field(x, t, label))

        return solve(velocity, x, method="euler", steps=steps).x

    for n, weight, steps in ((5, 2.5, 6), (5, 1.0, 4), (5, 0.0, 4), (1, 1.5, 3)):
        x, label = noise[:n], torch.arange(n) % 3
        found = asked(function, _field, x, label, weight, steps)
        known = {
            "At w = 1 it must be the class's own field, and at w = 0 that of no class. Yours is one ahead.": (
                sample(x, label, 1 + weight, steps)
            ),
            "Class and no class have changed places.": sample(x, label, 1 - weight, steps),
            "The weight changes nothing: this is the class's own field.": sample(x, label, 1.0, steps),
            "A step from t = 1 to t = 0 goes against the velocity.": sample(x, label, weight, steps, -1),
        }
        check_tensor(
            found,
            sample(x, label, weight, steps),
            known,
            f"With w = {weight} it ends somewhere else.",
            within=4e-5,
        )


TIME = """def time_of(sigma):
    return sigma / (1 + sigma)"""

VELOCITY = """def velocity(denoiser, x, t):
    at = t.reshape(-1, *[1] * (x.ndim - 1))
    data = denoiser(x / (1 - at), t / (1 - t))
    return (x - data) / at"""

GRID = """import torch

def times(n):
    place = torch.arange(n, dtype=torch.float64) / (n - 1)
    most, least = 80 ** (1 / 7), 0.002 ** (1 / 7)
    sigma = (most + place * (least - most)) ** 7
    t = sigma / (1 + sigma)
    return torch.cat([t, torch.zeros(1, dtype=t.dtype)])"""

GUIDED = """def guided(field, noise, label, w, steps):
    x = noise
    for k in range(steps):
        t = 1 - k / steps
        without = field(x, t)
        v = without + w * (field(x, t, label) - without)
        x = x - v / steps
    return x"""

EXERCISES = [
    Exercise(
        number="10.1",
        grade="warm-up",
        title="The time of a noise level",
        text=r"""EDM's state is $y = x_0 + \sigma n$, ours is $x_t = (1 - t)\,x_0 + t\,x_1$. At which
time $t$ is our state $(1 - t)$ times a $y$ of the noise level `sigma`?""",
        starter="def time_of(sigma):\n    return ...",
        answer="time_of",
        check=_time_of,
        solution=TIME,
        wrong={
            "time reversed": ("return sigma /", "return 1 /", "must be noise"),
            "variance kept": ("(1 + sigma)", "(1 + sigma**2) ** 0.5", "squares"),
            "the other way": ("(1 + sigma)", "abs(1 - sigma)", "not the time of sigma"),
        },
        hints=(r"Section 2 has $\sigma$ as a function of $t$. Solve it for $t$.",),
    ),
    Exercise(
        number="10.2",
        grade="core",
        title="A denoiser made a velocity",
        text=r"""Somebody gives you a denoiser `denoiser(y, sigma)` of EDM's convention: $D(y, \sigma)$
is the mean of $x_0$, given $y = x_0 + \sigma n$; $y$ has the shape `[B, ...]` and `sigma` the shape
`[B]`. Write our velocity $v(x, t)$, for `x` `[B, ...]` (points or images) and times `t` `[B]` strictly
between 0 and 1.""",
        starter="def velocity(denoiser, x, t):\n    return ...",
        answer="velocity",
        check=_velocity,
        solution=VELOCITY,
        wrong={
            "towards the data": ("(x - data)", "(data - x)", "towards the noise"),
            "not scaled": ("x / (1 - at), t", "x, t", "another scale"),
            "our time for sigma": ("t / (1 - t))", "t)", "own noise level"),
            "divided by sigma": ("(x - data) / at", "(x - data) / (at / (1 - at))", "EDM's own"),
            "two scales": ("(x - data)", "(x / (1 - at) - data)", "one scale"),
            "sigma as images": ("t / (1 - t))", "at / (1 - at))", "[B]"),
        },
        hints=(
            "Two changes go in (of the state and of the noise level), and one comes out.",
            "$v$ is the mean of $x_1 - x_0$, and $x_1 = (x - (1 - t)\\,x_0) / t$.",
        ),
    ),
    Exercise(
        number="10.3",
        grade="core",
        title="EDM's grid in our time",
        text=r"""EDM does not sample on an even grid. Its $n$ noise levels fall from 80 to 0.002, evenly
in $\sigma^{1/7}$:

$$\sigma_i = \left(80^{1/7} + \frac{i}{n-1}\left(0.002^{1/7} - 80^{1/7}\right)\right)^{7},
\qquad i = 0, \dots, n-1,$$

and then comes 0. Return the same grid in our time: `[n + 1]` numbers, from noise to data. (Print it: how
many of its steps lie below $t = 1/2$?)""",
        starter="def times(n):\n    return ...",
        answer="times",
        check=_grid,
        solution=GRID,
        wrong={
            "no last step": ("torch.cat([t, torch.zeros(1, dtype=t.dtype)])", "t", "n + 1 times"),
            "noise levels": ("sigma / (1 + sigma)", "sigma", "not times"),
            "from data to noise": ("t.dtype)])", "t.dtype)]).flip(0)", "times fall"),
            "n parts": ("(n - 1)", "n", "do not reach"),
            "even in sigma": ("(1 / 7)", "1", "** 7", "** 1", "even in sigma"),
        },
        hints=(
            "First the noise levels as the formula has them, then exercise 10.1 for all of them at once.",
        ),
    ),
    Exercise(
        number="10.4",
        grade="project",
        title="Guidance",
        text=r"""A teacher that knows classes and was also trained without them can be *guided*: follow

$$v_w = v_\varnothing + w\,(v_c - v_\varnothing),$$

where $v_c$ is the velocity of the class $c$ and $v_\varnothing$ that of no class. At $w = 1$ this is the
class's own flow; larger weights exaggerate what the class changes. Draw samples by `steps` even Euler
steps from `noise` at $t = 1$ to the data. `field(x, t, label)` gives $v_c$ for classes `label` `[B]`,
`field(x, t)` gives $v_\varnothing$, both at a number `t`. Then take three Gaussians as classes and look:
what does $w = 3$ do to the samples' spread, and what would a student have to be told to learn from such
pairs? (The kit's own teachers were not trained without classes; do not guide them.)""",
        starter="def guided(field, noise, label, w, steps):\n    return ...",
        answer="guided",
        check=_guided,
        solution=GUIDED,
        wrong={
            "one more": ("+ w *", "+ (1 + w) *", "one ahead"),
            "changed places": (
                "v = without + w * (field(x, t, label) - without)",
                "told = field(x, t, label)\n        v = told + w * (without - told)",
                "changed places",
            ),
            "no weight": ("+ w *", "+", "changes nothing"),
            "towards the noise": ("x - v / steps", "x + v / steps", "against the velocity"),
        },
        hints=(
            "Two calls a step, at the same state and the same time.",
            "Check the two simple cases first: $w = 1$ and $w = 0$.",
        ),
    ),
]
