"""Exercises of lesson 04: a flipped sign, the shares of a batch, and TraFlow's loss by hand."""

import torch
from torch import Tensor, nn

from traflow_lib import objectives
from traflow_lib.batch import Batch, sample_times
from traflow_lib.jump import JumpMap
from traflow_lib.objectives.base import distance
from traflow_lib.randomness import Draws

from .checking import asked, check_tensor, close, numbers
from .exercise import Exercise, Wrong


def _normal(*shape: int, seed: int = 0, dtype=torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def _landing(function) -> None:
    for shape, dtype in (((5, 2), torch.float32), ((1, 3, 4, 4), torch.float64)):
        x1, x0 = (_normal(*shape, seed=seed, dtype=dtype) for seed in (0, 1))
        known = {
            "This is the teacher's own end: where the student lands with the right sign. "
            "(Two signs turned round at once give it too.)": x0,
            "This starts at the data; a sample starts at the noise.": 2 * x0 - x1,
            "This is the change on the way. Where does the sample stand after it?": x1 - x0,
            "This is what the network says. What does the jump make of it?": x0 - x1,
        }
        right = JumpMap(lambda x, t, s, flipped=x0 - x1: flipped)(x1, 1.0, 0.0)
        check_tensor(
            asked(function, x1, x0), right, known, "The jump from 1 to 0 does not land there: put F into G."
        )


def _shares(function) -> None:
    for ends in (0.25, 0.6, 0.9):
        s, _, t = sample_times(100_000, ends, draws=Draws.seeded(0))
        hits = (t == 1).long() + (s == 0).long()
        right = [(hits == k).double().mean().item() for k in (2, 1, 0)]
        found = numbers(asked(function, ends), 3)
        if not close(sum(found), 1, 1e-6):
            raise Wrong(
                f"For ends = {ends} these shares add up to {sum(found):.3g}. "
                "Is a way in which a jump gets into its class left out, or counted twice?"
            )
        if close(found[0], ends):
            raise Wrong("This takes the two draws for one: t = 1 does not bring s = 0 with it.")
        for name, one, other in zip(("whole jumps", "jumps with one end", "other jumps"), found, right):
            if abs(one - other) > 0.006:
                size = "more" if one > other else "fewer"
                raise Wrong(f"With ends = {ends} these are {size} {name} than the kit draws.")


def _pseudo_huber(function) -> None:
    for shape, c in (((6, 2), 0.03), ((3, 1, 4, 4), 0.5), ((1, 8), 1.0)):
        a, b = (_normal(*shape, seed=seed) for seed in (0, 1))
        each = (a - b).flatten(1).square()
        known = {
            "This is the square, which weighs large errors most.": each.mean(),
            "This takes one root for the whole batch; every sample has a distance of its own.": (
                (each.mean() + c**2).sqrt() - c
            ),
            "Here r^2 adds the components up, so that larger images have larger errors.": (
                (each.sum(1) + c**2).sqrt() - c
            ).mean(),
            "Two equal samples are at distance c by this.": (each.mean(1) + c**2).sqrt().mean(),
            "The batch is added up here; a larger batch is no larger error.": (
                (each.mean(1) + c**2).sqrt() - c
            ).sum(),
        }
        right = distance("pseudo_huber", a, b, c=c)
        check_tensor(
            asked(function, a, b, c), right, known, "The formula gives another number for the same samples."
        )


class _Small(nn.Module):
    """A network F(x, t, s) of one layer."""

    def __init__(self, seed: int):
        super().__init__()
        self.w = nn.Parameter(_normal(4, 2, seed=seed))

    def forward(self, x: Tensor, t: Tensor, s: Tensor) -> Tensor:
        return torch.cat([x, t[:, None], s[:, None]], dim=1) @ self.w


def _traflow(function) -> None:
    x1, x0, n, seed = _normal(256, 2, seed=0), _normal(256, 2, seed=1), 48, 4
    r = torch.linspace(0, 1, n + 1)[:, None, None]
    path = (x0 + r * (x1 - x0) + r * (1 - r) * x0**2).transpose(0, 1)
    student, average = JumpMap(_Small(2)), JumpMap(_Small(3))

    def by_the_kit(own=average, **options) -> Tensor:
        batch = Batch(x1, x0, path, draws=Draws.seeded(seed))
        # more short jumps than in the preset
        return objectives.get("traflow", ends=0.1, times="two", **options)(student, own, None, batch).total

    s, _, t = sample_times(len(x1), 0.1, n, "two", Draws.seeded(seed))
    batch, gap = Batch(x1, x0, path), (t - s).clamp(min=0.05)[:, None]
    start = torch.cat([average(x1[:64], 1.0, t[:64]), batch.at(t)[64:]])
    known = {
        "Where are the student's own states? A quarter of the batch has them.": by_the_kit(on_policy=0.0),
        "The whole batch starts from own states here.": by_the_kit(on_policy=1.0),
        "The own states are made by the weights in training; the average is to make them.": (
            by_the_kit(student)
        ),
        "This is the square of r; this form of TraFlow has another distance.": by_the_kit(distance="l2"),
        "The shortest jumps count for too much. What is the smallest number to divide by?": (
            by_the_kit(min_gap=1e-6)
        ),
        "Nothing is divided by t - s, so that short jumps hardly count.": by_the_kit(min_gap=1.0),
        "A jump to s is to be where the teacher is at s, not at the end.": (
            distance("pseudo_huber", student(start, t, s), x0, gap)
        ),
    }
    loss = asked(function, student, average, batch, s, t)
    check_tensor(loss, by_the_kit(), known, "The kit has another loss for the same batch and times.")
    if not getattr(loss, "requires_grad", False):
        raise Wrong("The loss has no gradient, so that nothing can be trained on it.")
    loss.backward()
    if average.net.w.grad is not None:
        raise Wrong("A gradient runs into the moving average. Its states are to be taken as they are (sg).")


_LANDING = """def landing(x1, x0):
    return ..."""
_SHARES = """def shares(ends):
    return ...  # three shares"""
_HUBER = """import torch


def pseudo_huber(a, b, c):
    square = (a - b).flatten(1).square()  # [B, numbers of a sample]
    return ..."""
_TRAFLOW = """import torch


def loss(student, average, batch, s, t):
    x_t, own = batch.at(t), len(t) // 4
    with torch.no_grad():
        first = average(batch.x1[:own], 1.0, t[:own])
    x_t = torch.cat([first, x_t[own:]])
    gap = (t - s).clamp(min=0.05)[:, None]
    square = ((student(x_t, t, s) - batch.at(s)) / gap).square().mean(dim=1)
    return ((square + 0.03**2).sqrt() - 0.03).mean()"""

EXERCISES = [
    Exercise(
        number="04.1",
        grade="warm-up",
        title="A student of the misprint",
        text=r"""The paper prints $\hat x_0 - x_1$ as the target of the velocity. Say a student is
trained on that sign, and learns it perfectly: $F_\phi = \hat x_0 - x_1$ everywhere. Where does its one
call $G_\phi(x_1, 1, 0)$ land? Write it as a function of `x1` and the teacher's end `x0` (tensors of one
shape, `[B, ...]`).""",
        starter=_LANDING,
        answer="landing",
        check=_landing,
        solution=_LANDING.replace("...", "2 * x1 - x0"),
        wrong={
            "the right sign": ("x0", "with the right sign"),
            "from the data": ("2 * x0 - x1", "starts at the noise"),
            "the change": ("x1 - x0", "the change on the way"),
            "the network": ("x0 - x1", "what the network says"),
        },
        hints=(
            "Put this F into the jump from 1 to 0 and count the signs.",
            "A line leads from the data to the noise. The student walks as far as it should, the wrong way.",
        ),
    ),
    Exercise(
        number="04.2",
        grade="core",
        title="Where a batch is spent",
        text="""`traflow` draws $s < t$ anywhere between 0 and 1. Then it sets $t := 1$ with probability
`ends`, and $s := 0$ with probability `ends`, in two draws that do not know of each other. What shares
of the batch does that make, for any `ends`? Return three: the whole jump ($t = 1$ **and** $s = 0$),
exactly one of the two, and neither. (In the preset `ends` is 0.6. How much of its batch is left for
jumps within the path?)""",
        starter=_SHARES,
        answer="shares",
        check=_shares,
        solution=_SHARES.replace("...", "ends**2, 2 * ends * (1 - ends), (1 - ends) ** 2"),
        wrong={
            "one draw": ("ends, 0, 1 - ends", "two draws for one"),
            "one way": ("ends**2, ends * (1 - ends), (1 - ends) ** 2", "add up to"),
            "the rest": ("ends**2, 2 * ends**2, 1 - 3 * ends**2", "than the kit draws"),
        },
        hints=(
            "Draw a table of two rows ($t = 1$ or not) and two columns ($s = 0$ or not).",
            "Two of its four fields belong to 'exactly one'.",
        ),
    ),
    Exercise(
        number="04.3",
        grade="core",
        title="The pseudo-Huber distance",
        text=r"""Write $D = \sqrt{r^2 + c^2} - c$ of two batches `a` and `b` of shape `[B, ...]`, as one
number: $r^2$ is the mean square of the difference *of one sample*, and $D$ is averaged over the batch.""",
        starter=_HUBER,
        answer="pseudo_huber",
        check=_pseudo_huber,
        solution=_HUBER.replace("...", "((square.mean(dim=1) + c**2).sqrt() - c).mean()"),
        wrong={
            "the square": ("square.mean()", "This is the square"),
            "one root": ("(square.mean() + c**2).sqrt() - c", "one root for the whole batch"),
            "a sum": ("((square.sum(dim=1) + c**2).sqrt() - c).mean()", "adds the components up"),
            "no -c": ("(square.mean(dim=1) + c**2).sqrt().mean()", "at distance c"),
            "one a sample": ("(square.mean(dim=1) + c**2).sqrt() - c", "One number"),
        },
        hints=("Two means: one before the root, one after it.", "`mean(dim=1)` is the mean of each sample."),
    ),
    Exercise(
        number="04.4",
        grade="project",
        title="The preset traflow, by hand",
        text=r"""Write the loss of this kit's own form. `batch.at(t)` is the state of the teacher's path
at times `t` (`[B]`), `batch.x1` the noise (`[B, 2]`); the times `s` and `t` are drawn already.

- The first quarter of the batch starts from own states, $x_t = \mathrm{sg}\,G(x_1, 1, t)$, by the
  moving average (`average`, a jump map like `student`); the rest starts from the teacher's.
- Every jump from $t$ to $s$ is compared with the teacher's $x_s$. The difference is divided by $t - s$,
  or by 0.05 where that is smaller.
- The distance is the pseudo-Huber one with $c = 0.03$, averaged over the batch: one number.""",
        starter="""import torch


def loss(student, average, batch, s, t):
    return ...""",
        answer="loss",
        check=_traflow,
        solution=_TRAFLOW,
        wrong={
            "the teacher's states only": ("len(t) // 4", "0", "A quarter of the batch"),
            "own states only": ("len(t) // 4", "len(t)", "The whole batch"),
            "the weights in training": ("average(batch", "student(batch", "the average is to make them"),
            "no stop": ("torch.no_grad()", "torch.enable_grad()", "A gradient runs"),
            "the end": ("batch.at(s)", "batch.x0", "not at the end"),
            "no smallest gap": (".clamp(min=0.05)", "", "shortest jumps"),
            "no gap": (" / gap", "", "short jumps hardly count"),
            "the square": ("((square + 0.03**2).sqrt() - 0.03)", "square", "another distance"),
        },
        hints=(
            "The distance of exercise 04.3 comes back here, on the difference divided by the gap.",
            "`torch.no_grad()` is the sg; `torch.cat` puts the two kinds of start together.",
        ),
    ),
]
