"""Exercises of lesson 02: pairs that do not cross, what they cost, what straightness measures and buys."""

import torch

from traflow_lib.evaluation.geometry import straightness
from traflow_lib.experiments import recipes
from traflow_lib.flow import GaussianFlow, chord
from traflow_lib.pairs import sample_noise
from traflow_lib.solvers import CALLS_PER_STEP, solve

from .checking import asked, check_number, check_tensor
from .exercise import Exercise, Wrong


def _without_crossing(function) -> None:
    generator = torch.Generator().manual_seed(0)
    for n in (9, 40):
        x1, x0 = torch.randn(n, generator=generator), 3 * torch.randn(n, generator=generator).double()
        place, data = x1.argsort().argsort(), x0.sort().values
        found = asked(function, x1, x0.clone())
        known = {
            "Nothing has changed. Do these chords not cross?": x0,
            "The data are in order now, but the noises are not: who comes first on both sides?": data,
            "Every chord crosses every other one: the order is turned round.": data.flip(0)[place],
            "x1.argsort() says which noise is the first, the second ...; not which place a noise has.": (
                data[x1.argsort()]
            ),
            "This belongs to the noises in order; x1 is not to be moved.": x0[x1.argsort()],
        }
        if isinstance(found, torch.Tensor) and found.shape == x0.shape:
            if not torch.equal(found.sort().values.double(), data):
                raise Wrong("These are other data. Only their order may change.")
            crossed = ((x1[:, None] - x1) * (found[:, None] - found) < 0).sum().item() // 2
            known[f"{crossed} pairs of these chords still cross."] = found
        check_tensor(found, data[place], known)


def _break_even(answer) -> None:
    recipe = recipes.load("02_reflow_and_straightness", "laptop")
    pairs, train = recipe["pairs"], recipe["student"]["train"]
    each = pairs["steps"] * CALLS_PER_STEP[pairs["method"]]
    seen, solved = train["steps"] * train["batch"], pairs["n"] * each
    training = 3 * seen
    known = {
        "The student is not free: its own call is a cost of every sample.": (solved + training) / 32,
        "This pays for the training only. Where do the pairs come from?": training / 31,
        "This pays for the pairs only. The student has to be trained, too.": solved / 31,
        "A step of training is more than a forward pass.": (solved + seen) / 31,
        "RK4 looks several times a step.": (pairs["n"] * pairs["steps"] + training) / 31,
        "This is the cost in calls. After how many samples is it saved?": solved + training,
    }
    check_number(answer, (solved + training) / 31, known, within=5e-3)


def _straightness(answer) -> None:
    flow, one = GaussianFlow(torch.zeros(1).double(), torch.eye(1).double()), torch.ones(1, 1).double()
    # paths are multiples of one another, and the mean of a noise's square is 1
    right = straightness(torch.stack([flow.jump(one, 1.0, s) for s in torch.linspace(1, 0, 201).tolist()]))
    known = {
        "Every sample ends where it began, so its chord is a point. But does it stand still on the way?": 0,
        "This is the floor of the loss on random chords. The paths of the flow are another thing.": 2 - right,
        "This is the mean square of x_1 - x_0 on random chords. Take the paths of the flow.": 2,
        "This is the root of it. Straightness is a mean square.": right**0.5,
    }
    check_number(answer, right, known, within=0.03)


def _one_step_by_luck(function) -> None:
    t = torch.linspace(1, 0, 401).double()
    found = asked(function, t)
    if not isinstance(found, torch.Tensor) or found.shape != t.shape:
        raise Wrong("A tensor of one velocity for each time is asked for.")
    if not torch.allclose(torch.cat([function(one) for one in t.split(1)]), found, atol=1e-6):
        raise Wrong("Asked about one time alone, it gives another velocity than among others.")

    def velocity(x, at):
        return function(at)[:, None].expand_as(x)

    start = torch.zeros(1, 1).double()
    path = solve(velocity, start, method="rk4", steps=400, keep_path=True).path
    one, two = (solve(velocity, start, method="euler", steps=steps).x - path[-1] for steps in (1, 2))
    if (found - found.mean()).abs().max() < 0.01:
        raise Wrong("This is an even travel: straightness is 0, and every number of steps is exact.")
    if one.abs() > 0.01:
        ends, real = (round((end + path[-1]).item(), 3) + 0.0 for end in (one, 0))
        raise Wrong(
            f"From 0, one Euler step ends at {ends:g}, the path at {real:g}. When does the step look?"
        )
    if two.abs() < 0.01:
        raise Wrong("One step is exact, and so are two. Where does the second of the two look?")
    if straightness(path) < 0.01:
        raise Wrong("Nearly even: make the swings larger.")


def _field_after_reflow(function) -> None:
    for n, dim in ((6, 2), (1, 3)):
        mean, var = torch.linspace(-1, 2, dim).double(), torch.linspace(0.3, 3, dim).double()
        x1, t = sample_noise(7, 0, n, (dim,)).double(), torch.linspace(0.15, 0.85, n).double()
        flow, by, std = GaussianFlow(mean, var.diag()), t[:, None], var.sqrt()
        x0 = flow.jump(x1, 1.0, 0.0)
        z, right = chord(x0, x1, t), x1 - x0
        wide = (z - (1 - by) * mean) / (by + (1 - by) * var)
        known = {
            "This is the first flow's field. Its chords cross; those of its pairs do not.": flow(z, t),
            "The sign is turned round: dx/dt points towards the noise.": -right,
            "The pairs have stretched the noise by too much or too little: variance, or its root?": (
                (1 - var) * wide - mean
            ),
            "At t = 1 this is right. Below it, z is not the noise that the chord comes from.": (
                (1 - std) * z - mean
            ),
            "The mean of the data is missing: where does the average chord go?": right + mean,
            "The times are exchanged: at t = 1 the state is noise.": (
                (1 - std) * (z - by * mean) / (1 - by + by * std) - mean
            ),
        }
        check_tensor(asked(function, z, t, mean, var), right, known)


_SORT = "def without_crossing(x1, x0):\n    return ..."

_COST = """pairs = 50_000 * 24 * 4
training = 3 * 1_200 * 512
samples = (pairs + training) / (32 - 1)"""

_PATHS = """import torch
from traflow_lib.evaluation.geometry import straightness
from traflow_lib.flow import GaussianFlow
from traflow_lib.solvers import solve

flow = GaussianFlow(torch.zeros(1), torch.eye(1))
noise = torch.ones(1, 1)  # the field is linear, and the mean of a noise's square is 1
path = solve(flow, noise, method="rk4", steps=50, keep_path=True).path
value = straightness(path)"""

_SPEED = "import torch\n\ndef speed(t):\n    return ..."

_AFTER = """def reflowed(z, t, mean, var):
    t, std = t[:, None], var.sqrt()
    x1 = (z - (1 - t) * mean) / (t + (1 - t) * std)
    return x1 - (mean + std * x1)"""

EXERCISES = [
    Exercise(
        number="02.1",
        grade="warm-up",
        title="Pairs on a line that do not cross",
        text="""On a line there is exactly one way to pair given noises with given data so that **no**
chords cross. Write a function of the noises `x1 [n]` and data `x0 [n]` that gives `x0` in another order:
the `i`-th is to be paired with the `i`-th of `x1`, which stays as it is.""",
        starter=_SORT,
        answer="without_crossing",
        check=_without_crossing,
        solution=_SORT.replace("...", "x0.sort().values[x1.argsort().argsort()]"),
        wrong={
            "data by themselves": ("x0.sort().values", "the noises are not"),
            "the other order": ("x0.sort().values[(-x1).argsort().argsort()]", "every other"),
            "order for place": ("x0.sort().values[x1.argsort()]", "which place"),
            "nothing done": ("x0", "Nothing has changed"),
            "the noises": ("x1.double()", "other data"),
        },
        hints=(
            "The smallest noise gets the smallest data point, and so on.",
            "How many noises are smaller than this one? That is its place. (Twice `argsort` says it, too.)",
        ),
    ),
    Exercise(
        number="02.2",
        grade="warm-up",
        title="When distillation has paid for itself",
        text="""This lesson's one-step student needs 50,000 pairs (RK4, 24 steps each) and 1,200 training
steps with a batch of 512. Each of its samples then takes one call instead of the teacher's **32 Euler
steps**. After how many samples has it paid for itself? Count as in section 6: in network calls.""",
        starter="samples = ...",
        answer="samples",
        check=_break_even,
        solution=_COST,
        wrong={
            "the student for nothing": ("(32 - 1)", "32", "not free"),
            "no backward pass": ("3 * ", "", "forward pass"),
            "one call a step of RK4": (" * 4", "", "RK4"),
            "no pairs": ("(pairs + training)", "training", "Where do the pairs"),
        },
        hints=(
            "What is paid once, and what is saved with each sample?",
            "A training step counts three calls for each sample of its batch.",
        ),
    ),
    Exercise(
        number="02.3",
        grade="core",
        title="The straightness of paths that come back",
        text="""The data are $\\mathcal N(0, 1)$ on a line, like the noise. The exact flow brings every
sample back to where it began. What is the **straightness** of its paths? By hand or by the library, to
3 %.""",
        starter="value = ...",
        answer="value",
        check=_straightness,
        solution=_PATHS,
        wrong={
            "standing still": ("0.0", "stand still"),
            "the floor": ("3.1416 / 2", "floor"),
            "the root": ("straightness(path)", "straightness(path) ** 0.5", "the root of it"),
            "random chords": ("2", "random chords"),
        },
        hints=(
            "A chord of length 0: straightness is then the mean square of the velocity along the path.",
            "`GaussianFlow`, `solve(..., keep_path=True)` and `straightness` give the number.",
        ),
    ),
    Exercise(
        number="02.4",
        grade="core",
        title="Exact by luck",
        text="""With $v(t) = 1 + \\sin 2\\pi t$ the travel is uneven, and yet one Euler step is exact; so
are two. Find another velocity $v(t)$, the same at all places, for which **one** Euler step from $t = 1$
to $0$ is exact and **two** are not: twice the calls, and worse. The function gets times `t [T]` and returns
the velocity at each, `[T]`.""",
        starter=_SPEED,
        answer="speed",
        check=_one_step_by_luck,
        solution=_SPEED.replace("...", "1 + torch.cos(2 * torch.pi * t) - torch.cos(4 * torch.pi * t)"),
        wrong={
            "the lesson's": ("1 + torch.sin(2 * torch.pi * t)", "so are two"),
            "an even travel": ("torch.ones_like(t)", "even travel"),
            "a cosine": ("1 + torch.cos(2 * torch.pi * t)", "ends at -2"),
            "slow at the noise": ("2 * (1 - t)", "ends at 0"),
        },
        hints=(
            "One step looks at $t = 1$, two at $t = 1$ and $t = \\tfrac12$. What must be equal to what?",
            "Begin with any $v$ that has another value at $\\tfrac12$ than at 1; then mend its average.",
        ),
    ),
    Exercise(
        number="02.5",
        grade="project",
        title="What reflow learns from a Gaussian",
        text="""The data are Gaussian with mean `mean [D]`; their coordinates are independent, with
variances `var [D]`. Take the **pairs** of the exact flow (`GaussianFlow.jump` tells where a noise ends)
and find the field that reflow learns from their chords, at states `z [B, D]` and times `t [B]`. Then
convince yourself that one Euler step on it lands where the first flow does, and that its paths have
straightness 0.""",
        starter="def reflowed(z, t, mean, var):\n    t = t[:, None]\n    return ...",
        answer="reflowed",
        check=_field_after_reflow,
        solution=_AFTER,
        wrong={
            "the sign": ("x1 - (mean + std * x1)", "mean + std * x1 - x1", "sign"),
            "the variance": ("var.sqrt()", "var", "or its root"),
            "the state for the noise": (
                "x1 = (z - (1 - t) * mean) / (t + (1 - t) * std)",
                "x1 = z",
                "At t = 1",
            ),
            "the time direction": ("t, std = t[:, None]", "t, std = 1 - t[:, None]", "exchanged"),
            "the first flow": (
                _AFTER[_AFTER.index("    t, std") :],
                "    from traflow_lib import flow\n    return flow.GaussianFlow(mean, var.diag())(z, t)",
                "first flow's",
            ),
        },
        hints=(
            "Where does the noise $x_1$ end? A Gaussian is only moved and stretched.",
            "No two of these chords meet, so $z$ and $t$ tell the noise $x_1$. Solve for it.",
        ),
    ),
]
