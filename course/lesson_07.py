"""Exercises of lesson 07: what a schedule costs, the mirror in the ruler, averages in bf16, steepness."""

import torch

from traflow_lib.flow import GaussianMixtureFlow
from traflow_lib.solvers import CALLS_PER_STEP, solve

from .checking import asked, check_number, check_tensor
from .exercise import Exercise, Wrong


def _days(function) -> None:
    for pairs, steps, macs, share in ((66_560_000, 18, 9.3e9, 0.25), (1e6, 5, 2e8, 1.0)):
        right = pairs * steps * CALLS_PER_STEP["heun"] * 2 * macs / (989e12 * share) / 86400
        known = {
            "This is half of it. Two things come in pairs here, and one of them is missing.": right / 2,
            "This is a quarter of it: one step of Heun is more than one call, and one multiply-accumulate "
            "more than one operation.": right / 4,
            "A GPU that reaches less of its peak takes longer, not shorter.": right * share**2,
            "These are hours.": 24 * right,
            "These are seconds.": 86400 * right,
        }
        check_number(asked(function, pairs, steps, macs, share), right, known)


def _moments(function) -> None:
    draws = torch.Generator().manual_seed(0)
    for dim in (4, 3):
        x, turn = (torch.randn(n, dim, generator=draws, dtype=torch.float64) for n in (50, dim))
        x = x @ turn + 1
        mirror = torch.eye(dim, dtype=torch.float64).flip(0)
        m, c = x.mean(0), torch.cov(x.T, correction=0)
        both = torch.cat([x, x @ mirror.T])
        within, gap = (c + mirror @ c @ mirror.T) / 2, m - mirror @ m
        found = asked(function, m, c, mirror)
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            raise Wrong("Two things are asked for, the mean and the covariance.")
        check_tensor(
            found[0],
            both.mean(0),
            {"The mirrored half has another mean than the real one.": m},
            "The mean is not that of both halves together.",
            within=1e-5,
        )
        spread = "The two halves have different means, and the spread between these is {}."
        check_tensor(
            found[1],
            torch.cov(both.T, correction=0),
            {
                spread.format("missing"): within,
                spread.format("too large"): within + torch.outer(gap, gap),
                spread.format("too large by a factor of two"): within + torch.outer(gap, gap) / 2,
                "A covariance has two sides, and both are mirrored.": (c + mirror @ c) / 2
                + torch.outer(gap, gap) / 4,
            },
            "The mean is right, the covariance is not that of the mixed set.",
            within=1e-5,
        )


def _averaged(start: torch.Tensor, weights: torch.Tensor, keep: list[float]) -> torch.Tensor:
    average = start.double()
    for share, row in zip(keep, weights.double()):
        average = share * average + (1 - share) * row
    return average


def _average(function) -> None:
    draws = torch.Generator().manual_seed(0)
    start, weights = torch.tensor([9.0, -5.0]), torch.randn(30, 2, generator=draws)
    warm = [min(0.99, (1 + n) / (10 + n)) for n in range(1500)]
    known = {
        "New and old have changed places.": _averaged(start, weights, [1 - keep for keep in warm]),
        "Most of it is the untrained start still: the warm-up is missing.": _averaged(
            start, weights, [0.99] * 30
        ),
        "The warm-up is one step ahead: the first step has n = 0.": _averaged(start, weights, warm[1:31]),
    }
    right = _averaged(start, weights, warm)
    check_tensor(
        asked(function, start, weights, 0.99), right, known, "In float32 already this is no such average."
    )
    drift = (torch.linspace(1, 2, 1500)[:, None] * torch.tensor([1.0, -1.5])).bfloat16()
    right = _averaged(drift[0], drift, [min(0.999, (1 + n) / (10 + n)) for n in range(1500)])
    found = asked(function, drift[0], drift, 0.999)
    if isinstance(found, torch.Tensor) and (found.double() - right).abs().max() > 0.05:
        raise Wrong(
            "In bf16 it hardly moves: changes this small are rounded away. What must be kept exactly?"
        )
    check_tensor(
        found,
        right,
        {},
        "With weights in bf16 the average is not as exact as float32. Is it rounded at the end?",
        within=1e-3,
    )


def _steepest(function) -> None:
    draws = torch.Generator().manual_seed(1)
    flow = GaussianMixtureFlow(torch.tensor([[2.0, 0.0], [-2.0, 0.0]]), 0.01 * torch.eye(2).expand(2, 2, 2))
    noise = torch.randn(30, 2, generator=draws)
    images = torch.randn(9, 2, 3, 3, generator=draws)
    cases = ((noise, solve(flow, noise, method="heun", steps=16).x), (images, images.tanh() + images**3))
    for x1, x0 in cases:
        a, b = (torch.cdist(x.flatten(1).double(), x.flatten(1).double()) for x in (x1, x0))
        different = ~torch.eye(len(x1), dtype=torch.bool)
        ratio, nearest = (b / a)[different], a[different].argmin()
        found = asked(function, x1, x0)
        if isinstance(found, (float, torch.Tensor)) and torch.as_tensor(found).isnan().any():
            raise Wrong("A sample and itself are at distance 0 both times: 0/0.")
        known = {
            "This is the ratio turned round: noise over images.": (1 / ratio).max().item(),
            "This is the ratio of the two closest noises; some pair is steeper.": ratio[nearest].item(),
            "This is the square of it.": ratio.max().item() ** 2,
            "This is the mean over all pairs.": ratio.mean().item(),
        }
        check_number(found, ratio.max().item(), known)


DAYS = """def days(pairs, steps, macs, share):
    operations = pairs * 2 * steps * 2 * macs
    return operations / (share * 989e12) / 86400"""

MIXED = """import torch

def mixed(m, C, M):
    mean = (m + M @ m) / 2
    half = (m - M @ m) / 2
    cov = (C + M @ C @ M.T) / 2 + torch.outer(half, half)
    return mean, cov"""

AVERAGE = """def average(start, weights, d):
    a = start.float()
    for n, w in enumerate(weights):
        keep = min(d, (1 + n) / (10 + n))
        a = keep * a + (1 - keep) * w
    return a"""

STEEPEST = """import torch

def steepest(noise, images):
    between_noises, between_images = (torch.pdist(x.flatten(1)) for x in (noise, images))
    return (between_images / between_noises).max().item()"""

EXERCISES = [
    Exercise(
        number="07.1",
        grade="warm-up",
        title="How long the pairs take",
        text="""A training learns from `pairs` pairs, each solved by `steps` steps of Heun. One call of
the teacher takes `macs` multiply-accumulates. A GPU's data sheet promises 989e12 operations a second, of
which the `share` is reached (0.25: a quarter). How many **days** does the teacher work?""",
        starter="def days(pairs, steps, macs, share):\n    return ...",
        answer="days",
        check=_days,
        solution=DAYS,
        wrong={
            "a MAC is one operation": ("2 * macs", "macs", "half of it"),
            "Heun calls once, too": ("2 * steps * 2 * macs", "steps * macs", "a quarter of it"),
            "faster at a quarter": ("/ (share * 989e12)", "* share / 989e12", "not shorter"),
            "hours": ("86400", "3600", "hours"),
        },
        hints=(
            "Section 7 counts the same for the whole recipe.",
            "How many calls are in a step of Heun, and how many operations in a multiply-accumulate?",
        ),
    ),
    Exercise(
        number="07.2",
        grade="core",
        title="The moments of a half-mirrored set",
        text="""About half of this teacher's FD has the size of the mirror alone. Where does it come from? Let
the features $f$ of the real images have mean $m$ `[D]` and covariance $C$ `[D, D]`, and let mirroring an
image turn $f$ into $Mf$ (if the features are pixels, $M$ moves each to the other side). Take the set in
which an image and its mirror image are equally frequent. Return its mean and its covariance (of the
distribution: divided by $N$).""",
        starter="def mixed(m, C, M):\n    return ...",
        answer="mixed",
        check=_moments,
        solution=MIXED,
        wrong={
            "within the halves only": (" + torch.outer(half, half)", "", "is missing"),
            "the whole gap for its half": ("M @ m) / 2\n    cov", "M @ m)\n    cov", "too large"),
            "one side mirrored": (" @ M.T", "", "two sides"),
            "the real mean": ("(m + M @ m) / 2", "m", "another mean"),
        },
        hints=(
            "A mixture spreads in two ways: within each half, and between the halves' means.",
            "How far is each half's mean from the common mean?",
        ),
    ),
    Exercise(
        number="07.3",
        grade="core",
        title="A moving average of bf16 weights",
        text=r"""What a training gives you are not its last weights but their moving average. It begins
as `start` `[D]`. After step $n = 0, 1, \dots$, which left the weights $w_n$ (row $n$ of `weights`
`[steps, D]`), it becomes

$$a \leftarrow d_n\, a + (1 - d_n)\, w_n, \qquad d_n = \min\!\left(d,\ \frac{1+n}{10+n}\right).$$

The fraction is the warm-up: it forgets the start quickly. Return the average. If `start` and `weights`
are in bf16, it has to be as good as it is in float32.""",
        starter="def average(start, weights, d):\n    return ...",
        answer="average",
        check=_average,
        solution=AVERAGE,
        wrong={
            "no warm-up": ("min(d, (1 + n) / (10 + n))", "d", "warm-up is missing"),
            "new for old": ("keep * a + (1 - keep) * w", "keep * w + (1 - keep) * a", "places"),
            "kept in bf16": ("start.float()", "start", "hardly moves"),
            "counted from one": ("enumerate(weights)", "enumerate(weights, 1)", "ahead"),
        },
        hints=(
            "Between 1 and 2, bf16 has a number every 1/128. How far does a step move the average?",
            "The weights may stay as they are. What you add them to may not.",
        ),
    ),
    Exercise(
        number="07.4",
        grade="core",
        title="How steep a one-call map must be",
        text=r"""Two noises can lie close to each other, and the teacher's images of them far apart,
since it decides late. A student of one call has to draw both. How steep must it be? Return the largest
ratio

$$\frac{\lVert \hat x_0^{(i)} - \hat x_0^{(j)} \rVert}{\lVert x_1^{(i)} - x_1^{(j)} \rVert}$$

over all pairs of different samples. `noise` and `images` are `[N, D]` or `[N, C, H, W]`.""",
        starter="def steepest(noise, images):\n    return ...",
        answer="steepest",
        check=_steepest,
        solution=STEEPEST,
        wrong={
            "a sample and itself": (
                "torch.pdist(x.flatten(1))",
                "torch.cdist(x.flatten(1), x.flatten(1))",
                "0/0",
            ),
            "turned round": (
                "between_images / between_noises",
                "between_noises / between_images",
                "turned round",
            ),
            "the closest noises": (".max()", "[between_noises.argmin()]", "two closest"),
            "on average": (".max()", ".mean()", "mean over all pairs"),
        },
        hints=(
            "Flatten images first: the distance is over all pixels.",
            "`torch.pdist` and `torch.cdist` have all distances; one of the two has each sample's to itself.",
        ),
    ),
]
