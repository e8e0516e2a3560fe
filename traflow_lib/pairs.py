"""Teacher pairs (x_1, xhat_0): noise and what the teacher's ODE makes of it, with the path between when it is wanted.

Two sources with one interface, `.batch(n) -> Batch`: PairCache draws from pairs solved beforehand, OnlinePairs solves fresh ones.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from .flow import chord
from .solvers import solve

STATES = ("chord", "path", "data")


def sample_noise(seed: int, start: int, stop: int, shape: tuple) -> Tensor:
    """Standard normal x_1 for samples start..stop-1, [stop - start, *shape]. Sample i depends on (seed, i) alone, never on the batch."""
    rows = [np.random.default_rng((seed, i)).standard_normal(shape, dtype=np.float32) for i in range(start, stop)]
    return torch.from_numpy(np.stack(rows)) if rows else torch.empty(0, *shape)


@dataclass
class Batch:
    """x1, x0: noise and the teacher's output for it, [B, ...]; path [B, K + 1, ...], the teacher's states at times 0, 1/K .. 1;
    data [B, ...]: real data, for the methods that need it; progress: share of the training that is done."""

    x1: Tensor
    x0: Tensor
    path: Tensor | None = None
    data: Tensor | None = None
    progress: float = 0.0

    def on(self, states: str) -> "Batch":
        """The batch whose .at(t) gives states on the "chord" of the pairs, on the teacher's "path", or on random chords of real "data"."""
        if states == "chord":
            return replace(self, path=None)
        if states == "path":
            if self.path is None:
                raise ValueError('states="path" needs batches with the teacher\'s path (path=True)')
            return self
        if self.data is None:
            raise ValueError('states="data" needs real data in the batch (Batch.data)')
        return replace(self, x1=torch.randn_like(self.data), x0=self.data, path=None)

    def halves(self) -> tuple["Batch", "Batch"]:
        """The first and the second half of the batch."""
        tensors = {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}
        parts = [{name: value.chunk(2)[half] for name, value in tensors.items()} for half in (0, 1)]
        return replace(self, **parts[0]), replace(self, **parts[1])

    @property
    def intervals(self) -> int | None:
        """K, when states are the stored points of the teacher's path; None when they are on the chord, at any time."""
        return None if self.path is None else self.path.shape[1] - 1

    def at(self, t: Tensor) -> Tensor:
        """The state at times t [B]: on the teacher's path if it was kept (t a multiple of 1/K), else on the chord of the pair."""
        if self.path is None:
            return chord(self.x0, self.x1, t)
        index = (t * self.intervals).round().long()
        return self.path[torch.arange(len(t), device=t.device), index]


class PairCache:
    """Pairs held in memory: x1, x0 [N, ...] and optionally path [N, K + 1, ...]. batch() draws with replacement from torch's generator."""

    def __init__(self, x1: Tensor, x0: Tensor, path: Tensor | None = None):
        self.x1, self.x0, self.path = x1, x0, path

    def __len__(self) -> int:
        return len(self.x1)

    def batch(self, n: int, path: bool = True) -> Batch:
        """n random pairs; path=False leaves the path out even if it is stored (a chord preset needs none)."""
        index = torch.randint(len(self), (n,))
        return Batch(self.x1[index], self.x0[index], self.path[index].float() if path and self.path is not None else None)

    def first(self, n: int) -> "PairCache":
        """The first n pairs, without copying."""
        return PairCache(self.x1[:n], self.x0[:n], None if self.path is None else self.path[:n])

    def save(self, file: Path) -> None:
        tensors = {"x1": self.x1, "x0": self.x0} | ({} if self.path is None else {"path": self.path})
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_suffix(".part")
        save_file(tensors, part)
        part.replace(file)

    @classmethod
    def load(cls, file: Path) -> "PairCache":
        return cls(**load_file(file))


class OnlinePairs:
    """Fresh pairs from the teacher at every call, as the paper does it; costs nfe teacher calls a sample."""

    def __init__(self, teacher, shape: tuple, **solver):
        self.teacher, self.shape, self.solver = teacher, tuple(shape), solver

    def batch(self, n: int, path: bool = True) -> Batch:
        noise = torch.randn(n, *self.shape)
        solution = solve(self.teacher, noise, keep_path=path, **self.solver)
        return Batch(noise, solution.x, solution.path.flip(0).transpose(0, 1) if path else None)


def make_pairs(teacher, n: int, shape: tuple, seed: int, *, keep_path: bool = False, batch: int = 2048, progress=None, **solver) -> PairCache:
    """Solve n pairs from time 1 to 0. Args: solver as in solvers.solve (method=, steps= or tol=); keep_path stores every grid state.

    A kept path of images is stored in float16 (values stay within a few units; rounding is far below the solver's error).
    """
    x1, x0, paths = [], [], []
    for start in range(0, n, batch):
        noise = sample_noise(seed, start, min(n, start + batch), shape)
        solution = solve(teacher, noise, keep_path=keep_path, **solver)
        x1.append(noise)
        x0.append(solution.x)
        if keep_path:
            path = solution.path.flip(0).transpose(0, 1)
            paths.append(path.half() if len(shape) > 1 else path.contiguous())
        if progress:
            progress(min(n, start + batch))
    return PairCache(torch.cat(x1), torch.cat(x0), torch.cat(paths) if keep_path else None)


def sample_times(n: int, ends: float, intervals: int | None = None, draw: Callable[[int], Tensor] | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """Times s < u < t [n] each: three sorted uniforms; then t := 1 with probability `ends`, and s := 0 with probability `ends`.

    With `intervals` = K they are moved to the grid 0, 1/K .. 1 (t up, s down, u to the nearest), where stored paths have states.
    draw(n) -> [3, n] takes the place of the uniforms.
    """
    s, u, t = (torch.rand(3, n) if draw is None else draw(n)).sort(dim=0).values
    t = torch.where(torch.rand(n) < ends, 1.0, t)
    s = torch.where(torch.rand(n) < ends, 0.0, s)
    if intervals is not None:
        s, u, t = (s * intervals).floor() / intervals, (u * intervals).round() / intervals, (t * intervals).ceil() / intervals
    return s, u, t
