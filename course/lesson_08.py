"""Exercises of lesson 08: pixels in files, what a wrong range costs, passes that fit, what Inception sees."""

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from traflow_lib.evaluation.features import to_uint8
from traflow_lib.evaluation.frechet import feature_distance
from traflow_lib.training.config import TrainConfig

from .checking import asked, check_number, check_tensor
from .exercise import Exercise, Wrong


def _images(*shape: int, scale: float = 0.6, seed: int = 0) -> Tensor:
    return scale * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def _to_file(function) -> None:
    inside = _images(3, 3, 4, 5).clamp(-1, 1)
    found = asked(function, inside)
    if isinstance(found, Tensor) and found.dtype != torch.uint8:
        raise Wrong(f"A file's pixels are bytes: dtype uint8, not {found.dtype}.")
    known = {
        "Black is right, but what lies between two values goes to the lower one: the image gets darker.": (
            ((inside + 1) * 127.5).to(torch.uint8)
        ),
        "Half of the range is lost: here -1 is black, not 0.": (255 * inside).round().clamp(0, 255),
        "White leaves the range: there are 256 values, but the last is 255.": (
            ((inside + 1) * 128).round().to(torch.int64) % 256
        ),
    }
    check_tensor(found, to_uint8(inside), known, "Inside of [-1, 1] some pixels are wrong.", within=0)
    outside = _images(1, 1, 6, 6, scale=3)
    why = "A network's pixels leave [-1, 1] a little, and then bright and dark change places."
    check_tensor(asked(function, outside), to_uint8(outside), {}, why, within=0)


def _wrong_range(function) -> None:
    for shape in ((40, 3, 3, 3), (200, 1, 4, 4)):
        images = _images(*shape) + _images(1, *shape[1:], seed=1)
        pixels = images.flatten(1).double()
        means, trace = ((pixels.mean(0) - 1) / 2).square().sum().item(), pixels.var(0).sum().item()
        known = {
            "The means are right. Of the covariances' terms the last, with the root, is missing.": (
                means + 1.25 * trace
            ),
            "The means are right. It is not the variances that are subtracted, but their roots.": (
                means + 0.75 * trace
            ),
            "This is the means' share only; a spread that shrinks costs, too.": means,
            "This is the covariances' share only; grey moves, too.": trace / 4,
        }
        check_number(asked(function, images), feature_distance(pixels, (pixels + 1) / 2), known)


def _micro_batch(function) -> None:
    for base, slope, card, batch in ((10.0, 0.5, 80.2, 512), (3.0, 0.11, 24.0, 96), (1.0, 0.2, 12.1, 60)):
        sizes = [4, 16, 64]
        gib = [base + slope * size for size in sizes]
        fits = (card - base) / slope
        # the kit's own rule, for the largest pass that fits
        settings = {"steps": 1, "batch": batch, "micro_batch": int(fits)}
        right = batch // TrainConfig(**settings).passes(1)
        found = asked(function, sizes, gib, card, batch)
        alone = max(n for n in range(1, batch + 1) if batch % n == 0 and n * gib[-1] / 64 <= card)
        known = {
            "Weights take memory before the first image does: the line does not begin at zero.": alone,
            "This many fit, but the batch cannot be split evenly into passes of this size.": int(fits),
            "This pass does not fit: it is too large by one step.": min(
                (n for n in range(1, batch + 1) if batch % n == 0 and n > fits), default=batch
            ),
        }
        check_number(found, right, known, within=1e-9)


def _for_inception(function) -> None:
    images, size = _images(2, 3, 24, 24, scale=0.3), 9
    pixels = to_uint8(images).float()

    def resized(x: Tensor, antialias: bool = True) -> Tensor:
        return interpolate(x, (size, size), mode="bicubic", antialias=antialias)

    known = {
        "It is resized first and rounded afterwards. Files are rounded at their own size.": (
            resized((images + 1) * 127.5).round().clamp(0, 255)
        ),
        "It is never rounded: nobody's files hold such numbers.": resized((images + 1) * 127.5),
        "It is rounded twice. What goes into the network is no file any more.": resized(pixels).round(),
        "Without antialiasing most pixels are not looked at.": resized(pixels, antialias=False),
    }
    right = resized(pixels)
    check_tensor(
        asked(function, images, size), right, known, "Inception would see other pixels.", within=1e-5
    )


TO_FILE = """import torch

def to_file(x):
    values = ((x + 1) * 127.5).round()
    return values.clamp(0, 255).to(torch.uint8)"""

COST = """def cost(images):
    pixels = images.flatten(1).double()
    means = (pixels.mean(0) - 1).square().sum() / 4
    return (means + pixels.var(0).sum() / 4).item()"""

MICRO = """import numpy as np

def micro_batch(sizes, gib, card, batch):
    slope, base = np.polyfit(sizes, gib, 1)
    parts = [n for n in range(1, batch + 1) if batch % n == 0]
    return max(n for n in parts if base + slope * n <= card)"""

INCEPTION = """from torch.nn.functional import interpolate

def for_inception(x, size):
    pixels = ((x + 1) * 127.5).round().clamp(0, 255)
    return interpolate(pixels, (size, size), mode="bicubic", antialias=True)"""

EXERCISES = [
    Exercise(
        number="08.1",
        grade="warm-up",
        title="Pixels as a file holds them",
        text="""Networks work with numbers in $[-1, 1]$, files with bytes: -1 is 0, 1 is 255, and in
between they are evenly spaced. An FID is measured of images as files hold them. Write the bytes
(`uint8`) of `x`, whatever its shape. A network's output may leave the range a little.""",
        starter="def to_file(x):\n    return ...",
        answer="to_file",
        check=_to_file,
        solution=TO_FILE,
        wrong={
            "cut off, not rounded": (".round()", "", "darker"),
            "no bounds": (".clamp(0, 255)", ".long().remainder(256)", "change places"),
            "numbers from 0 to 1": ("(x + 1) * 127.5", "x * 255", "Half of the range"),
            "256 steps": ("127.5", "128", ".clamp(0, 255)", ".long().remainder(256)", "leaves the range"),
            "no bytes": (".to(torch.uint8)", "", "bytes"),
        },
        hints=("Three things, in this order: carry the range over, go to the nearest, stay within bounds.",),
    ),
    Exercise(
        number="08.2",
        grade="core",
        title="What a wrong range costs",
        text=r"""Somebody's images are in $[0, 1]$, and yours in $[-1, 1]$: the same pictures,
$y = (x + 1)/2$. How far apart are the two sets? Take the pixels themselves as features, and write the
Fréchet distance

$$\lVert m_x - m_y \rVert^2 + \operatorname{tr}\!\left(C_x + C_y - 2\,(C_x C_y)^{1/2}\right)$$

of `images` `[N, C, H, W]` in $[-1, 1]$ and their $y$, as one number. Here no root of a matrix is needed:
mean and variance of each pixel are enough (the variance divided by $N - 1$).""",
        starter="def cost(images):\n    return ...",
        answer="cost",
        check=_wrong_range,
        solution=COST,
        wrong={
            "the root forgotten": ("pixels.var(0).sum() / 4", "pixels.var(0).sum() * 1.25", "last"),
            "a difference of variances": (
                "pixels.var(0).sum() / 4",
                "pixels.var(0).sum() * 0.75",
                "their roots",
            ),
            "means only": (" + pixels.var(0).sum() / 4", "", "means' share only"),
            "spread only": ("means + ", "", "covariances' share only"),
        },
        hints=(
            "What is the covariance of $y$, if that of $x$ is $C$? And the root of their product?",
            "Each mean moves half of its way to 1.",
        ),
    ),
    Exercise(
        number="08.3",
        grade="core",
        title="The largest pass that fits",
        text="""A batch may be split into passes of `micro_batch` images, if all passes are equally
large. The memory of a pass grows with its images, along a line. You measured it for a few `sizes`:
`gib`, in GiB (section 6 prints it on a GPU). Of how many images is the largest pass of a `batch` that fits
on a `card` of so many GiB?""",
        starter="def micro_batch(sizes, gib, card, batch):\n    return ...",
        answer="micro_batch",
        check=_micro_batch,
        solution=MICRO,
        wrong={
            "a line through zero": (
                "np.polyfit(sizes, gib, 1)",
                "gib[-1] / sizes[-1], 0",
                "does not begin at zero",
            ),
            "uneven passes": (
                "max(n for n in parts if base + slope * n <= card)",
                "int((card - base) / slope)",
                "split evenly",
            ),
            "one too large": (
                "max(n for n in parts if base + slope * n <= card)",
                "min([n for n in parts if base + slope * n > card] + [batch])",
                "does not fit",
            ),
        },
        hints=(
            "Which part of the memory is needed for one image, and which for none?",
            "`np.polyfit(x, y, 1)` gives a line's slope and intercept. Then try the possible sizes.",
        ),
    ),
    Exercise(
        number="08.4",
        grade="core",
        title="Round first, or resize first?",
        text="""Inception takes images of its own size. clean-fid resizes what a *file* holds, with an
antialiased bicubic filter, and gives the result to the network as it is. Write what the network gets of
`x` `[B, 3, H, W]` in $[-1, 1]$, as numbers of the scale from 0 to 255, at `size` x `size` pixels.
`torch.nn.functional.interpolate` has the filter. (The order alone moves an FID, and a paper rarely tells
it.)""",
        starter="def for_inception(x, size):\n    return ...",
        answer="for_inception",
        check=_for_inception,
        solution=INCEPTION,
        wrong={
            "never rounded": (".round().clamp(0, 255)", "", "never rounded"),
            "the other order": (
                ".round().clamp(0, 255)",
                "",
                "antialias=True)",
                "antialias=True).round().clamp(0, 255)",
                "resized first",
            ),
            "rounded twice": ("antialias=True)", "antialias=True).round()", "rounded twice"),
            "no antialiasing": (", antialias=True", "", "antialiasing"),
        },
        hints=("Follow one picture: network, file, filter, Inception. Where is it made of bytes?",),
    ),
]
