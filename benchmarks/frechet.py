"""The Frechet term beside clean-fid's, in one run: python benchmarks/frechet.py [dimensions ...].

A minute or two at 2048 dimensions.
"""

import sys
import warnings
from time import perf_counter

import torch
from cleanfid.fid import frechet_distance as clean_fids

from traflow_lib.evaluation.frechet import frechet_distance, mean_and_cov


def features(n: int, dim: int, seed: int) -> torch.Tensor:
    """Correlated features with an uneven spectrum."""
    generator = torch.Generator().manual_seed(seed)
    mixing = (
        torch.randn(dim, dim, generator=generator, dtype=torch.float64)
        * torch.linspace(1, 0.05, dim)
        / dim**0.5
    )
    return (1 + 0.2 * seed) * torch.randn(
        n, dim, generator=generator, dtype=torch.float64
    ) @ mixing.T + 0.1 * seed


def timed(function, *arguments) -> tuple[float, float]:
    start = perf_counter()
    value = function(*arguments)
    return float(value), perf_counter() - start


warnings.filterwarnings("ignore")  # scipy's of clean-fid's call
print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
for dim in map(int, sys.argv[1:] or ["64", "512", "2048"]):
    for n in (5 * dim // 2, dim // 2):
        moments = [m for seed in (0, 1) for m in mean_and_cov(features(n, dim, seed))]
        (ours, short), (theirs, long) = (
            timed(frechet_distance, *moments),
            timed(clean_fids, *(m.numpy() for m in moments)),
        )
        print(
            f"{dim} dimensions, {n} samples: {short:.3f} s against {long:.2f} s, {long / short:.0f}x; "
            f"relative difference {ours / theirs - 1:.1e}"
        )
