"""Exercises of lesson 11: what few samples, mirrored images and a kept diagonal do to a distance."""

import numpy as np
import torch

from traflow_lib.evaluation.frechet import frechet_distance
from traflow_lib.evaluation.uncertainty import fd_infinity

from .checking import asked, check_number
from .distances import balls, kid
from .exercise import Exercise


def _bias_of_the_mean(function) -> None:
    generator = torch.Generator().manual_seed(0)
    for dim, n in ((3, 10), (8, 600), (1, 2)):
        root = torch.randn(dim, dim, generator=generator, dtype=torch.float64)
        cov = root @ root.T
        trace = cov.trace().item()
        known = {
            "This is the spread of one sample. The mean of n lies nearer to the truth.": trace,
            "This adds all of C up. A squared length has no products of two components in it.": (
                cov.sum().item() / n
            ),
            "This is a length; the formula has its square.": (trace / n) ** 0.5,
            "A deviation falls with the root of n. What does its square do?": trace / n**0.5,
            "This is the mean component. A squared length adds them up.": trace / (n * dim),
            "This falls too fast: n - 1 belongs to the estimate of C, not to the mean.": trace / (n - 1),
        }
        check_number(asked(function, cov, n), trace / n, known)


def _infinity(function) -> None:
    generator = torch.Generator().manual_seed(0)
    for dim, scale in ((4, 1.5), (8, 1.2)):
        features = scale * torch.randn(600, dim, generator=generator, dtype=torch.float64)
        line = fd_infinity(features, torch.zeros(dim), torch.eye(dim))
        n, values = line.n, line.values
        slope, there = np.polyfit(n, values, 1)
        known = {
            "This is a line in n, read off at n = 0: at no samples instead of all.": there,
            "This is the slope of the line in 1/n. Where does the line end?": line.slope,
            "This is a slope, and of the line in n.": slope,
            "This is the distance at the most samples. It still holds the error of so many.": values[0],
            "This is the distance at the fewest samples.": values[-1],
            "This is a mean of distances that are too large on average.": sum(values) / len(values),
            "This line goes through the two ends only. Fit all the points.": (
                (n[0] * values[0] - n[-1] * values[-1]) / (n[0] - n[-1])
            ),
        }
        check_number(asked(function, list(n), list(values)), line.value, known)


def _mirrored(function) -> None:
    for m, v in ((1.0, 4.0), (-0.5, 0.3), (2.0, 1.0)):
        zero, mean = torch.zeros(1), torch.full((1,), m)
        of, mixed = torch.full((1, 1), v), torch.full((1, 1), v + m**2)
        known = {
            "This is the distance to a set whose images are all mirrored; here every other one is.": 4 * m**2,
            "The means are as far apart as this says; but two kinds are spread wider than one.": m**2,
            "This has the spread right, and leaves out that the mean moves.": ((v + m**2) ** 0.5 - v**0.5)
            ** 2,
            "The formula has the difference of deviations here, not of variances.": m**2 + m**4,
            "The two kinds lie 2 m apart: that is m on each side of their mean.": (
                m**2 + ((v + 4 * m**2) ** 0.5 - v**0.5) ** 2
            ),
            "What is perfect for mirrored data is not so for the reference. Where is its mean?": 0,
        }
        check_number(asked(function, m, v), frechet_distance(mean, of, zero, mixed), known)


_BIAS = """def bias_of_the_mean(cov, n):
    return ..."""
_INFINITY = """import numpy as np


def at_infinity(n, values):
    n, values = np.array(n), np.array(values)
    return ..."""
_MIRRORED = """def mirrored(m, v):
    return ..."""
_KID = """import torch


def kid(a, b):
    n, dim = a.shape
    of_a, of_b, between = ((x @ y.T / dim + 1) ** 3 for x, y in ((a, a), (b, b), (a, b)))
    within = of_a.sum() - of_a.trace() + of_b.sum() - of_b.trace()
    return within / (n * (n - 1)) - 2 * between.mean()"""
_BALLS = """import torch


def in_balls(points, centres, k):
    radius = torch.cdist(centres, centres).sort(dim=1).values[:, k]
    inside = torch.cdist(points, centres) <= radius
    return inside.any(dim=1).double().mean()


def precision_and_recall(real, fake, k):
    return in_balls(fake, real, k), in_balls(real, fake, k)"""

EXERCISES = [
    Exercise(
        number="11.1",
        grade="warm-up",
        title="What the mean alone adds",
        text=r"""A perfect generator has the mean $\mu$ and covariance $C$ of the data, and FD 0. From
$n$ samples the mean is known only roughly. How much does its term $\lVert \hat\mu - \mu \rVert^2$ add
to FD on average, for a given `cov` $= C$ `[D, D]` and `n`? (The covariance's error adds more of the same
kind: both have the shape $a/n$.)""",
        starter=_BIAS,
        answer="bias_of_the_mean",
        check=_bias_of_the_mean,
        solution=_BIAS.replace("...", "cov.trace() / n"),
        wrong={
            "one sample": ("cov.trace()", "spread of one sample"),
            "all of C": ("cov.sum() / n", "no products of two components"),
            "a length": ("(cov.trace() / n) ** 0.5", "This is a length"),
            "the root of n": ("cov.trace() / n**0.5", "What does its square do"),
            "a mean": ("cov.diagonal().mean() / n", "mean component"),
        },
        hints=(
            "In one dimension: what is the variance of a mean of n numbers?",
            "A squared length adds up over the components; so do their variances.",
        ),
    ),
    Exercise(
        number="11.2",
        grade="core",
        title="A line in 1/n",
        text="""Write what section 1 does with distances measured at several numbers of samples: fit a
line in $1/n$ by least squares, and read it off where there are infinitely many. `n` and `values` are
lists of the same length; the answer is one number.""",
        starter=_INFINITY,
        answer="at_infinity",
        check=_infinity,
        solution=_INFINITY.replace("...", "np.polyfit(1 / n, values, 1)[1]"),
        wrong={
            "a line in n": ("np.polyfit(n, values, 1)[1]", "at no samples"),
            "the slope": ("np.polyfit(1 / n, values, 1)[0]", "slope of the line in 1/n"),
            "the most samples": ("values[n.argmax()]", "most samples"),
            "a mean": ("values.mean()", "too large on average"),
            "two points": ("(n[0] * values[0] - n[-1] * values[-1]) / (n[0] - n[-1])", "two ends only"),
        },
        hints=(
            "What is $1/n$ for infinitely many samples?",
            "`np.polyfit(x, y, 1)` gives slope and intercept.",
        ),
    ),
    Exercise(
        number="11.3",
        grade="core",
        title="Mirrored data, and a reference that is not",
        text=r"""Training often mirrors every other image, and the reference is not mirrored. Then even
a perfect generator is at a distance. Say one feature is $N(m, v)$ on the images and changes its sign
when an image is mirrored (which way does the nose point?). The generator makes one half of each kind.
Write FD between the two sets from `m` and the variance `v`. FD sees mean and covariance of the mixture
and nothing else.""",
        starter=_MIRRORED,
        answer="mirrored",
        check=_mirrored,
        solution=_MIRRORED.replace("...", "m**2 + ((v + m**2) ** 0.5 - v**0.5) ** 2"),
        wrong={
            "all mirrored": ("4 * m**2", "all mirrored"),
            "means only": ("m**2", "spread wider"),
            "spreads only": ("((v + m**2) ** 0.5 - v**0.5) ** 2", "that the mean moves"),
            "variances": ("m**2 + m**4", "not of variances"),
            "nothing": ("0.0", "not so for the reference"),
        },
        hints=(
            "What are mean and variance of a mixture of $N(m, v)$ and $N(-m, v)$, half and half?",
            "Variance = mean of the squares less square of the mean.",
        ),
    ),
    Exercise(
        number="11.4",
        grade="core",
        title="KID without a bias",
        text=r"""KID is a squared distance of mean kernel features, with the kernel
$k(x, y) = (x \cdot y / D + 1)^3$: the mean of $k$ over pairs of two *different* samples of `a`, plus
the same of `b`, less twice the mean of $k$ over all pairs of one `a` and one `b`. Write it for `a` and
`b` `[n, D]`. (Try two sets of one distribution, many times: the average is 0, and about half of the
values lie below. What if the pairs of a sample with itself stay in?)""",
        starter="""import torch


def kid(a, b):
    return ...""",
        answer="kid",
        check=kid,
        solution=_KID,
        wrong={
            "the diagonals": (
                "of_a.sum() - of_a.trace() + of_b.sum() - of_b.trace()\n    return within / (n * (n - 1))",
                "of_a.sum() + of_b.sum()\n    return within / n**2",
                "diagonals are in it",
            ),
            "number of terms": ("(n * (n - 1))", "n**2", "number of terms"),
            "once": (" - 2 *", " -", "stand in the square twice"),
            "mixed diagonal": (
                "between.mean()",
                "(between.sum() - between.trace()) / (n * (n - 1))",
                "belongs in",
            ),
            "sums": (
                "within / (n * (n - 1)) - 2 * between.mean()",
                "within - 2 * between.sum()",
                "added up here",
            ),
        },
        hints=(
            "`x @ y.T` has all the products; three such tables are needed.",
            "How many pairs of two different samples are there? `trace` adds up the others.",
        ),
    ),
    Exercise(
        number="11.5",
        grade="project",
        title="Precision and recall",
        text="""Write both for features `real` `[N, D]` and `fake` `[M, D]`. The ball of a sample
reaches to its `k`-th nearest *other* sample of its own set. Precision is the share of fake samples that
lie in the ball of some real one; recall is the share of real samples that lie in the ball of some fake
one. Return both, in this order. Then try them: scale the noise of a Gaussian generator down, as section
7 does, then up. Which of the two notices, and when?""",
        starter="""import torch


def precision_and_recall(real, fake, k):
    return ...""",
        answer="precision_and_recall",
        check=balls,
        solution=_BALLS,
        wrong={
            "changed places": (
                "in_balls(fake, real, k), in_balls(real, fake, k)",
                "in_balls(real, fake, k), in_balls(fake, real, k)",
                "changed places",
            ),
            "its own neighbour": ("values[:, k]", "values[:, k - 1]", "its own nearest neighbour"),
            "every ball": ("inside.any(dim=1)", "inside", "Each ball that a sample is in"),
            "shares of balls": ("inside.any(dim=1)", "inside.any(dim=0)", "shares of balls"),
            "in all": ("inside.any(dim=1)", "inside.all(dim=1)", "not in all"),
            "one number": (", in_balls(real, fake, k)", "", "2 numbers"),
        },
        hints=(
            "Write one function of points, centres and k; call it twice.",
            "`torch.cdist(centres, centres)` has a zero in each row: a sample and itself.",
        ),
    ),
]
