"""Exercises of lesson 00: the flow that needs no training, and what one Euler step gives."""

import torch

from traflow_lib.flow import GaussianMixtureFlow
from traflow_lib.solvers import solve

from .exercise import Exercise, Wrong, asked, not_one_of


def _mean_of_a_mixture(function) -> None:
    generator = torch.Generator().manual_seed(0)
    means, weights = torch.randn(5, 2, generator=generator), torch.tensor([0.4, 0.3, 0.15, 0.1, 0.05])
    covs = 0.01 * torch.eye(2).expand(5, 2, 2)
    noise = torch.randn(4, 2, generator=generator)
    right = solve(GaussianMixtureFlow(means, covs, weights), noise, 1.0, 0.0, method="euler", steps=1).x
    found = asked(function, means, weights)
    if not isinstance(found, torch.Tensor) or found.shape != (2,):
        raise Wrong("A tensor of shape [2] is asked for: one point of the plane.")
    if torch.allclose(found, means.mean(0), atol=1e-4):
        raise Wrong(
            "This is the mean of the modes with equal weights; here some modes have more data than others."
        )
    if torch.allclose(found, -right[0], atol=1e-4):
        raise Wrong("The sign is turned round: a step from t = 1 to t = 0 goes against the velocity.")
    if not torch.allclose(found, right[0], atol=1e-4):
        raise Wrong("One Euler step of this mixture lands somewhere else.")


def _steps(answer) -> None:
    not_one_of(
        answer,
        1,
        {
            "Try fewer. The paths to a single point are straight, and walked at an even speed.": 2,
            "Without a step the noise stays where it is.": 0,
        },
    )


EXERCISES = [
    Exercise(
        number="00.1",
        grade="warm-up",
        title="One Euler step of an unequal mixture",
        text="""A mixture's modes may have unequal weights. Write the point where **one** Euler step from $t = 1$ to $t = 0$
takes *every* noise, as a function of the modes' means `[K, 2]` and weights `[K]` (which add up to 1).""",
        starter="""def one_step(means, weights):
    return ...""",
        answer="one_step",
        check=_mean_of_a_mixture,
        solution="""def one_step(means, weights):
    return weights @ means""",
        mistakes={
            "equal weights": ("def one_step(means, weights):\n    return means.mean(0)", "equal weights"),
            "the other direction": ("def one_step(means, weights):\n    return -(weights @ means)", "sign"),
            "a mode for each weight": (
                "def one_step(means, weights):\n    return weights[:, None] * means",
                "shape",
            ),
        },
        hints=(
            "At t = 1 the state is pure noise and says nothing about the data. What is the best guess of x_0 then?",
            "One Euler step lands on the conditional mean of the data, given x_1.",
        ),
    ),
    Exercise(
        number="00.2",
        grade="warm-up",
        title="A data set of one point",
        text="""All data are one and the same point $a$. How many Euler steps does its flow need to be exact?""",
        starter="steps = ...",
        answer="steps",
        check=_steps,
        solution="steps = 1",
        mistakes={"one too many": ("steps = 2", "fewer"), "none": ("steps = 0", "stays where it is")},
        hints=("Write down x_t = t x_1 + (1 - t) a. Which way does it move, and how fast?",),
    ),
]
