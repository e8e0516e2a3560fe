"""Exercises of lesson 03: the collapsed map, the average velocity, a second call, and how losses shrink."""

import torch

from traflow_lib.flow import GaussianFlow, chord, expand
from traflow_lib.jump import JumpMap
from traflow_lib.objectives.ctm import soft_consistency
from traflow_lib.pairs import sample_noise
from traflow_lib.solvers import solve

from .checking import asked, check_number, check_tensor, number
from .exercise import Exercise, Unanswered, Wrong


def _collapsed(c) -> JumpMap:
    """The map that sends all paths to c."""
    return JumpMap(lambda x, t, s: (x - c) / expand(t.clamp(min=1e-9), x))


def _exact(flow) -> JumpMap:
    """A Gaussian flow's; its F is the velocity itself where s = t."""

    def average(x, t, s):
        gap = expand(s - t, x)
        way = flow.jump(x, t, s) - x
        return torch.where(gap == 0, flow(x, t), way / torch.where(gap == 0, 1.0, gap))

    return JumpMap(average)


def _field_of_the_collapse(function) -> None:
    for n, dim in ((5, 2), (1, 3)):
        c, t = torch.linspace(0.5, 2, dim).double(), torch.linspace(0.7, 0.9, n).double()
        s, x = torch.linspace(0.2, 0.45, n).double(), sample_noise(1, 0, n, (dim,)).double()
        jump = _collapsed(c)
        landing = jump(x, t, s)
        right = (jump(x, t, s + 0.1) - jump(x, t, s - 0.1)) / 0.2  # the map is linear in s
        by = s[:, None]
        known = {
            "The sign is turned round: as s grows, the landing point goes back towards the noise.": -right,
            "How far is it to c, and how much time is left for the way?": landing - c,
            "The times are exchanged: at s = 0 all paths have arrived.": (landing - c) / (1 - by),
            "So a path would end at 0. Where does it end?": landing / by,
        }
        check_tensor(asked(function, landing, s, c), right, known)


def _average_velocity(function) -> None:
    for c in (0.25, 4.0):
        flow = GaussianFlow(torch.zeros(1).double(), c * torch.eye(1).double())
        t = torch.tensor([0.9, 0.7, 1.0, 0.4, 0.6, 0.3]).double()
        s = torch.tensor([0.2, 0.0, 0.5, 0.3, 0.6, 0.3]).double()
        x = sample_noise(2, 0, 6, (1,)).double() + 2
        right, landing, way = _exact(flow).average_velocity(x, t, s), flow.jump(x, t, s), (t - s)[:, None]
        var_t, var_s = (r**2 + (1 - r) ** 2 * c for r in (t[:, None], s[:, None]))
        known = {
            "The sign is turned round: the way is walked from t to s, and s - t is negative.": -right,
            "This is the velocity where the jump begins; the path's velocity changes on the way.": flow(x, t),
            "This is the point where the jump lands. F is the velocity that leads there.": landing,
            "This is the way itself; a velocity is a way by its time.": right * -way,
            "The flow rescales by the ratio of standard deviations; these are variances.": (
                (1 - var_s / var_t) * x / way
            ),
        }
        found = asked(function, x, t, s, c)
        if isinstance(found, torch.Tensor) and found.shape == x.shape:
            check_tensor(found[:4], right[:4], {why: value[:4] for why, value in known.items()})
            if not found[4:].isfinite().all():
                raise Wrong("Right for s < t, but at s = t zero is divided by zero.")
            if not torch.allclose(found[4:].double(), right[4:]):
                raise Wrong("Right for s < t, but not at s = t. What is the average over no time?")
        check_tensor(found, right, known)


def _loss_of_the_collapse(function) -> None:
    for n, dim, intervals in ((40, 2, 24), (1, 3, 5)):
        c, x0 = torch.linspace(0.5, 2, dim), 2 * sample_noise(3, 0, n, (dim,))
        x1, f, losses = sample_noise(4, 0, n, (dim,)), _collapsed(c), []
        for k in range(1, intervals + 1):
            late, early = k / intervals, (k - 1) / intervals
            ends = f(chord(x0, x1, late), late, 0.0), f(chord(x0, x1, early), early, 0.0)
            losses.append((ends[0] - ends[1]).square().mean().item())
        right, first = sum(losses) / intervals, losses[0]
        known = {
            "Neighbours agree, except for one pair. What is known at time 0?": 0,
            "This is the loss in the first interval. The time is drawn from all of them.": first,
            "D takes the mean over the coordinates; this takes their sum.": right * dim,
            "The ends are compared with c; this takes 0 for it.": x0.square().mean().item() / intervals,
        }
        check_number(asked(function, x0, c, intervals), right, known)


def _second_calls(function) -> None:
    jump = JumpMap(lambda x, t, s: torch.cos(x) + expand(t, x) * x)  # no flow, but it depends on both

    def f(x, t):
        return jump(x, t, 0.0)

    def walk(mix=chord, fresh=None, at_one=False):
        x = f(x1, 1.0)
        for s, noise in zip(times, fresh or given):
            x = f(mix(x, noise, s), 1.0 if at_one else s)
        return x

    for n, times in ((5, [0.75, 0.5, 0.25]), (1, [0.5])):
        x1, *given = (sample_noise(seed, 0, n, (2,)) for seed in range(len(times) + 1))
        fresh = iter([*given, x1])  # the library asks for noise at s = 0, too, where its share is 0
        right = jump.sample(x1, len(times) + 1, renoise=lambda fresh=fresh: next(fresh))
        known = {
            "This is the sample of one call.": f(x1, 1.0),
            "The shares are exchanged: s near 1 is nearly all noise.": walk(lambda x, e, s: chord(e, x, s)),
            "Under the noise the sample keeps its full size. Is that on a chord?": walk(
                lambda x, e, s: x + s * e
            ),
            "f is always told that the state is at t = 1.": walk(at_one=True),
            "The old noise is used again, not the fresh one.": walk(fresh=[x1] * len(times)),
            "These are deterministic jumps, straight towards the guess of the end.": jump.sample(
                x1, len(times) + 1
            ),
        }
        check_tensor(asked(function, f, x1, times, given), right, known)


SOLVERS = ("euler", "heun", "midpoint")


def _powers(answer) -> None:
    if not isinstance(answer, dict) or set(answer) != set(SOLVERS):
        raise Wrong(f"A power for each of {', '.join(SOLVERS)} is asked for.")
    if any(power is ... for power in answer.values()):
        raise Unanswered
    answer = {method: number(power) for method, power in answer.items()}
    flow = GaussianFlow(torch.tensor([1.0, -0.5]).double(), torch.tensor([[1.0, 0.7], [0.7, 0.6]]).double())
    exact, x_t, t = _exact(flow), flow.jump(sample_noise(1, 0, 500, (2,)).double(), 1.0, 0.9), 0.9

    def loss(method, gap):
        x_u = solve(flow, x_t, t, t - gap, method=method, steps=1).x
        times = (torch.full((500,), time, dtype=torch.float64) for time in (t, t - gap, 0.2))
        return soft_consistency("l2", exact, exact, x_t, x_u, *times)

    right = {method: round((loss(method, 0.02) / loss(method, 0.01)).log2().item()) for method in SOLVERS}
    orders = {"euler": 1, "heun": 2, "midpoint": 2}
    for why, value in (
        ("These are the orders of a whole walk. Here is one step, and its error is squared.", lambda p: p),
        ("This is how the error of one step falls. The loss squares it.", lambda p: p + 1),
        ("This squares the error of a whole walk. One step is shorter than that.", lambda p: 2 * p),
    ):
        if all(answer[method] == value(order) for method, order in orders.items()):
            raise Wrong(why)
    promised = {method: 2 * (order + 1) for method, order in orders.items()}
    wrong = [method for method in SOLVERS if answer[method] != right[method]]
    if wrong and answer == promised:
        raise Wrong(f"That is what the orders promise. Measure it: on this flow {wrong[0]} does otherwise.")
    if wrong:
        small = answer[wrong[0]] < right[wrong[0]]
        raise Wrong(f"The power for {wrong[0]} is too {'small' if small else 'large'}.")


_FIELD = "def field(x, s, c):\n    return ..."

_AVERAGE = """def average_velocity(x, t, s, c):
    t, s = t[:, None], s[:, None]
    std_t, std_s = ((r**2 + (1 - r) ** 2 * c).sqrt() for r in (t, s))
    # (std_t - std_s) / (t - s), with the difference of squares divided out; blind to s only for c = 0
    return x * (t + s - c * (2 - t - s)) / (std_t * (std_t + std_s))"""

_RIGHT = "x * (t + s - c * (2 - t - s)) / (std_t * (std_t + std_s))"
_NAIVE = "(1 - std_s / std_t) * x / (t - s)"

_LOSS = "def loss(x0, c, N):\n    return ..."

_AGAIN = """def renoised(f, x1, times, noises):
    x = f(x1, 1.0)
    for s, noise in zip(times, noises):
        x = f(s * noise + (1 - s) * x, s)
    return x"""

_MEASURE = """import torch
from traflow_lib.flow import GaussianFlow
from traflow_lib.solvers import solve

flow = GaussianFlow(torch.tensor([1.0, -0.5]).double(), torch.tensor([[1.0, 0.7], [0.7, 0.6]]).double())
x_t = flow.jump(torch.randn(500, 2).double(), 1.0, 0.9)

def loss(method, gap):
    x_u = solve(flow, x_t, 0.9, 0.9 - gap, method=method, steps=1).x
    return (flow.jump(x_t, 0.9, 0.0) - flow.jump(x_u, 0.9 - gap, 0.0)).square().mean()

powers = {m: round((loss(m, 0.02) / loss(m, 0.01)).log2().item()) for m in ("euler", "heun", "midpoint")}
# One step of order p errs by (t - u)^(p + 1). The midpoint rule's such term is zero for Gaussians."""

_GUESS = 'powers = {{"euler": {}, "heun": {}, "midpoint": {}}}'

EXERCISES = [
    Exercise(
        number="03.1",
        grade="warm-up",
        title="Which field does the collapsed map follow?",
        text="""A map with boundary and semigroup follows *some* field:
$\\partial_s G(x, t, s) = w\\bigl(G(x, t, s), s\\bigr)$. Find the $w$ of the collapsed map of section 4,
at landing points `x [B, D]`, times `s [B]` (above 0) and the centre `c [D]`. Of which data is the
collapsed map the exact jump map?""",
        starter=_FIELD,
        answer="field",
        check=_field_of_the_collapse,
        solution=_FIELD.replace("...", "(x - c) / s[:, None]  # the exact field of data that are all at c"),
        wrong={
            "the sign": ("(c - x) / s[:, None]", "towards the noise"),
            "no time": ("x - c", "how much time"),
            "the time direction": ("(x - c) / (1 - s[:, None])", "exchanged"),
            "no centre": ("x / s[:, None]", "Where does it end"),
        },
        hints=(
            "Differentiate $G = \\tfrac st x + (1 - \\tfrac st)\\,c$ by $s$; then put the landing point in.",
            "The first exercise of lesson 01 has met this field.",
        ),
    ),
    Exercise(
        number="03.2",
        grade="core",
        title="The average velocity of a Gaussian",
        text="""The data are $\\mathcal N(0, c)$ on a line. Write the average velocity $F(x, t, s)$ of
the exact flow for states `x [B, 1]`, times `t [B]` and `s [B]` with $s \\le t$, and the variance `c` (a
number). It should hold at $s = t$, too. Then plot it against $s$ for several `c`. For which does it not
depend on $s$?""",
        starter="def average_velocity(x, t, s, c):\n    t, s = t[:, None], s[:, None]\n    return ...",
        answer="average_velocity",
        check=_average_velocity,
        solution=_AVERAGE,
        wrong={
            "the sign": ("return x", "return -x", "sign"),
            "variances": (_RIGHT, _NAIVE, ".sqrt()", "", "these are variances"),
            "the landing": (_RIGHT, "std_s / std_t * x", "lands"),
            "a guard": (_RIGHT, _NAIVE, "(t - s)", "(t - s).clamp(min=1e-6)", "over no time"),
            "zero by zero": (_RIGHT, _NAIVE, "zero is divided"),
        },
        hints=(
            "$F = (G - x)/(s - t)$, and the flow only rescales: $G = x\\,\\sigma(s)/\\sigma(t)$.",
            "At $s = t$ take the velocity there, or get rid of $t - s$: $a - b = (a^2 - b^2)/(a + b)$.",
        ),
    ),
    Exercise(
        number="03.3",
        grade="core",
        title="What collapse costs",
        text="""Consistency distillation punishes the collapsed map hardly at all. Write its expected
loss $\\mathcal L_{\\text{CD}}$, a number, for endpoints `x0 [B, D]`, the centre `c [D]` and `N`
intervals; $k$ is drawn evenly from $1, \\dots, N$. $D$ is the mean squared difference, over samples and
coordinates. Does a finer grid help against collapse?""",
        starter=_LOSS,
        answer="loss",
        check=_loss_of_the_collapse,
        solution=_LOSS.replace("...", "((x0 - c) ** 2).mean() / N  # a finer grid makes collapse cheaper"),
        wrong={
            "the first interval": ("((x0 - c) ** 2).mean()", "in the first interval"),
            "nothing": ("0.0", "except for one"),
            "a sum for a mean": ("((x0 - c) ** 2).sum(1).mean() / N", "their sum"),
            "no centre": ("(x0**2).mean() / N", "takes 0"),
        },
        hints=(
            "For which $k$ do $f(x_{t_k}, t_k)$ and $f(x_{t_{k-1}}, t_{k-1})$ differ at all?",
            "$f(x, 0) = x$, whatever the map. And how often is that $k$ drawn?",
        ),
    ),
    Exercise(
        number="03.4",
        grade="core",
        title="A second call with fresh noise",
        text="""Write the sampler of a consistency model `f(x, t)`: from the noise `x1` to the end; then,
for each time in `times` and with the fresh noise in `noises` that belongs to it, back up to that time
and to the end again.""",
        starter="def renoised(f, x1, times, noises):\n    return ...",
        answer="renoised",
        check=_second_calls,
        solution=_AGAIN,
        wrong={
            "the time direction": ("s * noise + (1 - s) * x", "(1 - s) * noise + s * x", "exchanged"),
            "noise on top": ("(1 - s) * x", "x", "full size"),
            "f at t = 1": ("* x, s)", "* x, 1.0)", "at t = 1"),
            "the old noise": ("s * noise", "s * x1", "old noise"),
            "one call": ("f(x1, 1.0)", "one call"),
        },
        hints=(
            "Back up to time $s$ is a point on the chord of the guess and fresh noise.",
            "$x_s = s\\,\\varepsilon + (1 - s)\\,\\hat x$; what does $f$ have to be told beside it?",
        ),
    ),
    Exercise(
        number="03.5",
        grade="project",
        title="How fast does the soft consistency loss fall?",
        text="""For the *exact* jump map of a `GaussianFlow`, with the exact state $x_u$, the soft
consistency loss is zero. Let **one step** of a solver make $x_u$ instead. The loss then falls like
$(t - u)^p$ as $u$ nears $t$. Find the whole number $p$ for Euler, Heun and the midpoint rule. Think
first, then measure (in double precision), and explain what surprises you.""",
        starter=_GUESS.format("...", "...", "..."),
        answer="powers",
        check=_powers,
        solution=_MEASURE,
        wrong={
            "orders": (_MEASURE, _GUESS.format(1, 2, 2), "of a whole walk. Here"),
            "of a step": (_MEASURE, _GUESS.format(2, 3, 3), "The loss squares it"),
            "orders squared": (_MEASURE, _GUESS.format(2, 4, 4), "One step is shorter"),
            "as promised": (_MEASURE, _GUESS.format(4, 6, 6), "Measure it"),
            "Heun as Euler": (_MEASURE, _GUESS.format(4, 4, 8), "heun is too small"),
        },
        hints=(
            "The exact map decodes a state to its own end: the loss compares the ends of $x_t$ and $x_u$.",
            "Halve $t - u$: by which power of two does the loss fall? Try $t = 0.9$, steps of 0.02 and 0.01.",
        ),
    ),
]
