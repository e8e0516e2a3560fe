"""Checks of what is measured between two sets of features: KID, and precision and recall."""

import torch
from torch import Tensor

from traflow_lib.evaluation.frechet import kernel_distance
from traflow_lib.evaluation.precision_recall import precision_recall

from .checking import asked, check_number, close, numbers
from .exercise import Wrong


def kid(function) -> None:
    """Check a function of two sets of features [n, D] that gives their KID."""
    generator = torch.Generator().manual_seed(0)
    for n, dim in ((12, 3), (40, 5), (2, 1)):
        a, b = torch.randn(2, n, dim, generator=generator, dtype=torch.float64)
        b = 1.3 * b + 0.2
        of_a, of_b, between = ((x @ y.T / dim + 1) ** 3 for x, y in ((a, a), (b, b), (a, b)))
        within = (of_a.sum() + of_b.sum()).item()
        off = within - (of_a.trace() + of_b.trace()).item()
        known = {
            "The diagonals are in it: every sample is compared with itself, so that two sets of one "
            "distribution seem apart.": within / n**2 - 2 * between.mean().item(),
            "The diagonals are left out of the sums, but not of the number of terms.": (
                off / n**2 - 2 * between.mean().item()
            ),
            "Pairs of one a and one b stand in the square twice.": off / (n * (n - 1))
            - between.mean().item(),
            "The diagonal of the mixed pairs belongs in: a_i and b_i are two different samples.": (
                (off - 2 * (between.sum() - between.trace()).item()) / (n * (n - 1))
            ),
            "The pairs are added up here; take their mean.": off - 2 * between.sum().item(),
        }
        right = kernel_distance(a, b, subsets=1, size=n)
        check_number(asked(function, a, b), right, known)


def _inside(points: Tensor, centres: Tensor, k: int, itself: bool = False) -> Tensor:
    """Whether each of `points` lies in the ball of each of `centres`, [points, centres]."""
    apart = torch.cdist(centres, centres)
    radius = apart.sort(dim=1).values[:, k - itself]
    return torch.cdist(points, centres) <= radius


def balls(function) -> None:
    """Check a function of features [N, D], others [M, D] and k that gives precision and recall."""
    generator = torch.Generator().manual_seed(0)
    for n, m, k in ((60, 60, 3), (40, 70, 1), (70, 30, 5)):
        real = torch.randn(n, 2, generator=generator, dtype=torch.float64)
        fake = 0.6 * torch.randn(m, 2, generator=generator, dtype=torch.float64) + 0.5
        found = numbers(asked(function, real, fake, k), 2)
        right = precision_recall(real, fake, k=k, k_density=1)
        precision, recall = right["precision"], right["recall"]
        if all(map(close, found, (precision, recall))):
            continue
        of_real, of_fake = _inside(fake, real, k), _inside(real, fake, k)
        small = [_inside(*sets, k, True).any(dim=1) for sets in ((fake, real), (real, fake))]
        for why, values in {
            "Precision and recall have changed places. Whose balls, and whose share?": (recall, precision),
            "A sample is its own nearest neighbour here, so that the balls are too small.": [
                inside.double().mean().item() for inside in small
            ],
            "Each ball that a sample is in counts; one is enough.": (
                of_real.double().mean().item(),
                of_fake.double().mean().item(),
            ),
            "These are shares of balls that hold a sample, not of samples that lie in a ball.": (
                of_real.any(dim=0).double().mean().item(),
                of_fake.any(dim=0).double().mean().item(),
            ),
            "A sample is to lie in one of the balls, not in all.": (
                of_real.all(dim=1).double().mean().item(),
                of_fake.all(dim=1).double().mean().item(),
            ),
        }.items():
            if all(map(close, found, values)):
                raise Wrong(why)
        wrong = "recall" if close(found[0], precision) else "precision"
        raise Wrong(f"The kit has another {wrong} for {n} real and {m} other samples and k = {k}.")
