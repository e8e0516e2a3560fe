"""Exercises of lesson 00: what one Euler step gives, calls of a jump map, measuring instead of looking."""

import torch

from traflow_lib.data import toys
from traflow_lib.evaluation.geometry import paired_rmse
from traflow_lib.flow import GaussianMixtureFlow, expand
from traflow_lib.jump import JumpMap
from traflow_lib.pairs import sample_noise
from traflow_lib.solvers import solve

from .checking import asked, check_number, check_tensor, number
from .exercise import Exercise, Wrong


def _mean_of_a_mixture(function) -> None:
    generator = torch.Generator().manual_seed(0)
    for weights, dim in (([0.4, 0.3, 0.15, 0.1, 0.05], 2), ([0.75, 0.25], 3)):
        means, weights = torch.randn(len(weights), dim, generator=generator), torch.tensor(weights)
        flow = GaussianMixtureFlow(means, 0.01 * torch.eye(dim).expand(len(means), dim, dim), weights)
        right = solve(flow, torch.randn(1, dim, generator=generator), method="euler", steps=1).x[0]
        known = {
            "This gives all modes equal weights; here some have more data than others.": means.mean(0),
            "The sign is turned round: the step from t = 1 to t = 0 goes against the velocity.": -right,
        }
        check_tensor(asked(function, means, weights), right, known)


def _exact_in_one_step(flow) -> None:
    if not isinstance(flow, GaussianMixtureFlow):
        raise Wrong(f"A GaussianMixtureFlow is asked for; this is {type(flow).__name__}.")
    if flow.means.shape[1] != 2:
        raise Wrong("The mixture should live in the plane: means [K, 2] and covs [K, 2, 2].")
    noise = sample_noise(3, 0, 64, (2,)).to(flow.means.dtype)
    one, many = (solve(flow, noise, method="euler", steps=steps).x for steps in (1, 256))
    off = paired_rmse(one, many)
    if off < 1e-3:
        return
    where = f"One step puts every sample on a single point, {off:.2g} away from where its path ends"
    if (flow.means - flow.means.mean(0)).abs().max() > 1e-3:
        raise Wrong(f"{where}. However narrow the modes are, the samples have to part.")
    raise Wrong(f"{where}: the data of your mixture are spread around it.")


class _Bent(torch.nn.Module):
    """Some F that depends on the state and on both times."""

    def forward(self, x, t, s):
        t, s = expand(t, x), expand(s, x)
        return 0.7 * x * t + (1 + s) * torch.cos(x) + t * s


def _two_calls(function) -> None:
    jump, asks = JumpMap(_Bent()), []

    def average(x, t, s):
        asks.append((t, s))
        return jump.average_velocity(x, t, s)

    for noise in (sample_noise(4, 0, 5, (2,)), sample_noise(5, 0, 1, (3, 2)).double()):
        half, other = jump(noise, 1.0, 0.5), noise + 0.5 * average(noise, 1.0, 0.5)
        whole = noise + average(noise, 1.0, 0.5)
        known = {
            "This is what one call gives.": jump(noise, 1.0, 0.0),
            "This has only arrived at t = 1/2.": half,
            "The jumps go the wrong way: towards the data time falls.": other
            + 0.5 * average(other, 0.5, 0.0),
            "F is a velocity. Times which time is it a way?": whole + average(whole, 0.5, 0.0),
            "The second F is asked at t = 1, where the first began.": half - 0.5 * average(half, 1.0, 0.0),
            "The second F is asked about the noise once more.": half - 0.5 * average(noise, 0.5, 0.0),
        }
        asks.clear()
        check_tensor(asked(function, average, noise), jump.sample(noise, 2), known)
        if len(asks) != 2:
            raise Wrong(f"The sample is right, but F was called {len(asks)} times.")


def _off_support(function) -> None:
    for name in ("8gaussians", "25gaussians"):
        toy, n = toys.get(name), 4001
        means, std = toy.flow.means, toy.flow.eigvals[0, 0].sqrt().item()
        angle, out = torch.linspace(0, 99, n), std * torch.linspace(2, 4, n)[:, None]
        x = means[torch.arange(n) % len(means)] + out * torch.stack([angle.cos(), angle.sin()], dim=1)
        apart, right = torch.cdist(x, means) / std, toy.off_support(x)
        line, three, square = ((apart.min(dim=1).values > r).double().mean() for r in (2.576, 3, 9.21))
        known = {
            "This is the share of the samples inside the discs.": 1 - right,
            "This is a number of samples; a share of all is asked for.": right * n,
            "Your radius holds 99 % of a Gaussian on a line. In the plane it holds less.": line,
            "Three standard deviations are near, but they do not hold 99 % in the plane.": three,
            "The discs are far too large. Is the radius still squared?": square,
            "Every sample is outside of some disc. When is it off the support?": 1.0,
            "This counts pairs of a sample and a mode, not samples.": (apart > 3.035).double().mean(),
        }
        check_number(
            asked(function, x, means, std), right, {why: float(value) for why, value in known.items()}
        )


def _fewest_steps(function) -> None:
    flow = GaussianMixtureFlow(torch.tensor([[-1.5, 0.0], [1.5, 1.0]]), 0.09 * torch.eye(2).expand(2, 2, 2))
    noise = sample_noise(6, 0, 100, (2,))
    end = solve(flow, noise, method="rk4", steps=50).x
    apart = [solve(flow, noise, method="euler", steps=steps).x - end for steps in range(1, 25)]

    def first(size):
        return next(steps for steps, one in enumerate(apart, start=1) if size(one) < error)

    for error in (0.6, 0.08):
        right = first(lambda one: one.square().sum(1).mean().sqrt())
        coordinates = "The square of a distance is a sum over the coordinates; this takes their mean."
        known = {
            "The paired error is a root mean square; this takes the mean distance.": (
                first(lambda one: one.norm(dim=1).mean())
            ),
            coordinates: first(lambda one: one.square().mean().sqrt()),
        }
        found = number(asked(function, flow, noise, error))
        if found > right:
            raise Wrong("Fewer steps are enough. Is every number of them tried, beginning with 1?")
        check_number(found, right, known)


_MIXTURE = """import torch
from traflow_lib.flow import GaussianMixtureFlow

flow = GaussianMixtureFlow(torch.tensor([[1.0, -0.5]]), torch.zeros(1, 2, 2))"""

_TWO = """def two_calls(F, x1):
    half = x1 + (0.5 - 1.0) * F(x1, 1.0, 0.5)
    return half + (0.0 - 0.5) * F(half, 0.5, 0.0)"""

_OFF = """import math
import torch

def off_support(x, means, std):
    radius = std * math.sqrt(2 * math.log(100))
    return (torch.cdist(x, means).min(dim=1).values > radius).double().mean().item()"""

_FEWEST = """from traflow_lib.solvers import solve

def fewest_steps(flow, noise, error):
    accurate = solve(flow, noise, method="dopri5", tol=1e-5).x
    steps = 1
    while True:
        apart = solve(flow, noise, method="euler", steps=steps).x - accurate
        if apart.square().sum(1).mean().sqrt() < error:
            return steps
        steps += 1"""

EXERCISES = [
    Exercise(
        number="00.1",
        grade="warm-up",
        title="One Euler step of an unequal mixture",
        text="""A mixture's modes may have unequal weights. Write the point `[D]` where **one** Euler step
from $t = 1$ to $t = 0$ takes *every* noise, as a function of the modes' means `[K, D]` and weights `[K]`
(which add up to 1).""",
        starter="""def one_step(means, weights):
    return ...""",
        answer="one_step",
        check=_mean_of_a_mixture,
        solution="""def one_step(means, weights):
    return weights @ means""",
        wrong={
            "equal weights": ("means.mean(0)", "equal weights"),
            "the sign": ("-(weights @ means)", "sign"),
            "no sum": ("weights[:, None] * means", "shape"),
        },
        hints=(
            "At $t = 1$ the state says nothing about the data. What is the best guess of $x_0$ then?",
            "One Euler step lands on the mean of the data.",
        ),
    ),
    Exercise(
        number="00.2",
        grade="warm-up",
        title="When one Euler step is exact",
        text="""`GaussianMixtureFlow(means, covs)` takes the means `[K, 2]` and covariances `[K, 2, 2]`
of any mixture in the plane. Build one for which a **single** Euler step from $t = 1$ to $t = 0$ takes
every noise exactly to the end of its path.""",
        starter="import torch\nfrom traflow_lib.flow import GaussianMixtureFlow\n\nflow = ...",
        answer="flow",
        check=_exact_in_one_step,
        solution=_MIXTURE,
        wrong={
            "data that are noise already": ("zeros(1, 2, 2)", "eye(2)[None]", "spread"),
            "two narrow modes": (
                "[[1.0, -0.5]]",
                "[[1.0, -0.5], [-1.0, 0.5]]",
                "zeros(1",
                "zeros(2",
                "have to part",
            ),
            "means only": ("torch.zeros(1, 2)", "Tensor"),
        },
        hints=(
            "One step puts every sample on the same point. So where must all the paths end?",
            "A covariance may be zero.",
        ),
    ),
    Exercise(
        number="00.3",
        grade="core",
        title="A sample in two calls",
        text="""A student's network gives the average velocity; here it is a function `F(x, t, s)` of a
state and two numbers. Write the sampler that jumps from $t = 1$ to $\\tfrac12$ and from there to $0$,
with **two** calls of `F`.""",
        starter="def two_calls(F, x1):\n    return ...",
        answer="two_calls",
        check=_two_calls,
        solution=_TWO,
        wrong={
            "the time direction": ("0.5 - 1.0", "1.0 - 0.5", "0.0 - 0.5", "0.5 - 0.0", "wrong way"),
            "the second call at t = 1": ("F(half, 0.5", "F(half, 1.0", "asked at t = 1"),
            "the second call at the noise": ("F(half", "F(x1", "about the noise"),
            "one call": ("x1 - F(x1, 1.0, 0.0)", "one call"),
        },
        hints=(
            "$G(x_t, t, s) = x_t + (s - t)\\,F(x_t, t, s)$. What are $t$ and $s$ in each of the two jumps?",
            "Write $G$ as a function of its own first, and then nest it.",
        ),
    ),
    Exercise(
        number="00.4",
        grade="core",
        title="Off the support",
        text="""Write the **off-support** share of the samples `x [n, 2]`, a number from 0 to 1: the share
that lies outside the discs around the modes `means [K, 2]`. Each disc holds 99 % of a round Gaussian in the
plane, of standard deviation `std`.""",
        starter="import torch\n\ndef off_support(x, means, std):\n    return ...",
        answer="off_support",
        check=_off_support,
        solution=_OFF,
        wrong={
            "the radius on a line": ("math.sqrt(2 * math.log(100))", "2.576", "on a line"),
            "the radius squared": ("math.sqrt(2 * math.log(100))", "9.21", "squared"),
            "outside of any disc": (".min(dim=1).values", ".max(dim=1).values", "some disc"),
            "a sum for a mean": ("mean()", "sum()", "a share of all"),
            "inside": (">", "<=", "inside"),
        },
        hints=(
            "A sample is on the support if it is in *one* of the discs. Which mode is worth looking at?",
            "Of a round Gaussian in the plane a disc of radius $r$ holds $1 - e^{-r^2 / 2\\sigma^2}$.",
        ),
    ),
    Exercise(
        number="00.5",
        grade="core",
        title="How many Euler steps is one call worth?",
        text="""With one call the student of this lesson has a paired error of about 0.064. Write a
function that finds the **smallest** number of Euler steps with which the paired error of a flow, from the
given noise, is below `error`. Then ask it about the teacher, the lesson's noise and 0.064.""",
        starter="\n".join([*_FEWEST.splitlines()[:4], "    return ..."]),
        answer="fewest_steps",
        check=_fewest_steps,
        solution=_FEWEST,
        wrong={
            "a mean distance": ("square().sum(1).mean().sqrt", "norm(dim=1).mean", "mean distance"),
            "a mean for a sum": (".sum(1)", "", "a sum over the coordinates"),
            "doubling": ("+= 1", "*= 2", "Fewer steps"),
        },
        hints=(
            "Try 1, 2, 3 ... and stop at the first number that is good enough.",
            "The paired error is the root of the mean squared distance from `accurate`.",
        ),
    ),
]
