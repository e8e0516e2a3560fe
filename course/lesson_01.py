"""Exercises of lesson 01: exact fields by hand, the floor of the loss, a solver, and a training loop."""

import torch

from traflow_lib.data import toys
from traflow_lib.flow import EmpiricalFlow, GaussianFlow, chord, expand
from traflow_lib.pairs import sample_noise
from traflow_lib.solvers import solve

from .checking import asked, check_number, check_tensor
from .exercise import Exercise, Wrong


def _field_of_a_point(function) -> None:
    for n, dim in ((5, 2), (1, 3)):
        a, t = torch.linspace(-1, 2, dim).double(), torch.linspace(0.3, 0.9, n).double()
        x, by = sample_noise(1, 0, n, (dim,)).double(), t[:, None]
        right = EmpiricalFlow(a[None])(x, t)
        known = {
            "This points from x towards a. The velocity points to where x goes as t grows.": -right,
            "The times are exchanged: t = 0 is data, so there x can only be at a.": (x - a) / (1 - by),
            "At t = 1 this is right. At t = 1/2, how much of its chord lies between a and x?": x - a,
        }
        check_tensor(asked(function, x, t, a), right, known)


def _field_of_a_gaussian(function) -> None:
    for n, dim in ((6, 2), (1, 3)):
        m, c = torch.linspace(-1, 2, dim).double(), torch.linspace(0.3, 3, dim).double()
        x, t = sample_noise(2, 0, n, (dim,)).double(), torch.linspace(0.2, 0.9, n).double()
        by = t[:, None]
        now, there = (1 - by) * m, by**2 + (1 - by) ** 2 * c  # mean and variance at time t
        gain = (by - (1 - by) * c) / there
        other = ((1 - by) - by * c) / ((1 - by) ** 2 + by**2 * c)
        right = GaussianFlow(m, c.diag())(x, t)
        known = {
            "The sign is turned round: dx/dt points towards the noise.": -right,
            "The times are exchanged: at t = 1 the state is noise.": other * (x - by * m) - m,
            "The mean of x_1 - x_0 is missing: where does the average chord go?": gain * (x - now),
            "The state is compared with the origin; the cloud has a centre at time t.": gain * x - m,
            "The state is compared with the data's mean; the centre of the cloud moves.": gain * (x - m) - m,
            "The variance of t x_1 has t squared, and that of (1 - t) x_0 likewise.": (
                (by - (1 - by) * c) / (by + (1 - by) * c) * (x - now) - m
            ),
        }
        check_tensor(asked(function, x, t, m, c), right, known)


def _heun(function) -> None:
    flow, looks = toys.get("8gaussians").flow, []

    def velocity(x, t):
        looks.append(t)
        return flow(x, t)

    slips = {  # where the second look is, in steps; when; the weight of both looks
        "This is Euler: it looks once a step.": (0, 0, 0.5),
        "The second look is at the right place, but at the time where the step began.": (1, 0, 0.5),
        "The second look is at the right time, but at the place where the step began.": (0, 1, 0.5),
        "The two looks are added; the step goes along their average.": (1, 1, 1),
        "This walks away from the data: from t = 1 to 0 every step is negative.": (-1, 1, -0.5),
    }

    def walk(x, steps, place, time, weight):
        for k in range(steps, 0, -1):
            t, h = k / steps, -1 / steps
            first = flow(x, t)
            x = x + weight * h * (first + flow(x + place * h * first, t + time * h))
        return x

    for n, steps in ((6, 4), (1, 7)):
        noise = sample_noise(3, 0, n, (2,))
        right = solve(flow, noise, method="heun", steps=steps)
        known = {why: walk(noise, steps, *slip) for why, slip in slips.items()}
        middle = "This is the midpoint rule: its second look is in the middle of the step."
        known[middle] = solve(flow, noise, method="midpoint", steps=steps).x
        looks.clear()
        check_tensor(asked(function, velocity, noise, steps), right.x, known, within=1e-3)
        if len(looks) != right.nfe:
            raise Wrong(f"The endpoint is right, but {steps} steps took {len(looks)} looks.")


def _floor(answer) -> None:
    flow, t = (
        GaussianFlow(torch.zeros(1).double(), torch.eye(1).double()),
        torch.linspace(0, 1, 2001).double(),
    )
    at_one = flow(torch.ones(2001, 1).double(), t)[:, 0]  # the field is linear in x
    explained = torch.trapezoid(at_one.square() * (t**2 + (1 - t) ** 2), t).item()
    known = {
        "Even the exact field cannot know x_1 and x_0 from a point between them: chords cross.": 0,
        "This is the loss of a field that is zero everywhere. The exact one does better.": 2,
        "This is the mean square of the exact field itself, not of what it misses.": explained,
    }
    check_number(answer, 2 - explained, known, within=0.02)


class _Waves(torch.nn.Module):
    """A small velocity to train: linear in x, with sums of cosines of t as coefficients."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(5 * 3, 2)
        torch.nn.init.zeros_(self.linear.weight)

    def forward(self, x, t):
        waves = torch.cos(torch.pi * t[:, None] * torch.arange(5))
        state = torch.cat([x, torch.ones_like(x[:, :1])], dim=1)
        return self.linear((waves[:, :, None] * state[:, None]).flatten(1))


def _training(function) -> None:
    flow = GaussianFlow(torch.tensor([1.5, -1.0]), torch.tensor([[1.0, 0.5], [0.5, 0.6]]))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = _Waves()
        before = net.linear.weight.detach().clone()
        asked(function, net, flow.sample)
        if torch.equal(before, net.linear.weight):
            raise Wrong("The weights have not moved. Who takes the step?")
        t, x1 = torch.rand(5000), torch.randn(5000, 2)
        x_t = chord(flow.sample(5000), x1, t)
    by = expand(t, x_t)
    exact, learned = flow(x_t, t), net(x_t, t).detach()

    def apart(field):
        return ((learned - field).square().sum() / field.square().sum()).sqrt().item()

    known = {
        "It has learned the exact field's opposite: the chord's velocity points to the noise.": -exact,
        "It has learned the field of the other time: at t = 1 the state must be noise.": flow(x_t, 1 - t),
        "It has learned the opposite of the other time's field: data and noise are exchanged.": -flow(
            x_t, 1 - t
        ),
        "It has learned which noise a state comes from. A velocity is asked for.": x_t + (1 - by) * exact,
    }
    error = apart(exact)
    if error <= 0.05:
        return
    for why, field in known.items():
        if apart(field) < min(0.2, error):
            raise Wrong(why)
    raise Wrong(f"The relative error is {error:.1%}, above 5 %. Is t drawn from all of [0, 1]? Enough steps?")


_GAUSSIAN = """def velocity(x, t, m, c):
    t = t[:, None]
    variance = t**2 + (1 - t) ** 2 * c
    return (t - (1 - t) * c) / variance * (x - (1 - t) * m) - m"""

_HEUN = """def heun(velocity, x, steps):
    h = -1 / steps
    for k in range(steps):
        t = 1 + k * h
        first = velocity(x, t)
        second = velocity(x + h * first, t + h)
        x = x + h / 2 * (first + second)
    return x"""

_TRAIN = """import torch

def train(velocity, sample):
    optimiser = torch.optim.Adam(velocity.parameters(), lr=1e-2)
    for _ in range(300):
        x0 = sample(1024)
        x1, t = torch.randn_like(x0), torch.rand(1024)
        x_t = t[:, None] * x1 + (1 - t[:, None]) * x0
        loss = (velocity(x_t, t) - (x1 - x0)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return velocity"""

_POINT = "def velocity(x, t, a):\n    return ..."

EXERCISES = [
    Exercise(
        number="01.1",
        grade="warm-up",
        title="The field of a single point",
        text="""All data are one and the same point $a$. Write the exact velocity field, as a function of
states `x [B, D]`, their times `t [B]` (above 0) and the point `a [D]`.""",
        starter=_POINT,
        answer="velocity",
        check=_field_of_a_point,
        solution=_POINT.replace("...", "(x - a) / t[:, None]"),
        wrong={
            "the sign": ("(a - x) / t[:, None]", "towards a"),
            "the time direction": ("(x - a) / (1 - t[:, None])", "exchanged"),
            "the state taken for the noise": ("x - a", "At t = 1 this is right"),
        },
        hints=(
            "There is only one chord through $x$ at time $t$. Which noise does it come from?",
            "Solve $x = t\\,x_1 + (1 - t)\\,a$ for $x_1$, and put it into $x_1 - a$.",
        ),
    ),
    Exercise(
        number="01.2",
        grade="core",
        title="The field of a Gaussian",
        text="""The data are Gaussian with mean `m [D]`; their coordinates are independent and have the
variances `c [D]`. Write out the exact velocity at states `x [B, D]` and times `t [B]`, by hand. (The
library's `GaussianFlow(m, c.diag())` is the same field: compare with it.)""",
        starter="def velocity(x, t, m, c):\n    t = t[:, None]\n    return ...",
        answer="velocity",
        check=_field_of_a_gaussian,
        solution=_GAUSSIAN,
        wrong={
            "not centred": ("(x - (1 - t) * m)", "x", "origin"),
            "the time direction": ("t = t[:, None]", "t = 1 - t[:, None]", "exchanged"),
            "no squares": ("t**2 + (1 - t) ** 2 * c", "t + (1 - t) * c", "squared"),
            "the sign": ("return (t", "return m - (t", "* m) - m", "* m)", "sign"),
            "the mean forgotten": ("* m) - m", "* m)", "is missing"),
        },
        hints=(
            "Each coordinate for itself: $u = x_1 - x_0$ and $x_t$ are Gaussian numbers that vary together.",
            "The mean of $u$, plus covariance over variance times ($x_t$ less its mean).",
        ),
    ),
    Exercise(
        number="01.3",
        grade="core",
        title="The floor of the loss",
        text="""The data are normal, $\\mathcal N(0, 1)$, on a line. Which value, one number, does the
velocity loss have for the **exact** field? By hand or by simulation; 2 % are near enough.""",
        starter="floor = ...",
        answer="floor",
        check=_floor,
        solution="""import torch
from traflow_lib.flow import GaussianFlow, velocity_loss

exact = GaussianFlow(torch.zeros(1), torch.eye(1))
floor = velocity_loss(exact, torch.randn(400_000, 1), torch.randn(400_000, 1), torch.rand(400_000))""",
        wrong={
            "a perfect field misses nothing": ("0", "chords cross"),
            "all of the variance": ("2.0", "zero everywhere"),
            "the other part": ("2 - 3.1416 / 2", "of the exact field itself"),
        },
        hints=(
            "`velocity_loss` and `GaussianFlow` can tell it within a second.",
            "By hand: given $x_t$, what variance is left of $u = x_1 - x_0$? Then the mean over $t$.",
        ),
    ),
    Exercise(
        number="01.4",
        grade="core",
        title="Heun",
        text="""Write Heun's method from the noise `x` at $t = 1$ to $0$ in `steps` even steps;
`velocity(x, t)` takes a number $t$. It should agree with `solve(..., method="heun")`, also in what it
costs.""",
        starter="def heun(velocity, x, steps):\n    return ...",
        answer="heun",
        check=_heun,
        solution=_HEUN,
        wrong={
            "the old time": ("first, t + h", "first, t", "at the time where"),
            "the old place": ("x + h * first, t", "x, t", "at the place where"),
            "a sum for a mean": ("h / 2 *", "h *", "are added"),
            "the time direction": ("x + h", "x - h", "away from the data"),
            "three looks": ("(first + second)", "(velocity(x, t) + second)", "looks"),
        },
        hints=(
            "An Euler step tells where the second look is. What is the time there?",
            "The real step goes from the old place along the average of the two looks.",
        ),
    ),
    Exercise(
        number="01.5",
        grade="project",
        title="Train it yourself",
        text="""Write the training loop of this lesson. `velocity(x, t)` is any network, `sample(n)`
draws `n` fresh data points; train the network in place and return it. The check hands you a small one
and a Gaussian, and asks for a relative error of at most 5 %: 300 steps of Adam with 1024 chords will do.
Then train `nets.build(recipe["net"])` on `experiment.data` with it (`from traflow_lib import nets`). How
near do you come to the lesson's own number?""",
        starter="""import torch

def train(velocity, sample):
    optimiser = torch.optim.Adam(velocity.parameters(), lr=1e-2)
    for _ in range(300):
        x0 = sample(1024)
    return ...""",
        answer="train",
        check=_training,
        solution=_TRAIN,
        wrong={
            "the sign of the target": ("x1 - x0)", "x0 - x1)", "opposite: the chord"),
            "data and noise exchanged": (
                "* x1 + (1",
                "* x0 + (1",
                "None]) * x0",
                "None]) * x1",
                "other time: at t = 1",
            ),
            "the noise as the target": ("(x1 - x0)", "x1", "which noise"),
            "no step": ("        optimiser.step()\n", "", "not moved"),
        },
        hints=(
            "The loss is in section 3, line by line: a point on the chord, the chord's velocity, a square.",
            "A step: forget the old gradient, go backwards through the loss, move the weights.",
        ),
    ),
]
