"""Exercises of lesson 13: a stranger's time and sign, a second time that starts at zero, an objective."""

from . import checks_13
from .exercise import Exercise

VELOCITY = """def velocity(net, x, t):
    return -net(x, 1 - t)"""

CONVENTION = """import torch

def convention(net, data):
    x0 = data[torch.randint(len(data), (2000,))]
    x1, t = torch.randn_like(x0), 0.1 + 0.8 * torch.rand(len(x0))
    x = t[:, None] * x1 + (1 - t[:, None]) * x0
    loss = {}
    for noise_at, time, turn in ((1, t, 1), (0, 1 - t, -1)):
        out = turn * net(x, time)
        for sign in (1, -1):
            loss[noise_at, sign] = (sign * out - (x1 - x0)).square().mean()
    return min(loss, key=loss.get)"""

TWO_TIMES = """import copy
import torch
from torch import nn

class Student(nn.Module):
    def __init__(self, net, dim):
        super().__init__()
        self.net = copy.deepcopy(net)
        self.more = nn.Sequential(nn.Linear(dim + 2, 32), nn.SiLU(), nn.Linear(32, dim))
        for parameter in self.more[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, x, t, s):
        seen = torch.cat([x, t[:, None], s[:, None]], dim=1)
        return self.net(x, t) + self.more(seen)"""

OBJECTIVE = """from dataclasses import dataclass
from traflow_lib import objectives

@dataclass(frozen=True)
class AsSampled(objectives.Objective):
    weight: float = 1.0

    def __call__(self, student, target, teacher, batch):
        one = student(batch.x1, 1.0, 0.0)
        middle = student(batch.x1, 1.0, 0.5)
        two = student(middle, 0.5, 0.0)
        losses = {"one": (one - batch.x0).square().mean(), "two": (two - batch.x0).square().mean()}
        return objectives.LossTerms.weighted(losses, {"one": 1.0, "two": self.weight})"""

EXERCISES = [
    Exercise(
        number="13.1",
        grade="warm-up",
        title="A stranger's velocity",
        text="""`net(x, time)` was trained elsewhere: its time runs from noise at 0 to data at 1, and it
predicts the derivative of the state by that time. Write our velocity $v(x, t)$ for `x` `[B, ...]` and
`t` `[B]`, without the kit.""",
        starter="def velocity(net, x, t):\n    return ...",
        answer="velocity",
        check=checks_13.velocity,
        solution=VELOCITY,
        wrong={
            "the sign alone": ("1 - t", "t", "at your time"),
            "the time alone": ("-net", "net", "by its own time"),
            "neither": ("-net", "net", "1 - t", "t", "Neither"),
        },
        hints=(r"Let $r = 1 - t$ be its time. What is $dx/dt$, if $dx/dr$ is known?",),
    ),
    Exercise(
        number="13.2",
        grade="core",
        title="Whose time, whose sign?",
        text="""Find out by yourself what `teacher.check` finds. `net(x, time)` gives a velocity, but
nobody says by which time: its noise is at 1 or at 0 (`noise_at`), and its output has to be multiplied by
`sign`, 1 or -1, to be a derivative by **its own** time. `data` are points `[N, D]` as it was trained on.
Return `(noise_at, sign)`: of the four readings the one with the smallest velocity loss on chords between
data and noise.""",
        starter="def convention(net, data):\n    return ...",
        answer="convention",
        check=checks_13.convention,
        solution=CONVENTION,
        wrong={
            "towards the data": ("(x1 - x0)).square", "(x0 - x1)).square", "All signs"),
            "by our time": ("(0, 1 - t, -1)", "(0, 1 - t, 1)", "whose noise is at 0"),
            "at one time": (
                "0.1 + 0.8 * torch.rand(len(x0))",
                "torch.full((len(x0),), 0.5)",
                "several times",
            ),
            "data for noise": ("(1, t, 1), (0, 1 - t, -1)", "(0, t, 1), (1, 1 - t, -1)", "changed places"),
        },
        hints=(
            "Draw noise, data and times, as in a training. The target is the same under all four readings.",
            "For each reading: which time does the network hear, and what does its output say by our time?",
        ),
    ),
    Exercise(
        number="13.3",
        grade="core",
        title="A second time, zero at the start",
        text="""Write a student by hand, for points: `Student(net, dim)` begins with a **copy** of the
teacher's network `net(x, t)`, and `student(x, t, s)` adds to its output a small network of `x`, `t` and
`s`. At step 0 it has to be its teacher for *every* $s$ (so that its first jump is the teacher's Euler
step), and it has to be able to learn: the check trains it for 60 steps. Shapes: `x` `[B, dim]`, `t` and
`s` `[B]`.""",
        starter="""import copy
import torch
from torch import nn

class Student(nn.Module):
    def __init__(self, net, dim):
        super().__init__()
        # the copy, and the small network

    def forward(self, x, t, s):
        return ...""",
        answer="Student",
        check=checks_13.student,
        solution=TWO_TIMES,
        wrong={
            "a random start": ("nn.init.zeros_(parameter)", "nn.init.normal_(parameter)", "At step 0"),
            "a bias": (
                "for parameter in self.more[-1].parameters():\n            nn.init.zeros_(parameter)",
                "nn.init.zeros_(self.more[-1].weight)",
                "the same amount",
            ),
            "zeros everywhere": ("self.more[-1].parameters()", "self.more.parameters()", "Behind zeros"),
            "the teacher itself": ("copy.deepcopy(net)", "net", "changes its teacher"),
            "zero at s = 0 only": (
                "zeros_(p",
                "normal_(p",
                "+ self.more(seen)",
                "+ s[:, None] * self.more(seen)",
                "for every s",
            ),
        },
        hints=(
            "A layer of zeros gives zero, whatever it is fed. Which layer has to be it?",
            "A layer learns from what comes in times the gradient that comes back. When is one of them 0?",
        ),
    ),
    Exercise(
        number="13.4",
        grade="project",
        title="A method that trains what is sampled",
        text=r"""The method of section 7 starts its second jump on the straight line; a student that
samples starts it where its own first jump arrived. Write a method that trains just that: the mean
squared error to $\hat x_0$ of one call, $G(x_1, 1, 0)$, and, times `weight`, that of two calls,
$G(G(x_1, 1, \tfrac12), \tfrac12, 0)$. In the latter the gradient goes through both jumps. Return
`objectives.LossTerms` with the terms `"one"` and `"two"`.

Then put `@objectives.register("as_sampled")` above it, train it as section 7 does, and set it beside
`"mine"`. What does a step cost now? And what could go wrong with it at three calls?""",
        starter=OBJECTIVE[: OBJECTIVE.index("        one = ")] + "        return ...",
        answer="AsSampled",
        check=checks_13.objective,
        solution=OBJECTIVE,
        wrong={
            "on the chord": ("student(batch.x1, 1.0, 0.5)", "(batch.x0 + batch.x1) / 2", "on the chord"),
            "the sampler": (
                "student(batch.x1, 1.0, 0.0)",
                "student.sample(batch.x1, 1)",
                "student(middle, 0.5, 0.0)",
                "student.sample(batch.x1, 2)",
                "no gradient flows",
            ),
            "a detached middle": ("student(middle,", "student(middle.detach(),", "learns nothing"),
            "the target jumps": ("= student(", "= target(", "It is the target"),
            "a sum": (".mean()", ".sum()", "grows with the batch"),
            "told the wrong time": ("(middle, 0.5, 0.0)", "(middle, 1.0, 0.0)", "told that"),
        },
        hints=(
            "Three calls of the student, and no loop. The batch has `x1` and `x0`.",
            "`student(x, t, s)` is the jump $G$ and has a gradient; `student.sample` is for looking.",
        ),
    ),
]
