"""Exercises of lesson 05: what losses want where chords cross or collapse; what chance does to a table."""

import torch

from traflow_lib.flow import GaussianFlow, chord
from traflow_lib.jump import JumpMap

from .checking import asked, check_tensor, close, numbers
from .exercise import Exercise, Wrong
from .ties import podium, told_apart


def _chance(function) -> None:
    for n, rate in ((37, 0.117), (8, 0.05), (3, 0.4)):
        right = (n * rate, 1 - (1 - rate) ** n)
        found = numbers(asked(function, n, rate), 2)
        if all(map(close, found, right)):
            continue
        if not close(found[0], right[0]):
            raise Wrong("The first number: each comparison adds its own chance to what is expected.")
        for why, value in {
            "The second number is a probability, but this can exceed 1: two at once count twice.": (n * rate),
            "The second number is the chance that all of them seem to differ.": rate**n,
            "The second number is the chance that not one seems to differ.": (1 - rate) ** n,
            "The second number leaves out only the case that all of them seem to differ.": 1 - rate**n,
        }.items():
            if close(found[1], value):
                raise Wrong(why)
        raise Wrong(f"The second number is not the chance of at least one, for {n} comparisons.")


def _residual(function) -> None:
    generator = torch.Generator().manual_seed(0)
    for size in (5, 1):
        x0, x1 = torch.randn(2, size, 2, generator=generator, dtype=torch.float64)
        c = torch.tensor([0.7, -0.4], dtype=torch.float64)
        collapsed = JumpMap(lambda x, t, s, c=c: (x - c) / t[:, None])
        for t, u, s in ((0.9, 0.5, 0.2), (1.0, 0.3, 0.1), (0.8, 0.7, 0.0)):
            right = collapsed(chord(x0, x1, t), t, s) - collapsed(chord(x0, x1, u), u, s)
            gap = x0 - c
            known = {
                "Only jumps to 0 agree. One that stops at s > 0 still holds something of x_t.": 0 * x0,
                "This is the jump from u less the jump from t; turn it round.": (-s * gap * (1 / t - 1 / u)),
                "Where is s? The residual must vanish for s = 0, where both jumps end at c.": (
                    gap * (1 / t - 1 / u)
                ),
                "This is of the first jump alone; the second has such a part, too.": s * gap / t,
            }
            check_tensor(
                asked(function, x0, c, t, u, s),
                right,
                known,
                f"For t, u, s = {t}, {u}, {s} the two jumps differ by something else.",
            )


def _crossing(function) -> None:
    z = torch.linspace(-2, 2, 7, dtype=torch.float64)
    for c, u in ((0.3, 0.4), (2.0, 0.7), (1.0, 0.1)):
        flow = GaussianFlow(torch.zeros(1).double(), torch.full((1, 1), c).double())
        slope = flow(torch.ones(1, 1).double(), u).item()  # E[Y | z_u] is this times z_u
        known = {
            "This is E[Y | z_1 = z], which output and velocity want.": z,
            "This takes z_u for z. What is the mean of z_u = u x_1 + (1 - u) x_0, if x_1 = z?": slope * z,
            "This is the mean of z_u. What does the network say there?": u * z,
            "The covariance of Y = x_1 - x_0 with z_u has a minus in it.": (
                (u + (1 - u) * c) / (u**2 + (1 - u) ** 2 * c) * u * z
            ),
            "c is the variance of the data, not its deviation.": (
                (u - (1 - u) * c**2) / (u**2 + (1 - u) ** 2 * c**2) * u * z
            ),
        }
        check_tensor(
            asked(function, z, c, u),
            flow(u * z[:, None], u)[:, 0],
            known,
            f"For c = {c} and u = {u} the mean of the target at z is something else.",
        )


_CHANCE = """def chance(n, rate):
    return ...  # expected number, probability of at least one"""
_RESIDUAL = """def residual(x0, c, t, u, s):
    return ..."""
_HELD = """def held(z, c, u):
    variance = u**2 + (1 - u) ** 2 * c
    slope = (u - (1 - u) * c) / variance
    return slope * u * z"""
_HOLM = """def told_apart(p, level):
    told, n = [False] * len(p), len(p)
    for k, i in enumerate(sorted(range(n), key=p.__getitem__)):
        if p[i] > level / (n - k):
            break
        told[i] = True
    return told"""
_TABLE = """from scipy import stats

errors = {
    "A": [0.52, 0.61, 0.48, 0.70, 0.57],
    "B": [0.54, 0.64, 0.49, 0.73, 0.60],
    "C": [0.59, 0.60, 0.55, 0.69, 0.66],
    "D": [0.60, 0.68, 0.57, 0.78, 0.66],
}


def level(errors):
    """
_PODIUM = (
    _TABLE
    + """first = min(errors, key=lambda name: sum(errors[name]))
    rivals = [name for name in errors if name != first]
    p = {name: stats.ttest_rel(errors[name], errors[first]).pvalue for name in rivals}
    left = sorted(p, key=p.get)
    while left and p[left[0]] <= 0.05 / len(left):
        left.pop(0)
    return {first, *left}"""
)

EXERCISES = [
    Exercise(
        number="05.1",
        grade="warm-up",
        title="Found by chance",
        text="""Say no variant of a table differs from the reference, and a rule still tells two equal
methods apart with probability `rate`. Write what `n` comparisons bring, as if they were independent:
how many are expected to seem to differ, and how probable it is that *at least one* does. (What do 42
variants bring, at a rate of 0.05?)""",
        starter=_CHANCE,
        answer="chance",
        check=_chance,
        solution=_CHANCE.replace("...", "n * rate, 1 - (1 - rate) ** n"),
        wrong={
            "added up": ("n * rate, n * rate", "can exceed 1"),
            "all of them": ("n * rate, rate**n", "that all of them seem"),
            "none": ("n * rate, (1 - rate) ** n", "that not one"),
            "not all": ("n * rate, 1 - rate**n", "leaves out only"),
            "one comparison": ("rate, 1 - (1 - rate) ** n", "The first number"),
        },
        hints=("When does not a single one seem to differ?", "Chances of independent things multiply."),
    ),
    Exercise(
        number="05.2",
        grade="core",
        title="What holds a lonely consistency loss back",
        text=r"""Keep the consistency loss alone, on the chord. Could the student cheat with one
constant answer, $G(x, t, 0) = c$ for all $x$ and $t$? Its network says $F(x, t, s) = (x - c)/t$. Write
what is left of the third residual of section 2, $G(z_t, t, s) - G(z_u, u, s)$ with
$z_t = t\,x_1 + (1 - t)\,\hat x_0$, from `x0` ($\hat x_0$, `[B, 2]`), `c` (`[2]`) and three numbers `t`,
`u`, `s`. The noise drops out.""",
        starter=_RESIDUAL,
        answer="residual",
        check=_residual,
        solution=_RESIDUAL.replace("...", "s * (x0 - c) * (1 / t - 1 / u)"),
        wrong={
            "no residual": ("0 * x0", "stops at s > 0"),
            "the sign": ("s * (x0 - c) * (1 / u - 1 / t)", "turn it round"),
            "without s": ("(x0 - c) * (1 / t - 1 / u)", "Where is s?"),
            "one jump": ("s * (x0 - c) / t", "first jump alone"),
        },
        hints=(
            "Write $G(z_t, t, s)$ as a mixture of $z_t$ and $c$: which share has each?",
            "$z_t / t$ is $x_1$ and a multiple of the data. Take the same away for $u$.",
        ),
    ),
    Exercise(
        number="05.3",
        grade="core",
        title="What consistency wants where chords cross",
        text=r"""Independent pairs on a line: $x_1 \sim N(0, 1)$, $x_0 \sim N(0, c)$, $Y = x_1 - x_0$,
$z_u = u\,x_1 + (1 - u)\,x_0$. The target of the consistency loss holds $F_u = \mathbb E[Y \mid z_u]$.
Write its mean over all pairs through $z_1 = z$, which is
$\mathbb E\bigl[\mathbb E[Y \mid z_u] \mid z_1 = z\bigr]$, for `z` `[B]` and numbers `c` and `u`. (Output and
velocity want $\mathbb E[Y \mid z_1 = z] = z$. For which $c$ is there no quarrel?)""",
        starter="""def held(z, c, u):
    return ...""",
        answer="held",
        check=_crossing,
        solution=_HELD,
        wrong={
            "the other target": ("slope * u * z", "z", "which output and velocity want"),
            "z for z_u": ("slope * u * z", "slope * z", "takes z_u for z"),
            "the mean of z_u": ("slope * u * z", "u * z", "This is the mean of z_u"),
            "the covariance": ("(u - (1", "(u + (1", "has a minus in it"),
            "a deviation": ("    variance", "    c = c**2\n    variance", "not its deviation"),
        },
        hints=(
            r"First $\mathbb E[Y \mid z_u]$ as a multiple of $z_u$; then the mean of $z_u$ given $x_1$.",
            r"Of two centred Gaussians, $\mathbb E[Y \mid z] = z\,\mathrm{Cov}(Y, z) / \mathrm{Var}(z)$.",
        ),
    ),
    Exercise(
        number="05.4",
        grade="core",
        title="Holm's correction",
        text="""Several rivals are compared with the first, each with a p-value. Holm's rule keeps the
chance of *any* false verdict below `level`. Of `n` p-values the smallest must be at most `level / n`, the
next at most `level / (n - 1)`, and so on, the largest at most `level`. The first that is larger than its
bound ends the search: it and all larger ones are not told apart. Return a list with True for each p-value
that is told apart, in the order in which they are given.""",
        starter="""def told_apart(p, level):
    return ...""",
        answer="told_apart",
        check=told_apart,
        solution=_HOLM,
        wrong={
            "no correction": ("level / (n - k)", "level", "against the whole level"),
            "one bound": ("level / (n - k)", "level / n", "against the strictest bound"),
            "no stop": ("break", "continue", "goes on after"),
            "bounds turned round": ("(n - k)", "(k + 1)", "bounds are turned round"),
            "not sorted": ("sorted(range(n), key=p.__getitem__)", "range(n)", "the order they came in"),
            "sorted verdicts": ("told[i] = True", "told[k] = True", "order of the sorted p-values"),
            "level for apart": ("return told", "return [not x for x in told]", "this is turned round"),
        },
        hints=(
            "Sort the places, not the values: then you know whose p you look at.",
            "`sorted(range(n), key=lambda i: p[i])`; start with False for everybody.",
        ),
    ),
    Exercise(
        number="05.5",
        grade="project",
        title="A podium",
        text="""`errors` has the error of each method by seed; all methods of a seed have the same
minibatches and noise. Write the set of names that are **level** with the first, and the first itself:

- The first has the smallest mean.
- Every rival is compared with the first by a two-sided *paired* t-test over the seeds
  (`stats.ttest_rel(a, b).pvalue`).
- **Holm's correction** (exercise 05.4) over the rivals, at 5 %; who is not told apart is level.

Try it on the table. Is the method with the next smallest mean level? And one whose mean is larger?""",
        starter=_TABLE + "return ...",
        answer="level",
        check=podium,
        solution=_PODIUM,
        wrong={
            "not paired": ("ttest_rel", "ttest_ind", "not paired"),
            "no correction": ("0.05 / len(left)", "0.05", "Where is the correction"),
            "one bound": ("0.05 / len(left)", "0.05 / len(p)", "All rivals have the strictest"),
            "one side": ("errors[first])", "errors[first], alternative='greater')", "one side"),
            "its own rival": ("len(left):", "(len(left) + 1):", "among its own rivals"),
            "without the first": ("{first, *left}", "set(left)", "Where is the first"),
            "told apart": ("{first, *left}", "set(p) - set(left)", "that are told apart"),
        },
        hints=(
            "Collect the p-values by name, then sort the names by them.",
            "Strike names off the sorted list from the front, as long as Holm's bound holds.",
        ),
    ),
]
