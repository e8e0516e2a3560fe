"""Exercises of lesson 06: the ruler, what it does not see, and what calls and images are counted in."""

import torch
from torch import Tensor, nn

from traflow_lib.evaluation.frechet import feature_distance, frechet_distance, mean_and_cov

from .checking import asked, check_number, close, tensor
from .exercise import Exercise, Wrong


def _by_hand(answer) -> None:
    zero, one, four = torch.zeros(1), torch.ones(1, 1), torch.full((1, 1), 4.0)
    mean, first, second = 1.0, 1.0, 4.0
    check_number(
        answer,
        frechet_distance(zero, one, zero + mean, four),
        {
            "One of the two parts is missing: means may differ, and spreads.": mean,
            "This takes the difference of the variances; what is C^(1/2) in one dimension?": (
                mean + (first - second) ** 2
            ),
            "This leaves the root in the last term out.": mean + first + second - 2 * first * second,
            "The last term is missing: equal Gaussians must be at distance 0.": mean + first + second,
            "The last term is there twice over: C_1 C_2 already is a product, and has one root.": (
                mean + first + second - 2 * (first + second)
            ),
            "FD is the square of a distance; no root is taken of it.": 2**0.5,
        },
    )


def _macs(function) -> None:
    for c_in, c_out, kernel, size, calls in ((3, 24, 3, 8, 4), (5, 7, 1, 6, 2), (2, 3, 5, 10, 1)):
        net = nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2)
        out = net(torch.zeros(1, c_in, size, size))
        one = out.numel() * net.weight[0].numel()  # each number put out is a sum of so many products
        known = {
            "These are the weights. Each is used at every pixel.": net.weight.numel(),
            "These are the weights, once a call. Each is used at every pixel.": calls
            * c_out
            * c_in
            * kernel**2,
            "This is one call.": one,
            "These are operations; a product and its sum are one multiply-accumulate.": 2 * calls * one,
            "An output looks at every input channel.": calls * one / c_in,
            "There is an output at every pixel of every output channel.": calls * one / c_out,
            "The image has two sides, and pixels along both.": calls * one / size,
            "The kernel has two sides, and weights along both.": calls * one / kernel,
        }
        check_number(asked(function, c_in, c_out, kernel, size, calls), calls * one, known)


def _another_digit(function) -> None:
    generator = torch.Generator().manual_seed(0)
    for n in (200, 31):
        reference = torch.randn(n, 10, generator=generator)
        scores = reference + 0.8 * torch.randn(n, 10, generator=generator)
        one, other = scores.argmax(dim=1), reference.argmax(dim=1)
        counts = (one.bincount(minlength=10) - other.bincount(minlength=10)).abs().sum().item()
        right = (one != other).double().mean().item()
        known = {
            "This is the share of images with the same digit.": 1 - right,
            "This is a number of images; a share is asked for.": right * n,
            "The scores are compared here, and they are hardly ever equal. Which digit do they mean?": 1.0,
            "This compares how often each digit was drawn, so that two swapped digits go unnoticed.": (
                counts / n
            ),
            "This compares how often each digit was drawn; compare the images pair by pair.": counts
            / (2 * n),
            "The most likely image of each digit is taken; ask for the most likely digit of each image.": (
                (scores.argmax(dim=0) != reference.argmax(dim=0)).double().mean().item()
            ),
        }
        check_number(asked(function, scores, reference), right, known)


def _features() -> Tensor:
    """Features that are no Gaussian: skewed, and with correlations."""
    generator = torch.Generator().manual_seed(0)
    made = torch.rand(600, 6, generator=generator, dtype=torch.float64).clamp(min=1e-6).log().neg()
    return made @ torch.randn(6, 6, generator=generator, dtype=torch.float64) + 3


def _impostor(function) -> None:
    real = _features()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found = tensor(asked(function, real.clone()), real.shape).double()
    if not found.isfinite().all():
        raise Wrong("Some of these numbers are not finite.")
    own = torch.cdist(real, real).fill_diagonal_(torch.inf).min(dim=1).values.median()
    nearest = torch.cdist(found, real).min(dim=1).values
    if (nearest < 1e-9).any():
        raise Wrong("Some of these are the data themselves, copied. Make points that are none of them.")
    if nearest.median() < 0.3 * own:
        raise Wrong("These are the data with a little noise on them. Make points that lie elsewhere.")
    (mean, cov), (other_mean, other) = mean_and_cov(real), mean_and_cov(found)
    total, fd = cov.trace().item(), feature_distance(found, real)
    if fd <= 1e-6 * total:
        return
    share = f"FD is {fd / total:.2g} of the data's variance, not 0."
    if (mean - other_mean).square().sum() > 0.01 * total:
        raise Wrong(f"{share} The means differ.")
    if not close(other.trace().item(), total, 0.2):
        raise Wrong(f"{share} The means agree; the spreads do not.")
    if (cov - other).norm() > 0.2 * cov.norm():
        raise Wrong(f"{share} The spreads agree; the correlations do not.")
    raise Wrong(
        f"{share} Means, spreads and correlations are nearly right. What counts is what the points have "
        "themselves; a random sample differs a little from what it was drawn with."
    )


_MACS = """def macs(c_in, c_out, kernel, size, calls):
    return ..."""
_ANOTHER = """def another_digit(scores, reference):
    return ..."""
_GENERATOR = """import torch


def impostor(features):
    noise = torch.randn(*features.shape, dtype=features.dtype)
    return ..."""
_IMPOSTOR = """import torch


def impostor(features):
    noise = torch.randn(*features.shape, dtype=features.dtype)
    noise = noise - noise.mean(dim=0)
    own, wanted = (torch.linalg.cholesky(torch.cov(x.T)) for x in (noise, features))
    white = torch.linalg.solve_triangular(own, noise.T, upper=False)
    return features.mean(dim=0) + (wanted @ white).T"""

EXERCISES = [
    Exercise(
        number="06.1",
        grade="warm-up",
        title="A Fréchet distance by hand",
        text=r"""What is FD between $N(0, 1)$ and $N(1, 4)$? (The second number of $N$ is the variance.)""",
        starter="fd = ...",
        answer="fd",
        check=_by_hand,
        solution="fd = (0 - 1) ** 2 + 1 + 4 - 2 * (1 * 4) ** 0.5",
        wrong={
            "variances": ("(0 - 1) ** 2 + (1 - 4) ** 2", "C^(1/2)"),
            "no root": ("(0 - 1) ** 2 + 1 + 4 - 2 * 1 * 4", "leaves the root"),
            "no last term": ("(0 - 1) ** 2 + 1 + 4", "last term is missing"),
            "one part": ("(0 - 1) ** 2", "One of the two parts"),
            "a root": ("2 ** 0.5", "square of a distance"),
        },
        hints=(
            "In one dimension a covariance is a number and the trace does nothing.",
            "The three terms with C are the square of a difference of two deviations.",
        ),
    ),
    Exercise(
        number="06.2",
        grade="core",
        title="Multiply-accumulates",
        text="""Count the multiply-accumulates of one convolution from `c_in` to `c_out` channels, with
a square `kernel` (pixels along one side), on an image of `size` x `size` pixels that keeps its size,
and of `calls` calls of it. (The bias does not count. A U-Net is mostly such layers: halve the image's
side and double the channels, and what happens to the cost?)""",
        starter=_MACS,
        answer="macs",
        check=_macs,
        solution=_MACS.replace("...", "calls * c_in * c_out * kernel**2 * size**2"),
        wrong={
            "weights": ("c_in * c_out * kernel**2", "Each is used at every pixel"),
            "one call": ("c_in * c_out * kernel**2 * size**2", "This is one call"),
            "operations": ("2 * calls * c_in * c_out * kernel**2 * size**2", "These are operations"),
            "one input": ("calls * c_out * kernel**2 * size**2", "every input channel"),
            "one side": ("calls * c_in * c_out * kernel**2 * size", "The image has two sides"),
        },
        hints=(
            "How many numbers does the layer put out? Each is a sum of how many products?",
            "A sum of n products is n multiply-accumulates.",
        ),
    ),
    Exercise(
        number="06.3",
        grade="warm-up",
        title="Another digit",
        text="""The classifier gives each image ten scores; the largest is its digit. Write the share of
images that show another digit than the accurate solution from the same noise: `scores` and `reference`
are tensors `[N, 10]`, row by row of the same noise.""",
        starter=_ANOTHER,
        answer="another_digit",
        check=_another_digit,
        solution=_ANOTHER.replace("...", "(scores.argmax(dim=1) != reference.argmax(dim=1)).double().mean()"),
        wrong={
            "agreement": (
                "(scores.argmax(dim=1) == reference.argmax(dim=1)).double().mean()",
                "the same digit",
            ),
            "a count": ("(scores.argmax(dim=1) != reference.argmax(dim=1)).sum()", "number of images"),
            "scores": ("(scores.amax(dim=1) != reference.amax(dim=1)).double().mean()", "are compared here"),
            "counts": (
                "(scores.argmax(dim=1).bincount(minlength=10) - "
                "reference.argmax(dim=1).bincount(minlength=10)).abs().sum() / len(scores)",
                "go unnoticed",
            ),
            "the other way": (
                "(scores.argmax(dim=0) != reference.argmax(dim=0)).double().mean()",
                "image of each digit",
            ),
        },
        hints=(
            "`argmax(dim=1)` is the place of each row's largest score.",
            "The mean of a comparison is a share, once it is a number: `.double().mean()`.",
        ),
    ),
    Exercise(
        number="06.4",
        grade="project",
        title="Fool the ruler",
        text="""FD sees means and covariances, and nothing else. Write a generator that it takes for
perfect: from features `[N, D]` (with $N$ far above $D$) make `N` others, whose FD to the given ones is
0 up to rounding, and of which none is one of the data, nor lies close by one of them. The features in
the check are skewed, so that they are no Gaussian. (There is more than one way.)""",
        starter=_GENERATOR,
        answer="impostor",
        check=_impostor,
        solution=_IMPOSTOR,
        wrong={
            "copies": ("features[torch.randperm(len(features))]", "themselves, copied"),
            "a little noise": ("features + 1e-4 * noise", "a little noise on them"),
            "unit noise": ("noise", "The means differ"),
            "no spread": ("features.mean(0) + 0.1 * noise", "the spreads do not"),
            "no correlations": ("features.mean(0) + features.std(0) * noise", "the correlations do not"),
            "a sample": (
                "features.mean(0) + noise @ torch.linalg.cholesky(torch.cov(features.T)).T",
                "a random sample differs",
            ),
        },
        hints=(
            "A Gaussian with the right mean and covariance is nearly it. What do its samples get wrong?",
            "Give the noise the mean 0 and the covariance 1 exactly, before you shape it. Or think of a map "
            "that moves every point and leaves mean and covariance alone.",
        ),
    ),
]
